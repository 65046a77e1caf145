"""One thread, one reader: batches, errors, and whose turn the card is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from backend.reader_thread import Away, Resident
from cheques.fields import Form
from reader.gpu_lock import Card, CardBusy, borrowed, uses_card
from reader.reading import Adapter, Reader, ReaderError, Reading, Unreadable
from tests.backend_parts import FORM, FakeReader, NoReader, noise, settings_in

RED = Image.new("RGB", (8, 8), (255, 0, 0))


@contextmanager
def resident_with(open_reader: Callable[[], Reader], batch: int = 8, card: Card | None = None) -> Iterator[Resident]:
    resident = Resident(open_reader, batch, card)
    try:
        yield resident
    finally:
        resident.close()


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_requests_in_parallel_share_batches_and_one_thread_reads() -> None:
    reader = FakeReader(seconds=0.1)
    with resident_with(lambda: reader) as resident:

        def ask() -> None:
            resident.submit([noise(1)], FORM, None)[0].result(10)

        threads = [threading.Thread(target=ask) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(size for size, _ in reader.batches) == 24
    assert len(reader.batches) < 12
    assert max(size for size, _ in reader.batches) <= 8
    assert len(reader.threads) == 1
    assert reader.closed


def test_a_batch_holds_one_adapter_only(tmp_path: Path) -> None:
    reader = FakeReader(seconds=0.05)
    adapters = [None, Adapter("7/v1", tmp_path), None, Adapter("7/v1", tmp_path)]
    with resident_with(lambda: reader) as resident:
        futures = [resident.submit([noise(1)], FORM, adapter)[0] for adapter in adapters * 3]
        assert all(future.result(10).values for future in futures)
    assert {name for _, name in reader.batches} == {None, "7/v1"}
    assert sum(size for size, _ in reader.batches) == 12


def test_a_cheque_that_breaks_the_reader_takes_no_other_with_it() -> None:
    with resident_with(FakeReader) as resident:
        futures = resident.submit([noise(1), RED, noise(2)], FORM, None)
        assert futures[0].result(10).values and futures[2].result(10).values
        with pytest.raises(Unreadable, match="RuntimeError"):
            futures[1].result(10)


def test_a_cheque_that_the_server_refuses_takes_no_other_with_it() -> None:
    class Refuses(FakeReader):
        def one(self, image: Image.Image, form: Form) -> Reading:
            if image.size == RED.size:
                raise Unreadable("the prompt is too long")
            return super().one(image, form)

    with resident_with(Refuses) as resident:
        futures = resident.submit([noise(1), RED, noise(2)], FORM, None)
        assert futures[0].result(10).values and futures[2].result(10).values
        with pytest.raises(Unreadable, match="too long"):
            futures[1].result(10)


def test_a_reader_that_cannot_be_opened_says_why_to_everyone() -> None:
    with resident_with(NoReader()) as resident:
        with pytest.raises(ReaderError, match="CHEQUEMATE_MODEL"):
            resident.submit([noise(1)], FORM, None)[0].result(10)
        assert resident.state == "failed"


def test_a_reader_that_fails_to_open_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.reader_thread.RETRY_SECONDS", 0.1)
    tries = []

    def second_time_lucky() -> FakeReader:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("no space")
        return FakeReader()

    with resident_with(second_time_lucky) as resident:
        wait_until(lambda: resident.state == "ready")
        assert resident.submit([noise(1)], FORM, None)[0].result(10).values


@pytest.mark.slow
def test_a_thread_whose_wait_fails_again_and_again_does_not_flood_the_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with capture_logs() as logged, resident_with(FakeReader, card=Card(home)) as resident:
        wait_until(lambda: resident.state == "ready")
        shutil.rmtree(home)
        home.write_text("")  # no folder any more, where the reader looks whether its card is wanted
        wait_until(lambda: any(line["event"] == "reader.thread" for line in logged))
        time.sleep(1.0)
        assert sum(line["event"] == "reader.thread" for line in logged) < 10
        with pytest.raises(ReaderError, match=r"NotADirectoryError|FileExistsError"):
            resident.submit([noise(1)], FORM, None)[0].result(10)
        home.unlink()
        home.mkdir()
        wait_until(lambda: resident.submit([noise(1)], FORM, None)[0].exception(10) is None)


def test_a_closing_reader_refuses_what_it_has_not_begun() -> None:
    resident = Resident(lambda: FakeReader(seconds=0.3), batch=1)
    futures = resident.submit([noise(1)] * 5, FORM, None)
    time.sleep(0.15)
    resident.close()
    assert futures[0].result(1).values
    with pytest.raises(ReaderError, match="closing"):
        futures[-1].result(1)
    with pytest.raises(ReaderError, match="closing"):  # the answer says so: one that asks for ten loses none of them
        resident.submit([noise(1)], FORM, None)[0].result(1)


class TestCard:
    def test_the_card_is_given_up_for_a_training_and_taken_back(self, tmp_path: Path) -> None:
        readers: list[FakeReader] = []

        def opened() -> FakeReader:
            readers.append(FakeReader())
            return readers[-1]

        with resident_with(opened, card=Card(tmp_path)) as resident:
            assert resident.submit([noise(1)], FORM, None)[0].result(10).values
            with borrowed(tmp_path, 10):
                assert readers[0].closed and resident.state == "away"
                with pytest.raises(Away):
                    resident.submit([noise(1)], FORM, None)[0].result(10)
            wait_until(lambda: resident.state == "ready")
            assert resident.submit([noise(1)], FORM, None)[0].result(10).values
        assert len(readers) == 2

    def test_a_training_that_is_killed_gives_the_card_back(self, tmp_path: Path) -> None:
        code = f"""
import time
from pathlib import Path
from reader.gpu_lock import borrowed
with borrowed(Path({str(tmp_path)!r}), 10):
    print("mine", flush=True)
    time.sleep(60)
"""
        training = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        try:
            assert training.stdout and training.stdout.readline() == b"mine\n"
            card = Card(tmp_path)
            assert card.wanted() and not card.take()
            training.kill()
            training.wait(10)
            wait_until(card.take)
        finally:
            training.kill()

    def test_a_reader_that_never_gives_up_is_named(self, tmp_path: Path) -> None:
        card = Card(tmp_path)
        assert card.take()
        with pytest.raises(CardBusy, match=r"card\.lock"), borrowed(tmp_path, 0.3):
            pass
        card.give_back()
        with borrowed(tmp_path, 1):
            assert not Card(tmp_path).take()

    def test_only_a_local_reader_on_a_card_takes_turns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert uses_card(settings_in(tmp_path, device="cuda:1"))
        assert not uses_card(settings_in(tmp_path, device="cpu"))
        assert not uses_card(settings_in(tmp_path, device="cuda", reader_url="http://127.0.0.1:8000"))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert not uses_card(settings_in(tmp_path, device="cuda"))
