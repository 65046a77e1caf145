"""`chequemate read`: images in, values and confidences out."""

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
                entries.append(_entry(path, found))
                if not as_json:
                    _print(path, found)
                if sheet and not isinstance(found, Exception) and len(shown) < SHEET:
                    shown.append((path.name, found[0], found[1]))
        finally:  # what was read before an error, too
            if as_json:
                typer.echo(json.dumps(entries, ensure_ascii=False, indent=1))
    if sheet and shown:
        from chequemate.sheet import sheet_of

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


def _entry(path: Path, found: tuple[Image, Reading] | Exception) -> dict[str, object]:
    if isinstance(found, Exception):
        typer.echo(f"chequemate: {path}: {found}", err=True)
        return {"image": str(path), "values": {}, "confidence": {}, "error": str(found)}
    reading = found[1]
    confidence = {name: round(value, 4) for name, value in reading.confidence.items()}
    entry: dict[str, object] = {"image": str(path), "values": reading.values, "confidence": confidence}
    return entry | ({"notes": list(reading.notes)} if reading.notes else {})


def _print(path: Path, found: tuple[Image, Reading] | Exception) -> None:
    if isinstance(found, Exception):
        return
    reading = found[1]
    typer.echo(str(path))
    for name, value in reading.values.items():
        typer.echo(f"  {name:<18} {reading.confidence[name]:>5.0%}  {value}")
    for note in reading.notes:
        typer.echo(f"  {note}")
