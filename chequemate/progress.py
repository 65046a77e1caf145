"""`chequemate progress`: what the labels brought so far, and what more of them would bring."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from chequemate.output import check_places, write_file

if TYPE_CHECKING:
    from trainer.progress import Progress

console = Console(soft_wrap=True)


def progress(
    project: Annotated[str, typer.Option(help="The Label Studio project's number, or local.")] = "local",
    target: Annotated[
        float | None, typer.Option(min=0.0, max=0.999, help="An exact match to reach: 0.9; the next ones otherwise.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers there; - for the screen.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve there, as SVG.")] = None,
) -> None:
    """Say when to stop labelling: the learning curve of the versions on disk, and what 100 more labels would bring.

    What the page for the lead shows of it is brought up to date as well. --json: see trainer/progress.py.
    """
    from cheques.settings import settings
    from store.database import Store, StoreError
    from store.projects import known_projects
    from store.versions import Versions
    from trainer.progress import as_json, keep_curve, learning_progress

    check_places(json_file, plot)
    store = Store.of(settings())
    versions = Versions(store, project)
    found = learning_progress(versions)
    with suppress(StoreError):  # one may look at a home that belongs to somebody else
        if project in map(str, known_projects(store)):
            keep_curve(versions, found)
    content = as_json(found, [] if target is None else [target])
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    if json_file is not None and str(json_file) == "-":
        sys.stdout.write(text)
    else:
        show(found, target)
        if json_file is not None:
            write_file(json_file, text)
    if plot is not None:
        from trainer.plots import learning_curve

        write_file(plot, learning_curve(content))


def show(found: Progress, target: float | None) -> None:
    """The versions as a table, and what the curve through them says."""
    from study.learning_curve import own_interval
    from trainer.progress import sentence, target_sentence, targets

    if not found.rows:
        console.print(f"project {found.project} has no version that was judged on an exam yet")
    else:
        table = Table("version", "labels", "exam", "exact match", "95 %", "decision", title=f"project {found.project}")
        for row in found.rows:
            low, high = own_interval(row.point)
            decision = row.version.decision if row.version else ""
            cells = (str(row.point.labels), str(row.point.n), f"{row.point.mean:.2f}", f"{low:.2f} to {high:.2f}")
            table.add_row(row.name, *cells, decision)
        console.print(table)
    if found.left_out:
        console.print(f"left out: {found.left_out} versions of another base model or form")
    console.print(sentence(found), style="bold", markup=False, highlight=False)
    if found.curve is None:
        return
    for needed in targets(found.curve, [] if target is None else [target]):
        console.print(target_sentence(found.curve, needed), markup=False, highlight=False)
    if not found.curve.paired:
        console.print("Some reports do not say which cheques were right: intervals are wider than they need be.")
