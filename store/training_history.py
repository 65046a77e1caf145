"""What each retraining saw: by this the next one knows how many lessons are new or changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cheques.disk import locked, replace_file, whole_lines

Lessons = Mapping[int, str]  # annotation id -> when it was last changed


@dataclass(frozen=True)
class Attempt:
    """One retraining: what it saw (kept of the last one alone), and what came of it (promoted, rejected)."""

    lessons: Lessons
    outcome: str
    version: str | None


def record(folder: Path, attempt: Attempt) -> None:
    """Written when the retraining is over, promoted or not. One that died leaves nothing, and is tried again."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "outcome": attempt.outcome,
        "version": attempt.version,
        "lessons": {str(annotation): changed for annotation, changed in attempt.lessons.items()},
    }
    path = folder / "attempts.jsonl"
    with locked(folder / "attempts.lock"):
        past = [one | {"lessons": {}} for one in whole_lines(path)[0]]  # what only grows would be read every minute
        replace_file(path, "".join(json.dumps(one) + "\n" for one in [*past, line]))


def attempts(folder: Path) -> list[Attempt]:
    """Oldest first."""
    lines, _ = whole_lines(folder / "attempts.jsonl")
    return [
        Attempt({int(key): value for key, value in line["lessons"].items()}, line["outcome"], line["version"])
        for line in lines
    ]


def new_or_changed(lessons: Lessons, before: list[Attempt]) -> int:
    """How many lessons the last attempt did not see as they are now."""
    seen = before[-1].lessons if before else {}
    return sum(seen.get(annotation) != changed for annotation, changed in lessons.items())
