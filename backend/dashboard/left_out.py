"""What of the labels cannot be used, and what was passed over: so that whoever labelled it can put it right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cheques.text import Fault
from study.timed_annotation import TimedAnnotation


@dataclass(frozen=True)
class Faulty:
    """A label of which something cannot be used. at: when it was made (seconds since 1970). faults: why, by field."""

    task: int
    annotation: int
    at: float
    faults: Mapping[str, Fault]

    @property
    def whole(self) -> bool:
        """Is all of it left out, and not these fields alone?"""
        return "two_values" in self.faults.values()


@dataclass(frozen=True)
class LeftOut:
    """faulty: the newest first. skipped: tasks that everybody skipped. disputed: tasks on which annotators disagree."""

    faulty: tuple[Faulty, ...] = ()
    skipped: tuple[int, ...] = ()
    disputed: tuple[int, ...] = ()


def left_out(work: Sequence[TimedAnnotation]) -> LeftOut:
    """work: every annotation, oldest first. What an annotator did again on the same task stands for what was before."""
    latest = {(one.task, one.annotator): one for one in work if not one.skipped}
    labelled = {task for task, _ in latest}
    faulty = [Faulty(one.task, one.annotation, one.at, one.faults) for one in latest.values() if one.faults]
    return LeftOut(
        tuple(sorted(faulty, key=lambda one: (one.at, one.annotation), reverse=True)),
        tuple(sorted({one.task for one in work} - labelled)),
        tuple(sorted({one.task for one in latest.values() if one.disputed})),
    )
