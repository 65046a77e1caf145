"""The learning curve against curves that are known: its intervals hold what is true, or it says nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from study.learning_curve import Lack, Point, fit, lacking, levels, own_interval
from tests.learning_parts import exams, law, points

FLAT = law(0.38, 1.0, 1.0, 1.0)
TRUTHS = {
    "slow": law(0.4, 0.2, 0.35, 60),
    "steep, then level": law(0.5, 0.3, 1.2, 10),
    "labels bring nothing": FLAT,
    "steady": law(0.35, 0.0, 0.5, 100),
    "nearly done": law(0.3, 0.8, 0.7, 50),
}
DESIGNS = {
    "three versions": ((20, 40, 60), (20, 30, 40)),
    "five versions": ((20, 40, 60, 80, 100), (20, 25, 30, 35, 40)),
    "eight versions": (tuple(range(30, 241, 30)), tuple(range(20, 91, 10))),
}
STEADY_LABELS, STEADY_EXAMS = DESIGNS["eight versions"]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_interval_of_100_more_labels_holds_the_truth_in_at_least_90_of_100_projects(design: str) -> None:
    labels, cheques = DESIGNS[design]
    held = {"gain": 0, "now": 0}
    for seed in range(100):
        truth = [*TRUTHS.values()][seed % len(TRUTHS)]
        curve = fit(points(exams(truth, labels, cheques, seed), labels))
        now, gain = curve.at(labels[-1]), curve.gain(100)
        true_gain = truth(labels[-1] + 100) - truth(labels[-1])
        held["gain"] += gain.low - 5e-4 <= true_gain <= gain.high + 5e-4
        held["now"] += now.low <= truth(labels[-1]) <= now.high
    assert held["gain"] >= 90 and held["now"] >= 90, held


@pytest.mark.parametrize("seed", range(4))
def test_a_base_that_lies_off_the_curve_does_not_promise_as_much_again(seed: int) -> None:
    """The first lessons taught the format: 25 points at once, and then the curve is level."""
    labels, cheques = (30, 60, 90, 120, 150, 180), (40,) * 6
    curve = fit(points(exams(FLAT, labels, cheques, seed, jump=0.25), labels))
    assert curve.gain(100).low < 0.005 and curve.gain(100).value < 0.03


def test_more_versions_and_more_exam_cheques_make_it_narrower() -> None:
    widths = []
    for labels, cheques in ((20, 40, 60), (30, 40, 50)), (STEADY_LABELS, STEADY_EXAMS), (STEADY_LABELS, (600,) * 8):
        gain = fit(points(exams(TRUTHS["steady"], labels, cheques, 1), labels)).gain(100)
        widths.append(gain.high - gain.low)
    assert widths == sorted(widths, reverse=True) and widths[0] > 0.05


def test_a_curve_never_falls_and_its_band_holds_it() -> None:
    curve = fit(points(exams(TRUTHS["slow"], STEADY_LABELS, STEADY_EXAMS, 3), STEADY_LABELS))
    along = [curve.at(labels) for labels in range(0, 700, 50)]
    assert all(one.value <= other.value for one, other in pairwise(along))
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in along)


def test_cheque_by_cheque_is_surer_than_by_means_and_a_small_first_exam_is_compared_on_its_own_cheques() -> None:
    judged = points(exams(TRUTHS["steady"], (20, 40, 60), (10, 60, 60), 5, noise=0.0), (20, 40, 60))
    _, paired = levels(judged)
    _, apart = levels([replace(point, scores={}) for point in judged])
    gap = np.array([0.0, -1.0, 0.0, 1.0])
    assert gap @ paired @ gap < 0.6 * (gap @ apart @ gap)
    easy = {f"c{n}": 1.0 for n in range(10)}
    everything = easy | {f"c{n}": 0.4 for n in range(10, 40)}
    level, _ = levels([Point(20, 10, 1.0, easy), Point(40, 40, 0.55, everything), Point(60, 40, 0.55, everything)])
    assert level[0] < 0.75, "v1 read easy cheques alone, as well as the others did"


def test_the_order_of_the_points_says_nothing() -> None:
    judged = points(exams(TRUTHS["slow"], STEADY_LABELS, STEADY_EXAMS, 3), STEADY_LABELS)
    one, other = fit(judged).gain(100), fit(judged[::-1]).gain(100)
    assert [one.value, one.low, one.high] == pytest.approx([other.value, other.low, other.high], abs=1e-9)


def test_a_target_is_looked_for_no_further_than_three_times_the_labels() -> None:
    curve = fit(points(exams(TRUTHS["steady"], STEADY_LABELS, (400,) * 8, 2), STEADY_LABELS))
    now = curve.at(240).value
    assert curve.horizon == 720
    assert curve.needed(now - 0.01).reached
    near, far = curve.needed(now + 0.02), curve.needed(0.999)
    assert near.labels and 240 < near.labels < 720 and near.low and near.low <= near.labels
    assert near.high is None or near.high >= near.labels
    assert far.labels is None and far.high is None and not far.reached


@pytest.mark.parametrize(
    ("labels", "cheques", "expected"),
    [
        ((), (), Lack("versions", 0, 3)),
        ((20, 40), (30, 40), Lack("versions", 2, 3)),
        ((60, 60, 60), (30, 30, 30), Lack("versions", 1, 3)),
        ((20, 40, 60), (5, 8, 19), Lack("exam", 19, 20)),
        ((10, 20, 40), (20, 20, 20), Lack("labels", 40, 50)),
        ((20, 40, 60), (10, 20, 20), None),
    ],
)
def test_too_little_is_named(labels: tuple[int, ...], cheques: tuple[int, ...], expected: Lack | None) -> None:
    judged = [Point(n, seen, 0.6) for n, seen in zip(labels, cheques, strict=True)]
    assert lacking([Point(0, 30, 0.5, trained=False), *judged], 100) == expected


@pytest.mark.parametrize("mean", [0.0, 1.0, 0.5])
def test_all_alike_leaves_no_interval_of_nothing_and_no_crash(mean: float) -> None:
    same = {f"c{n}": mean for n in range(30)}
    judged = [Point(n, 30, mean, same, trained=n > 0) for n in (0, 20, 40, 60)]
    curve = fit(judged)
    assert curve.gain(100).low == pytest.approx(0, abs=0.01) and curve.at(60).low <= mean <= curve.at(60).high
    low, high = own_interval(judged[0])
    assert 0 <= low <= mean <= high <= 1 and high - low > 0.05


def test_without_the_cheques_it_is_not_called_paired_and_still_answers() -> None:
    judged = points(exams(TRUTHS["steady"], STEADY_LABELS, STEADY_EXAMS, 4), STEADY_LABELS)
    known, unknown = fit(judged), fit([replace(point, scores={}) for point in judged])
    assert known.paired and not unknown.paired
    truth = TRUTHS["steady"](340) - TRUTHS["steady"](240)
    assert unknown.gain(100).low <= truth <= unknown.gain(100).high
    assert unknown.gain(100).high - unknown.gain(100).low > known.gain(100).high - known.gain(100).low


def test_fields_right_without_the_base_are_a_curve_too() -> None:
    judged = points(exams(TRUTHS["slow"], STEADY_LABELS, STEADY_EXAMS, 3), STEADY_LABELS)
    gain = fit(judged[1:]).gain(100)
    assert gain.low <= TRUTHS["slow"](340) - TRUTHS["slow"](240) <= gain.high
