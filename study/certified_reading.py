"""Certified reading: the confidence above which cheques may be accepted without a person, with a guarantee.

Learn then Test (Angelopoulos, Bates, Candès, Jordan and Lei, 2021): each threshold is a hypothesis "the misread rate
among what it accepts is above alpha", its p-value the exact binomial tail, and fixed-sequence testing walks from the
strictest threshold down for as long as hypotheses fall. The threshold where it stops holds with the chosen
probability, whatever the model and however few the cheques; only the exam must be a random part of what will come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.metrics import Bools, Floats

MISREADS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
MORE = (1, 2, 3, 5, 10)  # times as many exam cheques as there are
MOST = 10**7  # exam cheques that nobody will ever label
NEVER = -math.inf  # the confidence of what is never accepted, such as a cheque with a "?"


@dataclass(frozen=True)
class Certificate:
    """With probability `level`, at most a share `misread` is wrong among what is accepted from `threshold` up.

    threshold: None where n exam cheques are too few. accepted, wrong: of the exam. share: accepted of n; low: its
    lower end at the same level, for any threshold at once (Dvoretzky, Kiefer, Wolfowitz; Massart's constant).
    needed: exam cheques it takes to certify anything, None where more of them do not help.
    """

    misread: float
    level: float
    n: int
    threshold: float | None
    accepted: int
    wrong: int
    share: float
    low: float
    needed: int | None


def certify(confidence: Floats, right: Bools, misread: float, level: float = 0.95) -> Certificate:
    """The lowest threshold that can be certified. confidence, right: one for each exam cheque, or value of a field."""
    n = len(confidence)
    steps = Steps.of(confidence, right)

    last = steps.certified(misread, 1 - level, 1)
    if last is None:
        return Certificate(misread, level, n, None, 0, 0, 0.0, 0.0, steps.needed(misread, 1 - level))

    accepted = int(steps.accepted[last])
    low = max(0.0, accepted / n - math.sqrt(math.log(1 / (1 - level)) / (2 * n)))
    return Certificate(
        misread, level, n, float(steps.threshold[last]), accepted, int(steps.wrong[last]), accepted / n, low, n
    )


def least(misread: float, level: float = 0.95) -> int:
    """How many accepted cheques, all of them right, it takes to certify a misread rate: 299 for 1 % at 95 %."""
    return math.ceil(math.log(1 - level) / math.log(1 - misread))


@dataclass(frozen=True)
class Outlook:
    """What more exam cheques would bring if they were like those seen: the certified share at `n` of them."""

    n: int
    share: float


def outlook(confidence: Floats, right: Bools, misread: float, level: float = 0.95) -> list[Outlook]:
    """The certified share with 1, 2, 3, 5 and 10 times as many exam cheques."""
    steps, n = Steps.of(confidence, right), len(confidence)
    found = []
    for times in MORE:
        last = steps.certified(misread, 1 - level, times)
        found.append(Outlook(times * n, 0.0 if last is None else float(steps.accepted[last]) / n))
    return found


@dataclass(frozen=True)
class Point:
    """One misread rate of the curve: what is certified there, and what the exam itself would have allowed."""

    misread: float
    certified: float
    seen: float


def curve(confidence: Floats, right: Bools, level: float = 0.95, misreads: Sequence[float] = MISREADS) -> list[Point]:
    """Read rate over misread rate."""
    steps, n = Steps.of(confidence, right), max(len(confidence), 1)
    points = []
    for misread in misreads:
        last = steps.certified(misread, 1 - level, 1)
        allowed = steps.accepted[steps.wrong <= misread * steps.accepted]
        seen = float(allowed.max()) / n if len(allowed) else 0.0
        points.append(Point(misread, 0.0 if last is None else float(steps.accepted[last]) / n, seen))
    return points


@dataclass(frozen=True)
class Steps:
    """Every threshold from the strictest down: what it accepts of n cheques and how much of that is wrong."""

    n: int
    threshold: Floats
    accepted: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @classmethod
    def of(cls, confidence: Floats, right: Bools) -> Steps:
        usable = np.isfinite(confidence)
        order = np.argsort(-confidence[usable], kind="stable")
        sure, wrong = confidence[usable][order], np.cumsum(~right[usable][order])
        # Equal confidences are accepted together: a threshold ends where the next value differs.
        ends = np.flatnonzero(np.append(np.diff(sure) != 0, True)) if len(sure) else np.zeros(0, int)
        return cls(len(confidence), sure[ends], ends + 1, wrong[ends])

    def certified(self, misread: float, risk: float, times: float) -> int | None:
        """The last threshold that fixed-sequence testing reaches, if the exam had `times` as many cheques as these.

        Several walks share the risk (as in the paper): one early misread then stops one walk, not all. They start
        at the fewest accepted cheques that could pass, and at its doubles: that depends on the numbers of cheques
        alone, never on what was right.
        """
        if not len(self.accepted):
            return None
        accepted = np.round(self.accepted * times).astype(np.int64)
        wrong = np.round(self.wrong * times).astype(np.int64)

        # As many walks as the exam has room for: each needs more cheques than the one before.
        for walks in (4, 3, 2, 1):
            first = math.ceil(math.log(risk / walks) / math.log(1 - misread))
            starts = [first * 2**walk for walk in range(walks)]
            if starts[-1] <= accepted[-1]:
                break
        else:
            return None

        passed = stats.binom.cdf(wrong, accepted, misread) <= risk / len(starts)
        best: int | None = None
        for start in starts:
            first = int(np.searchsorted(accepted, start))
            walk = passed[first:]
            if len(walk) and walk[0]:
                stop = len(walk) if walk.all() else int(np.argmin(walk))
                best = max(best if best is not None else 0, first + stop - 1)
        return best

    def needed(self, misread: float, risk: float) -> int | None:
        """Exam cheques to certify anything, if they are like those seen; None if no threshold is good enough."""
        enough = self.n
        while self.certified(misread, risk, enough / max(self.n, 1)) is None:
            enough = 2 * max(enough, 1)
            if enough > MOST:
                return None
        too_few = enough // 2
        while enough - too_few > 1:
            middle = (enough + too_few) // 2
            if self.certified(misread, risk, middle / self.n) is None:
                too_few = middle
            else:
                enough = middle
        return enough
