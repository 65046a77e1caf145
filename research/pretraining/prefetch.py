"""Batches drawn ahead in other processes, in order: a number's batch is the same on every machine and every resume."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Batch = dict[str, Any]  # numpy arrays and lists of texts


@contextmanager
def drawn_ahead(draw: Callable[[int], Batch], first: int, processes: int) -> Iterator[Iterator[Batch]]:
    """draw(first), draw(first + 1), … made by `processes` processes (0: by this one), a few batches ahead."""
    if processes == 0:
        yield _here(draw, first)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_yield_the_processor) as pool:
        yield _from(pool, draw, first, 2 * processes + 2)


def _here(draw: Callable[[int], Batch], number: int) -> Iterator[Batch]:
    while True:
        yield draw(number)
        number += 1


def _from(pool: Any, draw: Callable[[int], Batch], number: int, depth: int) -> Iterator[Batch]:
    pending = deque(pool.apply_async(draw, (number + i,)) for i in range(depth))
    number += depth
    while True:
        pending.append(pool.apply_async(draw, (number,)))
        number += 1
        yield pending.popleft().get()


def _yield_the_processor() -> None:
    """Drawing gives way to training; and a Ctrl-C is the parent's to answer."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(1)
