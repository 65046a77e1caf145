"""Whom the backend answers: those with the password, or, where none is set, this machine alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from cheques.settings import BadSettings, check_redis
from tests.backend_parts import CONFIG, FakeReader, NoReader, client_of, fetch, settings_in
from worker.rq_worker import work


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return client_of(tmp_path, FakeReader)


def test_health_is_open_and_nothing_else(tmp_path: Path) -> None:
    client = client_of(tmp_path, FakeReader, password="secret", host="0.0.0.0")
    assert client.get("/health").status_code == 200
    for path in ("/", "/versions", "/metrics", "/is_training", "/nothing"):
        assert client.get(path).status_code == 401, path
    for path in ("/setup", "/predict", "/read", "/webhook", "/train", "/versions"):
        answer = client.post(path, json={})
        assert (answer.status_code, list(answer.json)) == (401, ["error"]), path
    assert client.get("/versions").headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [("chequemate", "sécret", 200), ("chequemate", "secret", 401), ("admin", "sécret", 401), ("", "", 401)],
)
def test_user_and_password_are_both_checked(tmp_path: Path, user: str, password: str, status: int) -> None:
    client = client_of(tmp_path, FakeReader, password="sécret")
    assert client.get("/versions", auth=(user, password)).status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "backend.example"])
def test_no_password_no_network(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadSettings, match="CHEQUEMATE_PASSWORD"):
        create_app(settings_in(tmp_path, host=host), FakeReader, fetch)


def test_without_password_another_machine_is_refused(client: FlaskClient) -> None:
    refused = client.get("/versions", environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert refused.status_code == 403 and "set CHEQUEMATE_PASSWORD" in refused.json["error"]
    assert client.get("/versions", environ_base={"REMOTE_ADDR": "::1"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:9090", "127.0.1.1", "localhost:9090", "LocalHost", "[::1]:9090"])
def test_without_password_this_machine_is_answered_by_its_own_names(client: FlaskClient, host: str) -> None:
    assert client.get("/versions", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.9"],
)
def test_without_password_a_name_that_was_made_to_mean_this_machine_is_refused(client: FlaskClient, host: str) -> None:
    for path in ("/", "/versions", "/metrics"):
        assert client.get(path, headers={"Host": host}).status_code == 403, path
    assert client.post("/read", json={}, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_without_password_nobody_is_admitted_through_a_proxy(client: FlaskClient, header: str) -> None:
    assert client.get("/versions", headers={header: "127.0.0.1"}).status_code == 403


def test_with_a_password_names_and_proxies_are_free(tmp_path: Path) -> None:
    client = client_of(tmp_path, FakeReader, password="secret")
    headers = {"Host": "cheques.example", "X-Forwarded-For": "10.0.0.9"}
    assert client.get("/versions", headers=headers, auth=("chequemate", "secret")).status_code == 200


def test_what_is_wrong_with_the_reader_is_for_those_who_may_ask(tmp_path: Path) -> None:
    client = client_of(tmp_path, NoReader(), password="secret")
    client.post("/predict", auth=("chequemate", "secret"), json={"project": 7, "tasks": [], "label_config": CONFIG})
    assert client.get("/health").json == {"status": "UP", "reader": "failed"}
    assert "CHEQUEMATE_MODEL" in client.get("/health", auth=("chequemate", "secret")).json["problem"]
    assert "problem" not in client_of(tmp_path, NoReader()).get("/health", headers={"Host": "evil.example"}).json


@pytest.mark.parametrize("url", ["redis://redis.example:6379/0", "redis://10.0.0.9", "rediss://user:@redis.example"])
def test_a_redis_that_a_network_may_write_to_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadSettings, match=r"CHEQUEMATE_REDIS_URL.*without a password"):
        create_app(settings_in(tmp_path, redis_url=url), FakeReader, fetch)
    with pytest.raises(BadSettings, match=r"CHEQUEMATE_REDIS_URL.*without a password"):
        work(settings_in(tmp_path, redis_url=url), lambda: ())


@pytest.mark.parametrize(
    "url",
    ["redis://:secret@redis:6379/0", "redis://redis?password=secret", "redis://localhost", "unix:///run/redis"],
)
def test_a_redis_with_a_password_or_of_this_machine_is_taken(tmp_path: Path, url: str) -> None:
    check_redis(settings_in(tmp_path, redis_url=url))
