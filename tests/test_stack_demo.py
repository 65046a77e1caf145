"""`chequemate demo` as a person runs it: started, killed hard, started again, stopped with Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from studio.client import Studio
from tests.conftest import LabelStudio
from tests.test_stack_supervisor import session_of, until

pytestmark = pytest.mark.integration

FIRST, AGAIN = 600, 300  # seconds; some 100 and 20 on an idle machine
DATABASE = "label_studio.sqlite3"


@pytest.fixture
def home(tmp_path: Path, label_studio: LabelStudio) -> Path:
    """A home whose Label Studio has its database already: migrating an empty one takes a minute and a half."""
    theirs = label_studio.files.parent
    ours = tmp_path / "home" / "stack" / "label-studio"
    ours.mkdir(parents=True)
    shutil.copy(theirs / "secrets.json", tmp_path / "home" / "secrets.json")
    with (
        closing(sqlite3.connect(theirs / "stack" / "label-studio" / DATABASE)) as source,
        closing(sqlite3.connect(ours / DATABASE)) as copy,
    ):
        source.backup(copy)
    return tmp_path / "home"


@pytest.fixture
def started(home: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def run_demo(home: Path, started: list[subprocess.Popen[str]], seconds: float) -> str:
    """Start it and wait for its last line; what it printed."""
    output = home.parent / f"output{len(started)}.txt"
    environment = {**os.environ, "CHEQUEMATE_HOME": str(home), "COLUMNS": "120"}
    command = [sys.executable, "-m", "chequemate", "demo", "--count", "6"]
    with output.open("w") as file:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            # Tests in the background of a shell script are deaf to Ctrl-C, and would hand that on.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
    started.append(process)
    until(lambda: "Ctrl-C stops everything" in output.read_text() or process.poll() is not None, seconds)
    assert process.poll() is None, output.read_text()
    return output.read_text()


def children_of(process: subprocess.Popen[str]) -> list[int]:
    return [child.pid for child in psutil.Process(process.pid).children()]


def test_demo_survives_a_hard_kill_and_ends_whole(home: Path, started: list[subprocess.Popen[str]]) -> None:
    first = run_demo(home, started, FIRST)
    secrets = json.loads((home / "secrets.json").read_text())
    assert secrets["studio_password"] in first
    assert "Chequemate: 6 cheques, 0 labelled" in first
    told = json.loads((home / "stack/environment.json").read_text())
    studio = Studio(told["CHEQUEMATE_STUDIO_URL"], secrets["studio_token"])
    project = json.loads((home / "demo.json").read_text())["project"]
    assert studio.predicted_versions(project) == {"base": 6}
    projects = [one.id for one in studio.projects()]

    children = children_of(started[0])
    assert len(children) == 4
    listened = [
        connection.laddr.ip
        for leader in children
        for pid in session_of(leader)
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listened) >= 3 and set(listened) == {"127.0.0.1"}

    environment = {**os.environ, "CHEQUEMATE_HOME": str(home)}
    doctor = [sys.executable, "-m", "chequemate", "doctor", "--project", str(project)]
    seen = subprocess.run(doctor, env=environment, capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stdout + seen.stderr

    started[0].kill()
    started[0].wait()
    before = time.monotonic()
    again = run_demo(home, started, AGAIN)
    print(f"back after {time.monotonic() - before:.0f} s")
    assert secrets["studio_password"] in again
    assert "Chequemate: 6 cheques, 0 labelled" in again
    assert [one.id for one in studio.projects()] == projects
    assert not any(session_of(leader) for leader in children)

    children = children_of(started[1])
    started[1].send_signal(signal.SIGINT)
    assert started[1].wait(60) == 0
    assert not any(session_of(leader) for leader in children)
    assert not (home / "stack/environment.json").exists()
