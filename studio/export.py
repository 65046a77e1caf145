"""A JSON export of Label Studio -> Labels. It carries no labeling configuration: the fields are those that occur."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cheques.fields import CHEQUE, Field, Form, Kind
from studio.config import Config, kind_of_name
from studio.connection import StudioError
from studio.formats import Label, label

# The kind of a field by the key that its regions' values have.
KINDS: dict[str, Kind] = {"choices": "choice", "text": "text", "number": "number", "datetime": "date"}
COLUMN = b"annotation_id"  # in the first line of each CSV and TSV that Label Studio writes


class BadExport(StudioError):
    """A file that is no export: one line, what and what to do."""


def read_export(path: Path) -> list[Label]:
    """Every annotation of an export (`…/export?exportType=JSON`). Raises BadExport.

    What an annotator started from is the snapshot inside the annotation, or the prediction itself where the export
    carries predictions whole (an export snapshot made with them); else the label is marked as `lost`.
    """
    tasks = read_tasks(path)

    # The form: what annotations and predictions hold together, in the order of a cheque's fields.
    choices: dict[str, dict[str, None]] = {}
    kinds: dict[str, Kind] = {}
    for region in regions_of(tasks):
        name, value = str(region.get("from_name", "")), region["value"]
        kind = next((kind for key, kind in KINDS.items() if key in value), None)
        if kind == "text" or (kind == "number" and kind_of_name(name) == "amount"):
            kind = kind_of_name(name)
        if kind:
            kinds[name] = kind
            given = value.get("choices")
            choices.setdefault(name, {}).update(dict.fromkeys(map(str, given if isinstance(given, list) else ())))
    known = [name for name in CHEQUE.names if name in kinds]
    names = [*known, *sorted(set(kinds) - set(known))]
    fields = [Field(name, kinds[name], choices=tuple(choices[name])) for name in names if name]
    config = Config(Form(tuple(fields)) if fields else CHEQUE, "image", "image")

    labels = []
    for task in tasks:
        if not isinstance(task.get("id"), int):
            raise BadExport(f"{path}: a task without an id; export the project from Label Studio as JSON")
        for one in task.get("annotations") or ():
            if isinstance(one, dict) and isinstance(one.get("id"), int):
                labels.append(label(one, task, config))
    return labels


def read_tasks(path: Path) -> list[dict[str, Any]]:
    """The tasks of an export as Label Studio wrote them; UTF-8, with a BOM too, or UTF-16. Raises BadExport."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadExport(f"{path}: {error.strerror}; give a JSON export of Label Studio") from None
    try:
        tasks = json.loads(content)  # bytes: json finds out which UTF it is
    except (ValueError, RecursionError):
        head = content[:4096].partition(b"\n")[0]
        kind = next((name for name, mark in (("CSV", b","), ("TSV", b"\t")) if COLUMN in head and mark in head), "")
        what = f"this is a {kind} export" if kind else "no JSON"
        raise BadExport(f"{path}: {what}; export the project from Label Studio as JSON") from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise BadExport(f"{path}: no list of tasks; export the project from Label Studio as JSON")
    if tasks and not any("annotations" in task for task in tasks):
        what = "this is JSON-MIN" if any("annotation_id" in task for task in tasks) else "tasks without annotations"
        raise BadExport(f"{path}: {what}; export the project as JSON, not JSON-MIN")
    return tasks


def regions_of(tasks: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every region with a value: of annotations, of the snapshots of predictions in them, and of predictions."""
    for task in tasks:
        annotations = [one for one in task.get("annotations") or () if isinstance(one, dict)]
        snapshots = [one.get("prediction") for one in annotations]
        # Most exports hold predictions as bare ids.
        for source in [*annotations, *snapshots, *(task.get("predictions") or ())]:
            result = source.get("result") if isinstance(source, dict) else None
            for region in result if isinstance(result, list) else ():
                if isinstance(region, dict) and isinstance(region.get("value"), dict):
                    yield region
