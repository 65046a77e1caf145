"""`chequemate replay`: is the chosen order of labelling better than chance? Replayed on labels that are known."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from chequemate.output import check_places, write_file

console = Console()


def replay(
    project: Annotated[
        int | None,
        typer.Option(min=1, help="Replay the labels of this project, its exam as judge; drawn mail if left out."),
    ] = None,
    strategies: Annotated[
        str, typer.Option(help="Comma-separated: random, uncertainty, diverse, active.")
    ] = "random,active",
    seeds: Annotated[int, typer.Option(min=1, help="How many times, each with other first labels.")] = 8,
    first_seed: Annotated[int, typer.Option(min=0, help="Tune on some, report on others.")] = 1,
    start: Annotated[int, typer.Option(min=1, help="Labels at the first training, chosen by chance.")] = 20,
    steps: Annotated[int, typer.Option(min=2, help="Trainings, the first and the last among them.")] = 6,
    to: Annotated[int, typer.Option(min=2, help="Labels at the last training.")] = 200,
    pool: Annotated[int, typer.Option(min=3, help="Drawn cheques to choose from.")] = 400,
    test: Annotated[int, typer.Option(min=3, help="Drawn cheques that everything is judged on.")] = 240,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 4,
    jobs: Annotated[int, typer.Option(min=1, help="Cells at once; on a CPU as many as there are cores.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Where each cell is kept (here, or in the home for a project): a replay cut off goes on."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write curves and differences there.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curves there (SVG).")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small one, minutes on two cores: it proves nothing.")
    ] = False,
) -> None:
    """Train on the labels that each strategy would have asked for, and compare the learning curves."""
    from cheques.settings import settings
    from reader.gpu_lock import card_here
    from trainer.plots import replay_curves
    from worker.acquisition import STRATEGIES
    from worker.replay import Plan

    names = tuple(dict.fromkeys(name.strip() for name in strategies.split(",") if name.strip()))
    if unknown := [name for name in names if name not in STRATEGIES] or (not names and ["nothing"]):
        raise typer.BadParameter(f"no strategy {unknown[0]}: give some of {', '.join(STRATEGIES)}")
    if quick:
        seeds, start, steps, to, pool, test, epochs = min(seeds, 2), 8, 2, 16, 40, 24, 1
    lessons, exam = ids_of(project) if project else ((), ())
    if project:
        pool, test, to = len(lessons), len(exam), min(to, len(lessons))
        if not exam:
            raise typer.BadParameter(
                f"project {project} has no labelled exam cheque to judge on", param_hint="--project"
            )
    if not start + steps - 1 <= to <= pool:
        has = f"; the project has {pool} lessons" if project else ", and the --pool hold as many"
        raise typer.BadParameter(f"the labels must rise at every step from --start to --to{has}")
    check_places(json_file, plot)
    labels = tuple(round(start + (to - start) * number / (steps - 1)) for number in range(steps))
    out = out or (settings().home if project else Path()) / "replay"
    ids = f"-project{project}-{hashlib.sha256(json.dumps([lessons, exam]).encode()).hexdigest()[:8]}" if project else ""
    plan = Plan(
        strategies=names,
        seeds=tuple(range(first_seed, first_seed + seeds)),
        labels=labels,
        pool=pool,
        test=test,
        epochs=epochs,
        folder=cells_folder(out, labels, pool, test, epochs, ids),
        project=project,
        lessons=lessons,
        exam=exam,
    )
    with card_here(settings()), resumable():
        run_cells(plan, jobs)
    found = result(plan)
    console.print(table(found))
    if json_file:
        write_file(json_file, json.dumps(found, indent=1) + "\n")
    if plot:
        write_file(plot, replay_curves(found))


@contextmanager
def resumable() -> Iterator[None]:
    """A full disk, or a cell that is killed for want of memory, is one line."""
    from concurrent.futures.process import BrokenProcessPool

    from trainer.recipe import TrainingError

    try:
        yield
    except (OSError, BrokenProcessPool) as error:
        why = "a cell was killed" if isinstance(error, BrokenProcessPool) else error.strerror
        raise TrainingError(
            f"the replay stopped ({why}): make room, take fewer --jobs, start it again; it goes on"
        ) from None


def ids_of(project: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lessons and the exam cheques of the project that a replay can use. Raises StudioError."""
    from worker.replay import labels_of

    _, lessons, exam = labels_of(project)
    return tuple(one.id for one in lessons), tuple(one.id for one in exam)


def cells_folder(out: Path, labels: tuple[int, ...], pool: int, test: int, epochs: int, of_project: str = "") -> Path:
    """Cells of one base, one recipe, one method and one setting: others could not be compared with them."""
    from cheques.settings import settings
    from reader.base_model import base_identity
    from worker.acquisition import NO_SIGNAL, SHORTLIST, SPREAD
    from worker.replay import RECIPE

    method = [asdict(RECIPE), settings().worth, SPREAD, SHORTLIST, NO_SIGNAL]
    digest = hashlib.sha256(json.dumps(method, sort_keys=True).encode()).hexdigest()[:8]
    base = base_identity(settings().model).replace("/", "-")
    folder = out / f"{base}-{digest}-{'-'.join(map(str, labels))}-pool{pool}-test{test}-epochs{epochs}{of_project}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}; give another folder") from None
    return folder


def run_cells(plan: Any, jobs: int) -> None:
    """Every cell, stage by stage, some at once; cells that are there already count as done."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from worker.replay import run

    if jobs > 1:
        # The workers read it when they begin; with all cores for each they would wait for one another.
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    bar = Progress(TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # spawn: neither CUDA nor torch's threads survive a fork.
    with bar, ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        task = bar.add_task("", total=sum(map(len, plan.stages())))
        for stage in plan.stages():
            for _ in ended([workers.submit(run, plan, *cell) for cell in stage]):
                bar.advance(task)


def ended(futures: list[Any]) -> Iterable[None]:
    """One after the other as they end; the first error stops what has not begun."""
    from concurrent.futures import as_completed

    for future in as_completed(futures):
        if error := future.exception():
            for other in futures:
                other.cancel()
            raise error
        yield


def result(plan: Any) -> dict[str, Any]:
    """The replay as JSON: what was done, the curves and their differences, and every cell."""
    import numpy as np

    from worker.curves import compared
    from worker.replay import FIRST, run

    def cell(strategy: str, seed: int, labels: int) -> Any:
        # The first training is the same for every strategy: nothing is chosen yet.
        return run(plan, FIRST if labels == plan.labels[0] else strategy, seed, labels)

    cells = {name: [[cell(name, seed, n) for n in plan.labels] for seed in plan.seeds] for name in plan.strategies}
    means = {name: np.array([[one.mean for one in row] for row in rows]) for name, rows in cells.items()}
    tails = {name: np.array([[one.tail for one in row] for row in rows]) for name, rows in cells.items()}
    # The shared first cells stand in every row; their time counts once.
    done = {(one.strategy, one.seed, one.labels): one.seconds for rows in cells.values() for row in rows for one in row}
    about = {"pool": plan.pool, "test": plan.test, "epochs": plan.epochs, "folder": plan.folder.name}
    about |= {"seconds": round(sum(done.values()))}  # of all cells, one after the other
    each = [
        {"strategy": name} | {key: getattr(one, key) for key in ("seed", "labels", "mean", "tail", "kinds")}
        for name, rows in cells.items()
        for row in rows
        for one in row
    ]
    return about | compared(means, None if plan.project else tails, plan.labels) | {"cells": each}


def table(found: dict[str, Any]) -> Table:
    """The curves for people, each with its 95 % interval over the seeds."""
    has_tail = "labels_to_match_random_tail" in found
    brackets = "; the long tail alone in brackets" if has_tail else " on the project's exam"
    shown = Table(title=f"exact match over {found['seeds']} seeds{brackets}")
    shown.add_column("labels", justify="right")
    for name in found["curves"]:
        shown.add_column(name, justify="right")
    for place, labels in enumerate(found["labels"]):
        points = [curve[place] for curve in found["curves"].values()]
        tails = (f" ({with_spread(p, 'tail')})" if has_tail else "" for p in points)
        shown.add_row(str(labels), *(with_spread(p, "mean") + tail for p, tail in zip(points, tails, strict=True)))
    if matching := found.get("labels_to_match_random"):
        shown.add_section()
        tail = found.get("labels_to_match_random_tail", {})
        reached = (
            f"{matching[name] or 'never'}" + (f" ({tail[name] or 'never'})" if tail else "") for name in found["curves"]
        )
        shown.add_row("as good as random's last at", *reached)
        gains = (with_spread(found["gain"][name], "mean") if name in found["gain"] else "" for name in found["curves"])
        shown.add_row("more than random, over the curve", *gains)
        sure = found["beats_random"]
        shown.add_row(
            "beats random", *("" if sure.get(name) is None else f"{sure[name]:.0%}" for name in found["curves"])
        )
    return shown


def with_spread(point: dict[str, Any], what: str) -> str:
    low, high = point[f"{what}_low"], point[f"{what}_high"]
    return f"{point[what]:.3f}" + (f" ±{(high - low) / 2:.3f}" if low is not None else "")
