"""What a server can get wrong, each thing one line: refusals, other shapes, silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.reading import Adapter, ReaderError, Unreadable
from reader.remote import server as remote_server
from reader.remote.remote_reader import RemoteReader
from tests.remote_parts import FakeVllm, Protocol, adapter, serving, settings_for


@pytest.fixture
def server() -> Iterator[FakeVllm]:
    with serving() as server:
        yield server


@pytest.fixture
def settings(server: FakeVllm, tmp_path: Path) -> Settings:
    return settings_for(server, tmp_path)


def broken(server: FakeVllm, how: str) -> None:
    match how:
        case "no lora":
            server.knows_lora = False
        case "disobedient":
            server.obeys = False
        case "silent":
            server.tells_logprobs = False
        case "locked":
            server.key = "another"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no lora", "--enable-lora"),
        ("disobedient", "does not hold its answers to the form"),
        ("silent", "no log-probabilities"),
        ("locked", "CHEQUEMATE_READER_KEY"),
    ],
)
def test_a_server_that_cannot_serve_is_one_line(
    settings: Settings, server: FakeVllm, tmp_path: Path, how: str, said: str
) -> None:
    reader = RemoteReader(settings)
    broken(server, how)
    with pytest.raises(ReaderError, match=said) as error:
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v1") if how == "no lora" else None)
    assert "\n" not in str(error.value)


CUT = {"message": {"content": "{"}, "finish_reason": "length"}


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ({"error": {"message": "no worker is free"}}, "no worker is free"),
        ({"choices": []}, "choices"),
        ({"choices": [{"message": None, "finish_reason": "stop"}]}, "message"),
        ({"choices": [CUT | {"logprobs": {"content": [{"token": "{"}]}}]}, "log-probabilities"),
        (["busy"], "no OpenAI-compatible server"),
    ],
)
def test_an_answer_of_another_shape_is_one_line(settings: Settings, server: FakeVllm, says: Any, said: str) -> None:
    reader = RemoteReader(settings)
    server.says = (200, says)
    with pytest.raises(ReaderError, match=said) as error:
        reader.read([Image.new("RGB", (9, 9))], CHEQUE)
    assert "\n" not in str(error.value)


def test_a_trial_without_log_probabilities_and_models_without_a_list_are_one_line(
    settings: Settings, server: FakeVllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = RemoteReader(settings)
    server.says = (200, {"choices": [{"logprobs": None}]})
    with pytest.raises(ReaderError, match="log-probabilities"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v1"))
    monkeypatch.setattr(Protocol, "do_GET", lambda self: self.reply(200, {"models": []}))
    with pytest.raises(ReaderError, match="models"):
        RemoteReader(settings)


@pytest.mark.parametrize(
    "reason",
    [
        "The decoder prompt (length 2600) is longer than the maximum model length of 2048.",
        "This model's maximum context length is 2048 tokens. However, you requested 2600 tokens.",
    ],
)
def test_a_cheque_that_is_too_long_for_the_server_is_known_as_such(
    settings: Settings, server: FakeVllm, reason: str
) -> None:
    reader = RemoteReader(settings)
    server.says = (400, {"error": {"message": reason}})
    with pytest.raises(Unreadable, match="--max-model-len"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE)
    server.says = (400, {"error": {"message": "unknown field"}})
    with pytest.raises(ReaderError) as error:
        reader.read([Image.new("RGB", (9, 9))], CHEQUE)
    assert not isinstance(error.value, Unreadable)


def test_a_server_that_takes_too_long_is_asked_once(
    settings: Settings, server: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = RemoteReader(settings)
    server.seconds = 3.0
    monkeypatch.setattr(remote_server, "SECONDS", (5.0, 1.0))
    with pytest.raises(ReaderError, match="took more than 1 s: is it overloaded"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE)
    assert len(server.bodies) == 1


def test_a_server_that_cannot_be_reached_in_time_is_no_reader(
    settings: Settings, server: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = RemoteReader(settings)

    def late(*_: Any, **__: Any) -> None:
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests.Session, "request", late)
    with pytest.raises(ReaderError, match="no reader at"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE)


def test_a_missing_or_cut_adapter_is_one_line(settings: Settings, tmp_path: Path) -> None:
    reader = RemoteReader(settings)
    with pytest.raises(ReaderError, match="promote another version"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, Adapter("7/v1", tmp_path / "nowhere"))
    cut = adapter(tmp_path, "v2")
    (cut.path / "adapter_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ReaderError, match="damaged"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, cut)


def test_no_server_and_a_server_with_other_models_are_one_line(settings: Settings, server: FakeVllm) -> None:
    away = settings.model_copy(update={"reader_url": "http://127.0.0.1:9"})
    with pytest.raises(ReaderError, match="CHEQUEMATE_READER_URL"):
        RemoteReader(away)
    Protocol.do_GET, before = lambda self: self.reply(200, {"data": [{"id": "a"}, {"id": "b"}]}), Protocol.do_GET
    try:
        with pytest.raises(ReaderError, match="it has: a, b"):
            RemoteReader(settings)
    finally:
        Protocol.do_GET = before
