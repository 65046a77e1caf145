"""One annotation as the trial sees it: who, when, how long, in which arm, and what became of each pre-label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cheques.text import Fault

Arm = Literal["blind", "prelabel"]
Change = Literal["accepted", "corrected", "filled"]


@dataclass(frozen=True)
class TimedAnnotation:
    """One annotation.

    seconds: the page's lead time, as sent. at: when it was made (seconds since 1970). arm: None outside the trial;
    left_out: why it is outside though it might belong there. changed: by field, against what was shown. values: what
    was given, without the fields of `faults`. shown: what the annotator started from, None where nothing was shown.
    ambiguous: some field has two values. faults: the fields that cannot be used, and why. disputed: the annotators of
    its task disagree. imported: made through the API, no page timed it. edited: an update has replaced its lead time.
    planted: the field in which a planted error was shown; caught: whether it was corrected, None where that is not
    known. All else is as if nothing had been planted.
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
