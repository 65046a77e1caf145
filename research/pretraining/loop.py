"""One loop for every stage: draw ahead, learn, and now and then measure on the fixed sets, save, export."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from research.pretraining import checkpoint
from research.pretraining.checkpoint import Progress
from research.pretraining.optimiser import Optimiser
from research.pretraining.prefetch import drawn_ahead

WARM_UP = 100  # batches


class Stage(Protocol):
    name: str
    draw: Any  # number of a batch -> the batch; `size`: its samples

    def loss(self, modules: nn.ModuleDict, batch: dict[str, Any], samples: int) -> dict[str, Tensor]: ...

    def score(self, modules: nn.ModuleDict) -> dict[str, float]: ...


@dataclass(frozen=True)
class Plan:
    """How long, where to, and how often; `clock` is replaced in tests.

    `cool_down`: the last share of the time, in which the rate falls to a fiftieth.
    """

    seconds: float
    folder: Path
    processes: int = 1
    measure_every: float = 300.0
    cool_down: float = 0.4
    log: Callable[[str], None] = print
    after_measure: Callable[[nn.ModuleDict, Progress, dict[str, float]], None] | None = None
    clock: Callable[[], float] = field(default=time.monotonic)


def train(stage: Stage, modules: nn.ModuleDict, optimiser: Optimiser, progress: Progress, plan: Plan) -> Progress:
    """Trains until the stage has had its seconds (over all resumes); returns where it stands. Saves at each measure."""
    since = Since(plan.clock())
    measured = progress.seconds
    copies = len(optimiser.copies)
    side_by_side = ThreadPoolExecutor(copies, initializer=_share_the_cores, initargs=(copies,))
    with (
        drawn_ahead(stage.draw, progress.first_batch(stage.draw.size), plan.processes) as batches,
        _held(plan, optimiser, modules),
        side_by_side,
    ):
        for group in zip(*[batches] * copies, strict=True):  # the next batches, one for each copy
            share = rate(progress, plan)
            losses = side_by_side.map(partial(_learn, stage, progress.samples), optimiser.copies, group)
            for batch, values in zip(group, losses, strict=True):
                count = len(batch["images"])
                progress = progress.after(count, since.lap(plan.clock()))
                since.add(values, count)
            optimiser.step(share)
            over = progress.seconds >= plan.seconds
            if over or progress.seconds - measured >= plan.measure_every:
                measured = progress.seconds
                _measure(stage, modules, optimiser, progress, plan, since.line())
                since = Since(plan.clock())
            if over:
                return progress
    return progress


def rate(progress: Progress, plan: Plan) -> float:
    """The share of the full learning rate: a warm-up in batches, then full, then down."""
    left = max(0.0, 1 - progress.seconds / plan.seconds) / plan.cool_down
    return min(1.0, (progress.batches + 1) / WARM_UP) * max(0.02, min(1.0, left))


def _learn(stage: Stage, samples: int, modules: nn.ModuleDict, batch: dict[str, Any]) -> dict[str, float]:
    """Adds the batch's gradients to those of the modules; returns its losses."""
    losses = stage.loss(modules, batch, samples)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    return {name: float(value.detach()) for name, value in losses.items()}


def _share_the_cores(copies: int) -> None:
    """The products are too small for many threads: on two cores two batches beside each other took 0.75 of the time."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // copies))


class Since:
    """Losses and speed since the last line of the log."""

    def __init__(self, now: float) -> None:
        self.now, self.seconds, self.count = now, 0.0, 0
        self.sums: dict[str, float] = {}
        self.steps = 0

    def lap(self, now: float) -> float:
        passed, self.now = now - self.now, now
        self.seconds += passed
        return passed

    def add(self, losses: dict[str, float], count: int) -> None:
        self.steps += 1
        self.count += count
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def line(self) -> str:
        means = " ".join(f"{name} {total / max(1, self.steps):.3f}" for name, total in self.sums.items())
        return f"{means} {self.count / max(1e-9, self.seconds):.1f}/s"


def _measure(
    stage: Stage, modules: nn.ModuleDict, optimiser: Optimiser, progress: Progress, plan: Plan, line: str
) -> None:
    scores = stage.score(optimiser.fast)
    checkpoint.save(plan.folder / f"{stage.name}.safetensors", progress, modules, optimiser)
    shown = " ".join(f"{name} {value:.3f}" for name, value in scores.items())
    plan.log(f"{stage.name} {progress.seconds / 60:.1f} min {progress.samples} seen {line} {shown}")
    if plan.after_measure is not None:
        plan.after_measure(modules, progress, scores)


@contextmanager
def _held(plan: Plan, optimiser: Optimiser, modules: nn.ModuleDict) -> Iterator[None]:
    """Training mode for the time of the loop."""
    modules.train()
    for one in optimiser.copies:
        one.train()
    torch.set_grad_enabled(True)
    try:
        yield
    finally:
        modules.eval()
        for one in optimiser.copies:
            one.eval()
