"""A backup brings everything back that nobody can make again: the same champion, the same draw, the same records."""

from __future__ import annotations

import json
import multiprocessing
import tarfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from cheques.planted import Planted
from store import tables
from store.backup import KEPT, BadBackup, backup, restore
from store.blind_readings import BlindReading, note_blind_reading
from store.database import Store
from store.draw import Draw
from store.planted import note_planted
from store.projects import images_of, join, own_settings, set_settings
from store.training_history import Training, note_training
from store.versions import Versions
from tests.backend_parts import noise
from tests.store_parts import PostgreSQL
from tests.test_trainer_versions import add

FORK = multiprocessing.get_context("fork")


def filled(store: Store) -> None:
    join(store, 7)
    set_settings(store, 7, {"retrain_every": "30", "strategy": "random"})
    draw = Draw(store, 7)
    images_of(store, 7).mkdir(parents=True)
    for task in range(20):
        noise(task).save(images_of(store, 7) / f"{draw.place(task, noise(task)).digest}.png")
    note_blind_reading(store, 7, BlindReading("3", "base", {"lieu": "Lyon \ud800"}, {"lieu": 0.5}))
    note_planted(store, 7, [Planted("4", "v1", "lieu", "Lyon", "Dijon")])
    note_training(store, 7, Training({1: "a"}, "promoted", "v1"))
    versions = Versions(store, 7)
    add(versions)
    add(versions, weights=b"better")
    add(versions, "rejected")
    versions.rollback(why="worse on Mondays")


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.look() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in KEPT
        }


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = request.getfixturevalue("postgresql").database() if request.param == "postgresql" else None
    return Store(tmp_path / "other", url)


def test_it_comes_back_on_either_database_and_goes_on(store: Store, other: Store, tmp_path: Path) -> None:
    filled(store)
    told = backup(store, tmp_path / "all.tar")
    assert restore(other, tmp_path / "all.tar") == told and told["place"] == 20 and told["version"] == 3
    assert rows(other) == rows(store)
    versions, draw = Versions(other, 7), Draw(other, 7)
    champion = versions.champion()
    assert champion and champion.name == "v1" and champion.path.is_relative_to(other.files)
    assert own_settings(other, 7) == {"retrain_every": 30, "strategy": "random"}
    known = Draw(store, 7)
    assert draw.places() == known.places() and draw.salt == known.salt
    images = sorted(f"{place.digest}.png" for place in known.places())
    assert sorted(path.name for path in images_of(other, 7).iterdir()) == images
    assert draw.place(99, noise(99)) == known.place(99, noise(99)), "who comes later is drawn the same"
    assert add(versions).name == "v4"
    assert {path.name for path in images_of(other, 7).iterdir()} == {
        path.name for path in images_of(store, 7).iterdir()
    }


def test_caches_are_left_out(store: Store, tmp_path: Path) -> None:
    filled(store)
    backup(store, tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = set(archive.getnames())
    assert not {f"tables/{table.name}.jsonl" for table in tables.CACHES} & names
    assert {f"tables/{table.name}.jsonl" for table in KEPT} <= names


@pytest.mark.slow
def test_while_versions_come_and_go_it_is_of_one_moment(store: Store, tmp_path: Path) -> None:
    filled(store)
    busy = FORK.Process(target=come_and_go, args=(store,))
    busy.start()
    try:
        for turn in range(5):
            time.sleep(0.2)
            backup(store, tmp_path / f"{turn}.tar")
    finally:
        busy.kill()
        busy.join()
    for turn in range(5):
        again = Store(tmp_path / f"again-{turn}")
        restore(again, tmp_path / f"{turn}.tar")
        versions = Versions(again, 7)
        assert all(version.problem() is None for version in versions.list())
        champion = versions.champion()
        assert versions.pointer().champion == (champion and champion.name)


def come_and_go(store: Store) -> None:
    versions = Versions(store, 7)
    while True:
        add(versions, weights=b"x" * 100_000)
        versions.rollback()


def test_a_store_that_holds_something_is_left_alone(store: Store, tmp_path: Path) -> None:
    filled(store)
    backup(store, tmp_path / "all.tar")
    before = rows(store)
    with pytest.raises(BadBackup, match="not empty"):
        restore(store, tmp_path / "all.tar")
    assert rows(store) == before


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "another release"])
def test_what_is_no_backup_is_one_line_and_nothing_is_brought(tmp_path: Path, damage: str) -> None:
    filled(Store(tmp_path / "home"))
    path = tmp_path / "all.tar"
    backup(Store(tmp_path / "home"), path)
    content = path.read_bytes()
    if damage == "another release":
        content = content.replace(b'"tables": "0001"', b'"tables": "0000"')
    path.write_bytes({"cut": content[: len(content) // 3], "text": b"no archive", "empty": b""}.get(damage, content))
    other = Store(tmp_path / "other")
    with pytest.raises(BadBackup, match="another release" if damage == "another release" else "no backup"):
        restore(other, path)
    assert not any(rows(other).values())


@pytest.mark.parametrize("name", ["files/../../outside", "/outside", "files/link"])
def test_what_leads_out_of_the_home_is_refused(tmp_path: Path, name: str) -> None:
    filled(Store(tmp_path / "home"))
    path = tmp_path / "all.tar"
    backup(Store(tmp_path / "home"), path)
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo(name)
        if name.endswith("link"):
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(member)
    other = Store(tmp_path / "deep" / "other")
    if name.startswith("files/"):
        with pytest.raises(BadBackup, match="no backup"):
            restore(other, path)
        assert not any(rows(other).values())
    else:
        restore(other, path)  # nothing but what lies below files/ is looked at
    assert not list(tmp_path.rglob("outside")) and not Path("/outside").exists()


def test_a_full_disk_leaves_the_last_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = Store(tmp_path / "home"), tmp_path / "all.tar"
    filled(store)
    backup(store, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.backup.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        backup(store, path)
    assert path.read_bytes() == before and list(tmp_path.glob(".all*")) == []


def test_killed_half_way_it_can_be_called_again(tmp_path: Path) -> None:
    filled(Store(tmp_path / "home"))
    backup(Store(tmp_path / "home"), tmp_path / "all.tar")
    other = Store(tmp_path / "other")
    for delay in (0.0, 0.01, 0.02, 0.05, 0.1, 0.2):
        process = FORK.Process(target=restore, args=(other, tmp_path / "all.tar"))
        process.start()
        time.sleep(delay)
        process.kill()
        process.join()
        if any(rows(other).values()):
            break
    else:
        restore(other, tmp_path / "all.tar")
    assert rows(other) == rows(Store(tmp_path / "home"))
    assert all(version.problem() is None for version in Versions(other, 7).list())


def test_the_archive_is_the_owners_alone(tmp_path: Path, postgresql: PostgreSQL) -> None:
    store = Store(tmp_path / "home", postgresql.database())
    filled(store)
    backup(store, tmp_path / "all.tar")
    assert (tmp_path / "all.tar").stat().st_mode & 0o077 == 0
    with tarfile.open(tmp_path / "all.tar") as archive:
        about = archive.extractfile("chequemate-backup.json")
        assert about and set(json.load(about)) == {"made", "tables"}
