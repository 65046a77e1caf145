"""`chequemate savings`: what the pre-labels save, from Label Studio or from an export of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chequemate.output import check_places, write_file

if TYPE_CHECKING:
    from study.quality import Caught
    from study.savings import Savings


def savings(
    project: Annotated[int | None, typer.Option(help="project of Label Studio")] = None,
    export: Annotated[Path | None, typer.Option(help="a JSON export instead of the server")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="write the numbers here; - for the screen")] = None,
    goal: Annotated[int, typer.Option(help="labelled cheques that the project wants")] = 1000,
) -> None:
    """Annotation time that the pre-labels save: blind against pre-labelled cheques, with an interval.

    With --export alone the arm of each annotation is read from the prediction it started from; with --project too,
    from that project's draw, and planted errors from its record.
    """
    from backend.arms import work_of
    from cheques.settings import settings
    from store.database import Store
    from store.draw import Draw
    from store.planted import PlantedRecord
    from store.projects import known_projects
    from studio.export import read_export
    from study.quality import caught
    from study.savings import savings as computed

    if project is None and export is None:
        raise typer.BadParameter("give --project N, or --export FILE")
    check_places(json_out)
    if project is None:
        assert export is not None
        work = work_of(read_export(export))
    else:
        store = Store.of(settings())
        # Without a draw of the project here, the arm is read as from an export alone.
        drawn = Draw(store, project) if project in known_projects(store) else None
        draw, planted = (drawn.get if drawn and drawn.places() else None), PlantedRecord.of(store, project)
        if export is not None:
            work = work_of(read_export(export), draw, planted)
        else:
            from studio.client import Studio
            from studio.formats import read_config

            studio = Studio.of(settings())
            config = read_config(studio.project(project).label_config)
            work = work_of(studio.labels(project, config), draw, planted)

    found, seen = computed(work, goal), caught(work)
    on_screen = json_out is not None and str(json_out) == "-"
    if not on_screen:
        show(found, seen)
    if json_out is not None:
        errors = {"planted": seen.as_json()} if seen.overall.n else {}
        text = json.dumps(found.as_json() | errors, ensure_ascii=False, indent=1) + "\n"
        if on_screen:
            sys.stdout.write(text)
        else:
            write_file(json_out, text)


def show(found: Savings, seen: Caught) -> None:
    """The savings for people, and below them what became of the planted errors."""
    from study.lead_times import REASONS

    out = Console(soft_wrap=True)
    out.print(found.sentence(), style="bold", markup=False)
    out.print(f"in the trial: {found.blind} blind, {found.prelabel} pre-labelled", markup=False)
    if found.verdict.enough and found.hours:
        hours = found.hours
        out.print(
            f"extrapolated to all pre-labelled cheques: {hours.saved.value:.1f} hours saved so far "
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

    for name, share in {"planted errors": seen.overall, **seen.by_field}.items():
        if estimate := share.estimate:
            ends = f"{estimate.low:.0%} to {estimate.high:.0%}"
            out.print(f"{name}: {share.count} of {share.n} corrected, {estimate.value:.0%} ({ends})", markup=False)
    if seen.left:
        tasks = ", ".join(map(str, seen.left))
        out.print(
            f"left as planted in Label Studio, though neither trained on nor counted so: tasks {tasks}; "
            "put them right there before you export the labels",
            markup=False,
        )
