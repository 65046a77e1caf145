"""A task's image URL -> pixels: local files, uploads, http(s) from allowed hosts, data URIs; nothing else."""

from __future__ import annotations

import base64
import binascii
import re
import time
import unicodedata
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urljoin, urlsplit

import requests
from PIL.Image import Image

from cheques.images import BadImage, open_image
from cheques.settings import Settings
from studio.client import Studio
from studio.connection import StudioError

LARGEST = 60_000_000  # bytes
CONNECT, SECONDS = 5.0, 30.0  # to be connected; for the whole download
REDIRECTS = 3


class ImageAway(BadImage):
    """An image that is not to be had now, because its server is away: the same task may well be read later."""


def fetch_image(url: str, settings: Settings) -> Image:
    """The image of a task, upright and RGB. Raises BadImage with one line that says why not and what to do.

    Understood: `/data/local-files/?d=…` and `/data/upload/…` (as imported, or with Label Studio's address before
    them), data URIs, and http(s) from CHEQUEMATE_IMAGE_HOSTS.
    """
    return open_image(fetch_bytes(url, settings), settings.page)


def fetch_bytes(url: str, settings: Settings) -> bytes:
    """What the URL holds, of at most 60 MB. Raises BadImage."""
    if not isinstance(url, str) or not url.strip():
        raise BadImage("the task has no image: import it with an image URL")
    url = url.strip()
    if url.startswith("data:"):
        return _inline(url)
    if path := _path_in_studio(url, settings):
        return _from_studio(path, settings)
    return _from_web(url, settings)


def _inline(url: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or len(body) > 2 * LARGEST:
        raise BadImage("data URI without data, or with too much: import the image as a file")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(re.sub(r"\s", "", unquote(body)), validate=True)
    except (binascii.Error, ValueError):
        raise BadImage("data URI that is no base64: import the image again") from None


def _path_in_studio(url: str, settings: Settings) -> str:
    """The path and query of a URL that Label Studio itself serves, else nothing."""
    if url.startswith("/") and not url.startswith("//"):
        return url
    try:
        here, there = urlsplit(url), urlsplit(str(settings.studio_url))
        same = (here.scheme, here.hostname, _port(here)) == (there.scheme, there.hostname, _port(there))
    except ValueError:
        raise BadImage("not a URL: import the task with a correct one") from None
    if not same:
        return ""
    # Label Studio may live below a path of its host, which is in its address already.
    path = here.path.removeprefix(there.path.rstrip("/")) or "/"
    return f"{path}?{here.query}" if here.query else path


def _port(parts: object) -> int | None:
    port = getattr(parts, "port", None)
    return port or {"http": 80, "https": 443}.get(getattr(parts, "scheme", ""))


def _from_studio(path: str, settings: Settings) -> bytes:
    if path.startswith("/data/local-files/") and settings.files_root is not None:
        return _local(settings.files_root, _names_of(urlsplit(path).query))
    # The token goes with it: only to where Label Studio keeps files, never to another of its pages.
    if not re.match(r"/(data|tasks|api/storages|storage-data)/", path) or ".." in unquote(path):
        raise BadImage("not a file of Label Studio: expected /data/local-files/?d=… or /data/upload/…")
    if settings.studio_token is None:
        raise BadImage("no token to fetch the image from Label Studio: set CHEQUEMATE_STUDIO_TOKEN")
    try:
        client = _studio(str(settings.studio_url), settings.studio_token.get_secret_value())
        return client.get_file(path, LARGEST)
    except StudioError as error:
        # For an upload that is gone the server answers 500.
        if error.status == 413:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less") from None
        if error.status == 404 or (error.status == 500 and path.startswith("/data/upload/")):
            raise BadImage("Label Studio has no such file: import it again, or add a storage for its folder") from None
        raise ImageAway(f"image not fetched: {error}") from None


@lru_cache(maxsize=4)
def _studio(url: str, token: str) -> Studio:
    return Studio(url, token, timeout=SECONDS, attempts=2)


def _names_of(query: str) -> list[str]:
    """The file that a local-files URL names, as Label Studio reads it, then as people who wrote it by hand mean it.

    In a query `+` is a space and `&` begins another parameter; typed by hand they are letters of the name, and so is %.
    """
    _, _, typed = f"&{query}".partition("&d=")
    return list(dict.fromkeys([parse_qs(query).get("d", [""])[0], unquote(typed), typed]))


def _on_disk(root: Path, wanted: str) -> Path:
    """The path below `root`; a name with accents is found in either of its two spellings (NFC, or NFD as on a Mac)."""
    path = root
    for part in Path(wanted.lstrip("/")).parts:
        if part != ".." and path.is_dir() and not (path / part).exists():
            alike = unicodedata.normalize("NFC", part)
            names = (one.name for one in path.iterdir())
            part = next((name for name in names if unicodedata.normalize("NFC", name) == alike), part)
        path /= part
    return path.resolve()


def _local(root: Path, names: list[str]) -> bytes:
    try:
        paths = [_on_disk(root, name) for name in names]
        path = next((path for path in paths if path.is_file()), paths[0])
        if not path.is_relative_to(root.resolve()):
            raise BadImage("the path leaves CHEQUEMATE_FILES_ROOT: import the task with a path inside it")
        if not path.is_file():  # a pipe or a device would be read for ever
            raise BadImage("no such file under CHEQUEMATE_FILES_ROOT: put it there, or correct the task")
        if path.stat().st_size > LARGEST:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadImage):
            raise
        reason = getattr(error, "strerror", None) or "not a path"
        raise BadImage(f"file not read ({reason}): check the task's path and CHEQUEMATE_FILES_ROOT") from None


def _from_web(url: str, settings: Settings) -> bytes:
    """Download from an allowed host, following redirects only to allowed ones."""
    deadline = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        url, host = _checked(url, settings)
        try:
            with requests.get(url, stream=True, timeout=(CONNECT, SECONDS), allow_redirects=False) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["location"])
                    continue
                if not answer.ok:
                    raise (ImageAway if _is_passing(answer.status_code) else BadImage)(
                        f"{host} answers {answer.status_code}: check the image's URL"
                    )
                return _limited(answer, deadline)
        except (requests.RequestException, ValueError) as error:
            if isinstance(error, BadImage):
                raise
            raise ImageAway(f"{host} does not answer ({type(error).__name__}): try later") from None
    raise BadImage(f"more than {REDIRECTS} redirects: import the image's final URL")


def _is_passing(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _checked(url: str, settings: Settings) -> tuple[str, str]:
    """The URL as it will be sent, and its host, which must be allowed: two parsers may see two hosts in one text."""
    scheme = url.partition(":")[0].lower() if ":" in url else ""
    if scheme not in ("http", "https"):
        raise BadImage(f"scheme {scheme[:20] or 'none'!r} is not fetched: use http(s), a local file or an upload")
    try:
        sent = requests.Request("GET", url).prepare().url or ""
        parts = urlsplit(sent)
        host, port = (parts.hostname or "").lower(), _port(parts)
    except (requests.RequestException, ValueError):
        raise BadImage("not a URL: import the task with a correct one") from None
    allowed = {name.lower() for name in settings.image_hosts}
    if host not in allowed and f"{host}:{port}" not in allowed:
        raise BadImage(f"host {host[:80]} is not allowed: add it to CHEQUEMATE_IMAGE_HOSTS")
    return sent, host


def _limited(answer: requests.Response, deadline: float) -> bytes:
    parts, size = [], 0
    for part in answer.iter_content(1 << 16):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less")
        if time.monotonic() > deadline:
            raise ImageAway(f"not downloaded in {SECONDS:.0f} s: bring the images nearer")
    return b"".join(parts)
