"""Kept readings: a cache that may be deleted without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from reader.reading import Reading
from store import tables
from store.database import Store
from store.reading_cache import Key, ReadingCache

READING = Reading(
    {"lieu": "Nîmes"}, {"lieu": 0.75}, embedding=(0.125, 1.0), notes=("pale",), evidence={"lieu": {"a": 1.0}}
)
KEY = Key.of("7", "1", "/data/a.png", "base", "form")


def test_what_is_put_is_got_also_after_a_restart(store: Store) -> None:
    stored = ReadingCache(store)
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}
    assert ReadingCache(store).get([KEY]) == {KEY: READING}


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
def test_another_project_task_image_version_or_form_is_another_reading(store: Store, other: Key) -> None:
    stored = ReadingCache(store)
    stored.put({KEY: READING})
    assert stored.get([other]) == {}


def test_what_older_versions_read_is_forgotten(store: Store) -> None:
    stored = ReadingCache(store)
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


def test_a_reading_of_another_release_is_read_again(store: Store) -> None:
    stored = ReadingCache(store)
    stored.put({KEY: READING})
    with store.begin() as connection:
        connection.execute(tables.reading.update().values(reading={"values": {}}))
    assert stored.get([KEY]) == {}
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}


def test_where_the_database_cannot_be_used_nothing_is_kept_and_nothing_raised(tmp_path: Path) -> None:
    (tmp_path / "chequemate.db").mkdir()
    stored = ReadingCache(Store(tmp_path))
    stored.put({KEY: READING})
    stored.forget("7", ())
    assert stored.get([KEY]) == {}
    (tmp_path / "chequemate.db").rmdir()
    stored.put({KEY: READING})
    assert stored.get([KEY]) == {KEY: READING}


def test_half_a_character_can_be_stored_and_asked_for(store: Store) -> None:
    stored = ReadingCache(store)
    key = Key.of("7", "1", "/\ud800.png", "base", "form")
    stored.put({key: Reading({"lieu": "\ud800"}, {})})
    assert stored.get([key])[key].values == {"lieu": "\ud800"}
