"""Label Studio away, unwilling or out of breath: retried where that helps, else one line that says what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cheques.settings import Settings
from studio.client import Studio, StudioError
from tests.redis_parts import free_port


class Script(ThreadingHTTPServer):
    """Answers with what the test lays down: (status, body) in turn, the last one for ever."""

    answers: list[tuple[int, Any]]
    asked: list[str]


class Answer(BaseHTTPRequestHandler):
    server: Script

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path.split('?')[0]}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if 300 <= status < 400:
            self.send_header("Location", "https://elsewhere.example/")
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Script]:
    script = Script(("127.0.0.1", 0), Answer)
    script.answers, script.asked = [], []
    threading.Thread(target=script.serve_forever, args=(0.02,), daemon=True).start()
    yield script
    script.shutdown()


def client(server: Script, attempts: int = 3) -> Studio:
    return Studio(f"http://127.0.0.1:{server.server_port}", "0" * 40, timeout=5, attempts=attempts)


PROJECT = {"id": 1, "title": "t", "label_config": "<View/>", "task_number": 3}


def test_an_answer_that_may_pass_is_asked_for_again(server: Script) -> None:
    server.answers = [(503, {}), (502, {}), (200, PROJECT)]
    assert client(server).project(1).tasks == 3
    assert len(server.asked) == 3


def test_a_refusal_is_not(server: Script) -> None:
    server.answers = [(400, {"detail": "no"})]
    with pytest.raises(StudioError, match="answers 400: no"):
        client(server).annotators(1)
    assert len(server.asked) == 1


def test_what_may_have_been_done_is_not_done_again(server: Script) -> None:
    server.answers = [(502, {})]
    with pytest.raises(StudioError, match="answers 502"):
        client(server).import_predictions(1, [{"task": 1, "result": []}])
    assert server.asked == ["POST /api/projects/1/import/predictions"]


def test_predictions_go_in_chunks(server: Script) -> None:
    server.answers = [(201, {"created": 500})]
    assert client(server).import_predictions(1, ({"task": n, "result": []} for n in range(1100))) == 1100
    assert len(server.asked) == 3


Call = Callable[[Studio], object]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            401,
            {"detail": "Invalid token."},
            r"refuses the token \(Invalid token\.\): set a valid CHEQUEMATE_STUDIO_TOKEN",
        ),
        (403, {"detail": "You do not have permission"}, "forbids this to the token's user"),
        (
            403,
            {"detail": "The provided URL was not allowed."},
            "private address: start it with ML_BLOCK_LOCAL_IP=false",
        ),
        (302, {}, "redirects: set CHEQUEMATE_STUDIO_URL to its final address"),
        (500, ["nothing", "useful"], "answers 500: nothing useful|answers 500"),
        (400, {"validation_errors": {"url": ["Can't reach <a href='x'>it</a>"]}}, "answers 400: Can't reach it"),
    ],
)
@pytest.mark.parametrize("call", [lambda s: s.annotators(1), lambda s: s.patch_score(1, 0.5)])
def test_each_refusal_is_one_line(server: Script, status: int, body: Any, said: str, call: Call) -> None:
    server.answers = [(status, body)]
    with pytest.raises(StudioError, match=said) as caught:
        call(client(server, attempts=1))
    assert caught.value.status == status
    assert "\n" not in str(caught.value)


def test_what_was_sent_is_not_repeated(server: Script) -> None:
    server.answers = [(400, {"detail": "{'task': 1, 'result': [{'text': ['Zoé Personne']}]} contains invalid task"})]
    with pytest.raises(StudioError, match="contains invalid task") as caught:
        client(server).import_predictions(1, [{"task": 1, "result": []}])
    assert "Zoé" not in str(caught.value)


@pytest.mark.parametrize("call", [lambda s: s.annotators(1), lambda s: s.patch_score(1, 0.5)])
def test_away_says_where_and_what_to_do(call: Call) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        StudioError, match=f"does not answer at {url}: start it, or set CHEQUEMATE_STUDIO_URL"
    ) as caught:
        call(Studio(url, "0" * 40, attempts=1))
    assert caught.value.status is None


def test_without_a_token_the_line_says_where_to_get_one() -> None:
    with pytest.raises(StudioError, match="set CHEQUEMATE_STUDIO_TOKEN"):
        Studio.of(Settings(_env_file=None))  # type: ignore[call-arg]
