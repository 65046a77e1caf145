"""`chequemate draw`: a folder of drawn cheques with the truth of every field."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Group(StrEnum):
    """Those that the shipped model was pretrained on, those it never saw, or both."""

    seen = "seen"
    unseen = "unseen"
    all = "all"


def draw(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where c0001.png, … and truth.jsonl are written.")],
    count: Annotated[int, typer.Option(min=1, max=999_999, help="How many cheques.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same cheques.")] = 1,
    hands: Annotated[Group, typer.Option(help="Who writes: the shipped model knows the seen hands only.")] = Group.seen,
    banks: Annotated[Group, typer.Option(help="Whose cheques: it knows the seen banks only.")] = Group.seen,
) -> None:
    """Draw cheques of made-up banks, written by hand, into a folder with their truth."""
    from rich.console import Console
    from rich.progress import track

    from cheques.drawing.folder import write_folder

    console = Console(stderr=True)
    steps = iter(track(range(count), description="Drawing cheques", console=console, transient=True))
    try:
        next(steps)
        truth = write_folder(folder, count, seed, hands.value, lambda: next(steps, None), banks.value)
    except OSError as error:
        reason = error.strerror or error
        message = (
            f"chequemate: cannot write to {folder}: {reason}; give a folder that you may write to, with room in it"
        )
        console.print(message, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    typer.echo(f"{count} cheques and their truth: {truth}")
