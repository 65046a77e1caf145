"""The local stack: Redis, Label Studio, the backend and one worker on loopback, kept alive while this process lives."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from pydantic import HttpUrl, SecretStr

from chequemate import services
from chequemate.services import HOST
from chequemate.supervisor import StackError, Supervisor
from cheques.settings import Settings, keep_private

PORTS = {"redis": 6390, "label-studio": 8080, "backend": 9090}
ENVIRONMENT = "environment.json"  # in the stack's folder while it runs: what other verbs need to find it


@dataclass(frozen=True)
class Secrets:
    """Made up once for a home, kept in a file that only its owner reads."""

    studio_password: str
    studio_token: str
    backend_password: str
    redis_password: str

    @classmethod
    def kept_in(cls, path: Path) -> Secrets:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return cls(**json.loads(path.read_text()))
        made = cls(
            studio_password=secrets.token_urlsafe(12),
            studio_token=secrets.token_hex(20),
            backend_password=secrets.token_urlsafe(18),
            redis_password=secrets.token_urlsafe(18),
        )
        services.write_private(path, json.dumps(asdict(made), indent=1))
        return made


class Stack:
    """`with Stack(settings) as stack:` starts everything and waits until it is ready; leaving it ends everything.

    settings: those given, completed by the addresses, the token and the passwords of what runs here.
    parts: what to run of redis, label-studio, backend, worker; without label-studio, that of the settings is served,
    by a backend at the address that they say. usual_ports: wanted at the first start; 0: any.
    Raises StackError.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None] = print,
        parts: tuple[str, ...] = ("redis", "label-studio", "backend", "worker"),
        usual_ports: Mapping[str, int] = PORTS,
    ) -> None:
        keep_private(settings.home)
        self._folder = settings.home / "stack"
        self._folder.mkdir(parents=True, exist_ok=True)
        # One that the user named is neither started nor stopped here.
        self._redis_is_theirs = "redis" in parts and "redis_url" in settings.model_fields_set
        self._parts = tuple(part for part in parts if part != "redis" or not self._redis_is_theirs)
        self._running: set[str] = set()
        self.supervisor = Supervisor(self._folder, say)
        self.secrets = Secrets.kept_in(settings.home / "secrets.json")
        self.files = settings.files_root or settings.home / "files"
        self.files.mkdir(parents=True, exist_ok=True)

        # The ports of the last time where they are free, so that bookmarks and registrations hold; otherwise free ones.
        known = self._folder / "ports.json"
        try:
            last = json.loads(known.read_text())
        except (OSError, ValueError):
            last = {}
        self._ports: dict[str, int] = {}
        for part in PORTS:
            wanted = int(last.get(part, usual_ports[part]))
            self._ports[part] = free_port(wanted) if part in self._parts else wanted
        known.write_text(json.dumps(self._ports))

        updates: dict[str, object] = {
            "home": settings.home,
            "password": settings.password or SecretStr(self.secrets.backend_password),
        }
        if "label-studio" in self._parts:
            updates |= {
                "studio_url": HttpUrl(f"http://{HOST}:{self._ports['label-studio']}"),
                "studio_token": SecretStr(self.secrets.studio_token),
                "files_root": self.files.resolve(),
                "host": HOST,
            }
        if "label-studio" in self._parts or "backend_url" not in settings.model_fields_set:
            updates["backend_url"] = HttpUrl(f"http://{HOST}:{self._ports['backend']}")
        if "redis_url" not in settings.model_fields_set:
            updates["redis_url"] = f"redis://:{self.secrets.redis_password}@{HOST}:{self._ports['redis']}/0"
        self.settings = settings.model_copy(update=updates)

    @property
    def studio_url(self) -> str:
        return str(self.settings.studio_url).rstrip("/")

    @property
    def backend_url(self) -> str:
        return str(self.settings.backend_url).rstrip("/")

    @property
    def backend_listens(self) -> str:
        """Address and port that the backend is bound to; `backend_url` is what others call it by."""
        return f"{self.settings.host}:{self._ports['backend']}"

    @property
    def token(self) -> str:
        return self.secrets.studio_token

    def environment(self) -> dict[str, str]:
        """What a program needs in its environment to find this stack."""
        return {
            **os.environ,
            **self.variables(),
            # Idle threads that spin take the other processes' cores: on 2 cores all is several times slower.
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            "PYTHONUNBUFFERED": "1",
        }

    def variables(self) -> dict[str, str]:
        """The settings of this stack as the environment writes them."""
        written = dict[str, str]()
        for name in sorted(self.settings.model_fields_set):
            match getattr(self.settings, name):
                case None:
                    continue
                case SecretStr() as secret:
                    text = secret.get_secret_value()
                case tuple() as several:
                    text = ",".join(map(str, several))
                case dict() as table:
                    text = json.dumps(table)
                case value:
                    text = str(value)
            written[f"CHEQUEMATE_{name.upper()}"] = text
        return written

    def start(self, only: tuple[str, ...] = (), ready: Callable[[str], None] = lambda part: None) -> Stack:
        """Start what does not run yet (or of that `only` these), and wait; `ready` hears of each part that is up."""
        due = [part for part in self._parts if part not in self._running and (not only or part in only)]
        try:
            if self._redis_is_theirs and not services.redis_answers(self.settings.redis_url):
                raise StackError(
                    "Redis does not answer at REDIS_URL: start it, or unset REDIS_URL to have one started here"
                )
            for part in due:
                port, keys = self._ports.get(part, 0), self.secrets
                match part:
                    case "redis":
                        service = services.redis(self._folder / "redis", port, keys.redis_password)
                    case "label-studio":
                        place = self._folder / "label-studio"
                        service = services.label_studio(
                            place, port, self.files, keys.studio_password, keys.studio_token
                        )
                    case "backend":
                        service = services.backend(port, self.environment(), self.settings.host)
                    case _:
                        service = services.worker(self.environment(), self.settings.redis_url)
                self.supervisor.start(service)
                self._running.add(part)
                # The backend and the worker need it; Label Studio needs nobody, and takes longest.
                if part == "redis":
                    self.supervisor.wait(part)
            for part in due:
                self.supervisor.wait(part)
                ready(part)
            # Only now: what other verbs adopt is a stack that is ready.
            services.write_private(self._folder / ENVIRONMENT, json.dumps(self.variables()))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        (self._folder / ENVIRONMENT).unlink(missing_ok=True)
        self.supervisor.stop()

    def __enter__(self) -> Stack:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def adopt_running() -> None:
    """Let this process find the stack that runs under its home, if one does; what the user set stays as it is."""
    with contextlib.suppress(ValueError):  # whoever needs the settings reports what is wrong with them
        own = Settings()
        with contextlib.suppress(OSError, AttributeError):  # no such file, or something else in it
            for name, text in json.loads((own.home / "stack" / ENVIRONMENT).read_text()).items():
                if name.removeprefix("CHEQUEMATE_").lower() not in own.model_fields_set:
                    os.environ.setdefault(name, text)


def free_port(wanted: int = 0) -> int:
    """The port wanted if nothing listens on it, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            # Else a port that was let go a moment ago counts as taken for a minute (TIME_WAIT).
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise StackError("this machine has no free port on 127.0.0.1: close some programs")
