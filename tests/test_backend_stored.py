"""Stored readings: a cache that may be damaged or deleted without harm."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reader.reading import Reading
from store.reading_cache import Key, Stored

READING = Reading(
    {"lieu": "Nîmes"}, {"lieu": 0.75}, embedding=(0.125, 1.0), notes=("pale",), evidence={"lieu": {"a": 1.0}}
)
KEY = Key.of("7", "1", "/data/a.png", "base", "form")


def test_what_is_put_is_got_also_after_a_restart(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}
    stored.close()
    assert Stored(tmp_path).get([KEY]) == {KEY: READING}


@pytest.mark.parametrize(
    "other",
    [
        Key.of("8", "1", "/data/a.png", "base", "form"),
        Key.of("7", "2", "/data/a.png", "base", "form"),
        Key.of("7", "1", "/data/b.png", "base", "form"),
        Key.of("7", "1", "/data/a.png", "v1", "form"),
        Key.of("7", "1", "/data/a.png", "base", "other"),
    ],
)
def test_another_project_task_image_version_or_form_is_another_reading(tmp_path: Path, other: Key) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    assert stored.get([other]) == {}


def test_what_older_versions_read_is_forgotten(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    keys = [Key.of(project, "1", "u", version, "f") for project in ("7", "8") for version in ("base", "v1", "v2")]
    stored.put(dict.fromkeys(keys, READING))
    stored.forget("7", ("v1", "v2"))
    assert [(key.project, key.version) for key in stored.get(keys)] == [
        ("7", "v1"),
        ("7", "v2"),
        ("8", "base"),
        ("8", "v1"),
        ("8", "v2"),
    ]


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "readings.sqlite").write_bytes(b"no database at all" * 100)
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}


def test_a_file_deleted_under_way_loses_nothing_but_what_it_held(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    for path in tmp_path.glob("readings.sqlite*"):
        path.unlink()
    stored.get([KEY])
    stored.put({KEY: READING})
    stored.close()
    assert Stored(tmp_path).get([KEY]) in ({}, {KEY: READING})


def test_a_file_damaged_under_way_is_begun_anew(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    stored.close()
    content = (tmp_path / "readings.sqlite").read_bytes()
    (tmp_path / "readings.sqlite").write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    assert stored.get([KEY]) == {}
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}


def test_on_a_full_disk_what_is_stored_stays_and_nothing_is_raised(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    connection = stored._connection
    assert connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    more = {Key.of("7", str(task), "u", "base", "form"): READING for task in range(2, 200)}
    stored.put(more)
    assert stored.get([KEY, *more]) == {KEY: READING}, "nothing of a batch that had no room, all of what was there"
    stored.forget("7", ("base",))
    connection.execute("PRAGMA max_page_count = 100000")
    stored.put(more)
    assert len(stored.get([KEY, *more])) == 199


def test_a_file_that_somebody_else_holds_is_left_alone(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    assert stored._connection
    stored._connection.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(stored.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        stored.forget("7", ())
        stored.put({Key.of("7", "2", "u", "base", "form"): READING})
    assert stored.get([KEY, Key.of("7", "2", "u", "base", "form")]) == {KEY: READING}


def test_a_file_that_cannot_be_made_costs_the_cache_alone(tmp_path: Path) -> None:
    (tmp_path / "readings.sqlite").mkdir()
    stored = Stored(tmp_path)
    stored.put({KEY: READING})
    stored.forget("7", ())
    assert stored.get([KEY]) == {}
    (tmp_path / "readings.sqlite").rmdir()
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}


def test_half_a_character_can_be_stored_and_asked_for(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    key = Key.of("7", "1", "/\ud800.png", "base", "form")
    stored.put({key: Reading({"lieu": "\ud800"}, {})})
    assert stored.get([key])[key].values == {"lieu": "\ud800"}
