"""An image as a Qwen-VL can take it, to be read or learned from: RGB, neither a speck nor a ribbon, nor too large."""

from __future__ import annotations

from PIL import Image as Images
from PIL.Image import Image

SLIMMEST = 8  # sides at most 8:1; what is slimmer is put on white, so that scaling leaves some pixels of height
SMALLEST = 32  # pixels a side
LARGEST = 1_000_000  # pixels: a cheque at 215 dpi. Qwen's processors take a page at 300 dpi for 11,000 tokens of image


def readable(image: Image) -> Image:
    """RGB of at most LARGEST pixels; a speck, or what is slimmer than SLIMMEST:1, in the middle of white paper."""
    return _no_larger(_on_paper(image.convert("RGB")))


def _on_paper(image: Image) -> Image:
    width, height = image.size
    paper = (max(width, -(-height // SLIMMEST), SMALLEST), max(height, -(-width // SLIMMEST), SMALLEST))
    if paper == image.size:
        return image
    page = Images.new("RGB", paper, "white")
    page.paste(image, ((paper[0] - width) // 2, (paper[1] - height) // 2))
    return page


def _no_larger(image: Image) -> Image:
    width, height = image.size
    scale = (LARGEST / (width * height)) ** 0.5
    if scale >= 1:
        return image
    return image.resize((int(width * scale), int(height * scale)), Images.Resampling.LANCZOS, reducing_gap=3.0)
