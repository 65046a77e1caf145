"""What each retraining saw, which tells the next one how many lessons are new or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from store import tables
from store.database import Store

Lessons = Mapping[int, str]  # annotation id -> when it was last changed
rows = tables.training


@dataclass(frozen=True)
class Training:
    """One retraining: what it saw (kept only of the last one), and what came of it (promoted, rejected)."""

    lessons: Lessons
    outcome: str
    version: str | None


def note_training(store: Store, project: int, one: Training) -> None:
    """Written when the retraining is over, promoted or not. One that died leaves nothing, and is tried again."""
    row = {
        "project": str(project),
        "at": tables.now(),
        "outcome": one.outcome,
        "version": one.version,
        "lessons": {str(annotation): changed for annotation, changed in one.lessons.items()},
    }
    with store.begin(str(project)) as connection:
        # Only the last one's lessons count. All of them together grow, and this table is read every minute.
        connection.execute(rows.update().where(rows.c.project == str(project)).values(lessons={}))
        connection.execute(rows.insert().values(row))


def trainings(store: Store, project: int) -> list[Training]:
    """Oldest first."""
    with store.look() as connection:
        query = sa.select(rows).where(rows.c.project == str(project)).order_by(rows.c.id)
        return [
            Training({int(key): changed for key, changed in row.lessons.items()}, row.outcome, row.version)
            for row in connection.execute(query)
        ]


def new_or_changed(lessons: Lessons, before: list[Training]) -> int:
    """How many lessons the last training did not see as they are now."""
    seen = before[-1].lessons if before else {}
    return sum(seen.get(annotation) != changed for annotation, changed in lessons.items())
