"""Label Studio's formats: Reading -> prediction, annotation -> Label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from cheques.fields import EMPTY, UNREADABLE, Field, Form
from cheques.settings import settings
from cheques.text import Fault
from cheques.values import (
    LOOKED_AT,
    REASONS,
    BadValue,
    Reason,
    as_number,
    canonical,
    canonical_or_text,
    currency_of,
    one_line,
)
from reader.reading import Reading
from studio.config import LABELLED_AT, BadConfig, Config, read_config

__all__ = [
    "BadConfig",
    "Config",
    "Label",
    "disagreements",
    "hint",
    "label",
    "prediction",
    "read_config",
    "region",
    "truth",
    "values_of",
]

Change = Literal["accepted", "corrected", "filled"]


@dataclass(frozen=True)
class Label:
    """What a person submitted for one task.

    values: canonical, every field of the form; what has no canonical form is kept as its text.
    unusable: the fields of `values` that have no canonical form, and why. Only these fields are left out: nothing is
    learned from them or judged by them. problems: in words, with the place, never what was typed.
    seconds: the lead time; None where the client sent none. shown: the values of the prediction it started from; None
    where nothing was shown. version: that prediction's version. changed: by field, only where something was given or
    shown. ambiguous: some field has two values, so the label says nothing for sure; `doubled` names these fields.
    foreign: names that hold values and are no control of the configuration, as after a field was renamed. offered: it
    started from a stored prediction, even an empty one. lost: it started from one that is not known any more.
    imported: made through the API, so that no page timed it.
    """

    task: int
    annotation: int
    image: str
    values: dict[str, str]
    updated_at: str
    seconds: float | None = None
    annotator: int | None = None
    skipped: bool = False
    ground_truth: bool = False
    changed: dict[str, Change] = field(default_factory=dict)
    shown: dict[str, str] | None = None
    version: str = ""
    unusable: dict[str, Reason] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    ambiguous: bool = False
    doubled: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    created_at: str = ""
    offered: bool = False
    lost: bool = False
    imported: bool = False

    @property
    def usable(self) -> bool:
        """May it be taken for the truth?"""
        return not self.skipped and not self.ambiguous

    @property
    def faults(self) -> dict[str, Fault]:
        """The fields that cannot be used, and why. Two values cost the whole label, all else the field alone."""
        found: dict[str, Fault] = {**self.unusable}
        return found | dict.fromkeys(self.foreign, "no_field") | dict.fromkeys(self.doubled, "two_values")


def prediction(config: Config, reading: Reading, version: str, score: float, blind: bool = False) -> dict[str, Any]:
    """A prediction as Label Studio stores it: a region for each value that is not empty, each with its confidence.

    blind: an empty result, so that the annotator is shown nothing.
    """
    regions = []
    for f in () if blind else config.form:
        made = region(config, f, reading.values.get(f.name, ""))
        if made:
            # The sdk's regions lose the score when they are serialised; a dict keeps it.
            regions.append(made | {"score": finite(reading.confidence.get(f.name, 0.0))})
    return {"model_version": version, "score": finite(score), "result": regions}


def region(config: Config, field: Field, value: str) -> dict[str, Any] | None:
    """A canonical value as Label Studio stores it; None where it is empty.

    None too for what the control cannot hold (a "?" that is none of its choices, the 31st of February): the page shows
    that as something else or not at all, so the annotator is given an empty field.
    """
    if not value or (value == UNREADABLE and field.name in config.no_unknown):
        return None
    held: dict[str, Any]
    if field.kind == "choice":
        if value not in (*field.choices, UNREADABLE):
            return None
        kind, held = "choices", {"choices": [value]}
    elif field.name in config.numbers:
        kind, held = "number", {"number": float(value)}
    elif field.name in config.dates:
        try:
            kind, held = "datetime", {"datetime": date.fromisoformat(value).strftime(config.dates[field.name])}
        except ValueError:
            return None
    else:
        kind, held = "textarea", {"text": [value]}
    return {"id": field.name, "from_name": field.name, "to_name": config.image_tag, "type": kind, "value": held}


def finite(score: float) -> float:
    """A score as Label Studio can store it: NaN is no JSON, and a missing score is served before all others."""
    return round(float(score), 6) if math.isfinite(score) else 0.0


@dataclass(frozen=True)
class Given:
    """The regions of an annotation or a prediction.

    texts: by field. origins: by field, as the page noted them. unknown: names that the form does not have.
    not_text: fields whose region holds null, a number or an object where text is expected; the API takes anything.
    """

    texts: dict[str, list[str]]
    origins: dict[str, str]
    unknown: tuple[str, ...] = ()
    not_text: frozenset[str] = frozenset()

    @property
    def first(self) -> dict[str, str]:
        """The first text of each field that has one."""
        return {name: texts[0] for name, texts in self.texts.items() if texts}


def values_of(result: Any, form: Form) -> Given:
    """What the regions say, by field. Never raises, whatever came through the API."""
    if not isinstance(result, list | None):
        return Given({}, {}, not_text=frozenset(form.names))
    texts: dict[str, list[str]] = {}
    origins: dict[str, str] = {}
    unknown: list[str] = []
    not_text: set[str] = set()
    for region in result or ():
        if not isinstance(region, Mapping) or "from_name" not in region:
            continue  # a relation between regions, or nothing of any field
        name, value = str(region["from_name"]), region.get("value")
        if name not in form.names:
            unknown.append(name)
            continue
        raw: Any = None
        if isinstance(value, Mapping):
            raw = next((value[key] for key in ("text", "choices", "number", "datetime") if key in value), [])
            if "number" in value and isinstance(raw, int | float) and not isinstance(raw, bool):
                raw = f"{Decimal(str(raw)):f}"  # people do not write 1e-07
        parts = [raw] if isinstance(raw, str) else raw
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            not_text.add(name)
            continue
        texts.setdefault(name, []).extend(found for part in parts if (found := one_line(part)))
        origins[name] = str(region.get("origin", ""))
    return Given(texts, origins, tuple(dict.fromkeys(unknown)), frozenset(not_text))


def label(annotation: Mapping[str, Any], task: Mapping[str, Any], config: Config) -> Label:
    """What an annotation of a task (both as Label Studio's API sends them) says. Never raises on what people typed."""
    said = values_of(annotation.get("result"), config.form)
    place = f"task {task['id']}, annotation {annotation['id']}"
    unknown = [name for name in said.unknown if not config.knows(name)]
    problems = [f"{place}: {name} is no field of the form; ignored" for name in unknown]
    currency = currency_of(config.form, said.first)
    day, years, parent = day_made(annotation, task), settings().date_years, parent_prediction(annotation, task)
    before = values_of(parent.get("result") if parent else None, config.form).first
    values = dict.fromkeys(config.form.names, EMPTY)
    unusable: dict[str, Reason] = dict.fromkeys(sorted(said.not_text, key=config.form.names.index), "not_text")
    doubled: list[str] = []
    for f in config.form:
        # Values may be personal: problems name the place and the field, never what was typed.
        given: dict[str, None] = {}
        for text in said.texts.get(f.name, ()):
            try:
                value = canonical(f, text, currency, day, years)
                # Shown as 12.500 dinars and left, but the currency corrected to euros: 12.5 or 12,500 may be meant.
                number = as_number(text) if f.kind == "amount" and text == before.get(f.name) else None
                if number is not None and number != as_number(value):
                    raise BadValue("", "two_readings")
                given[value] = None
            except BadValue as error:
                given[text[:LOOKED_AT]] = None
                unusable[f.name] = error.reason
        if len(given) > 1:
            remedy = ' (maxSubmissions="1" on its TextArea allows one only)' if f.name in config.several else ""
            problems.append(
                f"{place}: {f.name} has {len(given)} values; the label is left out until one is deleted{remedy}"
            )
            doubled.append(f.name)
        values[f.name] = next(iter(given), EMPTY)
    for name, reason in unusable.items():
        why = REASONS[reason].format(kind=config.form[name].kind)
        problems.append(f"{place}: {name} {why}; it is left out, the label's other fields count")
    shown = None
    if parent and parent.get("result"):
        # In the label's currency, so that an amount that was left as shown has the same decimals and is the same text.
        shown = {f.name: canonical_or_text(f, before.get(f.name, EMPTY), currency) for f in config.form}
    by = annotation.get("completed_by")
    return Label(
        task=int(task["id"]),
        annotation=int(annotation["id"]),
        image=config.image_of(task.get("data") or {}),
        values=values,
        updated_at=str(annotation.get("updated_at") or ""),
        seconds=lead_seconds(annotation),
        annotator=by.get("id") if isinstance(by, Mapping) else by,
        skipped=bool(annotation.get("was_cancelled")),
        ground_truth=bool(annotation.get("ground_truth")),
        changed=changes(config.form, values, shown, said.origins),
        shown=shown,
        version=str((parent or {}).get("model_version") or ""),
        unusable=unusable,
        problems=tuple(problems),
        ambiguous=bool(doubled),
        doubled=tuple(doubled),
        foreign=tuple(unknown),
        created_at=str(annotation.get("created_at") or ""),
        offered=parent is not None,
        lost=parent is None and annotation.get("parent_prediction") is not None,
        imported=is_imported(annotation),
    )


def is_imported(annotation: Mapping[str, Any]) -> bool:
    """Was it made through the API? The page always sends a lead time, and marks each region with its origin."""
    if annotation.get("import_id") or annotation.get("last_action") == "imported" or annotation.get("bulk_created"):
        return True
    result = annotation.get("result")
    regions = [region for region in result if isinstance(region, Mapping)] if isinstance(result, list) else []
    return lead_seconds(annotation) is None and not any(region.get("origin") for region in regions)


def lead_seconds(annotation: Mapping[str, Any]) -> float | None:
    """The time that a person took, as the page sent it."""
    lead_time = annotation.get("lead_time")
    # API clients send none, or zero.
    return float(lead_time) if isinstance(lead_time, int | float) and lead_time > 0 else None


def parent_prediction(annotation: Mapping[str, Any], task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The prediction that the annotator started from, if it is still known; its snapshot in an export is as good.

    The server makes the snapshot when the annotation is submitted, from the version in service then. An annotator who
    opened the cheque before the version changed started from another prediction.
    """
    wanted = annotation.get("parent_prediction")
    for stored in task.get("predictions") or ():
        if isinstance(stored, Mapping) and wanted is not None and stored.get("id") == wanted:
            return stored
    if wanted is None and is_imported(annotation):
        return None  # the server adds a snapshot to what comes through its API too, though nobody saw it
    snapshot = annotation.get("prediction")
    if not isinstance(snapshot, Mapping) or "result" not in snapshot:
        return None
    return snapshot if wanted is None or snapshot.get("id", wanted) == wanted else None


def day_made(annotation: Mapping[str, Any], task: Mapping[str, Any]) -> date | None:
    """The day on which the label was made, whatever changed later: its dates are read relative to that day.

    Label Studio dates an imported label by its import, so `chequemate import` writes the day into the task's data.
    """
    data = task.get("data")
    brought = data.get(LABELLED_AT) if isinstance(data, Mapping) else None
    try:
        return date.fromisoformat(str(brought or annotation.get("created_at") or annotation.get("updated_at"))[:10])
    except ValueError:
        return None


def changes(
    form: Form, values: Mapping[str, str], shown: Mapping[str, str] | None, origins: Mapping[str, str]
) -> dict[str, Change]:
    """By field what the person did, compared with what was shown; where that is unknown, by the page's `origin`."""
    by_origin: dict[str, Change] = {"prediction": "accepted", "prediction-changed": "corrected"}
    changed: dict[str, Change] = {}
    for name in form.names:
        before = (shown or {}).get(name, "")
        if shown is not None and before == values[name]:
            changed[name] = "accepted"
        elif before:
            changed[name] = "corrected"
        elif values[name]:
            changed[name] = by_origin.get(origins.get(name, ""), "filled") if shown is None else "filled"
    return changed


def hint(form: Form, confidence: Sequence[float] | None, doubt: float) -> str:
    """Where the annotator should look: the fields less sure than `doubt` (confidences in the form's order).

    Empty where all are sure: who is told that a reading is safe waves it through.
    """
    doubtful = [f.title or f.name for f, sure in zip(form, confidence or (), strict=False) if sure < doubt]
    return f"À vérifier : {', '.join(doubtful)}" if doubtful else ""


def truth(labels: Sequence[Label]) -> Label | None:
    """Which label of one task is true: the one marked ground truth, else the latest that can be used."""
    usable = [one for one in labels if one.usable]
    return max(usable, key=lambda one: (one.ground_truth, one.updated_at, one.annotation), default=None)


def disagreements(labels: Sequence[Label]) -> tuple[str, ...]:
    """The fields on which the annotators of one task disagree, by the latest usable label of each."""
    latest: dict[int | None, Label] = {}
    for one in sorted((one for one in labels if one.usable), key=lambda one: (one.updated_at, one.annotation)):
        latest[one.annotator] = one
    given: dict[str, set[str]] = {}
    for one in latest.values():
        for name, value in one.values.items():
            given.setdefault(name, set()).update({value} if name not in one.unusable else ())
    return tuple(name for name, values in given.items() if len(values) > 1)
