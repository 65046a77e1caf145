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
    """Where Label Studio says that a file is. A signed address is a secret."""

    url: str


class Connection:
    """The sdk for what it can do, plain requests for what is paged or streamed; both raise StudioError."""

    def __init__(self, url: str, token: str, timeout: float, attempts: int) -> None:
        from label_studio_sdk import LabelStudio  # takes a second: only who talks to Label Studio waits for it

        self.url = url.rstrip("/")
        self._timeout = timeout
        self._attempts = attempts
        self._session = requests.Session()
        # The sdk knows legacy tokens from personal ones, and renews what the latter are exchanged for.
        about = {"base_url": self.url, "api_key": token, "timeout": timeout}
        self.sdk = self.call(lambda: LabelStudio(**about, max_retries=0, follow_redirects=False))
        # Where Label Studio lives below a path, the sdk sends a personal token to the root of the host: to a stranger.
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
        """The body of `path`, of at most `limit` bytes, or where it is: the token goes to Label Studio alone."""

        def send() -> bytes | Moved:
            # The timeout of requests is for each part: a server that trickles would keep us for ever.
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
        """Send a file, as a form does."""
        files = {"file": (name, content)}
        return self.call(lambda: self._send(path, auth=True, method="POST", files=files), safe=False)

    def _send(self, path: str, auth: bool, method: str = "GET", moves: bool = False, **more: Any) -> requests.Response:
        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # An auth and no header: requests replaces the header where a .netrc knows the host.
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
        """Send, again after a pause where that may help. safe: doing it twice does no harm."""

        def may_pass(error: BaseException) -> bool:
            if not safe:
                # Only what the server never got or refused unread: all else may have been done already.
                never_sent = isinstance(error, httpx.ConnectError | requests.ConnectTimeout)
                return never_sent or status_of(error) in (429, 503)
            if isinstance(error, NO_ANSWER):
                return not why(error, "")  # a certificate or a proxy's password does not mend by itself
            return status_of(error) in (429, 502, 503, 504)

        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(0.3, max=5),
            retry=retry_if_exception(may_pass),
            reraise=True,
        )
        try:
            return retrying(send)
        except Exception as error:
            explained = self._explained(error)
            if explained is None:
                raise
            raise explained from None

    def _explained(self, error: Exception) -> StudioError | None:
        if isinstance(error, NO_ANSWER):
            if reason := why(error, "CHEQUEMATE_STUDIO_URL"):
                return StudioError(f"Label Studio at {self.url} is not reached: {reason}")
            return StudioError(f"Label Studio does not answer at {self.url}: start it, or set CHEQUEMATE_STUDIO_URL")
        status = status_of(error)
        body = getattr(error, "body", None)  # the sdk's: text where it could not be parsed
        if isinstance(error, JSONDecodeError) or (status == 200 and isinstance(body, str)):
            return StudioError(self._no_api, 200)
        if status is None:
            return None

        if isinstance(error, requests.HTTPError):
            try:
                body = error.response.json()
            except ValueError:
                body = error.response.reason
        if isinstance(body, Mapping):
            body = " ".join(leaves(body.get("validation_errors") or body.get("detail") or body))
        # Some of the server's messages repeat what was sent, and that may be personal; others hold links.
        text = "a web page" if str(body).lstrip()[:9].lower() in ("<!doctype", "<html>") else str(body)
        detail = " ".join(re.sub(r"\{.*\}|<[^>]*>", "", text).split())[:300]

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


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error of requests or of the sdk; None where there was no answer."""
    if isinstance(error, requests.HTTPError):
        return error.response.status_code
    status = getattr(error, "status_code", None)  # the sdk's ApiError
    return status if isinstance(status, int) else None


def leaves(body: Any) -> list[str]:
    """All texts of an answer in JSON, however deep."""
    if isinstance(body, Mapping):
        return [leaf for part in body.values() for leaf in leaves(part)]
    if isinstance(body, list):
        return [leaf for part in body for leaf in leaves(part)]
    return [str(body)]
