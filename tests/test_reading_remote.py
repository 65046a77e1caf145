"""The reader over HTTP, against a server that speaks vLLM's protocol but has no model."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from safetensors.numpy import load_file

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.grammar import pattern
from reader.open_reader import open_reader
from reader.prompt import question
from reader.reading import ReaderError
from reader.remote.remote_reader import RemoteReader, tokens_of
from reader.turning import TurningReader
from tests.remote_parts import TEXT, VISION, FakeVllm, adapter, serving, settings_for


@pytest.fixture
def server() -> Iterator[FakeVllm]:
    with serving() as server:
        yield server


@pytest.fixture
def settings(server: FakeVllm, tmp_path: Path) -> Settings:
    return settings_for(server, tmp_path)


def test_images_are_read_in_parallel_and_come_back_in_order(settings: Settings, server: FakeVllm) -> None:
    reader = open_reader(settings)
    assert isinstance(reader, TurningReader) and isinstance(reader.reader, RemoteReader)
    readings = reader.read([Image.new("RGB", (100 + n, 100)) for n in range(9)], CHEQUE)
    assert [reading.values["lieu"] for reading in readings] == [f"é {100 + n}" for n in range(9)]
    # "é 100" is six bytes and a closing quote; the halves of the é were spelt as replacement characters.
    assert readings[0].evidence["lieu"]["total"] == pytest.approx(-0.7)
    assert readings[0].evidence["lieu"]["margin"] == pytest.approx(2.0)
    assert 0 < readings[0].confidence["lieu"] < 1
    reader.close()


def test_the_question_is_the_one_that_was_trained(settings: Settings, server: FakeVllm) -> None:
    RemoteReader(settings).read([Image.new("RGB", (100, 100))], CHEQUE)
    body = server.bodies[-1]
    assert body["messages"][0]["content"][1]["text"] == question(CHEQUE)
    assert (body["temperature"], body["logprobs"]) == (0, True)


def test_vllm_is_held_to_the_forms_pattern_and_others_to_its_schema(settings: Settings, server: FakeVllm) -> None:
    RemoteReader(settings).read([Image.new("RGB", (100, 100))], CHEQUE)
    assert server.bodies[-1]["structured_outputs"] == {"regex": pattern(CHEQUE)}
    server.is_vllm = False
    assert RemoteReader(settings).read([Image.new("RGB", (100, 100))], CHEQUE)[0].values["lieu"] == "é 100"
    assert server.bodies[-1]["response_format"]["json_schema"]["schema"] == CHEQUE.schema()


def test_free_decoding_asks_for_no_schema(settings: Settings, server: FakeVllm) -> None:
    reading = RemoteReader(settings).read([Image.new("RGB", (100, 100))], CHEQUE, constrained=False)[0]
    assert not {"response_format", "structured_outputs"} & set(server.bodies[-1])
    assert reading.raw == "Voici le chèque." and reading.values == {}
    assert "lieu" in reading.notes[0]


def test_each_version_has_a_name_of_its_own_and_old_ones_are_unloaded(
    settings: Settings, server: FakeVllm, tmp_path: Path
) -> None:
    reader = RemoteReader(settings)
    for n in range(6):
        reader.read([Image.new("RGB", (100, 100))], CHEQUE, adapter(tmp_path, f"v{n}", n + 1.0))
        assert server.bodies[-1]["model"].startswith(f"7-v{n}-")
    assert len(server.loaded) == 4
    reader.close()
    assert server.loaded == {}


def test_a_server_that_was_started_again_gets_its_adapters_again(
    settings: Settings, server: FakeVllm, tmp_path: Path
) -> None:
    reader, champion = RemoteReader(settings), adapter(tmp_path, "v1")
    reader.read([Image.new("RGB", (100, 100))], CHEQUE, champion)
    server.loaded.clear()
    assert reader.read([Image.new("RGB", (100, 100))], CHEQUE, champion)[0].values["lieu"] == "é 100"


def test_the_same_name_with_other_weights_is_another_adapter_there(
    settings: Settings, server: FakeVllm, tmp_path: Path
) -> None:
    names = []
    for folder, value in (("a", 1.0), ("b", 2.0)):
        RemoteReader(settings).read([Image.new("RGB", (100, 100))], CHEQUE, adapter(tmp_path / folder, "v1", value))
        names.append(server.bodies[-1]["model"])
    assert names[0] != names[1]


def test_a_server_that_ignores_vision_layers_is_found_out(settings: Settings, server: FakeVllm, tmp_path: Path) -> None:
    server.knows_vision = False
    with pytest.raises(ReaderError, match="--enable-tower-connector-lora"):
        RemoteReader(settings).read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v1"))
    assert server.loaded == {}


def test_a_server_that_sees_vision_layers_since_is_asked_again(
    settings: Settings, server: FakeVllm, tmp_path: Path
) -> None:
    reader, champion = RemoteReader(settings), adapter(tmp_path, "v1")
    server.knows_vision = False
    with pytest.raises(ReaderError, match="--enable-tower-connector-lora"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, champion)
    server.knows_vision = True  # the operator has started it again with the flag
    assert reader.read([Image.new("RGB", (100, 99))], CHEQUE, champion)[0].values["lieu"] == "é 100"
    server.knows_vision = False  # and then once more without
    server.loaded.clear()
    with pytest.raises(ReaderError, match="--enable-tower-connector-lora"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, champion)


def test_an_adapter_without_vision_layers_says_nothing_of_how_the_server_treats_them(
    settings: Settings, server: FakeVllm, tmp_path: Path
) -> None:
    server.knows_vision = False
    reader = RemoteReader(settings)
    reader.read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v1", layers=(TEXT,)))
    with pytest.raises(ReaderError, match="--enable-tower-connector-lora"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v2"))


def test_the_trial_adapter_has_the_vision_layers_alone(settings: Settings, server: FakeVllm, tmp_path: Path) -> None:
    RemoteReader(settings).read([Image.new("RGB", (9, 9))], CHEQUE, adapter(tmp_path, "v1", 3.0))
    trial = load_file(tmp_path / "probe" / "adapter_model.safetensors")
    assert list(trial) == [VISION] and (trial[VISION] == 3.0).all()


def test_an_adapter_of_another_base_is_not_loaded(settings: Settings, server: FakeVllm, tmp_path: Path) -> None:
    reader = RemoteReader(settings.model_copy(update={"model": "Qwen/Qwen2.5-VL-7B-Instruct"}))
    other = adapter(tmp_path, "v1")
    (other.path / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Instruct"}')
    with pytest.raises(ReaderError, match=r"7/v1 was trained on another base \(Qwen/Qwen3-VL-8B-Instruct\)"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, other)
    assert not server.loaded


def test_a_cut_letter_gets_its_bytes_back() -> None:
    told = [
        {"token": t, "logprob": -0.5, "top_logprobs": []} for t in ('"', "\ufffd", "\ufffd", "t", '"', "<|im_end|>")
    ]
    tokens = tokens_of({"logprobs": {"content": told}}, '"ét"')
    assert b"".join(token.spelt for token in tokens) == '"ét"'.encode()
    assert len(tokens) == 5


def test_what_is_sent_is_the_whole_cheque(settings: Settings, server: FakeVllm) -> None:
    RemoteReader(settings).read([draw_cheque(1).image], CHEQUE)
    assert draw_cheque(1).image.width == 640
    url = server.bodies[-1]["messages"][0]["content"][0]["image_url"]["url"]
    assert Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).tobytes() == draw_cheque(1).image.tobytes()
