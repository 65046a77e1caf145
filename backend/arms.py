"""A label -> an annotation of the trial: who, how long, in which arm, and what of the reading was changed."""

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
    """Labels as annotations of the trial, oldest first.

    place: the draw, by task. Without it (an export of a project that was never drawn here) the arm is what the
    annotator saw: nothing is blind, something is pre-labelled, and who started from no prediction is left out.
    planted: the record of planted errors, which are taken out again.
    """
    made = []
    for given in labels:
        seen = checked(given, planted.get(given.task))
        label = seen.label

        arm: Arm | None = "blind" if label.shown is None else "prelabel"
        reason = ""
        if not label.offered or label.version == PENDING:
            arm, reason = None, "lost" if label.lost else "no_prediction"
        # With a draw only the drawn arms count: what people choose themselves to do blind is no random half.
        drawn = place(label.task) if place else None
        if place and (drawn is None or drawn.arm is None):
            arm, reason = None, ""
        elif drawn and arm and arm != drawn.arm:
            # Such as a cheque drawn as pre-labelled whose image could not be read: with nothing shown it is not blind.
            arm, reason = None, "not_as_drawn"

        created = seconds_since_1970(label.created_at or label.updated_at)
        made.append(
            TimedAnnotation(
                task=label.task,
                annotation=label.annotation,
                annotator=label.annotator,
                seconds=label.seconds,
                at=created,
                arm=arm,
                exam=drawn is not None and drawn.role == "exam",
                version=label.version,
                changed=label.changed if label.shown is not None else {},
                # A value that cannot be used enters no statistic.
                values={name: value for name, value in label.values.items() if name not in label.faults},
                shown=label.shown,
                skipped=label.skipped,
                ambiguous=label.ambiguous,
                faults=label.faults,
                ground_truth=label.ground_truth,
                imported=label.imported,
                edited=seconds_since_1970(label.updated_at) - created > EDITED_SECONDS,
                left_out=reason,
                planted=seen.field,
                caught=seen.caught,
            )
        )
    return sorted(made, key=lambda one: (one.at, one.annotation))


def seconds_since_1970(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; 0 where there is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
