"""What pen, stamp and printer leave besides writing: signatures, strikes, filling lines, stamps, the CMC-7 line."""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cheques.drawing.hands import Hand, font
from cheques.drawing.handwriting import style, write

Ink = NDArray[np.uint8]
Point = tuple[float, float]


def signature(rng: random.Random, hand: Hand, name: str, size: tuple[int, int]) -> Ink:
    """A signature filling most of an area of `size` (width, height): loops, or a name, and often a flourish."""
    columns, rows = size
    # At twice the size, since Pillow's lines have hard edges.
    mask = Image.new("L", (columns * 2, rows * 2))
    draw = ImageDraw.Draw(mask)
    thick = rng.choice((2, 3, 3, 4))
    span = columns * 2 * rng.uniform(0.35, 0.8)
    left = rng.uniform(6, columns * 2 - span - 6)
    middle = rows * rng.uniform(0.85, 1.15)
    named = rng.random() < 0.35
    if not named:
        draw.line(loops(rng, left, middle, span, rows * rng.uniform(0.35, 0.75)), fill=255, width=thick, joint="curve")
    for _ in range(rng.choice((0, 1, 1, 2))):
        y = middle + rows * rng.uniform(0.1, 0.5)
        bend, rise = rng.uniform(-14, 14), rng.uniform(-16, 8)
        start, reach = left - rng.uniform(0, 20), span * rng.uniform(0.6, 1.15)
        flourish = [(start + reach * t / 20, y + rise * t / 20 + bend * math.sin(math.pi * t / 20)) for t in range(21)]
        draw.line(flourish, fill=255, width=thick)
    if rng.random() < 0.2:
        x, y = left + span * rng.random(), middle + rows * 0.3
        draw.ellipse((x, y, x + 5, y + 5), fill=255)
    ink = np.asarray(mask.resize(size, Image.Resampling.BILINEAR))
    if named:
        how = style(rng, 1.0, xheight=rows * rng.uniform(0.14, 0.22))
        ink = np.maximum(ink, write(rng, name, hand, how, size, (left / 2, middle / 2 + rows * 0.1)).ink)
    return ink


def loops(rng: random.Random, left: float, middle: float, span: float, tall: float) -> list[Point]:
    """A pen that runs to the right while it turns: fewer and lower turns towards the end."""
    turns = rng.uniform(3, 9)
    loop, fade, phase = rng.uniform(6, 26), rng.uniform(0.4, 1.0), rng.uniform(0, 6)
    second, ratio = rng.uniform(0.1, 0.5), rng.uniform(1.6, 2.9)
    points = []
    for step in range(110):
        t = step / 109
        angle = phase + turns * 2 * math.pi * t
        height = tall * (1 - fade * t) * (math.sin(angle) + second * math.sin(ratio * angle))
        points.append((left + span * t + loop * math.cos(angle * 1.02), middle - 0.6 * height))
    return points


def strike(rng: random.Random, draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], thick: int) -> None:
    """Strikes out what was written in a box, once or twice."""
    x0, y0, x1, y1 = box
    for _ in range(rng.choice((1, 1, 2))):
        start, end = y0 + (y1 - y0) * rng.uniform(0.4, 0.65), y0 + (y1 - y0) * rng.uniform(0.4, 0.65)
        draw.line([(x0 - 2, start), ((x0 + x1) / 2, (start + end) / 2 + rng.uniform(-2, 2)), (x1 + 2, end)], 235, thick)


def filling_line(rng: random.Random, draw: ImageDraw.ImageDraw, x0: float, x1: float, y: float) -> None:
    """The line drawn behind an amount so that nothing can be added."""
    steps = max(2, int((x1 - x0) / 30))
    draw.line([(x0 + (x1 - x0) * k / steps, y + rng.uniform(-1.2, 1.2)) for k in range(steps + 1)], 220, 1)


STAMPS = ("ENCAISSÉ", "REMIS À L'ENCAISSEMENT", "COPIE", "REÇU", "COMPTABILITÉ", "ENREGISTRÉ", "PAYÉ")


@lru_cache(maxsize=32)
def stamp_mask(text: str, round_one: bool, scale: float) -> Image.Image:
    """A stamp, upright and evenly inked."""
    letters = font("roboto-condensed", max(7, round(14 * scale)))
    across = round(letters.getlength(text)) + 18
    tall = across if round_one else round(26 * scale)
    mask = Image.new("L", (across, tall))
    draw = ImageDraw.Draw(mask)
    if round_one:
        draw.ellipse((1, 1, across - 2, tall - 2), outline=230, width=2)
        draw.ellipse((6, 6, across - 7, tall - 7), outline=180, width=1)
    else:
        draw.rectangle((1, 1, across - 2, tall - 2), outline=230, width=2)
    draw.text((across / 2, tall / 2), text, font=letters, fill=230, anchor="mm")
    return mask


def stamp(rng: random.Random, scale: float) -> Image.Image:
    """A stamp as a mask, turned a little and unevenly inked."""
    text = rng.choice(STAMPS)
    turned = stamp_mask(text, len(text) < 7 and rng.random() < 0.6, scale).rotate(
        rng.uniform(-24, 24), Image.Resampling.BILINEAR, expand=True
    )
    strength = rng.uniform(0.3, 0.75)
    return turned.point([round(level * strength) for level in range(256)])


def cmc7(text: str, scale: float) -> Image.Image:
    """A line in the manner of CMC-7 as a mask: characters of upright bars with wide and narrow gaps."""
    step, tall = 11.0 * scale, math.ceil(17 * scale)
    line = Image.new("L", (math.ceil(step * len(text)) + 2, tall))
    for place, character in enumerate(text):
        if character != " ":
            line.paste(cmc7_character(character, scale), (round(place * step), 0))
    return line


# Which two of the six gaps between a digit's bars are wide.
GAPS = ("001100", "010100", "011000", "100010", "000110", "100100", "000011", "110000", "101000", "010010")


@lru_cache(maxsize=64)
def cmc7_character(character: str, scale: float) -> Image.Image:
    """One character: the shape of a digit behind its bars."""
    tall = math.ceil(17 * scale)
    mask = Image.new("L", (math.ceil(10 * scale), tall))
    draw = ImageDraw.Draw(mask)
    shape = font("share-tech-mono", max(9, round(17 * scale)))
    draw.text((0, 14 * scale), character if character.isdigit() else "=", font=shape, fill=255, anchor="ls")
    left = 0.0
    for gap in GAPS[int(character)] if character.isdigit() else "101010":
        left += (1.9 if gap == "1" else 1.2) * scale
        draw.line([(round(left), 0), (round(left), tall)], fill=40)
    return mask
