"""Does quality hold? Fields right in both arms, wrong pre-labels that were waved through, planted errors caught."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from scipy import stats

from study.metrics import Estimate, Floats
from study.timed_annotation import TimedAnnotation

REPLICATES = 1000
LEAST = 20  # cheques in each half of the exam below which no rate is shown


@dataclass(frozen=True)
class Right:
    """Fields right against a ground-truth label, or the same against a second annotator. None: nothing to compare.

    A second annotator of a pre-labelled cheque was shown the same pre-label: what both wave through counts as right.
    """

    blind: Estimate | None
    prelabel: Estimate | None
    cheques: tuple[int, int]


@dataclass(frozen=True)
class Waved:
    """Wrong pre-labels that were accepted, as a share. cheques: of the blind and of the pre-labelled half.

    rate: None while there are too few cheques, or where the reader made no mistake on the blind half.
    """

    rate: Estimate | None
    cheques: tuple[int, int]
    reader_wrong: float | None


@dataclass(frozen=True)
class Share:
    """count of n, with the exact 95 % interval of the share (Clopper and Pearson, 1934); no share where n is 0."""

    count: int
    n: int

    @property
    def estimate(self) -> Estimate | None:
        if not self.n:
            return None
        ends = stats.binomtest(self.count, self.n).proportion_ci(0.95, "exact")
        return Estimate(self.count / self.n, float(ends.low), float(ends.high))

    def as_json(self) -> dict[str, Any]:
        found = self.estimate
        ends = {"share": found.value, "low": found.low, "high": found.high} if found else {}
        return {"planted": self.n, "caught": self.count, **{name: round(end, 4) for name, end in ends.items()}}


@dataclass(frozen=True)
class Caught:
    """Planted errors that people corrected: overall and by field. left: the tasks on which one was left as shown."""

    overall: Share
    by_field: dict[str, Share]
    left: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        fields = {name: share.as_json() for name, share in self.by_field.items()}
        return {**self.overall.as_json(), "fields": fields, "left": list(self.left)}


def caught(work: Sequence[TimedAnnotation]) -> Caught:
    """How many planted errors were seen, of those that were shown to somebody who answered."""
    shown = [one for one in work if one.caught is not None]
    by_field: defaultdict[str, list[bool]] = defaultdict(list)
    for one in shown:
        by_field[one.planted].append(bool(one.caught))
    return Caught(
        Share(sum(bool(one.caught) for one in shown), len(shown)),
        {name: Share(sum(seen), len(seen)) for name, seen in sorted(by_field.items())},
        tuple(sorted({one.task for one in shown if not one.caught})),
    )


def right(work: Sequence[TimedAnnotation]) -> Right:
    """Field by field against the reference of the same cheque: its ground truth, else another annotator's label.

    work: oldest first. However many labels a cheque has, it counts once: its labels are not independent.
    """
    by_task: defaultdict[int, dict[tuple[int | None, bool], TimedAnnotation]] = defaultdict(dict)
    for one in work:
        if not one.skipped:
            by_task[one.task][one.annotator, one.ground_truth] = one  # the latest of each annotator

    shares: dict[str, list[float]] = {"blind": [], "prelabel": []}
    for latest in by_task.values():
        labels = list(latest.values())
        true = max((one for one in labels if one.ground_truth), key=lambda one: one.at, default=None)
        pairs = permutations(labels, 2) if true is None else ((one, true) for one in labels if not one.ground_truth)
        same = [(one.arm, agreement(one.values, reference.values)) for one, reference in pairs]
        for arm, found in shares.items():
            if own := [share for of, share in same if of == arm]:
                found.append(float(np.mean(own)))

    blind, prelabel = np.array(shares["blind"]), np.array(shares["prelabel"])
    return Right(mean_estimate(blind), mean_estimate(prelabel), (len(blind), len(prelabel)))


def agreement(values: Mapping[str, str], reference: Mapping[str, str]) -> float:
    """The share of the fields known on both sides that are the same; 1 where there are none."""
    same = [values[name] == value for name, value in reference.items() if name in values]
    return float(np.mean(same)) if same else 1.0


def mean_estimate(shares: Floats) -> Estimate | None:
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


def waved_through(work: Sequence[TimedAnnotation], said: Mapping[int, Mapping[str, str]], seed: int = 0) -> Waved:
    """The two halves of the exam side by side, with an interval from the Bayesian bootstrap over cheques.

    said: what the reader says on blind cheques, by task. There the labels show how many fields it reads wrong; on the
    pre-labelled half they show how many people changed. The difference was waved through.
    """
    answered = [one for one in work if not one.skipped]
    read = [(one.values, said[one.task]) for one in answered if one.arm == "blind" and one.task in said]
    left = [(one.values, one.shown or {}) for one in answered if one.arm == "prelabel"]
    blind, shown = (np.array([1 - agreement(*pair) for pair in pairs]) for pairs in (read, left))
    cheques = (len(blind), len(shown))
    wrong = float(blind.mean()) if len(blind) else None
    if min(cheques) < LEAST or not wrong:
        return Waved(None, cheques, wrong)
    rng = np.random.default_rng(seed)
    # A replicate can weigh the reader's mistakes so little that nothing is left to divide by.
    rates = 1 - bootstrap_means(rng, shown) / np.maximum(bootstrap_means(rng, blind), 1e-9)
    low, high = np.clip(np.quantile(rates, [0.025, 0.975]), -1.0, 1.0)
    return Waved(Estimate(1 - float(shown.mean()) / wrong, float(low), float(high)), cheques, wrong)


def bootstrap_means(rng: np.random.Generator, shares: Floats) -> Floats:
    """REPLICATES means under the random weights of the Bayesian bootstrap."""
    weights = rng.standard_exponential((REPLICATES, len(shares)))
    mean: Floats = weights @ shares / weights.sum(axis=1)
    return mean
