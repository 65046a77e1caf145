"""The grammar of a form: what a model may say under it, and that it always comes to an end."""

from __future__ import annotations

import json
import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis.strategies import characters, from_regex, sampled_from
from transformers import AutoTokenizer

from cheques.fields import CHEQUE, PATTERNS, Field, Form
from cheques.settings import MODELS
from cheques.values import canonical
from reader.grammar import Grammar, fits, holds, longest_answer, pattern
from reader.prompt import answer
from reader.reading import ReaderError

INVOICE = Form(
    (
        Field("numero", "text"),
        Field("total", "amount"),
        Field("échéance", "date"),
        Field("mode de paiement", "choice", choices=('chèque "barré"', "virement / SEPA", "espèces")),
    )
)


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar(AutoTokenizer.from_pretrained(MODELS / "small"), rows=640)


def babbled(grammar: Grammar, form: Form, rng: random.Random) -> str:
    """What a model says that takes any token that the grammar allows."""
    matcher = grammar.follow(form)
    spelt = b""
    for _ in range(longest_answer(form)):
        if matcher.is_stopped():
            break
        token = rng.choice([n for n, allowed in enumerate(grammar.allowed([matcher])[0]) if allowed])
        assert matcher.consume_token(token)
        spelt += grammar.spelt(token)
    assert matcher.is_stopped()
    return spelt.decode()


@pytest.mark.parametrize("form", [CHEQUE, INVOICE])
def test_whatever_is_said_under_the_grammar_is_a_whole_reading(grammar: Grammar, form: Form) -> None:
    rng = random.Random(1)
    for _ in range(30):
        assert holds(form, babbled(grammar, form, rng))


@pytest.mark.parametrize("form", [CHEQUE, INVOICE])
def test_the_pattern_for_servers_allows_what_the_grammar_does(grammar: Grammar, form: Form) -> None:
    rng = random.Random(2)
    for _ in range(30):
        assert re.fullmatch(pattern(form), babbled(grammar, form, rng))

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        from_regex(
            pattern(form), fullmatch=True, alphabet=characters(exclude_categories=["Nd"]) | sampled_from("0123456789")
        )
    )
    def fitting(answer: str) -> None:
        assert holds(form, answer)

    fitting()


def test_the_grammar_follows_every_drawn_answer_to_its_end(grammar: Grammar) -> None:
    values = {
        "montant_numerique": "999999.99",
        "montant_lettres": "neuf cent quatre-vingt-dix-neuf mille dinars tunisiens et cinq cents millimes (œ)",
        "date": "2024-12-31",
        "beneficiaire": "S.A.R.L. L'Œuvre & Fils – Nº 3",
        "signature": "présente",
        "lieu": "Saint-Étienne-du-Rouvray",
        "devise": "?",
    }
    for said in (values, dict.fromkeys(CHEQUE.names, ""), dict.fromkeys(CHEQUE.names, "?")):
        matcher = grammar.follow(CHEQUE)
        text = answer(CHEQUE, said).replace("º", "o")
        assert matcher.consume_tokens(grammar.tokenizer.tokenize_str(text)), matcher.get_error()
        assert matcher.is_stopped()
        assert len(text.encode()) <= longest_answer(CHEQUE)


def test_no_control_character_is_allowed_inside_a_text_and_a_backslash_only_before_a_quote(grammar: Grammar) -> None:
    matcher = grammar.follow(CHEQUE)
    start = answer(CHEQUE, {}).partition('"beneficiaire": "')

    def next_ones() -> list[bytes]:
        return [grammar.spelt(token) for token, allowed in enumerate(grammar.allowed([matcher])[0]) if allowed]

    assert matcher.consume_tokens(grammar.tokenizer.tokenize_str(start[0] + start[1]))
    assert not any(byte < 32 or byte == 127 for spelt in next_ones() for byte in spelt)
    assert matcher.consume_tokens(grammar.tokenizer.tokenize_str("\\"))
    assert all(spelt.startswith(b'"') for spelt in next_ones())


TRUE_TEXTS = (
    *("N° 5", "Škoda", "Łukasz", "Nguyễn Thị Hạnh", "محمد بن علي", "«Chez Paul»", 'Société "Le Phare"', "A=B & Cie"),
    *(
        "Ελένη",
        "Ђорђе",
        "דוד",
        "田中太郎",
        "S.A.R.L. L'Œuvre – nº 3",
        "50 % <net> [TTC] {x} ~ @ ^ | `",
        "Ørsted",
        "Đặng",
    ),
)


@pytest.mark.parametrize("text", TRUE_TEXTS)
def test_a_true_text_can_be_read_by_every_grammar(grammar: Grammar, text: str) -> None:
    assert canonical(CHEQUE["beneficiaire"], text) == text
    said = answer(CHEQUE, {"beneficiaire": text, "montant_lettres": text.lower()})
    matcher = grammar.follow(CHEQUE)
    assert matcher.consume_tokens(grammar.tokenizer.tokenize_str(said)) and matcher.is_stopped()
    assert re.fullmatch(pattern(CHEQUE), said)
    assert holds(CHEQUE, said)


def test_the_classes_hold_every_letter_mark_digit_and_sign_but_the_backslash() -> None:
    shown = [c for n in range(0x10000) if unicodedata.category(c := chr(n))[0] in "LMNPS"]
    assert [c for c in shown if not re.fullmatch(PATTERNS["text"], c)] == ["\\", "\ufffd"]
    hidden = [c for n in range(0x10000) if unicodedata.category(c := chr(n)) in ("Cc", "Cs", "Co", "Zs", "Zl", "Zp")]
    assert [c for c in hidden if re.fullmatch(PATTERNS["text"], c)] == []


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{}",
        "[]",
        answer(CHEQUE, {})[:-1],
        answer(CHEQUE, {"montant_numerique": "12,5"}),
        answer(CHEQUE, {"devise": "BTC"}),
        answer(CHEQUE, {}).replace("lieu", "ville"),
        json.dumps({**json.loads(answer(CHEQUE, {})), "lieu": 3}),
        "[" * 100_000,
    ],
)
def test_what_no_grammar_of_the_form_made_is_told_apart(raw: str) -> None:
    assert not holds(CHEQUE, raw)
    assert holds(CHEQUE, answer(CHEQUE, {}))


@pytest.mark.parametrize(
    ("raw", "valid"),
    [
        (answer(CHEQUE, {}), True),
        (answer(CHEQUE, {"montant_numerique": "12,5", "devise": "BTC"}), True),
        (json.dumps({**json.loads(answer(CHEQUE, {})), "lieu": 3}), True),
        (json.dumps(dict(reversed(json.loads(answer(CHEQUE, {})).items())), indent=1), True),
        (json.dumps({**json.loads(answer(CHEQUE, {})), "ville": ""}), False),
        (answer(CHEQUE, {}).replace("lieu", "ville"), False),
        (answer(CHEQUE, {})[:-1], False),
        ("[]", False),
        ("[" * 100_000, False),
    ],
)
def test_valid_json_parses_and_has_the_keys_no_more(raw: str, valid: bool) -> None:
    assert fits(CHEQUE, raw) is valid


def test_a_tokenizer_that_grammars_cannot_use_is_one_line() -> None:
    with pytest.raises(ReaderError, match="tokenizer") as error:
        Grammar(object(), rows=640)
    assert "\n" not in str(error.value)


def test_a_form_that_no_grammar_accepts_is_one_line(grammar: Grammar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Form, "schema", lambda self: {"type": "string", "pattern": "("})
    with pytest.raises(ReaderError, match="no grammar accepts the form") as error:
        grammar.follow(Form((Field("unknown", "text"),)))
    assert "\n" not in str(error.value)
