"""The trial: how many seconds a pre-label saves, blind against pre-labelled cheques, within each annotator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from study.metrics import Bools, Estimate, Floats

REPLICATES = 1000
AT_ONCE = 2_000_000  # weights in memory at a time: 16 MB
OWN_CURVE_FROM = 12  # timed cheques from which an annotator gets a learning curve of their own
LEAST = 20  # cheques in each arm, below which a bootstrap interval is not to be trusted
PRECISE = 0.2  # an interval no wider than this share of the blind time is an answer, even if the answer is "nothing"
PLANNED = 60  # blind cheques to plan with while no time is known: half saved, half of the mean as spread


@dataclass(frozen=True)
class Timed:
    """The cheques of the trial after cleaning, one row each.

    seconds: positive. annotator: 0, 1, 2, … . position: which cheque in the annotator's life it was (1 is the first).
    shown: True in the pre-labelled arm.
    """

    seconds: Floats
    annotator: NDArray[np.int64]
    position: Floats
    shown: Bools

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class Effect:
    """What a pre-label saves per cheque, and what a cheque takes in each arm at the trial's mix of people."""

    seconds: Estimate
    percent: Estimate
    blind: float
    prelabel: float


def effect(timed: Timed, replicates: int = REPLICATES, seed: int = 0) -> Effect | None:
    """Seconds and per cent saved per cheque with bootstrap intervals; None where an arm is empty.

    A Poisson quasi-likelihood model with log link: mean seconds = exp(annotator + annotator's learning + arm), and
    the saving is the mean, over all cheques of the trial, of the difference between its two predictions. With the
    canonical link that mean is right under randomisation whether or not the model is (Rosenblum and van der Laan,
    2010, "Simple, efficient estimators of treatment effects in randomized trials using generalized linear models").
    Intervals: percentiles of the Bayesian bootstrap (Rubin, 1981), widened for the p parameters
    by n / (n - p), as the jackknife is, and from the normal to Student's t.
    """
    if not timed.shown.any() or timed.shown.all():
        return None
    design = design_matrix(timed)
    n, parameters = design.shape
    start = np.zeros((1, parameters))
    # From the mean of the seconds, Newton's method reaches this convex problem's minimum in a few steps.
    start[0, : int(timed.annotator.max()) + 1] = math.log(float(timed.seconds.mean()))
    best = poisson_fits(design, timed.seconds, np.ones((1, n)), start, steps=25)
    seconds, percent, blind = (float(part[0]) for part in saving(design, np.ones((1, n)), best))

    rng = np.random.default_rng(seed)
    chunk = max(1, AT_ONCE // n)
    parts = []
    for first in range(0, replicates, chunk):
        # Weights that are never zero: no annotator and no arm can be missing from a replicate.
        weights = rng.standard_exponential((min(chunk, replicates - first), n))
        # Two Newton steps from the full fit are as good as all.
        fits = poisson_fits(design, timed.seconds, weights, best, steps=2)
        parts.append(np.stack(saving(design, weights, fits)[:2]))
    draws = np.concatenate(parts, axis=1)

    freedom = max(n - parameters, 1)
    wider = n / freedom * float(stats.t.ppf(0.975, freedom) / stats.norm.ppf(0.975))
    return Effect(
        percentile_interval(seconds, draws[0], wider),
        percentile_interval(percent, draws[1], wider),
        blind,
        blind - seconds,
    )


def design_matrix(timed: Timed) -> Floats:
    """n x p: a column for each annotator, their learning curves (power law of practice), and last the arm."""
    people = int(timed.annotator.max()) + 1
    who = (timed.annotator[:, None] == np.arange(people)).astype(float)
    counts = who.sum(axis=0)
    practice = np.log(timed.position)
    # Centred within each annotator, so that the annotators' columns stay their mean levels.
    practice = practice - (who.T @ practice / np.maximum(counts, 1))[timed.annotator]
    own = counts >= OWN_CURVE_FROM
    curves = [who[:, own] * practice[:, None], ((~own)[timed.annotator] * practice)[:, None]]
    learning = np.concatenate(curves, axis=1)
    # A column of zeros has no coefficient: an annotator's only cheque shows no practice.
    learning = learning[:, np.abs(learning).sum(axis=0) > 1e-9]
    return np.concatenate([who, learning, timed.shown[:, None].astype(float)], axis=1)


def poisson_fits(design: Floats, seconds: Floats, weights: Floats, start: Floats, steps: int) -> Floats:
    """Weighted Poisson regressions side by side, by Newton's method.

    weights: b x n. start: b x p or 1 x p. Returns the coefficients, b x p.
    """
    n, p = design.shape
    squares = (design[:, :, None] * design[:, None, :]).reshape(n, p * p)
    found = np.broadcast_to(start, (len(weights), p)).copy()
    for _ in range(steps):
        mean = np.exp(np.clip(found @ design.T, -20, 20))
        gradient = (weights * (seconds - mean)) @ design
        hessian = ((weights * mean) @ squares).reshape(-1, p, p)
        scale = np.trace(hessian, axis1=1, axis2=2)[:, None, None]
        # The ridge keeps it solvable where columns nearly repeat each other.
        step = np.linalg.solve(hessian + 1e-9 * scale * np.eye(p), gradient[:, :, None])[:, :, 0]
        found += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return found


def saving(design: Floats, weights: Floats, found: Floats) -> tuple[Floats, Floats, Floats]:
    """For each fit: seconds saved, per cent saved, seconds of a blind cheque, over the weighted cheques."""
    arm = found[:, -1]
    blind = np.exp(np.clip(found[:, :-1] @ design[:, :-1].T, -20, 20))
    mean = (weights * blind).sum(axis=1) / weights.sum(axis=1)
    share = 1 - np.exp(np.clip(arm, -20, 20))
    return mean * share, 100 * share, mean


def percentile_interval(mean: float, draws: Floats, wider: float) -> Estimate:
    """wider: the factor by which the draws' 95 % interval is stretched around the mean."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(mean, mean + (float(low) - mean) * wider, mean + (float(high) - mean) * wider)


@dataclass(frozen=True)
class Verdict:
    """Is there enough to say it? needed: about how many blind cheques in all, and as many pre-labelled ones."""

    enough: bool
    needed: int


def verdict(found: Effect | None, blind: int, prelabel: int) -> Verdict:
    """Enough: both arms have LEAST cheques, and the interval is no wider than the effect (or than PRECISE of it).

    An interval narrows with the root of the cheques: the number needed grows as the square of what it must shrink.
    """
    fewer = min(blind, prelabel)
    if found is None or fewer < 4:
        return Verdict(False, PLANNED)
    wanted = max(abs(found.seconds.value), PRECISE * found.blind)
    needed = math.ceil(fewer * (found.seconds.width / wanted) ** 2)
    if found.seconds.width <= wanted and fewer >= LEAST:
        return Verdict(True, needed)
    # Below LEAST the width itself is uncertain; a round number says so.
    return Verdict(False, max(LEAST, 5 * math.ceil(needed / 5)))
