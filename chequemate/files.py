"""The files that verbs write: what is wrong with the place is said before the work, not after it."""

from __future__ import annotations

from pathlib import Path

import typer


def place(*paths: Path | None) -> None:
    """Raises typer.BadParameter where one of the files cannot be written for want of its folder."""
    for path in filter(None, paths):
        if path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; give a file")
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"{path}: no such folder; make it first")


def write(path: Path, text: str) -> None:
    """Raises typer.BadParameter where the file cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}; give a file that can be written") from None
