"""`chequemate savings`: what the pre-labels save, from Label Studio or from an export of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backend.savings import Savings
    from backend.work import Work
    from trainer.draw import Place


def savings(
    project: Annotated[int | None, typer.Option(help="project of Label Studio")] = None,
    export: Annotated[Path | None, typer.Option(help="a JSON export instead of the server")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the numbers here; - for the screen")] = None,
    goal: Annotated[int, typer.Option(help="labelled cheques that the project wants")] = 1000,
) -> None:
    """Annotation time that the pre-labels save: blind against pre-labelled cheques, with an interval.

    With --export alone the arm of each annotation is read from the prediction it started from; with --project too,
    from that project's draw.
    """
    from backend.savings import savings as computed

    if project is None and export is None:
        raise typer.BadParameter("give --project N, or --export FILE")
    found = computed(_work(project, export), goal)
    if json_out is None or str(json_out) != "-":
        _show(found)
    if json_out is not None:
        text = json.dumps(found.as_json(), ensure_ascii=False, indent=1)
        if str(json_out) == "-":
            sys.stdout.write(text + "\n")
        else:
            json_out.write_text(text + "\n", encoding="utf-8")


def _work(project: int | None, export: Path | None) -> list[Work]:
    from backend.work import work_of
    from cheques.settings import settings
    from studio.export import read_export

    home = settings().home
    if export is not None:
        labels = read_export(export)
        return work_of(labels, _draw(home, project) if project is not None else None)
    from studio.client import Studio
    from studio.formats import read_config

    assert project is not None
    studio = Studio.of(settings())
    config = read_config(studio.project(project).label_config)
    return work_of(studio.labels(project, config), _draw(home, project))


def _draw(home: Path, project: int) -> Callable[[int], Place | None] | None:
    from trainer.draw import Draw

    folder = home / "projects" / str(project)
    return Draw.open(folder).get if (folder / "draw.jsonl").exists() else None


def _show(found: Savings) -> None:
    from rich.console import Console
    from rich.table import Table

    from backend.cleaning import REASONS

    out = Console(soft_wrap=True)
    out.print(found.sentence(), style="bold", markup=False)
    out.print(f"in the trial: {found.blind} blind, {found.prelabel} pre-labelled", markup=False)
    if found.verdict.enough and found.hours:
        hours = found.hours
        out.print(
            f"extrapolated to all pre-labelled cheques: {hours.saved.mean:.1f} hours saved so far "
            f"({hours.saved.low:.1f} to {hours.saved.high:.1f}); for the {hours.left} cheques to go "
            f"{hours.with_:.1f} h with pre-labels, {hours.without:.1f} h without",
            markup=False,
        )
    table = Table("field", "left as shown")
    for name, rate in found.acceptance.items():
        table.add_row(name, f"{rate:.0%}")
    if found.acceptance:
        out.print(table)
    for reason, count in found.dropped.items():
        out.print(f"left out: {count} {REASONS[reason]}", markup=False)
