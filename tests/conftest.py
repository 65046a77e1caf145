"""The real parts, each started once a session and only for the tests that ask for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import redis

from chequemate.services import EMAIL
from chequemate.stack import PORTS, Stack
from cheques.settings import Settings
from store.database import Store
from store.projects import leave, served
from studio.client import Studio
from tests.jobs_parts import World, world_in
from tests.redis_parts import RedisServer
from tests.store_parts import postgresql, store  # noqa: F401 (fixtures)

# A busy machine is slow; and what fails is what was changed: the examples are the same each time. Others, and more of
# them, with --hypothesis-profile=explore.
hypothesis.settings.register_profile("any machine", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("any machine")

ANY_PORTS = dict.fromkeys(PORTS, 0)  # Label Studio binds its port late, and other tests may run beside these


if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: each process has a core to itself


@dataclass(frozen=True)
class LabelStudio:
    """A running Label Studio. files: its local-files document root."""

    url: str
    token: str
    email: str
    password: str
    files: Path

    @property
    def client(self) -> Studio:
        return Studio(self.url, self.token)

    def settings(self, home: Path, **more: object) -> Settings:
        """Settings of somebody who works with it from this machine."""
        about = {"home": home, "studio_url": self.url, "studio_token": self.token, "files_root": self.files}
        return Settings(_env_file=None, **(about | more))  # type: ignore[call-arg, arg-type]


@pytest.fixture(scope="session", autouse=True)
def _nothing_from_the_environment() -> Iterator[None]:
    """No test talks to what the environment names: it may be somebody's real Label Studio or Redis."""
    ours = ("HOME", "STUDIO_URL", "STUDIO_TOKEN", "REDIS_URL", "BACKEND_URL", "PASSWORD", "PROJECTS", "FILES_ROOT")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REDIS_URL", "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", *(f"CHEQUEMATE_{name}" for name in ours)):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis of the tests' own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def connection(redis_server: RedisServer) -> redis.Redis:
    """A client of it; nothing of earlier tests is left there."""
    client = redis_server.client()
    client.flushall()
    return client


@pytest.fixture(scope="session")
def _parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(_env_file=None, home=home, retrain_every=6, reconcile_seconds=15.0)  # type: ignore[call-arg]
    stack = Stack(settings, usual_ports=ANY_PORTS)
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def label_studio(_parts: Stack) -> LabelStudio:
    """A real Label Studio with a new database: a minute or two to start, once a session."""
    _parts.start(only=("label-studio",))
    return LabelStudio(_parts.studio_url, _parts.token, EMAIL, _parts.secrets.studio_password, _parts.files)


@pytest.fixture(scope="module")
def stack(_parts: Stack) -> Iterator[Stack]:
    """Everything: Redis, Label Studio, the backend with the small model, one worker; retrains every 6 lessons."""
    yield _parts.start()
    for project in served(_parts.settings):  # each one that is served costs the worker a look every 15 s
        leave(Store.of(_parts.settings), project)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Everything around the worker's jobs, in memory."""
    return world_in(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one core: tests run beside each other, and batches this small are no quicker on two."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
