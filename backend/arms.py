"""A label -> an annotation of the trial: who, how long, in which arm, and what became of the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from store.draw import Place
from store.planted import PlantedRecord
from studio.formats import Label
from studio.planted import checked
from study.timed_annotation import Arm, TimedAnnotation

PENDING = "pending"  # the version of an empty answer that only stands in for a reading: its cheque is not blind
EDITED_SECONDS = 5.0  # the server writes both moments of a new annotation within milliseconds
NOTHING_PLANTED = PlantedRecord()


def work_of(
    labels: Iterable[Label],
    place: Callable[[int], Place | None] | None = None,
    planted: PlantedRecord = NOTHING_PLANTED,
) -> list[TimedAnnotation]:
    """Labels as work, oldest first.

    place: the draw, by task. Without it (an export of a project that was never drawn here) the arm is what the
    annotator saw: nothing is blind, something is pre-labelled, and who started from no prediction is left out.
    planted: the record of planted errors, which are taken out again.
    """
    made = [_work(label, place(label.task) if place else None, place is not None, planted) for label in labels]
    return sorted(made, key=lambda one: (one.at, one.annotation))


def _work(given: Label, place: Place | None, drawn: bool, planted: PlantedRecord) -> TimedAnnotation:
    seen = checked(given, planted.get(given.task))
    label = seen.label
    arm, reason = _arm(label, place) if drawn else _arm_seen(label)
    created, updated = seconds_since_1970(label.created_at or label.updated_at), seconds_since_1970(label.updated_at)
    return TimedAnnotation(
        task=label.task,
        annotation=label.annotation,
        annotator=label.annotator,
        seconds=label.seconds,
        at=created,
        arm=arm,
        exam=place is not None and place.role == "exam",
        version=label.version,
        changed=label.changed if label.shown is not None else {},
        values={name: value for name, value in label.values.items() if name not in label.faults},
        shown=label.shown,
        skipped=label.skipped,
        ambiguous=label.ambiguous,
        faults=label.faults,
        ground_truth=label.ground_truth,
        imported=label.imported,
        edited=updated - created > EDITED_SECONDS,
        left_out=reason,
        planted=seen.field,
        caught=seen.caught,
    )


def _arm_seen(label: Label) -> tuple[Arm | None, str]:
    if not label.offered or label.version == PENDING:
        return None, "lost" if label.lost else "no_prediction"
    return ("blind" if label.shown is None else "prelabel"), ""


def _arm(label: Label, place: Place | None) -> tuple[Arm | None, str]:
    """The drawn arm, checked against what was shown: an unreadable image with nothing to show is no blind cheque."""
    if place is None or place.arm is None:
        return None, ""
    seen, reason = _arm_seen(label)
    if seen is None:
        return None, reason
    return (place.arm, "") if seen == place.arm else (None, "not_as_drawn")


def seconds_since_1970(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; 0 where there is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
