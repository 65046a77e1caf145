"""How far something has got in a project, under a name: looks at Label Studio, what could not be read, and the like.

All of it can be found out again: what is deleted here is looked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from store import tables
from store.database import Store, StoreError, upsert

rows = tables.mark
Why = Literal["no image", "unreadable", "waiting"]
UNREAD = "unread"
CURVE = "learning curve"  # what the trainer keeps for the page


def mark(store: Store, project: int | str, name: str) -> Any:
    """What was written last, or None. Raises StoreError."""
    with store.look() as connection:
        return mark_in(connection, project, name)


def set_mark(store: Store, project: int | str, name: str, value: Any) -> None:
    """Raises StoreError."""
    with store.begin() as connection:
        set_mark_in(connection, project, name, value)


def mark_in(connection: sa.Connection, project: int | str, name: str) -> Any:
    """As `mark`, within a transaction of the caller's."""
    query = sa.select(rows.c.value).where(rows.c.project == str(project), rows.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def set_mark_in(connection: sa.Connection, project: int | str, name: str, value: Any) -> None:
    """As `set_mark`, within a transaction of the caller's."""
    upsert(connection, rows, [{"project": str(project), "name": name, "value": value}])


@dataclass(frozen=True)
class Unread:
    """One task. why: it has no image; its image cannot be read; or it was not fetched so far, and is tried again.

    reason: what was wrong and what to do, in one line.
    """

    task: int
    why: Why
    reason: str

    @classmethod
    def of(cls, task: int, image: str, reason: str, passing: bool = False) -> Unread:
        """image: its URL, as far as the task has one."""
        return cls(task, "waiting" if passing else "unreadable" if image else "no image", reason)


def keep_unread(store: Store, project: int, job: str, found: Iterable[Unread]) -> None:
    """Keep what this job found, in place of what it found before. On a full disk it is not shown, and no more."""
    listed = [[one.task, one.why, one.reason] for one in found]
    with suppress(StoreError), store.begin(str(project)) as connection:
        past = _by_job(mark_in(connection, project, UNREAD))
        if past.get(job) != listed:
            set_mark_in(connection, project, UNREAD, past | {job: listed})


def unread(store: Store, project: int) -> tuple[Unread, ...]:
    """By task, each once, whatever job found it."""
    found = _by_job(mark(store, project, UNREAD))
    lines = [Unread(task, why, reason) for listed in found.values() for task, why, reason in listed]
    return tuple(one for _, one in sorted({one.task: one for one in lines}.items()))


def _by_job(kept: Any) -> dict[str, list[list[Any]]]:
    """{} where it is damaged: each job says again what it found."""
    try:
        return {str(job): [[int(task), why, str(reason)] for task, why, reason in lines] for job, lines in kept.items()}
    except (TypeError, ValueError, AttributeError):
        return {}
