"""Readings -> predictions in Label Studio, in the order in which people shall see them. Does nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cheques.fields import Form
from cheques.reading.reader import Reading
from studio.client import Studio, Task
from studio.config import Config
from studio.formats import prediction
from trainer.draw import Draw, turns
from worker.acquisition import STEP, UNREADABLE_SCORE, ascending, least_certain, order
from worker.reading import Backend

CHUNK = 32  # tasks a request to the backend
NOTHING = Reading({}, {})  # of a cheque that cannot be read: an empty prediction

Progress = Callable[..., None]
Scores = dict[int, float]  # by task


@dataclass(frozen=True)
class Prelabelled:
    """read: newly predicted. moved: given another score. predicted: tasks that hold a prediction of the version now.

    unreadable: of those read. waiting: left for later, since they could not be read for the time being.
    """

    read: int
    moved: int
    predicted: int
    unreadable: int
    waiting: int
    last_task: int


@dataclass(frozen=True)
class Pile:
    """The unlabelled cheques of a project, and what is needed to work through them."""

    studio: Studio
    project: int
    config: Config
    draw: Draw
    backend: Backend
    version: str
    progress: Progress

    def prelabelled(self) -> Prelabelled:
        """See to it that every unlabelled task holds a prediction of the version, scored by its turn.

        First everything is read, for the order hangs on all of it; then predictions are imported, each with its final
        score. The backend keeps what it has read, so that asking again, also after a kill, costs next to nothing.
        Raises StudioError, BackendError, VersionChanged.
        """
        tasks = {task.id: task for task in self.studio.tasks(self.project, self.config, unlabelled=True, stored=True)}
        held = {task.id: score for task in tasks.values() if (score := _score(task, self.version)) is not None}
        missing = [task for task in tasks.values() if task.id not in held]
        fresh = self._read(missing)
        new = moved = 0
        if fresh or not self._is_laid(held):
            turn = self._in_turn(held | fresh)
            new = self._imported([tasks[task] for task in turn if task in fresh], turn)
            moved = self._moved([tasks[task] for task in turn if task in held], turn)
        unreadable = sum(score >= UNREADABLE_SCORE for score in fresh.values())
        return Prelabelled(new, moved, len(held) + new, unreadable, len(missing) - new, max(tasks, default=0))

    def _read(self, missing: Sequence[Task]) -> Scores:
        """The own score of each task, as far as it can be read now."""
        scores: Scores = {}
        for chunk in _chunks(missing):
            readings = self.backend.read(chunk, self.version)
            readable = {task: reading for task, reading in readings.items() if reading}
            scores |= dict.fromkeys(readings, UNREADABLE_SCORE)
            scores |= dict(zip(readable, own_scores(list(readable.values()), self.config.form), strict=True))
            self.progress(stage="reading", done=len(scores), total=len(missing))
        return scores

    def _in_turn(self, own: Scores) -> Scores:
        """Every task with the score that makes it come at its turn, in the order of serving."""
        places = {task: self.draw.get(task) for task in own}
        exam = {task: place.turn for task, place in places.items() if place and place.role == "exam"}
        lessons = np.array([task for task in own if task not in exam], int)
        ranked = lessons[order(np.array([own[task] for task in lessons], float))]
        done = sum(1 for task in self.studio.tasks(self.project, self.config) if task.labelled and self._is_exam(task))
        served = turns(sorted(exam, key=lambda task: (exam[task], task)), ranked.tolist(), done)
        return dict(zip(served, ascending([None if task in exam else own[task] for task in served]), strict=True))

    def _is_exam(self, task: Task) -> bool:
        place = self.draw.get(task.id)
        return place is not None and place.role == "exam"

    def _is_laid(self, held: Scores) -> bool:
        """Was this order made by us? Live answers to Label Studio know nothing of turns."""
        exam = [(place.turn, task) for task in held if (place := self.draw.get(task)) and place.role == "exam"]
        in_turn = [held[task] for _, task in sorted(exam)]
        return len(set(held.values())) == len(held) and in_turn == sorted(in_turn)

    def _imported(self, new: Sequence[Task], turn: Mapping[int, float]) -> int:
        return self.studio.import_predictions(self.project, self._predictions(new, turn))

    def _predictions(self, new: Sequence[Task], turn: Mapping[int, float]) -> Iterator[dict[str, Any]]:
        for number, chunk in enumerate(_chunks(new)):
            self.progress(stage="importing", done=number * CHUNK, total=len(new))
            for task, reading in self.backend.read(chunk, self.version).items():
                place = self.draw.get(task)
                blind = place is not None and place.arm == "blind"
                yield {
                    "task": task,
                    **prediction(self.config, reading or NOTHING, self.version, turn[task], blind=blind),
                }

    def _moved(self, held: Sequence[Task], turn: Mapping[int, float]) -> int:
        moved = 0
        for task in held:
            for stored in task.stored:
                if stored.version == self.version and abs((stored.score or 0.0) - turn[task.id]) > STEP / 2:
                    self.studio.patch_score(stored.id, turn[task.id])
                    moved += 1
        return moved


def own_scores(readings: Sequence[Reading], form: Form) -> list[float]:
    """The smallest confidence of each reading; a field without one counts as not read at all."""
    rows = [[reading.confidence.get(name, np.nan) for name in form.names] for reading in readings]
    scores: list[float] = least_certain(np.array(rows, float).reshape(len(rows), len(form.names))).tolist()
    return scores


def _score(task: Task, version: str) -> float | None:
    return next((stored.score or 0.0 for stored in task.stored if stored.version == version), None)


def _chunks(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    for start in range(0, len(tasks), CHUNK):
        yield tasks[start : start + CHUNK]
