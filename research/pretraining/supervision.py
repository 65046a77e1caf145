"""What drawing knows and a reader would have to find out, given away: where letters and tokens are written.

CTC from nothing sits on a plateau until it guesses an alignment; a drawn line's follows from its letters' widths.
Attention without points first learns French, and looks at the image much later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from cheques.drawing.dates import MONTHS, SHORT
from cheques.drawing.hands import HANDS, MASTERS, glyph
from research.pretraining import tokenizer as tok
from research.pretraining.letters import BLANK, FRAMES, NUMBER
from research.pretraining.targets import KEYS, NONE

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


Point = tuple[float, float]  # x, y in pixels
NOWHERE = (-1.0, -1.0)


@dataclass(frozen=True)
class Script:
    """Written text, letter by letter, with the point where each letter stands."""

    text: str
    points: tuple[Point, ...]

    @staticmethod
    def along(text: str, middles: Sequence[float], y: float) -> Script:
        return Script(text, tuple((float(x), y) for x in middles))

    def __add__(self, other: Script) -> Script:
        return Script(self.text + other.text, self.points + other.points)


def value_points(field: str, value: str, script: Script) -> list[Point]:
    """For each character of the canonical value the point where it is written, or NOWHERE."""
    if field == "montant_numerique":
        return _in_order(value, script, str.isdigit)
    if field == "date":
        return _date(value, script)
    return _in_order(value, script, lambda letter: not letter.isspace())


def _in_order(value: str, script: Script, counts: object) -> list[Point]:
    """The characters that count, one after the other, as long as both texts agree."""
    assert callable(counts)
    written = [(c.casefold(), at) for c, at in zip(script.text, script.points, strict=True) if counts(c)]
    out, next_one = [NOWHERE] * len(value), 0
    for i, letter in enumerate(value):
        if counts(letter):
            if next_one == len(written) or written[next_one][0] != letter.casefold():
                break
            out[i] = written[next_one][1]
            next_one += 1
    return out


def _date(value: str, script: Script) -> list[Point]:
    """Year, month and day, each where it stands in the notation that was used; two digits may share one."""
    groups = [(m.group(), m.start()) for m in re.finditer(r"\d+|[^\W\d]{3,}\.?", script.text)]
    if len(groups) != 3 or len(value) != 10:
        return [NOWHERE] * len(value)
    day, month, year = groups
    if not (_says(day[0], value[8:]) and _says(month[0], value[5:7]) and _says(year[0], value[:4])):
        return [NOWHERE] * len(value)
    out = [NOWHERE] * 10
    for (written, start), first, length in ((year, 0, 4), (month, 5, 2), (day, 8, 2)):
        for i in range(length):
            from_end = length - 1 - i
            place = max(0, len(written) - 1 - from_end) if written.isdigit() else min(i, len(written) - 1)
            out[first + i] = script.points[start + place]
    return out


def _says(written: str, digits: str) -> bool:
    if written.isdigit():
        return int(written) == int(digits) or written == digits[-2:]
    names = MONTHS[int(digits) - 1], SHORT[int(digits) - 1]
    return written.casefold().rstrip(".") in [name.rstrip(".") for name in names]


def of_tokens(
    tokens: Sequence[int], owners: Sequence[int], points: Mapping[int, Sequence[Point]]
) -> NDArray[np.float32]:
    """(tokens, 2): the point of each answered token, from the points of its field's characters (by field number)."""
    out = np.full((len(tokens), 2), NOWHERE, np.float32)
    said = dict.fromkeys(points, 0)
    for i, (token, owner) in enumerate(zip(tokens, owners, strict=True)):
        if owner == NONE or owner not in points:
            continue
        text = _text(token)
        if text in _keys():
            continue
        start = said[owner] + len(text) - len(text.lstrip(" -"))
        said[owner] += len(text)
        if start < len(points[owner]):
            out[i] = points[owner][start]
    return out


@cache
def _text(token: int) -> str:
    """What one token says; half a letter counts as none."""
    return str(tok.core().decode([token], skip_special_tokens=False)).replace("�", "")


@cache
def _keys() -> frozenset[str]:
    return frozenset((*KEYS, tok.END))
