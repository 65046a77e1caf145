"""Which cheque next: what every order must be, what `active` must not do, and the scores that carry an order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cheques.fields import CHEQUE
from worker.acquisition import (
    STEP,
    STRATEGIES,
    Pool,
    active,
    diverse,
    expected_wrong,
    random,
    readable,
    rising,
    uncertainty,
    worth_of,
)

MAYBE = st.floats(0, 1) | st.just(float("nan"))
NONE = np.zeros((0, 4))
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())


def pool(confidence: object, features: object = None, covered: object = NONE, signal: object = None) -> Pool:
    sure = np.array(confidence, float)
    count = len(sure)
    seen = np.full((count, 4), np.nan) if features is None else np.array(features, float).reshape(count, -1)
    trace = np.ones(count) if signal is None else np.array(signal, float)
    return Pool(sure.reshape(count, -1), seen, np.ones(sure.reshape(count, -1).shape[1]), trace, np.array(covered))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    count, fields = draw(st.integers(0, 30)), draw(st.integers(0, 3))

    def rows(width: int, height: int = count) -> np.ndarray:
        found = draw(st.lists(MAYBE, min_size=height * width, max_size=height * width))
        return np.array(found, float).reshape(height, width)

    return Pool(rows(fields), rows(4), np.ones(fields), rows(1).reshape(-1), rows(4, draw(st.integers(0, 5))))


@every_strategy
@given(pools(), st.integers(0, 3))
def test_an_order_is_a_permutation_and_the_same_for_the_same_seed(strategy: object, pool: Pool, seed: int) -> None:
    order = strategy(pool, seed)  # type: ignore[operator]
    assert sorted(order.tolist()) == list(range(len(pool)))
    assert order.tolist() == strategy(pool, seed).tolist()  # type: ignore[operator]


def test_the_more_worth_of_wrong_fields_the_sooner() -> None:
    given = pool([[0.9, 0.8], [0.99, 0.1], [0.5, 0.5], [np.nan, 1.0]])
    assert expected_wrong(given).round(2).tolist() == [0.3, 0.91, 1.0, 1.0]
    assert uncertainty(given, 0).tolist() == [2, 3, 1, 0]


def test_an_amount_is_worth_two_fields_unless_the_settings_say_otherwise() -> None:
    assert dict(zip(CHEQUE.names, worth_of(CHEQUE, {"date": 3}), strict=True)) == {
        "montant_numerique": 2,
        "montant_lettres": 2,
        "date": 3,
        "beneficiaire": 1,
        "signature": 1,
        "lieu": 1,
        "devise": 1,
    }


def test_ties_keep_their_order() -> None:
    given = pool([0.5, 0.2, 0.5, 0.2])
    assert uncertainty(given, 0).tolist() == active(given, 0).tolist() == [1, 3, 0, 2]
    assert diverse(given, 0).tolist() == [0, 1, 2, 3]


def test_chance_looks_at_nothing() -> None:
    sure, unsure = pool([[1.0]] * 20), pool([[0.0]] * 20)
    assert random(sure, 5).tolist() == random(unsure, 5).tolist() != random(sure, 6).tolist()


@given(st.integers(0, 1000), st.integers(1, 8))
def test_a_duplicate_of_a_labelled_cheque_never_comes_before_a_new_kind(seed: int, duplicates: int) -> None:
    chance = np.random.default_rng(seed)
    kinds = chance.standard_normal((12, 4))
    covered, new = kinds[:4], kinds[4:]
    features = np.concatenate([covered[chance.integers(0, 4, duplicates)], new])
    shuffled = chance.permutation(len(features))
    known = {int(np.flatnonzero(shuffled == number)[0]) for number in range(duplicates)}
    for strategy in (diverse, active):
        order = strategy(pool([[0.4]] * len(features), features[shuffled], covered), seed).tolist()
        assert set(order[-duplicates:]) == known


def test_a_batch_is_not_ten_times_the_same_cheque() -> None:
    """Fifty near-duplicates that the reader is least sure of, and five other kinds a little surer."""
    chance = np.random.default_rng(1)
    same = chance.standard_normal(4) + 0.01 * chance.standard_normal((50, 4))
    given = pool([[0.1]] * 50 + [[0.2]] * 5, np.concatenate([same, 3 * chance.standard_normal((5, 4))]))
    assert uncertainty(given, 0)[:10].max() < 50  # alone, uncertainty takes one kind ten times
    assert set(range(50, 55)) <= set(active(given, 0)[:10].tolist())


def test_what_nobody_can_read_comes_last_however_uncertain() -> None:
    given = pool([[0.0], [0.5], [0.01], [0.9]], signal=[0.0, 0.5, 0.01, 0.9])
    assert readable(given).tolist() == [False, True, False, True]
    assert active(given, 0).tolist() == [1, 3, 0, 2]
    assert uncertainty(given, 0).tolist()[:2] == [0, 2]


def test_the_exam_is_unbiased_and_what_is_chosen_is_not() -> None:
    """Exact match on a random fifth against that on the same number chosen for being uncertain, over 200 projects."""
    chance = np.random.default_rng(2)
    of_exam, of_chosen = list[float](), list[float]()
    for seed in range(200):
        sure = chance.beta(4, 2, (300, 7))
        right = chance.random((300, 7)) < sure
        exam = chance.random(300) < 0.2
        lessons = np.flatnonzero(~exam)
        chosen = lessons[active(pool(sure[lessons]), seed)][: exam.sum()]
        of_exam.append(right[exam].mean() - right.mean())
        of_chosen.append(right[chosen].mean() - right.mean())
    error = np.std(of_exam) / np.sqrt(200)
    assert abs(np.mean(of_exam)) < 3 * error
    assert np.mean(of_chosen) < -20 * error


def steps(scores: list[float]) -> list[int]:
    return [round(score / STEP) for score in scores]


@given(st.lists(st.none() | st.floats(0, 1)))
def test_scores_rise_strictly_and_survive_rounding(held: list[float | None]) -> None:
    given = rising(held)
    assert len(given) == len(held)
    assert all(sooner < later for sooner, later in pairwise(given))
    assert all(0 < score <= 1 and round(score, 6) == score for score in given)
    assert rising(list(given)) == given  # what is in order stays


def test_as_few_scores_change_as_can() -> None:
    assert rising([0.1, 0.2, None, 0.3]) == [0.1, 0.2, 0.25, 0.3]
    assert rising([0.1, 0.5, 0.2, 0.3]) == [0.1, 0.15, 0.2, 0.3]
    assert rising([0.9, 0.1, 0.2]) == [0.05, 0.1, 0.2]
    assert rising([]) == []


def test_without_room_between_two_all_are_spread_anew() -> None:
    assert rising([0.5, None, None, 0.500002]) == [0.1, 0.2, 0.3, 0.4]


def test_scores_stay_below_1_round_after_round_and_few_of_those_that_stand_are_moved() -> None:
    """Label Studio shows them as shares of 1; new tasks that come last need room behind all others."""
    scores, moved = rising([None] * 50), 0
    for _ in range(60):
        given = rising([*scores, *[None] * 50])
        moved += sum(now != before for now, before in zip(given, scores, strict=False))
        scores = given
    assert max(scores) <= 1
    assert moved < 3 * len(scores)


def test_scores_above_1_that_an_older_release_gave_are_brought_back() -> None:
    assert max(rising([0.5, 0.9, 1.4, 2.0])) <= 1


def test_a_million_cheques_have_room() -> None:
    given = rising([None] * 1_000_000)
    assert steps(given)[:2] == [1, 2] and steps(given)[-1] == 1_000_000
