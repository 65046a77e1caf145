"""Second and third stage: the whole model says what it reads, first of single lines, then of whole cheques.

The tower goes on spelling through its throw-away head, in place on the page: that is where its sight keeps improving.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cheques.fields import CHEQUE
from research.pretraining import ctc, forward, targets, vision
from research.pretraining.letters import FRAMES
from research.pretraining.lines import GROUPS, HALFWAY, PAGE, pixels, placed, spelt, spelt_lines
from research.pretraining.samples import (
    EXAM,
    PATCH,
    Batch,
    Cheques,
    Lines,
    discordant_cheque,
    unfamiliar_cheque,
    varied_cheque,
)

HEADS = (("head", 1.0), ("halfway", HALFWAY))  # throw-away heads: on the tower, and inside it
SPELLING = 0.5  # weight of the throw-away heads
POINTING = 0.3  # weight of showing attention where to look


class ReadingStage:
    """Single lines, half of them at any height of a strip of four patch rows, at any place of the page.

    The tower stands still: the language model needs many steps to learn to look, and they are twice as quick so.
    """

    name = "reading"

    def __init__(self, size: int = 48, fixed: int = 3) -> None:
        self.draw = Lines(size, rows=64, first=3 * 10**8, spoken=True)
        exam = {hands: Lines(64, rows=64, first=EXAM, hands=hands, spoken=True) for hands in GROUPS if fixed}
        self.fixed = {hands: [draw(number) for number in range(fixed)] for hands, draw in exam.items()}

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        said, strayed = self._forward(modules, batch)
        return _together(said, batch, strayed)

    @torch.no_grad()
    def score(self, modules: nn.ModuleDict) -> dict[str, float]:
        out = {}
        for hands, batches in self.fixed.items():
            right = np.concatenate([fields_right(self._forward(modules, batch)[0], batch) for batch in batches])
            out[f"{hands}_exact"] = float(np.nanmean(right))
        return out

    def _forward(self, modules: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor]:
        model: Any = modules["model"]
        with torch.no_grad():
            cut, where, _ = placed(model.model.visual, batch)
            last, deep = vision.encode(model.model.visual, cut, where, PAGE)
        image = vision.merge(last, model.model.visual.merger)
        said, looks = forward.scores(model, image, deep, where, PAGE, texts(batch, last.device))
        points = torch.from_numpy(batch["points"]).to(last.device)
        return said, forward.astray(looks, where - where[:, :1, :1], points)


class ChequesStage:
    """Whole cheques at their native size, in the very chat format of the reader.

    Single lines go on beside them: for the tower a letter costs a third there of what it costs on a cheque.
    """

    name = "cheques"

    def __init__(self, size: int = 8, fixed: int = 64) -> None:
        beside = Lines(6 * size, first=6 * 10**8, hands="train")
        self.draw = Cheques(size, hands="train", keep=96, beside=beside, draw=varied_cheque)
        exam = {hands: Cheques(8, first=EXAM, hands=hands) for hands in GROUPS}
        exam |= {"kept_out": Cheques(8, first=EXAM, hands="unseen", draw=unfamiliar_cheque)}
        exam |= {"discordant": Cheques(8, first=EXAM, hands="unseen", draw=discordant_cheque)}
        self.fixed = {name: [draw(number) for number in range(fixed // 8)] for name, draw in exam.items() if fixed}

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        said, strayed, pages = self._forward(modules, batch)
        target = spelt(batch["texts"], said.device)
        spelling = sum(
            weight * ctc.loss(modules[head](*_windows(page, batch)), *target, _frames(batch, page))
            for (head, weight), page in zip(HEADS, pages, strict=True)
        )
        if batch["lines"] is not None:
            spelling = spelling + spelt_lines(modules, batch["lines"])
        return _together(said, batch, strayed, spelling)

    @torch.no_grad()
    def score(self, modules: nn.ModuleDict) -> dict[str, float]:
        """Exact match a field, with all that stands before it given; and the characters that the head misspells."""
        out = {}
        for group, batches in self.fixed.items():
            right, read, true = [], [], []
            for batch in batches:
                said, _, (page, *_) = self._forward(modules, batch)
                right.append(fields_right(said, batch))
                read += ctc.decode(modules["head"](*_windows(page, batch)), _frames(batch, page))
                true += batch["texts"]
            each = np.nanmean(np.concatenate(right), 0)
            out[f"{group}_exact"] = float(each.mean())
            out[f"{group}_errors"] = ctc.errors(read, true)
            out |= {f"{group}_{name}": float(value) for name, value in zip(CHEQUE.names, each, strict=True)}
        return out

    def _forward(self, modules: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """What is said, how far attention strays, and the page as the HEADS see it."""
        model: Any = modules["model"]
        visual = model.model.visual
        cut = vision.patches(pixels(batch["images"], visual.pos_embed.weight))
        where = vision.places(PAGE, torch.zeros(len(cut), 2, dtype=torch.long, device=cut.device))
        if batch["kept"] is not None:
            kept = torch.from_numpy(batch["kept"]).to(cut.device)
            image = torch.arange(len(cut), device=cut.device)[:, None]
            cut, where = cut[image, kept], where[image, kept]
        last, deep = vision.encode(visual, cut, where, PAGE)
        image = vision.merge(last, visual.merger)
        said, looks = forward.scores(model, image, deep, where, PAGE, texts(batch, last.device))
        strayed = forward.astray(looks, where, torch.from_numpy(batch["points"]).to(last.device))
        pages = [vision.in_rows(states, where, PAGE) for states in (last, deep[0])]
        return said, strayed, tuple(pages)


def texts(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(targets.before(), device=device), torch.from_numpy(batch["tokens"]).to(device)


def fields_right(said: Tensor, batch: Batch) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(batch, fields): 1 where every token of the field is the likeliest, 0 where not, NaN where it is not asked."""
    best = said.argmax(-1).cpu().numpy()
    owners, hit = batch["owners"], best == batch["tokens"]
    columns = []
    for number in range(len(CHEQUE.names)):
        mine = owners == number
        columns.append(np.where(mine.any(1), (hit | ~mine).all(1), np.nan))
    return np.stack(columns, 1)


def _together(said: Tensor, batch: Batch, strayed: Tensor, spelling: Any = 0.0) -> dict[str, Tensor]:
    asked = torch.from_numpy(batch["owners"] != targets.NONE).to(said.device)
    spoken = F.cross_entropy(said[asked].float(), torch.from_numpy(batch["tokens"]).to(said.device)[asked])
    total = spoken + SPELLING * spelling + POINTING * strayed
    return {"loss": total, "spoken": spoken, "spelt": torch.as_tensor(spelling), "astray": strayed}


def _shares(middles: Tensor) -> Tensor:
    """(lines, 2): how much each of two patch rows counts for a line of that middle, 2 in all."""
    centres = torch.tensor([0.5, 1.5], device=middles.device) * PATCH
    inside = middles.clamp(PATCH / 2, 1.5 * PATCH)
    return 2 * (1 - (inside[:, None] - centres).abs() / PATCH)


def _windows(page: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The two rows of every written line: (lines, 2, columns, d), short lines padded on the right, and their shares."""
    rows, columns = page.shape[1:3]
    place = torch.from_numpy(batch["windows"]).to(page.device)
    cheque, first, last = (place[:, i].long() for i in range(3))
    top = ((place[:, 3].float() - PATCH / 2) / PATCH).floor().long().clamp(0, rows - 2)
    across = torch.arange(int((last - first).max()) + 1, device=page.device)
    column = (first[:, None] + across).clamp(max=columns - 1)[:, None, :]
    row = top[:, None, None] + torch.arange(2, device=page.device)[None, :, None]
    return page[cheque[:, None, None], row, column], _shares(place[:, 3].float() - top * PATCH)


def _frames(batch: Batch, page: Tensor) -> Tensor:
    """How many frames of each line count: those of the columns that it touches."""
    place = torch.from_numpy(batch["windows"]).to(page.device)
    return ((place[:, 2] - place[:, 1] + 1) * FRAMES).long()
