"""From tokens to evidence, from evidence to the probability that a value is right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cheques.fields import CHEQUE, Field, Form
from reader.confidence import FILE, FORCED, PRIOR, Calibration, Token, cross_checks, fit, token_evidence
from reader.parse_answer import calibration_of, reading, values_in
from reader.prompt import answer
from reader.reading import Adapter

VALUES = {
    "montant_numerique": "12.10",
    "montant_lettres": "douze euros et dix centimes",
    "date": "2024-05-03",
    "beneficiaire": "Éts Dupont",
    "signature": "présente",
    "lieu": "Nîmes",
    "devise": "EUR",
}


def tokens_of(values: dict[str, str], logprob: float = -0.01, form: Form = CHEQUE) -> list[Token]:
    """One token for each byte: keys forced, values with the log-probability."""
    spelt = [bytes([byte]) for byte in answer(form, values).encode()]
    inside = value_bytes(answer(form, values).encode())
    return [Token(s, logprob, 5.0) if n in inside else Token(s, 0.0, FORCED) for n, s in enumerate(spelt)]


def value_bytes(raw: bytes) -> set[int]:
    import re

    return {n for m in re.finditer(rb': "([^"]*")', raw) for n in range(*m.span(1))}


def test_evidence_is_that_of_the_value_tokens_alone() -> None:
    one_field = Form((Field("lieu", "text"),))
    tokens = [
        Token(b'{"lieu": "', 0.0, FORCED),
        Token(b"N", -0.5, 3.0),
        Token("îm".encode()[:1], -0.1, 2.0),
        Token("îm".encode()[1:], -0.1, 4.0),
        Token(b'es"', -0.3, 1.5),
        Token(b"}", 0.0, FORCED),
    ]
    evidence = token_evidence(tokens)["lieu"]
    assert evidence == pytest.approx({"total": -1.0, "mean": -0.25, "low": -0.5, "margin": 1.5, "length": 5.0})
    assert reading(one_field, tokens, PRIOR).values == {"lieu": "Nîmes"}


def test_a_token_that_closes_one_value_and_opens_the_next_counts_for_the_closed_one() -> None:
    tokens = [
        Token(b'{"a": "', 0.0, FORCED),
        Token(b"x", -1.0, 1.0),
        Token(b'", "b": "', -2.0, 1.0),
        Token(b'"}', -4.0, 1.0),
    ]
    evidence = token_evidence(tokens)
    assert evidence["a"]["total"] == -3.0
    assert evidence["b"]["total"] == -4.0  # an empty value: only its closing quote speaks


def test_a_letters_first_half_that_is_told_without_bytes_counts() -> None:
    tokens = [
        Token(b'{"a": "', 0.0, FORCED),
        Token(b"", -1.5, 0.3),
        Token("é".encode(), -0.5, 2.0),
        Token(b'"}', 0.0, FORCED),
    ]
    assert token_evidence(tokens)["a"]["total"] == -2.0


def test_an_uncertain_token_lowers_the_confidence_of_its_field_alone() -> None:
    sure = reading(CHEQUE, tokens_of(VALUES), PRIOR)
    tokens = tokens_of(VALUES)
    at = answer(CHEQUE, VALUES).encode().index(b"Dupont")
    tokens[at] = Token(b"D", -1.5, 0.2)
    unsure = reading(CHEQUE, tokens, PRIOR)
    assert unsure.confidence["beneficiaire"] < 0.3 < sure.confidence["beneficiaire"]
    assert unsure.confidence["lieu"] == sure.confidence["lieu"]


def test_where_words_and_figures_disagree_both_confidences_fall_and_a_note_says_so() -> None:
    agreeing = reading(CHEQUE, tokens_of(VALUES), PRIOR)
    disagreeing = reading(CHEQUE, tokens_of(VALUES | {"montant_numerique": "12.70"}), PRIOR)
    assert agreeing.notes == ()
    assert disagreeing.notes == ("montant_lettres et montant_numerique ne disent pas le même montant",)
    for name in ("montant_lettres", "montant_numerique"):
        assert disagreeing.confidence[name] <= 0.5 < agreeing.confidence[name]


def test_a_currency_that_the_words_do_not_name_and_an_impossible_date_are_noticed() -> None:
    checks = cross_checks(CHEQUE, VALUES | {"devise": "CHF", "date": "2024-02-31"})
    assert checks["devise"]["disagree"] == 1.0
    assert checks["date"]["impossible"] == 1.0
    assert cross_checks(CHEQUE, VALUES)["devise"]["agree"] == 1.0


def test_dinars_fit_both_currencies_that_are_called_so() -> None:
    for code in ("TND", "DZD"):
        checks = cross_checks(CHEQUE, VALUES | {"montant_lettres": "douze dinars", "devise": code})
        assert checks["devise"]["agree"] == 1.0


def test_a_reading_cut_short_says_so_and_is_not_half_filled() -> None:
    cut = reading(CHEQUE, tokens_of(VALUES)[:60], PRIOR, cut=True)
    assert cut.values == {} and cut.confidence == {}
    assert "coupée" in cut.notes[0]
    assert all(name in cut.notes[1] for name in CHEQUE.names)


def test_values_of_free_text_are_found_where_it_is_json() -> None:
    assert values_in(CHEQUE, '{"lieu": "Nîmes", "autre": 1, "montant_numerique": 12.5}') == {
        "lieu": "Nîmes",
        "montant_numerique": "12.5",
    }
    assert values_in(CHEQUE, '{"lieu": null}') == {"lieu": ""}
    for raw in ("", "Nîmes", "[1]", '{"lieu": "Nî', "[" * 100_000):
        assert values_in(CHEQUE, raw) == {}


def played(count: int, seed: int) -> tuple[list[dict[str, dict[str, float]]], list[dict[str, bool]]]:
    """Readings of a model that is more certain than it should be: right with the square of what it claims."""
    rng = random.Random(seed)
    evidence, right = [], []
    for _ in range(count):
        claims = {name: rng.random() ** 0.3 for name in CHEQUE.names}
        tokens = {name: (claim, rng.random() < claim**2) for name, claim in claims.items()}
        import math

        evidence.append(
            {
                name: {
                    "total": math.log(c),
                    "mean": math.log(c) / 5,
                    "low": math.log(c),
                    "margin": 3 * c,
                    "length": 5.0,
                }
                for name, (c, _) in tokens.items()
            }
        )
        right.append({name: hit for name, (_, hit) in tokens.items()})
    return evidence, right


def expected_calibration_error(calibration: Calibration, count: int, seed: int) -> float:
    evidence, right = played(count, seed)
    pairs = [
        (p, hit[name])
        for of, hit in zip(evidence, right, strict=True)
        for name, p in calibration.confidence(CHEQUE, of).items()
    ]
    bins = [[pair for pair in pairs if low / 10 <= pair[0] < (low + 1) / 10] for low in range(10)]
    gaps = [abs(sum(p for p, _ in b) - sum(hit for _, hit in b)) for b in bins]
    return sum(gaps) / len(pairs)


def test_fitting_makes_the_confidence_mean_what_it_says() -> None:
    fitted = fit(CHEQUE, *played(200, seed=1))
    assert fitted.values == 1400
    assert expected_calibration_error(PRIOR, 1000, seed=2) > 0.08
    assert expected_calibration_error(fitted, 1000, seed=2) < 0.04


def test_too_few_or_one_sided_labels_leave_the_prior() -> None:
    evidence, right = played(15, seed=1)
    assert fit(CHEQUE, evidence, right) is PRIOR
    evidence, _ = played(100, seed=1)
    assert fit(CHEQUE, evidence, [dict.fromkeys(CHEQUE.names, True)] * 100) is PRIOR


def test_a_calibration_is_stored_as_json_beside_the_adapter_and_found_again(tmp_path: Path) -> None:
    fitted = fit(CHEQUE, *played(60, seed=3))
    adapter = Adapter("7/v1", tmp_path / "v1" / "adapter")
    adapter.path.mkdir(parents=True)
    assert calibration_of("", adapter) is PRIOR
    fitted.save(tmp_path / "v1" / FILE)
    assert calibration_of("", adapter) == fitted
    (tmp_path / "v1" / FILE).write_text('{"weights": [1')
    assert calibration_of("", adapter) is PRIOR
