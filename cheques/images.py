"""Bytes of a scan -> an upright RGB image, and a fingerprint by which near-duplicates know each other."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cheques import pdf

MEGAPIXELS = 40
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
PDF_DPI = 200
PDF_SECONDS = 30.0

# Pillow warns from 89 megapixels on, whatever is done with the image; `_check_size` refuses it anyway.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class BadImage(ValueError):
    """An image that cannot be used; the message says in one line why and what to do."""


def open_image(source: bytes | Path) -> Image.Image:
    """An upright RGB image from PNG, JPEG, TIFF, WebP or the first page of a PDF, of at most 40 megapixels.

    Raises BadImage.
    """
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise BadImage(f"{source!s}: {error.strerror or error}") from None
    if content[:1024].lstrip().startswith(b"%PDF"):
        return _first_page(content)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            _check_size(*opened.size)
            return _rgb(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise BadImage("not a PNG, JPEG, TIFF, WebP or PDF: save the scan in one of these formats") from None
    except Image.DecompressionBombError:
        raise BadImage(f"more than {MEGAPIXELS} megapixels: scan at 300 dpi or less") from None
    except BadImage:
        raise
    except Exception as error:  # a damaged file raises whatever its codec likes (OSError, SyntaxError, struct.error, …)
        raise BadImage(f"damaged image ({type(error).__name__}): scan it again") from None


def _check_size(width: int, height: int) -> None:
    if width * height > MEGAPIXELS * 1_000_000:
        raise BadImage(f"{width} x {height} pixels is more than {MEGAPIXELS} megapixels: scan at 300 dpi or less")


def _rgb(image: Image.Image) -> Image.Image:
    """On white where it is transparent, in 8 bits where it is grey in 16."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise BadImage("32 bits a colour: save the scan with 8 bits a colour")
    if image.has_transparency_data:
        paper = Image.new("RGB", image.size, "white")
        image = image.convert("RGBA")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    return image.convert("RGB")


def _first_page(content: bytes) -> Image.Image:
    draw = [sys.executable, "-I", pdf.__file__, str(PDF_DPI), str(MEGAPIXELS * 1_000_000)]
    try:
        done = subprocess.run(draw, input=content, capture_output=True, timeout=PDF_SECONDS)
    except subprocess.TimeoutExpired:
        raise BadImage("a PDF that takes too long to draw: save its first page as an image") from None
    if done.returncode == pdf.TOO_LARGE:
        raise BadImage(f"the page is more than {MEGAPIXELS} megapixels at {PDF_DPI} dpi: save it as a smaller image")
    if done.returncode:
        raise BadImage("damaged or protected PDF: save its first page as an image")
    with Image.open(io.BytesIO(done.stdout), formats=("PPM",)) as page:
        return page.convert("RGB")


def fingerprint(image: Image.Image) -> str:
    """A perceptual hash of 1024 bits (hex): near-duplicates differ in few of them, see `distance`.

    So many, because cheques of one bank share their print: with 64 bits some are as near as one scan saved twice.
    """
    import imagehash

    return str(imagehash.phash(image, hash_size=32))


def distance(one: str, other: str) -> int:
    """How many bits two fingerprints differ in."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
