"""What each retraining saw: one line each, the lessons of the last alone."""

from __future__ import annotations

from pathlib import Path

from store.training_history import Attempt, attempts, new_or_changed, record


def test_new_and_changed_lessons_are_counted_by_id_and_time(tmp_path: Path) -> None:
    record(tmp_path, Attempt({1: "a", 2: "b"}, "rejected", "v1"))
    record(tmp_path, Attempt({1: "a", 2: "b", 3: "c"}, "promoted", "v2"))
    before = attempts(tmp_path)
    assert [attempt.version for attempt in before] == ["v1", "v2"]
    assert new_or_changed({1: "a", 2: "later", 3: "c", 4: "d"}, before) == 2
    assert new_or_changed({1: "a"}, []) == 1


def test_what_was_seen_is_kept_of_the_last_alone(tmp_path: Path) -> None:
    for number in range(1, 6):
        record(tmp_path, Attempt(dict.fromkeys(range(1000), "a"), "rejected", f"v{number}"))
    found = attempts(tmp_path)
    assert [len(attempt.lessons) for attempt in found] == [0, 0, 0, 0, 1000]


def test_a_line_torn_by_a_kill_is_no_attempt(tmp_path: Path) -> None:
    record(tmp_path, Attempt({1: "a"}, "rejected", "v1"))
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"at": "2026')
    assert len(attempts(tmp_path)) == 1
    record(tmp_path, Attempt({2: "b"}, "rejected", "v2"))
    assert [attempt.version for attempt in attempts(tmp_path)] == ["v1", "v2"]
