"""The prelabel job: what it writes, what it asks for again, and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from store.database import Store
from store.versions import Versions
from tests import worker_parts
from tests.backend_parts import drawn
from tests.jobs_parts import World
from tests.worker_parts import XML, FakeBackend
from worker import jobs, prelabelling
from worker.jobs import prelabel, reconcile


class TestPrelabel:
    def test_predictions_are_imported_before_the_version_is_shown(self, world: World) -> None:
        world.studio.add_tasks(range(10, 20))
        done = prelabel(7)
        assert (done["version"], done["read"], done["waiting"]) == ("base", 10, 0)
        assert [write for write in world.studio.writes if write != "hint"] == ["import"] * 10 + ["serve"]
        assert world.studio.about.model_version == "base"

    def test_a_version_change_meanwhile_begins_again(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.studio.add_tasks(range(10, 20))
        world.backend.version = "v1"

        class Changing(FakeBackend):
            def read(inner, tasks: Any, version: str) -> Any:
                if version == "base":
                    world.train([], [], None, None, Versions(Store(world.home), "7"))
                return world.backend.read(tasks, version)

        monkeypatch.setattr(jobs, "BackendClient", lambda *_: Changing())
        assert prelabel(7)["version"] == "v1"
        assert {stored.version for task in world.studio.tasks_.values() for stored in task.stored} == {"v1"}

    def test_a_project_without_tasks_is_left_as_it_is(self, world: World) -> None:
        assert prelabel(7)["read"] == 0
        assert world.studio.writes == []

    def test_what_was_left_for_later_is_called_again(self, world: World) -> None:
        world.studio.add_tasks(range(10, 20))
        world.backend.away = frozenset({12})
        assert prelabel(7)["waiting"] == 1
        assert reconcile(7)["why"] == "some cheques could not be read for the time being"

    def test_what_could_not_be_opened_is_tried_again_as_soon_as_a_setting_changes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        world.backend.unreadable = frozenset({12})
        prelabel(7)
        mended = jobs.settings().model_copy(update={"image_hosts": ("images.example",)})
        monkeypatch.setattr(jobs, "settings", lambda: mended)
        assert reconcile(7)["why"] == "some cheques could not be opened, and the settings have changed"
        prelabel(7)
        assert reconcile(7)["why"] == "", "still unreadable: it waits for the next full look"

    def test_what_never_comes_back_is_asked_for_less_and_less_often(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        world.backend.away = frozenset({12})
        pauses = []
        for _ in range(9):
            prelabel(7)
            pauses.append(jobs.Marker.of(jobs.Site.of(7)).pause)
        assert pauses == [0, 60, 120, 240, 480, 960, 1800, 1800, 1800]
        assert reconcile(7)["why"] == ""
        world.studio.add_tasks([20])
        assert reconcile(7)["why"] == "new tasks"
        world.backend.away = frozenset()
        prelabel(7)
        assert jobs.Marker.of(jobs.Site.of(7)).pause == 0
        assert jobs.Marker(fruitless=5000).pause == 1800  # months later

    def test_another_base_has_every_open_prediction_and_hint_written_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        drawn(world.home, range(10, 20))
        monkeypatch.setattr(prelabelling, "HINTED", 3)
        prelabel(7)
        hinted = {task.id for task in world.studio.tasks_.values() if task.hint}
        assert hinted and reconcile(7)["why"] == ""
        own = jobs.settings().model_copy(update={"model": "Qwen/another"})
        monkeypatch.setattr(jobs, "settings", lambda: own)
        # The other base is sure of what this one doubted, and the other way about.
        monkeypatch.setattr("tests.worker_parts.own_score", lambda task: 1 - (task * 37 % 100) / 100)
        world.studio.writes.clear()
        assert reconcile(7)["why"].startswith("Qwen/another reads, the predictions are of small-")
        prelabel(7)
        assert world.studio.writes.count("rewrite") == 10 and "import" not in world.studio.writes
        sure = {task.id for task in world.studio.tasks_.values() if worker_parts.own_score(task.id) >= own.doubt}
        assert hinted & sure and not [task for task in sure if world.studio.tasks_[task].hint]
        assert reconcile(7)["why"] == ""

    def test_a_changed_form_has_every_open_prediction_written_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        prelabel(7)
        world.studio.writes.clear()
        xml = XML.rstrip().removesuffix("</View>") + '<TextArea name="memo" toName="image"/></View>'
        world.studio.about = replace(world.studio.about, label_config=xml)
        assert reconcile(7)["why"] == "the form was changed"
        assert prelabel(7)["read"] == 0
        assert [write for write in world.studio.writes if write != "hint"] == ["rewrite"] * 10
        assert all(len(task.stored) == 1 for task in world.studio.tasks_.values())
        assert reconcile(7)["why"] == ""
