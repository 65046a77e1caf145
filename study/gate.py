"""May the candidate become champion? A pure function of what was measured; see the one draw for the exam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Precision = Literal["exact", "card", "four_bit"]  # how closely the reader can repeat what was read after training
Right = NDArray[np.float64]  # cheques x fields: was this field read exactly right (1 or 0)? NaN: nobody knows


@dataclass(frozen=True)
class Thresholds:
    """Every number the gate decides by. Shares, not points: 0.02 is two points."""

    firm_from: int = 40  # exam cheques from which intervals decide; below, the decision is provisional
    mean_loss: float = 0.02  # the lower end of the mean difference may not be below minus this
    level: float = 0.95  # of the one-sided interval, and of "beyond chance" over all fields together
    field_loss: float = 0.05  # a field may fall by this much (and by chance) without refusing
    ruined: float = 0.5  # below `firm_from`: a field that falls by this much is ruined
    valid_json_loss: float = 0.01  # free decoding, against the base
    parity: float = 1.0  # share of the values that the reloaded adapter must read again
    parity_on_card: float = 0.95  # a card's kernels round by batch and engine: a value in doubt may turn
    parity_in_four_bit: float = 0.8  # trained on a base in 4 bit, read with in 16


@dataclass(frozen=True)
class Safety:
    """What needs no labels. valid_json: shares of freely decoded answers that fit the schema, on `unlabelled` cheques.

    same: how many of `compared` values the adapter, reloaded by the reader, read exactly as at the end of training.
    precision: exact on a CPU; on a card, and in 4 bit, readings may differ a little for no fault of the adapter.
    """

    valid_json: float | None = None
    base_valid_json: float | None = None
    unlabelled: int = 0
    same: int = 0
    compared: int = 0
    precision: Precision = "exact"


@dataclass(frozen=True)
class Decision:
    """promote: yes or no. provisional: too few exam cheques for more than a point estimate. reasons: in words."""

    promote: bool
    provisional: bool
    reasons: tuple[str, ...]


def decide(
    fields: tuple[str, ...],
    candidate: Right,
    rival: Right,
    safety: Safety,
    *,
    rival_name: str = "the base",
    thresholds: Thresholds | None = None,
) -> Decision:
    """Judge a candidate against the champion (or the base where there is none) on the same exam cheques.

    candidate, rival: n x fields, the same cheques in the same order; n may be 0. Every refusal lists all its reasons.
    A field of which the truth is not known on a cheque counts neither for that cheque nor for the field.
    """
    limits = thresholds or Thresholds()
    candidate, rival = np.asarray(candidate, float), np.asarray(rival, float)
    n = len(candidate)
    refusals = [*_mean(candidate, rival, rival_name, limits), *_fields(fields, candidate, rival, rival_name, limits)]
    refusals += _safety(safety, limits)
    provisional = n < limits.firm_from
    if refusals:
        return Decision(False, provisional, tuple(refusals))
    return Decision(True, provisional, (_praise(candidate, rival, rival_name, limits),))


def _mean(candidate: Right, rival: Right, name: str, limits: Thresholds) -> list[str]:
    n = len(candidate)
    if n == 0:
        return []
    gain = _gain(candidate, rival)
    if n < limits.firm_from:
        if gain < -1e-9:
            return [f"mean exact match fell by {_points(-gain)} against {name} on {n} exam cheques"]
        return []
    lower = lower_end(_rates(candidate) - _rates(rival), limits.level)
    if lower < -limits.mean_loss:
        loss = _points(limits.mean_loss)
        return [
            f"mean exact match {gain * 100:+.1f} points against {name}, and a loss of more than {loss} "
            f"is not excluded (lower end {lower * 100:+.1f}, {n} exam cheques)"
        ]
    return []


def _gain(candidate: Right, rival: Right) -> float:
    return float(_rates(candidate).mean()) - float(_rates(rival).mean())


def _rates(right: Right) -> NDArray[np.float64]:
    """Of each cheque the share of its fields, among those known, that are right."""
    rates: NDArray[np.float64] = np.nanmean(right, axis=1)
    return rates


def lower_end(differences: NDArray[np.float64], level: float) -> float:
    """The lower end of a one-sided interval of the mean of paired differences (Student's t), at least two of them."""
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    quantile: float = stats.t.ppf(level, n - 1)
    return float(differences.mean()) - quantile * error


def _fields(fields: tuple[str, ...], candidate: Right, rival: Right, name: str, limits: Thresholds) -> list[str]:
    refusals = []
    for column, field in enumerate(fields):
        known = ~np.isnan(candidate[:, column])
        n, now, then = int(known.sum()), candidate[known, column] == 1, rival[known, column] == 1
        if n == 0:
            continue
        fall = float(then.mean() - now.mean())
        # One test for each field: Bonferroni keeps the whole family at the level.
        beyond_chance = fall_p(now, then) < (1 - limits.level) / len(fields)
        ruined = n < limits.firm_from and n >= 2 and fall >= limits.ruined
        if fall > limits.field_loss and (beyond_chance or ruined):
            rates = f"{then.mean():.0%} to {now.mean():.0%}"
            refusals.append(f"{field} fell from {rates} against {name} on {n} exam cheques")
    return refusals


def fall_p(now: NDArray[np.bool_], then: NDArray[np.bool_]) -> float:
    """One-sided exact McNemar test: how likely so many losses among the changes are if nothing got worse."""
    lost, won = int((then & ~now).sum()), int((now & ~then).sum())
    return float(stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue) if lost + won else 1.0


def _safety(safety: Safety, limits: Thresholds) -> list[str]:
    refusals = []
    if not safety.compared:
        refusals.append("parity was not checked: no reading of the reloaded adapter to compare")
    elif safety.same < _parity(safety.precision, limits) * safety.compared:
        refusals.append(
            f"parity: reloaded, the adapter reads {safety.compared - safety.same} of {safety.compared} values "
            "otherwise than at the end of its training (a damaged file, or a reader that ignores a part of it)"
        )
    before, now = safety.base_valid_json, safety.valid_json
    if before is not None and now is not None and now < before - limits.valid_json_loss - 1e-9:
        refusals.append(
            f"valid JSON in free decoding fell from {before:.1%} to {now:.1%} on {safety.unlabelled} unlabelled cheques"
        )
    return refusals


def _parity(precision: Precision, limits: Thresholds) -> float:
    return {"exact": limits.parity, "card": limits.parity_on_card, "four_bit": limits.parity_in_four_bit}[precision]


def _praise(candidate: Right, rival: Right, name: str, limits: Thresholds) -> str:
    n = len(candidate)
    if n == 0:
        return "provisional: no exam cheque is labelled yet, only the safety checks were made, and they passed"
    gain = _gain(candidate, rival) * 100
    if n < limits.firm_from:
        return f"provisional ({n} exam cheques: too few): mean exact match {gain:+.1f} points against {name}"
    lower = lower_end(_rates(candidate) - _rates(rival), limits.level) * 100
    return f"mean exact match {gain:+.1f} points against {name} (at least {lower:+.1f} at 95 %, {n} exam cheques)"


def _points(share: float) -> str:
    return f"{share * 100:.1f} points"


def as_right(fields: tuple[str, ...], cheques: list[Mapping[str, bool]]) -> Right:
    """Exact matches cheque by cheque as the array that the gate judges; a field that is missing is not known."""
    rows = [[float(cheque.get(name, math.nan)) for name in fields] for cheque in cheques]
    return np.array(rows, float).reshape(len(cheques), len(fields))
