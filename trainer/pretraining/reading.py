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
from trainer.pretraining import ctc, speech, vision, wording
from trainer.pretraining.letters import FRAMES
from trainer.pretraining.lines import GROUPS, HALFWAY, PAGE, pixels, placed, spelt
from trainer.pretraining.samples import EXAM, PATCH, Batch, Cheques, Lines

SPELLING = 0.5  # weight of the throw-away heads
POINTING = 0.3  # weight of showing attention where to look


class ReadingStage:
    """Single lines, at any height of a strip of four patch rows and at any place of the page."""

    name = "reading"

    def __init__(self, size: int = 48, fixed: int = 3) -> None:
        self.draw = Lines(size, rows=64, first=3 * 10**8, spoken=True)
        exam = {hands: Lines(64, rows=64, first=EXAM, hands=hands, spoken=True) for hands in GROUPS if fixed}
        self.fixed = {hands: [draw(number) for number in range(fixed)] for hands, draw in exam.items()}

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        said, strayed, (last, deep) = self._forward(modules, batch)
        spelling = sum(
            weight * ctc.loss(modules[head](*_weighed(states, batch["middles"])), *spelt(batch["texts"], last.device))
            for head, weight, states in (("head", 1.0, last), ("halfway", HALFWAY, deep))
        )
        return _together(said, batch, spelling, strayed)

    @torch.no_grad()
    def score(self, modules: nn.ModuleDict) -> dict[str, float]:
        out = {}
        for hands, batches in self.fixed.items():
            right = np.concatenate([fields_right(self._forward(modules, batch)[0], batch) for batch in batches])
            out[f"{hands}_exact"] = float(np.nanmean(right))
        return out

    def _forward(self, modules: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        model: Any = modules["model"]
        cut, where, shape = placed(model.model.visual, batch)
        last, deep = vision.encode(model.model.visual, cut, where, PAGE)
        said, looks = speech.scores(model, last, deep, where, PAGE, texts(batch, last.device))
        inside = where - where[:, :1, :1]
        strayed = speech.astray(looks, inside, torch.from_numpy(batch["points"]).to(last.device))
        return said, strayed, (vision.in_rows(last, inside, shape), vision.in_rows(deep[0], inside, shape))


class ChequesStage:
    """Whole cheques at their native size, in the very chat format of the reader."""

    name = "cheques"

    def __init__(self, size: int = 8, fixed: int = 64) -> None:
        self.draw = Cheques(size, keep=96)
        exam = {hands: Cheques(8, first=EXAM, hands=hands) for hands in GROUPS if fixed}
        self.fixed = {hands: [draw(number) for number in range(fixed // 8)] for hands, draw in exam.items()}

    def loss(self, modules: nn.ModuleDict, batch: Batch, samples: int) -> dict[str, Tensor]:
        said, strayed, (last, deep) = self._forward(modules, batch)
        frames = _frames(batch, last.device)
        spelling = sum(
            weight * ctc.loss(modules[head](*_windows(states, batch)), *spelt(batch["texts"], last.device), frames)
            for head, weight, states in (("head", 1.0, last), ("halfway", HALFWAY, deep))
        )
        return _together(said, batch, spelling, strayed)

    @torch.no_grad()
    def score(self, modules: nn.ModuleDict) -> dict[str, float]:
        """Exact match a field, with all that stands before it given; and the characters that the head misspells."""
        out = {}
        for hands, batches in self.fixed.items():
            right, read, true = [], [], []
            for batch in batches:
                said, _, (last, _) = self._forward(modules, batch)
                right.append(fields_right(said, batch))
                read += ctc.decode(modules["head"](*_windows(last, batch)), _frames(batch, last.device))
                true += batch["texts"]
            each = np.nanmean(np.concatenate(right), 0)
            out[f"{hands}_exact"] = float(each.mean())
            out[f"{hands}_errors"] = ctc.errors(read, true)
            out |= {f"{hands}_{name}": float(value) for name, value in zip(CHEQUE.names, each, strict=True)}
        return out

    def _forward(self, modules: nn.ModuleDict, batch: Batch) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        model: Any = modules["model"]
        visual = model.model.visual
        cut = vision.patches(pixels(batch["images"], visual.pos_embed.weight))
        where = vision.places(PAGE, torch.zeros(len(cut), 2, dtype=torch.long, device=cut.device))
        if batch["kept"] is not None:
            kept = torch.from_numpy(batch["kept"]).to(cut.device)
            image = torch.arange(len(cut), device=cut.device)[:, None]
            cut, where = cut[image, kept], where[image, kept]
        last, deep = vision.encode(visual, cut, where, PAGE)
        said, looks = speech.scores(model, last, deep, where, PAGE, texts(batch, last.device))
        strayed = speech.astray(looks, where, torch.from_numpy(batch["points"]).to(last.device))
        return said, strayed, (vision.in_rows(last, where, PAGE), vision.in_rows(deep[0], where, PAGE))


def texts(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(wording.before(), device=device), torch.from_numpy(batch["tokens"]).to(device)


def fields_right(said: Tensor, batch: Batch) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(batch, fields): 1 where every token of the field is the likeliest, 0 where not, NaN where it is not asked."""
    best = said.argmax(-1).cpu().numpy()
    owners, hit = batch["owners"], best == batch["tokens"]
    columns = []
    for number in range(len(CHEQUE.names)):
        mine = owners == number
        columns.append(np.where(mine.any(1), (hit | ~mine).all(1), np.nan))
    return np.stack(columns, 1)


def _together(said: Tensor, batch: Batch, spelling: Any, strayed: Tensor) -> dict[str, Tensor]:
    asked = torch.from_numpy(batch["owners"] != wording.NONE).to(said.device)
    spoken = F.cross_entropy(said[asked].float(), torch.from_numpy(batch["tokens"]).to(said.device)[asked])
    total = spoken + SPELLING * spelling + POINTING * strayed
    return {"loss": total, "spoken": spoken, "spelt": spelling, "astray": strayed}


def _shares(middles: Tensor, rows: int) -> Tensor:
    """(lines, rows): how much each patch row counts for a line of that middle: the two nearest rows, 2 in all."""
    centres = torch.arange(rows, device=middles.device) * PATCH + PATCH / 2
    return 2 * (1 - (middles[:, None] - centres).abs() / PATCH).clamp(min=0)


def _weighed(states: Tensor, middles: Any) -> tuple[Tensor, Tensor]:
    return states, _shares(torch.from_numpy(middles).float().to(states.device), states.shape[1])


def _windows(states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The two patch rows of every written line: (lines, 2, columns, d), short lines padded on the right, and shares."""
    rows, columns = states.shape[1:3]
    place = torch.from_numpy(batch["windows"]).to(states.device)
    cheque, first, last, middle = place[:, 0].long(), place[:, 1].long(), place[:, 2].long(), place[:, 3].float()
    top = ((middle - PATCH / 2) / PATCH).floor().long().clamp(0, rows - 2)
    across = torch.arange(int((last - first).max()) + 1, device=states.device)
    column = (first[:, None] + across).clamp(max=columns - 1)[:, None, :]
    row = top[:, None, None] + torch.arange(2, device=states.device)[None, :, None]
    window = states[cheque[:, None, None], row, column]
    return window, _shares(middle - top * PATCH, 2)


def _frames(batch: Batch, device: torch.device) -> Tensor:
    place = torch.from_numpy(batch["windows"]).to(device)
    return ((place[:, 2] - place[:, 1] + 1) * FRAMES).long()
