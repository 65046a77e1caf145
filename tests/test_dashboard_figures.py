"""The figures follow Label Studio: edits, deletions, annotations through the API, an emptied project, an outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.dashboard.figures import FigureCache, Figures
from cheques.settings import Settings
from reader.base_model import base_identity
from reader.reading import Reading
from store.database import Store
from store.draw import Draw
from store.reading_cache import Key, ReadingCache, read_as
from store.tables import CACHES
from store.versions import Version, Versions
from studio.api_types import Project
from studio.client import StudioError
from studio.config import DEFAULT_CONFIG, Config, read_config
from studio.formats import Label
from tests.backend_parts import noise
from tests.conftest import LabelStudio

CONFIG = DEFAULT_CONFIG.read_text(encoding="utf-8")


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class FakeStudio:
    """Label Studio in memory: tasks with their labels, and which were asked for."""

    labels: dict[int, list[Label]] = field(default_factory=dict)
    touched: dict[int, str] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    away: bool = False

    def put(self, *labels: Label) -> None:
        for one in labels:
            kept = [other for other in self.labels.get(one.task, []) if other.annotation != one.annotation]
            self.labels[one.task] = [*kept, one]
            self.touched[one.task] = now()

    def delete(self, task: int) -> None:
        self.labels[task], self.touched[task] = [], now()

    def project(self, number: int) -> Project:
        if self.away:
            raise StudioError("Label Studio does not answer")
        count = sum(not one.skipped for labels in self.labels.values() for one in labels)
        return Project(number, "Chèques", CONFIG, "v1", "", True, 1, len(self.labels), count, 0)

    def changed_tasks(self, number: int, config: Config, since: str) -> Iterator[tuple[int, tuple[Label, ...]]]:
        found = [task for task in self.labels if self.touched[task] > since]
        self.reads.append(len(found))
        for task in found:
            yield task, tuple(self.labels[task])

    def _get(self, path: str, **query: Any) -> Any:
        class Answer:
            @staticmethod
            def json() -> dict[str, Any]:
                return {"tasks": []}

        return Answer()


def label(task: int, **more: Any) -> Label:
    shown = more.pop("shown", {"date": "2024-05-03"})
    base = Label(
        task=task,
        annotation=task,
        image="",
        values={"date": "2024-05-03"},
        updated_at="2026-03-01T10:00:00Z",
        created_at="2026-03-01T10:00:00Z",
        seconds=20.0,
        annotator=1,
        offered=True,
        shown=shown,
        changed={"date": "accepted"} if shown else {},
        version="v1",
    )
    return replace(base, **more)


@pytest.fixture
def studio() -> FakeStudio:
    studio = FakeStudio()
    studio.put(*(label(number) for number in range(1, 6)))
    for task in studio.touched:
        studio.touched[task] = "2026-03-01T10:00:00Z"
    return studio


def desk_of(home: Path, studio: FakeStudio) -> FigureCache:
    desk = FigureCache(Settings(home=home, projects=(1,)))
    desk._studio = studio  # type: ignore[assignment]
    return desk


def look(desk: FigureCache) -> Figures:
    """As a lead who comes back after a while."""
    shelf = desk._shelves.get(1)
    if shelf:
        shelf.asked = -1e9
    return desk.figures(1, 10.0)


def test_an_edit_a_deletion_an_import_and_an_emptied_project(tmp_path: Path, studio: FakeStudio) -> None:
    desk = desk_of(tmp_path, studio)
    assert look(desk).labels == 5
    assert look(desk).savings.acceptance == {"date": 1.0}

    studio.put(label(1, values={"date": "2024-05-08"}, changed={"date": "corrected"}, updated_at=now()))
    edited = look(desk)
    assert edited.labels == 5 and edited.corrected == 1
    assert edited.savings.acceptance == {"date": 0.8}
    assert edited.savings.dropped == {"edited": 1}

    studio.delete(2)
    assert look(desk).labels == 4

    studio.put(label(9, shown=None, offered=False, seconds=None, imported=True))
    assert look(desk).savings.dropped == {"api": 1, "edited": 1}

    studio.labels.clear()
    emptied = look(desk)
    assert emptied.labels == 0 and emptied.savings.acceptance == {}


def test_only_what_changed_is_asked_for(tmp_path: Path, studio: FakeStudio) -> None:
    desk = desk_of(tmp_path, studio)
    look(desk)
    studio.put(label(3, seconds=25.0))
    look(desk)
    assert studio.reads == [5, 1]


def test_a_new_process_starts_from_the_copy_on_disk(tmp_path: Path, studio: FakeStudio) -> None:
    look(desk_of(tmp_path, studio))
    studio.put(label(6))
    again = look(desk_of(tmp_path, studio))
    assert again.labels == 6
    assert studio.reads == [5, 1]


def test_the_copy_may_be_deleted(tmp_path: Path, studio: FakeStudio) -> None:
    look(desk_of(tmp_path, studio))
    with Store(tmp_path).begin() as connection:
        for table in CACHES:
            connection.execute(table.delete())
    assert look(desk_of(tmp_path, studio)).labels == 5
    assert studio.reads == [5, 5]


def test_cheques_outside_the_trial_leave_no_values_on_disk(tmp_path: Path, studio: FakeStudio) -> None:
    look(desk_of(tmp_path, studio))
    with Store(tmp_path).look() as connection:
        rows = connection.exec_driver_sql("SELECT rows FROM annotation").scalars().all()
    assert len(rows) == 5 and all("2024-05-03" not in text for text in rows)


def test_an_outage_keeps_the_last_figures_and_says_so(tmp_path: Path, studio: FakeStudio) -> None:
    desk = desk_of(tmp_path, studio)
    look(desk)
    studio.away = True
    shown = look(desk)
    assert shown.labels == 5 and shown.problem == "Label Studio does not answer"
    studio.away = False
    assert look(desk).problem == ""


def test_while_people_label_it_is_not_all_read_again(tmp_path: Path, studio: FakeStudio) -> None:
    desk = desk_of(tmp_path, studio)
    look(desk)
    plain, came = studio.changed_tasks, iter(range(100, 110))

    def changed_tasks(number: int, config: Config, since: str) -> Iterator[tuple[int, tuple[Label, ...]]]:
        yield from plain(number, config, since)
        if (task := next(came, 0)) % 3 == 1:  # somebody submits just after their page was read
            studio.put(label(task))

    studio.changed_tasks = changed_tasks  # type: ignore[method-assign]
    studio.reads.clear()
    for _ in range(4):
        look(desk)
    assert look(desk).labels == 5 + 3
    assert max(studio.reads) <= 3, "the five old ones were asked for again"


def test_a_slow_label_studio_does_not_hold_the_page_up(tmp_path: Path, studio: FakeStudio) -> None:
    class Slow(FakeStudio):
        def project(self, number: int) -> Project:
            assert answers.wait(60)
            return super().project(number)

    answers = threading.Event()
    desk = desk_of(tmp_path, Slow(studio.labels, studio.touched))
    assert desk.figures(1, 0.05).at is None, "the page is there before Label Studio answers"
    answers.set()
    assert look(desk).at is not None


def test_the_desk_counts_them(tmp_path: Path, studio: FakeStudio) -> None:
    """A champion whose report knows no cheque, and an exam cheque that it read before it was labelled."""
    config = read_config(CONFIG)
    draw = Draw(Store(tmp_path), 1, salt="fixed")
    task = next(n for n in range(1, 300) if draw.place(n, noise(n)).arm == "prelabel")
    trained = tmp_path / "trained"
    (trained / "adapter").mkdir(parents=True)
    (trained / "adapter" / "adapter_model.safetensors").write_bytes(b"x")
    settings = Settings(home=tmp_path, projects=(1,))
    versions = Versions(Store(tmp_path), 1)
    made = versions.add(trained, Version("", "1", trained))
    versions.promote(made.name, who="test", why="test", force=True)
    shown = dict.fromkeys(config.form.names, "")
    key = Key.of("1", str(task), "/a.png", read_as(base_identity(settings.model), made.name), config.form.digest)
    ReadingCache(Store(tmp_path)).put({key: Reading(shown, dict.fromkeys(shown, 0.9))})
    studio.put(label(task, values=shown | {"lieu": "Lyon"}, shown=shown, version=made.name, updated_at=now()))
    found = look(desk_of(tmp_path, studio)).graded
    assert found.later == 1
    assert found.field("lieu")[1].tolist() == [False] and found.field("date")[1].tolist() == [True]


def region(name: str, text: str) -> dict[str, Any]:
    value = {"from_name": name, "to_name": "image", "type": "textarea", "value": {"text": [text]}}
    return value | {"id": name, "origin": "manual"}


@pytest.mark.integration
def test_the_same_on_a_real_label_studio(tmp_path: Path, label_studio: LabelStudio) -> None:
    studio = label_studio.client
    project = studio.create_project("figures", CONFIG).id
    tasks = studio.import_tasks(project, [{"image": f"/data/local-files/?d=c{number}.png"} for number in range(6)])
    made = [studio.annotate(task, [region("lieu", "Lyon")], lead_time=20.0) for task in tasks[:4]]
    desk = FigureCache(label_studio.settings(tmp_path, projects=(project,)))

    def look_again() -> Figures:
        if project in desk._shelves:
            desk._shelves[project].asked = -1e9
        return desk.figures(project, 60.0)

    assert look_again().labels == 4
    time.sleep(6)  # an edit within seconds of the submission is none
    sdk = studio._sdk
    sdk.annotations.update(made[0], result=[region("lieu", "Nice")], lead_time=3.0)
    assert look_again().savings.dropped == {"edited": 1}
    sdk.annotations.delete(made[1])
    assert look_again().labels == 3
    studio.annotate(tasks[4], [{**region("lieu", "Nice"), "origin": ""}])
    assert look_again().savings.dropped["api"] == 1
    for task in tasks:
        sdk.tasks.delete(str(task))
    emptied = look_again()
    assert emptied.labels == 0 and emptied.problem == ""
    assert Draw(Store(tmp_path), project).places() == []
