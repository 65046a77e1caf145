"""How the picture of a cheque was taken, by name: photographed, in black and white, as a small JPEG, turned.

Each kind says where a point of the drawing lies in its picture, so that boxes move along.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Matrix = NDArray[np.float64]
"""3 x 3, from (x, y, 1) before to (x, y, 1) times anything after."""
Box = tuple[int, int, int, int]

KINDS = ("photographed", "upside-down", "sideways", "bilevel", "jpeg")
"""In the order in which they happen."""


@dataclass(frozen=True)
class Captured:
    """A picture, where the points of the drawing went, and by how many degrees it is turned clockwise."""

    image: Image.Image
    matrix: Matrix
    turned: int = 0

    def moved(self, box: tuple[float, float, float, float]) -> Box:
        """Where a box of the drawing lies in the picture: the box around its moved corners, inside the picture."""
        x0, y0, x1, y1 = box
        corners = self.matrix @ np.array([(x0, y0, 1), (x1, y0, 1), (x1, y1, 1), (x0, y1, 1)], np.float64).T
        xs, ys = corners[0] / corners[2], corners[1] / corners[2]
        columns, rows = self.image.size
        # Rounded first: a turn by a right angle must not grow the box by the last digit of a float.
        left, top, right, bottom = (round(float(edge), 6) for edge in (xs.min(), ys.min(), xs.max(), ys.max()))
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(columns, math.ceil(right)),
            min(rows, math.ceil(bottom)),
        )


def check(kinds: Sequence[str]) -> None:
    """Raises ValueError for a kind that does not exist."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no damage called {unknown[0]!r}: give some of {', '.join(KINDS)}")


def capture(rng: random.Random, image: Image.Image, kinds: Sequence[str]) -> Captured:
    """The picture (RGB) after these kinds, whatever the order in which they are named. ValueError for unknown ones."""
    check(kinds)
    matrix, turned = np.eye(3), 0
    if "photographed" in kinds:
        image, matrix = photographed(rng, image)
    if "upside-down" in kinds:
        matrix = turn(image.size, 180) @ matrix
        image, turned = image.transpose(Image.Transpose.ROTATE_180), 180
    if "sideways" in kinds:
        clockwise = rng.random() < 0.5
        matrix = turn(image.size, 90 if clockwise else 270) @ matrix
        # PIL turns to the left.
        image = image.transpose(Image.Transpose.ROTATE_270 if clockwise else Image.Transpose.ROTATE_90)
        turned = (turned + (90 if clockwise else 270)) % 360
    if "bilevel" in kinds:
        image = bilevel(rng, image)
    if "jpeg" in kinds:
        image = squeezed(rng, image)
    return Captured(image, matrix, turned)


def turn(size: tuple[int, int], degrees: int) -> Matrix:
    """A turn clockwise of a picture of `size` (width, height)."""
    width, height = size
    rows = {
        90: ((0, -1, height), (1, 0, 0)),
        180: ((-1, 0, width), (0, -1, height)),
        270: ((0, 1, 0), (-1, 0, width)),
    }[degrees]
    return np.array([*rows, (0, 0, 1)], np.float64)


def photographed(rng: random.Random, image: Image.Image) -> tuple[Image.Image, Matrix]:
    """A phone's picture: the cheque lies askew on a table, seen from a side, in the light of a room."""
    columns, rows = size = image.size
    scale = columns / 640
    angle = math.radians(rng.gauss(0, 1.5))
    zoom = rng.uniform(0.86, 0.95)
    corners = []  # of the cheque in the picture, clockwise from the top left; all inside
    for x, y in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        along, down = x * zoom * columns, y * zoom * rows
        across = columns / 2 + along * math.cos(angle) - down * math.sin(angle) + rng.uniform(-0.022, 0.022) * columns
        below = rows / 2 + along * math.sin(angle) + down * math.cos(angle) + rng.uniform(-0.04, 0.04) * rows
        corners.append((min(max(across, 1.0), columns - 1.0), min(max(below, 1.0), rows - 1.0)))
    matrix = homography([(0, 0), (columns, 0), (columns, rows), (0, rows)], corners)
    back = np.linalg.inv(matrix)
    coefficients = (back / back[2, 2]).ravel()[:8].tolist()
    seen = image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)

    picture = table(rng, size)
    paper = Image.new("L", size)
    ImageDraw.Draw(paper).polygon(corners, fill=255)
    # A quarter of the size is enough for what is blurred anyway.
    small = (max(1, columns // 4), max(1, rows // 4))
    offset = round(rng.uniform(-3, 3) * scale), round(rng.uniform(1, 4) * scale)
    shadow = ImageChops.offset(paper, *offset).resize(small).filter(ImageFilter.BoxBlur(rng.uniform(0.5, 2) * scale))
    picture.paste((8, 8, 10), mask=shadow.resize(size).point([round(level * 0.55) for level in range(256)]))
    picture.paste(seen, mask=paper)

    light = room_light(rng, small).resize(size, Image.Resampling.BILINEAR)
    warmth = rng.gauss(0, 0.06)
    cast = (1 + warmth, 1.0, 1 - warmth)
    bands = [light.point([min(255, round(level * factor)) for level in range(256)]) for factor in cast]
    picture = ImageChops.multiply(picture, Image.merge("RGB", bands))
    if rng.random() < 0.6:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.1, 0.6) * scale))
    return picture, matrix


def homography(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> Matrix:
    """The perspective that takes four points to four others (the eight linear equations in its eight coefficients)."""
    equations, values = [], []
    for (x, y), (u, v) in zip(before, after, strict=True):
        equations += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(equations, np.float64), np.array(values, np.float64)), 1).reshape(3, 3)


def table(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """What lies below: wood, cloth, stone, or a plain table."""
    columns, rows = size
    colour = rng.choice(
        (
            *((120, 84, 52), (164, 126, 84), (70, 48, 34), (205, 180, 140), (36, 36, 40), (90, 92, 96)),
            *((230, 228, 224), (60, 80, 110), (110, 40, 40), (70, 100, 80), (180, 180, 176)),
        )
    )
    # Whole arrays of dice: one call of `random` for each pixel would take seconds.
    dice = np.random.default_rng(rng.randrange(2**32))
    grain = {"wood": (3, max(2, rows // 3)), "cloth": (max(2, columns // 3), max(2, rows // 3)), "stone": (24, 12)}
    kind = rng.choice(("wood", "cloth", "stone", "plain"))
    if kind == "plain":
        return Image.new("RGB", size, colour)
    wide, tall = grain[kind]
    marks = Image.fromarray((128 + 30 * dice.standard_normal((tall, wide))).clip(0, 255).astype(np.uint8))
    marks = marks.resize(size, Image.Resampling.BILINEAR)
    strength = rng.uniform(0.3, 0.8)
    return Image.merge(
        "RGB", [marks.point([max(0, min(255, round(c + strength * (k - 128)))) for k in range(256)]) for c in colour]
    )


def room_light(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """Light as grey values (255 is full): from one side, and often with the shadow of a hand, an arm or a phone."""
    columns, rows = size
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    angle, fall = rng.uniform(0, 2 * math.pi), rng.uniform(0.05, 0.4)
    along = (math.cos(angle) * x / columns + math.sin(angle) * y / rows) / 1.42
    light = Image.fromarray((255 * np.clip(1 - fall * (along - along.min()), 0, 1)).astype(np.uint8))
    if rng.random() < 0.6:
        shadow = Image.new("L", size, 255)
        left, wide, lean = rng.uniform(-0.2, 0.9) * columns, rng.uniform(0.2, 0.6) * columns, rng.uniform(-60, 60)
        dark = round(255 * rng.uniform(0.5, 0.85))
        ends = [(left, 0), (left + wide, 0), (left + wide + lean, rows), (left + lean, rows)]
        ImageDraw.Draw(shadow).polygon(ends, fill=dark)
        light = ImageChops.multiply(light, shadow.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 7))))
    return light


def bilevel(rng: random.Random, image: Image.Image) -> Image.Image:
    """Black and white, as a fax or an archive keeps it: against the light around each point or against one value."""
    grey = image.convert("L")
    scale = max(image.size) / 640
    values = np.asarray(grey, np.int16)
    around = np.asarray(grey.filter(ImageFilter.BoxBlur(10 * scale)), np.int16)
    if rng.random() < 0.7:
        black = values < around - rng.randint(18, 34)
    else:
        # Between ink and paper: where the paper's own pattern would turn black, nothing could be read.
        paper, ink = np.percentile(values, (60, 1))
        black = values < ink + (paper - ink) * rng.uniform(0.5, 0.68)
    specks = rng.choice((0.0, 0.0, 0.0005, 0.002))
    if specks:
        black ^= np.random.default_rng(rng.randrange(2**32)).random(black.shape) < specks
    return Image.fromarray(np.where(black, 0, 255).astype(np.uint8)).convert("RGB")


def squeezed(rng: random.Random, image: Image.Image) -> Image.Image:
    """A JPEG of few bytes, sometimes of a smaller picture, and sometimes saved more than once."""
    width, height = image.size
    if rng.random() < 0.3:
        share = rng.uniform(0.7, 0.9)
        image = image.resize((round(width * share), round(height * share)), Image.Resampling.BILINEAR)
    for _ in range(rng.choice((1, 1, 2))):
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=rng.randint(14, 40))
        image = Image.open(packed).convert("RGB")
    return image.resize((width, height), Image.Resampling.BILINEAR) if image.size != (width, height) else image
