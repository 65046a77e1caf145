"""`chequemate read`: images in, values and confidences out, on request as a sheet to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chequemate.output import check_places

if TYPE_CHECKING:
    from PIL.Image import Image

    from cheques.settings import Settings
    from reader.reading import Adapter, Reader, Reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".pdf")
SHEET = 12  # cheques on a sheet
CHUNK = 64  # images in memory at once

# The sheet: two cheques in a row, each with its values and, as bars, their confidences. Sizes are pixels.
COLUMNS = 2
CHEQUE_SIZE = (500, 225)
TEXT = 430  # width of a reading
MARGIN = 16
LINE = 30
BAR = 60
LONGEST = 52  # letters of a value
COLOURS = ((0.95, "#15803d"), (0.7, "#b45309"), (0.0, "#b91c1c"))  # from this confidence on


def read(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Images, or folders of images.")],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list of image, values and confidence.")] = False,
    sheet: Annotated[Path | None, typer.Option(help=f"Draw the first {SHEET} with their readings (PNG).")] = None,
    version: Annotated[str, typer.Option(help="A version's name, or base; the champion otherwise.")] = "",
    project: Annotated[str, typer.Option(help="The project that the version belongs to.")] = "local",
) -> None:
    """Read cheques: a value and a confidence for each field."""
    from cheques.images import BadImage
    from cheques.settings import settings
    from reader.open_reader import reader_here

    check_places(sheet)
    if sheet and sheet.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{sheet}: no image is written like that; end it in {', '.join(SUFFIXES)}")
    paths = [*image_paths(images)]
    if not paths:
        raise BadImage(f"no image in {', '.join(map(str, images))}: give PNG, JPEG, TIFF, WebP or PDF files")
    adapter = adapter_named(settings(), project, version)
    shown: list[tuple[str, Image, Reading]] = []
    entries: list[dict[str, object]] = []
    with reader_here(settings()) as reader:
        try:
            for path, found in readings(reader, paths, adapter):
                if isinstance(found, Exception):
                    typer.echo(f"chequemate: {path}: {found}", err=True)
                    entries.append({"image": str(path), "values": {}, "confidence": {}, "error": str(found)})
                    continue

                image, reading = found
                confidence = {name: round(value, 4) for name, value in reading.confidence.items()}
                entry: dict[str, object] = {"image": str(path), "values": reading.values, "confidence": confidence}
                entries.append(entry | ({"notes": list(reading.notes)} if reading.notes else {}))
                if not as_json:
                    typer.echo(str(path))
                    for name, value in reading.values.items():
                        typer.echo(f"  {name:<18} {reading.confidence[name]:>5.0%}  {value}")
                    for note in reading.notes:
                        typer.echo(f"  {note}")
                if sheet and len(shown) < SHEET:
                    shown.append((path.name, image, reading))
        finally:  # where the server goes away half-way, what was read until then is printed too
            if as_json:
                typer.echo(json.dumps(entries, ensure_ascii=False, indent=1))
    if sheet and shown:
        sheet_of(shown).save(sheet)
        typer.echo(f"{sheet}: {len(shown)} cheques", err=True)
    if all("error" in entry for entry in entries):
        raise typer.Exit(2)


def image_paths(given: Sequence[Path]) -> Iterator[Path]:
    """The files as they are, and of each folder the images in it, by name."""
    for path in given:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        else:
            yield path


def adapter_named(settings: Settings, project: str, version: str) -> Adapter | None:
    """The adapter of a version, of the champion where no version is named, None for `base`. Raises VersionError."""
    from store.database import Store
    from store.versions import VersionError, Versions

    versions = Versions(Store.of(settings), project)
    if version == "base":
        return None
    chosen = versions.get(version) if version else versions.champion()
    if chosen and (problem := chosen.problem()):
        raise VersionError(problem)
    return chosen.adapter if chosen else None


def readings(
    reader: Reader, paths: Sequence[Path], adapter: Adapter | None
) -> Iterator[tuple[Path, tuple[Image, Reading] | Exception]]:
    """Each path with its image and reading, or with the BadImage that says why there is none; a few at a time."""
    from cheques.fields import CHEQUE
    from cheques.images import BadImage, open_image
    from cheques.settings import settings
    from reader.reading import read_each

    page = settings().page
    for start in range(0, len(paths), CHUNK):
        opened: dict[Path, Image | BadImage] = {}
        for path in paths[start : start + CHUNK]:
            try:
                opened[path] = open_image(path, page)
            except BadImage as error:
                opened[path] = error
        images = {path: image for path, image in opened.items() if not isinstance(image, BadImage)}
        found = dict(zip(images, read_each(reader, [*images.values()], CHEQUE, adapter), strict=True))
        for path, image in opened.items():
            yield path, (image if isinstance(image, BadImage) else (image, found[path]))


def sheet_of(cheques: Sequence[tuple[str, Image, Reading]]) -> Image:
    """Name, image and reading of each cheque, two in a row, on white."""
    from PIL import Image as Images
    from PIL import ImageDraw

    from cheques.drawing.hands import font

    width, height = CHEQUE_SIZE[0] + TEXT + 3 * MARGIN, CHEQUE_SIZE[1] + 2 * MARGIN
    rows = -(-len(cheques) // COLUMNS)
    page = Images.new("RGB", (COLUMNS * width, rows * height), "white")
    pen, small, plain = ImageDraw.Draw(page), font("inter", 11), font("inter", 14)
    for place, (_, image, reading) in enumerate(cheques):
        left, top = place % COLUMNS * width + MARGIN, place // COLUMNS * height + MARGIN
        thumbnail = image.copy()
        thumbnail.thumbnail(CHEQUE_SIZE, Images.Resampling.LANCZOS)
        page.paste(thumbnail, (left, top))

        left += CHEQUE_SIZE[0] + MARGIN
        for line, (name, value) in enumerate(reading.values.items()):
            y = top + line * LINE
            confidence = reading.confidence[name]
            colour = next(colour for least, colour in COLOURS if confidence >= least)
            pen.rectangle((left, y + 4, left + BAR, y + 12), fill="#e5e7eb")
            pen.rectangle((left, y + 4, left + round(BAR * confidence), y + 12), fill=colour)
            pen.text((left, y + 14), f"{confidence:.0%}", colour, font=small)
            pen.text((left + BAR + 10, y), name, "#6b7280", font=small)
            shown = value if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
            pen.text((left + BAR + 10, y + 11), shown or "(vide)", "black" if value else "#9ca3af", font=plain)
    return page
