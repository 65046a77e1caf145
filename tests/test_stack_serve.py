"""`chequemate serve` beside a Label Studio that it did not start, joined by `chequemate connect`, ended by a signal."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cheques.drawing import draw_cheque
from studio.config import DEFAULT_CONFIG
from tests.conftest import LabelStudio
from tests.test_stack_supervisor import session_of, until

pytestmark = pytest.mark.integration


def as_data(seed: int) -> str:
    written = io.BytesIO()
    draw_cheque(seed).image.save(written, "PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def test_a_project_of_another_label_studio_is_joined_and_read(tmp_path: Path, label_studio: LabelStudio) -> None:
    studio = label_studio.client
    project = studio.create_project("serve", DEFAULT_CONFIG.read_text(encoding="utf-8")).id
    studio.import_tasks(project, [{"image": as_data(seed)} for seed in (1, 2)])
    home, output = tmp_path / "home", tmp_path / "output.txt"
    theirs = {"CHEQUEMATE_STUDIO_URL": label_studio.url, "CHEQUEMATE_STUDIO_TOKEN": label_studio.token}
    environment = {**os.environ, **theirs, "CHEQUEMATE_HOME": str(home), "COLUMNS": "200", "CHEQUEMATE_BLIND": "false"}
    verb = (sys.executable, "-m", "chequemate")
    with output.open("w") as file:
        serve = subprocess.Popen([*verb, "serve"], env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        until(lambda: "Ctrl-C stops everything" in output.read_text() or serve.poll() is not None, 200)
        assert serve.poll() is None, output.read_text()
        children = [child.pid for child in psutil.Process(serve.pid).children()]
        assert len(children) == 3
        subprocess.run([*verb, "connect", "--project", str(project)], env=environment, check=True, timeout=120)
        until(lambda: studio.predicted_versions(project) == {"base": 2}, 200)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(60) == 0
        assert not any(session_of(leader) for leader in children)
    finally:
        serve.kill()
        serve.wait()


def test_without_a_token_it_says_what_to_set(tmp_path: Path) -> None:
    environment = {**os.environ, "CHEQUEMATE_HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-m", "chequemate", "serve"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 2 and "CHEQUEMATE_STUDIO_TOKEN" in told.stderr and told.stderr.count("\n") == 1
