"""What the reader made of each cheque, as far as the order of labelling depends on it.

A cache: what is deleted here is asked for again. Features stay those of a cheque's first reading: today's version never
read what was labelled long ago, and the features of the two are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from cheques.fields import EMPTY, UNREADABLE, Form
from reader.reading import Reading
from store import tables
from store.database import Store, insert

Features = NDArray[np.float16]
DIMENSIONS = 64  # of the features that are kept: more of them take longer and tell cheques apart no better
rows = tables.sight


@dataclass(frozen=True)
class Sight:
    """One cheque as one version saw it: confidences in the order of the form's fields, None where nothing can be read.

    signal: the confidence of the surest field on which something was read.
    """

    confidence: tuple[float, ...] | None
    signal: float = 0.0

    @classmethod
    def of(cls, row: Any, form: Form) -> Sight | None:
        """None where the row is damaged: its cheque is asked for again."""
        if row.confidence == tables.UNREADABLE_CHEQUE:
            return cls(None)
        try:
            confidence = tuple(map(float, row.confidence))
        except (TypeError, ValueError):
            return None
        return cls(confidence, row.signal) if len(confidence) == len(form.names) else None


class AcquisitionCache:
    """The sights of one version and one form on a project's cheques, and every cheque's features."""

    def __init__(self, store: Store, project: str | int, version: str, form: Form) -> None:
        self._store, self._project, self._version, self._form = store, str(project), version, form
        self._sights: dict[int, Sight] = {}
        self._features: dict[int, Features] = {}
        with store.look() as connection:
            for row in connection.execute(sa.select(rows).where(rows.c.project == self._project)):
                task = int(row.task)
                if row.version == version and row.form == form.digest and (sight := Sight.of(row, form)):
                    self._sights[task] = sight
                if row.features is not None and len(row.features) == 2 * DIMENSIONS:
                    self._features[task] = np.frombuffer(row.features, np.float16)

    def __contains__(self, task: int) -> bool:
        return task in self._sights

    def __getitem__(self, task: int) -> Sight:
        return self._sights[task]

    def add(self, readings: Mapping[int, Reading | None]) -> None:
        """Keep what was read now; None: the cheque cannot be read. Raises StoreError."""
        listed = []
        for task, reading in readings.items():
            if reading is None:
                sight = Sight(None)
            else:
                confidence = tuple(round(reading.confidence.get(name, 0.0), 4) for name in self._form.names)
                sight = Sight(confidence, round(signal(reading), 4))
                if reading.embedding:
                    self._features.setdefault(task, compact(reading.embedding))
            self._sights[task] = sight
            features = self._features.get(task)
            row = {
                "project": self._project,
                "task": str(task),
                "version": self._version,
                "form": self._form.digest,
                "confidence": tables.UNREADABLE_CHEQUE if sight.confidence is None else list(sight.confidence),
                "signal": sight.signal,
                "features": None if features is None else features.tobytes(),
            }
            listed.append(row)
        if not listed:
            return
        with self._store.begin() as connection:
            query = insert(connection, rows)
            now = {name: query.excluded[name] for name in ("version", "form", "confidence", "signal")}
            # Another process may have kept features of this cheque since: the first ones stay.
            first = sa.func.coalesce(rows.c.features, query.excluded.features)
            query = query.on_conflict_do_update(index_elements=["project", "task"], set_=now | {"features": first})
            connection.execute(query, listed)

    def confidences(self, tasks: Sequence[int]) -> NDArray[np.float64]:
        """(tasks, fields) of tasks that were read."""
        found = np.array([self._sights[task].confidence for task in tasks], float)
        return found.reshape(len(tasks), len(self._form.names))

    def features(self, tasks: Sequence[int]) -> NDArray[np.float64]:
        """(tasks, DIMENSIONS); NaN where a task has none."""
        unknown = np.full(DIMENSIONS, np.nan)
        found = [self._features.get(task, unknown) for task in tasks]
        return np.array(found, float).reshape(len(tasks), DIMENSIONS)

    def has_features(self, task: int) -> bool:
        return task in self._features


def signal(reading: Reading) -> float:
    """The confidence of the surest field on which something was read; 0 where nothing was."""
    written = [name for name, value in reading.values.items() if value not in (EMPTY, UNREADABLE)]
    return max((reading.confidence.get(name, 0.0) for name in written), default=0.0)


def compact(embedding: Sequence[float]) -> Features:
    """(DIMENSIONS,): a random projection, always the same, of as many numbers as the reader's features have.

    It keeps distances (Johnson and Lindenstrauss 1984).
    """
    if len(embedding) == DIMENSIONS:
        return np.array(embedding, np.float16)
    projection = np.random.default_rng(len(embedding)).standard_normal((len(embedding), DIMENSIONS))
    projected: Features = (np.array(embedding) @ projection / np.sqrt(DIMENSIONS)).astype(np.float16)
    return projected
