"""`chequemate demo`: everything on this machine, with 120 drawn cheques, ready to be labelled."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from chequemate.serve import until_stopped
from chequemate.services import EMAIL
from chequemate.stack import Stack
from cheques.settings import settings

if TYPE_CHECKING:
    from studio.client import Project, Studio

TITLE = "Chèques"
SEED = 2024  # the demo's cheques are the same on every machine
RETRAIN_EVERY = 15  # of 60 labels some 36 are lessons, so two versions are seen


def demo(
    count: Annotated[int, typer.Option(min=1, max=9999, help="How many cheques the first run draws.")] = 120,
) -> None:
    """Start Redis, Label Studio, the backend and a worker here, with drawn cheques to label. Ctrl-C stops it all."""
    console, own = Console(), settings()
    if "retrain_every" not in own.model_fields_set:
        own = own.model_copy(update={"retrain_every": RETRAIN_EVERY})
    stack = Stack(own, say=lambda line: console.print(line, style="yellow", markup=False))

    def begin() -> None:
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
            row = bars.add_task(
                "starting Redis, Label Studio, backend, worker (a minute or two the first time)", total=4
            )
            stack.start(ready=lambda part: bars.advance(row))
            bars.update(row, completed=4, description="started")
            project = prepare(stack, bars, count)
        lines = (
            f"Open      {stack.studio_url}/projects/{project.id}/data\n"
            f"Login     {EMAIL}\n"
            f"Password  {stack.secrets.studio_password}\n\n"
            "Choose « Label All Tasks », correct what is wrong, and submit: the most instructive one comes next.\n"
            f"After every {own.retrain_every} lessons a new version is trained, and the other cheques are read again.\n"
            "Or let simulated annotators do it, in another terminal: .venv/bin/chequemate simulate --labels 60\n"
            f"Logs are in {own.home / 'stack' / 'logs'}. Ctrl-C stops everything; the data stay."
        )
        title = f"Chequemate: {project.tasks} cheques, {project.labels} labelled"
        console.print(Panel(Text(lines), title=title, expand=False))

    until_stopped(stack, console, begin)


def prepare(stack: Stack, bars: Progress, count: int) -> Project:
    """The demo's project, made at the first run: cheques drawn, imported, pre-labelled. Later runs find it again."""
    from chequemate.connect import attach, begin
    from cheques.drawing.folder import write_folder
    from studio.client import Studio, StudioError
    from studio.config import DEFAULT_CONFIG
    from worker import queue

    studio = Studio(stack.studio_url, stack.token)
    note = stack.settings.home / "demo.json"
    project = None
    try:
        project = studio.project(int(json.loads(note.read_text())["project"]))
    except (OSError, ValueError, KeyError):
        pass  # the first run, or a damaged note
    except StudioError as error:
        if error.status != 404:
            raise
        # Somebody has deleted the project: a new one is made.
    if project is None:
        project = studio.create_project(TITLE, DEFAULT_CONFIG.read_text(encoding="utf-8"))
        note.write_text(json.dumps({"project": project.id}))

    if project.tasks == 0:
        folder = stack.files / "cheques"
        if not (folder / "truth.jsonl").exists():  # it is written last: with it the folder is complete
            # Of banks and hands that the reader has never seen: else there would be nothing to learn.
            row = bars.add_task(f"drawing {count} cheques of new banks and hands", total=count)
            write_folder(folder, count, SEED, "unseen", on_drawn=lambda: bars.advance(row), banks="demo")
        import_drawn(studio, project, folder)

    attach(studio, stack.settings, project.id)
    begin(stack.settings, project, learn=False)  # what was learned before the last Ctrl-C is not learned again
    if project.model_version in studio.predicted_versions(project.id):
        return studio.project(project.id)  # what annotators see is there: they can begin at once

    connection = queue.connect(stack.settings.redis_url)
    row = bars.add_task("reading the cheques", total=None)
    while job := queue.job_progress(connection, queue.PRELABEL, project.id):
        if job["status"] == "failed":
            bars.print(f"the cheques were not pre-labelled: see {stack.supervisor.log('worker')}")
            return studio.project(project.id)
        if job.get("total"):
            text = "importing the readings" if job.get("stage") == "importing" else "reading the cheques"
            bars.update(row, description=text, total=job["total"], completed=job.get("done", 0))
        time.sleep(0.2)
    project = studio.project(project.id)
    bars.update(row, description="cheques read", total=project.tasks, completed=project.tasks)
    return project


def import_drawn(studio: Studio, project: Project, folder: Path) -> None:
    """A task for each drawn cheque, read where it lies."""
    studio.serve_files(project.id, str(folder.resolve()))
    # Addresses without a host, so that they hold on another port too.
    names = sorted(path.name for path in folder.glob("c*.png"))
    studio.import_tasks(project.id, [{"image": f"/data/local-files/?d={folder.name}/{name}"} for name in names])
