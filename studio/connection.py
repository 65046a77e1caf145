"""How Label Studio is reached: its token, its retries, and one line for each way in which it fails."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, TypeVar

import httpx
import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from cheques.network import why

T = TypeVar("T")

NO_ANSWER = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    httpx.TransportError,
)


class StudioError(Exception):
    """Label Studio is away, refuses the token, or lacks what was asked for: one line, what and what to do.

    status: the HTTP status; None where there was no answer at all.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Moved:
    """Where Label Studio says that a file is: an address that may be signed, and is a secret then."""

    url: str


class Connection:
    """The sdk for what it can do, plain requests for what is paged or streamed; both raise StudioError."""

    def __init__(self, url: str, token: str, timeout: float, attempts: int) -> None:
        from label_studio_sdk import LabelStudio

        self.url = url.rstrip("/")
        self._timeout = timeout
        self._attempts = attempts
        self._session = requests.Session()
        # The sdk knows legacy tokens from personal ones, and renews what the latter are exchanged for.
        about = {"base_url": self.url, "api_key": token, "timeout": timeout}
        self.sdk = self.call(lambda: LabelStudio(**about, max_retries=0, follow_redirects=False))
        # Below a path of its host the sdk would exchange a personal token at the host's root, so at somebody else's.
        self.sdk._client_wrapper._tokens_client._base_url = f"{self.url}/"

    def get(self, path: str, *, auth: bool = True, **params: Any) -> requests.Response:
        """An answer in JSON."""

        def send() -> requests.Response:
            answer = self._send(path, auth, stream=False, params=params)
            if "json" not in answer.headers.get("Content-Type", ""):
                raise StudioError(self._no_api, answer.status_code)
            return answer

        return self.call(send)

    def download(self, path: str, limit: int) -> bytes | Moved:
        """The body of `path`, of at most `limit` bytes, or where it is: the token is never handed on."""

        def send() -> bytes | Moved:
            deadline = time.monotonic() + 2 * self._timeout
            body = bytearray()
            with self._send(path, auth=True, stream=True, moves=True) as answer:
                if answer.is_redirect:
                    return Moved(answer.headers["location"])
                if answer.headers.get("Content-Type", "").startswith("text/html"):
                    raise StudioError(self._no_api, answer.status_code)
                for part in answer.iter_content(1 << 16):
                    body += part
                    if len(body) > limit:
                        raise StudioError(f"the file has more than {limit // 1_000_000} MB", 413)
                    if time.monotonic() > deadline:
                        raise StudioError(f"Label Studio at {self.url} is too slow: bring it nearer")
            return bytes(body)

        return self.call(send)

    def upload(self, path: str, name: str, content: bytes) -> requests.Response:
        """Send a file."""
        files = {"file": (name, content)}
        return self.call(lambda: self._send(path, auth=True, method="POST", files=files), safe=False)

    def _send(self, path: str, auth: bool, method: str = "GET", moves: bool = False, **more: Any) -> requests.Response:
        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As an auth and not as a header, which a .netrc would replace.
            if auth:
                request.headers["Authorization"] = self.sdk._client_wrapper.get_headers()["Authorization"]
            return request

        answer = self._session.request(
            method, self.url + path, auth=authorize, timeout=self._timeout, allow_redirects=False, **more
        )
        if answer.status_code >= 300 and not (moves and answer.is_redirect):
            raise requests.HTTPError(response=answer)
        return answer

    def call(self, send: Callable[[], T], safe: bool = True) -> T:
        """Send, again after a pause where that may help; `safe`: doing it twice does no harm."""
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(self._attempts),
                wait=wait_random_exponential(0.3, max=5),
                retry=retry_if_exception(_may_pass if safe else _never_arrived),
                reraise=True,
            ):
                with attempt:
                    return send()
        except Exception as error:
            explained = self._explained(error)
            if explained is None:
                raise
            raise explained from None
        raise AssertionError("unreachable")

    def _explained(self, error: Exception) -> StudioError | None:
        if isinstance(error, NO_ANSWER):
            if reason := why(error, "CHEQUEMATE_STUDIO_URL"):
                return StudioError(f"Label Studio at {self.url} is not reached: {reason}")
            return StudioError(f"Label Studio does not answer at {self.url}: start it, or set CHEQUEMATE_STUDIO_URL")
        status = _status(error)
        body = getattr(error, "body", None)  # the sdk's: text where it could not be parsed
        if isinstance(error, JSONDecodeError) or (status == 200 and isinstance(body, str)):
            return StudioError(self._no_api, 200)
        if status is None:
            return None
        detail = _detail(error)
        match status:
            case 401:
                line = f"Label Studio at {self.url} refuses the token ({detail}): set a valid CHEQUEMATE_STUDIO_TOKEN"
            case 403 if "not allowed" in detail:
                line = (
                    f"Label Studio at {self.url} refuses a local or private address: start it with "
                    "ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false, or use a public one"
                )
            case 403:
                line = f"Label Studio at {self.url} forbids this to the token's user ({detail})"
            case _ if 300 <= status < 400:
                line = f"Label Studio at {self.url} redirects: set CHEQUEMATE_STUDIO_URL to its final address"
            case _:
                line = f"Label Studio at {self.url} answers {status}: {detail}"
        return StudioError(line, status)

    @property
    def _no_api(self) -> str:
        return (
            f"a web page and not Label Studio's API answers at {self.url}: set CHEQUEMATE_STUDIO_URL to Label Studio "
            "itself, with its path if it has one, past any login page"
        )


def _status(error: BaseException) -> int | None:
    if isinstance(error, requests.HTTPError):
        return error.response.status_code
    status = getattr(error, "status_code", None)  # the sdk's ApiError
    return status if isinstance(status, int) else None


def _detail(error: Exception) -> str:
    """What the server says is wrong, on one line."""
    if isinstance(error, requests.HTTPError):
        try:
            body: Any = error.response.json()
        except ValueError:
            body = error.response.reason
    else:
        body = getattr(error, "body", "")
    if isinstance(body, Mapping):
        body = " ".join(_leaves(body.get("validation_errors") or body.get("detail") or body))
    # Some of the server's messages repeat what was sent, and that may be personal; others hold links.
    text = "a web page" if str(body).lstrip()[:9].lower() in ("<!doctype", "<html>") else str(body)
    text = re.sub(r"\{.*\}|<[^>]*>", "", text)
    return " ".join(text.split())[:300]


def _leaves(body: Any) -> list[str]:
    if isinstance(body, Mapping):
        return [leaf for part in body.values() for leaf in _leaves(part)]
    if isinstance(body, list):
        return [leaf for part in body for leaf in _leaves(part)]
    return [str(body)]


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, NO_ANSWER):
        return not why(error, "")
    return (_status(error) or 0) in (429, 502, 503, 504)


def _never_arrived(error: BaseException) -> bool:
    return isinstance(error, httpx.ConnectError | requests.ConnectTimeout) or _status(error) in (429, 503)
