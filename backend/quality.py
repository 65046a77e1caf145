"""Does quality hold? Fields right in both arms, and how often a wrong pre-label was waved through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from backend.trial import Estimate
from backend.work import Work

Floats = NDArray[np.float64]
REPLICATES = 1000
LEAST = 20  # cheques in each half of the exam below which no rate is shown


@dataclass(frozen=True)
class Right:
    """Fields right against a ground-truth label, or the same against a second annotator. None: nothing to compare."""

    blind: Estimate | None
    prelabel: Estimate | None
    cheques: tuple[int, int]


@dataclass(frozen=True)
class Waved:
    """Wrong pre-labels that were accepted, as a share. cheques: of the blind and of the pre-labelled half.

    rate is None while there is too little, or the reader made no mistake on the blind half.
    """

    rate: Estimate | None
    cheques: tuple[int, int]
    reader_wrong: float | None


def right(work: Sequence[Work]) -> Right:
    """Field by field against the reference of the same cheque: its ground truth, else another annotator's label."""
    by_task: defaultdict[int, list[Work]] = defaultdict(list)
    for one in work:
        if not one.skipped:
            by_task[one.task].append(one)
    shares: dict[str, list[float]] = {"blind": [], "prelabel": []}
    for labels in by_task.values():
        for one in labels:
            reference = _reference(one, labels)
            if one.arm and reference and not one.ground_truth:
                shares[one.arm].append(_same(one.values, reference.values))
    blind, prelabel = np.array(shares["blind"]), np.array(shares["prelabel"])
    return Right(_mean(blind), _mean(prelabel), (len(blind), len(prelabel)))


def _reference(one: Work, labels: Sequence[Work]) -> Work | None:
    others = [other for other in labels if other.annotation != one.annotation]
    true = next((other for other in others if other.ground_truth), None)
    return true or next((other for other in others if other.annotator != one.annotator), None)


def _same(values: Mapping[str, str], reference: Mapping[str, str]) -> float:
    return float(np.mean([values.get(name, "") == value for name, value in reference.items()])) if reference else 1.0


def _mean(shares: Floats) -> Estimate | None:
    """Mean over cheques with Student's interval; where all are alike, an exact one (Clopper, Pearson) on cheques."""
    n = len(shares)
    if n < 2:
        return None
    mean = float(shares.mean())
    if shares.std() == 0:
        slack = 1 - 0.025 ** (1 / n)
        return Estimate(mean, max(0.0, mean - slack), min(1.0, mean + slack))
    error = float(shares.std(ddof=1)) / n**0.5 * float(stats.t.ppf(0.975, n - 1))
    return Estimate(mean, max(0.0, mean - error), min(1.0, mean + error))


def waved_through(work: Sequence[Work], said: Mapping[int, Mapping[str, str]], seed: int = 0) -> Waved:
    """The two halves of the exam side by side, with an interval from the Bayesian bootstrap over cheques.

    said: what the reader would have said on blind cheques, by task. There the labels show how many fields it reads
    wrong; on the pre-labelled half, how many people changed. What is missing was waved through.
    """
    blind = np.array([_different(o.values, said[o.task]) for o in work if _counts(o, "blind") and o.task in said])
    shown = np.array([_different(o.values, o.shown or {}) for o in work if _counts(o, "prelabel")])
    cheques = (len(blind), len(shown))
    wrong = float(blind.mean()) if len(blind) else None
    if min(cheques) < LEAST or not wrong:
        return Waved(None, cheques, wrong)
    rng = np.random.default_rng(seed)
    rates = 1 - _weighted(rng, shown) / np.maximum(_weighted(rng, blind), 1e-9)
    low, high = np.clip(np.quantile(rates, [0.025, 0.975]), -1.0, 1.0)
    return Waved(Estimate(1 - float(shown.mean()) / wrong, float(low), float(high)), cheques, wrong)


def _counts(one: Work, arm: str) -> bool:
    return one.arm == arm and not one.skipped


def _different(values: Mapping[str, str], read: Mapping[str, str]) -> float:
    return 1 - _same(read, values)


def _weighted(rng: np.random.Generator, shares: Floats) -> Floats:
    weights = rng.standard_exponential((REPLICATES, len(shares)))
    mean: Floats = weights @ shares / weights.sum(axis=1)
    return mean
