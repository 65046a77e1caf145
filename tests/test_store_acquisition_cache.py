"""What is kept of each reading for the order of labelling: one version's, and never more than a cache."""

from __future__ import annotations

import numpy as np

from cheques.fields import CHEQUE, EMPTY
from reader.reading import Reading
from store.acquisition_cache import AcquisitionCache, compact, signal
from store.database import Store


def read(sure: float, *embedding: float) -> Reading:
    values = dict.fromkeys(CHEQUE.names, "12")
    return Reading(values, dict.fromkeys(CHEQUE.names, sure), embedding=embedding)


def test_another_process_finds_what_was_seen(store: Store) -> None:
    AcquisitionCache(store, 7, "v1", CHEQUE).add({1: read(0.9, 1, 2, 3), 2: None})
    again = AcquisitionCache(store, 7, "v1", CHEQUE)
    assert again[1].confidence == (0.9,) * 7 and again[1].signal == 0.9
    assert 2 in again and again[2].confidence is None and 3 not in again


def test_another_version_sees_anew_and_features_stay_those_of_the_first_reading(store: Store) -> None:
    AcquisitionCache(store, 7, "v1", CHEQUE).add({1: read(0.9, 1, 2, 3)})
    later = AcquisitionCache(store, 7, "v2", CHEQUE)
    assert 1 not in later
    later.add({1: read(0.4, 7, 7, 7)})
    again = AcquisitionCache(store, 7, "v2", CHEQUE)
    assert again.confidences([1]).tolist() == [[0.4] * 7]
    assert np.array_equal(again.features([1])[0], compact([1, 2, 3]))


def test_a_cheque_keeps_one_row_however_many_versions_saw_it(store: Store) -> None:
    for version in ("v1", "v2", "v3", "v4"):
        AcquisitionCache(store, 7, version, CHEQUE).add({task: read(0.5, task, 1, 0) for task in (1, 2, 3)})
    with store.look() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sight").scalar_one() == 3


def test_only_what_was_written_is_a_signal() -> None:
    values = dict.fromkeys(CHEQUE.names, EMPTY) | {"date": "2024-05-03"}
    confidence = dict.fromkeys(CHEQUE.names, 0.99) | {"date": 0.3}
    assert signal(Reading(values, confidence)) == 0.3
    assert signal(Reading(dict.fromkeys(CHEQUE.names, EMPTY), confidence)) == 0


def test_features_of_any_length_become_as_many_and_keep_their_distances() -> None:
    rows = np.random.default_rng(1).standard_normal((20, 1500))
    small = np.array([compact(row.tolist()) for row in rows], float)
    assert small.shape == (20, 64)
    wide, narrow = np.linalg.norm(rows - rows[0], axis=1)[1:], np.linalg.norm(small - small[0], axis=1)[1:]
    assert np.all(np.abs(narrow / wide - 1) < 0.4)
