"""Who reads on the card, and that every verb that reads there asks a running backend for it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from chequemate import compare, evaluate, read, replay
from cheques.settings import Settings, settings
from reader import gpu_lock as cards
from reader import open_reader as readers
from reader.gpu_lock import Card, uses_card
from reader.open_reader import reader_here
from reader.reading import ReaderError
from tests.test_trainer_retrain import LESSONS
from tests.test_trainer_verbs import folder_of
from tests.trainer_parts import FakeReader, runner
from trainer import export_import


@pytest.fixture(autouse=True)
def _a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CHEQUEMATE_DEVICE", "cuda")
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("device, is_card", [("nvidia0", True), ("dxg", True), ("nvidiactl", False), ("null", False)])
def test_a_card_is_seen_by_its_device_in_wsl_too(
    device: str, is_card: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "DEVICES", tmp_path)
    (tmp_path / device).touch()
    assert uses_card(Settings(device="auto", _env_file=None)) is is_card


class Watching(FakeReader):
    """Notes at each reading, and when it is closed, whether the card is held."""

    def __init__(self, home: Path) -> None:
        super().__init__(LESSONS)
        self.home, self.held = home, list[bool]()

    def _note(self) -> None:
        card = Card(self.home)
        self.held.append(not card.take())
        card.give_back()

    def read(self, *given: Any, **named: Any) -> Any:
        self._note()
        return super().read(*given, **named)

    def close(self) -> None:
        self._note()
        super().close()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watching:
    reader = Watching(tmp_path)
    monkeypatch.setattr(readers, "open_reader", lambda _: reader)
    return reader


def test_the_card_is_held_until_the_reader_is_closed(reader: Watching, tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="no answer"), reader_here(settings()):
        assert not Card(tmp_path).take()
        raise ReaderError("no answer")
    assert reader.held == [True] and reader.closed == 1
    assert Card(tmp_path).take()


def test_a_reader_that_cannot_be_opened_gives_the_card_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings) -> None:
        raise ReaderError("no model")

    monkeypatch.setattr(readers, "open_reader", refuse)
    with pytest.raises(ReaderError, match="no model"), reader_here(settings()):
        pass
    assert Card(tmp_path).take()


def test_a_server_or_a_cpu_needs_no_card(reader: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "borrowed", lambda *_: pytest.fail("the card was asked for"))
    for given in ({"device": "cpu"}, {"reader_url": "http://127.0.0.1:8000"}):
        with reader_here(Settings(_env_file=None, **given)):  # type: ignore[arg-type]
            pass
    assert reader.closed == 2


VERBS: dict[str, Callable[..., None]] = {"read": read.read, "evaluate": evaluate.evaluate, "compare": compare.compare}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_that_read_borrow_the_card(verb: str, reader: Watching, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(VERBS[verb])
    folder = folder_of(LESSONS[:4], tmp_path / "scans")
    assert runner(app)(*(["base", "--data", folder] if verb == "compare" else [folder])).exit_code == 0
    assert len(reader.held) >= 2 and all(reader.held) and reader.closed == 1
    assert Card(tmp_path).take()


def test_a_merged_or_imported_adapter_is_tried_on_a_borrowed_card(reader: Watching, tmp_path: Path) -> None:
    export_import.drawn_values(settings(), None, 1)
    assert reader.held == [True, True]


def test_a_replay_holds_the_card_for_all_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        pass

    def cells(*_: object) -> None:
        assert not Card(tmp_path).take()
        raise Ended

    monkeypatch.setattr(replay, "run_cells", cells)
    app = typer.Typer()
    app.command()(replay.replay)
    with pytest.raises(Ended):
        runner(app)("--quick", "--out", tmp_path / "cells")
    assert Card(tmp_path).take()
