"""Readings become predictions, each once, in the order in which people shall see them."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from cheques.settings import Settings
from store import tables
from store.database import Store
from store.draw import Draw
from studio.client import StoredPrediction
from studio.config import Config
from tests.backend_parts import drawn, noise
from tests.worker_parts import CONFIG, FakeBackend, FakeStudio, Killed, own_score
from worker import prelabelling
from worker.backend_client import VersionChanged
from worker.prelabelling import Pile, Prelabelled


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    return drawn(tmp_path, range(1, 81))


@pytest.fixture
def studio() -> FakeStudio:
    studio = FakeStudio()
    studio.add_tasks(range(1, 61))
    return studio


PLAIN = replace(CONFIG, hints=False)


def run(
    studio: FakeStudio,
    draw: Draw,
    backend: FakeBackend | None = None,
    version: str = "base",
    config: Config = PLAIN,
    **about: object,
) -> Prelabelled:
    backend = backend or FakeBackend(version)
    settings = Settings(**about)  # type: ignore[arg-type]
    pile = Pile(studio, 7, config, draw, backend, version, settings, lambda **_: None)  # type: ignore[arg-type]
    done = pile.prelabelled()
    studio.serve(7, version)
    return done


def roles(draw: Draw, tasks: list[int]) -> str:
    return "".join("E" if (place := draw.get(task)) and place.role == "exam" else "." for task in tasks)


def test_every_task_gets_one_prediction_and_comes_at_its_turn(studio: FakeStudio, draw: Draw) -> None:
    done = run(studio, draw)
    assert done == Prelabelled(read=60, moved=0, predicted=60, unreadable=0, illegible=(), waiting=0, last_task=60)
    served = studio.queue()
    exam = roles(draw, served).count("E")
    assert 5 <= exam <= 20
    assert roles(draw, served).startswith(".E" * exam)  # every second one, until they run out
    lessons = [task for task in served if roles(draw, [task]) == "."]
    assert lessons == sorted(lessons, key=lambda task: (own_score(task), task))  # the least certain first
    examined = [draw.get(task) for task in served if roles(draw, [task]) == "E"]
    turns = [place.turn for place in examined if place]
    assert turns == sorted(turns)


def test_a_blind_cheque_has_a_score_and_shows_nothing(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    blind = {int(place.task) for place in draw.places() if place.arm == "blind"} & set(studio.tasks_)
    assert {task.id for task in studio.tasks_.values() if task.stored[0].empty} == blind != set()


def test_running_again_does_nothing(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    studio.writes.clear()
    backend = FakeBackend()
    done = run(studio, draw, backend)
    assert (done.read, done.moved, done.predicted) == (0, 0, 60)
    assert studio.writes == ["serve"] and backend.asked == []  # serve is this test's own


@pytest.mark.parametrize("killed_after", [0, 1, 17, 59])
def test_killed_in_the_middle_it_finishes_without_duplicates(studio: FakeStudio, draw: Draw, killed_after: int) -> None:
    whole = FakeStudio()
    whole.add_tasks(range(1, 61))
    run(whole, draw)
    studio.writes_until_killed = killed_after
    with pytest.raises(Killed):
        run(studio, draw)
    studio.writes_until_killed = 10**9
    done = run(studio, draw)
    assert done.read == 60 - killed_after
    assert all(len(task.stored) == 1 for task in studio.tasks_.values())
    assert studio.queue() == whole.queue()


def test_a_new_version_reads_all_again_and_keeps_what_people_may_have_open(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    for task in studio.queue()[:10]:
        studio.annotate(task)
    run(studio, draw, version="v1")
    left = [task for task in studio.tasks_.values() if not task.labelled]
    assert len(left) == 50
    # A prediction that somebody has open must not vanish: Label Studio would refuse what they submit.
    assert all([stored.version for stored in task.stored] == ["base", "v1"] for task in left)
    assert set(studio.queue()) == {task.id for task in left}


def test_new_tasks_are_read_alone_and_take_their_place(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    before = studio.queue()
    studio.add_tasks(range(61, 71))
    backend = FakeBackend()
    done = run(studio, draw, backend)
    assert done.read == 10 and set(backend.asked) == set(range(61, 71))
    served = studio.queue()
    lessons = [task for task in served if roles(draw, [task]) == "."]
    came = {task: place for place, task in enumerate([*before, *range(61, 71)])}
    assert lessons == sorted(lessons, key=lambda task: (own_score(task), came[task]))
    assert done.moved < 40


def test_far_behind_nothing_moves_for_a_new_label(
    studio: FakeStudio, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is planned exactly as far as people get before it is planned again; each move is a request."""
    monkeypatch.setattr(prelabelling, "FRONT", 10)
    chance = random.Random(1)
    embeddings = {task: tuple(chance.gauss(0, 1) for _ in range(8)) for task in range(1, 81)}
    run(studio, draw, FakeBackend(embeddings=embeddings), strategy="active")
    before = studio.queue()
    for task in before[:3]:
        studio.annotate(task)
    studio.add_tasks([61])
    run(studio, draw, FakeBackend(embeddings=embeddings), strategy="active")
    after = studio.queue()
    assert sorted(after) == sorted({*before[3:], 61})
    behind = [task for task in after[10:] if task != 61]
    assert behind == [task for task in before if task in behind]


def test_exam_cheques_that_wait_for_a_second_annotator_stay_in_the_order(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw, second_share=1.0)
    exam = [task for task in studio.queue() if roles(draw, [task]) == "E"][:3]
    lesson = next(task for task in studio.queue() if roles(draw, [task]) == ".")
    for task in [*exam, lesson]:
        studio.annotate(task)
    run(studio, draw, version="v1", second_share=1.0)
    held = {task for task, one in studio.tasks_.items() if one.stored[-1].version == "v1"}
    assert set(exam) <= held and lesson not in held
    blind = {int(place.task) for place in draw.places() if place.arm == "blind"}
    assert {task for task in exam if studio.tasks_[task].stored[-1].empty} == blind & set(exam)


def test_live_answers_are_put_in_their_turn(studio: FakeStudio, draw: Draw) -> None:
    """What Label Studio asked for itself has the score of its confidence, the exam too."""
    for task in list(studio.tasks_.values()):
        studio.tasks_[task.id] = replace(task, stored=(StoredPrediction(task.id, "base", own_score(task.id), False),))
    done = run(studio, draw)
    assert done.read == 0 and done.moved > 0
    assert roles(draw, studio.queue()).startswith(".E.E.E")


def test_gaps_are_filled(studio: FakeStudio, draw: Draw) -> None:
    studio.tasks_[5] = replace(studio.tasks_[5], stored=(StoredPrediction(5, "pending", 0.0, True),))
    run(studio, draw)
    assert [stored.version for stored in studio.tasks_[5].stored] == ["pending", "base"]


def test_unreadable_cheques_come_last_and_are_not_read_again(studio: FakeStudio, tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path / "other"), 7, salt="fixed")
    for number in set(range(1, 61)) - {3, 4}:
        draw.place(number, noise(number))
    done = run(studio, draw, FakeBackend(unreadable=frozenset({3, 4})))
    assert done.unreadable == 2
    assert studio.queue()[-2:] == [3, 4]
    assert studio.tasks_[3].stored[0].empty
    assert run(studio, draw).read == 0


def test_what_cannot_be_read_now_is_left_for_later(studio: FakeStudio, draw: Draw) -> None:
    done = run(studio, draw, FakeBackend(away=frozenset({3, 4})))
    assert (done.read, done.waiting) == (58, 2)
    assert studio.tasks_[3].stored == ()
    assert run(studio, draw).read == 2


def test_another_version_in_service_stops_it(studio: FakeStudio, draw: Draw) -> None:
    with pytest.raises(VersionChanged):
        run(studio, draw, FakeBackend("v2"), version="v1")
    assert studio.writes == []


@pytest.mark.slow
def test_after_forty_exam_labels_every_fifth_is_an_exam_cheque(tmp_path: Path) -> None:
    studio, draw = FakeStudio(), drawn(tmp_path, range(1, 401))
    studio.add_tasks(range(1, 401))
    exam = [task for task in studio.tasks_ if roles(draw, [task]) == "E"]
    for task in exam[:40]:
        studio.annotate(task)
    run(studio, draw)
    assert roles(draw, studio.queue()).startswith("....E....E....E")


def test_the_doubtful_fields_are_named_but_never_on_a_blind_cheque(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw, config=CONFIG, doubt=0.5)
    hints = {task.id: task.hint for task in studio.tasks_.values()}
    blind = {int(place.task) for place in draw.places() if place.arm == "blind"}
    for task, hint in hints.items():
        assert hint == ("À vérifier : Lieu" if own_score(task) < 0.5 and task not in blind else "")
    studio.writes.clear()
    run(studio, draw, config=CONFIG, doubt=0.5)
    assert studio.writes == ["serve"]  # nothing is said twice


def test_a_configuration_without_a_place_for_hints_gets_none(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    assert "hint" not in studio.writes


def test_what_is_labelled_covers_what_looks_like_it(studio: FakeStudio, draw: Draw) -> None:
    """Two kinds of cheques, equally uncertain: after labels of the one kind the other comes first."""
    backend = FakeBackend(embeddings={task: (float(task % 2), 1 - task % 2, task / 1000) for task in range(1, 81)})
    run(studio, draw, replace(backend, flat=True), strategy="active")
    lessons = [task for task in studio.queue() if roles(draw, [task]) == "."]
    assert [task % 2 for task in lessons[:2]] in ([0, 1], [1, 0])
    for task in [task for task in lessons if task % 2][:8]:
        studio.annotate(task)
    studio.add_tasks(range(61, 71))
    run(studio, draw, replace(backend, flat=True), strategy="active")
    lessons = [task for task in studio.queue() if roles(draw, [task]) == "."]
    assert lessons[0] % 2 == 0


def test_readings_without_any_signal_are_listed_and_come_last(studio: FakeStudio, draw: Draw) -> None:
    studio.add_tasks([73])  # of which nothing is read with more than 1 % confidence
    done = run(studio, draw)
    lessons = [task for task in studio.queue() if roles(draw, [task]) == "."]
    assert done.illegible == (73,) and lessons[-1] == 73


def test_a_lost_cache_is_made_again(studio: FakeStudio, draw: Draw) -> None:
    run(studio, draw)
    before = studio.queue()
    with draw.store.begin() as connection:
        connection.execute(tables.sight.delete())
    backend = FakeBackend()
    done = run(studio, draw, backend)
    assert len(backend.asked) == 60 and (done.read, done.moved) == (0, 0) and studio.queue() == before


def test_an_image_that_was_put_right_is_read_and_shown(studio: FakeStudio, tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path / "other"), 7, salt="fixed")
    for number in range(1, 61):
        draw.place(number, noise(number))
    one, other = [task for task in range(1, 61) if roles(draw, [task]) == "."][:2]
    backend = FakeBackend(unreadable=frozenset({one, other}))
    run(studio, draw, backend)
    assert {task: (found.why, found.reason) for task, found in backend.unread.items()} == {
        one: ("unreadable", "why"),
        other: ("unreadable", "why"),
    }
    studio.writes.clear()
    backend = FakeBackend(unreadable=frozenset({other}))
    run(studio, draw, backend)
    assert set(backend.unread) == {other} and studio.writes.count("rewrite") == 1
    assert one not in studio.queue()[-2:] and studio.queue()[-1] == other
    studio.writes.clear()
    # Killed between reading and writing, it writes what is left at the next run.
    backend, studio.writes_until_killed = FakeBackend(), 0
    with pytest.raises(Killed):
        run(studio, draw, backend)
    studio.writes_until_killed = 10**9
    run(studio, draw, FakeBackend())
    assert studio.writes.count("rewrite") == 1
