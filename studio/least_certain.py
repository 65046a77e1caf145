"""The cheques that nobody has labelled yet and of which the reading is least certain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.api_types import where
from studio.client import Studio
from studio.config import Config
from studio.formats import values_of

PAGE = 60  # more than are shown: exam cheques are among them, and are left out


@dataclass(frozen=True)
class Uncertain:
    """One cheque: its image's URL, the values that were read and the confidence in each."""

    task: int
    image: str
    version: str
    values: dict[str, str]
    confidence: dict[str, float]

    @property
    def least(self) -> float:
        return min(self.confidence.values(), default=0.0)


def least_certain(
    studio: Studio, project: int, config: Config, *, count: int = 10, hidden: Callable[[int], bool]
) -> list[Uncertain]:
    """The least certain first, of those that are served next. hidden: cheques to leave out. Raises StudioError."""
    query = {
        "filters": {"conjunction": "and", "items": [where("total_annotations", "equal", 0)]},
        "ordering": ["tasks:predictions_score"],
    }
    tasks = studio._get(
        "/api/tasks", project=project, fields="all", page_size=PAGE, resolve_uri="false", query=json.dumps(query)
    ).json()["tasks"]
    found = []
    for task in tasks:
        stored = [p for p in task.get("predictions") or () if isinstance(p, Mapping) and p.get("result")]
        if not stored or hidden(int(task["id"])):
            continue
        newest = max(stored, key=lambda p: int(p["id"]))
        texts = values_of(newest["result"], config.form).texts
        values = {name: " / ".join(given) for name, given in texts.items()}
        confidence = {
            str(region["from_name"]): float(region["score"])
            for region in newest["result"]
            if isinstance(region, Mapping) and region.get("score") is not None and region.get("from_name") in texts
        }
        image = config.image_of(task.get("data") or {})
        found.append(Uncertain(int(task["id"]), image, str(newest.get("model_version") or ""), values, confidence))
    return sorted(found, key=lambda one: one.least)[:count]
