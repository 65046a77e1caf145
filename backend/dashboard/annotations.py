"""The annotations of a project as the trial sees them, brought up to date by asking for the changes alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backend.arms import NOTHING_PLANTED, work_of
from store.annotation_cache import annotation_copy, update_annotation_copy
from store.database import Store, StoreError
from store.planted import PlantedRecord
from studio.client import Studio
from studio.config import Config
from studio.formats import disagreements
from study.timed_annotation import TimedAnnotation

if TYPE_CHECKING:
    from store.draw import Place

OVERLAP_SECONDS = 120.0  # asked for again at each refresh: clocks differ, and a change may commit late
FORMAT = 4  # of the rows; in another one they are read again


class Annotations:
    """One project's annotations. Their copy in the store only saves time: without it all are read again."""

    def __init__(self, store: Store, project: int) -> None:
        self._store, self._project = store, project
        self._lock = threading.Lock()
        rows, self._since = annotation_copy(store, project, FORMAT)
        try:
            self._by_task = {task: [TimedAnnotation(**row) for row in listed] for task, listed in rows.items()}
        except TypeError:  # damaged: everything is asked for again
            self._by_task, self._since = {}, ""
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
        planted: PlantedRecord = NOTHING_PLANTED,
    ) -> bool:
        """Ask Label Studio what changed; True if anything did. labels: how many it counts now (without skips).

        Where its count and ours differ afterwards (a task was deleted, the project emptied) everything is read again.
        Raises StudioError.
        """

        # No list of changes tells of a deletion: only the numbers differ.
        def uncounted() -> int:
            return labels() - sum(not one.skipped for rows in self._by_task.values() for one in rows)

        whole = not self._since
        changed = self._read(studio, config, place, planted, self._since)
        if uncounted() != self._odd:  # people label while it is read
            changed = self._read(studio, config, place, planted, self._since) or changed
        if (odd := uncounted()) != self._odd:
            if not whole:
                changed = self._read(studio, config, place, planted, "") or changed
                self._read(studio, config, place, planted, self._since)
                odd = uncounted()
            # What still differs after everything was read is the server's own way of counting.
            self._odd = odd
        return changed

    def _read(
        self, studio: Studio, config: Config, place: Callable[[int], Place | None], planted: PlantedRecord, since: str
    ) -> bool:
        # The time before the first page is read: what changes meanwhile is asked for again.
        began = datetime.fromtimestamp(time.time() - OVERLAP_SECONDS, UTC).isoformat().replace("+00:00", "Z")
        found: dict[int, list[TimedAnnotation]] = {}
        self.fetched = 0
        for task, labels in studio.changed_tasks(self._project, config, since):
            disputed = bool(disagreements(labels))
            found[task] = [
                # No figure needs the values of other cheques than the exam's: without them the copy stays small.
                # An exam cheque's ground truth may come through the API without an arm: others are compared with it.
                replace(one, disputed=disputed)
                if one.arm or one.exam
                else replace(one, disputed=disputed, values={}, shown=None if one.shown is None else {})
                for one in work_of(labels, place, planted)
            ]
            self.fetched += 1
        # Replaced as a whole: a page made meanwhile sees the old rows or the new ones, never some of each.
        before = self._by_task
        with self._lock:
            self._by_task = {**before, **found} if since else found
            self._by_task = {task: rows for task, rows in self._by_task.items() if rows}
        changed = {task for task in {*found, *({} if since else before)} if before.get(task) != self._by_task.get(task)}
        self._since = began
        gone = [task for task in changed if task not in self._by_task]
        kept = {task: [asdict(one) for one in self._by_task[task]] for task in changed if task in self._by_task}
        with suppress(StoreError):  # a full disk: the next process asks for everything again
            update_annotation_copy(self._store, self._project, FORMAT, began, kept, gone)
        return bool(changed)
