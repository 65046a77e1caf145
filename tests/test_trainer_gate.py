"""The gate refuses each kind of bad candidate for its own reason, and says how sure it is of the others."""

import numpy as np
import pytest

from cheques.fields import CHEQUE
from study.gate import Decision, Right, Safety, decide

FIELDS = CHEQUE.names
SAFE = Safety(valid_json=1.0, base_valid_json=1.0, unlabelled=300, same=56, compared=56)


def exam(n: int, rate: float, seed: int = 0) -> Right:
    return np.random.default_rng(seed).random((n, len(FIELDS))) < rate


def judge(candidate: Right, rival: Right, safety: Safety = SAFE) -> Decision:
    return decide(FIELDS, candidate, rival, safety)


def test_a_better_candidate_is_promoted_and_the_reason_says_by_how_much() -> None:
    rival = exam(100, 0.6)
    decision = judge(rival | exam(100, 0.5, 1), rival)
    assert decision.promote and not decision.provisional
    assert "points against the base (at least +" in decision.reasons[0]


def test_below_forty_the_decision_is_provisional_and_says_so() -> None:
    rival = exam(39, 0.5)
    decision = judge(rival | exam(39, 0.2, 1), rival)
    assert decision.promote and decision.provisional
    assert "39 exam cheques: too few" in decision.reasons[0]
    assert not judge(exam(40, 0.9), exam(40, 0.1)).provisional


def test_what_nobody_knows_counts_for_nobody() -> None:
    """Half of the cheques without a known date: a date ruined on the other half is seen as if there were no others."""
    known, nobody = np.ones((100, len(FIELDS))), np.full(100, np.nan)
    rival, candidate = known.copy(), known.copy()
    candidate[::2, 2] = 0
    rival[1::2, 2] = candidate[1::2, 2] = nobody[1::2]
    decision = judge(candidate, rival)
    assert any("date fell from 100% to 0% against the base on 50 exam cheques" in why for why in decision.reasons)
    candidate[::2, 2] = 1
    assert judge(candidate, rival).promote


def test_without_an_exam_only_the_safety_checks_decide() -> None:
    nothing = np.zeros((0, len(FIELDS)), bool)
    decision = judge(nothing, nothing)
    assert decision.promote and decision.provisional
    assert "no exam cheque" in decision.reasons[0]
    assert not judge(nothing, nothing, Safety(same=50, compared=56)).promote


def test_an_exam_of_three_refuses_a_lower_mean_but_passes_an_equal_one() -> None:
    rival = np.ones((3, len(FIELDS)), bool)
    worse = rival.copy()
    worse[0, 0] = False
    assert judge(rival, rival).promote
    assert "fell by 4.8 points" in judge(worse, rival).reasons[0]


def test_shuffled_labels_are_refused_on_the_mean() -> None:
    decision = judge(exam(100, 0.1), exam(100, 0.7, 1))
    assert not decision.promote
    assert "mean exact match -" in decision.reasons[0]


def test_an_equal_mean_is_refused_while_a_loss_is_not_excluded() -> None:
    # Half of the cheques won and half lost: the mean is equal, but the interval is wide.
    one = np.zeros((40, len(FIELDS)), bool)
    one[::2] = True
    decision = judge(~one, one)
    assert not decision.promote
    assert "is not excluded" in decision.reasons[0]


def test_one_field_ruined_is_refused_although_the_mean_rose() -> None:
    rival = exam(100, 0.5)
    rival[:, 2] = True
    candidate = np.ones_like(rival)
    candidate[:, 2] = False
    decision = judge(candidate, rival)
    assert decision.reasons == ("date fell from 100% to 0% against the base on 100 exam cheques",)


@pytest.mark.parametrize("n", [2, 3, 10, 39])
def test_a_field_ruined_is_seen_on_few_cheques_too(n: int) -> None:
    rival = exam(n, 0.3)
    rival[:, 2] = True
    candidate = np.ones_like(rival)
    candidate[:, 2] = False
    assert not judge(candidate, rival).promote


def test_a_field_may_fall_by_chance_and_by_its_allowance() -> None:
    rival = exam(100, 0.5)
    rival[:, 2] = True
    candidate = np.ones_like(rival)
    candidate[:4, 2] = False  # four points: within the allowance
    assert judge(candidate, rival).promote
    few_rival, few = rival[:10], candidate[:10]  # four of ten: within chance
    assert judge(few, few_rival).promote


def test_broken_json_is_refused() -> None:
    rival = exam(50, 0.5)
    better = np.ones_like(rival)
    decision = judge(better, rival, Safety(0.95, 1.0, 300, 56, 56))
    assert decision.reasons == ("valid JSON in free decoding fell from 100.0% to 95.0% on 300 unlabelled cheques",)
    assert judge(better, rival, Safety(0.99, 1.0, 300, 56, 56)).promote


def test_an_adapter_that_reads_otherwise_when_reloaded_is_refused() -> None:
    rival = exam(50, 0.5)
    decision = judge(np.ones_like(rival), rival, Safety(1.0, 1.0, 300, 55, 56))
    assert "reads 1 of 56 values otherwise" in decision.reasons[0]
    assert judge(np.ones_like(rival), rival, Safety(1.0, 1.0, 300, 55, 56, precision="card")).promote
    assert not judge(np.ones_like(rival), rival, Safety(1.0, 1.0, 300)).promote


def test_every_reason_is_given() -> None:
    decision = judge(exam(60, 0.0), np.ones((60, len(FIELDS)), bool), Safety(0.5, 1.0, 300, 0, 56))
    assert len(decision.reasons) == 1 + len(FIELDS) + 2


def power(n: int, loss: float, trials: int = 400) -> float:
    """How often the gate passes a candidate whose true rate is `loss` below its rival's 70 %.

    Two readers agree on most values: here a tenth of the values are up to chance between them.
    """
    dice = np.random.default_rng(n)
    passed = 0
    for _ in range(trials):
        rival = dice.random((n, len(FIELDS))) < 0.7
        lost = rival & (dice.random(rival.shape) < (0.05 + loss) / 0.7)
        won = ~rival & (dice.random(rival.shape) < 0.05 / 0.3)
        passed += judge((rival & ~lost) | won, rival).promote
    return passed / trials


@pytest.mark.parametrize("n, worse_passes, equal_refused", [(10, 0.30, 0.60), (40, 0.05, 0.80), (100, 0.02, 0.65)])
def test_how_often_the_gate_errs(n: int, worse_passes: float, equal_refused: float) -> None:
    worse, equal = power(n, 0.05), power(n, 0.0)
    print(f"n = {n}: passes 5 points worse {worse:.0%}, refuses an equal one {1 - equal:.0%}")
    assert worse <= worse_passes
    assert 1 - equal <= equal_refused
