"""One file of scans -> the cheques on it, as files that a browser can show an annotator."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cheques.images import MEGAPIXELS, BadImage, open_image, pages_in, shown_by_browsers

Box = tuple[int, int, int, int]

LOOKED_AT = 1000  # pixels of the longer side on which gaps are looked for
UNLIKE = 24  # levels of a colour by which print or paper differs from what lies around it
DUST = 0.01  # share of a row or column that may differ within a gap
GAP = 0.01  # of the longer side, at least
CHEQUE = (1.7, 3.2)  # width to height; a French one is 175 by 80 mm
ALIKE = 1.35  # sides of cheques on one scan differ by less than this factor
SMALLEST = 0.03  # of the scan's area
MARGIN = 0.004  # of the longer side, left around a cheque that is cut out
LARGEST_SHOWN = 50_000_000  # bytes; readers fetch no file of more than 60 MB


@dataclass(frozen=True)
class Piece:
    """One cheque. content: the file to show; None: the scan itself, as it is.

    page: from 1; number, of: which of the cheques on that page. became: what was done, in words.
    """

    page: int
    number: int
    of: int
    became: str
    suffix: str = ""
    content: bytes | None = None


def pieces(path: Path, page: int | None = 1, split: bool = True) -> tuple[list[Piece], list[str]]:
    """The cheques on a file, and a line for each page that is left out.

    page: the one to take; None: all. split: cut a page where the gaps between cheques are plain. Raises BadImage where
    nothing of the file can be used.
    """
    pages = pages_in(path)
    wanted = range(1, pages + 1) if page is None else [page]
    found, left_out = list[Piece](), list[str]()
    for number in wanted:
        try:
            found += cheques_of_page(path, number, pages, split)
        except BadImage as error:
            if len(wanted) == 1:
                raise
            left_out.append(f"page {number}: {error}")
    others = [number for number in range(1, pages + 1) if number not in wanted]
    if others:
        named = f"page {others[0]}" if len(others) == 1 else f"pages {', '.join(map(str, others))}"
        left_out.append(f"{named}: page {page} is read; choose another with CHEQUEMATE_PAGE, or take all with --pages")
    return found, left_out


def cheques_of_page(path: Path, page: int, pages: int, split: bool) -> list[Piece]:
    """The cheques on one page; the whole page where it is not cut. Raises BadImage."""
    image = open_image(path, page)
    # Scanners that feed both sides leave such pages.
    if all(low == high for low, high in image.getextrema()):  # type: ignore[misc]
        raise BadImage("one colour all over: nothing is written on it")
    boxes = cheques_on(image) if split else []
    if not boxes:
        became, suffix, content = as_shown(path, image)
        if pages > 1:
            became = f"page {page} of {pages}: {became}"
        return [Piece(page, 1, 1, became, suffix, content)]
    at, many = f"page {page} of {pages}, " if pages > 1 else "", len(boxes)
    return [
        Piece(page, n, many, f"{at}cheque {n} of {many}, cut out as PNG", ".png", png(image, box))
        for n, box in enumerate(boxes, 1)
    ]


def as_shown(path: Path, image: Image.Image) -> tuple[str, str, bytes | None]:
    """(what was done, suffix, file) of a whole page; None: browsers show it as the reader sees it."""
    content = path.read_bytes()
    if not shown_by_browsers(content):
        if b"%PDF" in content[:1024]:
            return "PDF, converted to PNG", ".png", png(image)
        if content[:2] in (b"II", b"MM"):
            return "TIFF, converted to PNG", ".png", png(image)
        return "HEIC, converted to JPEG", ".jpg", jpeg(image)
    with Image.open(io.BytesIO(content)) as stored:
        mode, kind, pixels = stored.mode, stored.format, stored.width * stored.height
        # Browsers turn a JPEG as its EXIF says; of other formats not all do.
        turned = kind != "JPEG" and stored.getexif().get(0x0112, 1) != 1
    if pixels > MEGAPIXELS * 1_000_000:
        became = f"{pixels / 1e6:.0f} megapixels, scaled down to {image.width} x {image.height}"
        return (became, ".png", png(image)) if kind == "PNG" else (became, ".jpg", jpeg(image))
    if mode == "CMYK":
        return "CMYK, converted to RGB", ".jpg", jpeg(image)
    if mode.startswith("I;16"):
        return "grey of 16 bits, converted to 8", ".png", png(image)
    if turned:
        return "turned upright", ".png", png(image)
    if len(content) > LARGEST_SHOWN:
        return f"{len(content) / 1e6:.0f} MB, packed smaller", ".png", png(image)
    return "as it is", {"PNG": ".png", "WEBP": ".webp"}.get(kind or "", ".jpg"), None


def png(image: Image.Image, box: Box | None = None) -> bytes:
    written = io.BytesIO()
    image.crop(box).save(written, "PNG", compress_level=3)
    return written.getvalue()


def jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=92)
    return written.getvalue()


def cheques_on(image: Image.Image) -> list[Box]:
    """Where the cheques lie, from top to bottom, if there are several with plain gaps between them; otherwise nothing.

    What lies around them is the colour that most of the scan's rim has. Rows and columns of that colour alone are gaps;
    cut along them (Nagy's X-Y cut), every piece must have a cheque's shape, and all about the same size.
    """
    factor = max(1, max(image.size) // LOOKED_AT)
    small = np.asarray(image.reduce(factor), np.int16)
    # The median, since a cheque may touch the rim.
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    unlike = np.abs(small - np.median(rim, axis=0)).max(axis=2) > UNLIKE
    least = max(2, round(GAP * max(unlike.shape)))
    found = [box for box in cut(unlike, 0, 0, least) if (box[2] - box[0]) * (box[3] - box[1]) > SMALLEST * unlike.size]
    # A wrong cut loses a cheque, and no cut only shows several at once: when in doubt, none.
    sides = np.array([(right - left, bottom - top) for left, top, right, bottom in found], float)
    if len(found) < 2 or (sides.max(axis=0) / sides.min(axis=0) > ALIKE).any():
        return []
    shapes = sides[:, 0] / sides[:, 1]
    if shapes.min() < CHEQUE[0] or shapes.max() > CHEQUE[1]:
        return []
    margin = round(MARGIN * max(unlike.shape))
    height, width = unlike.shape
    return [
        (
            max(0, left - margin) * factor,
            max(0, top - margin) * factor,
            min(image.width, min(width, right + margin) * factor),
            min(image.height, min(height, bottom + margin) * factor),
        )
        for left, top, right, bottom in found
    ]


def cut(unlike: NDArray[np.bool_], left: int, top: int, least: int) -> list[Box]:
    """Boxes of what is left after cutting along gaps of at least `least` rows, then columns, until there is none."""
    rows = stretches(unlike.mean(axis=1) > DUST, least)
    columns = stretches(unlike.mean(axis=0) > DUST, least)
    if len(rows) == len(columns) == 1:
        (up, down), (first, last) = rows[0], columns[0]
        # No gap at the rim and none within: this is one piece.
        if (up, down, first, last) == (0, unlike.shape[0], 0, unlike.shape[1]):
            return [(left, top, left + last, top + down)]
    return [
        box
        for up, down in rows
        for first, last in columns
        for box in cut(unlike[up:down, first:last], left + first, top + up, least)
    ]


def stretches(filled: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """[start, end) of each stretch that is filled, gaps shorter than `least` included."""
    places = np.flatnonzero(filled)
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > least)
    starts, ends = [places[0], *places[breaks + 1]], [*places[breaks], places[-1]]
    return [(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]
