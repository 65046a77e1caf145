"""Label Studio away, unwilling or out of breath: retried where that helps, else one line that says what to do."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cheques.settings import Settings
from studio.client import TASKS_A_PAGE, Studio, StudioError
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
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
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


def test_a_server_that_answers_every_page_alike_is_not_asked_for_ever(server: Script) -> None:
    """As a cache in between that heeds no query would."""
    server.answers = [(200, {"tasks": [{"id": number, "data": {}} for number in range(1, TASKS_A_PAGE + 1)]})]
    with pytest.raises(StudioError, match="same page"):
        list(client(server).task_data(1))
    assert len(server.asked) == 2


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


def test_what_an_older_release_does_not_tell_is_no_trouble(server: Script) -> None:
    server.answers = [(404, {})]
    studio = client(server)
    assert (studio.annotators(1), studio.members(1), studio.token_settings()) == (0, 0, {})


def test_without_a_token_the_line_says_where_to_get_one() -> None:
    with pytest.raises(StudioError, match="set CHEQUEMATE_STUDIO_TOKEN"):
        Studio.of(Settings(_env_file=None))  # type: ignore[call-arg]


PAGE = "<!DOCTYPE html><html><style>a { color: red }</style><body>Please log in, Zo\u00e9</body></html>"
REFRESH = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "HS256", "typ": "JWT"}, {"token_type": "refresh", "exp": 4102444800}, {})
)


@pytest.mark.parametrize("token", ["0" * 40, REFRESH], ids=["legacy", "personal"])
@pytest.mark.parametrize(
    "call", [lambda s: s.annotators(1), lambda s: s.patch_score(1, 0.5), lambda s: s.get_file("/data/upload/c.png", 99)]
)
def test_a_web_page_instead_of_the_api_is_one_line(server: Script, call: Call, token: str) -> None:
    server.answers = [(200, PAGE)]
    studio = Studio(f"http://127.0.0.1:{server.server_port}/ls", token, timeout=5, attempts=1)
    with pytest.raises(
        StudioError, match=r"a web page and not Label Studio's API answers at .*/ls: set CHEQUEMATE_STU"
    ):
        call(studio)


@pytest.mark.parametrize("call", [lambda s: s.predicted_versions(1), lambda s: s.patch_score(1, 0.5)])
def test_a_web_page_that_says_why_not_is_not_repeated(server: Script, call: Call) -> None:
    server.answers = [(404, PAGE)]
    with pytest.raises(StudioError, match=r"answers 404: (Not Found|a web page)") as caught:
        call(client(server, attempts=1))
    assert "Zo" not in str(caught.value) and "color" not in str(caught.value)


def test_below_a_path_a_personal_token_is_shown_to_nobody_else_on_the_host(server: Script) -> None:
    server.answers = [(200, {"access": REFRESH})]
    Studio(f"http://127.0.0.1:{server.server_port}/ls/", REFRESH, timeout=5, attempts=1).server_version()
    Studio(f"http://127.0.0.1:{server.server_port}/ls/", REFRESH, timeout=5, attempts=1).annotators(1)
    assert server.asked == ["GET /ls/api/version", "POST /ls/api/token/refresh/", "GET /ls/api/projects/1/annotators/"]
