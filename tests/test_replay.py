"""The replay: mail as unbalanced as real mail, cells that go on where they were, curves and their differences."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chequemate.cli import app
from chequemate.replay import cells_folder, resumable
from cheques.drawing.mail import COMMON, SHARES, mail
from cheques.fields import Form
from tests.backend_parts import FakeReader
from tests.jobs_parts import World
from trainer.dataset import Example
from trainer.recipe import LoraRecipe, TrainingError
from worker.curves import compared, reaches, sure_above_zero
from worker.replay import FIRST, Cell, Plan, labels_of, run

LABELS = (20, 80, 140, 200)


@pytest.mark.slow
def test_the_mail_is_unbalanced_and_the_same_for_the_same_seed() -> None:
    pieces = list(mail(3, 300))
    shares = {kind: count / 300 for kind, count in Counter(piece.kind for piece in pieces).items()}
    assert all(abs(shares[kind] - SHARES[kind]) < 0.08 for kind in SHARES)
    assert {piece.drawn.bank for piece in pieces if piece.kind == "common"} == set(COMMON)
    again = list(mail(3, 5))
    assert [one.drawn.image.tobytes() for one in again] == [one.drawn.image.tobytes() for one in pieces[:5]]


@pytest.mark.slow
def test_some_of_the_mail_is_written_twice_and_none_of_the_test() -> None:
    def twins(pieces: list[tuple[tuple[str, str], ...]]) -> int:
        return len(pieces) - len(set(pieces))

    assert 10 <= twins([tuple(sorted(piece.drawn.truth.items())) for piece in mail(3, 300)]) <= 60
    assert twins([tuple(sorted(piece.drawn.truth.items())) for piece in mail(4, 90, tuple(SHARES))]) <= 1


def curves(*rows: list[float]) -> np.ndarray:
    return np.array(rows)


def test_a_strategy_that_is_always_two_points_better_is_found_better() -> None:
    chance = curves([0.5, 0.6, 0.65, 0.7], [0.52, 0.61, 0.68, 0.72], [0.49, 0.6, 0.66, 0.69])
    noise = np.random.default_rng(1).normal(0, 0.002, chance.shape)
    better = chance + np.array([0, 0.04, 0.04, 0.04]) + noise
    tails = {"random": chance - 0.1, "active": chance - 0.06}
    found = compared({"random": chance, "active": better}, tails, LABELS)
    assert found["labels_to_match_random_tail"] == {"random": 200, "active": 140}
    assert found["labels_to_match_random"]["random"] == 200 and 120 < found["labels_to_match_random"]["active"] < 160
    low, high = found["labels_to_match_random_between"]["active"]
    assert low <= found["labels_to_match_random"]["active"] <= high <= 200
    assert found["beats_random"]["active"] > 0.99 and found["gain"]["active"]["mean_low"] > 0.02
    gain = found["difference"]["active"][2]
    assert gain["mean_low"] < 0.04 < gain["mean_high"] and gain["mean_low"] > 0
    assert found["area"]["active"] > found["area"]["random"]


def test_one_seed_has_no_interval_and_a_strategy_that_never_gets_there_says_so() -> None:
    one = {"random": curves([0.5, 0.6, 0.65, 0.7]), "diverse": curves([0.5, 0.5, 0.5, 0.69])}
    found = compared(one, one, LABELS)
    assert found["labels_to_match_random"]["diverse"] is None and found["beats_random"]["diverse"] is None
    assert found["curves"]["random"][0]["mean_low"] is None
    assert found["labels_to_match_random_between"]["diverse"] == [None, None]


def test_it_reaches_between_two_measured_numbers() -> None:
    assert reaches(np.array([0.5, 0.7]), (20, 80), 0.6) == 50
    assert reaches(np.array([0.5, 0.7]), (20, 80), 0.4) == 20
    assert reaches(np.array([0.5, 0.7]), (20, 80), 0.8) is None
    assert reaches(np.array([0.5, 0.7, 0.6, 0.7]), LABELS, 0.65) == 170  # a lucky bump is no arrival


def test_how_sure_a_gain_is() -> None:
    sure = sure_above_zero(np.array([0.02, 0.03, 0.025, 0.02]))
    unsure = sure_above_zero(np.array([0.02, -0.03, 0.025, -0.02]))
    assert sure is not None and unsure is not None and sure > 0.99 and unsure < 0.7


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(("random", "active"), (1,), (4, 6), 12, 6, 1, tmp_path)


@pytest.mark.slow
def test_cells_follow_one_another_and_are_not_done_twice(plan: Plan) -> None:
    """With the real model: the first cell is everybody's, the next ones add what their strategy chose."""
    first = run(plan, FIRST, 1, 4)
    active = run(plan, "active", 1, 6)
    random = run(plan, "random", 1, 6)
    assert set(first.chosen) < set(active.chosen) and set(first.chosen) < set(random.chosen)
    assert len(active.chosen) == len(random.chosen) == 6 == sum(active.kinds.values())
    assert 0 < active.mean <= 1 and 0 <= active.tail <= 1
    stamp = {path: path.stat().st_mtime_ns for path in plan.folder.iterdir()}
    assert run(plan, "active", 1, 6) == active
    assert {path: path.stat().st_mtime_ns for path in plan.folder.iterdir()} == stamp
    assert not [path for path in plan.folder.iterdir() if path.name.startswith("training")]


@pytest.mark.slow
def test_the_verb_goes_on_from_the_cells_that_are_there(tmp_path: Path) -> None:
    """Cells made elsewhere are taken as they are: the curves come from them, and nothing is trained."""
    folder = cells_folder(tmp_path, (8, 16), 40, 24, 1)
    for name, labels, mean in ((FIRST, 8, 0.5), ("random", 16, 0.6), ("active", 16, 0.7)):
        cell = Cell(name, 1, labels, mean, mean - 0.2, tuple(range(labels)), {"common": labels}, 1.0)
        (folder / f"{name}-1-{labels}.json").write_text(json.dumps(cell.__dict__))
    arguments = ["replay", "--quick", "--seeds", "1", "--out", str(tmp_path), "--json", str(tmp_path / "r.json")]
    done = CliRunner().invoke(app, [*arguments, "--plot", str(tmp_path / "r.svg")])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["labels_to_match_random"] == {"random": 16, "active": 12}
    assert "<svg" in (tmp_path / "r.svg").read_text()


def test_an_unknown_strategy_is_one_line() -> None:
    done = CliRunner().invoke(app, ["replay", "--strategies", "random,clever"])
    assert done.exit_code == 2 and "clever" in done.output


def test_a_project_that_cannot_be_is_not_taken_for_none() -> None:
    done = CliRunner().invoke(app, ["replay", "--project", "0"])
    assert done.exit_code == 2 and "--project" in done.output


def test_an_out_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["replay", "--quick", "--out", str(tmp_path / "file" / "cells")])
    assert done.exit_code == 2 and "give another folder" in done.output


def test_a_cell_that_is_killed_is_one_line() -> None:
    with pytest.raises(TrainingError, match="it goes on"), resumable():
        raise BrokenProcessPool("A process in the process pool was terminated abruptly")


def test_a_project_is_replayed_on_its_own_labels(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lessons are the pool, its exam judges and is never trained on; labels that come meanwhile change nothing."""
    trained: list[set[str]] = []

    def train(lessons: list[Example], form: Form, recipe: LoraRecipe, model: str, out: Path, **_: object) -> None:
        trained.append({one.id for one in lessons})
        (out / "adapter").mkdir(parents=True)

    world.labelled(40)
    monkeypatch.setattr("trainer.training.train", train)
    monkeypatch.setattr("worker.replay.the_reader", FakeReader)
    labels_of.cache_clear()
    _, lessons, exam = labels_of(7)
    ids = tuple(one.id for one in lessons), tuple(one.id for one in exam)
    plan = Plan(("random", "active"), (1,), (4, 8), len(lessons), len(exam), 1, tmp_path, 7, *ids)
    world.labelled(50)
    labels_of.cache_clear()
    cells = [run(plan, FIRST, 1, 4), run(plan, "random", 1, 8), run(plan, "active", 1, 8)]
    assert len(lessons) + len(exam) == 39 and exam  # one picture is damaged
    assert [len(one) for one in trained] == [4, 8, 8] and set().union(*trained) <= set(ids[0])
    assert all(0 <= cell.mean <= 1 and cell.tail is None and cell.kinds == {"labelled": cell.labels} for cell in cells)

    curves = {
        name: np.array([[cells[0].mean, cell.mean]]) for name, cell in zip(plan.strategies, cells[1:], strict=True)
    }
    found = compared(curves, None, plan.labels)
    assert "labels_to_match_random_tail" not in found and "tail" not in found["curves"]["active"][0]

    labels_of.cache_clear()
    world.studio.labels_.pop(int(ids[0][0]))
    (tmp_path / "active-1-8.json").unlink()
    with pytest.raises(TrainingError, match="gone since the replay began"):
        run(plan, "active", 1, 8)
