"""From lead times as Label Studio sends them to seconds that can be compared; every step is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from study.metrics import Bools, Floats
from study.time_saved import Timed
from study.timed_annotation import TimedAnnotation

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
    "lost": "started from a prediction that the export does not hold",
    "not_as_drawn": "shown otherwise than drawn",
    "outlier": "less than a second, or more than a day",
    "idle": "beyond the annotator's idle cap",
    "one_arm": "by an annotator with cheques in one arm only",
}

TIMED = ("", "no_prediction", "lost", "not_as_drawn")  # a person took the time, though some are in neither arm


@dataclass(frozen=True)
class Cleaned:
    """What is left for the trial, and why the rest is not in it.

    timed: rows of the trial; `work` holds the annotations that they come from. blind, prelabel: cheques of each arm,
    with those of annotators who have cheques in one arm only. dropped: counts by reason, in the order of the steps.
    By annotation id: caps, its annotator's idle cap at that time in seconds; seconds, of every timed annotation,
    lessons too, idle ones at their cap.
    """

    timed: Timed
    work: tuple[TimedAnnotation, ...]
    blind: int
    prelabel: int
    dropped: dict[str, int]
    caps: dict[int, float]
    seconds: dict[int, float]


def clean(work: Sequence[TimedAnnotation]) -> Cleaned:
    """Annotations, oldest first, to the rows of the trial.

    A tab that is left open is no work on that cheque: beyond the annotator's cap, which is the same in both arms, a
    time counts as the cap in sums of hours, and is left out of the comparison (at the cap it pulls the arms together).
    """
    # Which cheque of its annotator's each one is. Practice counts even where the time does not.
    count: Counter[int | None] = Counter()
    positions = {}
    for one in work:
        if not one.imported:
            count[one.annotator] += 1
        positions[one.annotation] = max(count[one.annotator], 1)

    reasons = reasons_to_drop(work)
    valid = [one for one, reason in zip(work, reasons, strict=True) if reason in TIMED]
    caps = idle_caps(valid, positions)
    seconds = {one.annotation: min(one.seconds or 0.0, caps[one.annotation]) for one in valid}

    trial: list[TimedAnnotation] = []
    dropped: Counter[str] = Counter()
    for one, reason in zip(work, reasons, strict=True):
        if not reason and one.arm and (one.seconds or 0.0) > caps[one.annotation]:
            reason = "idle"
        if reason:
            dropped[reason] += 1
        elif one.arm:
            trial.append(one)
    blind = sum(one.arm == "blind" for one in trial)

    # The effect is measured within annotators: who has cheques in one arm only says nothing of it.
    arms: dict[int | None, set[str | None]] = {}
    for one in trial:
        arms.setdefault(one.annotator, set()).add(one.arm)
    compared = tuple(one for one in trial if len(arms[one.annotator]) == 2)
    dropped["one_arm"] += len(trial) - len(compared)
    counted = {reason: dropped[reason] for reason in REASONS if dropped[reason]}

    index = {who: number for number, who in enumerate(dict.fromkeys(one.annotator for one in compared))}
    timed = Timed(
        np.array([one.seconds or 0.0 for one in compared], float),
        np.array([index[one.annotator] for one in compared], np.int64),
        np.array([positions[one.annotation] for one in compared], float),
        np.array([one.arm == "prelabel" for one in compared], bool),
    )
    return Cleaned(timed, compared, blind, len(trial) - blind, counted, caps, seconds)


def reasons_to_drop(work: Sequence[TimedAnnotation]) -> list[str]:
    """For each annotation the first of REASONS to leave it out, or nothing."""
    done: set[tuple[int | None, int]] = set()
    reasons = []
    for one in work:
        if one.skipped:
            reason = "skipped"
        elif one.imported:
            reason = "api"
        elif one.seconds is None:
            reason = "no_time"
        elif one.edited:
            reason = "edited"
        elif not SHORTEST <= one.seconds <= LONGEST:
            reason = "outlier"
        else:
            reason = "repeated" if (one.annotator, one.task) in done else ""
        # After a skip the cheque is still new to the annotator.
        if not one.skipped:
            done.add((one.annotator, one.task))
        reasons.append(reason or one.left_out)
    return reasons


def idle_caps(work: Sequence[TimedAnnotation], positions: Mapping[int, int]) -> dict[int, float]:
    """By annotation: the seconds beyond which its annotator was away, the same whether a pre-label was shown or not.

    From medians and median absolute deviations of log seconds, which some idle tabs cannot move: the slower arm's
    median, moved along with the annotator's practice, and SPREADS of the spread within an arm.
    """
    by_annotator: dict[int | None, list[TimedAnnotation]] = {}
    for one in work:
        by_annotator.setdefault(one.annotator, []).append(one)
    paces = {who: Pace.of(rows, positions) for who, rows in by_annotator.items()}
    common = robust_deviation(np.concatenate([pace.residuals for pace in paces.values()])) if paces else 0.0
    caps = {}
    for who, rows in by_annotator.items():
        pace = paces[who]
        spread = robust_deviation(pace.residuals) if len(rows) >= OWN_SPREAD_FROM else common
        room = max(SPREADS * spread, np.log(AT_LEAST))
        for one in rows:
            level = pace.slower + pace.slope * np.log(positions[one.annotation])
            caps[one.annotation] = float(np.exp(level + room))
    return caps


@dataclass(frozen=True)
class Pace:
    """Log seconds of an annotator: slower + slope * log position in the slower arm, and what is left in both."""

    slower: float
    slope: float
    residuals: Floats

    @classmethod
    def of(cls, rows: Sequence[TimedAnnotation], positions: Mapping[int, int]) -> Pace:
        logs = np.log([one.seconds or 0.0 for one in rows])
        practice = np.log([positions[one.annotation] for one in rows])
        shown = np.array([one.shown is not None for one in rows])
        level = logs - arm_medians(logs, shown)[0]
        slope = 0.0
        if len(rows) >= OWN_SPREAD_FROM:
            early = practice <= np.median(practice)
            if not early.all() and (apart := np.median(practice[~early]) - np.median(practice[early])) > 0:
                # People become quicker, or tire a little; anything steeper than this is chance.
                slope = float(np.clip((np.median(level[~early]) - np.median(level[early])) / apart, -0.7, 0.2))
        medians, slower = arm_medians(logs - slope * practice, shown)
        return cls(slower, slope, logs - slope * practice - medians)


def arm_medians(logs: Floats, shown: Bools) -> tuple[Floats, float]:
    """The median of each row's arm, and the larger of the two; the median of one or two rows does not count."""
    medians = np.zeros(len(logs))
    levels = []
    for arm in (shown, ~shown):
        if arm.any():
            medians[arm] = np.median(logs[arm])
            levels.append((arm.sum() > 2, float(np.median(logs[arm]))))
    trusted = [level for enough, level in levels if enough] or [level for _, level in levels]
    return medians, max(trusted)


def robust_deviation(residuals: Floats) -> float:
    """The standard deviation as estimated by the median absolute deviation (1.4826 of it, were they normal)."""
    return 1.4826 * float(np.median(np.abs(residuals)))
