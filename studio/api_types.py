"""Projects, tasks and predictions as Label Studio's API sends them, and the filters of its task list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio.config import HINT, Config


@dataclass(frozen=True)
class Project:
    """A project and those of its settings that matter here. The last three are counts; labels without skips."""

    id: int
    title: str
    label_config: str
    model_version: str
    sampling: str
    shows_predictions: bool
    annotations_a_task: int
    tasks: int
    labels: int
    predictions: int


@dataclass(frozen=True)
class StoredPrediction:
    """A prediction that Label Studio holds. empty: it shows nothing, as on a blind cheque or where nothing was read."""

    id: int
    version: str
    score: float | None
    empty: bool


@dataclass(frozen=True)
class Task:
    """A task: `image` is its URL as imported, `stored` is filled where predictions were asked for.

    hint: what the annotator is told to look at.
    """

    id: int
    image: str
    labelled: bool
    stored: tuple[StoredPrediction, ...] = ()
    hint: str = ""


def where(name: str, operator: str, value: Any, kind: str = "Number") -> dict[str, Any]:
    """One condition of the task list, such as where("total_annotations", "equal", 0)."""
    return {"filter": f"filter:tasks:{name}", "operator": operator, "type": kind, "value": value}


def moment(text: str) -> str:
    """An `updated_at` as the task list's filter takes it."""
    # The filter wants a fraction of a second, which the server itself leaves out where it is zero.
    return text if "." in text else f"{text.removesuffix('Z')}.000000Z"


def project_of(sent: Mapping[str, Any]) -> Project:
    """A project as the API sends it."""
    return Project(
        id=int(sent["id"]),
        title=str(sent.get("title") or ""),
        label_config=str(sent.get("label_config") or ""),
        model_version=str(sent.get("model_version") or ""),
        sampling=str(sent.get("sampling") or ""),
        shows_predictions=bool(sent.get("show_collab_predictions")),
        annotations_a_task=int(sent.get("maximum_annotations") or 1),
        tasks=int(sent.get("task_number") or 0),
        labels=int(sent.get("total_annotations_number") or 0),
        predictions=int(sent.get("total_predictions_number") or 0),
    )


def task_of(sent: Mapping[str, Any], config: Config) -> Task:
    """A task as the API sends it."""
    data = sent.get("data") or {}
    stored = tuple(
        StoredPrediction(int(p["id"]), str(p.get("model_version") or ""), p.get("score"), not p.get("result"))
        for p in sent.get("predictions") or ()
        if isinstance(p, Mapping)
    )
    labelled = bool(sent.get("total_annotations") or sent.get("is_labeled"))
    hint = str(data.get(HINT) or "")
    return Task(int(sent["id"]), config.image_of(data), labelled, stored, hint)
