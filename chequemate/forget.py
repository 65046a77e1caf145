"""`chequemate forget`: what this machine keeps of cheques that were deleted in Label Studio goes too."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from store.versions import Version


def forget(project: Annotated[int, typer.Option(help="project of Label Studio")]) -> None:
    """Forget the cheques whose tasks were deleted in Label Studio.

    Their images, what was read on them, and the reports that may show them are removed; which part of the draw they
    were in, by number and fingerprint, stays. What adapters learned from them stays until the next version replaces it.
    """
    from cheques.settings import settings
    from store.database import Store
    from store.draw import Draw
    from store.forgetting import forget_tasks
    from store.projects import images_of, known_projects
    from store.takeover import ASIDE
    from store.versions import Versions
    from studio.client import Studio
    from studio.config import read_config

    own = settings()
    store, studio = Store.of(own), Studio.of(own)
    config = read_config(studio.project(project).label_config)
    if project not in known_projects(store):
        raise typer.BadParameter(f"nothing is kept of project {project} in {own.home}", param_hint="--project")
    # Read before Label Studio is asked: a task imported in between is then in its answer, and counts as there.
    known = {one.task for one in Draw(store, project).places()}
    gone = known - {str(task.id) for task in studio.tasks(project, config)}
    if not gone:
        typer.echo(f"Label Studio has every cheque that was seen of project {project}: nothing to forget.")
        return

    versions = Versions(store, project).list()
    images = [path for path in images_of(store, project).glob("*.png") if path.name.partition("-")[0] in gone]
    for path in images:
        path.unlink(missing_ok=True)
    removed = {"images": len(images)} | forget_tasks(store, project, gone) | {"reports": 0}
    for version in versions:
        # The page may show one of them, so it goes; the numbers beside it stay.
        page = version.path / "report" / "report.html"
        if page.exists() and (tasks_of(version, "lessons") | tasks_of(version, "exam")) & gone:
            page.unlink()
            removed["reports"] += 1
    # All that is in these stands in the store, and no line of them tells which of its cheques is gone.
    removed["files of the release before the store"] = sum(path.is_file() for path in (own.home / ASIDE).rglob("*"))
    shutil.rmtree(own.home / ASIDE, ignore_errors=True)

    typer.echo(f"gone from Label Studio: {len(gone)}")
    counts = ", ".join(f"{what} {count}" for what, count in removed.items() if count)
    typer.echo(f"removed: {counts or 'nothing, it was done before'}")
    learned = [version.name for version in versions if tasks_of(version, "lessons") & gone]
    if learned:
        typer.echo(
            f"{', '.join(learned)} learned from some of them. The next version will not: the project's settings in"
            " Label Studio, Model, Start Training makes one now; then remove the folders of those versions."
        )


def tasks_of(version: Version, part: str) -> set[str]:
    """The tasks that the version was trained on ("lessons") or judged on ("exam")."""
    try:
        report = json.loads((version.path / "report" / "report.json").read_text(encoding="utf-8"))
        return set(report["data"][part])
    except (OSError, ValueError, KeyError, TypeError):  # no report, or a damaged one
        return set()
