"""A server that speaks vLLM's protocol but has no model, and adapters for it."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.prompt import answer
from reader.reading import Adapter

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
        self.says: tuple[int, Any] | None = None  # in place of every completion
        self.seconds = 0.0

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
        time.sleep(self.server.seconds)
        if self.server.says:
            return self.reply(*self.server.says)
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

    def reply(self, status: int, content: Any) -> None:
        spelt = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(spelt)))
        self.end_headers()
        self.wfile.write(spelt)


@contextmanager
def serving() -> Iterator[FakeVllm]:
    server = FakeVllm()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def settings_for(server: FakeVllm, home: Path) -> Settings:
    return Settings(reader_url=server.url, reader_key="secret", model="qwen", home=home, batch=4, _env_file=None)


def adapter(folder: Path, name: str, value: float = 1.0, layers: tuple[str, ...] = (VISION, TEXT)) -> Adapter:
    path = folder / name
    path.mkdir(parents=True)
    save_file({key: np.full((2, 3), value, np.float32) for key in layers}, path / "adapter_model.safetensors")
    (path / "adapter_config.json").write_text(json.dumps({"r": 2, "target_modules": ["q_proj", "qkv"]}))
    return Adapter(f"7/{name}", path)
