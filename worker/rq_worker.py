"""The worker's main process: takes jobs from the queue one by one, each in a process of its own, and outlives Redis."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from resource import struct_rusage
from types import FrameType
from typing import Any

import redis
import structlog
from filelock import FileLock, Timeout
from rq import Worker, worker_registration
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from cheques.disk import lock_at
from cheques.memory import memory_kills, memory_limit
from cheques.settings import Settings, check_redis, keep_private
from worker.queue import (
    QUEUES,
    RECONCILE,
    WORKER_PID,
    Failure,
    OwnJob,
    QueueAway,
    connect,
    enqueue,
    forget,
    is_ours,
    note_failure,
    queues,
    requeue_abandoned,
)

log = structlog.get_logger()

RETRY_SECONDS = 2.0  # between two looks for a Redis that is away
SCHEDULE_SECONDS = 1.0  # between two looks for jobs whose retry is due


class AlreadyRunning(Exception):
    """Another worker serves the same queue from the same home: one line."""


class OneByOne(Worker):  # type: ignore[misc]
    """RQ's worker, but each job in a fresh process: a fork of a process that has touched CUDA does not survive."""

    max_connection_wait_time = 5.0
    log_result_lifespan = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._kills = memory_kills() or 0

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Start `worker.job_process`. RQ's own SpawnWorker would show Redis' password to all users, as an argument."""
        words = [sys.executable, "-m", "worker.job_process", self.name, job.id, self.execution.id]
        self._horse_pid = os.posix_spawn(sys.executable, words, os.environ, setpgroup=0)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """A Redis that goes away while a training runs must not end the training."""
        try:
            super().maintain_heartbeats(job, execution)
        except redis.RedisError as error:
            log.warning("worker.redis_away", job=job.id, error=type(error).__name__)

    def execute_job(self, job: Job, queue: Queue) -> None:
        if not is_ours(job):
            refuse(job, queue)
            return
        try:
            super().execute_job(job, queue)
        finally:
            if self.horse_pid:
                # Whatever went wrong in watching the job: two must never run side by side.
                self.kill_horse()
                self.wait_for_horse()

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: struct_rusage) -> None:
        """A job's process was ended from outside, mostly by the system for want of memory: nobody else can say so."""
        if self.asked_to_stop or not os.WIFSIGNALED(ret_val):
            return
        kills = memory_kills() or 0
        out_of_memory, self._kills = kills > self._kills, kills
        failure = Failure(
            job=job.origin,
            at=time.time(),
            signal=os.WTERMSIG(ret_val),
            out_of_memory=out_of_memory,
            peak=rusage.ru_maxrss * 1024,
            limit=memory_limit() or 0,
        )
        project = int(job.kwargs["project"])
        log.error("job.killed", job=failure.job, project=project, reason=failure.line)
        with suppress(redis.RedisError):
            note_failure(self.connection, project, failure)

    def handle_warm_shutdown_request(self) -> None:
        """Asked to stop: end the job too. It can be killed at any point, and is begun again at the next start."""
        if self.horse_pid:
            self.kill_horse()

    @property
    def asked_to_stop(self) -> bool:
        return self._shutdown_requested_date is not None

    def register_again(self) -> None:
        """After Redis was wiped: so that others see that there is a worker."""
        if self.birth_date and not self.connection.sismember(self.redis_workers_keys, self.key):
            with self.connection.pipeline() as pipe:
                pipe.hset(self.key, mapping=self.serialize())
                pipe.expire(self.key, self.worker_ttl + 60)
                worker_registration.register(self, pipe)
                pipe.execute()


def refuse(job: Job, queue: Queue) -> None:
    """Drop a job that somebody else put into Redis."""
    try:
        name = str(job.func_name)
    except Exception:
        name = "unknown"
    log.error("job.refused", function=name[:100])
    forget(queue, job.id)
    queue.connection.lrem(queue.intermediate_queue_key, 0, job.id)


class Timer(threading.Thread):
    """What must happen without anybody asking, Redis or no Redis: `reconcile`, and retries that are due."""

    def __init__(self, settings: Settings, projects: Callable[[], Sequence[int]], names: Sequence[str]) -> None:
        super().__init__(name="timer", daemon=True)
        self._settings = settings
        self._projects = projects
        self._names = names
        self._redis = connect(settings.redis_url)
        self._away = False
        self._due = 0.0
        self.worker: OneByOne | None = None
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(SCHEDULE_SECONDS):
            try:
                self.tick()
            except Exception as error:  # this thread must go on, whatever happens
                log.error("timer.failed", error=type(error).__name__)

    def tick(self) -> None:
        """One look: everything that is due is enqueued; when Redis is back after an outage, everything is due."""
        try:
            self._redis.ping()
            if self._away:
                log.info("redis.back")
                self._away, self._due = False, 0.0
            if self.worker:
                self.worker.register_again()
            # RQ would fork a process for the retries that are due, which outlives a killed worker and dies with Redis.
            names = list(self._names)
            retries = RQScheduler(
                names, connection=self._redis, logging_level=logging.WARNING, serializer=JSONSerializer
            )
            retries.prepare_registries(names)
            retries.enqueue_scheduled_jobs()
            if RECONCILE in self._names and time.monotonic() >= self._due:
                self._due = time.monotonic() + self._settings.reconcile_seconds
                for project in self._projects():
                    enqueue(RECONCILE, project, connection=self._redis)
        except (redis.RedisError, QueueAway) as error:
            if not self._away:
                log.warning("redis.away", error=type(error).__name__)
            self._away = True


def work(settings: Settings, projects: Callable[[], Sequence[int]], names: Sequence[str] = QUEUES) -> None:
    """Serve these queues until asked to stop (SIGTERM, SIGINT). Raises AlreadyRunning, BadSettings."""
    check_redis(settings)
    keep_private(settings.home)
    held = [sole_server(settings.home, name) for name in names]
    os.environ[WORKER_PID] = str(os.getpid())
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' too: a log is no terminal
    timer = Timer(settings, projects, names)
    timer.start()
    try:
        while work_until_trouble(settings, names, timer):
            stop_on_signals()
            time.sleep(RETRY_SECONDS)
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        timer.stopping.set()
        for lock in held:
            lock.release()


def work_until_trouble(settings: Settings, names: Sequence[str], timer: Timer) -> bool:
    """Work as long as all is well; True: trouble (mostly Redis), begin again."""
    stop_on_signals()
    try:
        connection = connect(settings.redis_url, 30.0)
        if begun := requeue_abandoned(connection, names):
            log.info("worker.begins_again", jobs=begun)
        worker = OneByOne(queues(connection, names), connection=connection, job_class=OwnJob, serializer=JSONSerializer)
        timer.worker = worker
        worker.work(logging_level="WARNING")
        return not worker.asked_to_stop
    except (redis.RedisError, QueueAway) as error:
        log.warning("worker.waits_for_redis", error=type(error).__name__)
        return True
    finally:
        timer.worker = None


def stop_on_signals() -> None:
    """End at SIGTERM and SIGINT: RQ's own handlers stay when its loop ends, and would wait for a job that is gone."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def sole_server(home: Path, name: str) -> FileLock:
    """Hold the queue: what looks begun while nobody holds it was left behind by a killed worker."""
    lock = lock_at(home / f"worker-{name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = Path(lock.lock_file).read_text(encoding="utf-8").strip() or "unknown"
        raise AlreadyRunning(
            f"a worker (process {holder}) serves the queue {name} of {home}: stop it first, or name other queues"
        ) from None
    Path(lock.lock_file).write_text(str(os.getpid()), encoding="utf-8")
    return lock
