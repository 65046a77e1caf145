"""What a real Label Studio sent to an ML backend (see record_requests.py), answered as it expects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from backend.app import create_app
from tests.backend_parts import FakeReader, noise, settings_in
from tests.record_requests import FILE, PASSWORD, USER
from tests.redis_parts import RedisServer
from worker.queue import PRELABEL, RECONCILE, RETRAIN, job_progress, labels_key

RECORDED: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
SENT = [(one["path"], (one["body"] or {}).get("action", "")) for one in RECORDED]


@pytest.fixture
def client(tmp_path: Path, redis_server: RedisServer, connection: redis.Redis) -> FlaskClient:
    settings = settings_in(tmp_path, user=USER, password=PASSWORD, redis_url=redis_server.url)
    return create_app(settings, FakeReader, lambda *_: noise(1)).test_client()


def replay(client: FlaskClient, one: dict[str, Any], **headers: str) -> Any:
    body = None if one["body"] is None else json.dumps(one["body"])
    return client.open(one["path"], method=one["method"], data=body, headers={**one["headers"], **headers})


def test_every_kind_of_request_was_recorded() -> None:
    kinds = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "START_TRAINING", "PROJECT_UPDATED")
    assert {path for path, _ in SENT} == {"/health", "/setup", "/predict", "/webhook"}
    assert {action for _, action in SENT} >= {*kinds, "TASKS_CREATED", "TASKS_DELETED"}


def test_all_of_them_in_their_order(client: FlaskClient, connection: redis.Redis) -> None:
    told: list[tuple[str, str]] = []
    for one in RECORDED:
        answer = replay(client, one)
        assert answer.status_code == 200, one
        match one["path"]:
            case "/health":
                assert answer.json["status"] == "UP"
            case "/setup":
                assert answer.json["model_version"] == "base"
            case "/predict":
                results = answer.json["results"]
                assert len(results) == len(one["body"]["tasks"])
                assert all({"result", "score", "model_version"} <= result.keys() for result in results)
            case "/webhook":
                told.append((one["body"]["action"], answer.json["status"]))
    assert ("TASKS_CREATED", "prelabelling") in told and ("START_TRAINING", "training") in told
    assert ("ANNOTATION_CREATED", "noted") in told and ("ANNOTATIONS_DELETED", "forgotten") in told
    assert all(job_progress(connection, name, 1) for name in (PRELABEL, RECONCILE, RETRAIN))
    assert not connection.scard(labels_key(1))  # each label that was made was deleted at the end


def test_none_is_answered_to_a_stranger(client: FlaskClient) -> None:
    for one in RECORDED:
        if one["path"] != "/health":
            assert replay(client, one, Authorization="Basic bm9ib2R5Om5vdGhpbmc=").status_code == 401
