"""docs/first-hour.md, followed command by command: what a team has becomes a project with one honest comparison."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from chequemate.stack import PORTS, Stack
from cheques.settings import Settings
from store.database import Store
from store.versions import Versions
from studio.client import Studio
from studio.config import DEFAULT_CONFIG

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|ini)\n(.*?)```", PAGE, re.DOTALL)
HOUR = 3600.0
SIDE = re.compile(r"(?:Side by side|Côte à côte).*? [\d.,]+.%.*? v0 [\d.,]+.%.*? v1 [\d.,]+.%[^.]*\.")


def test_every_verb_of_the_page_is_one() -> None:
    from typer.main import get_command

    from chequemate.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    commands = [line.split() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    verbs = [words[1] for words in commands if words[0] == "chequemate"]
    assert len(verbs) > 8 and set(verbs) <= known


@pytest.fixture
def fresh_studio(tmp_path: Path) -> Iterator[Stack]:
    """A Label Studio of the test's own: the page's project is its first."""
    home = tmp_path / "label studio"
    settings = Settings(_env_file=None, home=home)  # type: ignore[call-arg]
    stack = Stack(settings, usual_ports=dict.fromkeys(PORTS, 0))
    try:
        yield stack.start(only=("label-studio",))
    finally:
        stack.stop()


@pytest.mark.proof
@pytest.mark.integration
def test_the_first_hour_by_its_page_alone(fresh_studio: Stack, tmp_path: Path) -> None:
    studio = Studio(fresh_studio.studio_url, fresh_studio.token)
    project = studio.create_project("Chèques", DEFAULT_CONFIG.read_text(encoding="utf-8"))  # step 0, in the browser
    assert project.id == 1
    desk = tmp_path / "desk"
    desk.mkdir()
    (about,) = [text for kind, text in BLOCKS if kind == "ini"]
    ours = {"CHEQUEMATE_STUDIO_URL": fresh_studio.studio_url, "CHEQUEMATE_STUDIO_TOKEN": fresh_studio.token}
    ours |= {"CHEQUEMATE_PASSWORD": "first-hour"}
    written = re.sub(r"^(\w+)=.*$", lambda match: f"{match[1]}={ours[match[1]]}", about, flags=re.MULTILINE)
    (desk / ".env").write_text(written)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHEQUEMATE_")}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}

    versions = Versions(Store(desk / ".chequemate"), 1)
    begun, serving, outputs = time.monotonic(), None, list[str]()
    path = f"{ROOT}/.venv/bin:{environment['PATH']}"
    environment["PATH"] = path
    try:
        for kind, text in BLOCKS:
            for command in text.splitlines() if kind == "sh" else ():
                if command.startswith("export PATH"):
                    continue  # it is there already: the page's $PWD is the checkout
                started = time.monotonic()
                if command == "chequemate serve":
                    log = (desk / "serve.log").open("w")
                    serving = subprocess.Popen(
                        ["bash", "-c", f"exec {command}"], cwd=desk, env=environment, stdout=log, stderr=log
                    )
                    until(lambda: "The backend listens at" in (desk / "serve.log").read_text(), "serve")
                else:
                    if outputs and "is joined" in outputs[-1]:  # the page's "ten minutes later"
                        until(lambda: all(v.mean for v in versions.list()) and len(versions.list()) == 2, "v1")
                    done = subprocess.run(
                        ["bash", "-c", command], cwd=desk, env=environment, capture_output=True, text=True
                    )
                    assert done.returncode == 0, (command, done.stdout, done.stderr)
                    outputs.append(done.stdout)
                print(f"{time.monotonic() - started:7.0f} s  {command}", flush=True)
        print(f"{(time.monotonic() - begun) / 60:.0f} minutes in all")
        print(*outputs[-4:], sep="\n")
        listens = re.search(r"The backend listens at ([\d.:]+)", (desk / "serve.log").read_text())
        assert listens
        backend = f"http://{listens[1]}"
        asked = partial(requests.get, f"{backend}/?project=1", auth=("chequemate", "first-hour"), timeout=300)
        until(lambda: SIDE.search(asked().text), "the page")
        page = asked().text
    finally:
        if serving:
            serving.send_signal(signal.SIGTERM)
            serving.wait(60)

    assert "100 taken, 100 labels, 0 left out" in outputs[-5]
    brought, trained = versions.list()
    assert (brought.name, trained.name) == ("v0", "v1")
    assert brought.decision in ("promoted", "rejected") and brought.exam == trained.exam >= 10
    assert trained.labels + trained.exam == 100
    said = SIDE.search(page)
    assert said
    print(said[0])
    assert re.search(rf"same {trained.exam} exam cheques|mêmes {trained.exam} chèques", page)


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + HOUR
    while not true():
        assert time.monotonic() < deadline, f"{what} took more than an hour"
        time.sleep(1)
