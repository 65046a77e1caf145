"""From lead times as Label Studio sends them to seconds that can be compared; every step is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.trial import Timed
from backend.work import Work

SHORTEST, LONGEST = 1.0, 24 * 3600.0  # seconds; outside of these nobody looked at a cheque and worked on it
SPREADS = 3.0  # robust standard deviations of log seconds, above which a person was away
AT_LEAST = 3.0  # never call less than three times the usual time idle
OWN_SPREAD_FROM = 8  # times from which an annotator has a spread of their own

REASONS = {
    "skipped": "skipped by the annotator",
    "api": "made through the API, no page timed it",
    "no_time": "no lead_time",
    "edited": "updated later, which overwrites the time",
    "repeated": "the same annotator did the same cheque before",
    "no_prediction": "started from no prediction, so in neither arm",
    "not_as_drawn": "shown otherwise than drawn",
    "outlier": "less than a second, or more than a day",
    "idle": "beyond the annotator's idle cap",
    "one_arm": "by an annotator with cheques in one arm only",
}


@dataclass(frozen=True)
class Cleaned:
    """What is left for the trial, and why the rest is not in it.

    timed: rows of the trial; `work` are the annotations they come from. dropped: counts by reason, in order of the
    steps. caps: the idle cap in seconds of each annotator. seconds: of every timed annotation, lessons too, idle ones
    at their cap, by annotation id.
    """

    timed: Timed
    work: tuple[Work, ...]
    dropped: dict[str, int]
    caps: dict[int | None, float]
    seconds: dict[int, float]


def clean(work: Sequence[Work]) -> Cleaned:
    """Annotations, oldest first, to the rows of the trial.

    Whoever left the tab open did not work longer on that cheque: beyond the annotator's cap, which is the same in
    both arms, a time counts as the cap in sums of hours and is left out of the comparison (at the cap it would pull
    the arms together).
    """
    positions = _positions(work)
    reasons = _reasons(work)
    valid = [one for one, reason in zip(work, reasons, strict=True) if reason in ("", "no_prediction", "not_as_drawn")]
    caps = idle_caps(valid)
    seconds = {one.annotation: min(_seconds(one), caps[one.annotator]) for one in valid}
    trial: list[Work] = []
    dropped: Counter[str] = Counter()
    for one, reason in zip(work, reasons, strict=True):
        if not reason and one.arm and _seconds(one) > caps[one.annotator]:
            reason = "idle"
        if reason:
            dropped[reason] += 1
        elif one.arm:
            trial.append(one)
    arms: dict[int | None, set[str | None]] = {}
    for one in trial:
        arms.setdefault(one.annotator, set()).add(one.arm)
    compared = tuple(one for one in trial if len(arms[one.annotator]) == 2)
    dropped["one_arm"] += len(trial) - len(compared)
    counted = {reason: dropped[reason] for reason in REASONS if dropped[reason]}
    return Cleaned(_rows(compared, positions), compared, counted, caps, seconds)


def _seconds(one: Work) -> float:
    return one.seconds or 0.0


def _reasons(work: Sequence[Work]) -> list[str]:
    """For each annotation the first reason to leave it out, or nothing."""
    done: set[tuple[int | None, int]] = set()
    reasons = []
    for one in work:
        reason = _reason(one)
        if not one.skipped:
            if not reason and (one.annotator, one.task) in done:
                reason = "repeated"
            done.add((one.annotator, one.task))
        reasons.append(reason or one.left_out)
    return reasons


def _reason(one: Work) -> str:
    if one.skipped:
        return "skipped"
    if one.imported:
        return "api"
    if one.seconds is None:
        return "no_time"
    if one.edited:
        return "edited"
    return "" if SHORTEST <= one.seconds <= LONGEST else "outlier"


def _positions(work: Sequence[Work]) -> dict[int, int]:
    """By annotation: which cheque of its annotator's it was. Practice counts whatever became of the time."""
    count: Counter[int | None] = Counter()
    positions = {}
    for one in work:
        if not one.imported:
            count[one.annotator] += 1
        positions[one.annotation] = max(count[one.annotator], 1)
    return positions


def idle_caps(work: Sequence[Work]) -> dict[int | None, float]:
    """For each annotator the seconds beyond which they were away, the same whether a pre-label was shown or not.

    From medians and median absolute deviations of log seconds, which some idle tabs cannot move: the slower arm's
    median and SPREADS of the spread within an arm.
    """
    groups: dict[int | None, tuple[list[float], list[float]]] = {}
    for one in work:
        groups.setdefault(one.annotator, ([], []))[one.shown is not None].append(_seconds(one))
    logs = {who: tuple(np.log(np.array(arm)) for arm in arms if arm) for who, arms in groups.items()}
    residuals = {who: np.concatenate([arm - np.median(arm) for arm in arms]) for who, arms in logs.items()}
    common = _spread(np.concatenate([*residuals.values()])) if residuals else 0.0
    caps = {}
    for who, arms in logs.items():
        spread = _spread(residuals[who]) if len(residuals[who]) >= OWN_SPREAD_FROM else common
        slower = max((float(np.median(arm)) for arm in arms if len(arm) > 2), default=float(np.median(arms[0])))
        caps[who] = float(np.exp(slower + max(SPREADS * spread, np.log(AT_LEAST))))
    return caps


def _spread(residuals: NDArray[np.float64]) -> float:
    return 1.4826 * float(np.median(np.abs(residuals)))


def _rows(work: Sequence[Work], positions: dict[int, int]) -> Timed:
    index = {who: number for number, who in enumerate(dict.fromkeys(one.annotator for one in work))}
    return Timed(
        np.array([_seconds(one) for one in work], float),
        np.array([index[one.annotator] for one in work], np.int64),
        np.array([positions[one.annotation] for one in work], float),
        np.array([one.arm == "prelabel" for one in work], bool),
    )
