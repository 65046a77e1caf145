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

# By what a region's value holds.
KINDS: dict[str, Kind] = {"choices": "choice", "text": "text", "number": "number", "datetime": "date"}
COLUMN = b"annotation_id"  # in the first line of each CSV and TSV that Label Studio writes


class BadExport(StudioError):
    """A file that is no export: one line, what and what to do."""


def read_export(path: Path) -> list[Label]:
    """Every annotation of an export (`…/export?exportType=JSON`). Raises BadExport.

    What an annotator started from is the snapshot inside the annotation, or the prediction itself where the export
    carries predictions whole (a snapshot made with them); else the label is marked as `lost`.
    """
    tasks = read_tasks(path)
    config = _config(tasks)
    return [label(annotation, task, config) for task in tasks for annotation in _annotations(path, task)]


def read_tasks(path: Path) -> list[dict[str, Any]]:
    """The tasks of an export as Label Studio wrote them; UTF-8, with a BOM too, or UTF-16. Raises BadExport."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadExport(f"{path}: {error.strerror}; give a JSON export of Label Studio") from None
    try:
        tasks = json.loads(content)  # it sees by itself which of the UTFs it is
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


def _annotations(path: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    annotations = task.get("annotations") or []
    if not isinstance(task.get("id"), int):
        raise BadExport(f"{path}: a task without an id; export the project from Label Studio as JSON")
    return [one for one in annotations if isinstance(one, dict) and isinstance(one.get("id"), int)]


def _config(tasks: list[dict[str, Any]]) -> Config:
    """The form that annotations and snapshots of predictions make together, in the order of a cheque's fields."""
    choices: dict[str, dict[str, None]] = {}
    kinds: dict[str, Kind] = {}
    for region in _regions(tasks):
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
    return Config(Form(tuple(fields)) if fields else CHEQUE, "image", "image")


def _regions(tasks: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for task in tasks:
        annotations = [one for one in task.get("annotations") or () if isinstance(one, dict)]
        snapshots = [one.get("prediction") for one in annotations]
        # Most exports hold the ids of predictions alone.
        for source in [*annotations, *snapshots, *(task.get("predictions") or ())]:
            result = source.get("result") if isinstance(source, dict) else None
            for region in result if isinstance(result, list) else ():
                if isinstance(region, dict) and isinstance(region.get("value"), dict):
                    yield region
