"""What the reader would have said on blind cheques is kept, whatever it said."""

from __future__ import annotations

from backend.dashboard.exam import blind_values
from store.blind_readings import BlindReading, blind_readings, note_blind_reading
from store.database import Store


def reading(task: str, name: str = "Zoé", version: str = "base") -> BlindReading:
    return BlindReading(task, version, {"beneficiaire": name}, {"beneficiaire": 0.5})


def test_they_come_back_as_they_were_said_and_project_by_project(store: Store) -> None:
    note_blind_reading(store, 7, reading("4"))
    note_blind_reading(store, 8, reading("4", "Ada"))
    note_blind_reading(store, 7, reading("6"))
    assert blind_readings(store, 7) == [reading("4"), reading("6")]


def test_what_no_file_could_hold_is_kept(store: Store) -> None:
    for name in ("Zoé\u2028\x85", "\ud83d", "a\0b", ""):  # half a character, and what ends a text elsewhere
        note_blind_reading(store, 7, reading("4", name))
    assert [one.values["beneficiaire"] for one in blind_readings(store, 7)] == ["Zoé\u2028\x85", "\ud83d", "a\0b", ""]


def test_the_version_that_was_in_service_counts(store: Store) -> None:
    for version, name in (("base", "Ada"), ("v1", "Zoé"), ("v2", "Eve")):
        note_blind_reading(store, 7, reading("4", name, version))
    readings = blind_readings(store, 7)
    assert blind_values(readings, {4: "v1"}.get) == {4: {"beneficiaire": "Zoé"}}
    assert blind_values(readings, {}.get) == {4: {"beneficiaire": "Eve"}}
