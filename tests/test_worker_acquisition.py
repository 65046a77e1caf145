"""The order of serving, and the scores that make Label Studio follow it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.acquisition import STEP, ascending, least_certain, order

scores = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60)


def test_the_least_certain_field_decides() -> None:
    confidence = np.array([[0.9, 0.8], [0.99, 0.1], [0.5, 0.5], [np.nan, 1.0]])
    assert least_certain(confidence).tolist() == [0.8, 0.1, 0.5, 0.0]
    assert order(least_certain(confidence)).tolist() == [3, 1, 2, 0]


def test_ties_keep_their_order() -> None:
    assert order(np.array([0.5, 0.2, 0.5, 0.2])).tolist() == [1, 3, 0, 2]


def test_a_form_or_a_pile_of_nothing() -> None:
    assert least_certain(np.zeros((3, 0))).tolist() == [0, 0, 0]
    assert order(np.zeros(0)).tolist() == []
    assert ascending([]) == []


def test_lessons_keep_their_scores_and_exam_cheques_come_between() -> None:
    assert ascending([0.1, None, 0.3, 0.3, None, 0.5]) == [0.1, 0.100001, 0.3, 0.300001, 0.300002, 0.5]
    assert ascending([None, 0.0, 0.0]) == [0.0, 1e-06, 2e-06]


@given(scores)
def test_scores_rise_strictly_and_survive_rounding(own: list[float | None]) -> None:
    ranked = sorted(score for score in own if score is not None)
    turn = [None if score is None else ranked.pop(0) for score in own]
    given_scores = ascending(turn)
    assert all(later - sooner > STEP / 2 for sooner, later in pairwise(given_scores))
    assert [round(score, 6) for score in given_scores] == given_scores
    drift = [abs(given - score) for given, score in zip(given_scores, turn, strict=True) if score is not None]
    assert max(drift, default=0) <= STEP * (len(own) + 1)


@given(st.lists(st.floats(0, 1) | st.just(float("nan"))))
def test_an_order_is_a_permutation(own: list[float]) -> None:
    assert sorted(order(np.array(own, float)).tolist()) == list(range(len(own)))
