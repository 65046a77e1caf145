"""May the candidate become champion? A pure function of what was measured on the exam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from study.metrics import Bools, Floats

Precision = Literal["exact", "card", "four_bit"]  # how closely the reader can repeat what was read after training
Right = Floats  # cheques x fields: was this field read exactly right (1 or 0)? NaN: nobody knows


@dataclass(frozen=True)
class Thresholds:
    """Every number the gate decides by. Shares, not points: 0.02 is two points."""

    firm_from: int = 40  # exam cheques from which intervals decide; below, the decision is provisional
    mean_loss: float = 0.02  # the lower end of the mean difference may not be below minus this
    level: float = 0.95  # of the one-sided interval, and of "beyond chance" over all fields together
    field_loss: float = 0.05  # a field may fall by this much (and by chance) without refusing
    ruined: float = 0.5  # a fall of one field that refuses even on fewer than `firm_from` cheques
    valid_json_loss: float = 0.01  # free decoding, against the base
    parity: float = 1.0  # share of the values that the reloaded adapter must read again
    parity_on_card: float = 0.95  # a card's kernels round by batch and engine: a value in doubt may turn
    parity_in_four_bit: float = 0.8  # trained on a base in 4 bit, read with in 16


@dataclass(frozen=True)
class Safety:
    """What needs no labels. valid_json: shares of freely decoded answers that fit the schema, on `unlabelled` cheques.

    same: how many of `compared` values the adapter, reloaded by the reader, read exactly as at the end of training.
    precision: exact on a CPU; on a card, and in 4 bit, the readings of a sound adapter may differ a little.
    """

    valid_json: float | None = None
    base_valid_json: float | None = None
    unlabelled: int = 0
    same: int = 0
    compared: int = 0
    precision: Precision = "exact"

    def refusals(self, limits: Thresholds) -> list[str]:
        """What speaks against the candidate, in words."""
        refusals = []
        parity = {"exact": limits.parity, "card": limits.parity_on_card, "four_bit": limits.parity_in_four_bit}
        if not self.compared:
            refusals.append("parity was not checked: no reading of the reloaded adapter to compare")
        elif self.same < parity[self.precision] * self.compared:
            refusals.append(
                f"parity: reloaded, the adapter reads {self.compared - self.same} of {self.compared} values "
                "otherwise than at the end of its training (a damaged file, or a reader that ignores a part of it)"
            )
        before, now = self.base_valid_json, self.valid_json
        if before is not None and now is not None and now < before - limits.valid_json_loss - 1e-9:
            fall = f"fell from {before:.1%} to {now:.1%} on {self.unlabelled} unlabelled cheques"
            refusals.append(f"valid JSON in free decoding {fall}")
        return refusals


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

    candidate, rival: n x fields, the same cheques in the same order; n may be 0. A refusal lists all its reasons.
    Where the truth of a field is not known (NaN), it counts neither for that cheque nor for the field.
    """
    limits = thresholds or Thresholds()
    candidate, rival = np.asarray(candidate, float), np.asarray(rival, float)
    n = len(candidate)
    provisional = n < limits.firm_from
    refusals = []

    if n == 0:
        praise = "provisional: no exam cheque is labelled yet, only the safety checks were made, and they passed"
    else:
        rates, rival_rates = np.nanmean(candidate, axis=1), np.nanmean(rival, axis=1)
        gain = float(rates.mean()) - float(rival_rates.mean())
        mean = f"mean exact match {gain * 100:+.1f} points against {rival_name}"
        if provisional:
            praise = f"provisional ({n} exam cheques: too few): {mean}"
            if gain < -1e-9:  # sums of shares are not exact
                lost = f"{-gain * 100:.1f} points"
                refusals.append(f"mean exact match fell by {lost} against {rival_name} on {n} exam cheques")
        else:
            lower = lower_end(rates - rival_rates, limits.level)
            praise = f"{mean} (at least {lower * 100:+.1f} at 95 %, {n} exam cheques)"
            if lower < -limits.mean_loss:
                refusals.append(
                    f"{mean}, and a loss of more than {limits.mean_loss * 100:.1f} points "
                    f"is not excluded (lower end {lower * 100:+.1f}, {n} exam cheques)"
                )

    for column, field in enumerate(fields):
        known = ~np.isnan(candidate[:, column])
        seen, now, then = int(known.sum()), candidate[known, column] == 1, rival[known, column] == 1
        if not seen:
            continue
        fall = float(then.mean() - now.mean())
        # One test for each field: Bonferroni keeps the whole family at the level.
        beyond_chance = fall_p(now, then) < (1 - limits.level) / len(fields)
        ruined = 2 <= seen < limits.firm_from and fall >= limits.ruined
        if fall > limits.field_loss and (beyond_chance or ruined):
            change = f"{then.mean():.0%} to {now.mean():.0%}"
            refusals.append(f"{field} fell from {change} against {rival_name} on {seen} exam cheques")

    refusals += safety.refusals(limits)
    return Decision(not refusals, provisional, tuple(refusals) or (praise,))


def lower_end(differences: Floats, level: float) -> float:
    """The lower end of a one-sided interval of the mean of paired differences (Student's t), at least two of them."""
    n = len(differences)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    quantile: float = stats.t.ppf(level, n - 1)
    return float(differences.mean()) - quantile * error


def fall_p(now: Bools, then: Bools) -> float:
    """One-sided exact McNemar test: how likely so many losses among the changes are if nothing got worse."""
    lost, won = int((then & ~now).sum()), int((now & ~then).sum())
    return float(stats.binomtest(lost, lost + won, 0.5, alternative="greater").pvalue) if lost + won else 1.0


def as_right(fields: tuple[str, ...], cheques: list[Mapping[str, bool]]) -> Right:
    """Exact matches cheque by cheque as the array that the gate judges; a field that is missing is not known."""
    rows = [[float(cheque.get(name, math.nan)) for name in fields] for cheque in cheques]
    return np.array(rows, float).reshape(len(cheques), len(fields))
