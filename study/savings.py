"""Annotation time and corrections -> what the pre-labels save, with intervals, or that it is too early to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from study.lead_times import clean
from study.metrics import Estimate
from study.time_saved import REPLICATES, Effect, Timed, Verdict, effect, verdict
from study.timed_annotation import TimedAnnotation

Key = TypeVar("Key", bound=Hashable)

BLOCKS = 8  # points of the saving over time, at most
BLOCK_LEAST = 5  # cheques in each arm for a point


@dataclass(frozen=True)
class Hours:
    """An extrapolation from the trial to all cheques. saved: so far. with_ and without: still to work up to the goal.

    worked: hours on record, idle tabs at their cap, annotations without a time at the arm's mean.
    """

    saved: Estimate
    worked: float
    with_: float
    without: float
    left: int


@dataclass(frozen=True)
class Block:
    """A stretch of the trial: its middle (seconds since 1970) and the mean seconds of each arm in it."""

    at: float
    blind: float
    prelabel: float
    cheques: int


@dataclass(frozen=True)
class Savings:
    """All that is said about annotation time.

    effect: None where an arm is empty; a finding only where `verdict.enough`. blind, prelabel: cheques
    of each arm after cleaning. acceptance: by field, over all pre-labelled cheques; by_version: the same for each
    version. by_corrections: by number of corrected fields, (cheques, mean seconds). by_annotator: (pre-labelled
    cheques, corrected fields in each on average).
    """

    verdict: Verdict
    effect: Effect | None
    blind: int
    prelabel: int
    hours: Hours | None
    acceptance: dict[str, float]
    by_version: dict[str, dict[str, float]]
    by_corrections: dict[int, tuple[int, float]]
    by_annotator: dict[int | None, tuple[int, float]]
    over_time: tuple[Block, ...]
    dropped: dict[str, int]
    caps: dict[int, float]

    def sentence(self) -> str:
        """The finding in one line, or what is missing."""
        found = self.effect
        if not self.verdict.enough or found is None:
            return f"not enough yet: {self.blind} blind cheques, about {self.verdict.needed} needed"
        s, p = found.seconds, found.percent
        return (
            f"a pre-label saves {s.value:.1f} s a cheque ({s.low:.1f} to {s.high:.1f}), "
            f"{p.value:.0f} % ({p.low:.0f} to {p.high:.0f}) of {found.blind:.1f} s"
        )

    def as_json(self) -> dict[str, Any]:
        """What `chequemate savings --json` writes; hours_saved is null while there is not enough."""
        enough = self.verdict.enough
        return {
            "enough": enough,
            "n": {"blind": self.blind, "prelabel": self.prelabel},
            "saved_seconds": _as_json(self.effect.seconds if self.effect else None),
            "saved_percent": _as_json(self.effect.percent if self.effect else None),
            "hours_saved": round(self.hours.saved.value, 3) if enough and self.hours else None,
            "acceptance": {name: round(rate, 4) for name, rate in self.acceptance.items()},
            "dropped": self.dropped,
        }


def _as_json(estimate: Estimate | None) -> dict[str, float | None]:
    if estimate is None:
        return {"mean": None, "low": None, "high": None}
    return {"mean": round(estimate.value, 3), "low": round(estimate.low, 3), "high": round(estimate.high, 3)}


def savings(work: Sequence[TimedAnnotation], goal: int = 1000, replicates: int = REPLICATES) -> Savings:
    """Everything about annotation time, from all annotations of a project, oldest first.

    goal: labelled cheques that the project wants.
    """
    cleaned = clean(work)
    found = effect(cleaned.timed, replicates)
    prelabel = int(cleaned.timed.shown.sum())
    blind = len(cleaned.timed) - prelabel
    enough = verdict(found, blind, prelabel)
    if found is None:
        blind, prelabel = cleaned.blind, cleaned.prelabel  # nobody has cheques in both arms yet
    answered = [one for one in work if not one.skipped]
    helped = [one for one in answered if one.shown is not None]
    # Where an error was planted, the seconds went into a correction that the reader gave no cause for.
    timed = [one for one in helped if not one.planted and one.annotation in cleaned.seconds]
    by_corrections = sorted(grouped(timed, lambda one: one.corrections).items())

    hours = None
    if found:
        left = max(goal - len({one.task for one in answered}), 0)
        saved = found.seconds
        worked = sum(
            cleaned.seconds.get(one.annotation, found.blind if one.shown is None else found.prelabel)
            for one in answered
            if not one.imported
        )
        hours = Hours(
            saved=Estimate(*(len(helped) * seconds / 3600 for seconds in (saved.value, saved.low, saved.high))),
            worked=worked / 3600,
            with_=left * found.prelabel / 3600,
            without=left * found.blind / 3600,
            left=left,
        )

    return Savings(
        verdict=enough,
        effect=found,
        blind=blind,
        prelabel=prelabel,
        hours=hours,
        acceptance=acceptance(helped),
        by_version={version: acceptance(group) for version, group in grouped(helped, lambda one: one.version).items()},
        by_corrections={
            number: (len(group), float(np.mean([cleaned.seconds[one.annotation] for one in group])))
            for number, group in by_corrections
        },
        by_annotator={
            who: (len(group), float(np.mean([one.corrections for one in group])))
            for who, group in grouped(helped, lambda one: one.annotator).items()
        },
        over_time=over_time(cleaned.work, cleaned.timed),
        dropped=cleaned.dropped,
        caps=cleaned.caps,
    )


def acceptance(helped: Sequence[TimedAnnotation]) -> dict[str, float]:
    """By field: how often what was shown was left as it was. A field shown empty and left empty is accepted."""
    accepted: defaultdict[str, int] = defaultdict(int)
    for one in helped:
        for name, change in one.changed.items():
            accepted[name] += change == "accepted"
    return {name: count / len(helped) for name, count in accepted.items()}


def over_time(work: Sequence[TimedAnnotation], timed: Timed) -> tuple[Block, ...]:
    """Mean seconds of both arms in stretches of equally many cheques, each annotator brought to the common pace."""
    blocks = min(BLOCKS, len(work) // (2 * BLOCK_LEAST))
    if blocks < 2:
        return ()
    people = int(timed.annotator.max()) + 1
    means = np.bincount(timed.annotator, timed.seconds, people) / np.bincount(timed.annotator, minlength=people)
    # A stretch with many cheques of a slow annotator would look slow without this.
    pace = timed.seconds * (timed.seconds.mean() / means)[timed.annotator]
    order = np.argsort([one.at for one in work], kind="stable")
    points = []
    for first, last in pairwise(np.linspace(0, len(order), blocks + 1).astype(int)):
        rows = order[first:last]
        shown, blind = rows[timed.shown[rows]], rows[~timed.shown[rows]]
        if min(len(shown), len(blind)) >= BLOCK_LEAST // 2:
            at = float(np.median([work[row].at for row in rows]))
            points.append(Block(at, float(pace[blind].mean()), float(pace[shown].mean()), len(rows)))
    return tuple(points)


def grouped(work: Sequence[TimedAnnotation], key: Callable[[TimedAnnotation], Key]) -> dict[Key, list[TimedAnnotation]]:
    groups: defaultdict[Key, list[TimedAnnotation]] = defaultdict(list)
    for one in work:
        groups[key(one)].append(one)
    return dict(groups)
