"""A throw-away head that makes the vision tower read letters: connectionist temporal classification on patch columns.

Every patch speaks for FRAMES slices of its column, and the rows of a line are summed: whichever patch sees the letter
says it. So the head does not care how many rows a line covers, nor where on a page it stands.
Graves et al. 2006; the second head halfway up the tower is InterCTC, Lee and Watanabe 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cheques.drawing.lines import ALPHABET
from research.pretraining.letters import BLANK, FRAMES


class Head(nn.Module):
    """Vision states of d numbers -> scores of FRAMES frames a column over the alphabet and the blank."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.letters = nn.Linear(d, FRAMES * (len(ALPHABET) + 1))

    def forward(self, states: Tensor, shares: Tensor | None = None) -> Tensor:
        """(batch, rows, columns, d), weighed by (batch, rows) -> (batch, columns x FRAMES, alphabet + 1) logits."""
        b, _, columns, _ = states.shape
        heard = self.norm(states)
        if shares is not None:
            heard = heard * shares[:, :, None, None].to(heard.dtype)
        spoken = self.letters(heard.sum(1))
        return spoken.reshape(b, columns * FRAMES, -1)  # type: ignore[no-any-return]


def loss(scores: Tensor, targets: Tensor, lengths: Tensor, frames: Tensor | None = None) -> Tensor:
    """Mean loss a character. `frames` (batch,) is how many frames of each line count; all, without it."""
    batch, columns, _ = scores.shape
    if frames is None:
        frames = torch.full((batch,), columns, device=lengths.device)
    logs = F.log_softmax(scores.float(), -1).transpose(0, 1)
    lost = F.ctc_loss(logs, targets, frames, lengths, BLANK, reduction="sum", zero_infinity=True)
    return lost / lengths.sum()


def decode(scores: Tensor, frames: Tensor | None = None) -> list[str]:
    """The best letter of each frame, repetitions and blanks removed."""
    best = scores.argmax(-1).tolist()
    ends = [len(line) for line in best] if frames is None else frames.tolist()
    return [
        "".join(ALPHABET[n - 1] for n, _ in groupby(line[:end]) if n != BLANK)
        for line, end in zip(best, ends, strict=True)
    ]


def errors(read: Sequence[str], true: Sequence[str]) -> float:
    """Character error rate: edits over characters."""
    from rapidfuzz.distance import Levenshtein

    edits = sum(Levenshtein.distance(a, b) for a, b in zip(read, true, strict=True))
    return edits / max(1, sum(map(len, true)))
