"""The backend as Label Studio sees it, with a reader that needs no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL.Image import Image

from backend.app import create_app
from backend.routes import PREDICT_SECONDS
from reader.reading import Adapter, Reading
from store.blind_readings import blind_readings
from store.database import Store
from store.draw import Draw
from store.versions import Version, Versions
from tests.backend_parts import (
    CONFIG,
    PAYEE,
    FakeReader,
    NoReader,
    client_of,
    fetch,
    predict,
    settings_in,
    task,
    values_of,
)


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


@pytest.fixture
def client(tmp_path: Path, reader: FakeReader) -> FlaskClient:
    return client_of(tmp_path, lambda: reader, blind=False)


def test_predict_before_setup_answers_with_the_fields_filled(client: FlaskClient) -> None:
    (result,) = predict(client, [task(1)])
    assert values_of(result) == {"beneficiaire": PAYEE, "devise": "EUR"}
    assert result["model_version"] == "base"
    assert result["score"] == 0.25  # the smallest confidence


def test_as_many_results_as_tasks_whatever_the_tasks_are(client: FlaskClient) -> None:
    broken = [task(2, "text"), task(3, "red"), {"id": 4, "data": {}}, {"id": 5}, {"data": {"image": 6}}]
    results = predict(client, [task(1), *broken, task(7)])
    assert [len(result["result"]) for result in results] == [2, 0, 0, 0, 0, 0, 2]
    assert {result["model_version"] for result in results[1:-1]} == {"pending"}


def test_an_odd_task_costs_its_neighbours_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def odd(url: str, project: int) -> Image:
        if url.startswith("/odd"):
            raise ZeroDivisionError(PAYEE)
        return fetch(url)

    client = create_app(settings_in(tmp_path, blind=False), FakeReader, odd).test_client()
    lone = "\ud800"  # half of a surrogate pair, as JSON can write it
    tasks = [task(1), {"id": lone, "data": {"image": lone}}, {"id": 3, "data": {"image": "/odd/3"}}, task(4)]
    assert [len(result["result"]) for result in predict(client, tasks)] == [2, 0, 0, 2]
    answer = client.post("/read", json={"project": 7, "tasks": tasks, "label_config": CONFIG}).json
    assert [one["error"] for one in answer["readings"]][2:] == ["internal error (ZeroDivisionError)", None]
    logged = capfd.readouterr().err
    assert "cheque.failed" in logged and "test_backend_app.py:" in logged and PAYEE not in logged


def test_no_tasks_no_results(client: FlaskClient) -> None:
    assert predict(client, []) == []


def test_a_configuration_without_an_image_still_gets_a_result_for_each_task(client: FlaskClient) -> None:
    answer = client.post("/predict", json={"project": "7", "label_config": "<View/>", "tasks": [task(1), task(2)]})
    assert [result["result"] for result in answer.json["results"]] == [[], []]
    refused = client.post("/setup", json={"project": "7", "schema": "<View/>"})
    assert refused.status_code == 400 and "Image" in refused.json["error"]


def test_setup_names_the_version_in_service(client: FlaskClient) -> None:
    assert client.post("/setup", json={"project": "7.179", "schema": CONFIG}).json == {"model_version": "base"}
    assert client.post("/read", json={"project": 7, "tasks": [task(1)]}).json["version"] == "base"  # kept from setup


def test_a_new_champion_serves_without_a_restart(tmp_path: Path, client: FlaskClient, reader: FakeReader) -> None:
    predict(client, [task(1)])
    promote(tmp_path, "7")
    (result,) = predict(client, [task(1)])
    assert result["model_version"] == "v1"
    assert reader.batches == [(1, None), (1, "7/v1")]
    assert client.post("/setup", json={"project": "7", "schema": CONFIG}).json == {"model_version": "v1"}
    assert client.get("/versions?project=7").json == {"versions": ["v1", "base"], "champion": "v1"}
    Versions(Store(tmp_path), "7").rollback()
    assert predict(client, [task(1)])[0]["model_version"] == "base"
    assert len(reader.batches) == 2  # what the base read is still stored


def test_projects_have_their_own_champions(tmp_path: Path, client: FlaskClient) -> None:
    promote(tmp_path, "8")
    assert [predict(client, [task(1)], project)[0]["model_version"] for project in ("7", "8")] == ["base", "v1"]
    assert client.get("/versions").json == {"versions": ["v1", "base"]}


def test_a_cheque_is_read_once_even_across_a_restart(tmp_path: Path, reader: FakeReader) -> None:
    first = predict(client_of(tmp_path, lambda: reader), [task(1), task(2)])
    again = predict(client_of(tmp_path, lambda: reader), [task(1), task(2)])
    assert again == first
    assert sum(size for size, _ in reader.batches) == 2


def test_a_blind_cheque_is_read_and_not_shown(tmp_path: Path, reader: FakeReader) -> None:
    client = client_of(tmp_path, lambda: reader)
    results = predict(client, [task(number) for number in range(60)])
    blind = {place.task for place in Draw(Store(tmp_path), 7).places() if place.arm == "blind"}
    assert 0 < len(blind) < 20
    shown = {str(number) for number, result in enumerate(results) if result["result"]}
    assert shown == {str(number) for number in range(60)} - blind
    assert all(result["score"] == 0.25 and result["model_version"] == "base" for result in results)
    said = blind_readings(Store(tmp_path), 7)
    assert {one.task for one in said} == blind and said[0].values["beneficiaire"] == PAYEE
    assert predict(client, [task(number) for number in range(60)]) == results  # from the store too


def test_a_cheque_that_was_labelled_before_is_never_blind(tmp_path: Path, reader: FakeReader) -> None:
    old = [task(number) | {"annotations": [{"id": 1}]} for number in range(60)]
    assert all(result["result"] for result in predict(client_of(tmp_path, lambda: reader), old))


class Clock:
    """Stands still until it is told: a busy machine changes nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Slow(FakeReader):
    """By that clock every batch takes its time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def read(self, *asked: Any, **how: Any) -> list[Reading]:
        self.clock.now += PREDICT_SECONDS / 4
        return super().read(*asked, **how)


def test_what_is_not_read_in_time_is_left_to_prelabel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("backend.routes.time", clock)
    monkeypatch.setattr("backend.model.time", clock)
    client = client_of(tmp_path, lambda: Slow(clock), batch=2, blind=False)
    predict(client, [])
    results = predict(client, [task(number) for number in range(20)])
    assert len(results) == 20
    assert results[0]["result"] and not results[-1]["result"]
    assert results[-1]["model_version"] == "pending"


def test_the_batch_route_gives_readings_as_they_are(tmp_path: Path, reader: FakeReader) -> None:
    client = client_of(tmp_path, lambda: reader)
    tasks = [*(task(number) for number in range(40)), task(40, "text")]
    answer = client.post("/read", json={"project": 7, "tasks": tasks, "label_config": CONFIG}).json
    assert answer["version"] == "base"
    assert [one["task"] for one in answer["readings"]] == [str(number) for number in range(41)]
    assert all(one["values"]["beneficiaire"] == PAYEE for one in answer["readings"][:40])  # the blind ones too
    assert answer["readings"][0]["embedding"] == [0.5, 0.25]
    assert "PNG" in answer["readings"][40]["error"] and not answer["readings"][40]["passing"]


def test_without_a_model_prelabel_is_told_to_wait_and_label_studio_gets_empty_results(tmp_path: Path) -> None:
    client = client_of(tmp_path, NoReader())
    assert [result["result"] for result in predict(client, [task(1)])] == [[]]
    answer = client.post("/read", json={"project": 7, "tasks": [task(1)], "label_config": CONFIG})
    assert (answer.status_code, answer.json["error"]) == (503, "/models/none is no model: set CHEQUEMATE_MODEL")
    assert client.get("/health").json == {
        "status": "UP",
        "reader": "failed",
        "problem": "/models/none is no model: set CHEQUEMATE_MODEL",
    }


@pytest.mark.parametrize("path", ["/setup", "/predict", "/read", "/webhook"])
@pytest.mark.parametrize("body", ["", "no json", "[]", "null"])
def test_a_body_that_is_no_object_is_refused_in_one_line(client: FlaskClient, path: str, body: str) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert "\n" not in answer.json["error"] and "JSON" in answer.json["error"]


@pytest.mark.parametrize(
    "body", [{"tasks": []}, {"project": "x", "tasks": []}, {"project": "7"}, {"project": "7", "tasks": [1]}]
)
def test_a_request_without_project_or_tasks_is_refused(client: FlaskClient, body: dict[str, object]) -> None:
    assert client.post("/predict", json=body | {"label_config": CONFIG}).status_code == 400


def test_an_internal_error_is_one_line_without_traceback(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise KeyError(PAYEE)

    monkeypatch.setattr("backend.routes.ServedModels.model", breaks)
    answer = client.post("/predict", json={"project": "7", "label_config": CONFIG, "tasks": [task(1)]})
    assert answer.status_code == 500
    assert answer.json == {"error": "internal error (KeyError): see the backend's log"}


def test_nothing_that_is_written_on_a_cheque_is_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    client = client_of(tmp_path, FakeReader)
    body = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "result": [PAYEE]}, "project": {"id": 7}}
    predict(client, [task(number) for number in range(20)] + [task(21, "text")])
    client.post("/webhook", json=body)
    client.post("/read", json={"project": 7, "tasks": [task(1, "red")]})
    logged = "".join(capfd.readouterr())
    assert "cheque.unread" in logged and PAYEE not in logged and "Zo" not in logged


def test_metrics_are_prometheus_text_even_without_redis(client: FlaskClient) -> None:
    predict(client, [task(1), task(1, "text")])
    text = client.get("/metrics").text
    assert 'chequemate_cheques_total{how="read",project="7"} 1.0' in text
    assert 'chequemate_champion{project="7",version="base"} 1.0' in text
    assert "chequemate_redis_up 0.0" in text
    assert 'chequemate_request_seconds_count{route="predict"} 1.0' in text


def test_the_app_is_label_studio_mls_own_with_another_model(tmp_path: Path) -> None:
    one = create_app(settings_in(tmp_path / "a"), FakeReader, fetch)
    other = create_app(settings_in(tmp_path / "b", password="x"), FakeReader, fetch)
    assert one.import_name == "label_studio_ml.api"
    assert one.test_client().get("/versions").status_code == 200  # the second application left the first alone
    assert other.test_client().get("/versions").status_code == 401


def promote(home: Path, project: str) -> Adapter:
    versions = Versions(Store(home), project)
    with versions.staging() as folder:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
        made = Version("", project, folder, decision="promoted", reasons=("better",))
        return versions.add(folder, made).adapter
