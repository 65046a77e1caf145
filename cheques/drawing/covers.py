"""What hides writing for good: ink, correction tape, labels, scratches. Nobody can read what lies below."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFilter

Box = tuple[int, int, int, int]
LEAST = 0.5
"""Share of a line that is hidden at least: what is left cannot be completed by guessing."""


def hide(
    rng: random.Random,
    image: Image.Image,
    lines: Sequence[Box],
    ink: tuple[int, int, int],
    scale: float,
    dark: bool = False,
) -> None:
    """Hides each of these written lines, wholly or for the most part, all in the same way.

    `dark` covers only: in black and white a light one would look as if nothing were written.
    """
    kind = rng.choice((scribble, scribble, blot) if dark else (scribble, scribble, blot, tape, tape, scratch))
    for x0, y0, x1, y1 in lines:
        share = rng.choice((1.0, rng.uniform(LEAST, 1)))
        start = x0 + (x1 - x0) * (1 - share) * rng.choice((0.0, 1.0, rng.random()))
        box = start - 3 * scale, y0 - scale, start + (x1 - x0) * share + 3 * scale, y1 + scale
        kind(rng, image, box, ink, scale)


def scribble(
    rng: random.Random, image: Image.Image, box: tuple[float, ...], ink: tuple[int, int, int], scale: float
) -> None:
    """A pen that went to and fro until nothing was left to be read."""
    x0, y0, x1, y1 = box
    draw = ImageDraw.Draw(image)
    points: list[tuple[float, float]] = []
    x = x0
    while x < x1:
        y = rng.uniform(y0, y0 + 0.2 * (y1 - y0)) if len(points) % 2 else rng.uniform(y1 - 4 * scale, y1)
        points.append((x, y))
        x += rng.uniform(-0.5, 2.6) * scale
    draw.line(points, fill=ink, width=max(2, round(2.2 * scale)), joint="curve")
    for share in (0.3, 0.5, 0.7):
        across = [(x0, y0 + share * (y1 - y0)), (x1, y0 + (share + rng.uniform(-0.1, 0.1)) * (y1 - y0))]
        draw.line(across, fill=ink, width=max(2, round(2.4 * scale)))


def blot(
    rng: random.Random, image: Image.Image, box: tuple[float, ...], ink: tuple[int, int, int], scale: float
) -> None:
    """Spilt ink."""
    x0, y0, x1, y1 = box
    draw = ImageDraw.Draw(image)
    x = x0
    while x < x1:
        far = (y1 - y0) * rng.uniform(0.5, 0.62)
        middle = (y0 + y1) / 2 + rng.uniform(-1, 1) * scale
        round_it = []
        for k in range(14):
            angle = k * math.pi / 7
            reach = far * rng.uniform(0.88, 1.12)
            round_it.append((x + far / 2 + reach * math.cos(angle), middle + reach * math.sin(angle)))
        draw.polygon(round_it, fill=ink)
        x += far * rng.uniform(0.5, 0.8)


def tape(
    rng: random.Random, image: Image.Image, box: tuple[float, ...], ink: tuple[int, int, int], scale: float
) -> None:
    """Correction tape, a label or a strip of paper, with an edge that throws a little shadow."""
    x0, y0, x1, y1 = box
    draw = ImageDraw.Draw(image)
    lean = rng.uniform(-1.5, 1.5) * scale
    corners = [(x0, y0 + lean), (x1, y0 - lean), (x1 + lean, y1 - lean), (x0 + lean, y1 + lean)]
    draw.polygon([(x + scale, y + scale) for x, y in corners], fill=(120, 118, 112))
    draw.polygon(corners, fill=rng.choice(((250, 250, 248), (244, 238, 214), (250, 240, 120), (205, 205, 200))))


def scratch(
    rng: random.Random, image: Image.Image, box: tuple[float, ...], ink: tuple[int, int, int], scale: float
) -> None:
    """Rubbed or washed until a pale smear is left."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    part = image.crop((x0, y0, x1, y1))
    smeared = part.filter(ImageFilter.GaussianBlur(9 * scale))
    image.paste(Image.blend(smeared, Image.new("RGB", part.size, (236, 232, 224)), rng.uniform(0.3, 0.6)), (x0, y0))
