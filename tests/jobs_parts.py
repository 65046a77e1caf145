"""The world around the worker's jobs, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cheques.images import BadImage
from store.database import Store
from store.draw import Draw
from store.versions import Version, Versions
from tests.backend_parts import noise, settings_in
from tests.worker_parts import FakeBackend, FakeStudio
from trainer.dataset import Example
from worker import jobs


@dataclass
class World:
    """Everything around the jobs, and what they did to it."""

    home: Path
    studio: FakeStudio = field(default_factory=FakeStudio)
    backend: FakeBackend = field(default_factory=FakeBackend)
    enqueued: list[str] = field(default_factory=list)
    trained: list[tuple[list[str], list[str]]] = field(default_factory=list)
    decision: str = "promoted"
    trouble: Exception | None = None

    @property
    def folder(self) -> Path:
        return self.home / "projects" / "7"

    def labelled(self, count: int) -> None:
        """A project with `count` labelled cheques."""
        self.studio.add_tasks(range(1, count + 1))
        for task in range(1, count + 1):
            self.studio.annotate(task)

    def exam(self) -> set[str]:
        return {place.task for place in Draw(Store(self.home), 7).places() if place.role == "exam"}

    def train(self, lessons: Sequence[Example], exam: Sequence[Example], *rest: Any) -> Version:
        self.trained.append(([one.id for one in lessons], [one.id for one in exam]))
        if self.trouble:
            raise self.trouble
        versions: Versions = rest[2]
        with versions.staging() as folder:
            (folder / "adapter").mkdir()
            (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
            made = Version("", "7", folder, labels=len(lessons), decision=self.decision, reasons=("why",))  # type: ignore[arg-type]
            return versions.add(folder, made)


def world_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The jobs talk to it instead of to Label Studio, Redis, the backend and the trainer."""
    world = World(tmp_path)
    own = settings_in(tmp_path, retrain_every=10)

    def fetched(url: str, settings: object, project: int) -> Image.Image:
        if url == "/image/3":
            raise BadImage("damaged image: scan it again")
        return noise(int(url.split("/")[-1]))

    def enqueue(name: str, project: int, **_: Any) -> bool:
        if f"{name}-{project}" in world.enqueued:
            return False
        world.enqueued.append(f"{name}-{project}")
        return True

    monkeypatch.setattr("worker.job_decorator.settings", lambda: own)
    monkeypatch.setattr(jobs, "settings", lambda: own)
    monkeypatch.setattr(jobs.Studio, "of", lambda settings: world.studio)
    monkeypatch.setattr(jobs, "fetch_image", fetched)
    monkeypatch.setattr(jobs, "BackendClient", lambda *_: world.backend)
    monkeypatch.setattr(jobs, "enqueue", enqueue)
    monkeypatch.setattr(jobs, "connect", lambda: FakeRedis())
    monkeypatch.setattr("trainer.retrain.retrain", world.train)
    return world


class FakeRedis:
    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *_, **__: 0
