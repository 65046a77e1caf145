"""People write values in many ways; canonical forms make them one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cheques.fields import CHEQUE, Field, Form
from cheques.values import BadValue, canonical, canonical_or_text, exact

AMOUNT, WORDS, DATE, PAYEE, SIGNATURE, PLACE, CURRENCY = CHEQUE


@pytest.mark.parametrize(
    "written, value",
    [
        ("1 234,56 €", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1'234.50 CHF", "1234.50"),
        ("#1234,5#", "1234.50"),
        ("1 000", "1000.00"),
        ("12", "12.00"),
        ("0,05", "0.05"),
        ("12€50", "12.50"),
        ("12 € 50", "12.50"),
        ("12 euros 50", "12.50"),
        ("12 EUR 50 cts", "12.50"),
        ("100 F 50", "100.50"),
        ("1 234€56", "1234.56"),
        ("12.- CHF", "12.00"),
        ("12 €,50", "12.50"),
        ("100 Fr. 50", "100.50"),
        ("", ""),
        ("?", "?"),
    ],
)
def test_amounts(written: str, value: str) -> None:
    assert canonical(AMOUNT, written) == value


@pytest.mark.parametrize(
    "written, value",
    [
        ("3 mai 2024", "2024-05-03"),
        ("03/05/24", "2024-05-03"),
        ("3.5.2024", "2024-05-03"),
        ("le 1er janv. 2025", "2025-01-01"),
        ("2024-05-03", "2024-05-03"),
        ("12 AOÛT 24", "2024-08-12"),
        ("3 déc. 2024", "2024-12-03"),
        ("03052024", "2024-05-03"),
    ],
)
def test_dates(written: str, value: str) -> None:
    assert canonical(DATE, written) == value


@pytest.mark.parametrize(
    "written, value",
    [
        ("3", "3"),
        ("3.0", "3"),
        ("-12,5", "-12.5"),
        ("12.345", "12.345"),
        ("1 234 567", "1234567"),
        ("1'234.50", "1234.5"),
        ("007", "7"),
        ("-0", "0"),
        ("1 234,5", "1234.5"),
    ],
)
def test_numbers(written: str, value: str) -> None:
    number = Field("articles", "number")
    assert canonical(number, written) == value
    assert re.search(number.schema["pattern"], value)


@pytest.mark.parametrize("written", ["12,500", "1 23", "1e3", "trois", "1.2.3", "١٢", "12 €"])
def test_what_is_no_number_or_two_is_refused(written: str) -> None:
    with pytest.raises(BadValue, match="n'est pas un nombre"):
        canonical(Field("articles", "number"), written)


@pytest.mark.parametrize(
    "written, value", [("€", "EUR"), ("Dirhams", "MAD"), ("dinar tunisien", "TND"), ("chf", "CHF")]
)
def test_currencies(written: str, value: str) -> None:
    assert canonical(CURRENCY, written) == value


def test_text_keeps_its_case_and_words_lose_it() -> None:
    assert canonical(PAYEE, "  Mme   Ève\tDupont\n") == "Mme Ève Dupont"
    assert canonical(WORDS, "Douze  Euros") == "douze euros"
    assert canonical(SIGNATURE, "Presente") == "présente"


@pytest.mark.parametrize(
    "field, text",
    [
        (AMOUNT, "douze"),
        (AMOUNT, "1.23.4"),
        (AMOUNT, "12€5"),
        (AMOUNT, "12€505"),
        (AMOUNT, "12abc50"),
        (AMOUNT, "12#50"),
        (AMOUNT, "12,00 € 50"),
        (AMOUNT, "12€50€50"),
        (DATE, "31/02/24"),
        (DATE, "3/5/20240503201"),
        (DATE, "2024/5/20240503201"),
        (DATE, "3/5/204"),
        (DATE, "3/5/3024"),
        (SIGNATURE, "oui"),
    ],
)
def test_what_is_no_value_is_refused_in_one_line_that_names_the_field(field: Field, text: str) -> None:
    with pytest.raises(BadValue) as refused:
        canonical(field, text)
    assert field.name in str(refused.value) and "\n" not in str(refused.value)
    assert canonical_or_text(field, text) == text


@given(st.text(), st.sampled_from(CHEQUE.fields))
def test_canonical_is_its_own_canonical_form(text: str, field: Field) -> None:
    once = canonical_or_text(field, text)
    assert canonical_or_text(field, once) == once


@given(st.integers(0, 99_999_999))
def test_an_amount_survives_the_ways_of_writing_it(cents: int) -> None:
    value = f"{cents // 100}.{cents % 100:02}"
    french = f"{cents // 100:,}".replace(",", " ") + f",{cents % 100:02} €"
    assert canonical(AMOUNT, french) == canonical(AMOUNT, value) == value


def test_exact_match_compares_canonical_forms() -> None:
    truth = {"montant_numerique": "1234.56", "date": "2024-05-03", "lieu": "Lyon"}
    read = {"montant_numerique": "1 234,56 €", "date": "3 mai 2024", "lieu": "LYON"}
    right = exact(CHEQUE, truth, read)
    assert right["montant_numerique"] and right["date"] and right["signature"] and not right["lieu"]


def test_a_form_refuses_what_makes_no_form() -> None:
    with pytest.raises(ValueError, match="no field"):
        Form(())
    with pytest.raises(ValueError, match="twice"):
        Form((Field("a", "text"), Field("a", "date")))


def test_the_digest_follows_the_fields_and_not_their_titles() -> None:
    assert Form((Field("a", "text"),)).digest == Form((Field("a", "text", "Titre"),)).digest
    assert Form((Field("a", "text"),)).digest != Form((Field("a", "date"),)).digest
