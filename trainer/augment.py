"""Another look at the same cheque: slightly turned, moved, lit and blurred, and as legible as before."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageEnhance, ImageFilter

TURN = 1.2  # degrees
MOVE = 0.012  # of the width and height
SCALE = 0.03
LIGHT = 0.2
BLUR = 0.6  # pixels at 640 wide


def augmented(image: Image.Image, seed: str, strength: float = 1.0) -> Image.Image:
    """The image as another scan might show it; the same for the same seed. `strength` 0 leaves it as it is."""
    if strength <= 0:
        return image
    dice = random.Random(seed)

    def up_to(limit: float) -> float:
        return dice.uniform(-limit, limit) * strength

    # Turned and scaled about the centre, then moved; what comes in from outside has the colour of the upper edge.
    angle, scale = math.radians(up_to(TURN)), 1 + up_to(SCALE)
    right, down = up_to(MOVE) * image.width, up_to(MOVE) * image.height
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    x, y = image.width / 2, image.height / 2
    matrix = (cos, sin, x - cos * (x + right) - sin * (y + down), -sin, cos, y + sin * (x + right) - cos * (y + down))
    edge = image.resize((1, 1), Image.Resampling.BOX, box=(0, 0, image.width, max(1, image.height // 50)))
    turned = image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=edge.getpixel((0, 0))
    )

    lit = ImageEnhance.Brightness(turned).enhance(1 + up_to(LIGHT) / 2)
    lit = ImageEnhance.Contrast(lit).enhance(1 + up_to(LIGHT))
    if dice.random() < 0.3:
        lit = lit.filter(ImageFilter.GaussianBlur(dice.uniform(0, BLUR) * strength * image.width / 640))
    return lit
