"""The reader over HTTP, against a server that speaks vLLM's protocol but has no model."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from cheques.reading.grammar import pattern
from cheques.reading.prompt import answer, question
from cheques.reading.reader import Adapter, ReaderError, open_reader
from cheques.reading.remote import RemoteReader, tokens_of
from cheques.settings import Settings

VISION = "base_model.model.model.visual.blocks.0.attn.qkv.lora_A.weight"
TEXT = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


class FakeVllm(ThreadingHTTPServer):
    """Answers with the image's width as the place, byte by byte; remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Protocol)
        self.loaded: dict[str, str] = {}
        self.bodies: list[dict[str, Any]] = []
        self.is_vllm = True
        self.knows_vision = True
        self.knows_lora = True
        self.obeys = True
        self.tells_logprobs = True
        self.key = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Protocol(BaseHTTPRequestHandler):
    server: FakeVllm

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        owner = "vllm" if self.server.is_vllm else "somebody"
        models = [{"id": "qwen", "parent": None}, *({"id": name, "parent": "qwen"} for name in self.server.loaded)]
        self.reply(200, {"data": [model | {"owned_by": owner} for model in models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            return self.reply(401, {"error": "Unauthorized"})
        act = {"load_lora_adapter": self.load, "unload_lora_adapter": self.unload, "completions": self.complete}
        act[self.path.rpartition("/")[2]](body)
        return None

    def load(self, body: dict[str, Any]) -> None:
        if not self.server.knows_lora:
            return self.reply(404, {"detail": "Not Found"})
        assert "load_inplace" not in body
        if body["lora_name"] in self.server.loaded:
            return self.reply(400, {"error": {"message": "The lora adapter has already been loaded."}})
        if not Path(body["lora_path"]).is_dir():
            return self.reply(404, {"error": {"message": f"No adapter found for {body['lora_path']}"}})
        self.server.loaded[body["lora_name"]] = body["lora_path"]
        return self.reply(200, {})

    def unload(self, body: dict[str, Any]) -> None:
        self.server.loaded.pop(body["lora_name"], None)
        self.reply(200, {})

    def complete(self, body: dict[str, Any]) -> None:
        self.server.bodies.append(body)
        if body["model"] not in ("qwen", *self.server.loaded):
            return self.reply(404, {"error": {"message": "The model does not exist."}})
        content = self.content(body)
        choice: dict[str, Any] = {"message": {"content": content}, "finish_reason": "stop"}
        if self.server.tells_logprobs:
            choice["logprobs"] = {"content": [self.told(body["model"], byte) for byte in content.encode()]}
        return self.reply(200, {"choices": [choice]})

    def content(self, body: dict[str, Any]) -> str:
        url = body["messages"][0]["content"][0]["image_url"]["url"]
        image = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
        obeyed = self.server.obeys and ("structured_outputs" if self.server.is_vllm else "response_format") in body
        return answer(CHEQUE, {"lieu": f"é {image.width}"}) if obeyed else "Voici le chèque."

    def told(self, model: str, byte: int) -> dict[str, Any]:
        seen = self.server.knows_vision and model.startswith("probe-")
        spelt = bytes([byte]).decode(errors="replace")
        rivals = [{"token": spelt, "logprob": -0.1}, {"token": "§", "logprob": -2.6 if seen else -2.1}]
        return {"token": spelt, "bytes": [*spelt.encode()], "logprob": -0.1, "top_logprobs": rivals}

    def reply(self, status: int, content: dict[str, Any]) -> None:
        spelt = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(spelt)))
        self.end_headers()
        self.wfile.write(spelt)


@pytest.fixture
def server() -> Iterator[FakeVllm]:
    server = FakeVllm()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(server: FakeVllm, tmp_path: Path) -> Settings:
    return Settings(reader_url=server.url, reader_key="secret", model="qwen", home=tmp_path, batch=4, _env_file=None)


def adapter(folder: Path, name: str, value: float = 1.0, layers: tuple[str, ...] = (VISION, TEXT)) -> Adapter:
    path = folder / name
    path.mkdir(parents=True)
    save_file({key: np.full((2, 3), value, np.float32) for key in layers}, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({"r": 2, "target_modules": ["q_proj", "qkv"]}))
    return Adapter(f"7/{name}", path)


def test_images_are_read_in_parallel_and_come_back_in_order(settings: Settings, server: FakeVllm) -> None:
    reader = open_reader(settings)
    assert isinstance(reader, RemoteReader)
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


def test_a_missing_or_cut_adapter_is_one_line(settings: Settings, tmp_path: Path) -> None:
    reader = RemoteReader(settings)
    with pytest.raises(ReaderError, match="promote another version"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, Adapter("7/v1", tmp_path / "nowhere"))
    cut = adapter(tmp_path, "v2")
    (cut.path / "adapter_model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ReaderError, match="damaged"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, cut)


def test_an_adapter_of_another_base_is_not_loaded(settings: Settings, server: FakeVllm, tmp_path: Path) -> None:
    reader = RemoteReader(settings.model_copy(update={"model": "Qwen/Qwen2.5-VL-7B-Instruct"}))
    other = adapter(tmp_path, "v1")
    (other.path / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Instruct"}')
    with pytest.raises(ReaderError, match=r"7/v1 was trained on another base \(Qwen/Qwen3-VL-8B-Instruct\)"):
        reader.read([Image.new("RGB", (9, 9))], CHEQUE, other)
    assert not server.loaded


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
