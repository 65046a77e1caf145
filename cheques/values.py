"""One canonical form for each kind of value, and exact match, which compares canonical forms.

What people type is read by small grammars. What they do not know is refused, and so is what can be read in two ways,
with both readings named: a value that looks right and is wrong costs more than one that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from cheques import dates, figures
from cheques.currencies import meant, precision
from cheques.dates import YEARS, YEARS_AHEAD
from cheques.fields import EMPTY, PATTERNS, UNREADABLE, Field, Form
from cheques.figures import as_number, written
from cheques.text import REASONS, BadValue, Reason, one_line, plain

__all__ = [
    "LOOKED_AT",
    "REASONS",
    "BadValue",
    "Reason",
    "as_number",
    "canonical",
    "canonical_or_text",
    "canonical_values",
    "currency_field",
    "currency_of",
    "exact",
    "one_line",
    "plain",
]

LOOKED_AT = 1000  # letters of a text; no cheque has room for more


def canonical(field: Field, text: str, currency: str = "", day: date | None = None, years: int = YEARS) -> str:
    """The canonical form of what a person wrote for `field`; empty and `?` stand for themselves.

    currency: the cheque's (ISO 4217), which decides an amount's decimals. day: when the label was made; a date lies at
    most `years` before it (see cheques.dates). Where that day is not known a year of four digits is taken as it is,
    and one of two lies in 2000 to 2049: a truth never changes with the clock.

    Raises BadValue where the text is no value of that kind, can be read in two ways, or has what no reading can have.
    """
    if len(text) > LOOKED_AT:
        raise BadValue(f"{field.name} : {len(text)} caractères, c'est trop long", "too_long")
    text = one_line(text)
    if text in (EMPTY, UNREADABLE):
        return text
    match field.kind:
        case "amount":
            return _only(field, text, figures.readings(text, currency), "un montant ; écrivez-le comme 1 234,56")
        case "date":
            found = [one.isoformat() for one in dates.readings(text, day, years)]
            # A date that only the window refuses is most often a slip of the year, and gets a message of its own.
            if not found and day and dates.readings(text):
                window = f"{years} ans avant la saisie, {YEARS_AHEAD} après"
                raise BadValue(f"{field.name} : « {text[:40]} » est trop loin ({window})", "far_date")
            return _only(field, text, found, "une date possible ; écrivez-la comme 03/05/2024")
        case "number":
            # A comma before three digits may stand for thousands: which one is meant, nobody knows.
            digits = re.sub(r"(?<=\d)[\s'](?=\d{3}(?!\d))", "", text)
            if not re.fullmatch(r"-?\d{1,12}(\.\d{1,6}|,(?!\d{3}$)\d{1,6})?", digits, re.ASCII):
                raise BadValue(f"{field.name} : « {text[:40]} » n'est pas un nombre ; écrivez-le comme 1234.5")
            return f"{Decimal(digits.replace(',', '.')).normalize() + 0:f}"
        case "choice":
            # By its own name first, then by what it means: `€` chooses EUR.
            wanted = plain(text)
            found = [choice for choice in field.choices if plain(choice) == wanted][:1]
            found = found or [choice for choice in field.choices if meant(choice) & meant(text)]
            return _only(field, text, found, f"un choix ; choisissez parmi {', '.join(field.choices)}")
        case "words":
            text = one_line(text.lower())
    if re.fullmatch(PATTERNS[field.kind], text):
        return text
    # The right characters, only too many of them.
    if re.fullmatch(re.sub(r"\{0,\d+\}$", "*", PATTERNS[field.kind]), text):
        raise BadValue(f"{field.name} : {len(text)} caractères, c'est trop long", "too_long")
    raise BadValue(f"{field.name} : « {text[:40]} » a un caractère qu'aucune lecture ne peut avoir", "not_allowed")


def _only(field: Field, text: str, found: list[str], wanted: str) -> str:
    """The only reading. Raises BadValue where there is none, or more than one."""
    if len(found) > 1:
        shown = found
        if field.kind == "amount":
            shown = [re.sub(r"\.0+$", "", written(Decimal(value), 2)).replace(".", ",") for value in found]
        if field.kind == "date":
            shown = [date.fromisoformat(value).strftime("%d/%m/%Y") for value in found]
        raise BadValue(f"{field.name} : « {text[:40]} » : {' ou '.join(shown)} ?", "two_readings")
    if not found or (field.kind in PATTERNS and not re.fullmatch(PATTERNS[field.kind], found[0])):
        raise BadValue(f"{field.name} : « {text[:40]} » n'est pas {wanted}")
    return found[0]


def canonical_values(
    form: Form, texts: Mapping[str, str], day: date | None = None, years: int = YEARS
) -> tuple[dict[str, str], dict[str, BadValue]]:
    """The canonical values of a whole label, every field of the form, and what was refused (kept as its text).

    The label's own currency decides the decimals of its amounts. A field that is not given is empty.
    """
    currency = currency_of(form, texts)
    values: dict[str, str] = {}
    refused: dict[str, BadValue] = {}
    for field in form:
        text = texts.get(field.name, EMPTY)
        try:
            values[field.name] = canonical(field, text, currency, day, years)
        except BadValue as error:
            values[field.name], refused[field.name] = one_line(text), error
    return values, refused


def canonical_or_text(field: Field, text: str, currency: str = "") -> str:
    """The canonical form of what a model wrote, or the text itself with single spaces where it has none: never raises.

    A model writes canonical forms: its `12.500` is twelve and a half, whatever it says of the currency.
    """
    text = one_line(text)
    if field.kind == "amount" and (number := as_number(text)) is not None:
        return written(number, precision(currency)) if currency else text
    try:
        return canonical(field, text, currency)
    except BadValue:
        return text


def exact(form: Form, truth: Mapping[str, str], read: Mapping[str, str]) -> dict[str, bool]:
    """Field by field: are the canonical forms equal? Amounts are compared as numbers. A missing field is empty."""
    currency = currency_of(form, truth)

    def comparable(field: Field, values: Mapping[str, str]) -> str | Decimal:
        value = canonical_or_text(field, values.get(field.name, EMPTY), currency)
        number = as_number(value) if field.kind == "amount" else None
        return value if number is None else number

    return {field.name: comparable(field, truth) == comparable(field, read) for field in form}


def currency_field(form: Form) -> Field | None:
    """The field that says the cheque's currency: the first of which most choices are currencies."""
    choices = (field for field in form if field.kind == "choice")
    return next((f for f in choices if 2 * sum(bool(meant(c)) for c in f.choices) > len(f.choices)), None)


def currency_of(form: Form, values: Mapping[str, str]) -> str:
    """The code of the currency that the label's own field says; nothing where it says none, or none for certain."""
    field = currency_field(form)
    try:
        codes = meant(canonical(field, values.get(field.name, EMPTY))) if field else frozenset()
    except BadValue:
        return ""
    return next(iter(codes)) if len(codes) == 1 else ""
