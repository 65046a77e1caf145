"""One annotation as the trial sees it: who, when, how long, in which arm, and what became of each pre-label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from studio.planted import Record, checked

if TYPE_CHECKING:
    from studio.formats import Fault, Label
    from trainer.draw import Place

Arm = Literal["blind", "prelabel"]
Change = Literal["accepted", "corrected", "filled"]

GAP = "pending"  # the version of an empty answer that only stands in for a reading: nobody drew that cheque blind
EDITED_SECONDS = 5.0  # the server writes both moments of a new annotation within milliseconds


@dataclass(frozen=True)
class Work:
    """One annotation.

    seconds: the page's lead time, as sent. at: when it was made (seconds since 1970). arm: None outside the trial,
    `left_out` then says why it might have belonged there. changed: by field, against what was shown. values: what
    was given, without the fields of `faults`. shown: what the annotator started from, None where nothing was. edited:
    an update has replaced its lead time. ambiguous: some field has two values. faults: what of it cannot be used, by
    field, and why.
    disputed: the annotators of its task disagree.
    imported: made through the API, no page timed it. planted: the field in which a planted error was shown;
    caught: whether it was corrected, None where that cannot be said. The rest is as if nothing had been planted.
    """

    task: int
    annotation: int
    annotator: int | None
    seconds: float | None
    at: float
    arm: Arm | None = None
    exam: bool = False
    version: str = ""
    changed: Mapping[str, Change] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] | None = None
    skipped: bool = False
    ambiguous: bool = False
    faults: Mapping[str, Fault] = field(default_factory=dict)
    disputed: bool = False
    ground_truth: bool = False
    imported: bool = False
    edited: bool = False
    left_out: str = ""
    planted: str = ""
    caught: bool | None = None

    @property
    def corrections(self) -> int:
        """How many of the fields that were shown had to be changed or filled."""
        return sum(change != "accepted" for change in self.changed.values())


NOTHING_PLANTED = Record()


def work_of(
    labels: Iterable[Label],
    place: Callable[[int], Place | None] | None = None,
    planted: Record = NOTHING_PLANTED,
) -> list[Work]:
    """Labels as work, oldest first.

    place: the draw, by task. Without it (an export of a project that was never drawn here) the arm is what the
    annotator saw: nothing is blind, something is pre-labelled, and who started from no prediction is left out.
    planted: the record of planted errors, which are taken out again.
    """
    made = [_work(label, place(label.task) if place else None, place is not None, planted) for label in labels]
    return sorted(made, key=lambda one: (one.at, one.annotation))


def _work(given: Label, place: Place | None, drawn: bool, planted: Record) -> Work:
    seen = checked(given, planted.get(given.task))
    label = seen.label
    arm, reason = _arm(label, place) if drawn else _arm_seen(label)
    created, updated = moment(label.created_at or label.updated_at), moment(label.updated_at)
    return Work(
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
    if not label.offered or label.version == GAP:
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


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; 0 where there is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
