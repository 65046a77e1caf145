"""Label Studio's events against a real Redis: a set of ids, and each job once."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from backend.routes import REDIS_SECONDS
from backend.webhook import sent_project
from tests.backend_parts import FakeReader, client_of, predict, task
from tests.redis_parts import RedisServer
from worker.queue import (
    PRELABEL,
    QUEUES,
    RECONCILE,
    RETRAIN,
    enqueue,
    failure_key,
    labels_key,
    needed_key,
    note_needed,
    queues,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def client(tmp_path: Path, redis_server: RedisServer, connection: redis.Redis) -> FlaskClient:
    return client_of(tmp_path, FakeReader, redis_url=redis_server.url, retrain_every=3)


def send(client: FlaskClient, action: str, **about: Any) -> str:
    answer = client.post("/webhook", json={"action": action, "project": {"id": 7}, **about})
    assert answer.status_code == 200
    return str(answer.json["status"])


def annotation(number: int, **more: Any) -> dict[str, Any]:
    return {"annotation": {"id": number, **more}, "task": {"id": number}}


def enqueued(connection: redis.Redis) -> dict[str, list[str]]:
    return {queue.name: queue.job_ids for queue in queues(connection, QUEUES) if queue.job_ids}


def test_labels_are_counted_by_id_and_the_threshold_enqueues_once(client: FlaskClient, connection: redis.Redis) -> None:
    for number in (1, 2, 2, 2, 1):
        assert send(client, "ANNOTATION_CREATED", **annotation(number)) == "noted"
    assert enqueued(connection) == {}
    assert send(client, "ANNOTATION_UPDATED", **annotation(3)) == "counting"
    for number in (3, 4):
        assert send(client, "ANNOTATION_UPDATED", **annotation(number)) == "noted"  # the job waits already
    assert enqueued(connection) == {RECONCILE: ["reconcile-7"]}
    assert connection.smembers(labels_key(7)) == {b"1", b"2", b"3", b"4"}


def test_the_threshold_is_what_reconcile_says_is_still_needed(client: FlaskClient, connection: redis.Redis) -> None:
    note_needed(connection, 7, 1)
    assert send(client, "ANNOTATION_CREATED", **annotation(1)) == "counting"


def test_a_deleted_label_is_forgotten_and_a_skipped_one_counts(client: FlaskClient, connection: redis.Redis) -> None:
    send(client, "ANNOTATION_CREATED", **annotation(1, was_cancelled=True))
    send(client, "ANNOTATIONS_CREATED", annotations=[{"id": 2}, {"id": 3}])
    assert send(client, "ANNOTATIONS_DELETED", annotations=[{"id": 2}, {"id": 9}]) == "forgotten"
    assert connection.smembers(labels_key(7)) == {b"1", b"3"}


def test_start_training_enqueues_it_whatever_the_count(client: FlaskClient, connection: redis.Redis) -> None:
    assert send(client, "START_TRAINING") == "training"
    assert send(client, "START_TRAINING") == "training"
    assert enqueued(connection) == {RETRAIN: ["retrain-7"]}
    (queue,) = queues(connection, [RETRAIN])
    job = queue.fetch_job("retrain-7")
    assert job and job.kwargs == {"project": 7, "force": True} and job.func_name == "worker.jobs.retrain"
    assert job.data.startswith(b"[")  # JSON, not pickle


def test_start_training_is_kept_while_a_training_that_nobody_asked_for_waits(
    client: FlaskClient, connection: redis.Redis
) -> None:
    enqueue(RETRAIN, 7, connection=connection)
    assert send(client, "START_TRAINING") == "training"
    (queue,) = queues(connection, [RETRAIN])
    assert [job.kwargs.get("force") for job in queue.jobs] == [None, True]


def test_what_redis_holds_may_be_of_another_release(
    tmp_path: Path, client: FlaskClient, connection: redis.Redis, redis_server: RedisServer
) -> None:
    connection.set(needed_key(7), "many")
    connection.set(failure_key(RETRAIN, 7), '{"job": "retrain", "why": "written otherwise"}')
    connection.set(failure_key(PRELABEL, 7), "no JSON")
    enqueue(RETRAIN, 7, connection=connection)
    connection.hset("rq:job:retrain-7", "meta", '{"done": "half", "total": null, "seconds_left": "soon"}')
    assert send(client, "ANNOTATION_CREATED", **annotation(1)) == "noted"
    page = client_of(tmp_path, FakeReader, redis_url=redis_server.url, projects=(7,))
    loop = page.get("/dashboard/live.json?project=7").json
    assert (loop["next_in"], loop["failures"], [job["share"] for job in loop["jobs"]]) == (19, [], [0.0])


def test_new_tasks_are_prelabelled(client: FlaskClient, connection: redis.Redis) -> None:
    assert send(client, "TASKS_CREATED", tasks=[{"id": 1}]) == "prelabelling"
    assert enqueued(connection) == {PRELABEL: ["prelabel-7"], RECONCILE: ["reconcile-7"]}


@pytest.mark.parametrize(
    "event",
    [
        {"action": "TASKS_DELETED", "project": {"id": 7}},
        {"action": "ANNOTATION_CREATED", "project": {"id": 7}},
        {"action": "ANNOTATION_CREATED", "annotation": {"id": "x"}, "project": 7},
        {"action": ["x"], "project": None},
        {},
    ],
)
def test_what_says_nothing_does_nothing(client: FlaskClient, connection: redis.Redis, event: dict[str, Any]) -> None:
    assert client.post("/webhook", json=event).status_code == 200
    assert enqueued(connection) == {}


def test_gaps_are_left_to_prelabel(client: FlaskClient, connection: redis.Redis) -> None:
    predict(client, [task(1, "text")])
    assert enqueued(connection) == {PRELABEL: ["prelabel-7"]}


def test_metrics_show_queues_and_labels(client: FlaskClient) -> None:
    predict(client, [task(1)])
    send(client, "ANNOTATION_CREATED", **annotation(1))
    send(client, "START_TRAINING")
    text = client.get("/metrics").text
    assert 'chequemate_queue_length{queue="retrain",state="queued"} 1.0' in text
    assert 'chequemate_labels_waiting{project="7"} 1.0' in text
    assert 'chequemate_webhook_events_total{action="START_TRAINING",project="7"} 1.0' in text


@pytest.mark.parametrize(
    "stalled", [pytest.param(False, id="nobody listens"), pytest.param(True, id="accepts and never answers")]
)
def test_without_redis_the_annotator_does_not_wait(tmp_path: Path, stalled: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if stalled:
            silent.listen()
        port = silent.getsockname()[1]
        client = client_of(tmp_path, FakeReader, redis_url=f"redis://127.0.0.1:{port}/0")
        silent.setblocking(False)
        for action in ("ANNOTATION_CREATED", "START_TRAINING", "TASKS_CREATED", "ANNOTATIONS_DELETED"):
            assert send(client, action, annotations=[{"id": 1}]) == "left to reconcile"
            attempts = _accepted(silent) if stalled else 1
            assert attempts * REDIS_SECONDS < 0.8  # Label Studio gives up at one second


def _accepted(listening: socket.socket) -> int:
    """How many connections wait to be taken."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count


@pytest.mark.parametrize(
    ("sent", "project"),
    [({"id": 7}, 7), ("7.1795342822", 7), ("7", 7), (7, 7), (None, None), ("", None), ({}, None), ("x.1", None)],
)
def test_projects_come_in_several_shapes(sent: Any, project: int | None) -> None:
    assert sent_project(sent) == project
