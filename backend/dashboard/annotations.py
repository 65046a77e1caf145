"""The annotations of a project as the trial sees them, kept up to date without asking for everything again."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from backend.arms import NOTHING_PLANTED, work_of
from studio.client import Studio
from studio.config import Config
from studio.formats import disagreements
from studio.planted import Record
from study.timed_annotation import TimedAnnotation

if TYPE_CHECKING:
    from store.draw import Place

OVERLAP_SECONDS = 120.0  # asked for again at each refresh: clocks differ, and a change may commit late
FORMAT = 3  # of the rows; another one and the file is begun anew


class Annotations:
    """One project's annotations, with a copy on disk that only spares time: it may be deleted at any moment."""

    def __init__(self, path: Path, project: int) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._connection = _open(path)
        rows = self._connection.execute("SELECT task, rows FROM task").fetchall()
        self._by_task = {task: [TimedAnnotation(**row) for row in json.loads(text)] for task, text in rows}
        self._since = self._mark("since", "")
        self._odd = 0
        self.fetched = 0

    @property
    def known(self) -> bool:
        """Was the project ever read to its end?"""
        return bool(self._since)

    def work(self) -> list[TimedAnnotation]:
        """All annotations, oldest first."""
        with self._lock:
            everything = [one for rows in self._by_task.values() for one in rows]
        return sorted(everything, key=lambda one: (one.at, one.annotation))

    def refresh(
        self,
        studio: Studio,
        config: Config,
        place: Callable[[int], Place | None],
        labels: Callable[[], int],
        planted: Record = NOTHING_PLANTED,
    ) -> bool:
        """Ask Label Studio what changed; True if anything did. labels: how many it counts now (without skips).

        Where its count and ours differ afterwards (a task was deleted, the project emptied) all is read again.
        Raises StudioError.
        """
        whole = not self._since
        changed = self._read(studio, config, place, planted, self._since)
        if labels() - self._count() != self._odd:  # people label while it is read
            changed = self._read(studio, config, place, planted, self._since) or changed
        if (odd := labels() - self._count()) != self._odd:
            if not whole:
                changed = self._read(studio, config, place, planted, "") or changed
                self._read(studio, config, place, planted, self._since)
                odd = labels() - self._count()
            # What still differs after everything was read is the server's own way of counting.
            self._odd = odd
        return changed

    def _count(self) -> int:
        return sum(not one.skipped for rows in self._by_task.values() for one in rows)

    def _read(
        self, studio: Studio, config: Config, place: Callable[[int], Place | None], planted: Record, since: str
    ) -> bool:
        began = datetime.fromtimestamp(time.time() - OVERLAP_SECONDS, UTC).isoformat().replace("+00:00", "Z")
        found: dict[int, list[TimedAnnotation]] = {}
        self.fetched = 0
        for task, labels in studio.changed_tasks(self._project, config, since):
            disputed = bool(disagreements(labels))
            found[task] = [_slim(replace(one, disputed=disputed)) for one in work_of(labels, place, planted)]
            self.fetched += 1
        before = self._by_task
        with self._lock:
            self._by_task = {**before, **found} if since else found
            self._by_task = {task: rows for task, rows in self._by_task.items() if rows}
        changed = {task for task in {*found, *({} if since else before)} if before.get(task) != self._by_task.get(task)}
        self._since = began
        self._store(changed, began)
        return bool(changed)

    def _store(self, changed: set[int], since: str) -> None:
        gone = [(task,) for task in changed if task not in self._by_task]
        kept = [(task, _text(self._by_task[task])) for task in changed if task in self._by_task]
        try:
            with self._connection:
                self._connection.executemany("DELETE FROM task WHERE task = ?", gone)
                self._connection.executemany("INSERT OR REPLACE INTO task VALUES (?, ?)", kept)
                self._connection.execute("INSERT OR REPLACE INTO mark VALUES ('since', ?)", (since,))
        except sqlite3.Error:
            pass  # a full disk: the next process asks for everything again

    def _mark(self, name: str, default: str) -> str:
        row = self._connection.execute("SELECT value FROM mark WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default


def _slim(one: TimedAnnotation) -> TimedAnnotation:
    """Without what no figure needs: values of cheques that are not of the exam."""
    # An exam cheque's ground truth may come through the API, from outside the trial: others are held against it.
    return one if one.arm or one.exam else replace(one, values={}, shown=None if one.shown is None else {})


def _text(rows: list[TimedAnnotation]) -> str:
    return json.dumps([asdict(one) for one in rows], ensure_ascii=False)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(path)
    except sqlite3.DatabaseError:
        for file in path.parent.glob(path.name + "*"):
            file.unlink(missing_ok=True)
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT)")
    connection.execute("CREATE TABLE IF NOT EXISTS task (task INTEGER PRIMARY KEY, rows TEXT)")
    stored = connection.execute("SELECT value FROM mark WHERE name = 'format'").fetchone()
    if stored != (str(FORMAT),):
        connection.execute("DELETE FROM task")
        connection.execute("DELETE FROM mark")
        connection.execute("INSERT INTO mark VALUES ('format', ?)", (str(FORMAT),))
    connection.commit()
    return connection
