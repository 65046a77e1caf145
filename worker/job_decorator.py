"""What every job has in common: one of its kind at a time, no life without its worker, one line when it fails."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
import structlog
from filelock import Timeout
from rq import get_current_job

from cheques.disk import lock_at
from cheques.log import code_place, log_to_stderr
from cheques.settings import BadSettings, settings
from reader.gpu_lock import CardBusy
from reader.reading import ReaderError
from store.versions import VersionError
from studio.client import StudioError
from studio.config import BadConfig
from trainer.recipe import TrainingError
from worker.backend_client import BackendError
from worker.queue import WORKER_PID, Failure, QueueAway, connect, note_failure, note_success

log = structlog.get_logger()

EXPECTED = (
    StudioError,
    BackendError,
    BadConfig,
    BadSettings,
    CardBusy,
    ReaderError,
    TrainingError,
    VersionError,
    QueueAway,
    OSError,
)
ALONE_SECONDS = 60.0  # an orphan of a killed worker is gone long before
WATCH_SECONDS = 0.5
PROGRESS_SECONDS = 0.5

Result = dict[str, Any]


class JobFailed(Exception):
    """Why, in one line; the job is tried again after a pause."""


def job(work: Callable[..., Result]) -> Callable[..., Result]:
    """A function of a project as a job: JSON in, JSON out, raises JobFailed. It may be killed anywhere."""

    name = work.__name__

    @functools.wraps(work)
    def run(project: int, **arguments: Any) -> Result:
        log_to_stderr()
        for logger in ("rq.worker", "rq.job"):  # which would log whole tracebacks of what is expected to fail
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        die_with_the_worker()
        began = time.monotonic()
        try:
            with lock_at(settings().home / "locks" / f"{name}-{project}.lock").acquire(timeout=ALONE_SECONDS):
                result = work(project, **arguments)
        except Exception as error:
            about = {}
            if isinstance(error, Timeout):
                reason = f"another {name} is still running: it is tried again"
            elif isinstance(error, (JobFailed, *EXPECTED)):
                reason = str(error)
            else:
                # Its message may hold what is on a cheque: type and place are enough to find the line.
                about = {"error": type(error).__name__, "place": code_place(error)}
                reason = f"internal error ({type(error).__name__}): see the worker's log"
            log.error("job.failed", job=name, project=project, reason=reason, **about)
            with suppress(redis.RedisError):  # a Redis that is away says so itself
                note_failure(connect(), project, Failure(name, time.time(), reason))
            raise JobFailed(reason) from None
        with suppress(redis.RedisError):
            note_success(connect(), name, project)
        log.info("job.done", job=name, project=project, seconds=round(time.monotonic() - began, 1), **result)
        return result

    return run


def progress(**about: Any) -> None:
    """Say how far the job is, for whoever shows it (`worker.queue.job_progress`); at most twice a second."""
    current = get_current_job()
    if current is None or time.monotonic() - getattr(current, "_told", 0.0) < PROGRESS_SECONDS:
        return
    current._told = time.monotonic()
    current.meta.update(about)
    with suppress(redis.RedisError):  # then nobody can be told; the work goes on
        current.save_meta()


def die_with_the_worker() -> None:
    """A worker that is killed leaves its job behind; the next worker begins the job again, and two must not run."""
    worker = int(os.environ.get(WORKER_PID, 0))

    def watch() -> None:
        while os.getppid() == worker:
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    if worker:
        threading.Thread(target=watch, name="watch", daemon=True).start()
