"""A sheet of cheques, each with what was read beside it: values, and confidences as bars."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image as Images
from PIL import ImageDraw
from PIL.Image import Image

from cheques.drawing.hands import font
from reader.reading import Reading

COLUMNS = 2
CHEQUE = (500, 225)  # pixels of one cheque
TEXT = 430  # width of its reading
MARGIN = 16
LINE = 30
BAR = 60
LONGEST = 52  # letters of a value
COLOURS = ((0.95, "#15803d"), (0.7, "#b45309"), (0.0, "#b91c1c"))


def sheet_of(cheques: Sequence[tuple[str, Image, Reading]]) -> Image:
    """Name, image and reading of each cheque, two in a row, on white."""
    width, height = CHEQUE[0] + TEXT + 3 * MARGIN, CHEQUE[1] + 2 * MARGIN
    rows = -(-len(cheques) // COLUMNS)
    page = Images.new("RGB", (COLUMNS * width, rows * height), "white")
    for n, (_, image, reading) in enumerate(cheques):
        left, top = n % COLUMNS * width + MARGIN, n // COLUMNS * height + MARGIN
        small = image.copy()
        small.thumbnail(CHEQUE, Images.Resampling.LANCZOS)
        page.paste(small, (left, top))
        _write(ImageDraw.Draw(page), reading, left + CHEQUE[0] + MARGIN, top)
    return page


def _write(pen: ImageDraw.ImageDraw, reading: Reading, left: int, top: int) -> None:
    small, plain = font("inter", 11), font("inter", 14)
    for n, (name, value) in enumerate(reading.values.items()):
        y = top + n * LINE
        confidence = reading.confidence[name]
        colour = next(colour for least, colour in COLOURS if confidence >= least)
        pen.rectangle((left, y + 4, left + BAR, y + 12), fill="#e5e7eb")
        pen.rectangle((left, y + 4, left + round(BAR * confidence), y + 12), fill=colour)
        pen.text((left, y + 14), f"{confidence:.0%}", colour, font=small)
        pen.text((left + BAR + 10, y), name, "#6b7280", font=small)
        shown = value if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
        pen.text((left + BAR + 10, y + 11), shown or "(vide)", "black" if value else "#9ca3af", font=plain)
