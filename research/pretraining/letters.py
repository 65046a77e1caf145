"""The alphabet in which the throw-away head spells, as numbers; 0 is the blank."""

from __future__ import annotations

from collections.abc import Sequence

from cheques.drawing.lines import ALPHABET

BLANK = 0
FRAMES = 4  # for each patch column: one frame is four pixels wide
NUMBER = {character: number for number, character in enumerate(ALPHABET, 1)}


def encode(texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Texts as numbers, end to end, and the length of each. What is not in the alphabet is left out."""
    numbers = [[NUMBER[c] for c in text if c in NUMBER] for text in texts]
    return [n for text in numbers for n in text], [len(text) for text in numbers]
