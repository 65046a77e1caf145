"""`chequemate pretrain`: trains the small reader that ships with the project, from nothing, on drawn cheques."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    minutes: Annotated[float, typer.Option(min=0.1, help="how long to train, over all resumes")] = 120.0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="go on from the checkpoints in --out")] = False,
    begin: Annotated[
        Path | None,
        typer.Option("--from", help="a folder with a small model: its weights go straight to whole cheques"),
    ] = None,
    out: Annotated[Path, typer.Option(help="checkpoints and the best model (in its folder `model`)")] = Path(
        ".chequemate/pretraining"
    ),
) -> None:
    """Train the small reader on drawn cheques; the best model so far is always in OUT/model."""
    sys.path.append(str(Path(__file__).parent.parent))  # a clone has research/ beside this package, a wheel does not
    try:
        from research.pretraining import checkpoint
    except ModuleNotFoundError:
        raise typer.BadParameter(
            "pretraining is not part of the installed package: run it from a clone of the project"
        ) from None
    from research.pretraining.run import is_there
    from research.pretraining.run import pretrain as train

    if not is_there(device):
        raise typer.BadParameter(f"{device}: no CUDA device here; use --device cpu", param_hint="--device")
    if not resume and any(out.glob("*.safetensors")):
        raise typer.BadParameter(
            f"{out} holds checkpoints: add --resume to go on, or give another --out", param_hint="--out"
        )
    try:
        train(minutes, device, out, resume=resume, begin=begin, log=typer.echo)
    except checkpoint.BadCheckpoint as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
