"""Which cheque next: pure functions over arrays, and the scores by which Label Studio serves that order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEP = 1e-6  # scores are stored with six decimals
UNREADABLE_SCORE = 2.0  # cheques that cannot be read come after every one that can


def least_certain(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cheques x fields -> the smallest confidence of each cheque, the lower the sooner. NaN (no reading): 0."""
    if confidence.shape[1] == 0:
        return np.zeros(len(confidence))
    smallest: NDArray[np.float64] = np.nan_to_num(confidence, nan=0.0).min(axis=1)
    return smallest


def order(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """The permutation that serves the lowest score first; ties keep the order in which they come."""
    return np.argsort(np.nan_to_num(scores, nan=0.0), kind="stable")


def ascending(own: Sequence[float | None]) -> list[float]:
    """Scores in the order of serving, each more than the one before, so that Label Studio serves exactly this order.

    own: a lesson's own score, which it keeps but for tiny steps where two are equal; None: an exam cheque at its turn,
    which gets a score between its neighbours.
    """
    steps: list[int] = []  # counted in whole steps, so that rounding makes no two equal
    for score in own:
        least = steps[-1] + 1 if steps else 0
        steps.append(least if score is None else max(least, round(score / STEP)))
    return [round(step * STEP, 6) for step in steps]
