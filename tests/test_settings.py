"""A setting that cannot be used, or that nobody reads, is named with its remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chequemate.doctor.checks import configuration
from cheques import settings as module
from cheques.settings import BadSettings, Settings, remarks
from tests.backend_parts import FakeReader, fetch

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own for `.env`, and an environment that sets nothing."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith(("CHEQUEMATE_", "LABEL_STUDIO_")):
            monkeypatch.delenv(name)
    module.settings.cache_clear()
    yield
    module.settings.cache_clear()


def told(**given: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        return remarks(Settings())


def test_what_is_right_needs_no_remark() -> None:
    assert told() == []
    assert told(CHEQUEMATE_RETRAIN_EVERY="30", chequemate_home="/tmp/x", CHEQUEMATE_LABEL_STUDIO="/bin/ls") == []
    assert told(CHEQUEMATE_USER="a", CHEQUEMATE_PASSWORD="b", CHEQUEMATE_READER_KEY="") == []
    assert told(LABEL_STUDIO_URL="http://ls:8080", CHEQUEMATE_STUDIO_URL="http://ls:8080") == []


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("CHEQUEMATE_RETRAIN_EVRY", "CHEQUEMATE_RETRAIN_EVERY"),
        ("CHEQUEMATE_PASSWD", "CHEQUEMATE_PASSWORD"),
        ("CHEQUEMATE_STUDIO_TOKENS", "CHEQUEMATE_STUDIO_TOKEN"),
        ("CHEQUEMATE_IMAGES_HOSTS", "CHEQUEMATE_IMAGE_HOSTS"),
        ("chequemate_projets", "CHEQUEMATE_PROJECTS"),
    ],
)
def test_a_misspelt_name_is_told_with_the_one_that_was_meant_and_never_its_value(wrong: str, meant: str) -> None:
    assert told(**{wrong: "s3cret"}) == [f"{wrong.upper()} is no setting, and does nothing; did you mean {meant}?"]


def test_a_name_like_no_other() -> None:
    (line,) = told(CHEQUEMATE_XYZZY="1")
    assert line.startswith("CHEQUEMATE_XYZZY is no setting, and does nothing; correct the name")


def test_names_in_the_env_file_too_with_or_without_windows_mark() -> None:
    Path(".env").write_text("CHEQUEMATE_RETRAIN_EVERY=7\nCHEQUEMATE_DOUPT=0.5\n", encoding="utf-8-sig")
    assert Settings().retrain_every == 7
    assert told() == ["CHEQUEMATE_DOUPT is no setting, and does nothing; did you mean CHEQUEMATE_DOUBT?"]


def test_a_setting_from_a_file_is_one_and_goes_behind_the_setting_itself(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    assert told(CHEQUEMATE_PASSWORD_FILE=str(secret)) == []
    (line,) = told(CHEQUEMATE_PASSWORD_FILE=str(secret), CHEQUEMATE_PASSWORD="other")
    assert line == "CHEQUEMATE_PASSWORD_FILE does nothing, for CHEQUEMATE_PASSWORD is set; unset one"
    Path(".env").write_text(f"CHEQUEMATE_PASSWORD_FILE={secret}\n")
    assert told() == ["CHEQUEMATE_PASSWORD_FILE is not read from .env, and does nothing; set it in the environment"]


def test_two_names_of_one_setting_that_differ() -> None:
    (line,) = told(LABEL_STUDIO_URL="http://one", CHEQUEMATE_STUDIO_URL="http://two")
    assert line == "CHEQUEMATE_STUDIO_URL and LABEL_STUDIO_URL differ, and one of them does nothing; unset one"


def test_what_another_setting_makes_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(CHEQUEMATE_READER_KEY="k")[0].startswith(
        "CHEQUEMATE_READER_KEY does nothing; set CHEQUEMATE_READER_URL"
    )
    assert told(CHEQUEMATE_USER="me")[0].startswith("CHEQUEMATE_USER does nothing; set CHEQUEMATE_PASSWORD")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert "pip install tensorboard" in told(CHEQUEMATE_TRAINING_LOG="log")[0]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("CHEQUEMATE_IMAGE_HOSTS=https://images.example/a", "CHEQUEMATE_IMAGE_HOSTS: .* no host: give the name alone"),
        ("CHEQUEMATE_RETRAIN_EVERY=often", "CHEQUEMATE_RETRAIN_EVERY"),
        ("CHEQUEMATE_PROJECTS=7,eight", "CHEQUEMATE_PROJECTS"),
        ("CHEQUEMATE_WORTH=date", "CHEQUEMATE_WORTH: give it as JSON"),
        ("CHEQUEMATE_DATABASE_URL=mysql://u:sECret@h/d", "CHEQUEMATE_DATABASE_URL: .*give postgresql"),
        ("CHEQUEMATE_DATABASE_URL=chequemate", "CHEQUEMATE_DATABASE_URL: .*or leave it out for SQLite"),
    ],
)
def test_what_cannot_be_used_ends_in_one_line(content: str, named: str) -> None:
    Path(".env").write_text(content + "\n")
    with pytest.raises(BadSettings, match=named) as caught:
        module.settings()
    assert "\n" not in str(caught.value) and "sECret" not in str(caught.value)


def test_an_env_file_in_another_encoding() -> None:
    Path(".env").write_bytes("CHEQUEMATE_USER=Zoé\n".encode("latin-1"))
    with pytest.raises(BadSettings, match=r"\.env is not UTF-8"):
        module.settings()


def test_doctor_the_backend_and_the_worker_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend.app import create_app

    monkeypatch.setenv("CHEQUEMATE_RETRAIN_EVRY", "30")
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    (finding,) = configuration(Settings())
    assert (finding.state, finding.remedy) == ("doubtful", "did you mean CHEQUEMATE_RETRAIN_EVERY?")
    create_app(Settings(), FakeReader, fetch)
    assert "CHEQUEMATE_RETRAIN_EVRY is no setting" in capsys.readouterr().err
    # A worker that Redis refuses ends at once, after it has said what is idle.
    about: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}
    away = os.environ | {"CHEQUEMATE_REDIS_URL": "redis://redis.example/0"}
    done = subprocess.run([sys.executable, "-m", "worker"], env=away, **about)
    assert done.returncode == 2 and "CHEQUEMATE_RETRAIN_EVRY is no setting" in done.stdout + done.stderr
