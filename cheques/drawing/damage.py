"""What happens to a cheque between the pen and the reader: folds, light, skew, blur, noise, compression."""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from cheques.drawing import paper

Matrix = tuple[float, float, float, float, float, float]
STRAIGHT: Matrix = (1, 0, 0, 0, 1, 0)


@dataclass(frozen=True)
class Damage:
    """One history of a cheque, chosen before it is applied so that boxes can follow the skew."""

    level: float
    skew: Matrix = STRAIGHT
    """From a point of the result to a point of the drawing (PIL's affine coefficients)."""
    blur: float = 0.0
    noise: float = 0.0
    quality: int | None = None
    grey: bool = False
    folds: int = 0
    light: float = 0.0

    def moved(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Where a box of the drawing lies in the result."""
        a, b, c, d, e, f = self.skew
        determinant = a * e - b * d
        corners = []
        for x, y in ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3])):
            dx, dy = x - c, y - f
            corners.append(((e * dx - b * dy) / determinant, (a * dy - d * dx) / determinant))
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        columns, rows = size
        return (
            max(0, math.floor(min(xs))),
            max(0, math.floor(min(ys))),
            min(columns, math.ceil(max(xs))),
            min(rows, math.ceil(max(ys))),
        )


def choose(rng: random.Random, level: float, size: tuple[int, int]) -> Damage:
    """A history of damage; level 0 leaves a cheque as drawn, 1 is what a careless scan does."""
    if level <= 0:
        return Damage(0.0)
    columns, rows = size
    skew = STRAIGHT
    if rng.random() < 0.25 + 0.6 * level:
        angle = math.radians(rng.gauss(0, 0.9 * level))
        zoom, shear = 1 / rng.uniform(1 - 0.045 * level, 1 + 0.01 * level), rng.gauss(0, 0.006 * level)
        cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
        x = columns / 2 + rng.uniform(-4, 4) * level * columns / 640
        y = rows / 2 + rng.uniform(-3, 3) * level * columns / 640
        skew = (cos, sin + shear, columns / 2 - cos * x - (sin + shear) * y, -sin, cos, rows / 2 + sin * x - cos * y)
    return Damage(
        level,
        skew=skew,
        blur=rng.uniform(0.2, 0.75) * level * columns / 640 if rng.random() < 0.45 * level else 0.0,
        noise=rng.uniform(0, 9) * level,
        quality=round(94 - rng.uniform(0, 52) * level) if rng.random() < 0.3 + 0.6 * level else None,
        grey=rng.random() < 0.14,
        folds=int(rng.random() < 0.22 * level) + int(rng.random() < 0.08 * level),
        light=rng.uniform(0, 0.16) * level,
    )


def apply(rng: random.Random, image: Image.Image, damage: Damage) -> Image.Image:
    """The cheque after its history; same size, mode RGB."""
    if damage.skew != STRAIGHT:
        desk = rng.choice(((250, 250, 250), (225, 225, 222), (60, 58, 56), (150, 120, 90), (205, 210, 215)))
        image = image.transform(
            image.size, Image.Transform.AFFINE, damage.skew, Image.Resampling.BILINEAR, fillcolor=desk
        )
    if damage.grey:
        image = image.convert("L")
    if damage.blur:
        image = image.filter(ImageFilter.BoxBlur(damage.blur))
    if damage.level > 0:
        image = lit(rng, image, damage)
    if damage.quality is not None:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=damage.quality)
        image = Image.open(packed)
    return image.convert("RGB")


def lit(rng: random.Random, image: Image.Image, damage: Damage) -> Image.Image:
    """Uneven light and folds as factors, noise as a sum; on whole images, as arrays of floats are slow."""
    columns, rows = image.size
    dim = 1 - damage.light * rng.random()
    across = np.linspace(dim, dim * (1 - damage.light), columns, dtype=np.float32)[:: rng.choice((1, -1))]
    down = np.ones(rows, np.float32)
    for _ in range(damage.folds):
        light = across if rng.random() < 0.7 else down
        at, depth = int(len(light) * rng.uniform(0.2, 0.8)), rng.uniform(0.08, 0.3)
        # A crease is a dark line with a lighter edge.
        light[at - 2 : at + 3] *= np.array([1 - depth / 3, 1 - depth, 1 + depth / 3, 1 + depth / 2, 1], np.float32)

    def like_image(values: NDArray[np.uint8]) -> Image.Image:
        grey = Image.fromarray(values)
        return grey if image.mode == "L" else Image.merge("RGB", (grey, grey, grey))

    gain = np.outer(down, across) if damage.folds else np.broadcast_to(across, (rows, columns))
    dimmed = ImageChops.multiply(image, like_image(np.minimum(gain * 255, 255).astype(np.uint8)))
    grain = paper.grain(rng, round(damage.noise), columns, rows)
    return ImageChops.add(dimmed, like_image(grain), 1, -128)
