"""`chequemate forget`: what this machine keeps of cheques that were deleted in Label Studio goes too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from store.draw import Place
    from store.versions import Version


def forget(project: Annotated[int, typer.Option(help="project of Label Studio")]) -> None:
    """Forget the cheques whose tasks were deleted in Label Studio.

    Their images, what was read on them, and the reports that may show them are removed; which part of the draw they
    were in, by number and fingerprint, stays. What adapters learned from them stays until the next version replaces it.
    """
    from cheques.disk import keep_lines
    from cheques.settings import settings
    from store.blind_readings import SAID
    from store.draw import Draw
    from store.projects import folder
    from store.reading_cache import Stored
    from store.versions import Versions
    from studio.client import Studio
    from studio.config import read_config
    from studio.planted import RECORD
    from worker.acquisition_cache import SIGHTS
    from worker.jobs import IMAGES

    own = settings()
    place, studio = folder(own.home, project), Studio.of(own)
    config = read_config(studio.project(project).label_config)
    if not place.is_dir():
        raise typer.BadParameter(f"nothing is kept of project {project} in {own.home}", param_hint="--project")
    # Before Label Studio is asked: what comes in meanwhile is none of those that are gone.
    known = {one.task: one for one in Draw.open(place).places()}
    gone = known.keys() - {str(task.id) for task in studio.tasks(project, config)}
    if not gone:
        typer.echo(f"Label Studio has every cheque that was seen of project {project}: nothing to forget.")
        return

    def is_left(line: Mapping[str, object]) -> bool:
        return str(line["task"]) not in gone

    stored = Stored(own.home).forget_tasks(str(project), gone)
    removed = {
        "images": _remove_images(place / IMAGES, known, gone),
        "readings": stored or 0,
        "readings of blind cheques": keep_lines(place / SAID, is_left),
        "notes for the order": keep_lines(place / SIGHTS, is_left),
        "planted errors": keep_lines(place / RECORD, is_left),
    }
    versions = Versions(own.home, project).list()
    removed["reports"] = sum(_remove_report(version, gone) for version in versions)
    typer.echo(f"gone from Label Studio: {len(gone)}")
    counts = ", ".join(f"{what} {count}" for what, count in removed.items() if count)
    typer.echo(f"removed: {counts or 'nothing, it was done before'}")
    if stored is None:
        typer.echo("readings.sqlite cannot be written now: the readings in it are left; run this again", err=True)
        raise typer.Exit(1)
    learned = [version.name for version in versions if _ids(version, "lessons") & gone]
    if learned:
        typer.echo(
            f"{', '.join(learned)} learned from some of them. The next version will not: the project's settings in"
            " Label Studio, Model, Start Training makes one now; then remove the folders of those versions."
        )


def _remove_images(images: Path, known: Mapping[str, Place], gone: Set[str]) -> int:
    """But for those that another task shows as well."""
    left = {place.digest for task, place in known.items() if task not in gone}
    paths = {images / f"{known[task].digest}.png" for task in gone if known[task].digest not in left}
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink(missing_ok=True)
    return len(there)


def _remove_report(version: Version, gone: Set[str]) -> bool:
    """The page that may show one of them; the numbers beside it stay."""
    page = version.path / "report" / "report.html"
    shows = page.exists() and bool((_ids(version, "lessons") | _ids(version, "exam")) & gone)
    if shows:
        page.unlink()
    return shows


def _ids(version: Version, part: str) -> set[str]:
    """The tasks that the version was trained on ("lessons") or judged on ("exam")."""
    try:
        report = json.loads((version.path / "report" / "report.json").read_text(encoding="utf-8"))
        return set(report["data"][part])
    except (OSError, ValueError, KeyError):
        return set()
