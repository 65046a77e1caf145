"""The three jobs against a Label Studio in memory: what they enqueue, remember, and survive."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cheques.images import BadImage
from tests.backend_parts import noise, settings_in
from tests.worker_parts import XML, FakeBackend, FakeStudio
from trainer.dataset import Example
from trainer.draw import Draw
from trainer.versions import Version, Versions
from worker import jobs
from worker.attempts import Attempt, attempts, new_or_changed, record
from worker.job import JobFailed
from worker.jobs import prelabel, reconcile, retrain
from worker.queue import QueueAway


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
        return {place.task for place in Draw.open(self.folder).places() if place.role == "exam"}

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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    own = settings_in(tmp_path, retrain_every=10)

    def fetched(url: str, settings: object) -> Image.Image:
        if url == "/image/3":
            raise BadImage("damaged image: scan it again")
        return noise(int(url.split("/")[-1]))

    def enqueue(name: str, project: int, **_: Any) -> bool:
        if f"{name}-{project}" in world.enqueued:
            return False
        world.enqueued.append(f"{name}-{project}")
        return True

    monkeypatch.setattr("worker.job.settings", lambda: own)
    monkeypatch.setattr(jobs, "settings", lambda: own)
    monkeypatch.setattr(jobs.Studio, "of", lambda settings: world.studio)
    monkeypatch.setattr(jobs, "fetch_image", fetched)
    monkeypatch.setattr(jobs, "Backend", lambda *_: world.backend)
    monkeypatch.setattr(jobs, "enqueue", enqueue)
    monkeypatch.setattr(jobs, "connect", lambda: FakeRedis())
    monkeypatch.setattr("trainer.retrain.retrain", world.train)
    return world


class FakeRedis:
    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *_, **__: 0


class TestRetrain:
    def test_lessons_and_exam_are_kept_apart_by_the_draw(self, world: World) -> None:
        world.labelled(60)
        done = retrain(7)
        ((lessons, exam),) = world.trained
        assert set(exam) == world.exam() and 0 < len(exam) < 25
        assert set(lessons) == {str(task) for task in range(1, 61) if task != 3} - world.exam()
        assert (done["outcome"], done["version"]) == ("promoted", "v1")
        assert world.enqueued == ["prelabel-7"]
        assert done["reasons"] == ["why"] and json.dumps(done)

    def test_a_rejected_version_counts_as_an_attempt_and_changes_nothing(self, world: World) -> None:
        world.labelled(30)
        world.decision = "rejected"
        assert retrain(7)["outcome"] == "rejected"
        assert world.enqueued == []
        assert reconcile(7)["new"] == 0

    def test_the_learning_curve_is_kept_for_the_page_and_a_full_disk_there_costs_nothing(self, world: World) -> None:
        world.labelled(30)
        retrain(7)
        kept = world.folder / "learning.json"
        assert json.loads(kept.read_text())["sentence"] == "not enough yet: 0 versions, 3 needed"
        kept.unlink()
        kept.mkdir()
        assert retrain(7, force=True)["outcome"] == "promoted"

    def test_below_the_threshold_only_a_person_can_force_it(self, world: World) -> None:
        world.labelled(5)
        assert retrain(7)["outcome"] == "too few lessons"
        assert retrain(7, force=True)["outcome"] == "promoted"

    def test_without_any_lesson_nothing_can_force_it(self, world: World) -> None:
        world.studio.add_tasks([1])
        assert retrain(7, force=True)["outcome"] == "too few lessons"

    def test_labels_that_cannot_be_used_are_left_out_and_lose_nobody_else(self, world: World) -> None:
        world.labelled(30)
        world.studio.annotate(10, skipped=True)
        world.studio.annotate(11, ambiguous=True)
        values = world.studio.labels_[12][0].values | {"montant_numerique": "douze"}
        world.studio.annotate(12, values=values)
        retrain(7)
        ((lessons, exam),) = world.trained
        assert not {"3", "10", "11", "12"} & {*lessons, *exam}
        assert len(lessons) + len(exam) == 26

    def test_a_training_that_fails_is_no_attempt(self, world: World) -> None:
        from trainer.recipe import TrainingError

        world.labelled(30)
        world.trouble = TrainingError("/home: no space left on device; free some space and train again, it goes on")
        with pytest.raises(JobFailed, match="no space left"):
            retrain(7)
        assert attempts(world.folder) == []
        assert reconcile(7)["new"] >= 10 and "retrain-7" in world.enqueued

    def test_a_disk_that_is_full_is_one_line(self, world: World) -> None:
        world.labelled(30)
        world.trouble = OSError(28, "No space left on device")
        with pytest.raises(JobFailed, match="No space left on device"):
            retrain(7)

    def test_images_are_fetched_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.labelled(30)
        retrain(7)

        def away(url: str, settings: object) -> Image.Image:
            raise BadImage("Label Studio does not answer")

        monkeypatch.setattr(jobs, "fetch_image", away)
        retrain(7, force=True)
        assert world.trained[0] == world.trained[1]


class TestReconcile:
    def test_it_counts_lessons_alone_and_starts_a_training_at_the_threshold(self, world: World) -> None:
        world.labelled(9)
        assert reconcile(7)["due"] == ["prelabel"]
        world.enqueued.clear()
        world.labelled(20)
        done = reconcile(7)
        lessons = 20 - 1 - len(world.exam())  # task 3 cannot be read
        assert done["new"] == lessons >= 10
        assert done["due"] == ["retrain", "prelabel"]

    def test_after_an_attempt_only_new_and_changed_lessons_count(self, world: World) -> None:
        world.labelled(30)
        retrain(7)
        assert reconcile(7)["new"] == 0
        lessons = [task for task in range(4, 31) if str(task) not in world.exam()]
        for task in lessons[:4]:
            world.studio.annotate(task, changed="2026-02-02T00:00:00Z")
        assert reconcile(7)["new"] == 4
        assert reconcile(7)["new"] == 4  # from what it remembers
        exam = int(sorted(world.exam())[0])
        world.studio.annotate(exam, changed="2026-03-03T00:00:00Z")
        assert reconcile(7)["new"] == 4

    def test_while_nothing_is_labelled_no_label_is_fetched_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.labelled(30)
        before = reconcile(7)["new"]
        monkeypatch.setattr(jobs, "labelled", lambda *_: pytest.fail("every label was fetched"))
        assert reconcile(7)["new"] == before

    def test_a_deleted_label_is_noticed(self, world: World) -> None:
        world.labelled(8)
        before = reconcile(7)["new"]
        lesson = next(task for task in (1, 2, 4, 5) if str(task) not in world.exam())
        del world.studio.labels_[lesson]
        world.studio.about = world.studio.about.__class__(**{**world.studio.about.__dict__, "labels": 7})
        assert reconcile(7)["new"] == before - 1

    def test_new_tasks_a_new_champion_and_a_changed_setting_each_call_prelabel(self, world: World) -> None:
        world.studio.add_tasks(range(10, 20))
        assert reconcile(7)["why"] == "base is in service, the predictions are of no version"
        prelabel(7)
        assert reconcile(7)["why"] == ""
        world.studio.add_tasks([20])
        assert reconcile(7)["why"] == "new tasks"
        prelabel(7)
        world.studio.about = world.studio.about.__class__(**{**world.studio.about.__dict__, "sampling": "Sequential"})
        assert reconcile(7)["why"] == "the project's sampling was changed"
        prelabel(7)
        world.studio.about = world.studio.about.__class__(**{**world.studio.about.__dict__, "model_version": "x"})
        assert reconcile(7)["why"] == "the project shows x"
        prelabel(7)
        assert reconcile(7)["why"] == ""
        world.train([], [], None, None, Versions(world.home, "7"))
        assert reconcile(7)["why"] == "v1 is in service, the predictions are of base"

    def test_label_studio_away_is_one_line_and_harms_nothing(self, world: World) -> None:
        world.labelled(30)
        world.studio.away = True
        for job in (reconcile, retrain, prelabel):
            with pytest.raises(JobFailed, match="Label Studio does not answer") as caught:
                job(7)
            assert "\n" not in str(caught.value)
        world.studio.away = False
        assert "retrain" in reconcile(7)["due"]

    def test_redis_away_is_one_line(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: Any, **__: Any) -> bool:
            raise QueueAway("Redis does not answer: start it")

        monkeypatch.setattr(jobs, "enqueue", away)
        world.labelled(30)
        with pytest.raises(JobFailed, match="Redis does not answer"):
            reconcile(7)


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
                    world.train([], [], None, None, Versions(world.home, "7"))
                return world.backend.read(tasks, version)

        monkeypatch.setattr(jobs, "Backend", lambda *_: Changing())
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

    def test_what_never_comes_back_is_asked_for_less_and_less_often(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        world.backend.away = frozenset({12})
        pauses = []
        for _ in range(9):
            prelabel(7)
            pauses.append(jobs._Marker.read(world.folder).pause)
        assert pauses == [0, 60, 120, 240, 480, 960, 1800, 1800, 1800]
        assert reconcile(7)["why"] == ""
        world.studio.add_tasks([20])
        assert reconcile(7)["why"] == "new tasks"
        world.backend.away = frozenset()
        prelabel(7)
        assert jobs._Marker.read(world.folder).pause == 0
        assert jobs._Marker(fruitless=5000).pause == 1800  # months later

    def test_a_changed_form_has_every_open_prediction_written_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.studio.add_tasks(range(10, 20))
        prelabel(7)
        world.studio.writes.clear()
        xml = XML.replace("</View>", '<TextArea name="memo" toName="image"/></View>')
        world.studio.about = replace(world.studio.about, label_config=xml)
        assert reconcile(7)["why"] == "the form was changed"
        assert prelabel(7)["read"] == 0
        assert [write for write in world.studio.writes if write != "hint"] == ["rewrite"] * 10
        assert all(len(task.stored) == 1 for task in world.studio.tasks_.values())
        assert reconcile(7)["why"] == ""


class TestAttempts:
    def test_new_and_changed_lessons_are_counted_by_id_and_time(self, tmp_path: Path) -> None:
        record(tmp_path, Attempt({1: "a", 2: "b"}, "rejected", "v1"))
        record(tmp_path, Attempt({1: "a", 2: "b", 3: "c"}, "promoted", "v2"))
        before = attempts(tmp_path)
        assert [attempt.version for attempt in before] == ["v1", "v2"]
        assert new_or_changed({1: "a", 2: "later", 3: "c", 4: "d"}, before) == 2
        assert new_or_changed({1: "a"}, []) == 1

    def test_what_was_seen_is_kept_of_the_last_alone(self, tmp_path: Path) -> None:
        for number in range(1, 6):
            record(tmp_path, Attempt(dict.fromkeys(range(1000), "a"), "rejected", f"v{number}"))
        found = attempts(tmp_path)
        assert [len(attempt.lessons) for attempt in found] == [0, 0, 0, 0, 1000]

    def test_a_line_torn_by_a_kill_is_no_attempt(self, tmp_path: Path) -> None:
        record(tmp_path, Attempt({1: "a"}, "rejected", "v1"))
        with (tmp_path / "attempts.jsonl").open("a") as file:
            file.write('{"at": "2026')
        assert len(attempts(tmp_path)) == 1
        record(tmp_path, Attempt({2: "b"}, "rejected", "v2"))
        assert [attempt.version for attempt in attempts(tmp_path)] == ["v1", "v2"]


def test_an_unforeseen_error_is_one_line_in_the_log_without_its_message(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.labelled(30)
    world.trouble = KeyError("Zoé Personne")
    with pytest.raises(JobFailed, match=r"internal error \(KeyError\)") as caught:
        retrain(7)
    told = capsys.readouterr().err
    assert "job.failed" in told and "KeyError" in told and "test_worker_jobs.py:" in told
    assert "Zoé" not in told + str(caught.value)


def test_two_of_a_kind_never_run_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.job.ALONE_SECONDS", 0.3)
    world.folder.mkdir(parents=True)
    code = f"""
import fcntl, time
file = open({str(world.folder / "prelabel.lock")!r}, "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert other.stdout and other.stdout.readline() == b"held\n"
        with pytest.raises(JobFailed, match="still running"):
            prelabel(7)
        reconcile(7)
    finally:
        other.kill()
        other.wait(10)
    assert prelabel(7)["read"] == 0


def test_jobs_load_no_torch_before_they_train() -> None:
    code = "import worker.jobs, worker.process, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
