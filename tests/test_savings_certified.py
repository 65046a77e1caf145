"""Certified reading: the promise holds in as many worlds as it says, and no promise is made that n cannot carry."""

import numpy as np
import pytest

from study.certified_reading import NEVER, certify, curve, least, outlook


def exam(n: int, seed: int, error: float = 0.3) -> tuple[np.ndarray, np.ndarray, float]:
    """Cheques whose chance of being misread falls with confidence c as error * (1 - c)^3."""
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return confidence, rng.random(n) >= error * (1 - confidence) ** 3, error


def true_misread(threshold: float, error: float) -> float:
    """Mean of error * (1 - c)^3 over c uniform above the threshold."""
    return error * (1 - threshold) ** 3 / 4


@pytest.mark.parametrize("misread", [0.02, 0.01])
def test_the_promise_is_broken_in_at_most_5_percent_of_worlds(misread: float) -> None:
    broken, shares = 0, []
    for seed in range(400):
        confidence, right, error = exam(1500, seed, error=0.6)
        found = certify(confidence, right, misread)
        if found.threshold is not None:
            broken += true_misread(found.threshold, error) > misread
            shares.append(found.share)
    assert broken <= 400 * 0.05 + 2 * (400 * 0.05 * 0.95) ** 0.5
    assert np.mean(shares) > 0.25


def test_a_reader_worse_than_the_promise_is_never_certified() -> None:
    rng = np.random.default_rng(0)
    passed = sum(certify(rng.random(600), rng.random(600) >= 0.012, 0.01).threshold is not None for _ in range(300))
    assert passed <= 300 * 0.05 + 2 * (300 * 0.05 * 0.95) ** 0.5


def test_299_right_ones_certify_one_percent_and_298_do_not() -> None:
    assert least(0.01) == 299
    assert least(0.001) == 2995
    assert certify(np.ones(299), np.ones(299, bool), 0.01).threshold == 1.0
    short = certify(np.ones(298), np.ones(298, bool), 0.01)
    assert short.threshold is None
    assert short.needed == 299


def test_too_few_say_how_many_it_would_take() -> None:
    confidence, right, _ = exam(80, 1, error=0.2)
    found = certify(confidence, right, 0.01)
    assert found.threshold is None
    assert found.needed is not None and 299 <= found.needed <= 5000


def test_the_lower_end_is_below_the_share() -> None:
    confidence, right, _ = exam(2000, 2)
    found = certify(confidence, right, 0.02)
    assert 0 < found.low < found.share < 1


def test_more_exam_cheques_never_certify_less() -> None:
    confidence, right, _ = exam(400, 3)
    shares = [point.share for point in outlook(confidence, right, 0.01)]
    assert shares == sorted(shares)
    assert shares[-1] > shares[0]


def test_a_cheque_that_holds_an_unreadable_field_is_never_accepted() -> None:
    confidence = np.array([NEVER] * 400 + [0.9] * 400)
    found = certify(confidence, np.ones(800, bool), 0.01)
    assert found.threshold == 0.9
    assert found.accepted == 400


def test_the_curve_rises_with_the_misread_rate_that_is_allowed() -> None:
    confidence, right, _ = exam(2000, 4)
    points = curve(confidence, right)
    assert [point.certified for point in points] == sorted(point.certified for point in points)
    assert all(point.certified <= point.seen for point in points)


def test_an_empty_exam() -> None:
    nothing = np.zeros(0)
    assert certify(nothing, nothing.astype(bool), 0.01).threshold is None
    assert curve(nothing, nothing.astype(bool))[0].certified == 0.0
