"""An image as a Qwen-VL can take it: RGB, neither a speck nor a ribbon."""

from __future__ import annotations

from PIL import Image as Images
from PIL.Image import Image

SLIMMEST = 8  # sides at most 8:1; what is slimmer is put on white, so that scaling leaves some pixels of height
SMALLEST = 32  # pixels a side


def readable(image: Image) -> Image:
    """RGB; a speck, or what is slimmer than SLIMMEST:1, in the middle of white paper."""
    image = image.convert("RGB")
    width, height = image.size
    paper = (max(width, -(-height // SLIMMEST), SMALLEST), max(height, -(-width // SLIMMEST), SMALLEST))
    if paper == image.size:
        return image
    page = Images.new("RGB", paper, "white")
    page.paste(image, ((paper[0] - width) // 2, (paper[1] - height) // 2))
    return page
