"""What is on disk about the exam: the champion's readings of it, and what was kept from blind annotators."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cheques.fields import UNREADABLE, Form
from cheques.values import exact
from reader.reading import Reading
from store.blind_readings import BlindReading
from store.versions import Version
from study.certified_reading import NEVER
from study.timed_annotation import TimedAnnotation


@dataclass(frozen=True)
class Graded:
    """The exam as one version read it. confidence, right: n x fields; a cheque with a "?" has confidence NEVER.

    right is NaN where the truth of a field is not known: that value, and that cheque as a whole, are not counted.
    tasks: those that were judged when the version was made. later: how many were labelled since, the last of the rows.
    """

    fields: tuple[str, ...]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]
    tasks: frozenset[str] = frozenset()
    later: int = 0

    def cheque(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """A whole cheque is as sure as its least sure field, and right when every field is."""
        if not len(self.confidence):
            return np.zeros(0), np.zeros(0, bool)
        known = ~np.isnan(self.right).any(axis=1)
        return np.asarray(self.confidence[known].min(axis=1)), np.asarray(self.right[known].all(axis=1), bool)

    def field(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        column = self.fields.index(name)
        known = ~np.isnan(self.right[:, column])
        return self.confidence[known, column], self.right[known, column] == 1


NOTHING = Graded((), np.zeros((0, 0)), np.zeros((0, 0)))


def graded(version: Version | None) -> Graded:
    """From the version's report; nothing where it has none, or an older one without confidences."""
    if version is None:
        return NOTHING
    try:
        report = json.loads((version.path / "report" / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return NOTHING
    cheques = [one for one in report.get("cheques") or () if _is_graded(one)]
    if not cheques:
        return NOTHING
    fields = tuple(dict.fromkeys(name for one in cheques for name in one["right"]))
    return Graded(
        fields,
        np.array([[_confidence(one, name) for name in fields] for one in cheques], float),
        np.array([[one["right"].get(name, np.nan) for name in fields] for one in cheques], float),
        frozenset(str(one.get("id", "")) for one in cheques),
    )


def with_later(
    judged: Graded, work: Sequence[TimedAnnotation], form: Form, read: Callable[[Iterable[int]], Mapping[int, Reading]]
) -> Graded:
    """The exam of the report, and the exam cheques labelled since, as far as the version's readings of them are kept.

    Whatever a version is promoted for, it has not been chosen by these. read: tasks -> what the version read on them.
    """
    if judged.fields and set(judged.fields) != set(form.names):
        return judged
    true = {task: one for task, one in _true(work).items() if str(task) not in judged.tasks}
    readings = read(sorted(true))
    fields = judged.fields or form.names
    confidence, right = [], []
    for task, reading in readings.items():
        same = exact(form, true[task].values, reading.values)
        unread = [name for name in fields if reading.values.get(name) == UNREADABLE]
        confidence.append([NEVER if name in unread else reading.confidence.get(name, 0.0) for name in fields])
        right.append([same[name] if name in true[task].values else np.nan for name in fields])
    if not readings:
        return judged
    return Graded(
        fields,
        np.concatenate([judged.confidence.reshape(-1, len(fields)), np.array(confidence, float)]),
        np.concatenate([judged.right.reshape(-1, len(fields)), np.array(right, float)]),
        judged.tasks,
        len(readings),
    )


def _true(work: Sequence[TimedAnnotation]) -> dict[int, TimedAnnotation]:
    """The true label of each exam cheque: the one marked ground truth, else the latest that can be used whole."""
    found: dict[int, TimedAnnotation] = {}
    for one in sorted(work, key=lambda one: (one.ground_truth, one.at, one.annotation)):
        whole = set(one.faults.values()) <= {"no_field"}  # which says nothing of the form's own fields
        if one.exam and not one.skipped and not one.ambiguous and whole:
            found[one.task] = one
    return found


def _is_graded(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("right"), dict) and isinstance(one.get("confidence"), dict)


def _confidence(one: dict[str, Any], name: str) -> float:
    if name in one.get("unreadable", ()):
        return NEVER
    return float(one["confidence"].get(name) or 0.0)


def said(readings: Iterable[BlindReading], version_shown: Callable[[int], str | None]) -> dict[int, dict[str, str]]:
    """What the reader would have said on blind cheques, by task: the version that was in service when it was labelled.

    version_shown: the version of the (empty) prediction that the annotator started from.
    """
    by_version: dict[int, dict[str, dict[str, str]]] = {}
    for one in readings:
        with suppress(ValueError):  # a task that is no task of Label Studio
            by_version.setdefault(int(one.task), {})[one.version] = one.values
    found = {}
    for task, versions in by_version.items():
        shown = version_shown(task)
        found[task] = versions.get(shown or "", next(reversed(versions.values())))
    return found
