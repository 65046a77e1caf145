"""The page with 1,000, 10,000 and 100,000 annotations: `python -m research.bench.dashboard [--most 100000]`.

Against a Label Studio in memory: what is measured is ours (reading the labels, computing, drawing, storing). First:
the project is read for the first time. Later: the page is opened again after one more annotation. Cached: again at
once. The first page shows progress and comes within its patience, whatever the project's size.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from PIL import Image

from backend.dashboard import register
from backend.dashboard.figures import FigureCache
from cheques.settings import Settings
from research.bench.annotators import FIELDS
from store.draw import Place
from studio.api_types import Project
from studio.config import DEFAULT_CONFIG, Config
from studio.formats import Label
from worker.queue import connect

CONFIG = DEFAULT_CONFIG.read_text(encoding="utf-8")


@dataclass
class Memory:
    """Label Studio without its seconds: `count` annotations, a fifth of them exam."""

    count: int

    def project(self, number: int) -> Project:
        return Project(number, "bench", CONFIG, "v1", "", True, 1, self.count, self.count, self.count)

    def changed_tasks(self, number: int, config: Config, since: str) -> Iterator[tuple[int, tuple[Label, ...]]]:
        for task in range(self.count - 1 if since else 0, self.count):
            yield task, (_label(task),)

    def _get(self, path: str, **query: Any) -> Any:
        class Answer:
            @staticmethod
            def json() -> dict[str, Any]:
                return {"tasks": []}

        return Answer()


def _label(task: int) -> Label:
    blind = task % 10 == 0
    values = {name: f"{name} {task}" for name in FIELDS}
    return Label(
        task=task,
        annotation=task,
        image="",
        values=values,
        updated_at=(
            at := f"2026-{1 + task // 28000 % 12:02d}-{1 + task // 1000 % 28:02d}T10:{task // 60 % 60:02d}:00Z"
        ),
        seconds=20.0 + task * 7919 % 40 + (15 if blind else 0),
        annotator=task // 10 % 5,
        changed=dict.fromkeys(FIELDS, "accepted") if not blind else {},
        shown=None if blind else values,
        version="v1",
        created_at=at,
        offered=True,
    )


class _Draw:
    """The draw by number: 0 blind, 1 pre-labelled exam, the rest lessons."""

    def get(self, task: int) -> Place:
        arm = {0: "blind", 1: "prelabel"}.get(task % 10)
        return Place(str(task), 0.1, "exam" if arm else "lesson", arm, "", "", 0.2, 0.1)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    most = parser.parse_args().most
    from backend.dashboard import figures

    setattr(figures, "Draw", lambda *_: _Draw())  # noqa: B010
    figures.FRESH_SECONDS = 0.0
    print("| annotations | first page (s) | all read (s) | page after one more (s) | cached (s) | page (KB) | MB |")
    print("|---|---|---|---|---|---|---|")
    for count in (1_000, 10_000, 100_000):
        if count <= most:
            print(_row(count), flush=True)


def _row(count: int) -> str:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), projects=(1,))
        desk, studio = FigureCache(settings), Memory(count)
        desk._studio = studio  # type: ignore[assignment]
        app = Flask(__name__)
        register(
            app, settings, lambda url, project: Image.new("RGB", (1, 1)), connect("redis://127.0.0.1:1/0", 0.1), desk
        )  # type: ignore[arg-type, return-value]
        page = app.test_client()
        start = time.perf_counter()
        page.get("/")
        first = time.perf_counter() - start
        desk.figures(1, 600.0)
        read = time.perf_counter() - start
        time.sleep(0.1)
        studio.count += 1
        start = time.perf_counter()
        answer = page.get("/")
        later = time.perf_counter() - start
        while desk._shelves[1].busy:
            time.sleep(0.1)
        desk._shelves[1].asked = time.monotonic() + 60
        start = time.perf_counter()
        page.get("/")
        cached = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = len(answer.data) / 1024
    return f"| {count:,} | {first:.2f} | {read:.1f} | {later:.2f} | {cached:.3f} | {size:.0f} | {memory:.0f} |"


if __name__ == "__main__":
    main()
