"""One canonical form for each kind of value, and exact match, which compares canonical forms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from string import ascii_lowercase
from typing import Literal

from cheques.fields import CURRENCIES, EMPTY, UNREADABLE, Field, Form

CURRENCY_WORDS = {
    word: code
    for code, words in {
        "EUR": "€, eur, euro, euros",
        "CHF": "fs, frs, sfr, franc suisse, francs suisses",
        "MAD": "dh, dhs, dirham, dirhams",
        "TND": "dt, dinar tunisien, dinars tunisiens",
        "DZD": "da, dinar algerien, dinars algeriens",
        "XOF": "fcfa, cfa, f cfa, franc cfa, francs cfa",
        "GBP": "£, livre, livres, livre sterling, livres sterling",
        "USD": "$, us$, dollar, dollars",
        "CAD": "c$, $ca, dollar canadien, dollars canadiens",
    }.items()
    for word in words.split(", ")
}
_MONEY = "|".join(map(re.escape, [*CURRENCY_WORDS, *map(str.lower, CURRENCIES), "f", "fr", "franc", "francs"]))
_CENTS_AFTER_MONEY = re.compile(rf"(?<=\d)\s*(?:{_MONEY})\s*[.,]?\s*(?=\d\d\D*$)")  # "12€50", "100 Fr. 50 cts"
_AROUND = f"{ascii_lowercase}€$£#*=.,-' "


Reason = Literal["no_value", "two_readings", "not_text", "too_long", "not_allowed"]

# In English, for the command line; what was typed is never part of it. {kind}: the field's.
REASONS: dict[Reason, str] = {
    "no_value": "is no value of kind {kind}",
    "two_readings": "can be read in two ways",
    "not_text": "is no text",
    "too_long": "is longer than a reading of kind {kind} may be",
    "not_allowed": "has characters that no reading can have",
}


class BadValue(ValueError):
    """A text that is no value of its field; the message is one line for people, the reason one word for programs."""

    def __init__(self, message: str, reason: Reason = "no_value") -> None:
        super().__init__(message)
        self.reason: Reason = reason


def canonical(field: Field, text: str) -> str:
    """The canonical form of what a person or a model wrote for `field`; empty and `?` stand for themselves.

    Raises BadValue where the text is no value of that kind (an amount that is no amount).
    """
    text = one_line(text)
    if text in (EMPTY, UNREADABLE):
        return text
    match field.kind:
        case "amount":
            return _amount(field, text)
        case "date":
            return _date(field, text)
        case "choice":
            return _choice(field, text)
        case "words":
            return text.lower()
        case _:
            return text


def canonical_or_text(field: Field, text: str) -> str:
    """The canonical form, or the text itself with single spaces where it has none: never raises."""
    try:
        return canonical(field, text)
    except BadValue:
        return one_line(text)


def exact(form: Form, truth: Mapping[str, str], read: Mapping[str, str]) -> dict[str, bool]:
    """Field by field: are the canonical forms equal? A missing field counts as empty."""

    def same(field: Field) -> bool:
        return canonical_or_text(field, truth.get(field.name, "")) == canonical_or_text(field, read.get(field.name, ""))

    return {field.name: same(field) for field in form}


def one_line(text: str) -> str:
    """NFC, plain apostrophes, and one space for each run of spaces and control characters."""
    text = unicodedata.normalize("NFC", str(text)).replace("’", "'")
    return " ".join("".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).split())


def _amount(field: Field, text: str) -> str:
    # "1 234,56 €", "1.234,56", "1,234.56", "1'234.50", "#1234,56#", "12 €", "1234-56" are all people's ways of writing.
    # What else stands between digits makes it no amount: joining them would be another one.
    digits = re.sub(r"[\s']", "", _CENTS_AFTER_MONEY.sub(",", plain(text)).strip(_AROUND))
    split = re.fullmatch(r"(\d[\d.,]*?)(?:[.,-](\d{1,2}))?", digits)
    if not split or not _thousands(split[1]):
        raise BadValue(f"{field.name} : « {text[:40]} » n'est pas un montant ; écrivez-le comme 1 234,56")
    whole = re.sub(r"[.,]", "", split[1])
    cents = (split[2] or "").ljust(2, "0")
    return f"{Decimal(whole)}.{cents}"


def _thousands(whole: str) -> bool:
    return whole.isdigit() or re.fullmatch(r"\d{1,3}(?:([.,])\d{3})(?:\1\d{3})*", whole) is not None


@cache
def _months() -> dict[str, int]:
    from babel.dates import get_month_names

    names = {
        plain(name).strip("."): month
        for width in ("wide", "abbreviated")
        for locale in ("fr", "en")
        for month, name in get_month_names(width, locale=locale).items()
    }
    return names | {"fev": 2, "sept": 9, "janv": 1, "avr": 4, "juil": 7}


def _date(field: Field, text: str) -> str:
    words = re.sub(r"(?<=\d)\s*(er|ere)\b", "", plain(text).removeprefix("le "))
    parts = [part for part in re.split(r"[\s/.,:\-]+", words) if part]
    try:
        if len(parts) == 1 and re.fullmatch(r"\d{6}|\d{8}", parts[0]):
            parts = [parts[0][:2], parts[0][2:4], parts[0][4:]]
        first, second, third = parts
        if len(first) == 4:
            year, month, day = int(first), _month(second), int(third)
        else:
            day, month, year = int(first), _month(second), int(third)
        # Cheques are presented within a year and eight days: two digits mean this century.
        year = year + 2000 if year < 100 else year
        if not 1000 <= year <= 2999:
            raise ValueError(year)
        return date(year, month, day).isoformat()
    except (ValueError, KeyError, OverflowError):
        raise BadValue(f"{field.name} : « {text[:40]} » n'est pas une date ; écrivez-la comme 03/05/2024") from None


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _months()[text]


def _choice(field: Field, text: str) -> str:
    wanted = plain(text)
    for choice in field.choices:
        if plain(choice) == wanted:
            return choice
    code = CURRENCY_WORDS.get(wanted)
    if code in field.choices:
        return code
    raise BadValue(f"{field.name} : « {text[:40]} » n'est pas un choix ; choisissez parmi {', '.join(field.choices)}")


def plain(text: str) -> str:
    """Lower case without accents, for comparing names that people type."""
    return "".join(c for c in unicodedata.normalize("NFD", one_line(text).lower()) if not unicodedata.combining(c))
