"""An OpenAI-compatible server: which models it has, one completion, adapters in and out; every failure one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from cheques.network import why
from reader.reading import ReaderError, Unreadable

SECONDS = (5.0, 300.0)  # to connect, to answer
CONNECTIONS = 64
TOO_LONG = re.compile(r"(?i)context|length|too long|longer than")  # in what servers say of a prompt that they refuse


class UnknownModel(ReaderError):
    """The server has no model or adapter of this name."""


class Again(Retry):
    """Retries, except after a read timeout: to wait once is long enough."""

    def increment(self, *about: Any, **more: Any) -> Self:
        if isinstance(error := more.get("error"), ReadTimeoutError):
            raise error
        return super().increment(*about, **more)


class Server:
    """The server at `url`, with or without its /v1."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.is_vllm = False  # known once it was asked for its models
        self._http = requests.Session()
        # Reading is the same however often it is asked for, so a server that is just starting is asked again.
        again = Again(total=3, backoff_factor=0.3, status_forcelist=(502, 503, 504), allowed_methods=None)
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=again)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)
        if key:
            self._http.headers["Authorization"] = f"Bearer {key}"

    def base_model(self, wanted: str) -> str:
        """The name under which the server serves `wanted`: the same, or the only base that it has."""
        listed = self._json(self._ask("GET", "/v1/models"))
        with self.expected("models"):
            models = listed["data"]
            self.is_vllm = any(model.get("owned_by") == "vllm" for model in models)
            bases = [str(model["id"]) for model in models if not model.get("parent")]
        if wanted in bases:
            return wanted
        if len(bases) == 1:
            return bases[0]
        raise ReaderError(
            f"{self.url} does not serve {wanted} (it has: {', '.join(bases) or 'none'}): set CHEQUEMATE_MODEL to one"
        )

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The first choice of a chat completion. Raises Unreadable where the image makes the prompt too long."""
        answer = self._ask("POST", "/v1/chat/completions", body)
        if answer.status_code == 404:
            raise UnknownModel(f"{self.url} does not know the model {body['model']}: load it there, or promote again")
        if answer.status_code == 400 and TOO_LONG.search(reason := reason_of(answer)):
            raise Unreadable(f"{self.url} refuses this cheque ({reason}): serve with a longer --max-model-len")
        found = self._json(answer)
        with self.expected("choices"):
            return dict(found["choices"][0])

    def load_adapter(self, name: str, path: str) -> None:
        answer = self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        # FastAPI's answer where vLLM was started without this route.
        if answer.status_code == 404 and "detail" in answer.text:
            raise ReaderError(
                f"{self.url} loads no adapters at run time: start vLLM with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            )
        # No name stands for two adapters, so this one is loaded already.
        if answer.status_code == 400 and "already" in answer.text:
            return
        if not answer.ok:
            raise ReaderError(
                f"{self.url} cannot load adapter {name} ({reason_of(answer)}): it must see the folder {path}, "
                "and its --max-lora-rank must reach"
            )

    def unload_adapter(self, name: str) -> None:
        self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def expected(self, what: str) -> Iterator[None]:
        """Raises ReaderError, one line, where an answer lacks what OpenAI's protocol has."""
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise ReaderError(
                f"{self.url} answers without the {what} of OpenAI's protocol: see its log, or correct "
                "CHEQUEMATE_READER_URL"
            ) from None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        try:
            answer = self._http.request(method, self.url + path, json=body, timeout=SECONDS)
        except requests.ReadTimeout:
            raise ReaderError(
                f"the reader at {self.url} took more than {SECONDS[1]:.0f} s: is it overloaded?"
            ) from None
        except requests.RequestException as error:
            if reason := why(error, "CHEQUEMATE_READER_URL"):
                raise ReaderError(f"the reader at {self.url} is not reached: {reason}") from None
            raise ReaderError(f"no reader at {self.url}: start it, or correct CHEQUEMATE_READER_URL") from None
        if answer.status_code in (401, 403):
            raise ReaderError(f"{self.url} refuses the key: set CHEQUEMATE_READER_KEY")
        return answer

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            raise ReaderError(f"{self.url} answers {answer.status_code} ({reason_of(answer)}): see its log")
        try:
            found = answer.json()
        except requests.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise ReaderError(f"{self.url} is no OpenAI-compatible server: correct CHEQUEMATE_READER_URL")
        if found.get("error"):  # some proxies say 200 all the same
            raise ReaderError(f"{self.url} answers an error ({reason_of(answer)}): see its log")
        return found


def reason_of(answer: requests.Response) -> str:
    """What the server says of a failure, on one short line."""
    try:
        content = answer.json()
        error = content.get("error", content)
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (requests.JSONDecodeError, AttributeError):
        text = answer.text
    return " ".join(str(text).split())[:160]
