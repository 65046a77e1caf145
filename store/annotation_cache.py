"""A copy of a project's annotations as the page counts them: it only saves time, and may be deleted at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from store import tables
from store.database import Store, delete_tasks, upsert
from store.marks import mark_in, set_mark_in

rows = tables.annotation
SINCE = "annotations"  # the mark that says how far the copy goes, and in which format it is


def annotation_copy(store: Store, project: int, format: int) -> tuple[dict[int, list[dict[str, Any]]], str]:
    """The annotations by task, and up to when Label Studio was read; nothing in another format. Raises StoreError."""
    with store.look() as connection:
        mark = mark_in(connection, project, SINCE)
        if not isinstance(mark, dict) or mark.get("format") != format:
            return {}, ""
        found = connection.execute(sa.select(rows.c.task, rows.c.rows).where(rows.c.project == str(project)))
        by_task = {int(task): listed for task, listed in found}
        return ({}, "") if None in by_task.values() else (by_task, str(mark["since"]))


def update_annotation_copy(
    store: Store,
    project: int,
    format: int,
    since: str,
    changed: Mapping[int, list[dict[str, Any]]],
    gone: Iterable[int],
) -> None:
    """Replace what changed, and how far the copy goes with it, in one transaction. Raises StoreError."""
    with store.begin() as connection:
        mark = mark_in(connection, project, SINCE)
        if not isinstance(mark, dict) or mark.get("format") != format:
            connection.execute(rows.delete().where(rows.c.project == str(project)))
        delete_tasks(connection, rows, project, gone)
        listed = ({"project": str(project), "task": str(task), "rows": one} for task, one in changed.items())
        upsert(connection, rows, listed)
        set_mark_in(connection, project, SINCE, {"format": format, "since": since})
