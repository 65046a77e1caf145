"""The exam: how the champion read it, and what was kept from the annotators of its blind cheques."""

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
    """The exam as one version read it. confidence, right: n x fields; a field read as "?" has confidence NEVER.

    right is NaN where the truth of a field is not known: that value, and that cheque as a whole, are not counted.
    tasks: those that were judged when the version was made. later: how many were labelled since; they come last.
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
        """Confidence and rightness of one field, where its truth is known."""
        column = self.fields.index(name)
        known = ~np.isnan(self.right[:, column])
        return self.confidence[known, column], self.right[known, column] == 1


NOTHING = Graded((), np.zeros((0, 0)), np.zeros((0, 0)))


def graded(version: Version | None) -> Graded:
    """From the version's report; NOTHING where there is no report, or an older one without confidences."""
    if version is None:
        return NOTHING
    try:
        report = json.loads((version.path / "report" / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return NOTHING
    cheques = [
        one
        for one in report.get("cheques") or ()
        if isinstance(one, dict) and isinstance(one.get("right"), dict) and isinstance(one.get("confidence"), dict)
    ]
    if not cheques:
        return NOTHING
    fields = tuple(dict.fromkeys(name for one in cheques for name in one["right"]))

    def confidence(one: dict[str, Any], name: str) -> float:
        return NEVER if name in one.get("unreadable", ()) else float(one["confidence"].get(name) or 0.0)

    return Graded(
        fields,
        np.array([[confidence(one, name) for name in fields] for one in cheques], float),
        np.array([[one["right"].get(name, np.nan) for name in fields] for one in cheques], float),
        frozenset(str(one.get("id", "")) for one in cheques),
    )


def with_later(
    judged: Graded, work: Sequence[TimedAnnotation], form: Form, read: Callable[[Iterable[int]], Mapping[int, Reading]]
) -> Graded:
    """The exam of the report, and the exam cheques labelled since, as far as the version's readings of them are kept.

    These later ones had no part in the version's promotion. read: tasks -> what the version read on them.
    """
    # A report of another form: its fields are not those that are labelled now.
    if judged.fields and set(judged.fields) != set(form.names):
        return judged
    true = {task: one for task, one in true_labels(work).items() if str(task) not in judged.tasks}
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


def true_labels(work: Sequence[TimedAnnotation]) -> dict[int, TimedAnnotation]:
    """The true label of each exam cheque: the one marked ground truth, else the latest that can be used whole."""
    found: dict[int, TimedAnnotation] = {}
    # The last one wins: ground truth over the rest, then the later label.
    for one in sorted(work, key=lambda one: (one.ground_truth, one.at, one.annotation)):
        whole = set(one.faults.values()) <= {"no_field"}  # a name that the form does not have harms no field of it
        if one.exam and not one.skipped and not one.ambiguous and whole:
            found[one.task] = one
    return found


def blind_values(
    readings: Iterable[BlindReading], version_shown: Callable[[int], str | None]
) -> dict[int, dict[str, str]]:
    """What was kept from the annotators of blind cheques, by task: the values of the version then in service.

    version_shown: the version of the (empty) prediction that the annotator started from.
    """
    by_version: dict[int, dict[str, dict[str, str]]] = {}
    for one in readings:
        with suppress(ValueError):  # a task whose name is no id of Label Studio's
            by_version.setdefault(int(one.task), {})[one.version] = one.values
    found = {}
    for task, versions in by_version.items():
        newest = next(reversed(versions.values()))
        found[task] = versions.get(version_shown(task) or "", newest)
    return found
