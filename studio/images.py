"""A task's image URL -> pixels: local files, uploads, http(s) from allowed hosts, data URIs; nothing else."""

from __future__ import annotations

import base64
import binascii
import re
import time
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_to_bytes, urljoin, urlsplit

import requests
from PIL.Image import Image
from urllib3.exceptions import HTTPError

from cheques.images import BadImage, open_image
from cheques.network import PROXY_ASKS, why
from cheques.settings import Settings
from studio.client import Studio
from studio.connection import StudioError
from studio.storages import is_stored, path_of, port_of, serves, uri_at

LARGEST = 60_000_000  # bytes
CONNECT, SECONDS = 5.0, 30.0  # to be connected; for the whole download
REDIRECTS = 3
STORAGES_SECONDS = 60.0  # for which the project's storages are remembered
OF_STUDIO = re.compile(r"/data/(local-files|upload)/")  # in the path of a file that Label Studio serves


class ImageAway(BadImage):
    """An image that cannot be fetched now, as its server is away: the same task may well be read later."""


def fetch_image(url: str, settings: Settings, project: int) -> Image:
    """The image of a task of the project, upright and RGB. Raises BadImage: one line, why not and what to do.

    Understood: `/data/local-files/?d=…` and `/data/upload/…` (as imported, or with Label Studio's address before
    them), files in the project's cloud storages (`s3://…`, `gs://…`, `azure-blob://…`), data URIs, and http(s) from
    CHEQUEMATE_IMAGE_HOSTS.
    """
    return open_image(fetch_bytes(url, settings, project), settings.page)


def fetch_bytes(url: str, settings: Settings, project: int) -> bytes:
    """What the URL holds, of at most 60 MB. Raises BadImage."""
    if not isinstance(url, str) or not url.strip():
        raise BadImage("the task has no image: import it with an image URL")
    url = url.strip()
    if url.startswith("data:"):
        head, comma, body = url.partition(",")
        if not comma or len(body) > 2 * LARGEST:
            raise BadImage("data URI without data, or with too much: import the image as a file")
        if not head.endswith(";base64"):
            return unquote_to_bytes(body)
        try:
            return base64.b64decode(re.sub(r"\s", "", unquote(body)), validate=True)
        except (binascii.Error, ValueError):
            raise BadImage("data URI that is no base64: import the image again") from None
    if is_stored(url):
        return from_studio(path_of(url, project), settings, project)
    if path := path_in_studio(url, settings):
        return from_studio(path, settings, project)
    return from_web(url, settings)


def name_of(url: str, settings: Settings) -> str:
    """One name for a task's image: Label Studio has two for what is in a cloud storage."""
    try:
        return uri_at(path_in_studio(url, settings)) or url
    except BadImage:
        return url


def path_in_studio(url: str, settings: Settings) -> str:
    """The path and query below `studio_url` of a URL that Label Studio itself serves, else nothing.

    In its tasks Label Studio's own address is the public one (LABEL_STUDIO_HOST).
    """
    addresses = [urlsplit(str(one)) for one in (settings.studio_url, settings.studio_public_url) if one]
    try:
        here = urlsplit(url)
        named = (here.scheme, here.hostname, port_of(here))
        ours = {(one.scheme, one.hostname, port_of(one)) for one in addresses}
        if (here.scheme or here.netloc) and named not in ours:
            return ""
    except ValueError:
        raise BadImage("not a URL: import the task with a correct one") from None
    path = here.path or "/"
    if not path.startswith("/"):
        return ""
    # It may live below a path of its host, which its relative URLs begin with too.
    below = {one.path.rstrip("/") for one in addresses}
    prefix = max((one for one in below if path.startswith(f"{one}/")), key=len, default="")
    return path.removeprefix(prefix) + (f"?{here.query}" if here.query else "")


def from_studio(path: str, settings: Settings, project: int) -> bytes:
    """What Label Studio serves at a path, itself or by a redirect to a storage; local files from the disk, if set."""
    if path.startswith("/data/local-files/") and settings.files_root is not None:
        return local_file(settings.files_root, urlsplit(path).query)
    # The token is sent along: only to where Label Studio keeps files, never to its other pages.
    if not re.match(r"/(data|tasks|projects/\d+/presign|api/storages|storage-data)/", path) or ".." in unquote(path):
        raise BadImage("not a file of Label Studio: expected /data/local-files/?d=… or /data/upload/…")
    if settings.studio_token is None:
        raise BadImage("no token to fetch the image from Label Studio: set CHEQUEMATE_STUDIO_TOKEN")
    where = "/".join(uri_at(path).split("/")[:3])  # s3://bucket
    url, token = str(settings.studio_url).rstrip("/"), settings.studio_token.get_secret_value()

    def may_lie_at(host: str, port: int | None) -> bool:
        return serves(_storages(url, token, project, int(time.monotonic() // STORAGES_SECONDS)), host, port)

    try:
        found = _studio(url, token).get_file(path, LARGEST)
        if isinstance(found, bytes):
            return found
        target = urljoin(url + path, found.url)
        host, port = urlsplit(target).hostname or "", port_of(urlsplit(target))
        if host == urlsplit(url).hostname and not may_lie_at(host, port):
            raise BadImage(f"Label Studio at {url} redirects: set CHEQUEMATE_STUDIO_URL to its final address")
        return from_web(target, settings, may_lie_at)
    except StudioError as error:
        if error.status == 413:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less") from None
        if error.status == 404 and where:
            raise BadImage(
                f"Label Studio has no source storage for {where} in project {project}: add one in Settings > Cloud "
                "Storage, with this bucket"
            ) from None
        if error.status == 424 and where:
            raise ImageAway(
                f"Label Studio gets no file from {where}: check bucket, file and credentials in Label Studio, "
                "Settings > Cloud Storage"
            ) from None
        # For an upload that is gone the server answers 500.
        if error.status == 404 or (error.status == 500 and path.startswith("/data/upload/")):
            raise BadImage("Label Studio has no such file: import it again, or add a storage for its folder") from None
        raise ImageAway(f"image not fetched: {error}") from None


@lru_cache(maxsize=64)
def _storages(url: str, token: str, project: int, turn: int) -> list[dict[str, Any]]:
    """turn: a number that changes when they are asked for again."""
    return _studio(url, token).storages(project)


@lru_cache(maxsize=4)
def _studio(url: str, token: str) -> Studio:
    return Studio(url, token, timeout=SECONDS, attempts=2)


def path_below(root: Path, wanted: str) -> Path:
    """The path below `root`; a name with accents is found in either of its two spellings (NFC, or NFD as on a Mac)."""
    path = root
    for part in Path(wanted.lstrip("/")).parts:
        if part != ".." and path.is_dir() and not (path / part).exists():
            alike = unicodedata.normalize("NFC", part)
            names = (one.name for one in path.iterdir())
            part = next((name for name in names if unicodedata.normalize("NFC", name) == alike), part)
        path /= part
    return path.resolve()


def local_file(root: Path, query: str) -> bytes:
    """The file below `root` that the query of a local-files URL names."""
    # As Label Studio reads the query, then as people mean it who write the URL by hand: to Label Studio `+` is a space
    # and `&` begins another parameter; to people they are letters of the name, and so is `%`.
    _, _, typed = f"&{query}".partition("&d=")
    names = dict.fromkeys([parse_qs(query).get("d", [""])[0], unquote(typed), typed])
    try:
        paths = [path_below(root, name) for name in names]
        path = next((path for path in paths if path.is_file()), paths[0])
        if not path.is_relative_to(root.resolve()):
            raise BadImage("the path leaves CHEQUEMATE_FILES_ROOT: import the task with a path inside it")
        if not path.is_file():  # a pipe or a device never ends
            raise BadImage("no such file under CHEQUEMATE_FILES_ROOT: put it there, or correct the task")
        if path.stat().st_size > LARGEST:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadImage):
            raise
        reason = getattr(error, "strerror", None) or "not a path"
        raise BadImage(f"file not read ({reason}): check the task's path and CHEQUEMATE_FILES_ROOT") from None


def from_web(url: str, settings: Settings, may_lie_at: Callable[[str, int | None], bool] | None = None) -> bytes:
    """Download from an allowed host, following redirects only to allowed ones.

    may_lie_at: may files of the project's storages be at this host and port? Given where the URL is signed, and so a
    secret: errors name its host alone.
    """
    deadline = time.monotonic() + SECONDS
    for _ in range(REDIRECTS + 1):
        url, host = allowed_address(url, settings, may_lie_at)
        try:
            # An auth that adds nothing: else requests takes one from a .netrc, and storages refuse what is both
            # signed and authorized.
            with requests.get(
                url, stream=True, timeout=(CONNECT, SECONDS), allow_redirects=False, auth=lambda request: request
            ) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["location"])
                    continue
                if answer.status_code == 407:
                    raise ImageAway(f"{host} is not reached: {PROXY_ASKS}")
                if not answer.ok and may_lie_at:
                    said = re.search(rb"<Code>(\w{1,60})</Code>", answer.raw.read(4096, decode_content=True))
                    code = said[1].decode() if said else "no reason given"
                    raise ImageAway(
                        f"the storage at {host} answers {answer.status_code} ({code}): check bucket, file and "
                        "credentials in Label Studio, Settings > Cloud Storage"
                    )
                if not answer.ok:
                    may_pass = answer.status_code in (408, 429) or answer.status_code >= 500
                    raise (ImageAway if may_pass else BadImage)(
                        f"{host} answers {answer.status_code}: check the image's URL"
                    )
                return body_of(answer, deadline)
        except (requests.RequestException, HTTPError, ValueError) as error:
            if isinstance(error, BadImage):
                raise
            if reason := why(error, "the image's address"):
                raise ImageAway(f"{host} is not reached: {reason}") from None
            raise ImageAway(f"{host} does not answer ({type(error).__name__}): try later") from None
    raise BadImage(f"more than {REDIRECTS} redirects: import the image's final URL")


def allowed_address(
    url: str, settings: Settings, may_lie_at: Callable[[str, int | None], bool] | None
) -> tuple[str, str]:
    """The URL as it is sent, and its host, which must be allowed. Raises BadImage."""
    scheme = url.partition(":")[0].lower() if ":" in url else ""
    if scheme not in ("http", "https"):
        raise BadImage(f"scheme {scheme[:20] or 'none'!r} is not fetched: use http(s), a local file or an upload")
    try:
        # Two parsers may see two hosts in one text: what is checked is what requests makes of it.
        sent = requests.Request("GET", url).prepare().url or ""
        parts = urlsplit(sent)
        host, port = (parts.hostname or "").lower(), port_of(parts)
    except (requests.RequestException, ValueError):
        raise BadImage("not a URL: import the task with a correct one") from None
    allowed = {name.lower() for name in settings.image_hosts}
    if host in allowed or f"{host}:{port}" in allowed or (may_lie_at and may_lie_at(host, port)):
        return sent, host
    line = f"host {host[:80]} is not allowed: add it to CHEQUEMATE_IMAGE_HOSTS"
    if may_lie_at:
        line += ", if it shall serve images: none of the project's source storages is there"
    elif OF_STUDIO.search(parts.path):
        line += ", or, if it is Label Studio as people open it, set CHEQUEMATE_STUDIO_PUBLIC_URL to its address"
    raise BadImage(line)


def body_of(answer: requests.Response, deadline: float) -> bytes:
    """The body, of at most LARGEST bytes, by `deadline` on the monotonic clock. Raises BadImage."""
    parts, size = [], 0
    for part in answer.iter_content(1 << 16):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise BadImage(f"more than {LARGEST // 1_000_000} MB: scan at 300 dpi or less")
        if time.monotonic() > deadline:
            raise ImageAway(f"not downloaded in {SECONDS:.0f} s: bring the images nearer")
    return b"".join(parts)
