"""`chequemate draw`: a folder of drawn cheques with the truth of every field."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Hands(StrEnum):
    """Groups of hands: the last two for models that are trained on layouts of every kind."""

    seen = "seen"
    unseen = "unseen"
    all = "all"
    train = "train"
    kept_out = "kept-out"


class Banks(StrEnum):
    """Groups of named banks, and of layouts of which each cheque has its own."""

    seen = "seen"
    unseen = "unseen"
    all = "all"
    train = "train"
    kept_out = "kept-out"
    demo = "demo"


class Kind(StrEnum):
    """How a picture was taken (see cheques.drawing.captures)."""

    photographed = "photographed"
    bilevel = "bilevel"
    jpeg = "jpeg"
    upside_down = "upside-down"
    sideways = "sideways"


WHO = "Who writes: the first model knows the seen hands only, later ones those of train; kept-out and unseen, none."
WHOSE = (
    "Whose cheques: the named banks (seen, unseen, all), a new layout for each cheque (train, or kept-out of all "
    "training), or the demo's four banks."
)


def draw(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where c0001.png, … and truth.jsonl are written.")],
    count: Annotated[int, typer.Option(min=1, max=999_999, help="How many cheques.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same cheques.")] = 1,
    hands: Annotated[Hands, typer.Option(help=WHO)] = Hands.seen,
    banks: Annotated[Banks, typer.Option(help=WHOSE)] = Banks.seen,
    damage: Annotated[list[Kind] | None, typer.Option(help="How every picture was taken; may be given twice.")] = None,
    discordant: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of cheques whose figures and words differ; the truth holds both."),
    ] = None,
    hidden: Annotated[
        float, typer.Option(min=0, max=1, help="Share on which figures or words are covered; the truth says '?'.")
    ] = 0.0,
) -> None:
    """Draw cheques of made-up banks, written by hand, into a folder with their truth."""
    from rich.console import Console
    from rich.progress import track

    from cheques.drawing.folder import write_folder

    console = Console(stderr=True)
    # The bar is drawn by whoever iterates over it: one step shows it, and each cheque takes another.
    steps = iter(track(range(count), description="Drawing cheques", console=console, transient=True))
    try:
        next(steps)
        truth = write_folder(
            folder,
            count,
            seed,
            hands.value,
            lambda: next(steps, None),
            banks.value,
            kinds=[kind.value for kind in damage or ()],
            discordant=discordant,
            hidden=hidden,
        )
    except OSError as error:
        reason = error.strerror or error
        message = (
            f"chequemate: cannot write to {folder}: {reason}; give a folder that you may write to, with room in it"
        )
        console.print(message, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    typer.echo(f"{count} cheques and their truth: {truth}")
