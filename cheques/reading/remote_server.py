"""An OpenAI-compatible server: which models it has, one completion, adapters in and out; every failure one line."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from cheques.reading.reader import ReaderError

SECONDS = (5.0, 300.0)  # to connect, to answer
CONNECTIONS = 64


class UnknownModel(ReaderError):
    """The server has no model or adapter of this name."""


class Server:
    """The server at `url`, with or without its /v1."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self.is_vllm = False  # known once it was asked for its models
        self._http = requests.Session()
        # Reading is the same however often it is asked for, so a server that is just starting is asked again.
        again = Retry(total=3, backoff_factor=0.3, status_forcelist=(502, 503, 504), allowed_methods=None)
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=again)
        self._http.mount("http://", adapter)
        self._http.mount("https://", adapter)
        if key:
            self._http.headers["Authorization"] = f"Bearer {key}"

    def base_model(self, wanted: str) -> str:
        """The name under which the server serves `wanted`: the same, else the only base that it has."""
        models = self._json(self._ask("GET", "/v1/models"))["data"]
        self.is_vllm = any(model.get("owned_by") == "vllm" for model in models)
        bases = [model["id"] for model in models if not model.get("parent")]
        if wanted in bases:
            return wanted
        if len(bases) == 1:
            return str(bases[0])
        raise ReaderError(
            f"{self.url} does not serve {wanted} (it has: {', '.join(bases) or 'none'}): set CHEQUEMATE_MODEL to one"
        )

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The first choice of a chat completion."""
        answer = self._ask("POST", "/v1/chat/completions", body)
        if answer.status_code == 404:
            raise UnknownModel(f"{self.url} does not know the model {body['model']}: load it there, or promote again")
        choice: dict[str, Any] = self._json(answer)["choices"][0]
        return choice

    def load_adapter(self, name: str, path: str) -> None:
        answer = self._ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
        if answer.status_code == 404 and "detail" in answer.text:
            raise ReaderError(
                f"{self.url} loads no adapters at run time: start vLLM with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            )
        if answer.status_code == 400 and "already" in answer.text:
            return
        if not answer.ok:
            raise ReaderError(
                f"{self.url} cannot load adapter {name} ({_reason(answer)}): it must see the folder {path}, "
                "and its --max-lora-rank must reach"
            )

    def unload_adapter(self, name: str) -> None:
        self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        try:
            answer = self._http.request(method, self.url + path, json=body, timeout=SECONDS)
        except requests.Timeout:
            raise ReaderError(
                f"the reader at {self.url} took more than {SECONDS[1]:.0f} s: is it overloaded?"
            ) from None
        except requests.RequestException:
            raise ReaderError(f"no reader at {self.url}: start it, or correct CHEQUEMATE_READER_URL") from None
        if answer.status_code in (401, 403):
            raise ReaderError(f"{self.url} refuses the key: set CHEQUEMATE_READER_KEY")
        return answer

    def _json(self, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            raise ReaderError(f"{self.url} answers {answer.status_code} ({_reason(answer)}): see its log")
        try:
            found: dict[str, Any] = answer.json()
        except requests.JSONDecodeError:
            raise ReaderError(f"{self.url} is no OpenAI-compatible server: correct CHEQUEMATE_READER_URL") from None
        return found


def _reason(answer: requests.Response) -> str:
    try:
        content = answer.json()
        error = content.get("error", content)
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (requests.JSONDecodeError, AttributeError):
        text = answer.text
    return " ".join(str(text).split())[:160]
