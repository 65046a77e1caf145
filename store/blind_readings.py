"""What the reader reads on blind cheques: it is shown to nobody, and kept nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from store import tables
from store.database import Store

rows = tables.blind_reading


@dataclass(frozen=True)
class BlindReading:
    """What one version read on one blind cheque. values, confidence: by field."""

    task: str
    version: str
    values: dict[str, str]
    confidence: dict[str, float]


def note_blind_reading(store: Store, project: int, one: BlindReading) -> None:
    """Raises StoreError."""
    row = {"task": one.task, "version": one.version, "read": one.values, "confidence": one.confidence}
    with store.begin() as connection:
        connection.execute(rows.insert().values(project=str(project), **row))


def blind_readings(store: Store, project: int) -> list[BlindReading]:
    """Oldest first. Raises StoreError."""
    with store.look() as connection:
        query = sa.select(rows).where(rows.c.project == str(project)).order_by(rows.c.id)
        return [BlindReading(row.task, row.version, row.read, row.confidence) for row in connection.execute(query)]
