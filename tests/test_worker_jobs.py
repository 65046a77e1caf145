"""The three jobs against a Label Studio in memory: what they enqueue, remember, and survive."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from cheques.images import BadImage
from store.database import Store, StoreError
from store.draw import pixels_digest
from store.marks import mark
from store.training_history import trainings
from store.versions import Version, Versions
from tests.backend_parts import noise
from tests.jobs_parts import World
from trainer.dataset import Example
from worker import jobs
from worker.job_decorator import JobFailed
from worker.jobs import prelabel, reconcile, retrain
from worker.queue import QueueAway


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

    def test_the_learning_curve_is_kept_for_the_page_and_a_full_disk_there_costs_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.labelled(30)
        retrain(7)
        kept = mark(Store(world.home), 7, "learning curve")
        assert kept["sentence"] == "not enough yet: 0 versions, 3 needed"

        def full(*_: object) -> None:
            raise StoreError("No space left on device")

        monkeypatch.setattr("trainer.progress.set_mark", full)
        assert retrain(7, force=True)["outcome"] == "promoted"

    def test_below_the_threshold_only_a_person_can_force_it(self, world: World) -> None:
        world.labelled(5)
        assert retrain(7)["outcome"] == "too few lessons"
        assert retrain(7, force=True)["outcome"] == "promoted"

    def test_without_any_lesson_nothing_can_force_it(self, world: World) -> None:
        world.studio.add_tasks([1])
        assert retrain(7, force=True)["outcome"] == "too few lessons"

    def test_labels_that_cannot_be_used_are_left_out_and_a_field_that_cannot_costs_itself(self, world: World) -> None:
        world.labelled(30)
        world.studio.annotate(10, skipped=True)
        world.studio.annotate(11, ambiguous=True)
        values = world.studio.labels_[12][0].values | {"montant_numerique": "douze"}
        world.studio.annotate(12, values=values, unusable={"montant_numerique": "no_value"})
        world.studio.annotate(13, values=values, unusable=dict.fromkeys(values, "no_value"))
        retrain(7)
        ((lessons, exam),) = world.trained
        assert not {"3", "10", "11", "13"} & {*lessons, *exam}
        assert len(lessons) + len(exam) == 26 and "12" in {*lessons, *exam}

    def test_a_training_that_fails_is_no_attempt(self, world: World) -> None:
        from trainer.recipe import TrainingError

        world.labelled(30)
        world.trouble = TrainingError("/home: no space left on device; free some space and train again, it goes on")
        with pytest.raises(JobFailed, match="no space left"):
            retrain(7)
        assert trainings(Store(world.home), 7) == []
        assert reconcile(7)["new"] >= 10 and "retrain-7" in world.enqueued

    def test_a_disk_that_is_full_is_one_line(self, world: World) -> None:
        world.labelled(30)
        world.trouble = OSError(28, "No space left on device")
        with pytest.raises(JobFailed, match="No space left on device"):
            retrain(7)

    def test_what_is_kept_of_an_image_serves_while_it_cannot_be_fetched(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.labelled(30)
        retrain(7)

        def away(url: str, settings: object, project: int) -> Image.Image:
            raise BadImage("Label Studio does not answer")

        monkeypatch.setattr(jobs, "fetch_image", away)
        retrain(7, force=True)
        assert world.trained[0] == world.trained[1]

    def test_images_of_what_is_gone_from_label_studio_are_removed_here_too(self, world: World) -> None:
        world.labelled(30)
        retrain(7)
        images = world.folder / "images"
        before = {path.name for path in images.iterdir()}
        gone = {name for name in before if name.startswith(("5-", "6-"))}
        for task in (5, 6):
            del world.studio.labels_[task], world.studio.tasks_[task]
        (images / "half.part").touch()
        retrain(7, force=True)
        assert {path.name for path in images.iterdir()} == before - gone
        assert len(before) == 29 and len(gone) == 2
        world.studio.labels_.clear()
        assert retrain(7)["outcome"] == "too few lessons" and not list(images.iterdir())

    def test_a_label_goes_with_the_image_that_its_task_has_now(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained_on: dict[str, str] = {}

        def train(lessons: Sequence[Example], exam: Sequence[Example], *rest: Any) -> Version:
            trained_on.update({one.id: one.digest for one in (*lessons, *exam)})
            return world.train(lessons, exam, *rest)

        monkeypatch.setattr("trainer.retrain.retrain", train)
        world.labelled(30)
        retrain(7)
        assert trained_on["5"] == pixels_digest(noise(5)) and trained_on["6"] == pixels_digest(noise(6))
        world.studio.tasks_[5] = replace(world.studio.tasks_[5], image="/image/500")
        world.studio.annotate(5, changed="2026-02-02T00:00:00Z")
        fetched = jobs.fetch_image
        other = {"/image/6": "/image/600"}  # another picture under the same address
        monkeypatch.setattr(jobs, "fetch_image", lambda url, *rest, **more: fetched(other.get(url, url), *rest, **more))
        retrain(7, force=True)
        assert trained_on["5"] == pixels_digest(noise(500)) and trained_on["6"] == pixels_digest(noise(600))

        def away(url: str, settings: object, project: int) -> Image.Image:
            raise BadImage("Label Studio does not answer")

        monkeypatch.setattr(jobs, "fetch_image", away)
        world.studio.tasks_[8] = replace(world.studio.tasks_[8], image="/image/800")
        world.studio.annotate(8, changed="2026-02-02T00:00:00Z")
        trained_on.clear()
        retrain(7, force=True)
        assert trained_on["5"] == pixels_digest(noise(500)) and trained_on["6"] == pixels_digest(noise(600))
        assert "8" not in trained_on, "what is kept shows another cheque"

    def test_an_image_of_the_exam_that_a_lesson_shows_now_is_not_trained_on(self, world: World) -> None:
        world.labelled(30)
        retrain(7)
        exam = min(map(int, world.exam()))
        lesson = next(task for task in range(4, 31) if str(task) not in world.exam())
        world.studio.tasks_[lesson] = replace(world.studio.tasks_[lesson], image=f"/image/{exam}")
        world.studio.annotate(lesson, changed="2026-02-02T00:00:00Z")
        retrain(7, force=True)
        _, (lessons, judged) = world.trained
        assert str(lesson) not in lessons and str(exam) in judged


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

    def test_a_label_that_changes_while_the_others_are_read_counts_at_the_next_turn(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.labelled(30)
        retrain(7)
        first, *_, last = [task for task in range(4, 31) if str(task) not in world.exam()]
        whole = world.studio.changed_tasks

        def read_slowly(*about: Any, **more: Any) -> Iterator[Any]:
            for task, labels in whole(*about, **more):
                yield task, labels if task == first else tuple(world.studio.labels_[task])
                if task == first:  # its page is read already
                    world.studio.annotate(first, changed="2026-02-02T10:00:01.000000Z")
                    world.studio.annotate(last, changed="2026-02-02T10:00:02.000000Z")

        with monkeypatch.context() as reading:
            reading.setattr(world.studio, "changed_tasks", read_slowly)
            assert reconcile(7)["new"] == 1
        assert reconcile(7)["new"] == 2
        monkeypatch.setattr(jobs, "labelled", lambda *_: pytest.fail("every label was fetched"))
        assert reconcile(7)["new"] == 2

    def test_a_lesson_whose_image_was_mended_counts(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.labelled(30)
        before = reconcile(7)["new"]  # task 3 cannot be read
        monkeypatch.setattr(jobs, "fetch_image", lambda url, settings, project: noise(int(url.split("/")[-1])))
        assert reconcile(7)["new"] == before
        mended = jobs.settings().model_copy(update={"image_hosts": ("images.example",)})
        monkeypatch.setattr(jobs, "settings", lambda: mended)
        assert reconcile(7)["new"] == before + ("3" not in world.exam())

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
        world.train([], [], None, None, Versions(Store(world.home), "7"))
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


def test_an_unforeseen_error_is_one_line_in_the_log_without_its_message(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.labelled(30)
    world.trouble = KeyError("Zoé Personne")
    with pytest.raises(JobFailed, match=r"internal error \(KeyError\)") as caught:
        retrain(7)
    told = capsys.readouterr().err
    assert "job.failed" in told and "KeyError" in told and "jobs_parts.py:" in told
    assert "Zoé" not in told + str(caught.value)


def test_two_of_a_kind_never_run_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.job_decorator.ALONE_SECONDS", 0.3)
    (world.home / "locks").mkdir(parents=True)
    code = f"""
import fcntl, time
file = open({str(world.home / "locks" / "prelabel-7.lock")!r}, "a")
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


@pytest.mark.slow
def test_jobs_load_no_torch_before_they_train() -> None:
    code = "import worker.jobs, worker.rq_worker, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
