"""The learning curve: exact match over lessons learned from, what more labels would bring, and how sure that is.

A few versions nearly never determine a power law. So every law of a wide grid is fitted, each weighed by how well it
explains the exam. What is said is their mean, and an interval spans all that explain it about as well as the best (a
profile likelihood's). `tests/test_trainer_learning.py` holds the intervals against curves that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from study.metrics import Estimate, Floats

VERSIONS_NEEDED = 3  # of different numbers of lessons
EXAM_NEEDED = 20  # cheques that the version with most of them was judged on
REACH = 3.0  # times the lessons there are: nothing is said of what lies beyond
LIKELY = 3.84  # twice the log likelihood ratio up to which a law explains the versions about as well

# error(n) = e0 (f + (1 - f) (1 + n / n0)^-b), that is c + a (n + n0)^-b with c = f e0.
FLOORS = (*np.linspace(0.0, 0.95, 16), 1.0)  # f: the share of the base's errors that no label removes; 1: all
EXPONENTS = (0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2, 1.5, 3.0, 10.0)  # b; the last is nearly an exponential
OFFSETS = tuple(np.geomspace(2.0, 1000.0, 12))  # n0, in lessons
TRAINING_NOISE = (0.0025, 0.005, 0.01, 0.02, 0.04)  # how far one training lies off the curve (standard deviation)
JUMPS = (0.0, 0.05, 0.2)  # how far the base may lie off its adapters' curve: first lessons teach the format, too


@dataclass(frozen=True)
class Point:
    """One reader judged: the base (no lessons, not trained) or a version.

    n: exam cheques. mean: exact match on them. scores: by exam cheque, the share of its fields that are right;
    empty where it is not on record.
    """

    labels: int
    n: int
    mean: float
    scores: Mapping[str, float] = field(default_factory=dict)
    trained: bool = True


@dataclass(frozen=True)
class Lack:
    """Why there is no curve yet: of `what` there are `have`, and it takes `needed`."""

    what: Literal["versions", "exam", "labels"]
    have: int
    needed: int


@dataclass(frozen=True)
class Needed:
    """Lessons in all that a target takes. reached: the curve is there now.

    labels: None beyond reach. low, high: where the better and the worse edge of the band get there, None beyond reach.
    """

    target: float
    reached: bool
    labels: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Curve:
    """The power laws that explain the versions about as well as the best one. Arrays: one entry a power law.

    labels: lessons of the version with most of them. paired: every point is compared cheque by cheque.
    start: error at no lesson; slack: how far it may lie from there while the law is still among the likely ones.
    weight: how likely each law is; they sum to one.
    """

    labels: int
    paired: bool
    floor: Floats
    exponent: Floats
    offset: Floats
    start: Floats
    slack: Floats
    weight: Floats

    @property
    def horizon(self) -> int:
        """The lessons up to which something is said."""
        return int(REACH * self.labels)

    def at(self, labels: float) -> Estimate:
        """Exact match after so many lessons."""
        left = self._interval(self._left(labels))
        return Estimate(1 - left.value, 1 - left.high, 1 - left.low)

    def gain(self, more: int) -> Estimate:
        """What `more` lessons are expected to bring, in exact match."""
        return self._interval(self._left(self.labels) - self._left(self.labels + more))

    def needed(self, target: float) -> Needed:
        """The lessons after which the curve is at `target`, and its band with one edge and with the other."""
        if self.at(self.labels).value >= target:
            return Needed(target, True, None, None, None)
        looked_at = np.unique(np.linspace(self.labels, self.horizon, 200).astype(int))
        band = [self.at(labels) for labels in looked_at]

        def first(reached: Iterable[bool]) -> int | None:
            return next((int(n) for n, there in zip(looked_at, reached, strict=True) if there), None)

        middle = first(one.value >= target for one in band)
        low, high = first(one.high >= target for one in band), first(one.low >= target for one in band)
        return Needed(target, False, middle, low, high)

    def _left(self, labels: float) -> Floats:
        """The share of the error at the start that is left after so many lessons, by each law."""
        return error_left(self.floor, self.exponent, self.offset, np.array([labels]))[:, 0]

    def _interval(self, share: Floats) -> Estimate:
        """Of a share of the error at the start: its mean over the laws, and the ends over all that are likely."""
        low, high = np.clip(self.start - self.slack, 0, 1) * share, np.clip(self.start + self.slack, 0, 1) * share
        return Estimate(float(self.weight @ (self.start * share)), float(low.min()), float(high.max()))


def lacking(points: Sequence[Point], more: int) -> Lack | None:
    """What is missing before `more` lessons can be spoken of, or None."""
    trained = [point for point in points if point.trained]
    numbers = {point.labels for point in trained if point.labels}
    if len(numbers) < VERSIONS_NEEDED:
        return Lack("versions", len(numbers), VERSIONS_NEEDED)
    exam, least = max(point.n for point in trained), int(np.ceil(more / (REACH - 1)))
    if exam < EXAM_NEEDED:
        return Lack("exam", exam, EXAM_NEEDED)
    return Lack("labels", max(numbers), least) if max(numbers) < least else None


def fit(points: Sequence[Point]) -> Curve:
    """The power laws that explain these points; at least one of them trained, each judged on at least one cheque.

    Kept are those within a likelihood ratio of the best one (Wilks: the 95 % quantile of chi-squared with one degree),
    so an interval is a profile likelihood's: it does not depend on how many laws of each kind were looked at.
    """
    means, covariance = levels(points)
    trained = np.array([point.trained for point in points])
    lessons = np.array([point.labels for point in points], float)
    floor, exponent, offset = np.array(list(product(FLOORS, EXPONENTS, OFFSETS))).T
    left = error_left(floor, exponent, offset, lessons)
    last = int(lessons.argmax())

    found = []
    for noise, jump in product(TRAINING_NOISE, JUMPS if not trained.all() else JUMPS[:1]):
        total = covariance + np.diag(np.where(trained, noise, jump) ** 2)
        inverse = np.linalg.inv(total)
        weighed = left @ inverse
        sharpness, fitting = np.einsum("sp,sp->s", weighed, left), weighed @ (1 - means)
        misfit = float((1 - means) @ inverse @ (1 - means)) - fitting**2 / sharpness
        # The error at the start is linear, so it is integrated out in closed form (flat prior on the last error).
        log = -0.5 * (misfit + np.linalg.slogdet(total)[1] + np.log(sharpness / left[:, last] ** 2))
        found.append((log, fitting / sharpness, 1 / np.sqrt(sharpness)))

    # The noises are averaged over, each by how likely it makes the law.
    logs, starts, errors = (np.stack(parts) for parts in zip(*found, strict=True))  # noises x laws
    log = logsumexp(logs, axis=0)
    share = np.exp(logs - log)
    start = (share * starts).sum(axis=0)
    error = np.sqrt((share * (errors**2 + (starts - start) ** 2)).sum(axis=0))
    room = LIKELY - 2 * (log.max() - log)
    kept = np.flatnonzero(room >= 0)
    weight = np.exp(log - log.max())[kept]
    return Curve(
        labels=int(lessons.max()),
        paired=all(point.scores for point in points),
        floor=floor[kept],
        exponent=exponent[kept],
        offset=offset[kept],
        start=start[kept],
        slack=np.sqrt(room[kept]) * error[kept],
        weight=weight / weight.sum(),
    )


def levels(points: Sequence[Point]) -> tuple[Floats, Floats]:
    """Exact match of each point as if all were judged on all exam cheques, and the covariance of these estimates.

    A cheque is as hard for one version as for the next, so shared cheques compare versions better than means do:
    scores are normal with one variance and one correlation between readers of a cheque (a random effect of the cheque),
    and a version that saw few cheques is compared on those (generalised least squares, missing at random). A point
    without scores stands for itself, with the largest variance that a score between 0 and 1 can have.
    """
    variance, shared = variance_components(points)
    information, weighed = np.zeros((len(points), len(points))), np.zeros(len(points))
    ids = sorted({cheque for point in points for cheque in point.scores})
    present = np.array([[cheque in point.scores for cheque in ids] for point in points], bool).reshape(len(points), -1)
    scores = np.array([[point.scores.get(cheque, 0.0) for cheque in ids] for point in points]).reshape(len(points), -1)
    # Cheques that the same readers saw have one covariance, which is inverted once for all of them.
    for pattern in np.unique(present, axis=1).T:
        seen, alike = np.flatnonzero(pattern), np.flatnonzero((present == pattern[:, None]).all(axis=0))
        inverse = np.linalg.inv(variance * (shared + (1 - shared) * np.eye(len(seen))))
        information[np.ix_(seen, seen)] += len(alike) * inverse
        weighed[seen] += inverse @ scores[np.ix_(seen, alike)].sum(axis=1)
    for place, point in enumerate(points):
        if not point.scores:
            # With one cheque right and one wrong added: a mean of 0 or 1 has a variance too.
            likely = (point.mean * point.n + 1) / (point.n + 2)
            certainty = point.n / (likely * (1 - likely))
            information[place, place] += certainty
            weighed[place] += certainty * point.mean
    covariance = np.asarray(np.linalg.inv(information), np.float64)
    return np.asarray(covariance @ weighed), covariance


def own_interval(point: Point, level: float = 0.95) -> tuple[float, float]:
    """Of the point's mean by itself: Student's t with two cheques added, one all right and one all wrong.

    The two (Agresti and Coull 1998) keep the interval open where every cheque was read alike.
    """
    n = point.n + 2
    if point.scores:
        values = np.array([*point.scores.values(), 0.0, 1.0])
        centre, error = float(values.mean()), float(values.std(ddof=1)) / np.sqrt(n)
    else:
        centre = (point.mean * point.n + 1) / n
        error = np.sqrt(centre * (1 - centre) / n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    low, high = min(point.mean, centre - half), max(point.mean, centre + half)
    return max(0.0, float(low)), min(1.0, float(high))


def variance_components(points: Sequence[Point]) -> tuple[float, float]:
    """The variance of a cheque's score, and the share of it that is the cheque's and not the reader's."""
    known = [point for point in points if point.scores]
    if not known:
        return 0.25, 0.0
    squares = sum(sum((s - point.mean) ** 2 for s in point.scores.values()) for point in known)
    # The two cheques that own_interval adds.
    open_ends = sum(point.mean**2 + (1 - point.mean) ** 2 for point in known)
    variance = (squares + open_ends) / sum(len(point.scores) + 1 for point in known)
    differences, degrees = 0.0, 0
    for place, one in enumerate(known):
        for other in known[place + 1 :]:
            gaps = [one.scores[cheque] - other.scores[cheque] for cheque in one.scores.keys() & other.scores.keys()]
            if len(gaps) > 1:
                differences += float(np.var(gaps, ddof=1)) * (len(gaps) - 1) / 2
                degrees += len(gaps) - 1
    if not degrees:
        return variance, 0.0
    return variance, float(np.clip(1 - differences / degrees / variance, 0.0, 0.98))


def error_left(floor: Floats, exponent: Floats, offset: Floats, lessons: Floats) -> Floats:
    """laws x lessons: the share of the error at the start that is left."""
    learnt = (1 + lessons[None, :] / offset[:, None]) ** -exponent[:, None]
    return np.asarray(floor[:, None] + (1 - floor[:, None]) * learnt)
