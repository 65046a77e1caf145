"""Figures of a simulated team, and a desk that shows them, for the tests of the page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from PIL import Image

from backend.dashboard import register
from backend.dashboard.exam import Graded
from backend.dashboard.figures import FigureCache, Figures, computed
from backend.dashboard.status import History
from cheques.settings import Settings
from research.bench.annotators import FIELDS, Team, play
from store.versions import Version
from studio.least_certain import Uncertain
from worker.queue import connect

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ShownDesk(FigureCache):
    """Shows these figures, whatever the project."""

    def __init__(self, figures: Figures) -> None:
        self.shown = figures

    def figures(self, project: int, patience: float = 0.0) -> Figures:
        return replace(self.shown, project=project)


def graded(n: int = 800, seed: int = 0) -> Graded:
    rng = np.random.default_rng(seed)
    confidence = rng.random((n, len(FIELDS))) ** 0.2
    return Graded(FIELDS, confidence, rng.random((n, len(FIELDS))) >= 0.1 * (1 - confidence) ** 2)


def figures(exam: int = 200, lessons: int = 300, home: Path = Path("none")) -> Figures:
    made = computed(play(Team(exam=exam, lessons=lessons), 1).work, graded(), {}, 1000)
    versions = tuple(
        Version(
            name=f"v{number}",
            project="1",
            path=home / f"v{number}",
            labels=20 * number,
            exam=10 * number,
            mean=0.6 + 0.05 * number,
            decision="rejected" if number == 2 else "promoted",
            reasons=("devise fell from 90% to 40% on 20 exam cheques",),
            created=AT.isoformat(),
        )
        for number in (1, 2, 3)
    )
    uncertain = tuple(
        Uncertain(number, f"/image/{number}", "v3", {"date": "2024-05-03", "lieu": "<Lyon>"}, {"date": 0.1 * number})
        for number in range(10)
    )
    return replace(
        made,
        project=1,
        title="Chèques",
        tasks=1000,
        history=History(versions, versions[-1], AT),
        uncertain=uncertain,
        at=AT,
    )


def site(home: Path, shown: Figures | None = None, redis_url: str = "redis://127.0.0.1:1/0", **more: Any) -> Flask:
    """An application with nothing but the page; project 1 and 2 are served."""
    app = Flask("page")
    settings = Settings(home=home, projects=(1, 2), redis_url=redis_url, **more)
    register(app, settings, fetch, connect(redis_url, 0.3), ShownDesk(shown or figures()))
    return app


def fetch(url: str, project: int = 1) -> Image.Image:
    return Image.new("RGB", (640, 288), "white")
