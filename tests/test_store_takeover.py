"""A home of the release before the store, with 60 labels: same exam, same champion, same savings before and after."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from chequemate.cli import app
from cheques.settings import Settings, settings
from store import tables
from store.blind_readings import blind_readings
from store.database import Store
from store.draw import Draw
from store.planted import PlantedRecord
from store.projects import images_of, served
from store.takeover import ASIDE
from store.training_history import trainings
from store.versions import Versions

# Made by commit c794ea8: a demo with planted errors, 60 labels by `simulate`. Its weights are cut short, with digests
# written again, and the images of labelled cheques left out; savings.json is what that commit said of export.json.
OLD = Path(__file__).parent / "data" / "home-before-the-store"
PROJECT = 1
FORK = multiprocessing.get_context("fork")


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (OLD / "home" / "projects" / "1" / name).read_text().splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shutil.copytree(OLD / "home", tmp_path / "home")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def taken(request: pytest.FixtureRequest, home: Path) -> Store:
    """Not yet taken over: the first look does that."""
    url = request.getfixturevalue("postgresql").database() if request.param == "postgresql" else None
    return Store(home, url)


def test_the_same_exam_champion_and_records(taken: Store) -> None:
    draw = Draw(taken, PROJECT)
    salt, *drawn = lines("draw.jsonl")
    assert draw.salt == salt["salt"]
    assert [vars(place) for place in draw.places()] == drawn
    pointer = json.loads((OLD / "home" / "versions" / "1" / "champion").read_text())
    versions = Versions(taken, PROJECT)
    champion = versions.champion()
    assert champion and champion.name == pointer["champion"] and champion.problem() is None
    assert list(versions.pointer().history) == pointer["history"]
    assert [version.name for version in versions.list()] == sorted(
        path.name for path in (OLD / "home" / "versions" / "1").glob("v*")
    )
    assert [one.values for one in blind_readings(taken, PROJECT)] == [line["values"] for line in lines("said.jsonl")]
    record = PlantedRecord.of(taken, PROJECT)
    assert lines("planted.jsonl") and all(
        line in [vars(one) for one in record.get(str(line["task"]))] for line in lines("planted.jsonl")
    )
    assert [one.version for one in trainings(taken, PROJECT)] == [line["version"] for line in lines("attempts.jsonl")]
    assert served(Settings(home=taken.home)) == ([PROJECT] if taken.is_sqlite else [])


def test_the_next_version_has_the_next_number(taken: Store) -> None:
    from tests.test_trainer_versions import add

    last = Versions(taken, PROJECT).list()[-1].number
    assert add(Versions(taken, PROJECT)).number == last + 1


def test_the_old_files_are_kept_aside_and_only_once(taken: Store) -> None:
    Draw(taken, PROJECT)
    aside = taken.home / ASIDE
    assert (aside / "projects" / "1" / "draw.jsonl").read_text() == (
        OLD / "home" / "projects" / "1" / "draw.jsonl"
    ).read_text()
    assert not (taken.home / "projects" / "1" / "draw.jsonl").exists()
    assert (taken.home / "versions" / "1" / "v1" / "adapter").is_dir()
    before = sorted(path.relative_to(aside) for path in aside.rglob("*"))
    Draw(Store(taken.home, taken.url), PROJECT)
    assert sorted(path.relative_to(aside) for path in aside.rglob("*")) == before


@pytest.fixture
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(home))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_same_savings(environment: None, tmp_path: Path) -> None:
    out = tmp_path / "savings.json"
    words = ["savings", "--project", str(PROJECT), "--export", str(OLD / "export.json"), "--json", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text()) == json.loads((OLD / "savings.json").read_text())


def test_killed_half_way_it_is_taken_over_all_the_same(home: Path) -> None:
    for delay in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
        process = FORK.Process(target=Draw, args=(Store(home), PROJECT))
        process.start()
        time.sleep(delay)
        process.kill()
        process.join()
    store = Store(home)
    assert len(Draw(store, PROJECT).places()) == len(lines("draw.jsonl")) - 1
    assert len(blind_readings(store, PROJECT)) == len(lines("said.jsonl"))
    assert not (home / "projects" / "1" / "draw.jsonl").exists() and (home / ASIDE).is_dir()


def test_damaged_lines_cost_themselves_alone(home: Path) -> None:
    folder = home / "projects" / "1"
    damage = b'{"task": "5", "val{"torn": 1}\n[]\n{"task": "of another release"}\n' + '{"task": "9", "é'.encode()[:-1]
    for name in ("draw.jsonl", "said.jsonl", "attempts.jsonl", "planted.jsonl", "sights.jsonl"):
        with (folder / name).open("ab") as file:
            file.write(damage)
    (folder / "project.json").write_text("{}")
    store = Store(home)
    assert len(Draw(store, PROJECT).places()) == len(lines("draw.jsonl")) - 1
    assert len(blind_readings(store, PROJECT)) == len(lines("said.jsonl"))
    assert len(trainings(store, PROJECT)) == len(lines("attempts.jsonl"))


def test_readings_are_brought_along_and_a_damaged_file_of_them_is_left(home: Path) -> None:
    (home / "readings.sqlite").write_bytes(b"no database at all" * 100)
    assert Versions(Store(home), PROJECT).champion()
    assert (home / ASIDE / "readings.sqlite").exists()


def test_a_home_without_anything_old_is_left_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    images_of(store, 7).mkdir(parents=True)
    Draw(store, 7)
    assert not (tmp_path / ASIDE).exists()
    with store.look() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.mark)).scalar_one() == 0
