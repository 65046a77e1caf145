"""Every kind of field is known wherever a kind must be known; CONTRIBUTING.md says what to do for a new one."""

import re
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cheques.fields import PATTERNS, Field, Form, Kind
from cheques.planted import SLIPS, plant
from cheques.values import canonical, canonical_or_text
from reader.grammar import holds, longest_answer
from reader.prompt import HINTS, answer, question

KINDS = [kind for kind in get_args(Kind) if kind != "choice"]

# What somebody types, its canonical form, and what was read on other cheques.
EXAMPLES: dict[Kind, tuple[str, str, list[str]]] = {
    "amount": ("1 234,56 €", "1234.56", []),
    "words": ("Vingt-deux  Euros", "vingt-deux euros", []),
    "date": ("3 mai 2024", "2024-05-03", []),
    "number": ("1 234,50", "1234.5", []),
    "text": ("  Claire Dubois ", "Claire Dubois", ["Jean Martin", "Zoé Petit", "Ali Benali"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_known_wherever_it_must_be(kind: Kind) -> None:
    assert kind in PATTERNS, "cheques/fields.py"
    assert kind in HINTS and HINTS[kind] in question(Form((Field("champ", kind),))), "reader/prompt.py"
    assert kind in SLIPS, "cheques/planted.py"
    assert kind in EXAMPLES, "this file"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_cannot_grow_without_end(kind: Kind) -> None:
    bare = re.sub(r"\[(\\.|[^\]])*\]", "x", PATTERNS[kind])
    assert not re.search(r"(?<!\\)[*+]|\{\d+,\}|\\p", bare)
    assert longest_answer(Form((Field("champ", kind),))) < 1000


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_typed_becomes_canonical_and_a_reading_may_be_just_that(kind: Kind) -> None:
    field = Field("champ", kind)
    typed, value, _ = EXAMPLES[kind]
    assert canonical(field, typed) == canonical(field, value) == value
    assert canonical(field, " ") == "" and canonical(field, "?") == "?"
    for said in (value, "", "?"):
        form = Form((field,))
        assert holds(form, answer(form, {"champ": said}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_error_is_another_canonical_value(kind: Kind) -> None:
    field = Field("champ", kind)
    _, value, others = EXAMPLES[kind]
    made = [
        plant(Form((field,)), {"champ": value}, {"champ": 1.0}, "salt", n, "v1", {"champ": others}) for n in range(50)
    ]
    shown = {error.shown for error in made if error}
    assert shown and value not in shown
    assert all(canonical(field, wrong) == wrong for wrong in shown)


@given(st.text() | st.text("0123456789 ,.-/#€'k", min_size=1), st.sampled_from(KINDS))
@example("1" + "0" * 26, "amount")
def test_a_canonical_form_is_its_own(text: str, kind: Kind) -> None:
    once = canonical_or_text(Field("champ", kind), text)
    assert canonical_or_text(Field("champ", kind), once) == once
