"""Where each letter of a drawn line stands, roughly: what CTC would have to find out, given away at the start.

CTC from nothing sits on a plateau until it guesses an alignment; a drawn line's follows from its letters' widths.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cheques.drawing.hands import HANDS, MASTERS, glyph
from trainer.pretraining.letters import BLANK, FRAMES, NUMBER

PIXELS = 16 // FRAMES  # of one frame
UNKNOWN = -100


def frames(columns: int, text: str, middles: NDArray[np.float64] | None) -> NDArray[np.int64]:
    """For each frame its letter, at the letter's middle, else the blank; UNKNOWN where the ink was not found."""
    out = np.full(columns // PIXELS, UNKNOWN if middles is None else BLANK, np.int64)
    if middles is None:
        return out
    at = (middles // PIXELS).astype(int).clip(0, len(out) - 1)
    for where, letter in zip(at, text, strict=True):
        if letter in NUMBER and out[where] == BLANK:
            out[where] = NUMBER[letter]
    return out


def found(image: NDArray[np.uint8], text: str, hand: str) -> NDArray[np.float64] | None:
    """The middle of each letter, in pixels, between the first and the last ink; None where that cannot be told."""
    inked = np.flatnonzero((image < np.median(image) * 0.62).sum(0) >= 2)
    if len(inked) < 3 or (len(text) > 1 and not 3 < (inked[-1] - inked[0]) / len(text) < 30):
        return None
    return between(float(inked[0]), float(inked[-1]), text, hand)


def between(left: float, right: float, text: str, hand: str) -> NDArray[np.float64]:
    """The middle of each letter of a text that reaches from left to right."""
    middles, length = _advances(text, hand)
    return left + (right - left) * middles / max(1e-9, length)


def _advances(text: str, hand: str) -> tuple[NDArray[np.float64], float]:
    """The middle of each letter, and the length of the line, in units of the hand's own font."""
    writer = HANDS[hand]
    widths = [glyph(writer, MASTERS[0], letter).advance for letter in text]
    ends = np.cumsum(widths)
    return ends - np.asarray(widths) / 2, float(ends[-1])
