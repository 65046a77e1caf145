"""Writing with a hand: letters on a wavering baseline, slanted, pressed and spaced as a person would."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cheques.drawing.hands import MASTERS, Glyph, Hand, glyph

Ink = NDArray[np.uint8]
"""How much ink lies on each pixel, 0 to 255, shape (height, width)."""

CELL = 64  # width in pixels of one piece of the warp: short enough for a wave, long enough to be quick
PAD = 3
SHOUTED = re.compile(r"[A-ZÀ-ÖØ-ÞŒ]{4,}")


@dataclass(frozen=True)
class Style:
    """How a person writes today. Lengths are in x-heights unless they say pixels."""

    xheight: float = 9.0
    """Pixels."""
    slant: float = 0.0
    """Horizontal shift for each pixel upwards."""
    tilt: float = 0.0
    """Rise of the baseline, pixels for each pixel to the right."""
    wave: float = 0.0
    bounce: float = 0.0
    spacing: float = 0.0
    spacing_jitter: float = 0.0
    stretch: float = 1.0
    weight: float = 1.0
    """Above 1 the pen is thick, below 1 it is thin."""
    pressure: float = 1.0
    """Darkness of the ink where the pen presses least."""
    bow: float = 0.0
    """How far the middle of a line rises above its ends."""
    breaks: float = 0.0
    """How many times in a hundred pixels the pen leaves next to no ink."""


PLAIN = Style()


def style(rng: random.Random, difficulty: float, xheight: float) -> Style:
    """A way of writing, between plain (difficulty 0) and as varied as people are (1)."""
    d = difficulty
    return Style(
        xheight=xheight * (1 + d * rng.uniform(-0.14, 0.18)),
        slant=d * rng.gauss(0.03, 0.13),
        tilt=d * rng.gauss(0, 0.006),
        wave=d * rng.uniform(0, 0.14),
        bounce=d * rng.uniform(0, 0.09),
        spacing=d * rng.uniform(-0.04, 0.16),
        spacing_jitter=d * rng.uniform(0, 0.09),
        stretch=1 + d * rng.uniform(-0.14, 0.12),
        weight=1 + d * rng.uniform(-0.2, 0.55),
        pressure=1 - d * rng.uniform(0, 0.38),
    )


def freer(rng: random.Random, how: Style) -> Style:
    """The same way of writing, further from plain: leaning, wide or narrow, up and down, with a pen that fails."""
    return replace(
        how,
        slant=how.slant + rng.gauss(0, 0.12),
        tilt=how.tilt + rng.gauss(0, 0.006),
        bow=rng.gauss(0, 0.25),
        wave=how.wave + rng.uniform(0, 0.08),
        bounce=how.bounce + rng.uniform(0, 0.06),
        spacing=how.spacing + rng.uniform(-0.06, 0.2),
        stretch=how.stretch * rng.uniform(0.88, 1.1),
        weight=how.weight + rng.uniform(-0.15, 0.35),
        pressure=how.pressure - rng.uniform(0, 0.18),
        breaks=rng.uniform(0.5, 3) if rng.random() < 0.3 else 0.0,
    )


def suited(text: str, hand: Hand) -> str:
    """The text as this hand writes it: some hands have capitals only, and joined hands do not join capitals."""
    if hand.capitals:
        return text.upper()
    if hand.joined:
        return SHOUTED.sub(lambda word: word[0].capitalize(), text)
    return text


@dataclass(frozen=True)
class Written:
    """Ink over the whole area asked for, and the box it fills (x0, y0, x1, y1)."""

    ink: Ink
    box: tuple[int, int, int, int]


def width(text: str, hand: Hand, how: Style) -> float:
    """About how many pixels wide the text comes out, without jitter."""
    master = master_size(how.xheight)
    advance = sum(glyph(hand, master, c).advance for c in text) + how.spacing * master * len(text)
    return advance * how.xheight / master * how.stretch * hand.width


def write(
    rng: random.Random, text: str, hand: Hand, how: Style, size: tuple[int, int], at: tuple[float, float]
) -> Written:
    """Writes one line in an area of `size` (width, height) from `at` on the baseline; smaller if it must be."""
    columns, rows = size
    master = master_size(how.xheight)
    # Letters are put together once at a master size, then bent and scaled in one step, which keeps strokes smooth.
    canvas, baseline, length = letters(rng, text, hand, how, master)
    # Never higher or wider than the area, and never much higher than wide.
    y_scale = min(how.xheight / master, (rows - 2) / max(1, canvas.shape[0] - 2 * PAD))
    x_scale = min(y_scale * how.stretch * hand.width, (columns - at[0] - 3) / max(1.0, length))
    y_scale = min(y_scale, 1.6 * x_scale)
    y = min(max(at[1], (baseline - PAD) * y_scale + 1), rows - (canvas.shape[0] - baseline - PAD) * y_scale - 1)
    reach = canvas.shape[1] * x_scale + abs(how.slant) * rows
    ends = np.linspace(max(0.0, at[0] - 8), min(columns, at[0] + reach + 4), max(2, int(reach / CELL) + 2))
    xs = np.unique(np.round(ends).astype(int))
    amplitude = how.wave * how.xheight
    heights = [y - how.tilt * (x - at[0]) + amplitude * rng.uniform(-1, 1) for x in xs]
    if how.bow:
        half = max(1.0, length * x_scale / 2)
        heights = [
            height - how.bow * how.xheight * max(0.0, 1 - ((x - at[0]) / half - 1) ** 2)
            for x, height in zip(xs, heights, strict=True)
        ]

    def source(x: float, row: float, height: float) -> tuple[float, float]:
        lean = how.slant * (height - row)
        return (x - at[0] - lean) / x_scale + PAD, baseline + (row - height) / y_scale

    mesh = []
    for x0, x1, h0, h1 in zip(xs, xs[1:], heights, heights[1:], strict=False):
        corners = source(x0, 0, h0) + source(x0, rows, h0) + source(x1, rows, h1) + source(x1, 0, h1)
        mesh.append(((int(x0), 0, int(x1), rows), corners))
    flat = Image.fromarray(canvas)
    ink = np.asarray(flat.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR))
    top = y - (baseline - PAD) * y_scale
    bottom = y + (canvas.shape[0] - baseline - PAD) * y_scale
    box = (int(at[0]), max(0, int(top)), min(columns, int(at[0] + length * x_scale + 1)), min(rows, int(bottom + 1)))
    return Written(pressed(rng, ink, how, master * x_scale), box)


def master_size(xheight: float) -> int:
    """The size of glyphs to scale down from."""
    return next((m for m in MASTERS if m >= 1.6 * xheight), MASTERS[-1])


def letters(rng: random.Random, text: str, hand: Hand, how: Style, master: int) -> tuple[Ink, int, float]:
    """All glyphs side by side at master size: canvas, row of the baseline, length up to the last pen position."""
    # Joined letters bear little change of place before the joins break.
    spacing = how.spacing * master * (0.3 if hand.joined else 1)
    jitter = how.spacing_jitter * master * (0.25 if hand.joined else 1)
    bounce = how.bounce * master * (0.6 if hand.joined else 1)
    placed: list[tuple[Glyph, int, int]] = []
    x = 0.0
    for character in text:
        shape = glyph(hand, master, character)
        if shape.ink.size:
            placed.append((shape, round(x) + shape.left, shape.top + round(rng.uniform(-bounce, bounce))))
        elif character == " ":
            x += jitter * rng.uniform(0, 4) + max(0.0, 0.55 * master - shape.advance)
        x += shape.advance + spacing + rng.uniform(-jitter, jitter)
    left = min((at for _, at, _ in placed), default=0)
    right = max((at + shape.ink.shape[1] for shape, at, _ in placed), default=1)
    top = min((row for _, _, row in placed), default=-1)
    bottom = max((row + shape.ink.shape[0] for shape, _, row in placed), default=1)
    canvas = np.zeros((bottom - top + 2 * PAD, right - left + 2 * PAD), np.uint8)
    for shape, at, row in placed:
        height, across = shape.ink.shape
        area = canvas[row - top + PAD : row - top + PAD + height, at - left + PAD : at - left + PAD + across]
        np.maximum(area, shape.ink, out=area)
    if how.weight > 1.25:
        canvas[:, 1:] = np.maximum(canvas[:, 1:], canvas[:, :-1])
    return canvas, PAD - top, float(right - left)


def pressed(rng: random.Random, ink: Ink, how: Style, unit: float) -> Ink:
    """The ink with the pen's weight as a gamma and its pressure as a slow wave along the line."""
    # Above 12 pixels strokes are thick enough as they are.
    thickness = max(0.45, 1.25 - 0.6 * (how.weight - 1)) if unit < 12 else 1.0
    inked = gamma(round(thickness * 20))[ink]
    rows, columns = ink.shape
    if how.pressure < 0.995:
        knots = [rng.uniform(how.pressure, 1) for _ in range(7)]
        along = np.interp(np.arange(columns), np.linspace(0, columns, 7), knots)
        inked = (inked * along.astype(np.float32)).astype(np.uint8)
    # Short gaps where the pen slid: never wide or high enough to take a letter away.
    for _ in range(round(how.breaks * columns / 100)):
        x, y = int(rng.random() * columns), int(rng.random() * rows)
        wide = max(1, round(how.xheight * rng.uniform(0.1, 0.3)))
        high = max(1, round(how.xheight * rng.uniform(0.3, 0.9)))
        inked[y : y + high, x : x + wide] //= rng.choice((2, 3, 6))
    return inked


@cache
def gamma(twentieths: int) -> Ink:
    """A table from ink to ink: the grey edges of strokes darker (below 20) or lighter (above)."""
    level = np.arange(256) / 255
    return np.round(255 * level ** (twentieths / 20 * 0.75)).astype(np.uint8)
