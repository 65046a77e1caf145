"""Reading over HTTP: any OpenAI-compatible server that gives structured output and log-probabilities, vLLM first."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL.Image import Image

from cheques.fields import Form
from cheques.reading.answers import calibration_of, reading
from cheques.reading.confidence import FORCED, Calibration, Token
from cheques.reading.grammar import holds, longest_answer, pattern
from cheques.reading.paper import readable
from cheques.reading.prompt import messages
from cheques.reading.reader import Adapter, ReaderError, Reading
from cheques.reading.remote_adapters import RemoteAdapters
from cheques.reading.remote_server import Server, UnknownModel
from cheques.settings import Settings


class RemoteReader:
    """Reads through a server, as many images at once as `settings.batch`; adapters are loaded there by name.

    Raises ReaderError at once where the server does not answer, or has several bases and none by the name of
    `settings.model`; the only base that it has is taken under any name.
    """

    def __init__(self, settings: Settings) -> None:
        key = settings.reader_key.get_secret_value() if settings.reader_key else None
        self._server = Server(str(settings.reader_url), key)
        self._model = self._server.base_model(settings.model)
        self._named = settings.model
        self._adapters = RemoteAdapters(self._server, settings.model, self._model, settings.home / "probe")
        self._pool = ThreadPoolExecutor(settings.batch, thread_name_prefix="reader")

    def read(
        self, images: Sequence[Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        """One reading for each image, in their order. Raises ReaderError."""
        try:
            return self._read_all(images, form, adapter, constrained)
        except UnknownModel:
            if adapter is None:
                raise
            self._adapters.forget()  # the server was started again since
            return self._read_all(images, form, adapter, constrained)

    def _read_all(
        self, images: Sequence[Image], form: Form, adapter: Adapter | None, constrained: bool
    ) -> list[Reading]:
        model = self._adapters.load(adapter) if adapter else self._model
        calibration = calibration_of(self._named, adapter)
        asked = [self._pool.submit(self._read, model, image, form, calibration, constrained) for image in images]
        try:
            return [answer.result() for answer in asked]
        finally:
            for answer in asked:
                answer.cancel()

    def close(self) -> None:
        """Unload what was loaded, and hang up."""
        self._pool.shutdown(cancel_futures=True)
        self._adapters.close()
        self._server.close()

    def _read(self, model: str, image: Image, form: Form, calibration: Calibration, constrained: bool) -> Reading:
        body = request(model, image, form)
        if constrained:
            body |= held_to(form, self._server.is_vllm)
        choice = self._server.complete(body)
        with self._server.expected("message"):
            content, cut = choice["message"]["content"] or "", choice["finish_reason"] == "length"
        if constrained and not cut and not holds(form, content):
            raise ReaderError("the reader's server does not hold its answers to the form: use vLLM 0.12 or later")
        with self._server.expected("log-probabilities"):
            tokens = tokens_of(choice, content)
        return reading(form, tokens, calibration, cut=cut)


def request(model: str, image: Image, form: Form) -> dict[str, Any]:
    """The body of one chat completion: the prompt of training, the image as PNG."""
    return {
        "model": model,
        "messages": [{**turn, "content": [_part(part, image) for part in turn["content"]]} for turn in messages(form)],
        "temperature": 0,
        "max_tokens": longest_answer(form),
        "logprobs": True,
        "top_logprobs": 2,
    }


def held_to(form: Form, is_vllm: bool) -> dict[str, Any]:
    """What holds an answer to the form: its pattern where the server is vLLM, its JSON schema anywhere else."""
    if is_vllm:
        return {"structured_outputs": {"regex": pattern(form)}}
    schema = {"name": "reading", "schema": form.schema(), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _part(part: dict[str, Any], image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_uri(image)}} if part["type"] == "image" else part


def data_uri(image: Image) -> str:
    png = io.BytesIO()
    readable(image).save(png, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def tokens_of(choice: dict[str, Any], content: str) -> list[Token]:
    """The answer's tokens with the log-probabilities that the server gives after the grammar's mask.

    Servers spell the halves of a cut letter as replacement characters: the text itself says what they were.
    """
    told = (choice.get("logprobs") or {}).get("content")
    if told is None:
        raise ReaderError("the reader's server gives no log-probabilities: use vLLM, or allow logprobs there")
    text, at, tokens = content.encode(), 0, []
    for n, one in enumerate(told):
        spelt = _bytes(one)
        if not text.startswith(spelt, at) or "\ufffd" in one["token"]:
            following = next((_bytes(later) for later in told[n + 1 :] if "\ufffd" not in later["token"]), b"")
            end = text.find(following, at) if following else len(text)
            spelt = text[at : max(at, end)]
        at += len(spelt)
        tokens.append(Token(spelt, one["logprob"], _margin(one)))
    # The token that ends the turn is told by some servers; it is no part of the text.
    return [token for token, one in zip(tokens, told, strict=True) if not one["token"].startswith("<|")]


def _bytes(told: dict[str, Any]) -> bytes:
    return bytes(told["bytes"]) if told.get("bytes") else str(told["token"]).encode()


def _margin(told: dict[str, Any]) -> float:
    rivals = [other["logprob"] for other in told.get("top_logprobs", []) if other["token"] != told["token"]]
    return min(float(told["logprob"]) - max(rivals, default=-FORCED), FORCED)
