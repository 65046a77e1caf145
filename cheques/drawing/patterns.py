"""Paper patterns besides guilloches: screens, hatches, rosettes, waves, scales and lines of tiny print."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cheques.drawing.hands import font

Grid = NDArray[np.float32]
TALL, WIDE = 384, 1280  # pixels, more than any cheque has


def screen(x: Grid, y: Grid) -> Grid:
    return np.asarray(np.clip(1.2 - np.hypot((x + 3 * (y // 6 % 2)) % 6 - 3, y % 6 - 3) / 1.6, 0, 1), np.float32)


def hatch(x: Grid, y: Grid) -> Grid:
    return np.asarray(0.8 * np.maximum((x + y) % 7 < 1, (x - y) % 7 < 1), np.float32)


def waves(x: Grid, y: Grid) -> Grid:
    return np.asarray(np.clip(np.cos((y + 4 * np.sin(x / 23)) * (2 * np.pi / 5)) * 2 - 1, 0, 1), np.float32)


def stripes(x: Grid, y: Grid) -> Grid:
    return np.asarray(0.3 + 0.3 * np.sin((x + 0.6 * y) / 29) + 0.4 * ((x + 0.6 * y) % 5 < 1), np.float32)


def clouds(x: Grid, y: Grid) -> Grid:
    return np.asarray(
        0.5 + 0.25 * np.sin(x / 67 + 2 * np.sin(y / 41)) + 0.25 * np.sin(y / 37 + 2 * np.sin(x / 89)), np.float32
    )


def blank(x: Grid, y: Grid) -> Grid:
    return np.zeros_like(x)


def petals(number: int, size: int, spokes: int, pitch: float) -> Callable[[Grid, Grid], Grid]:
    """Rosettes on a grid: rings that swing in and out as one goes round."""

    def drawn(x: Grid, y: Grid) -> Grid:
        dx = (x + size / 2 * (y // size % 2)) % size - size / 2
        dy = y % size - size / 2
        far, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
        rings = np.cos((far + 3 * np.sin(spokes * angle + number)) * (2 * np.pi / pitch))
        return np.asarray(np.where(far < 0.48 * size, np.clip(rings * 2 - 1, 0, 1), 0), np.float32)

    return drawn


def scales(size: int) -> Callable[[Grid, Grid], Grid]:
    """Overlapping half rings, as on a fish."""

    def drawn(x: Grid, y: Grid) -> Grid:
        row = y // size
        far = np.hypot((x + size * (row % 2)) % (2 * size) - size, y % size)
        return np.asarray(np.clip(np.cos(far * (2 * np.pi / 5)) * 2 - 1, 0, 1), np.float32)

    return drawn


def tiny_print(x: Grid, y: Grid) -> Grid:
    mask = Image.new("L", (WIDE, TALL))
    draw = ImageDraw.Draw(mask)
    for line in range(TALL // 9 + 1):
        draw.text((-7 * line, 9 * line), "CHÈQUE BANQUE " * 40, font=font("inter", 6), fill=200)
    return np.asarray(mask, np.float32) / np.float32(255)


def trellis(x: Grid, y: Grid) -> Grid:
    along = np.minimum(np.abs((x + 2 * y) % 26 - 13), np.abs((x - 2 * y) % 26 - 13))
    return np.asarray(np.clip(1.4 - along, 0, 1), np.float32)


PATTERNS: dict[int, Callable[[Grid, Grid], Grid]] = {
    12: screen,
    13: hatch,
    14: waves,
    15: stripes,
    16: clouds,
    17: blank,
    18: tiny_print,
    19: petals(0, 150, 8, 6),
    # Layouts kept out of training have these to themselves, and the demo's the last two.
    20: petals(1, 60, 5, 5),
    21: petals(2, 300, 24, 4),
    22: trellis,
    23: scales(12),
    24: scales(26),
}
"""By number; the numbers below are guilloches (see cheques.drawing.paper)."""


@cache
def steps(number: int) -> NDArray[np.uint8]:
    """A pattern as steps from 0 (paper) to 255 (line), larger than any cheque."""
    y, x = np.mgrid[0:TALL, 0:WIDE].astype(np.float32)
    return (np.clip(PATTERNS[number](x, y), 0, 1) * 255).astype(np.uint8)
