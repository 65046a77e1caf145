"""The record of planted errors: each is written down before anybody can see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from cheques.planted import Planted
from store import tables
from store.database import Store, insert

rows = tables.planted


class PlantedRecord:
    """The planted errors of a project, by task; none where none were planted."""

    def __init__(self, planted: Iterable[Planted] = ()) -> None:
        self._by_task: defaultdict[str, list[Planted]] = defaultdict(list)
        for one in planted:
            self._by_task[one.task].append(one)

    @classmethod
    def of(cls, store: Store, project: int | str) -> PlantedRecord:
        with store.look() as connection:
            query = sa.select(rows).where(rows.c.project == str(project)).order_by(rows.c.id)
            found = connection.execute(query)
            return cls(Planted(row.task, row.version, row.field, row.read, row.shown) for row in found)

    def get(self, task: int | str) -> Sequence[Planted]:
        return self._by_task.get(str(task), ())

    def __contains__(self, task: int | str) -> bool:
        return str(task) in self._by_task


def note_planted(store: Store, project: int | str, errors: Sequence[Planted]) -> None:
    """All of them in one transaction; what is there already stays. Raises StoreError: then none of it may be shown."""
    if not errors:
        return
    with store.begin() as connection:
        listed = [{"project": str(project)} | vars(one) for one in errors]
        connection.execute(insert(connection, rows).on_conflict_do_nothing(), listed)
