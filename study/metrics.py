"""Numbers about readings: exact match with intervals, confidence, and what could be accepted without a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RESAMPLES = 4000
BINS = 10


@dataclass(frozen=True)
class Estimate:
    """An estimate with its two-sided 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


def paired_gain(one: Floats, other: Floats, *, median: bool = False, seed: int = 0) -> Estimate | None:
    """How much better `one` is than `other` on the same cheques: bootstrap over cheques; None for fewer than two."""
    if len(one) < 2:
        return None
    centre = np.median if median else np.mean
    rows = np.random.default_rng(seed).integers(0, len(one), (RESAMPLES, len(one)))
    gains = centre(one[rows], axis=1) - centre(other[rows], axis=1)
    low, high = np.quantile(gains, (0.025, 0.975))
    return Estimate(float(centre(one) - centre(other)), float(low), float(high))


def auroc(confidence: Floats, right: Bools) -> float | None:
    """The chance that a right value is more trusted than a wrong one (Mann-Whitney); None where one kind is missing."""
    good, bad = int(right.sum()), int((~right).sum())
    if not good or not bad:
        return None
    # Ranks give equal confidences half a win each.
    ranks = stats.rankdata(confidence)
    return float((ranks[right].sum() - good * (good + 1) / 2) / (good * bad))


def calibration_error(confidence: Floats, right: Bools) -> float | None:
    """Expected calibration error over BINS equal bins of confidence; None where there is nothing."""
    if not len(right):
        return None
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(right[bins == b].mean()) - float(confidence[bins == b].mean())) * float((bins == b).sum())
        for b in range(BINS)
        if (bins == b).any()
    ]
    return sum(gaps) / len(right)


def measurable_from(target: float) -> int:
    """The cheques it takes to say anything of a misread rate: three times its inverse (the rule of three)."""
    return round(3 / target)


def read_rate(confidence: Floats, right: Bools, target: float) -> float | None:
    """The largest share that can be accepted by confidence with at most `target` wrong among them.

    None where so few cheques cannot carry it. Cheques of equal confidence are accepted together or not at all.
    """
    n = len(right)
    if n < measurable_from(target):
        return None
    order = np.argsort(-confidence, kind="stable")
    misread = np.cumsum(~right[order]) / np.arange(1, n + 1)
    ends = np.append(np.diff(confidence[order]) != 0, True)
    # A confidence of 0 marks what is never accepted, such as a "?".
    allowed = np.flatnonzero((misread <= target) & ends & (confidence[order] > 0))
    return float(allowed[-1] + 1) / n if len(allowed) else 0.0


def at_most(events: int, n: int, level: float = 0.95) -> float:
    """The exact upper bound of a rate (Clopper-Pearson, one-sided): what a rate of zero really says."""
    if events >= n:
        return 1.0
    return float(stats.binomtest(events, n, alternative="less").proportion_ci(level, "exact").high)


def percent(rate: float | None) -> str:
    """As it is shown; a dash where nobody knows."""
    return "–" if rate is None else f"{rate:.1%}"
