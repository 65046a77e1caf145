"""The loop at this moment: labels waiting, training progress, workers and queues, the versions and their champion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
from rq import Worker

from backend.dashboard.learning import NOTHING_LEARNT, Learning, learning_of
from cheques.settings import Settings
from store.database import Store
from store.projects import settings_of
from store.versions import Version, Versions
from worker.queue import (
    PRELABEL,
    QUEUES,
    RETRAIN,
    Failure,
    QueueAway,
    failures,
    job_progress,
    labels_needed,
    queues,
)


@dataclass(frozen=True)
class Job:
    """What a job says of itself. seconds_left: None where it says none. follows: another one waits for it to end."""

    name: str
    status: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    follows: bool = False

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class Loop:
    """next_in: labels to the next retraining. away: why queue and workers are unknown, or empty.

    failures: of the last jobs, unless one of the same name has succeeded since.
    """

    next_in: int
    jobs: tuple[Job, ...]
    workers: int
    waiting: int
    failed: int
    away: str = ""
    failures: tuple[Failure, ...] = ()

    @property
    def follows(self) -> bool:
        """Does a retraining wait for another one to end?"""
        return any(job.name == RETRAIN and job.follows for job in self.jobs)

    def as_json(self) -> dict[str, Any]:
        """For the script of the open page."""
        return {
            "next_in": self.next_in,
            "workers": self.workers,
            "waiting": self.waiting,
            "failed": self.failed,
            "away": self.away,
            "failures": [failure.line for failure in self.failures],
            "jobs": [
                {
                    "name": j.name,
                    "status": j.status,
                    "share": j.share,
                    "seconds_left": j.seconds_left,
                    "follows": j.follows,
                }
                for j in self.jobs
            ],
        }


def loop_of(connection: redis.Redis, settings: Settings, project: int) -> Loop:
    """Asks Redis six short questions each time."""
    every = settings_of(Store.of(settings), settings, project).retrain_every
    try:
        next_in = labels_needed(connection, project, every)
        jobs = []
        for name in (RETRAIN, PRELABEL):
            if (said := job_progress(connection, name, project)) is not None:
                # A job writes what it likes of its progress: what is no number is not shown.
                numbers = (said.get(about) for about in ("done", "total", "seconds_left"))
                done, total, left = (one if isinstance(one, int | float) else None for one in numbers)
                status, follows = str(said.get("status", "")), bool(said.get("follows"))
                jobs.append(Job(name, status, int(done or 0), int(total or 0), left, follows))
        all_queues = queues(connection, QUEUES)
        return Loop(
            next_in=next_in,
            jobs=tuple(jobs),
            workers=Worker.count(connection=connection),
            waiting=sum(queue.count for queue in all_queues),
            failed=sum(int(connection.zcard(queue.failed_job_registry.key)) for queue in all_queues),  # type: ignore[arg-type]
            failures=tuple(failures(connection, project)),
        )
    except (redis.RedisError, QueueAway):
        return Loop(every, (), 0, 0, 0, away="Redis does not answer: start it, or set REDIS_URL")


@dataclass(frozen=True)
class History:
    """The versions, oldest first; the champion, and since when it serves; what more labels would bring."""

    versions: tuple[Version, ...]
    champion: Version | None
    since: datetime | None
    learning: Learning = NOTHING_LEARNT

    @property
    def mark(self) -> tuple[Any, ...]:
        """Changes when a version is added, or the champion does."""
        return len(self.versions), self.champion.name if self.champion else "", self.since


def history_of(store: Store, project: int) -> History:
    """As the store has it now. Raises StoreError."""
    versions = Versions(store, project)
    champion = versions.champion()
    moves = versions.pointer().history
    since = datetime.fromisoformat(moves[-1]["at"]).astimezone(UTC) if champion and moves else None
    learning = learning_of(store, project)
    return History(tuple(versions.list()), champion, since, learning)
