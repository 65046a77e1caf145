"""Learning curves of several strategies over the same seeds, and what may be said of their difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Curves = NDArray[np.float64]  # (seeds, numbers of labels)
LEVEL = 0.95


def compared(curves: Mapping[str, Curves], tails: Mapping[str, Curves] | None, labels: Sequence[int]) -> dict[str, Any]:
    """What a replay shows, as JSON: curves with t intervals over seeds, and each strategy beside `random`.

    tails: the same over the long tail alone, None where there is none. area: the mean height of a curve. difference:
    from random's on the same seeds, paired. labels_to_match_random: the number from which on the mean curve stays as
    high as that of random at its end, None if it does not; …_tail: the same for the long tail alone, …_between: its
    95 % interval, by drawing the seeds again, None where it has no end. gain: by how much the area is larger than
    random's. beats_random: the probability that it is larger at all, 1 - p of a one-sided paired t test (a flat prior);
    None below two seeds. All of it holds for the one test set of all cells.
    """
    found: dict[str, Any] = {"labels": list(labels), "seeds": len(next(iter(curves.values())))}
    both = {"mean": curves} | ({"tail": tails} if tails else {})
    found["curves"] = {name: points_of(labels, {what: some[name] for what, some in both.items()}) for name in curves}
    found["area"] = {name: round(float(areas(curve, labels).mean()), 4) for name, curve in curves.items()}
    if (chance := curves.get("random")) is not None:
        others = {name: curve for name, curve in curves.items() if name != "random"}
        found["difference"] = {
            name: points_of(labels, {what: some[name] - some["random"] for what, some in both.items()})
            for name in others
        }
        for what, some in both.items():
            goal = float(some["random"][:, -1].mean())
            found["labels_to_match_random" + ("_tail" if what == "tail" else "")] = {
                name: reaches(curve.mean(axis=0), labels, goal) for name, curve in some.items()
            }
        found["labels_to_match_random_between"] = {
            name: match_interval(c, chance, labels) for name, c in others.items()
        }
        gains = {name: areas(curve, labels) - areas(chance, labels) for name, curve in others.items()}
        found["gain"] = {name: with_interval("mean", gain) for name, gain in gains.items()}
        found["beats_random"] = {name: sure_above_zero(gain) for name, gain in gains.items()}
    return found


def interval(values: Curves) -> tuple[float, float]:
    """The t interval of a mean over seeds; NaN below two seeds."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def match_interval(curve: Curves, chance: Curves, labels: Sequence[int], draws: int = 2000) -> list[int | None]:
    """The 95 % interval of labels_to_match_random over the seeds, drawn again with replacement."""
    seeds = np.random.default_rng(0).integers(0, len(curve), (draws, len(curve)))
    reached = [reaches(curve[again].mean(0), labels, float(chance[again, -1].mean())) for again in seeds]
    ends = np.quantile([labels[-1] + 1 if n is None else n for n in reached], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [int(end) if end <= labels[-1] else None for end in ends]


def reaches(curve: Curves, labels: Sequence[int], goal: float) -> int | None:
    """The number of labels, between the measured ones too, from which on a curve stays as high as `goal`."""
    below = np.flatnonzero(curve < goal - 1e-12)
    if not len(below):
        return labels[0]
    last = int(below[-1])
    if last == len(labels) - 1:
        return None
    share = (goal - curve[last]) / (curve[last + 1] - curve[last])
    return int(np.ceil(labels[last] + share * (labels[last + 1] - labels[last]) - 1e-9))


def sure_above_zero(gains: Curves) -> float | None:
    """1 - p of a one-sided t test that the mean gain is above zero; None below two seeds."""
    if len(gains) < 2 or not gains.std():
        return None
    return round(float(1 - stats.ttest_1samp(gains, 0, alternative="greater").pvalue), 4)


def areas(curve: Curves, labels: Sequence[int]) -> Curves:
    width = labels[-1] - labels[0] or 1
    return np.asarray(np.trapezoid(curve, labels, axis=1)) / width if len(labels) > 1 else curve[:, 0]


def points_of(labels: Sequence[int], curves: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """At each number of labels the mean over the seeds of each of the curves, with its interval."""
    points = []
    for place, count in enumerate(labels):
        point: dict[str, Any] = {"labels": count}
        for name, curve in curves.items():
            point |= with_interval(name, curve[:, place])
        points.append(point)
    return points


def with_interval(name: str, values: Curves) -> dict[str, float | None]:
    low, high = interval(values)
    return {name: rounded(values.mean()), f"{name}_low": rounded(low), f"{name}_high": rounded(high)}


def rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
