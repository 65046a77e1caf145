"""Stored readings: a cache that may be damaged or deleted without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.stored import Key, Stored
from cheques.reading.reader import Reading

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
