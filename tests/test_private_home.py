"""What is written on a machine that others use too is its owner's alone: pictures of cheques, readings, tokens."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chequemate import cli
from chequemate.stack import Stack
from cheques.settings import settings
from tests.backend_parts import FakeReader, client_of, predict, settings_in, task
from tests.conftest import ANY_PORTS


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home that an older version made, as everybody's umask lets everybody read it."""
    before = os.umask(0o022)
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    os.umask(before)


def read_by_others(place: Path) -> list[str]:
    return sorted(str(path) for path in [place, *place.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077)


def test_a_home_is_open_where_nobody_closes_it(home: Path) -> None:
    (home / "file").touch()
    assert read_by_others(home) == [str(home), str(home / "file")]


def test_the_backend_closes_it(home: Path) -> None:
    predict(client_of(home, FakeReader), [task(number) for number in range(40)])
    assert (home / "chequemate.db").exists()
    assert read_by_others(home) == []


def test_every_verb_closes_it_and_makes_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["chequemate", "--help"])
    monkeypatch.setenv("CHEQUEMATE_HOME", str(home / "none"))
    with pytest.raises(SystemExit):
        cli.main()
    assert not (home / "none").exists()
    monkeypatch.setenv("CHEQUEMATE_HOME", str(home))
    with pytest.raises(SystemExit):
        cli.main()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_the_stack_closes_it(home: Path) -> None:
    Stack(settings_in(home), usual_ports=ANY_PORTS).stop()
    assert (home / "stack" / "logs").is_dir() and read_by_others(home) == []


def test_a_home_that_cannot_be_one_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("CHEQUEMATE_HOME", str(home / "file" / "home"))
    settings.cache_clear()
    monkeypatch.setattr(sys, "argv", ["chequemate", "versions"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    settings.cache_clear()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1 and "Not a directory; see to it" in told
