"""Pretraining on whole cheques, one batch at a time against one for each core: `python -m research.bench.pretraining`.

Cheques a second of the very loop of `chequemate pretrain`, drawing included, from weights that have seen nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from research.pretraining import run
from research.pretraining.checkpoint import Progress
from research.pretraining.loop import Plan, train
from research.pretraining.reading import ChequesStage

WARM_UP = 15.0  # seconds: the drawing processes start, memory is taken


def speed(copies: int, seconds: float, folder: Path) -> float:
    """Cheques a second with so many batches beside each other, on all cores either way."""
    modules, optimiser = run.fresh("cpu", patches=2, copies=copies)
    stage = ChequesStage(8, fixed=0)
    plan = Plan(WARM_UP, folder, run.drawing_processes(), measure_every=1e9, log=lambda line: None)
    warm = train(stage, modules, optimiser, Progress(stage.name), plan)
    # Batches are drawn by number: the second part starts at one of the same kind as the first.
    begin = replace(warm, batches=warm.batches // 8 * 8)
    done = train(stage, modules, optimiser, begin, replace(plan, seconds=begin.seconds + seconds))
    return (done.samples - begin.samples) / (done.seconds - begin.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    copies = run.side_by_side("cpu")
    with tempfile.TemporaryDirectory() as folder:
        one, several = speed(1, seconds, Path(folder)), speed(copies, seconds, Path(folder))
    print(f"one batch at a time    {one:5.1f} cheques a second")
    print(f"{copies} beside each other    {several:5.1f} cheques a second, {several / one:.2f} times as many")


if __name__ == "__main__":
    main()
