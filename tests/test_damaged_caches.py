"""A cache that is damaged anywhere costs what it held, never the work that looks into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backend.dashboard.annotations import FORMAT, Annotations
from reader.reading import Reading
from store import tables
from store.annotation_cache import update_annotation_copy
from store.database import Store
from store.marks import UNREAD, Unread, keep_unread, set_mark, unread
from store.reading_cache import Key, ReadingCache
from tests.backend_parts import FakeReader, client_of, predict, task
from tests.jobs_parts import World
from worker.jobs import prelabel, reconcile
from worker.queue import PRELABEL, RECONCILE

WHOLE = Reading({"lieu": "Nîmes"}, {"lieu": 0.75})
READINGS = ("{}", "[]", "null", "7", "not JSON", '{"values": {}}', '{"values": [], "confidence": 3, "embedding": 4}')


def write_over(store: Store, table: sa.Table, where: str = "1 = 1", **values: Any) -> None:
    """As nobody who writes rows would: texts and bytes just as they are."""
    named = ", ".join(f"{name} = :{name}" for name in values)
    with store.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table.name} SET {named} WHERE {where}"), values)


@pytest.mark.parametrize("damage", READINGS)
def test_a_damaged_reading_is_one_that_is_not_kept(store: Store, damage: str) -> None:
    kept, key = ReadingCache(store), Key.of("7", "1", "/a.png", "base", "form")
    kept.put({key: WHOLE})
    write_over(store, tables.reading, reading=damage)
    assert kept.get([key]) == {}
    kept.put({Key.of("7", "2", "/b.png", "base", "form"): WHOLE})
    assert kept.of_tasks(7, "base", "form", [1, 2]) == {2: WHOLE}


@pytest.mark.parametrize("damage", READINGS)
def test_a_cheque_whose_kept_reading_is_damaged_is_read_again(tmp_path: Path, damage: str) -> None:
    reader = FakeReader()
    client = client_of(tmp_path, lambda: reader, blind=False)
    (before,) = predict(client, [task(1)])
    write_over(Store(tmp_path), tables.reading, reading=damage)
    assert predict(client, [task(1)]) == [before]
    assert len(reader.batches) == 2


@pytest.mark.parametrize(
    "damage", [{"confidence": "not JSON"}, {"confidence": "[0.5]"}, {"confidence": "{}"}, {"confidence": '["x", 1]'}]
)
def test_a_damaged_note_for_the_order_costs_itself_alone(world: World, damage: dict[str, Any]) -> None:
    world.studio.add_tasks(range(10, 20))
    prelabel(7)
    write_over(Store(world.home), tables.sight, "task = '12'", **damage)
    world.backend.asked.clear()
    assert prelabel(7)["predicted"] == 10
    assert set(world.backend.asked) == {12}


def test_damaged_features_are_left_out(world: World) -> None:
    world.studio.add_tasks(range(10, 20))
    prelabel(7)
    write_over(Store(world.home), tables.sight, "task = '12'", features=b"AAA")
    assert prelabel(7)["predicted"] == 10


@pytest.mark.parametrize("damage", [[], None, 7, {}, {"labels": 12, "trainings": 0, "unread": 1}, {"at": "x"}])
def test_what_the_jobs_remember_may_be_damaged(world: World, damage: object) -> None:
    world.labelled(12)
    world.studio.add_tasks([20])
    prelabel(7)
    before = reconcile(7)["new"]
    for name in (RECONCILE, PRELABEL, UNREAD):
        set_mark(Store(world.home), 7, name, [damage] if damage is None else damage)
    assert reconcile(7)["new"] == before
    prelabel(7)
    assert reconcile(7)["why"] == ""


@pytest.mark.parametrize("damage", [[], {"prelabel": 7}, {"prelabel": [7]}, {"prelabel": [[1]]}])
def test_the_list_of_what_cannot_be_read_may_be_damaged(store: Store, damage: object) -> None:
    set_mark(store, 7, UNREAD, damage)
    assert unread(store, 7) == ()
    keep_unread(store, 7, "reconcile", [Unread(3, "unreadable", "why")])
    assert unread(store, 7) == (Unread(3, "unreadable", "why"),)


@pytest.mark.parametrize("damage", ["not JSON", "7", "[7]", '[{"task": 1}]'])
def test_the_pages_copy_of_the_annotations_may_be_damaged(store: Store, damage: str) -> None:
    update_annotation_copy(store, 7, FORMAT, "2026-01-01T00:00:00Z", {1: []}, ())
    write_over(store, tables.annotation, rows=damage)
    found = Annotations(store, 7)
    assert found.work() == [] and not found.known, "all is asked for again"
