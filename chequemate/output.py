"""What verbs write: their files, the progress of the work, the cheques that they leave out."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WARNED = 5  # lines about cheques left out; the rest are counted


def check_places(*paths: Path | None) -> None:
    """Before the work, not after it: raises typer.BadParameter where a file has no folder to be written to."""
    for path in filter(None, paths):
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; give a file")
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"{path}: no such folder; make it first")


def write_file(path: Path, text: str) -> None:
    """Raises typer.BadParameter where the file cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}; give a file that can be written") from None


def warn(problems: list[str]) -> None:
    """The first lines of what was left out, and how many more there are."""
    console = Console()
    for line in problems[:WARNED]:
        console.print(f"left out: {line}", style="yellow", markup=False, soft_wrap=True)
    if len(problems) > WARNED:
        console.print(f"left out: {len(problems) - WARNED} more", style="yellow")


def bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
