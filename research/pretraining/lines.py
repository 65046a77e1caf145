"""First stage: the vision tower alone reads single handwritten lines, through two throw-away heads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from research.pretraining import ctc, vision
from research.pretraining.letters import BLANK, encode
from research.pretraining.samples import EXAM, PATCH, Batch, Lines

PAGE = (18, 40)  # patches of a whole cheque: lines are trained at all of its places
GIVEN = 24_000  # lines over which the alignment of the letters is given less and less
HALFWAY = 0.3  # weight of the head in the middle of the tower


class LinesStage:
    name = "lines"

    def __init__(self, size: int = 48, fixed: int = 3) -> None:
        self.draw = Lines(size, ramp=60_000)
        self.fixed = {h: [Lines(64, first=EXAM, hands=h)(i) for i in range(fixed)] for h in GROUPS if fixed}

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        return {"loss": spelt_lines(modules, batch, given=max(0.0, 1 - samples / GIVEN))}

    @torch.no_grad()
    def score(self, modules: nn.ModuleDict) -> dict[str, float]:
        """Character error rate and lines wholly right, on seen and unseen hands."""
        out = {}
        for hands, batches in self.fixed.items():
            read_as = [text for batch in batches for text in ctc.decode(read(modules, batch)[0])]
            true = [text for batch in batches for text in batch["texts"]]
            out[f"{hands}_errors"] = ctc.errors(read_as, true)
            out[f"{hands}_lines"] = sum(a == b for a, b in zip(read_as, true, strict=True)) / len(true)
        return out


GROUPS = ("seen", "unseen")


class HeadsStage(LinesStage):
    """The throw-away heads alone, on a tower that can read already: they do not ship with it."""

    name = "heads"

    def __init__(self, size: int = 48, fixed: int = 3) -> None:
        super().__init__(size, fixed)
        self.draw = Lines(size, first=7 * 10**8)

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        return {"loss": spelt_lines(modules, batch, still=True)}


def spelt_lines(modules: nn.ModuleDict, batch: Batch, given: float = 0.0, *, still: bool = False) -> Tensor:
    """How badly both heads spell the lines; `given` is the share of the loss that knows where each letter stands.

    `still`: the tower does not learn from it.
    """
    scores, halfway = read(modules, batch, still=still)
    targets = spelt(batch["texts"], scores.device)
    lost = ctc.loss(scores, *targets) + HALFWAY * ctc.loss(halfway, *targets)
    if not given:
        return lost
    aligned = torch.from_numpy(batch["aligned"]).to(scores.device)
    return (1 - given) * lost + 2 * given * (_given(scores, aligned) + HALFWAY * _given(halfway, aligned))


def read(modules: nn.ModuleDict, batch: Batch, *, still: bool = False) -> tuple[Tensor, Tensor]:
    """Scores of both heads for a batch of lines."""
    visual: Any = modules["model"].model.visual
    cut, where, shape = placed(visual, batch)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not still):
        last, deep = vision.encode(visual, cut, where, PAGE)
    inside = where - where[:, :1, :1]
    final, halfway = (vision.in_rows(states, inside, shape) for states in (last, deep[0]))
    return modules["head"](final), modules["halfway"](halfway)


def placed(visual: Any, batch: Batch) -> tuple[Tensor, Tensor, vision.Grid]:
    """Blocks of the lines, their places at a corner of the page chosen for each, and the shape of a line in patches."""
    weight = visual.pos_embed.weight
    images = pixels(batch["images"], weight)
    shape = (images.shape[2] // PATCH, images.shape[3] // PATCH)
    free = ((PAGE[0] - shape[0]) // 2 + 1, (PAGE[1] - shape[1]) // 2 + 1)
    corners = [(2 * (row % free[0]), 2 * (column % free[1])) for row, column in batch["corners"]]
    return vision.patches(images), vision.places(shape, torch.tensor(corners, device=weight.device)), shape


def pixels(images: Any, like: Tensor) -> Tensor:
    """uint8 (batch, height, width[, 3]) -> (batch, channels, height, width) from -1 to 1, as the processor does."""
    normal = torch.from_numpy(images).to(like.device).float().div(127.5).sub(1).to(like.dtype)
    return normal[:, None] if normal.ndim == 3 else normal.permute(0, 3, 1, 2)


def spelt(texts: list[str], device: torch.device) -> tuple[Tensor, Tensor]:
    numbers, lengths = encode(texts)
    return torch.tensor(numbers, device=device), torch.tensor(lengths, device=device)


def _given(scores: Tensor, aligned: Tensor) -> Tensor:
    """Cross entropy of the frames; blanks, of which there are many, count less."""
    weights = torch.ones(scores.shape[-1], device=scores.device)
    weights[BLANK] = 0.3
    return F.cross_entropy(scores.float().flatten(0, 1), aligned.flatten(), weights)
