"""Readings -> predictions in Label Studio, in the order in which people shall see them. Does nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from cheques.settings import Settings
from reader.base_model import base_identity
from reader.reading import Reading
from store.acquisition_cache import AcquisitionCache
from store.draw import Draw, turns, wants_second
from studio.client import StoredPrediction, Studio, Task
from studio.config import Config
from studio.formats import hint, prediction
from worker.acquisition import SHORTLIST, STRATEGIES, Pool, readable, rising, worth_of
from worker.backend_client import BackendClient
from worker.planting import Planting

CHUNK = 32  # tasks a request to the backend
HINTED = 300  # foremost tasks that carry a hint: each costs two requests, and before the rest comes all is placed again
COVERED = 5000  # labelled tasks at most, those imported last, that others are compared with
FRONT = SHORTLIST  # tasks that stand exactly in the planned order: people do not get farther before it is made again
NOTHING = Reading({}, {})  # of a cheque that cannot be read: an empty prediction

Progress = Callable[..., None]


@dataclass(frozen=True)
class Prelabelled:
    """read: newly predicted. moved: given another score. predicted: tasks that hold a prediction of the version now.

    unreadable: tasks of which no image can be opened. illegible: lessons with an image on which nothing can be made
    out; they come last. waiting: left for later, since they could not be read for the time being.
    """

    read: int
    moved: int
    predicted: int
    unreadable: int
    illegible: tuple[int, ...]
    waiting: int
    last_task: int


@dataclass(frozen=True)
class Pile:
    """The unlabelled cheques of a project, and what is needed to work through them."""

    studio: Studio
    project: int
    config: Config
    draw: Draw
    backend: BackendClient
    version: str
    settings: Settings
    progress: Progress

    def prelabelled(self, anew: bool = False) -> Prelabelled:
        """See to it that every unlabelled task holds a prediction of the version, scored by its turn.

        anew: those that are stored were written for another form or by another base, and are written again.

        First everything is read, for the order depends on all of it; then predictions are imported, each with its final
        score. The backend keeps what it has read, so that asking again, also after a kill, costs next to nothing.
        Raises StudioError, BackendError, VersionChanged.
        """
        tasks = {task.id: task for task in self.waiting()}
        held = {
            task.id: stored for task in tasks.values() for stored in task.stored[::-1] if stored.version == self.version
        }
        # The base's name belongs to it: "base" stays in service when the settings name another model.
        read_as = f"{self.version} of {base_identity(self.settings.model)}"
        sights = AcquisitionCache(self.draw.store, self.project, read_as, self.config.form)
        legible = {task for task in tasks if task in sights and sights[task].confidence is not None}
        # What could not be read before is asked for again: somebody may have put its image right.
        unread = [task for task in tasks.values() if not (task.id in held and task.id in legible)]
        for number, chunk in enumerate(chunks(unread)):
            sights.add(self.backend.read(chunk, self.version))
            self.progress(stage="reading", done=min(len(unread), (number + 1) * CHUNK), total=len(unread))

        planned, illegible = self.order([task for task in tasks if task in held or task in sights], sights)
        order = calm(planned, held)
        now = [held[task].score if task in held else None for task in order]
        scores = dict(zip(order, rising(now), strict=True))
        new = [tasks[task] for task in order if task not in held]
        read = self.studio.import_predictions(self.project, self.predictions(new, scores))

        # Written in place, for a prediction that somebody has open must not vanish: all of them if `anew`, else the
        # empty ones of cheques that can be read now, also after a kill between the reading and the writing.
        unreadable = {task for task in tasks if task in sights and sights[task].confidence is None}
        revived = {
            task
            for task, stored in held.items()
            if stored.empty and task in sights and task not in unreadable and not self.is_blind(task)
        }
        written = set[int]()
        for one in self.predictions([tasks[task] for task in scores if task in (held if anew else revived)], scores):
            if anew or one["result"]:
                self.studio.rewrite_prediction(held[one["task"]].id, one["result"], one["score"])
                written.add(one["task"])

        moved = [(task, one.id) for task, one in held.items() if task not in written and one.score != scores[task]]
        for done, (task, stored) in enumerate(moved):
            self.progress(stage="ordering", done=done, total=len(moved))
            self.studio.patch_score(stored, scores[task])

        # Those behind that had a hint when they stood in front: it is of another version, or of another base.
        foremost = [task for place, task in enumerate(order) if place < HINTED or tasks[task].hint]
        for task in foremost if self.config.hints else ():
            if task in sights and not self.is_blind(task):
                wanted = hint(self.config.form, sights[task].confidence, self.settings.doubt)
                if tasks[task].hint != wanted:
                    self.studio.set_hint(task, wanted)
        return Prelabelled(
            read=read,
            moved=len(written) + len(moved),
            predicted=len(held) + read,
            unreadable=len(unreadable),
            illegible=illegible,
            waiting=len(tasks) - len(held) - read,
            last_task=max(tasks, default=0),
        )

    def waiting(self) -> Iterator[Task]:
        """What waits for an annotator, of the exam also for a second one."""
        yield from self.studio.tasks(self.project, self.config, labels="none", stored=True)
        if share := self.settings.second_share:
            for task in self.studio.tasks(self.project, self.config, labels="one", stored=True):
                if wants_second(self.draw.get(task.id), share):
                    yield task

    def order(self, tasks: Sequence[int], sights: AcquisitionCache) -> tuple[list[int], tuple[int, ...]]:
        """All of the tasks in the order of serving, and the lessons on which nothing can be made out."""
        exam = {task: place.turn for task in tasks if (place := self.draw.get(task)) and place.role == "exam"}
        seen = [task for task in tasks if task not in exam and task in sights and sights[task].confidence is not None]
        labelled = [task.id for task in self.studio.tasks(self.project, self.config, labels="some")]
        covered = [task for task in labelled[-COVERED:] if sights.has_features(task)]
        pool = Pool(
            confidence=sights.confidences(seen),
            features=sights.features(seen),
            worth=worth_of(self.config.form, self.settings.worth),
            signal=np.array([sights[task].signal for task in seen], float),
            covered=sights.features(covered),
        )
        chosen = STRATEGIES[self.settings.strategy](pool, crc32(self.draw.salt.encode()))
        lessons = [seen[number] for number in chosen]
        done = sum(1 for task in labelled if (place := self.draw.get(task)) and place.role == "exam")
        waiting = sorted(exam, key=lambda task: (exam[task], task))
        served = turns(waiting, lessons, done, len(labelled) - done)
        illegible = tuple(task for task, legible in zip(seen, readable(pool), strict=True) if not legible)
        last = set(tasks) - set(served)  # without an image, or not to be read for the time being
        return [*served, *(task for task in tasks if task in last)], illegible

    def predictions(self, new: Sequence[Task], scores: Mapping[int, float]) -> Iterator[dict[str, Any]]:
        """What each of the tasks is to show. The backend has read them already, and knows."""
        planting = Planting(self.draw, self.config.form, self.version, self.settings.planted)
        for number, chunk in enumerate(chunks(new)):
            self.progress(stage="importing", done=number * CHUNK, total=len(new))
            for task, reading in planting.shown(self.backend.read(chunk, self.version)).items():
                shown = prediction(
                    self.config, reading or NOTHING, self.version, scores[task], blind=self.is_blind(task)
                )
                yield {"task": task, **shown}

    def is_blind(self, task: int) -> bool:
        """May nothing be shown of it?"""
        place = self.draw.get(task)
        return place is None or place.arm == "blind"  # what was never drawn might be


def calm(planned: Sequence[int], held: Mapping[int, StoredPrediction]) -> list[int]:
    """The planned order; behind the FRONT those that have a score keep their order, for every move is a request."""
    front, rest = planned[:FRONT], planned[FRONT:]
    kept = iter(sorted((task for task in rest if task in held), key=lambda task: held[task].score or 0.0))
    return [*front, *(next(kept) if task in held else task for task in rest)]


def chunks(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """So many as one request to the backend carries."""
    for start in range(0, len(tasks), CHUNK):
        yield tasks[start : start + CHUNK]
