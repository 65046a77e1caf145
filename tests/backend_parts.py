"""Stand-ins for the backend's tests: a reader that needs no model, images that need no server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from PIL import Image

from backend.app import create_app
from cheques.fields import CHEQUE, Form
from cheques.images import BadImage
from cheques.settings import Settings
from reader.reading import Adapter, Reader, ReaderError, Reading
from store.database import Store
from store.draw import Draw
from studio.config import DEFAULT_CONFIG

CONFIG = DEFAULT_CONFIG.read_text(encoding="utf-8")
PAYEE = "Zoé Personne"  # must never appear in a log


class FakeReader:
    """Reads every cheque alike; remembers what it was asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[tuple[int, str | None]] = []
        self.threads: set[int] = set()
        self.closed = False

    def read(
        self, images: Sequence[Image.Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        self.batches.append((len(images), adapter.name if adapter else None))
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        return [self.one(image, form) for image in images]

    def one(self, image: Image.Image, form: Form) -> Reading:
        if image.getpixel((0, 0)) == (255, 0, 0):
            raise RuntimeError("a cheque that breaks the reader")
        values = {field.name: "" for field in form} | {"beneficiaire": PAYEE, "devise": "EUR"}
        return Reading(values, {field.name: 0.5 for field in form} | {"lieu": 0.25}, embedding=(0.5, 0.25))

    def close(self) -> None:
        self.closed = True


class NoReader:
    """What a wrong model folder makes of `open_reader`."""

    def __call__(self) -> Reader:
        raise ReaderError("/models/none is no model: set CHEQUEMATE_MODEL")


def noise(seed: int) -> Image.Image:
    """Images that no fingerprint takes for near-duplicates."""
    import random

    return Image.frombytes("RGB", (64, 48), random.Random(seed).randbytes(64 * 48 * 3))


def drawn(folder: Path, tasks: Iterable[int]) -> Draw:
    """A draw, always the same, in which these tasks have a place."""
    draw = Draw(Store(folder), 7, salt="fixed")
    for task in tasks:
        draw.place(task, noise(task))
    return draw


def fetch(url: str, project: int = 1) -> Image.Image:
    """`/image/7` is readable, `/red/7` breaks the reader, anything else cannot be opened."""
    _, kind, number = url.split("/")
    if kind == "red":
        return Image.new("RGB", (64, 48), (255, 0, 0))
    if kind != "image":
        raise BadImage("not a PNG, JPEG, TIFF, WebP or PDF: save the scan in one of these formats")
    return noise(int(number))


def task(number: int, kind: str = "image") -> dict[str, Any]:
    return {"id": number, "data": {"image": f"/{kind}/{number}"}, "annotations": [], "predictions": []}


def settings_in(home: Path, **more: Any) -> Settings:
    # Nothing listens on port 1: a backend without Redis, unless a test says otherwise.
    return Settings(**{"home": home, "redis_url": "redis://127.0.0.1:1/0", "_env_file": None, **more})


def client_of(home: Path, reader: Callable[[], Reader], **more: Any) -> FlaskClient:
    return create_app(settings_in(home, **more), reader, fetch).test_client()


def predict(client: FlaskClient, tasks: list[dict[str, Any]], project: str = "7.1795342822") -> list[dict[str, Any]]:
    answer = client.post("/predict", json={"project": project, "label_config": CONFIG, "tasks": tasks})
    assert answer.status_code == 200, answer.json
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def values_of(result: dict[str, Any]) -> dict[str, str]:
    return {region["from_name"]: next(iter(region["value"].values()))[0] for region in result["result"]}


FORM = CHEQUE
