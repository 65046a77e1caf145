"""The worker's way through the backend: behind the same auth, patient while the backend restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask, jsonify
from werkzeug.serving import make_server

from backend.app import create_app
from studio.client import Task
from tests.backend_parts import PAYEE, FakeReader, NoReader, fetch, settings_in
from tests.redis_parts import free_port
from tests.worker_parts import CONFIG, XML
from worker.backend_client import BackendClient, BackendError, VersionChanged

TASKS = [Task(1, "/image/1", False), Task(2, "/text/2", False), Task(3, "/image/3", False)]


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def backend_at(home: Path, port: int, patience: float = 20, password: str | None = "secret") -> BackendClient:
    own = settings_in(home, backend_url=f"http://127.0.0.1:{port}", password=password)
    return BackendClient(own, 7, XML, CONFIG, patience)


def app_in(home: Path, **more: object) -> Flask:
    return create_app(settings_in(home, password="secret", **more), FakeReader, fetch)


def test_readings_come_by_task_and_the_unreadable_as_none(tmp_path: Path) -> None:
    port = free_port()
    with served(app_in(tmp_path), port):
        readings = backend_at(tmp_path, port).read(TASKS, "base")
    assert {task: reading and reading.values["beneficiaire"] for task, reading in readings.items()} == {
        1: PAYEE,
        2: None,
        3: PAYEE,
    }
    assert readings[1] and readings[1].confidence["lieu"] == 0.25


def test_a_wrong_password_is_said_at_once(tmp_path: Path) -> None:
    port = free_port()
    with served(app_in(tmp_path), port), pytest.raises(BackendError, match=r"401.*CHEQUEMATE_PASSWORD"):
        backend_at(tmp_path, port, password="wrong").read(TASKS, "base")


def test_another_version_in_service_is_noticed(tmp_path: Path) -> None:
    port = free_port()
    with served(app_in(tmp_path), port), pytest.raises(VersionChanged, match="base is in service, no longer v1"):
        backend_at(tmp_path, port).read(TASKS, "v1")


def test_a_backend_that_still_reads_with_another_base_is_named(tmp_path: Path) -> None:
    """Else its readings would be taken for those of the base that the worker knows."""
    port = free_port()
    app = app_in(tmp_path, model="Qwen/of-yesterday")
    own = settings_in(tmp_path, backend_url=f"http://127.0.0.1:{port}", password="secret", model="Qwen/of-today")
    with served(app, port), pytest.raises(BackendError, match=r"Qwen/of-yesterday.*Qwen/of-today.*CHEQUEMATE_MODEL"):
        BackendClient(own, 7, XML, CONFIG).read(TASKS, "base")


def test_it_waits_for_a_backend_that_restarts(tmp_path: Path) -> None:
    port = free_port()
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.extend(backend_at(tmp_path, port).read(TASKS, "base")))
    reader.start()
    time.sleep(1)
    with served(app_in(tmp_path), port):
        reader.join(20)
    assert found == [1, 2, 3]


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="is the backend running"):
        backend_at(tmp_path, free_port(), patience=1).read(TASKS, "base")


def test_a_backend_without_a_model_is_waited_for_and_then_named(tmp_path: Path) -> None:
    port = free_port()
    app = create_app(settings_in(tmp_path, password="secret"), NoReader(), fetch)
    with served(app, port), pytest.raises(BackendError, match="CHEQUEMATE_MODEL"):
        backend_at(tmp_path, port, patience=1).read(TASKS, "base")


def test_what_is_no_backend_is_named(tmp_path: Path) -> None:
    other, port = Flask("other"), free_port()
    other.add_url_rule("/read", view_func=lambda: (jsonify(nothing=1), 404), methods=["POST"])
    with served(other, port), pytest.raises(BackendError, match="404"):
        backend_at(tmp_path, port).read(TASKS, "base")
