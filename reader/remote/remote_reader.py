"""Reading over HTTP: any OpenAI-compatible server that gives structured output and log-probabilities, vLLM first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL.Image import Image

from cheques.fields import Form
from cheques.settings import Settings
from reader.confidence import Calibration
from reader.grammar import holds
from reader.parse_answer import calibration_of, reading
from reader.reading import Adapter, ReaderError, Reading
from reader.remote.adapters import RemoteAdapters
from reader.remote.chat import held_to, request, tokens_of
from reader.remote.server import Server, UnknownModel


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
        # After one failure the others are not worth asking for.
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
        # Some servers accept the grammar and ignore it.
        if constrained and not cut and not holds(form, content):
            raise ReaderError("the reader's server does not hold its answers to the form: use vLLM 0.12 or later")
        with self._server.expected("log-probabilities"):
            tokens = tokens_of(choice, content)
        return reading(form, tokens, calibration, cut=cut)
