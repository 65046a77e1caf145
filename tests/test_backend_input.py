"""What comes from outside may be anything: it is refused in a line, and nothing is written down for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
from flask.testing import FlaskClient

from chequemate import train
from cheques.settings import BadSettings, Settings, settings
from store.database import Store
from store.draw import Draw
from store.projects import join, known_projects, project_number, served
from store.versions import VersionError
from tests.backend_parts import CONFIG, FakeReader, client_of, task
from tests.redis_parts import RedisServer
from tests.test_trainer_verbs import folder_of
from tests.trainer_parts import cheques, runner
from worker.queue import labels_key

NO_NUMBERS = ("²", "٣", "7" * 5000, "-7", "1_0", "+7", "7 ", "0", "x", "", "\x00", "1e3")
NO_CONFIGURATIONS = (7, True, [CONFIG], {"xml": CONFIG})
TOO_DEEP = "[" * 100_000


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return client_of(tmp_path, FakeReader, projects=(7,))


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_projects_number_is_refused_wherever_it_comes_from(client: FlaskClient, text: str) -> None:
    body = {"project": text, "label_config": CONFIG, "tasks": [task(1)], "action": "START_TRAINING"}
    for path in ("/setup", "/predict", "/read"):
        assert client.post(path, json=body).status_code == 400
        assert client.post(path, json=body | {"project": {"id": text}}).status_code == 400
    assert client.post("/webhook", json=body).json == {"status": "ignored"}
    for path in ("/", "/dashboard/live.json", "/dashboard/time.csv", "/dashboard/actions/retrain"):
        assert client.get(path, query_string={"project": text}).status_code == 400
    for path in ("/versions", "/is_training"):
        assert client.get(path, query_string={"project": text}).status_code == 200
    assert client.get(f"/dashboard/picture/{text}/1").status_code == 404
    assert client.get(f"/dashboard/picture/7/{text}").status_code == 404


def test_a_projects_number_is_read_in_one_way() -> None:
    assert [project_number(sent) for sent in ("7", 7, "0012", 2**31)] == [7, 7, 12, 2**31]
    assert [project_number(sent) for sent in (*NO_NUMBERS, None, True, 7.5, -7, [7])] == [None] * (len(NO_NUMBERS) + 5)


def test_what_is_known_under_no_number_hides_none(tmp_path: Path, client: FlaskClient) -> None:
    store = Store(tmp_path)
    for name in ("²", "7" * 200, "local"):
        Draw(store, name)
        join(store, name)  # type: ignore[arg-type]
    join(store, 8)
    assert served(Settings(home=tmp_path, projects=())) == known_projects(store) == [8]
    assert 'project="8"' in client.get("/metrics").text


@pytest.mark.parametrize("projects", ["0", "-7", "²", "7" * 5000])
def test_a_setting_that_names_no_project_is_refused(monkeypatch: pytest.MonkeyPatch, projects: str) -> None:
    monkeypatch.setenv("CHEQUEMATE_PROJECTS", projects)
    settings.cache_clear()
    with pytest.raises(BadSettings, match="CHEQUEMATE_PROJECTS"):
        settings()
    settings.cache_clear()


def test_a_training_for_what_is_no_project_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    app = typer.Typer()
    app.command()(train.train)
    data = folder_of(cheques(1), tmp_path / "data")
    with pytest.raises(VersionError, match="is no project"):
        runner(app)(data, "--project", "../../elsewhere")
    settings.cache_clear()
    assert not (tmp_path / "elsewhere").exists() and known_projects(Store(tmp_path / "home")) == []


@pytest.mark.parametrize("config", NO_CONFIGURATIONS)
def test_a_configuration_that_is_no_text_is_none(client: FlaskClient, config: Any) -> None:
    body = {"project": 7, "tasks": [task(1), task(2)]}
    assert client.post("/setup", json=body | {"schema": config}).status_code == 400
    assert client.post("/read", json=body | {"label_config": config}).status_code == 400
    answer = client.post("/predict", json=body | {"label_config": config})
    assert [one["result"] for one in answer.json["results"]] == [[], []]


@pytest.mark.parametrize("body", ["[1]", '"7"', "7", "true", TOO_DEEP, '{"project": ' + "7" * 5000 + "}"])
def test_a_body_of_another_kind_is_no_error_of_ours(client: FlaskClient, body: str) -> None:
    for path in ("/setup", "/predict", "/read", "/webhook"):
        assert client.post(path, data=body, content_type="application/json").status_code == 400
    assert client.get("/versions", data=body, content_type="application/json").status_code == 200


@pytest.mark.integration
def test_ids_of_annotations_that_are_none_are_left_out(
    tmp_path: Path, redis_server: RedisServer, connection: redis.Redis
) -> None:
    client = client_of(tmp_path, FakeReader, redis_url=redis_server.url)
    several = [{"id": one} for one in (1, True, -2, 0, "3", None, 10**400, 4)]
    event = {"action": "ANNOTATIONS_CREATED", "project": 7, "annotations": several}
    assert client.post("/webhook", data=json.dumps(event), content_type="application/json").json["status"] == "noted"
    assert connection.smembers(labels_key(7)) == {b"1", b"4"}


def test_who_only_asks_about_a_project_leaves_nothing_behind(tmp_path: Path) -> None:
    client = client_of(tmp_path, FakeReader, projects=(5,), studio_url="http://127.0.0.1:1", studio_token="none")
    assert client.post("/setup", json={"project": "999.17", "schema": CONFIG}).json == {"model_version": "base"}
    body = {"project": 999, "label_config": CONFIG}
    assert client.post("/read", json=body | {"tasks": [task(1, "text")]}).status_code == 200
    for path in ("/", "/dashboard/live.json", "/dashboard/time.csv", "/metrics", "/versions", "/is_training?project=9"):
        assert client.get(path).status_code in (200, 404)
    nothing_served = client_of(tmp_path, FakeReader, studio_url="http://127.0.0.1:1", studio_token="none")
    assert nothing_served.get("/").status_code == 200
    assert known_projects(Store(tmp_path)) == []
    assert client.post("/read", json=body | {"tasks": [task(1)]}).status_code == 200
    assert known_projects(Store(tmp_path)) == [999], "with its first cheque it is drawn"
