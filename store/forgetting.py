"""Whatever is kept of cheques that are gone from Label Studio is deleted from every table."""

from __future__ import annotations

from collections.abc import Set

from store import tables
from store.database import Store, delete_tasks
from store.marks import UNREAD

OF_A_CHEQUE = {
    "readings": tables.reading,
    "readings of blind cheques": tables.blind_reading,
    "notes for the order": tables.sight,
    "planted errors": tables.planted,
    "labels of the page": tables.annotation,
}


def forget_tasks(store: Store, project: int, tasks: Set[str]) -> dict[str, int]:
    """Delete what is known of these tasks, but for their place in the draw; how many rows, by what they were.

    Raises StoreError; then nothing was deleted.
    """
    with store.begin(str(project)) as connection:
        counts = {what: delete_tasks(connection, table, project, tasks) for what, table in OF_A_CHEQUE.items()}
        # What could not be read, and why, may name what is on a cheque. Each job says again what it finds.
        marks = tables.mark
        connection.execute(marks.delete().where(marks.c.project == str(project), marks.c.name == UNREAD))
    store.clear_traces()
    return counts
