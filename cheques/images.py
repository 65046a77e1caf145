"""Bytes of a scan -> an upright RGB image, and a fingerprint that finds near-duplicates."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from cheques import pdf

MEGAPIXELS = 40  # of an image that is handed on; a larger one is scaled down by 2, 4 or 8
WHOLE_MEGAPIXELS = 100  # that are decoded at once; a JPEG is scaled down while it is decoded
JPEG_MEGAPIXELS = 178  # twice what Pillow warns of, and where it refuses by itself
PASSES = 4000  # megapixels times passes of a JPEG: one of 48 megapixels has 10 passes, one that takes minutes thousands
LONGEST_SIDE = 65_000  # pixels; a TIFF of rows of one pixel has a million strips
LARGEST = 500_000_000  # bytes
PAGES_COUNTED = 1000
STRIPS, STRIPS_AT_MOST = (273, 279, 324, 325), 200_000  # tags of strips and tiles
PHOTOMETRIC = 262  # the tag of a TIFF that says whether 0 is white
FORMATS = ["PNG", "JPEG", "TIFF", "WEBP"]
PDF_DPI = 200
PDF_SECONDS = 30.0
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")

# Pillow warns from 89 megapixels on, whatever is done with the image; `check_size` refuses what is too much.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

if find_spec("pillow_heif"):  # the extra `heic`
    import pillow_heif

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")


class BadImage(ValueError):
    """An image that cannot be used; the message says in one line why and what to do."""


def open_image(source: bytes | Path, page: int = 1) -> Image.Image:
    """An upright RGB image of at most 40 megapixels from PNG, JPEG, TIFF, WebP, PDF or, with pillow-heif, HEIC.

    page: which one of a TIFF or PDF, from 1. Larger images are scaled down, JPEGs while they are decoded. Raises
    BadImage.
    """
    content = content_of(source)
    if is_pdf(content):
        with Image.open(io.BytesIO(drawn_pdf(content, page)), formats=("PPM",)) as drawn:
            return drawn.convert("RGB")
    try:
        if content[:2] in (b"II", b"MM"):
            check_tables(content, page)
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if page > 1 and opened.format == "TIFF":
                try:
                    opened.seek(page - 1)
                except EOFError:
                    raise BadImage(f"has no page {page}: set CHEQUEMATE_PAGE to one that there is") from None
            check_size(opened, content)
            if opened.width * opened.height > MEGAPIXELS * 1_000_000:
                opened.draft(None, halved(opened.width, opened.height))  # JPEG alone knows how
            opened.load()
            image = with_square_pixels(opened)
            with suppress(Exception):  # EXIF that cannot be understood turns nothing, as in browsers
                image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16"):
                tags = getattr(opened, "tag_v2", {})
                image = in_eight_bits(image, black_is_high=tags.get(PHOTOMETRIC) == 0)  # Pillow turns 8 bits alone
            wanted = halved(*image.size)
            if image.size != wanted:
                # `reduce` makes shades only of an image whose mode has some.
                image = image.convert("L" if image.mode == "1" else image.mode).reduce(round(image.width / wanted[0]))
            return in_rgb(image)
    except UnidentifiedImageError:
        why = "not a PNG, JPEG, TIFF, WebP, HEIC or PDF: save the scan in one of these formats"
        if not content:
            why = f"an empty file, {why}"
        elif content[4:8] == b"ftyp" and content[8:12] in HEIC_BRANDS:
            why = "a HEIC photo: install pillow-heif (the extra heic), or save it as JPEG"
        elif content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            why = "damaged or cut-off TIFF, or of a kind that is not understood: copy the file again, or save it as PNG"
        raise BadImage(why) from None
    except Image.DecompressionBombError:
        raise BadImage(f"more than {JPEG_MEGAPIXELS} megapixels: scan at 300 dpi or less") from None
    except BadImage:
        raise
    except Exception as error:  # a damaged file raises whatever its codec likes (OSError, SyntaxError, struct.error, …)
        raise BadImage(
            f"damaged or cut-off image ({type(error).__name__}): copy the file again, or scan again"
        ) from None


def pages_in(source: bytes | Path) -> int:
    """How many pages a TIFF or a PDF has, 1000 at most; every other image is one. Raises BadImage."""
    content = content_of(source)
    if is_pdf(content):
        return int(drawn_pdf(content, 0))
    try:
        with Image.open(io.BytesIO(content), formats=["TIFF"]) as opened:
            # Each page is a jump in the file: to count a million of them would take minutes.
            for page in range(1, PAGES_COUNTED):
                try:
                    opened.seek(page)
                except EOFError:
                    return page
            return PAGES_COUNTED
    except Exception:  # no TIFF, or one that `open_image` will complain of
        return 1


def shown_by_browsers(content: bytes) -> bool:
    """Can an annotator's browser show this file? TIFF, PDF and HEIC it cannot."""
    return content.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"RIFF")) or content[4:12] == b"ftypavif"


def content_of(source: bytes | Path) -> bytes:
    """The bytes of a file that is not too large. Raises BadImage."""
    if isinstance(source, bytes):
        return source
    try:
        if source.stat().st_size > LARGEST:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less")
        return source.read_bytes()
    except OSError as error:
        raise BadImage(f"{source!s}: {error.strerror or error}") from None


def is_pdf(content: bytes) -> bool:
    """Is this a PDF? Some writers put white space before the mark."""
    return content[:1024].lstrip().startswith(b"%PDF")


def check_tables(content: bytes, page: int) -> None:
    """Raises BadImage for a TIFF in too many strips: Pillow reads every table before its size is known, for minutes."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    offset, many, entry, step = ("Q", "Q", "HHQ", 20) if big else ("I", "H", "HHI", 12)
    try:
        (at,) = struct.unpack_from(order + offset, content, 8 if big else 4)
        for _ in range(page):
            (entries,) = struct.unpack_from(order + many, content, at)
            start = at + struct.calcsize(order + many)
            counts = [struct.unpack_from(order + entry, content, start + step * n) for n in range(entries)]
            strips = max((count for tag, _, count in counts if tag in STRIPS), default=0)
            if strips > STRIPS_AT_MOST or sum(count for _, _, count in counts) > len(content):
                raise BadImage(f"a TIFF in {strips} strips takes minutes to open: save it as PNG")
            (at,) = struct.unpack_from(order + offset, content, start + step * entries)
            if not at:
                return
    except struct.error:  # cut off: Pillow says so
        return


def check_size(image: Image.Image, content: bytes) -> None:
    """Raises BadImage for what would take too much memory or too many minutes."""
    width, height = image.size
    # A progressive JPEG is held whole in memory before it is scaled.
    piecewise = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    most = JPEG_MEGAPIXELS if piecewise else WHOLE_MEGAPIXELS
    if width * height > most * 1_000_000:
        raise BadImage(f"{width} x {height} pixels is more than {most} megapixels: scan at 300 dpi or less")
    if max(width, height) > LONGEST_SIDE:
        raise BadImage(f"{width} x {height} pixels is no cheque's shape: cut the scan")
    if image.format in ("JPEG", "MPO"):
        passes = content.count(b"\xff\xda")  # the marker of a pass; within its data FF is never followed by DA
        if width * height * passes > PASSES * 1_000_000:
            raise BadImage(f"a JPEG of {passes} passes takes minutes to decode: save it again")


def halved(width: int, height: int) -> tuple[int, int]:
    """The size halved until it has no more than MEGAPIXELS."""
    while width * height > MEGAPIXELS * 1_000_000:
        width, height = -(-width // 2), -(-height // 2)
    return width, height


def with_square_pixels(image: Image.Image) -> Image.Image:
    """A fax of the standard kind has 204 dots an inch across and 98 down: half as high as the paper."""
    across, down = map(float, image.info.get("dpi") or (1, 1))
    if image.mode != "1" or across <= 0 or down <= 0 or not 1.1 < max(across / down, down / across) < 4:
        return image
    width, height = image.size
    size = (width, round(height * across / down)) if across > down else (round(width * down / across), height)
    return image.convert("L").resize(size, Image.Resampling.BOX)


def in_eight_bits(image: Image.Image, black_is_high: bool) -> Image.Image:
    """Grey of 10 to 16 bits in 8. Scanners store 12 bits in 16: paper is bright, so the brightest pixel tells."""
    levels = np.asarray(image)
    if black_is_high:
        levels = levels.max(initial=0) - levels
    used = next(bits for bits in (8, 10, 12, 14, 16) if int(levels.max(initial=0)) < 1 << bits)
    return Image.fromarray((levels >> (used - 8)).astype(np.uint8))


def in_rgb(image: Image.Image) -> Image.Image:
    """On white where it is transparent."""
    if image.mode in ("I", "F"):
        raise BadImage("32 bits a colour: save the scan with 8 bits a colour")
    if image.mode == "LAB":
        # Pillow converts LAB with profiles alone.
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        assert converted is not None
        return converted
    if image.has_transparency_data:
        # The colour below full transparency is mostly black.
        paper = Image.new("RGB", image.size, "white")
        image = image.convert("RGBA")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    return image.convert("RGB")


def drawn_pdf(content: bytes, page: int) -> bytes:
    """A page as PPM, or for page 0 the number of pages, from a process of its own. Raises BadImage."""
    # Isolated (-I): the child imports nothing from this folder or PYTHONPATH.
    draw = [sys.executable, "-I", pdf.__file__, str(PDF_DPI), str(MEGAPIXELS * 1_000_000), str(page)]
    try:
        done = subprocess.run(draw, input=content, capture_output=True, timeout=PDF_SECONDS)
    except subprocess.TimeoutExpired:
        raise BadImage("a PDF that takes too long to draw: save its page as an image") from None
    if done.returncode == pdf.TOO_LARGE:
        raise BadImage(f"the page is more than {MEGAPIXELS} megapixels at {PDF_DPI} dpi: save it as a smaller image")
    if done.returncode == pdf.NO_SUCH_PAGE:
        raise BadImage(f"has no page {page}: set CHEQUEMATE_PAGE to one that there is")
    if done.returncode:
        raise BadImage("damaged or protected PDF: save its page as an image")
    return done.stdout


def fingerprint(image: Image.Image) -> str:
    """A perceptual hash of 1024 bits (hex): near-duplicates differ in few of them, see `distance`.

    Cheques of one bank share their print: with 64 bits, two of them may be as near as one scan saved twice.
    """
    import imagehash

    return str(imagehash.phash(image, hash_size=32))


def distance(one: str, other: str) -> int:
    """How many bits two fingerprints differ in."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
