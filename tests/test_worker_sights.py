"""What is kept of each reading for the order of labelling: one version's, tidied, and never more than a cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cheques.fields import CHEQUE, EMPTY
from reader.reading import Reading
from worker import acquisition_cache as module
from worker.acquisition_cache import Sights, compact, signal

WORTH = np.ones(len(CHEQUE.names))


def read(sure: float, *embedding: float) -> Reading:
    values = dict.fromkeys(CHEQUE.names, "12")
    return Reading(values, dict.fromkeys(CHEQUE.names, sure), embedding=embedding)


def test_another_process_finds_what_was_seen(tmp_path: Path) -> None:
    Sights(tmp_path, "v1", CHEQUE).add({1: read(0.9, 1, 2, 3), 2: None})
    again = Sights(tmp_path, "v1", CHEQUE)
    assert again[1].confidence == (0.9,) * 7 and again[1].signal == 0.9
    assert 2 in again and again[2].confidence is None and 3 not in again


def test_another_version_sees_anew_and_features_stay_those_of_the_first_reading(tmp_path: Path) -> None:
    Sights(tmp_path, "v1", CHEQUE).add({1: read(0.9, 1, 2, 3)})
    later = Sights(tmp_path, "v2", CHEQUE)
    assert 1 not in later
    later.add({1: read(0.4, 7, 7, 7)})
    pool = Sights(tmp_path, "v2", CHEQUE).pool([1], [1], WORTH)
    assert pool.confidence.tolist() == [[0.4] * 7]
    assert np.array_equal(pool.features[0], compact([1, 2, 3])) and np.array_equal(pool.covered[0], compact([1, 2, 3]))


def test_lines_of_the_past_are_tidied_away_and_nothing_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALE", 4)
    for version in ("v1", "v2", "v3", "v4"):
        Sights(tmp_path, version, CHEQUE).add({task: read(0.5, task, 1, 0) for task in (1, 2, 3)})
    path = tmp_path / "sights.jsonl"
    before = Sights(tmp_path, "v4", CHEQUE).pool([1, 2, 3], [2], WORTH)
    lines = path.read_text().splitlines()
    after = Sights(tmp_path, "v4", CHEQUE).pool([1, 2, 3], [2], WORTH)
    assert len(lines) == 6 and path.read_text().splitlines() == lines
    for name in ("confidence", "features", "signal", "covered"):
        assert np.array_equal(getattr(before, name), getattr(after, name))


def test_a_line_cut_short_by_a_kill_is_read_again(tmp_path: Path) -> None:
    sights = Sights(tmp_path, "v1", CHEQUE)
    sights.add({1: read(0.9, 1, 2), 2: read(0.8, 2, 1)})
    path = tmp_path / "sights.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = Sights(tmp_path, "v1", CHEQUE)
    assert 1 in again and 2 not in again
    again.add({2: read(0.8, 2, 1)})
    assert 2 in Sights(tmp_path, "v1", CHEQUE)


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
