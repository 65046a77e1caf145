"""When to stop: the learning curve of a project, from its versions and their reports, in words and as JSON.

What is kept for the lead's page, and written again after each version:

    {"project": "7", "at": ISO time, "left_out": versions of another base or form,
     "points": [{"version": "base" or "v1", "labels": lessons learned from, "exam": cheques judged on,
                 "mean": exact match, "low", "high": its 95 % interval, "decision": null for the base}],
     "enough": true,
     "lack": null, or {"what": "versions", "exam" or "labels", "have", "needed"} where not enough,
     "sentence": the answer in English,
     -- where enough:
     "method": "paired" (compared cheque by cheque) or "parametric" (some reports do not say which cheques were right),
     "labels": of the version with most of them, "now": {"value", "low", "high"} of the curve there,
     "more": 100, "gain": {"value", "low", "high"} of so many more labels,
     "horizon": labels up to which something is said,
     "targets": [{"target", "reached", "labels": in all, null beyond the horizon, "low", "high": likewise}],
     "curve": [{"labels", "value", "low", "high"}] from no label to `more` than now, those of the versions included}

Exact match and its differences are shares: 0.02 is two points.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from reader.base_model import differs
from store import tables
from store.marks import CURVE, set_mark
from store.versions import Version, Versions
from study.learning_curve import Curve, Lack, Needed, Point, fit, lacking, own_interval

MORE = 100  # labels
TARGETS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
TARGETS_SAID = 3  # the next ones above where the curve is now
STEPS = 40  # of the curve


@dataclass(frozen=True)
class Row:
    """One reader on the curve. version: None for the base."""

    version: Version | None
    point: Point

    @property
    def name(self) -> str:
        return self.version.name if self.version else "base"


@dataclass(frozen=True)
class Progress:
    """rows: the base if it was judged, then the versions, oldest first. curve or lack: one of the two."""

    project: str
    rows: tuple[Row, ...]
    left_out: int
    curve: Curve | None
    lack: Lack | None


def learning_progress(versions: Versions) -> Progress:
    """Every judged version, promoted or rejected, that has the base and the form of the newest one."""
    judged = [one for one in versions.list() if one.mean is not None and one.exam]
    alike = [one for one in judged if one.form == judged[-1].form and not differs(one.base, judged[-1].base)]
    rows, reports = list[Row](), list[dict[str, Any]]()
    for one in alike:
        try:
            report = json.loads((one.path / "report" / "report.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            report = None
        reports.append(report if isinstance(report, dict) else {})
        # By cheque where the report says it, otherwise as the version's record has it.
        if scores := exam_scores(reports[-1], "right"):
            point = Point(one.labels, len(scores), sum(scores.values()) / len(scores), scores)
        else:
            point = Point(one.labels, one.exam, min(1.0, max(0.0, one.mean or 0.0)))
        rows.append(Row(one, point))
    if base := base_point(reports):
        rows.insert(0, Row(None, base))

    # What was trained elsewhere is on no curve of these labels; it is shown beside it.
    points = [row.point for row in rows if row.version is None or not row.version.brought]
    lack = lacking(points, MORE)
    return Progress(versions.project, tuple(rows), len(judged) - len(alike), None if lack else fit(points), lack)


def keep_curve(versions: Versions, found: Progress) -> None:
    """Keep it for the page. Raises StoreError."""
    set_mark(versions.store, versions.project, CURVE, as_json(found))


def targets(curve: Curve, wanted: Sequence[float] = ()) -> list[Needed]:
    """What these targets take; without any, the next round ones above where the curve is now."""
    now = round(curve.at(curve.labels).value, 2)  # as people see it: nobody asks for 0.80 at 0.80
    return [curve.needed(one) for one in wanted or [one for one in TARGETS if one > now][:TARGETS_SAID]]


def as_json(found: Progress, wanted: Sequence[float] = ()) -> dict[str, Any]:
    """See this module's docstring. wanted: targets, the next round ones where there is none."""
    curve, points = found.curve, list[dict[str, Any]]()
    for row in found.rows:
        low, high = own_interval(row.point)
        point = {"version": row.name, "labels": row.point.labels, "exam": row.point.n, "mean": row.point.mean}
        points.append(point | {"low": low, "high": high, "decision": row.version and row.version.decision})
    content: dict[str, Any] = {
        "project": found.project,
        "at": tables.now(),
        "left_out": found.left_out,
        "points": points,
        "enough": curve is not None,
        "lack": found.lack and asdict(found.lack),
        "sentence": sentence(found),
    }
    if curve is None:
        return content
    end = curve.labels + MORE
    along = sorted({*np.linspace(0, end, STEPS).astype(int).tolist(), *(row.point.labels for row in found.rows), end})
    return content | {
        "method": "paired" if curve.paired else "parametric",
        "labels": curve.labels,
        "now": asdict(curve.at(curve.labels)),
        "more": MORE,
        "gain": asdict(curve.gain(MORE)),
        "horizon": curve.horizon,
        "targets": [asdict(one) for one in targets(curve, wanted)],
        "curve": [{"labels": labels, **asdict(curve.at(labels))} for labels in along],
    }


def sentence(found: Progress) -> str:
    """`exact match 0.83 now; 100 more labels bring +0.02 (0.00 to 0.04)`, or what is missing to say that."""
    if found.lack:
        words = {"exam": "exam cheques", "labels": "labels learned from"}
        lack = found.lack
        if lack.what == "versions":
            return f"not enough yet: {lack.have} version{'' if lack.have == 1 else 's'}, {lack.needed} needed"
        return f"not enough yet: {lack.have} {words[lack.what]}, {lack.needed} needed"
    assert found.curve is not None
    now, gain = found.curve.at(found.curve.labels), found.curve.gain(MORE)
    return (
        f"exact match {now.value:.2f} now; "
        f"{MORE} more labels bring {gain.value:+.2f} ({gain.low:z.2f} to {gain.high:z.2f})"
    )


def target_sentence(curve: Curve, needed: Needed) -> str:
    """What a target takes, never further than the curve reaches."""
    if needed.reached:
        return f"{needed.target:.2f} is reached now"
    if needed.labels is None and needed.low is not None:
        return f"{needed.target:.2f} takes more than {curve.horizon} labels as the curve goes, {needed.low} at best"
    if needed.labels is None:
        return (
            f"{needed.target:.2f} is not within reach of what these versions show (looked up to {curve.horizon} labels)"
        )
    low = needed.low if needed.low is not None else needed.labels
    high = f"{needed.high}" if needed.high is not None else f"more than {curve.horizon}"
    return f"{needed.target:.2f} takes about {needed.labels} labels to learn from ({low} to {high})"


def base_point(reports: Sequence[dict[str, Any]]) -> Point | None:
    """The base on every cheque that any report has it on, as last judged; by its mean where cheques are unknown."""
    scores = {cheque: score for report in reports for cheque, score in exam_scores(report, "base_right").items()}
    if scores:
        return Point(0, len(scores), sum(scores.values()) / len(scores), scores, trained=False)
    for report in reversed(reports):
        base = report.get("base")
        n, mean = (base.get("n"), base.get("mean")) if isinstance(base, dict) else (None, None)
        if isinstance(n, int) and n > 0 and isinstance(mean, float) and 0 <= mean <= 1:
            return Point(0, n, mean, trained=False)
    return None


def exam_scores(report: dict[str, Any], key: str) -> dict[str, float]:
    """The share of right fields of each exam cheque; nothing where the report does not say it of every one."""
    cheques = report.get("cheques")
    if not isinstance(cheques, list):
        return {}
    found = {}
    for one in cheques:
        right = one.get(key) if isinstance(one, dict) else None
        if not isinstance(right, dict) or not right:
            return {}
        # By the digest: in folders an id is a file's name, and two exams may have cheques of the same name.
        found[str(one.get("digest") or one.get("id"))] = sum(map(bool, right.values())) / len(right)
    return found
