"""Where the verbs write their files: a wrong place is said before the work, and a full disk loses nothing shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from chequemate import cli
from cheques.settings import settings
from tests.test_trainer_retrain import LESSONS
from tests.test_trainer_verbs import folder_of
from tests.trainer_parts import FakeReader, runner
from trainer.dataset import DataError

Run = Callable[..., Result]
WRITING = {
    "evaluate": ("no-cheques", "--json"),
    "compare": ("base", "--data", "no-cheques", "--json"),
    "train": ("no-cheques", "--json"),
    "simulate": ("--project", 1, "--json"),
    "savings": ("--project", 1, "--json"),
    "progress": ("--json",),
    "progress ": ("--plot",),
    "replay": ("--quick", "--json"),
    "read": ("no-cheque.png", "--sheet"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("reader.open_reader.open_reader", lambda _: FakeReader(LESSONS))
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    return runner(cli.app)


def told(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("verb", WRITING)
def test_a_folder_that_is_missing_is_said_before_the_work(run: Run, verb: str) -> None:
    result = run(verb.strip(), *WRITING[verb], "nowhere/f.png")
    assert result.exit_code == 2 and "nowhere/f.png: no such folder; make it first" in told(result)


def test_a_folder_is_no_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    result = run("evaluate", "no-cheques", "--json", "out")
    assert result.exit_code == 2 and "out is a folder; give a file" in told(result)


def test_a_sheet_ends_like_an_image(run: Run) -> None:
    result = run("read", "no-cheque.png", "--sheet", "sheet.txt")
    assert result.exit_code == 2 and "end it in .png" in told(result)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_on_a_full_disk_the_scores_are_shown_all_the_same(run: Run, tmp_path: Path) -> None:
    result = run("evaluate", folder_of(LESSONS[:3], tmp_path / "cheques"), "--json", "/dev/full")
    assert result.exit_code == 2 and "exact match, mean of the cheques" in told(result)
    assert "give a file that can be written" in told(result)


def test_a_folder_without_truth_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError):
        run("evaluate", "no-cheques")
    monkeypatch.setattr("sys.argv", ["chequemate", "evaluate", "no-cheques"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "truth.jsonl is missing" in said and said.count("\n") == 1


def test_the_file_is_written(run: Run, tmp_path: Path) -> None:
    run("evaluate", folder_of(LESSONS[:3], tmp_path / "cheques"), "--json", "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["n"] == 3
