"""`chequemate demo`: everything on this machine, with 120 drawn cheques, ready to be labelled."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from chequemate.stack import Stack
    from cheques.settings import Settings
    from studio.client import Project, Studio

TITLE = "Chèques"
SEED = 2024  # the demo's cheques are the same on every machine
RETRAIN_EVERY = 15  # unless the user says otherwise: of 60 labels some 36 are lessons, and two versions shall be seen


def demo(
    count: Annotated[int, typer.Option(min=1, max=9999, help="How many cheques the first run draws.")] = 120,
) -> None:
    """Start Redis, Label Studio, the backend and a worker here, with drawn cheques to label. Ctrl-C stops it all."""
    from rich.console import Console

    from chequemate.serve import until_stopped
    from chequemate.stack import Stack
    from cheques.settings import settings

    console = Console()
    stack = Stack(_for_a_demo(settings()), say=lambda line: console.print(line, style="yellow", markup=False))

    def begin() -> None:
        with _bars(console) as bars:
            start(stack, bars)
            project = prepare(stack, bars, count)
        _tell(console, stack, project)

    until_stopped(stack, console, begin)


def _for_a_demo(own: Settings) -> Settings:
    return own if "retrain_every" in own.model_fields_set else own.model_copy(update={"retrain_every": RETRAIN_EVERY})


def start(stack: Stack, bars: Progress) -> None:
    """Start every part; the first time, Label Studio makes its database, which takes a minute or two."""
    row = bars.add_task("starting Redis, Label Studio, backend, worker (a minute or two the first time)", total=4)
    stack.start(ready=lambda part: bars.advance(row))
    bars.update(row, completed=4, description="started")


def prepare(stack: Stack, bars: Progress, count: int) -> Project:
    """The demo's project, made at the first run: cheques drawn, imported, pre-labelled. Later runs find it again."""
    from chequemate.connect import attach, begin
    from studio.client import Studio

    studio = Studio(stack.studio_url, stack.token)
    note = stack.settings.home / "demo.json"
    project = _known(studio, note) or _made(studio, note)
    if project.tasks == 0:
        folder = stack.files / "cheques"
        _draw(folder, count, bars)
        _import(studio, project, folder)
    attach(studio, stack.settings, project.id)
    begin(stack.settings, project, learn=False)  # what was learned before the last Ctrl-C is not learned again
    if project.model_version not in studio.predicted_versions(project.id):  # else people can begin at once
        _wait_for_prelabels(stack, studio, project.id, bars)
    return studio.project(project.id)


def _known(studio: Studio, note: Path) -> Project | None:
    from studio.client import StudioError

    try:
        return studio.project(int(json.loads(note.read_text())["project"]))
    except (OSError, ValueError, KeyError):
        return None
    except StudioError as error:
        if error.status == 404:  # deleted by hand: a new one
            return None
        raise


def _draw(folder: Path, count: int, bars: Progress) -> None:
    from cheques.drawing.folder import write_folder

    if (folder / "truth.jsonl").exists():
        return
    row = bars.add_task(f"drawing {count} cheques of unseen hands", total=count)
    write_folder(folder, count, SEED, "unseen", on_drawn=lambda: bars.advance(row))


def _made(studio: Studio, note: Path) -> Project:
    from studio.config import DEFAULT_CONFIG

    project = studio.create_project(TITLE, DEFAULT_CONFIG.read_text(encoding="utf-8"))
    note.write_text(json.dumps({"project": project.id}))
    return project


def _import(studio: Studio, project: Project, folder: Path) -> None:
    studio.serve_files(project.id, str(folder.resolve()))
    # Relative, so that they hold on another port too.
    names = sorted(path.name for path in folder.glob("c*.png"))
    studio.import_tasks(project.id, [{"image": f"/data/local-files/?d={folder.name}/{name}"} for name in names])


def _wait_for_prelabels(stack: Stack, studio: Studio, project: int, bars: Progress) -> None:
    """Until every task has a prediction that the annotators will see, or the worker has given up."""
    from worker import queue

    connection = queue.connect(stack.settings.redis_url)
    row = bars.add_task("reading the cheques", total=None)
    while job := queue.progress_of(connection, queue.PRELABEL, project):
        if job["status"] == "failed":
            bars.print(f"the cheques were not pre-labelled: see {stack.supervisor.log('worker')}")
            return
        if job.get("total"):
            text = "importing the readings" if job.get("stage") == "importing" else "reading the cheques"
            bars.update(row, description=text, total=job["total"], completed=job.get("done", 0))
        time.sleep(0.2)
    tasks = studio.project(project).tasks
    bars.update(row, description="cheques read", total=tasks, completed=tasks)


def _bars(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _tell(console: Console, stack: Stack, project: Project) -> None:
    from rich.panel import Panel
    from rich.text import Text

    from chequemate.services import EMAIL

    every = stack.settings.retrain_every
    lines = (
        f"Open      {stack.studio_url}/projects/{project.id}/data\n"
        f"Login     {EMAIL}\n"
        f"Password  {stack.secrets.studio_password}\n\n"
        "Choose « Label All Tasks », correct what is wrong, and submit: the most instructive one comes next.\n"
        f"After every {every} lessons a new version is trained, and the remaining cheques are read again.\n"
        "Or let simulated annotators do it, in another terminal: .venv/bin/chequemate simulate --labels 60\n"
        f"Logs are in {stack.settings.home / 'stack' / 'logs'}. Ctrl-C stops everything; the data stay."
    )
    title = f"Chequemate: {project.tasks} cheques, {project.labels} labelled"
    console.print(Panel(Text(lines), title=title, expand=False))
