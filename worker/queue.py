"""The RQ queues, the names of the jobs and the Redis keys, in one place. Redis holds only what can be rebuilt."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry as Reconnect
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.serializers import JSONSerializer

from cheques.settings import settings

RECONCILE, PRELABEL, RETRAIN = "reconcile", "prelabel", "retrain"
QUEUES = (PRELABEL, RETRAIN, RECONCILE)  # by priority: what comes on a timer must not keep the others waiting
# The ends of the ids under which jobs of a kind may stand. Reconcile and prelabel may wait once more while they run:
# what came meanwhile is seen then. A training that a person asks for follows one that waits or runs: at most one waits
# that nobody asked for, one runs, and one was asked for.
ENDS = {RECONCILE: ("", "-again"), PRELABEL: ("", "-again"), RETRAIN: ("", "-again", "-once-more")}

RECONCILE_SECONDS = 1800
WORKER_PID = "CHEQUEMATE_WORKER_PID"  # tells a job whose child it is, so that it does not outlive its worker
RETRY = {PRELABEL: Retry(max=3, interval=[5, 20, 60]), RETRAIN: Retry(max=3, interval=[10, 60, 300])}
FAILED_SECONDS = {RECONCILE: 0, PRELABEL: 30, RETRAIN: 600}  # then a job that failed for good may be tried again
LOST_SECONDS = 15  # queued and in no queue for so long: its worker died between taking and starting it


FUNCTIONS = {name: f"worker.jobs.{name}" for name in QUEUES}


class OwnJob(Job):  # type: ignore[misc]
    """A job that has no callbacks, whatever Redis says: RQ would import and call what is named there."""

    success_callback = failure_callback = stopped_callback = None


def is_ours(job: Job) -> bool:
    """Is it one that `enqueue` makes? RQ would import and call whatever function Redis names."""
    try:
        project = job.kwargs.get("project")
        if job.func_name not in FUNCTIONS.values() or job.instance is not None or job.args or type(project) is not int:
            return False
    except Exception:  # what cannot be decoded
        return False
    return not (job._success_callback_name or job._failure_callback_name or job._stopped_callback_name or job.webhooks)


class QueueAway(Exception):
    """Redis does not answer: one line."""


def labels_key(project: int) -> str:
    """A set: ids of annotations that webhooks told of since `reconcile` last counted."""
    return f"chequemate:labels:{project}"


def needed_key(project: int) -> str:
    """How many more labels can reach the threshold, as `reconcile` last counted."""
    return f"chequemate:needed:{project}"


def failure_key(name: str, project: int) -> str:
    """Why the last job of this name failed, as JSON; nothing once one has gone well."""
    return f"chequemate:failure:{name}:{project}"


def connect(url: str | None = None, seconds: float = 5.0) -> redis.Redis:
    """A connection that gives up after `seconds` and never retries behind the caller's back."""
    return redis.Redis.from_url(
        url or settings().redis_url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Reconnect(NoBackoff(), 0),
        health_check_interval=0,
    )


def queues(connection: redis.Redis, names: Iterable[str] = QUEUES) -> list[Queue]:
    return [Queue(name, connection=connection, job_class=OwnJob, serializer=JSONSerializer) for name in names]


def enqueue(name: str, project: int, *, connection: redis.Redis | None = None, **arguments: Any) -> bool:
    """Have `worker.jobs.<name>(project, **arguments)` run once; False: it waits already, or runs and sees the same.

    A retraining with `force` is what a person asks for: only another such one that waits stands for it. A job that died
    with its worker, or failed a while ago (or at all, with `force`), does not stand in the way. Raises QueueAway.
    """
    if name not in QUEUES:
        raise ValueError(f"{name!r} is no job: {', '.join(QUEUES)}")
    connection = connection or connect()
    force = bool(arguments.get("force"))
    try:
        if name == RETRAIN and is_stood_for(connection, project, force):
            return False
        for job_id in ids_of(name, project):
            if enqueued_as(connection, name, job_id, project, arguments, force):
                return True
            if not force and (name == RETRAIN or connection.hget(f"rq:job:{job_id}", "status") != b"started"):
                return False
        return False
    except redis.RedisError as error:
        raise QueueAway(f"Redis does not answer ({type(error).__name__}): start it, or set REDIS_URL") from None


def ids_of(name: str, project: int) -> tuple[str, ...]:
    """The ids under which jobs of this kind may stand."""
    return tuple(f"{name}-{project}{end}" for end in ENDS[name])


def is_stood_for(connection: redis.Redis, project: int, force: bool) -> bool:
    """Is there a retraining that does for this one: forced, one that waits and is forced too, else any at all?"""
    (queue,) = queues(connection, [RETRAIN])
    standing = [job_id for job_id in ids_of(RETRAIN, project) if not is_over(queue, job_id, force)]
    waiting = [job_id for job_id in standing if connection.hget(f"rq:job:{job_id}", "status") != b"started"]
    return any(arguments_of(queue, job_id).get("force") for job_id in waiting) if force else bool(standing)


def enqueued_as(
    connection: redis.Redis, name: str, job_id: str, project: int, arguments: dict[str, Any], force: bool
) -> bool:
    """Put it into the queue under this id; False: one that lives stands there."""
    (queue,) = queues(connection, [name])
    for attempt in (1, 2):
        try:
            queue.enqueue_call(
                FUNCTIONS[name],
                kwargs={"project": project, **arguments},
                job_id=job_id,
                unique=True,
                timeout=RECONCILE_SECONDS if name == RECONCILE else settings().job_timeout,
                result_ttl=0,  # a finished job must not stand in the way of the next one
                failure_ttl=7 * 24 * 3600,
                retry=RETRY.get(name),
                description=f"{name} project={project}",
            )
            return True
        except DuplicateJobError:
            if attempt == 2 or not is_over(queue, job_id, force):
                return False
            forget(queue, job_id)
    return False


def is_over(queue: Queue, job_id: str, force: bool) -> bool:
    """Is what stands under this id dead: failed, or lost with a worker or a wiped Redis?"""
    try:
        job = Job.fetch(job_id, connection=queue.connection, serializer=JSONSerializer)
        status = str(job.get_status(refresh=False).value)
    except redis.RedisError:
        raise
    except Exception:
        return True  # half a job: what a late heartbeat writes into a wiped Redis
    since = job.ended_at or job.enqueued_at
    age = time.time() - since.timestamp() if since else LOST_SECONDS + 1
    if status in ("failed", "stopped", "canceled"):
        return force or age > FAILED_SECONDS[queue.name]
    if status == "queued":
        if age <= LOST_SECONDS or queue.get_job_position(job_id) is not None:
            return False
        # One that a worker has taken still says that it is queued until its process is up, which takes seconds.
        begun = {begun_id for begun_id, _ in queue.started_job_registry.get_job_and_execution_ids(cleanup=False)}
        return job_id not in begun | taken(queue)
    return status not in ("started", "scheduled", "deferred")


def taken(queue: Queue) -> set[str]:
    """Ids that a worker has taken and not yet begun."""
    return {
        job_id.decode() if isinstance(job_id, bytes) else job_id
        for job_id in queue.connection.lrange(queue.intermediate_queue_key, 0, -1)
    }


def forget(queue: Queue, job_id: str) -> None:
    """Remove a job and every trace of it, whole or not."""
    try:
        Job.fetch(job_id, connection=queue.connection, serializer=JSONSerializer).delete()
    except redis.RedisError:
        raise
    except Exception:  # half a job cannot be fetched
        queue.remove(job_id)
    queue.connection.delete(f"rq:job:{job_id}")


def requeue_abandoned(connection: redis.Redis, names: Iterable[str] = QUEUES) -> list[str]:
    """Begin again what a killed worker had begun. Call it only while no other worker serves these queues."""
    begun = []
    for queue in queues(connection, names):
        registry = queue.started_job_registry
        running = {job_id for job_id, _ in registry.get_job_and_execution_ids(cleanup=False)}
        for job_id in sorted(running | taken(queue)):
            arguments = arguments_of(queue, job_id)
            forget(queue, job_id)
            if arguments and enqueue(queue.name, connection=connection, **arguments):
                begun.append(job_id)
        connection.delete(registry.key, queue.intermediate_queue_key)
    return begun


def arguments_of(queue: Queue, job_id: str) -> dict[str, Any]:
    """With what a job of ours is called; nothing of one that is half, or somebody else's."""
    try:
        job = OwnJob.fetch(job_id, connection=queue.connection, serializer=JSONSerializer)
        return dict(job.kwargs) if is_ours(job) else {}
    except redis.RedisError:
        raise
    except Exception:
        return {}


def note_labels(connection: redis.Redis, project: int, annotations: Iterable[int], every: int) -> bool:
    """Remember that these annotations are new or changed; True: the threshold may be reached, and nobody counts yet."""
    with connection.pipeline(transaction=False) as pipe:
        pipe.sadd(labels_key(project), *annotations)
        pipe.scard(labels_key(project))
        pipe.get(needed_key(project))
        pipe.hget(f"rq:job:{ids_of(RECONCILE, project)[0]}", "status")
        _, waiting, needed, counting = pipe.execute()
    return bool(waiting >= number_or(needed, every) and counting != b"queued")


def labels_needed(connection: redis.Redis, project: int, every: int) -> int:
    """How many more labels start a retraining."""
    waiting = number_or(connection.scard(labels_key(project)), 0)
    return max(0, number_or(connection.get(needed_key(project)), every) - waiting)


def number_or(found: Any, otherwise: int) -> int:
    """What Redis holds, where that is a number: another release may have written it."""
    try:
        return int(found)
    except (TypeError, ValueError):
        return otherwise


def forget_labels(connection: redis.Redis, project: int, annotations: Iterable[int]) -> None:
    """These annotations are deleted, or counted."""
    if ids := list(annotations):
        connection.srem(labels_key(project), *ids)


def note_needed(connection: redis.Redis, project: int, needed: int) -> None:
    connection.set(needed_key(project), max(1, needed))


def job_progress(connection: redis.Redis, name: str, project: int) -> dict[str, Any] | None:
    """What a job says of itself (stage, done, total, loss, seconds_left) and its status; None: there is no such job.

    Of several that which runs, else one that waits; `follows` where another one waits for it.
    """
    found: dict[str, list[dict[str, Any]]] = {"started": [], "waiting": [], "over": []}
    for job_id in ids_of(name, project):
        try:
            job = Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
            status = str(job.get_status(refresh=False).value)
            kind = "over" if status in ("failed", "stopped", "canceled") else "waiting"
            found["started" if status == "started" else kind].append({"status": status, **job.get_meta(refresh=False)})
        except redis.RedisError as error:
            raise QueueAway(f"Redis does not answer ({type(error).__name__}): start it, or set REDIS_URL") from None
        except Exception:  # no such job, or half of one
            continue
    jobs = [*found["started"], *found["waiting"], *found["over"]]
    if not jobs:
        return None
    return jobs[0] | ({"follows": True} if any(one is not jobs[0] for one in found["waiting"]) else {})


@dataclass(frozen=True)
class Failure:
    """Why a job failed: in a line (`reason`), or because its process was ended by a signal.

    peak: the most memory that the process had, bytes. limit: the container's, 0 where there is none. at: seconds since
    1970.
    """

    job: str
    at: float
    reason: str = ""
    signal: int = 0
    out_of_memory: bool = False
    peak: int = 0
    limit: int = 0

    @property
    def line(self) -> str:
        if not self.signal:
            return f"{self.job} failed: {self.reason}"
        what = f"{self.job} was ended by signal {self.signal} at {self.peak / 2**30:.1f} GiB of memory"
        if self.out_of_memory:
            return f"{what}: the container has no more than {self.limit / 2**30:.1f}; raise WORKER_MEMORY in .env"
        if self.signal == signal.SIGKILL:
            return f"{what}, most likely because there is no more; lower CHEQUEMATE_BATCH, or take a smaller model"
        return f"{what}: see the worker's log"


def note_failure(connection: redis.Redis, project: int, failure: Failure) -> None:
    """For `chequemate doctor` and the page, until a job of the same name goes well; a week at most."""
    connection.set(failure_key(failure.job, project), json.dumps(asdict(failure)), ex=7 * 24 * 3600)


def note_success(connection: redis.Redis, name: str, project: int) -> None:
    connection.delete(failure_key(name, project))


def failures(connection: redis.Redis, project: int) -> list[Failure]:
    """Why the last jobs of this project failed, as far as none has gone well since."""
    found = []
    for text in connection.mget([failure_key(name, project) for name in QUEUES]):  # type: ignore[union-attr]
        with suppress(ValueError, TypeError):  # of another release, or none
            found.append(Failure(**json.loads(text or "null")))
    return found
