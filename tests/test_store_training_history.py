"""What each retraining saw, the lessons of the last alone."""

from __future__ import annotations

from store.database import Store
from store.training_history import Training, new_or_changed, note_training, trainings


def test_new_and_changed_lessons_are_counted_by_id_and_time(store: Store) -> None:
    note_training(store, 7, Training({1: "a", 2: "b"}, "rejected", "v1"))
    note_training(store, 7, Training({1: "a", 2: "b", 3: "c"}, "promoted", "v2"))
    before = trainings(store, 7)
    assert [attempt.version for attempt in before] == ["v1", "v2"]
    assert new_or_changed({1: "a", 2: "later", 3: "c", 4: "d"}, before) == 2
    assert new_or_changed({1: "a"}, []) == 1


def test_what_was_seen_is_kept_of_the_last_alone(store: Store) -> None:
    for number in range(1, 6):
        note_training(store, 7, Training(dict.fromkeys(range(1000), "a"), "rejected", f"v{number}"))
    found = trainings(store, 7)
    assert [len(attempt.lessons) for attempt in found] == [0, 0, 0, 0, 1000]
