"""What `chequemate doctor` looks at on this machine, in Redis, at the backend and at Label Studio as a whole."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from cheques.network import why
from cheques.settings import BadSettings, Settings, check_redis, has_password, remarks

if TYPE_CHECKING:
    from studio.client import Studio
    from studio.connection import StudioError

VERIFIED = "1.23.2"  # the release of Label Studio that everything was tried with
ALSO_TRIED = ("1.20.0", "1.13.1")  # connect, the served order, the blind arm (tests/test_releases.py)
DISK_BROKEN, DISK_DOUBTFUL = 1e9, 5e9  # bytes: a training writes checkpoints, versions and reports
CLOCK = 30.0  # seconds; tokens that live 300 are refused by a clock that is wrong by so much
SILENT = 500.0  # seconds; a worker that waits for a job sends a heartbeat every 405


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, doubtful (works, but not as one thinks) or broken, and the remedy in a line.

    each: where it is, a line for each place.
    """

    state: Literal["fine", "doubtful", "broken"]
    what: str
    remedy: str = ""
    each: Sequence[str] = ()


def machine(settings: Settings) -> Iterator[Finding]:
    """Can the home be written, has its disk room, and are Label Studio's files where the settings say?"""
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        writable = os.access(home, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        yield Finding("broken", f"home {home} cannot be written", "set CHEQUEMATE_HOME to a folder of your own")
        return
    free = shutil.disk_usage(home).free
    line = f"disk: {free / 1e9:.1f} GB free at {home}"
    if free < DISK_DOUBTFUL:
        remedy = "make room, or move CHEQUEMATE_HOME: a training that finds no room is given up"
        yield Finding("broken" if free < DISK_BROKEN else "doubtful", line, remedy)
    else:
        yield Finding("fine", line)
    if settings.files_root and not settings.files_root.is_dir():
        remedy = "set CHEQUEMATE_FILES_ROOT to Label Studio's document root, or unset it to fetch images over HTTP"
        yield Finding("broken", f"files_root {settings.files_root} is no folder", remedy)


def configuration(settings: Settings) -> Iterator[Finding]:
    """Settings that hold each for itself, but not together."""
    for remark in remarks(settings):
        what, _, remedy = remark.partition("; ")
        yield Finding("doubtful", what, remedy)


def redis_and_worker(settings: Settings) -> Iterator[Finding]:
    """Does Redis answer, keep what it holds, and has it a worker that is alive?"""
    import redis
    from rq import Worker

    try:
        check_redis(settings)
    except BadSettings as error:
        what, _, remedy = str(error).partition(": ")
        yield Finding("broken", what, remedy)
        return
    with redis.Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3) as connection:
        try:
            version = connection.info("server")["redis_version"]
        except redis.AuthenticationError:
            yield Finding(
                "broken", "Redis refuses the password", "put it into REDIS_URL: redis://:PASSWORD@HOST:6379/0"
            )
            return
        except redis.RedisError as error:
            remedy = "start it, or set REDIS_URL; labels are safe meanwhile, nothing is trained"
            yield Finding("broken", f"Redis does not answer ({type(error).__name__})", remedy)
            return
        yield Finding("fine", f"Redis {version}")
        # Who may use a socket file, its own rights say; it has no host.
        if not has_password(settings.redis_url) and urlsplit(settings.redis_url).hostname:
            remedy = "set requirepass and put it into REDIS_URL: until then any user of this machine may queue jobs"
            yield Finding("doubtful", "Redis has no password", remedy)
        if connection.info("persistence").get("aof_enabled") != 1:
            remedy = "set appendonly yes; until then a restart of Redis forgets jobs, which are found again in minutes"
            yield Finding("doubtful", "Redis keeps no append-only file", remedy)
        alive = sum(map(is_alive, Worker.all(connection=connection)))
    if alive:
        yield Finding("fine", f"{alive} worker{'s' * (alive > 1)} alive")
    else:
        yield Finding("broken", "no worker is alive: nothing is pre-labelled or trained", "start it: python -m worker")


def failed_jobs(settings: Settings) -> Iterator[Finding]:
    """Why the last jobs failed, out of memory among it: a worker that is alive says nothing of it."""
    import redis

    from store.projects import served
    from worker.queue import connect, failures

    with suppress(redis.RedisError), connect(settings.redis_url) as connection:
        for project in served(settings):
            for failure in failures(connection, project):
                what, _, remedy = failure.line.partition("; ")
                remedy = remedy or "see the worker's log; it is tried again"
                yield Finding("broken", f"project {project}: {what}", remedy)


def is_alive(worker: Any) -> bool:
    """By its process if that is on this machine, else by its heartbeat: Redis lists a killed one for minutes."""
    if worker.hostname == socket.gethostname() and worker.pid:
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is there, and another user's
            pass
        return True
    beat = worker.last_heartbeat
    if beat is None:
        return False
    silent = datetime.now(UTC) - (beat if beat.tzinfo else beat.replace(tzinfo=UTC))
    return bool(silent.total_seconds() < SILENT)


def backend(settings: Settings) -> Iterator[Finding]:
    """Is it up, and does it ask for the password? A `fine` means that it can be worked with."""
    import requests

    url = str(settings.backend_url).rstrip("/")
    # Asked twice: with user and password, and as a stranger, who must be refused.
    pair = (settings.user, settings.password.get_secret_value()) if settings.password else None
    try:
        health = requests.get(f"{url}/health", auth=pair, timeout=5).json()
        unauthorised = requests.get(f"{url}/versions", timeout=5).status_code
        authorised = requests.get(f"{url}/versions", auth=pair, timeout=5).status_code if pair else unauthorised
    except (requests.RequestException, ValueError) as error:
        if reason := why(error, "CHEQUEMATE_BACKEND_URL"):
            what, _, remedy = reason.partition(": ")
            yield Finding("broken", f"the backend at {url} is not reached: {what}", remedy)
            return
        remedy = "start it, or set CHEQUEMATE_BACKEND_URL to where it is"
        yield Finding("broken", f"the backend does not answer at {url} ({type(error).__name__})", remedy)
        return
    if pair is None:
        if unauthorised == 403:
            remedy = "set CHEQUEMATE_PASSWORD there and here, or call it at 127.0.0.1 without a proxy"
            yield Finding("broken", f"the backend at {url} has no password, and refuses all but this machine", remedy)
            return
        if unauthorised == 401:
            remedy = "set CHEQUEMATE_USER and CHEQUEMATE_PASSWORD here as there"
            yield Finding("broken", f"the backend at {url} asks for a password, and none is set here", remedy)
            return
        yield Finding(
            "doubtful", "the backend has no password: only this machine may call it", "set CHEQUEMATE_PASSWORD"
        )
    else:
        if authorised == 401:
            remedy = "set the same CHEQUEMATE_USER and CHEQUEMATE_PASSWORD there and here, and restart it"
            yield Finding("broken", f"the backend at {url} refuses user and password", remedy)
            return
        if unauthorised != 401:
            remedy = "restart it with CHEQUEMATE_PASSWORD in its environment"
            yield Finding("broken", f"the backend at {url} answers without a password", remedy)
    if kills := health.get("memory_kills"):
        remedy = "raise BACKEND_MEMORY in .env, or lower CHEQUEMATE_BATCH"
        yield Finding("broken", f"the backend ran out of memory {kills} times since its container started", remedy)
    if problem := health.get("problem"):
        yield Finding("broken", f"the backend's reader: {problem}", "set CHEQUEMATE_MODEL or CHEQUEMATE_READER_URL")
    yield Finding("fine", f"backend at {url}, reader {health.get('reader', 'unknown')}")


def studio(studio: Studio, settings: Settings) -> Iterator[Finding]:
    """Raises StudioError where Label Studio is away or refuses the token."""
    who, release = studio.whoami(), studio.server_version()
    line = f"Label Studio {release} at {studio.url}, as {who.get('email', 'unknown')}"
    if settings.studio_page != studio.url:
        line += f"; people open it at {settings.studio_page}"
    if release == VERIFIED:
        yield Finding("fine", line)
    elif release in ALSO_TRIED:
        yield Finding(
            "fine", f"{line}; everything was tried with {VERIFIED}, with {release} pre-labels and their order"
        )
    else:
        tried = f"tried were {VERIFIED} and {', '.join(ALSO_TRIED)}"
        yield Finding("doubtful", line, f"{tried}; run a few cheques through with this one first")
    token = settings.studio_token.get_secret_value() if settings.studio_token else ""
    personal = token.count(".") == 2  # a JWT; a legacy token is plain hex
    if not personal and not studio.token_settings().get("legacy_api_tokens_enabled", True):
        remedy = "create a personal access token (Account & Settings) and set CHEQUEMATE_STUDIO_TOKEN to it"
        yield Finding("broken", "the token is a legacy one, and Label Studio has these switched off", remedy)
    else:
        yield Finding("fine", f"token: {'personal access token' if personal else 'legacy token'}")
    ahead = studio.clock_ahead()
    if abs(ahead) > CLOCK:
        remedy = "set both clocks (NTP): tokens are refused and new labels overlooked otherwise"
        yield Finding("broken", f"Label Studio's clock is {ahead:+.0f} s off this machine's", remedy)


def of_studio_error(error: StudioError) -> Finding:
    """Label Studio away or unwilling: its one line holds the remedy already."""
    what, _, remedy = str(error).rpartition(": ")
    return Finding("broken", what or str(error), remedy if what else "")
