"""Adapters on a server: one name for each version, loaded when it is first read with, the oldest unloaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

from PIL import Image as Images

from cheques.fields import CHEQUE
from reader.base_model import CONFIG, WEIGHTS, check_base
from reader.reading import Adapter, ReaderError
from reader.remote.chat import request
from reader.remote.server import Server

KEPT = 4  # on the server, of those loaded from here


class RemoteAdapters:
    """The adapters of one base on one server.

    model: the base's folder or hub name here. base: its name on the server. probe: a folder, seen by the server too,
    for a trial adapter.
    """

    def __init__(self, server: Server, model: str, base: str, probe: Path) -> None:
        self._server, self._model, self._base, self._probe = server, model, base, probe
        self._names: dict[str, str] = {}  # adapter -> its name on the server, the one used last at the end
        self._sees_vision = False  # as far as is known
        self._lock = threading.Lock()

    def load(self, adapter: Adapter) -> str:
        """The model name that reads with this adapter. Raises ReaderError."""
        with self._lock:
            name = self._names.pop(adapter.name, None) or self._load(adapter)
            self._names[adapter.name] = name
            while len(self._names) > KEPT:
                self._server.unload_adapter(self._names.pop(next(iter(self._names))))
            return name

    def forget(self) -> None:
        """The server no longer has what was loaded there."""
        with self._lock:
            self._names.clear()
            self._sees_vision = False

    def close(self) -> None:
        with self._lock:
            for name in self._names.values():
                try:
                    self._server.unload_adapter(name)
                except ReaderError:  # the server went first
                    break
            self._names.clear()

    def _load(self, adapter: Adapter) -> str:
        try:
            digest = hashlib.sha256((adapter.path / WEIGHTS).read_bytes()).hexdigest()[:8]
        except OSError:
            raise ReaderError(
                f"adapter {adapter.name}: no {WEIGHTS} in {adapter.path}: promote another version"
            ) from None
        check_base(adapter, self._model)
        # Loading in place serves stale weights, so a name is never used for other weights.
        name = f"{adapter.name.replace('/', '-')}-{digest}"
        self._server.load_adapter(name, str(adapter.path.resolve()))
        if not self._sees_vision:
            seen = self._check_vision(adapter)
            if seen is False:
                self._server.unload_adapter(name)
                raise ReaderError(
                    f"{self._server.url} ignores an adapter's vision layers: "
                    "start vLLM with --enable-tower-connector-lora"
                )
            self._sees_vision = seen is True
        return name

    def _check_vision(self, adapter: Adapter) -> bool | None:
        """Does an adapter of the vision layers alone change what the server sees? One that ignores it does not say so.

        None where the adapter has no such layers: the next one may.
        """
        if not write_vision_part(adapter.path, self._probe):
            return None
        # Named by its weights, as every adapter is: a name never stands for others.
        trial = f"probe-{hashlib.sha256((self._probe / WEIGHTS).read_bytes()).hexdigest()[:8]}"
        self._server.load_adapter(trial, str(self._probe.resolve()))
        try:
            return self._first_token(trial) != self._first_token(self._base)
        finally:
            self._server.unload_adapter(trial)

    def _first_token(self, model: str) -> list[float]:
        body = request(model, Images.linear_gradient("L").convert("RGB"), CHEQUE)
        choice = self._server.complete({**body, "max_tokens": 1, "top_logprobs": 5})
        with self._server.expected("log-probabilities"):
            told = choice["logprobs"]["content"][0]
            return [round(other["logprob"], 4) for other in told["top_logprobs"]]


def write_vision_part(adapter: Path, folder: Path) -> bool:
    """A copy of the adapter with its vision layers alone; False if it has none. Raises ReaderError."""
    # Read by hand, since numpy has no bfloat16 and torch stays out of here: a length, a JSON header, the bytes
    # (https://huggingface.co/docs/safetensors).
    try:
        file = (adapter / WEIGHTS).read_bytes()
        content = 8 + int.from_bytes(file[:8], "little")
        tensors = json.loads(file[8:content])
        tensors.pop("__metadata__", None)
        config = json.loads((adapter / CONFIG).read_text())
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReaderError(f"the adapter in {adapter} is damaged ({reason}): promote another version") from None
    vision = {key: value for key, value in tensors.items() if ".visual." in key}
    if not vision:
        return False

    header, parts, at = {}, [], 0
    for key, of in vision.items():
        start, end = of["data_offsets"]
        parts.append(file[content + start : content + end])
        header[key] = of | {"data_offsets": [at, at + end - start]}
        at += end - start
    spelt = json.dumps(header).encode()
    spelt += b" " * (-len(spelt) % 8)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(len(spelt).to_bytes(8, "little") + spelt + b"".join(parts))
    layers = sorted({key.rpartition(".lora_")[0].removeprefix("base_model.model.") for key in vision})
    (folder / CONFIG).write_text(json.dumps(config | {"target_modules": layers}))
    return True
