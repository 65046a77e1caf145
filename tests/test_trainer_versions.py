"""Versions can be promoted and taken back, and no kill and no full disk leaves a broken registry."""

import json
import multiprocessing
import random
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from store.database import Store, StoreError
from store.versions import WEIGHTS, Decision, Version, VersionError, Versions
from trainer.export_import import import_adapter


def add(versions: Versions, decision: Decision = "promoted", weights: bytes = b"weights", **more: object) -> Version:
    with versions.staging() as staging:
        (staging / "adapter").mkdir()
        (staging / "adapter" / WEIGHTS).write_bytes(weights)
        return versions.add(staging, Version("", "", staging, decision=decision, reasons=("why",), **more))  # type: ignore[arg-type]


@pytest.fixture
def versions(store: Store) -> Versions:
    return Versions(store, "7")


def champion(versions: Versions) -> str | None:
    serving = versions.champion()
    return serving and serving.name


def test_a_promoted_version_serves_and_a_rejected_one_does_not(versions: Versions) -> None:
    assert champion(versions) is None
    add(versions, labels=20, mean=0.5)
    add(versions, "rejected")
    assert champion(versions) == "v1"
    assert [(version.name, version.decision) for version in versions.list()] == [("v1", "promoted"), ("v2", "rejected")]
    assert versions.get("v1").adapter.name == "7/v1"
    assert (versions.get("v1").adapter.path / WEIGHTS).is_file()


def test_rollback_goes_back_one_by_one_and_at_last_to_the_base(versions: Versions) -> None:
    for _ in range(3):
        add(versions)
    names = [version and version.name for version in (versions.rollback(), versions.rollback(), versions.rollback())]
    assert names == ["v2", "v1", None]
    assert champion(versions) is None
    with pytest.raises(VersionError, match="nothing to roll back"):
        versions.rollback()


def test_rollback_moves_a_pointer_and_no_weights(versions: Versions) -> None:
    def weights() -> list[tuple[Path, int, int]]:
        return [(file, file.stat().st_ino, file.stat().st_mtime_ns) for file in sorted(versions.folder.rglob(WEIGHTS))]

    for _ in range(2):
        add(versions)
    before = weights()
    versions.rollback()
    assert champion(versions) == "v1" and weights() == before and len(before) == 2


def test_a_rejected_version_is_promoted_only_by_force_and_with_a_reason_that_is_recorded(versions: Versions) -> None:
    add(versions, "rejected")
    with pytest.raises(VersionError, match=r"was rejected \(why\)"):
        versions.promote("v1")
    with pytest.raises(VersionError, match="needs a reason"):
        versions.promote("v1", force=True)
    versions.promote("v1", who="ada", why="the exam was mislabelled", force=True)
    change = versions.pointer().history[-1]
    assert (change["action"], change["who"], change["why"]) == ("force", "ada", "the exam was mislabelled")
    assert versions.get("v1").decision == "forced"


def test_numbers_are_never_used_twice(versions: Versions) -> None:
    for _ in range(3):
        add(versions)
    versions.rollback()
    versions.rollback()
    assert versions.prune(keep=0) == ("v2", "v3")
    assert add(versions, "rejected").name == "v4"


def test_prune_keeps_the_champion_its_parent_its_predecessor_and_the_last(versions: Versions) -> None:
    for _ in range(3):
        add(versions)
    add(versions, parent="v1")
    for _ in range(3):
        add(versions, "rejected")
    assert versions.prune(keep=2) == ("v2", "v5")
    assert [version.name for version in versions.list()] == ["v1", "v3", "v4", "v6", "v7"]
    assert versions.rollback() == versions.get("v3")


def test_damaged_weights_neither_serve_nor_are_promoted(versions: Versions) -> None:
    add(versions)
    second = add(versions, weights=b"other weights")
    (second.path / "adapter" / WEIGHTS).write_bytes(b"other weight5")
    assert champion(versions) is None
    assert "damaged" in str(second.problem())
    assert champion(versions) is None
    versions.rollback()
    assert champion(versions) == "v1"
    with pytest.raises(VersionError, match="damaged"):
        versions.promote("v2")


def test_a_name_that_is_no_version_is_said_in_one_line(versions: Versions) -> None:
    add(versions)
    with pytest.raises(VersionError, match=r"project 7 has no version v9 \(it has: v1\)"):
        versions.promote("v9")


def test_projects_do_not_mix(store: Store) -> None:
    add(Versions(store, "7"))
    assert Versions(store, "8").list() == []
    with pytest.raises(VersionError, match="is no project"):
        Versions(store, "../7")


def test_a_full_disk_leaves_everything_as_it_was(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    add(versions)
    add(versions, "rejected")
    before = snapshot(versions)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("sync_tree", "sync_folder"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(f"store.versions.{step}", full)
            add(versions)
        assert snapshot(versions) == before
    assert add(versions).name == "v3", "the folder that was left is no version, and its number is free"


def test_a_full_database_leaves_everything_as_it_was(tmp_path: Path) -> None:
    versions = Versions(Store(tmp_path), "7")
    add(versions)
    before = snapshot(versions)
    with versions.store.look() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="No space left on device"):
        versions.rollback(why="y" * 1_000_000)
    assert snapshot(versions) == before
    with versions.store.look() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


def snapshot(versions: Versions) -> object:
    return [version.name for version in versions.list()], versions.pointer()


FORK = multiprocessing.get_context("fork")  # a fresh interpreter for each of many kills would take minutes


def test_two_processes_at_once_lose_nothing(versions: Versions) -> None:
    running = [FORK.Process(target=add_some, args=(versions, 5)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    assert [version.name for version in versions.list()] == [f"v{number}" for number in range(1, 16)]
    assert len(versions.pointer().history) == 15


def add_some(versions: Versions, count: int) -> None:
    for turn in range(count):
        add(versions, weights=bytes([turn]))


def everything_for_ever(versions: Versions, elsewhere: Path, seed: int) -> None:
    dice = random.Random(seed)
    while True:
        names = [version.name for version in versions.list()]
        action = dice.choice(["add", "promote", "rollback", "prune", "import"])
        if action == "promote" and names:
            versions.promote(dice.choice(names), why="test", force=True)
        elif action == "rollback" and versions.champion():
            versions.rollback()
        elif action == "prune":
            versions.prune(2)
        elif action == "import":
            import_adapter(versions, elsewhere, "small")
        else:
            add(versions, weights=dice.randbytes(100_000))


def adapter_elsewhere(folder: Path) -> Path:
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir()
    save_file({"base_model.model.layer.lora_A.weight": np.zeros((2, 2), np.float32)}, folder / WEIGHTS)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "small"}))
    return folder


def settle(store: Store) -> None:
    """Until PostgreSQL has ended what a killed client sent: a COMMIT under way still counts."""
    busy = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    while not store.is_sqlite:
        with store.look() as connection:
            if not connection.execute(sa.text(f"{busy} and state <> 'idle'")).scalar_one():
                return
        time.sleep(0.005)


def kill_often(store: Store, times: int, dice: random.Random) -> None:
    """Promote, roll back, prune, add and import in a process that is killed at random, again and again."""
    elsewhere = adapter_elsewhere(store.home / "elsewhere")
    versions = Versions(store, "7")
    highest, pace = 0, 0.0
    for turn in range(times):
        process = FORK.Process(target=everything_for_ever, args=(versions, elsewhere, turn))
        began = time.monotonic()
        process.start()
        while not turn and not versions.pointer().history:
            assert process.is_alive()
            time.sleep(0.01)
        pace = pace or time.monotonic() - began  # of a first version: a busy machine takes many times longer
        time.sleep(dice.uniform(0.1, 1.5) * pace)
        assert process.is_alive()
        process.kill()
        process.join()
        settle(store)
        pointer, listed = versions.pointer(), versions.list()
        assert all(version.problem() is None for version in listed)
        assert pointer.champion is None or pointer.champion in [version.name for version in listed]
        assert champion(versions) == pointer.champion
        before, highest = highest, max([0, *(version.number for version in listed)])
        assert highest >= before  # the latest is never pruned, and no number comes back
    assert highest > 0 and pointer.history


@pytest.mark.slow
def test_kills_never_break_the_registry(store: Store) -> None:
    kill_often(store, 20, random.Random(1))


@pytest.mark.proof
def test_two_hundred_kills_never_break_the_registry(store: Store) -> None:
    kill_often(store, 200, random.Random(2))
