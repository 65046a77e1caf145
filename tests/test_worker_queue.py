"""The queue against a real Redis: each job once, and none stuck behind a dead one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from rq import Callback, SimpleWorker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from worker import queue as q
from worker.queue import (
    PRELABEL,
    RECONCILE,
    RETRAIN,
    OwnJob,
    QueueAway,
    connect,
    enqueue,
    is_ours,
    job_progress,
    requeue_abandoned,
)

pytestmark = pytest.mark.integration


def job_of(connection: redis.Redis, job_id: str) -> Job:
    return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)


def begin(connection: redis.Redis, name: str) -> Job:
    """What a worker does between taking a job and its end."""
    (queue,) = q.queues(connection, [name])
    job_id = connection.lpop(queue.key).decode()
    job = job_of(connection, job_id)
    worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    return job


def test_a_job_is_enqueued_once_for_each_project(connection: redis.Redis) -> None:
    assert enqueue(RETRAIN, 7, connection=connection)
    assert not enqueue(RETRAIN, 7, connection=connection)
    assert enqueue(RETRAIN, 8, connection=connection)
    (queue,) = q.queues(connection, [RETRAIN])
    assert queue.job_ids == ["retrain-7", "retrain-8"]


def test_its_timeout_lets_a_training_finish_and_it_is_tried_again(connection: redis.Redis) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    job = job_of(connection, "retrain-7")
    assert job.timeout == 24 * 3600
    assert (job.retries_left, job.retry_intervals) == (3, [10, 60, 300])


def test_an_unknown_job_is_refused(connection: redis.Redis) -> None:
    with pytest.raises(ValueError, match="retrian"):
        enqueue("retrian", 7, connection=connection)


def test_what_may_have_missed_something_waits_once_more_while_it_runs(connection: redis.Redis) -> None:
    assert enqueue(PRELABEL, 7, connection=connection)
    begin(connection, PRELABEL)
    assert enqueue(PRELABEL, 7, connection=connection)
    assert not enqueue(PRELABEL, 7, connection=connection)
    (queue,) = q.queues(connection, [PRELABEL])
    assert queue.job_ids == ["prelabel-7-again"]


def test_a_training_that_runs_is_not_enqueued_again(connection: redis.Redis) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    begin(connection, RETRAIN)
    assert not enqueue(RETRAIN, 7, connection=connection)


@pytest.mark.parametrize("runs", [False, True], ids=["while one waits", "while one runs"])
def test_a_training_that_a_person_asks_for_follows_one_that_nobody_asked_for(
    connection: redis.Redis, runs: bool
) -> None:
    """The one before may find too few lessons, or have read the labels before the last of them came."""
    enqueue(RETRAIN, 7, connection=connection)
    first = begin(connection, RETRAIN) if runs else None
    assert enqueue(RETRAIN, 7, connection=connection, force=True)
    assert not enqueue(RETRAIN, 7, connection=connection, force=True), "one that waits sees whatever comes until then"
    assert not enqueue(RETRAIN, 7, connection=connection)
    assert begin(connection, RETRAIN).kwargs == {"project": 7} if first is None else True
    second = begin(connection, RETRAIN)
    assert second.kwargs == {"project": 7, "force": True} and is_ours(second)


def test_a_training_asked_for_while_one_that_was_asked_for_runs_follows_it(connection: redis.Redis) -> None:
    enqueue(RETRAIN, 7, connection=connection, force=True)
    assert not enqueue(RETRAIN, 7, connection=connection, force=True)
    begin(connection, RETRAIN)
    assert enqueue(RETRAIN, 7, connection=connection, force=True)
    assert requeue_abandoned(connection, [RETRAIN]) == [], "the one that waits does what the killed one would have done"
    assert begin(connection, RETRAIN).kwargs == {"project": 7, "force": True}


def test_while_a_training_that_was_asked_for_runs_none_is_enqueued_for_the_same_labels(
    connection: redis.Redis,
) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    before = begin(connection, RETRAIN)
    enqueue(RETRAIN, 7, connection=connection, force=True)
    before.delete()
    begin(connection, RETRAIN)
    assert not enqueue(RETRAIN, 7, connection=connection)
    told = job_progress(connection, RETRAIN, 7)
    assert told and told["status"] == "started"


def test_what_runs_is_told_before_what_waits(connection: redis.Redis) -> None:
    enqueue(PRELABEL, 7, connection=connection)
    before = begin(connection, PRELABEL)
    enqueue(PRELABEL, 7, connection=connection)
    before.delete()
    begin(connection, PRELABEL)
    enqueue(PRELABEL, 7, connection=connection)
    told = job_progress(connection, PRELABEL, 7)
    assert told and told["status"] == "started" and told["follows"]


def test_a_failed_training_is_tried_again_after_a_while_or_when_a_person_asks(connection: redis.Redis) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    job = begin(connection, RETRAIN)
    job.ended_at = datetime.now(UTC)
    job.set_status(JobStatus.FAILED)
    job.save()
    assert not enqueue(RETRAIN, 7, connection=connection)
    job.ended_at = datetime.now(UTC) - timedelta(seconds=601)
    job.save()
    assert enqueue(RETRAIN, 7, connection=connection)
    job = begin(connection, RETRAIN)
    job.ended_at = datetime.now(UTC)
    job.set_status(JobStatus.FAILED)
    job.save()
    assert enqueue(RETRAIN, 7, connection=connection, force=True)


def test_a_failed_reconcile_stands_in_nobodys_way(connection: redis.Redis) -> None:
    enqueue(RECONCILE, 7, connection=connection)
    job = begin(connection, RECONCILE)
    job.ended_at = datetime.now(UTC) - timedelta(seconds=1)
    job.set_status(JobStatus.FAILED)
    job.save()
    assert enqueue(RECONCILE, 7, connection=connection)


def test_a_job_lost_between_taking_and_beginning_does_not_block(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    (queue,) = q.queues(connection, [RETRAIN])
    connection.lpop(queue.key)  # and the worker dies
    assert not enqueue(RETRAIN, 7, connection=connection)  # it may be just about to begin
    monkeypatch.setattr(q, "LOST_SECONDS", -1)
    assert enqueue(RETRAIN, 7, connection=connection)
    assert queue.job_ids == ["retrain-7"]


def test_a_job_whose_process_is_still_starting_is_left_alone(
    connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(q, "LOST_SECONDS", -1)  # it has waited long in the queue
    enqueue(RETRAIN, 7, connection=connection)
    (queue,) = q.queues(connection, [RETRAIN])
    connection.lpop(queue.key)
    worker = SimpleWorker([queue], connection=connection, serializer=JSONSerializer)
    execution = worker.prepare_execution(job_of(connection, "retrain-7"))
    assert not enqueue(RETRAIN, 7, connection=connection)
    assert connection.exists(execution.key)


def test_half_a_job_does_not_block(connection: redis.Redis) -> None:
    # What a heartbeat leaves that arrives after Redis was wiped.
    connection.hset("rq:job:retrain-7", "last_heartbeat", "2026-01-01T00:00:00.000000Z")
    assert enqueue(RETRAIN, 7, connection=connection)
    assert job_of(connection, "retrain-7").kwargs == {"project": 7}


def test_what_a_killed_worker_had_begun_is_begun_again(connection: redis.Redis) -> None:
    enqueue(RETRAIN, 7, connection=connection, force=True)
    enqueue(PRELABEL, 7, connection=connection)
    enqueue(PRELABEL, 8, connection=connection)
    begin(connection, RETRAIN)
    begin(connection, PRELABEL)
    assert requeue_abandoned(connection) == ["prelabel-7", "retrain-7"]
    assert {queue.name: queue.job_ids for queue in q.queues(connection)} == {
        RECONCILE: [],
        PRELABEL: ["prelabel-8", "prelabel-7"],
        RETRAIN: ["retrain-7"],
    }
    assert job_of(connection, "retrain-7").kwargs == {"project": 7, "force": True}
    assert requeue_abandoned(connection) == []


def forged(connection: redis.Redis, function: str, callback: str = "", **about: Any) -> Job:
    """What somebody else puts into Redis."""
    (queue,) = q.queues(connection, [PRELABEL])
    if callback:
        about[callback] = Callback("os.system")
    job = Job.create(function, connection=connection, origin=PRELABEL, serializer=JSONSerializer, **about)
    queue.enqueue_job(job)
    return OwnJob.fetch(job.id, connection=connection, serializer=JSONSerializer)


def test_only_what_is_enqueued_here_is_ours(connection: redis.Redis) -> None:
    for name in q.QUEUES:
        enqueue(name, 7, connection=connection)
        assert is_ours(job_of(connection, f"{name}-7"))
    assert is_ours(forged(connection, "worker.jobs.prelabel", kwargs={"project": 7}))  # nobody can tell this one
    assert not is_ours(forged(connection, "os.system", args=["true"], kwargs={}))
    assert not is_ours(forged(connection, "worker.jobs.folder", kwargs={"project": 7}))
    assert not is_ours(forged(connection, "worker.jobs.prelabel", kwargs={"project": "../../elsewhere"}))
    for callback in ("on_success", "on_failure", "on_stopped"):
        job = forged(connection, "worker.jobs.prelabel", callback, kwargs={"project": 7})
        assert not is_ours(job)
        assert not (job.success_callback or job.failure_callback or job.stopped_callback)
    undecodable = forged(connection, "worker.jobs.prelabel", kwargs={"project": 7})
    connection.hset(undecodable.key, "data", b"cos\nsystem\n(S'true'\ntR.")  # as pickle would take it
    assert not is_ours(OwnJob.fetch(undecodable.id, connection=connection, serializer=JSONSerializer))


def test_what_is_not_ours_is_never_begun_again(connection: redis.Redis) -> None:
    (queue,) = q.queues(connection, [PRELABEL])
    job = forged(connection, "os.system", args=[], kwargs={"command": "true"})
    connection.lpop(queue.key)
    SimpleWorker([queue], connection=connection, serializer=JSONSerializer).prepare_execution(job)
    assert requeue_abandoned(connection) == []
    assert not connection.exists(job.key)


def test_progress_is_what_the_job_says_of_itself(connection: redis.Redis) -> None:
    assert job_progress(connection, RETRAIN, 7) is None
    enqueue(RETRAIN, 7, connection=connection)
    job = begin(connection, RETRAIN)
    job.meta.update(stage="training", done=3, total=40)
    job.save_meta()
    assert job_progress(connection, RETRAIN, 7) == {"status": "started", "stage": "training", "done": 3, "total": 40}


def test_without_redis_one_line_says_what_to_do() -> None:
    away = connect("redis://127.0.0.1:1/0", 0.2)
    with pytest.raises(QueueAway, match="REDIS_URL"):
        enqueue(RETRAIN, 7, connection=away)
    with pytest.raises(QueueAway, match="REDIS_URL"):
        job_progress(away, RETRAIN, 7)
