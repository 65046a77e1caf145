"""Fields right in both arms, wherever a second annotation or a ground truth exists; and which cheques two people do."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.dashboard.annotations import Annotations
from store.database import Store
from store.draw import Draw, Place, wants_second
from studio.config import DEFAULT_CONFIG, read_config
from studio.formats import Label
from study.quality import right
from study.timed_annotation import Arm, TimedAnnotation
from tests.backend_parts import noise
from tests.conftest import LabelStudio
from tests.test_dashboard_figures import FakeStudio

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
TRUE = {"date": "2024-05-03", "lieu": "Lyon"}


def given(task: int, who: int, lieu: str = "Lyon", arm: Arm | None = "blind", true: bool = False) -> TimedAnnotation:
    values = TRUE | {"lieu": lieu}
    return TimedAnnotation(
        task, 10 * task + who, who, 30.0, 60.0 * task + who, arm, True, values=values, ground_truth=true
    )


def test_a_second_annotation_counts_its_cheque_once() -> None:
    same = [given(task, who) for task in range(6) for who in (1, 2)]
    other = [given(task, who, "Lyon" if who == 1 else "Nice") for task in range(6, 8) for who in (1, 2)]
    found = right(same + other)
    assert found.cheques == (8, 0)
    assert found.blind and found.blind.value == pytest.approx((6 + 2 * 0.5) / 8)
    assert found.prelabel is None


def test_a_ground_truth_goes_before_a_second_opinion() -> None:
    labels = [given(1, 1, "Nice"), given(1, 2, "Nice"), given(1, 3, arm=None, true=True)]
    found = right([*labels, given(2, 1), given(2, 3, arm=None, true=True)])
    assert found.blind and found.blind.value == pytest.approx(0.75)
    assert found.cheques == (2, 0)


def test_who_does_a_cheque_twice_is_no_second_opinion() -> None:
    again = TimedAnnotation(1, 99, 1, 30.0, 500.0, "blind", True, values=TRUE)
    assert right([given(1, 1, "Nice"), again]).cheques == (0, 0)
    # The later of two labels by the same person is what that person says.
    found = right([given(1, 1, "Nice"), given(1, 2), again, given(2, 1), given(2, 2)])
    assert found.blind and found.blind.value == 1.0


def test_both_arms_are_compared() -> None:
    blind = [given(task, who) for task in range(4) for who in (1, 2)]
    shown = [given(task, who, "Nice" if who == 2 else "Lyon", "prelabel") for task in range(4, 8) for who in (1, 2)]
    found = right(blind + shown)
    assert found.cheques == (4, 4)
    assert found.blind and found.prelabel and found.blind.value == 1.0 and found.prelabel.value == 0.5


def test_a_ground_truth_that_came_through_the_api_is_kept_for_the_page(tmp_path: Path) -> None:
    """It stands in no arm; without its values every label would agree with it."""
    draw = Draw(Store(tmp_path), 7, salt="fixed")
    task = next(n for n in range(1, 200) if draw.place(n, noise(n)).arm == "blind")
    studio = FakeStudio()
    common = {"task": task, "image": "", "updated_at": "2026-03-01T10:00:00Z", "created_at": "2026-03-01T10:00:00Z"}
    by_hand = Label(annotation=1, values={"lieu": "Nice"}, seconds=9.0, annotator=1, offered=True, **common)  # type: ignore[arg-type]
    true = Label(annotation=2, values={"lieu": "Lyon"}, annotator=2, imported=True, ground_truth=True, **common)  # type: ignore[arg-type]
    studio.put(by_hand, true)
    annotations = Annotations(Store(tmp_path), 1)
    annotations.refresh(studio, read_config(XML), draw.get, lambda: 2)  # type: ignore[arg-type]
    kept = {one.annotation: one.values for one in annotations.work()}
    assert kept == {1: {"lieu": "Nice"}, 2: {"lieu": "Lyon"}}
    assert right(annotations.work()).cheques == (1, 0)


def place(u: float, exam: float = 0.2, labelled: bool = False) -> Place:
    role = "exam" if u < exam else "lesson"
    arm = None if role == "lesson" or labelled else "blind" if u < exam / 2 else "prelabel"
    return Place("1", u, role, arm, "", "", exam, exam / 2)  # type: ignore[arg-type]


def test_the_share_is_drawn_from_both_halves_of_the_exam_and_from_no_lesson() -> None:
    places = [place(0.1234567 + number * 1.7e-6) for number in range(-70_000, 90_000, 20)]
    wanted = [one for one in places if wants_second(one, 0.25)]
    for arm in ("blind", "prelabel"):
        half = [one for one in places if one.arm == arm]
        assert sum(one.arm == arm for one in wanted) / len(half) == pytest.approx(0.25, abs=0.03)
    early = [one.turn < 0.5 for one in wanted]
    assert 0.4 < sum(early) / len(early) < 0.6, "early and late cheques alike"
    assert {one.role for one in wanted} == {"exam"}
    assert not wants_second(place(0.05, labelled=True), 1.0) and not wants_second(None, 1.0)
    assert not any(wants_second(one, 0.0) for one in places)
    assert set(wanted) <= {one for one in places if wants_second(one, 0.5)}


def region(text: str) -> dict[str, object]:
    value = {"from_name": "lieu", "to_name": "image", "type": "textarea", "value": {"text": [text]}}
    return value | {"id": "lieu", "origin": "manual"}


@pytest.mark.integration
def test_label_studio_gives_the_chosen_cheques_to_two_people_and_the_others_to_one(label_studio: LabelStudio) -> None:
    studio = label_studio.client
    project = studio.create_project("second", XML).id
    tasks = studio.import_tasks(project, [{"image": f"/data/local-files/?d=c{number}.png"} for number in range(4)])
    config = read_config(XML)
    prediction = {"model_version": "v1", "score": 0.5, "result": [region("Lyon")]}
    studio.import_predictions(project, [{"task": task, **prediction} for task in tasks])
    studio.serve(project, "v1")
    studio.annotate(tasks[0], [region("Lyon")], lead_time=20.0)
    chosen = {tasks[0], tasks[1]}
    assert studio.ask_second(project, chosen.__contains__) == 2
    assert studio.ask_second(project, chosen.__contains__) == 0, "again it changes nothing"
    about = studio.project(project)
    assert about.annotations_a_task == 1, "or begun tasks would go before uncertain ones"
    studio.annotate(tasks[1], [region("Lyon")], lead_time=20.0)
    studio.annotate(tasks[2], [region("Lyon")], lead_time=20.0)

    def waits(task: int) -> bool:
        return not studio._get(f"/api/tasks/{task}").json()["is_labeled"]

    assert {task for task in tasks if waits(task)} == {tasks[0], tasks[1], tasks[3]}
    # Who has done a task is not given it again.
    mine = studio.next_task(project)
    assert mine and mine["id"] == tasks[3]
    user = studio._sdk.users.create(email="second@example.com", username="second")
    studio.annotate(tasks[0], [region("Nice")], lead_time=20.0, completed_by=user.id)
    assert not waits(tasks[0]) and waits(tasks[1])
    assert [task.labelled for task in studio.tasks(project, config)] == [True, True, True, False]
