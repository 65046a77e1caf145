"""Annotators whose true saving is known: do we find it, and do we keep quiet while we cannot know?"""

from dataclasses import replace

import numpy as np
import pytest

from research.bench.annotators import FIELDS, Team, naive, play
from study.quality import waved_through
from study.savings import savings
from study.timed_annotation import TimedAnnotation

RUNS = 100


@pytest.mark.parametrize(
    "team",
    [
        Team(exam=200, lessons=150),
        Team(exam=200, lessons=0, saved=0.0),
        Team(speeds=(30.0, 90.0), learning=(0.3, 0.1), exam=160, lessons=0, idle=0.1),
    ],
    ids=["usual", "nothing saved", "steep learning"],
)
def test_the_true_saving_lies_within_the_interval_in_90_to_99_of_100_runs(team: Team) -> None:
    held = 0
    for seed in range(RUNS):
        played = play(team, seed)
        found = savings(played.work, replicates=300).effect
        assert found is not None
        held += found.seconds.low <= played.saved_seconds <= found.seconds.high
    assert 90 <= held <= 99


@pytest.mark.slow
def test_the_naive_mean_is_wrong_on_the_same_annotations() -> None:
    # Nobody is ever away here, so that its interval is narrow: what misleads are the hard cheques, always pre-labelled.
    team = Team(idle=0.0, lost=0.0, edited=0.0, exam=200, lessons=600)
    runs = [
        (played := play(team, seed), naive(played.work), savings(played.work, replicates=200)) for seed in range(40)
    ]
    naive_held = np.mean([low <= played.saved_seconds <= high for played, (_, low, high), _ in runs])
    ours = np.mean([found.effect.seconds.value - played.saved_seconds for played, _, found in runs if found.effect])
    theirs = np.mean([mean - played.saved_seconds for played, (mean, _, _), _ in runs])
    assert naive_held < 0.6
    assert abs(ours) < 1.0 < 3.0 < abs(theirs)


def test_idle_tabs_swamp_the_naive_mean_and_not_ours() -> None:
    played = play(Team(idle=0.1, exam=400, lessons=0), seed=3)
    _, low, high = naive(played.work)
    found = savings(played.work)
    assert found.effect is not None
    assert high - low > 5 * found.effect.seconds.width
    assert found.verdict.enough
    assert found.dropped["idle"] > 20


def test_too_few_blind_cheques_say_how_many_are_needed() -> None:
    found = savings(play(Team(exam=28, lessons=50), seed=1).work)
    assert not found.verdict.enough
    assert found.sentence().startswith(f"not enough yet: {found.blind} blind cheques, about ")
    assert 20 <= found.verdict.needed <= 300
    assert found.as_json()["hours_saved"] is None


def test_as_many_as_were_said_to_be_needed_are_about_enough() -> None:
    needed = [savings(play(Team(exam=40), seed).work).verdict.needed for seed in range(10)]
    exam = int(2.5 * float(np.median(needed)))
    assert np.mean([savings(play(Team(exam=exam), 50 + seed).work).verdict.enough for seed in range(10)]) >= 0.5


def test_no_annotation_at_all() -> None:
    assert savings([]).as_json() == {
        "enough": False,
        "n": {"blind": 0, "prelabel": 0},
        "saved_seconds": {"mean": None, "low": None, "high": None},
        "saved_percent": {"mean": None, "low": None, "high": None},
        "hours_saved": None,
        "acceptance": {},
        "dropped": {},
    }


def cheque(number: int, **more: object) -> TimedAnnotation:
    shown = None if number % 2 else {"date": "2024-05-03"}
    base = TimedAnnotation(
        number, number, 1, 30.0 + number % 7, 60.0 * number, "blind" if number % 2 else "prelabel", True
    )
    return replace(base, values={"date": "2024-05-03"}, shown=shown, **more)  # type: ignore[arg-type]


def test_every_cleaning_step_is_counted() -> None:
    spoilt = [
        cheque(100, skipped=True),
        cheque(101, imported=True, seconds=None),
        cheque(102, seconds=None),
        cheque(103, edited=True),
        replace(cheque(104), task=4),
        replace(cheque(105), arm=None, left_out="not_as_drawn"),
        cheque(106, seconds=0.2),
        cheque(107, seconds=3600.0),
        cheque(108, annotator=2),
    ]
    found = savings([cheque(number) for number in range(40)] + spoilt)
    reasons = ["skipped", "api", "no_time", "edited", "repeated", "not_as_drawn", "outlier", "idle", "one_arm"]
    assert found.dropped == dict.fromkeys(reasons, 1)
    assert (found.blind, found.prelabel) == (20, 20)


def test_an_idle_tab_counts_up_to_the_annotators_own_cap_in_the_hours() -> None:
    found = savings([cheque(number) for number in range(40)] + [cheque(41, seconds=7200.0)])
    assert all(60 < cap < 200 for cap in found.caps.values())
    assert found.hours is not None
    assert found.hours.worked * 3600 < 41 * 40 + 200


def test_acceptance_and_seconds_by_corrected_fields() -> None:
    kept = [cheque(number, changed={"date": "accepted"}) for number in range(0, 12, 2)]
    fixed = [cheque(number, changed={"date": "corrected"}, seconds=50.0) for number in range(12, 20, 2)]
    found = savings([*kept, *fixed])
    assert found.acceptance == {"date": 0.6}
    assert found.by_corrections[0][0] == 6
    assert found.by_corrections[1] == (4, 50.0)


def test_blind_cheques_count_before_anybody_has_cheques_in_both_arms() -> None:
    found = savings([cheque(number) for number in range(1, 13, 2)])
    assert found.sentence() == "not enough yet: 6 blind cheques, about 60 needed"


def test_the_same_annotations_always_give_the_same_numbers() -> None:
    work = play(Team(exam=100), seed=5).work
    assert savings(work) == savings(work)


def test_wrong_pre_labels_waved_through_are_found() -> None:
    rates = []
    for seed in range(20):
        played = play(Team(exam=400, lessons=0, wrong=0.3, waved=0.4), seed)
        # On the blind half the reader would have made the same kind of mistakes.
        rng = np.random.default_rng(seed)
        said = {o.task: {name: "wrong" if rng.random() < 0.3 else "right" for name in FIELDS} for o in played.work}
        rate = waved_through(played.work, said).rate
        assert rate is not None
        rates.append((rate.value, rate.low <= 0.4 <= rate.high))
    assert np.mean([mean for mean, _ in rates]) == pytest.approx(0.4, abs=0.05)
    assert sum(held for _, held in rates) >= 16


def test_a_waved_through_rate_needs_both_halves() -> None:
    played = play(Team(exam=20, lessons=0), seed=0)
    assert waved_through(played.work, {}).rate is None
