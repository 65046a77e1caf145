"""Planted errors: what they look like.

A known share of the lessons' pre-labels shows one wrong but plausible value. Who looks corrects it; how many do is the
only measure of attention that needs no second opinion. The exam never carries any.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from cheques.amounts import cents_of_words
from cheques.fields import EMPTY, UNREADABLE, Field, Form
from cheques.values import BadValue, as_number, canonical, currency_of

UNITS = ("deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
UNIT = re.compile(rf"\b({'|'.join(UNITS)})\b(?![- ]vingt)")
SURE = 0.95  # confidence below which a reading carries no planted error
OTHERS = 3  # values of other cheques, below which a text would be planted again and again


@dataclass(frozen=True)
class Planted:
    """One planted error: the task and the version whose prediction carries it, what was read and what is shown."""

    task: str
    version: str
    field: str
    read: str
    shown: str


def chosen(salt: str, task: int | str, share: float) -> bool:
    """Does this cheque belong to the share? By the draw's salt: the same for every version, and nobody can tell."""
    digest = hashlib.sha256(f"{salt}:planted:{task}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48 < share


def plant(
    form: Form,
    values: Mapping[str, str],
    confidence: Mapping[str, float],
    salt: str,
    task: int | str,
    version: str,
    others: Mapping[str, Sequence[str]],
) -> Planted | None:
    """One wrong value for one field of what was read, the same at every call; None where no field can carry one.

    others: by field, values that were read on other cheques; for what can only be taken for another's (a payee).
    """
    rng = random.Random(f"{salt}:{task}:{version}")
    currency = currency_of(form, values)
    for field in rng.sample(list(form), len(form.fields)):
        read = values.get(field.name, EMPTY)
        # In place of a doubtful reading, the wrong value might happen to be the truth.
        if confidence.get(field.name, 0.0) < SURE or read in (EMPTY, UNREADABLE):
            continue
        if not is_canonical(field, read, currency):
            continue
        wrong = SLIPS[field.kind](rng, field, read, others.get(field.name, ()))
        if wrong and wrong != read and is_canonical(field, wrong, currency):
            return Planted(str(task), version, field.name, read, wrong)
    return None


def is_canonical(field: Field, text: str, currency: str) -> bool:
    """Is this text its own canonical form?"""
    if field.kind == "amount":
        return as_number(text) is not None
    try:
        return canonical(field, text, currency) == text
    except BadValue:
        return False


def other_digit(rng: random.Random, _: Field, read: str, __: Sequence[str]) -> str:
    """An amount with one other digit; as long as it was, and never nothing."""
    places = [place for place, character in enumerate(read) if character.isdigit()]
    place = rng.choice(places)
    # A leading zero would give the error away.
    digits = [d for d in "0123456789" if d != read[place] and (place > 0 or d != "0")]
    wrong = read[:place] + rng.choice(digits) + read[place + 1 :]
    return wrong if Decimal(wrong) else ""


def other_number_word(rng: random.Random, _: Field, read: str, __: Sequence[str]) -> str:
    """An amount in words with one other number, if it is still one."""
    found = list(UNIT.finditer(read))
    if not found:
        return ""
    word = rng.choice(found)
    wrong = read[: word.start()] + rng.choice([u for u in UNITS if u != word[0]]) + read[word.end() :]
    return wrong if cents_of_words(wrong) else ""


def other_day(rng: random.Random, _: Field, read: str, __: Sequence[str]) -> str:
    """Another day of the same month, a few days off."""
    was = date.fromisoformat(read)
    # At most 28, which every month has.
    days = [day for day in range(max(1, was.day - 9), min(28, was.day + 9) + 1) if day != was.day]
    return was.replace(day=rng.choice(days)).isoformat()


def other_choice(rng: random.Random, field: Field, read: str, _: Sequence[str]) -> str:
    """Another of the field's choices, if there is one."""
    rest = [choice for choice in field.choices if choice not in (read, EMPTY, UNREADABLE)]
    return rng.choice(rest) if rest else ""


def of_another_cheque(rng: random.Random, _: Field, read: str, others: Sequence[str]) -> str:
    """What was read on another cheque, if there is enough to choose from."""
    rest = sorted({other for other in others if other.casefold() != read.casefold()} - {EMPTY, UNREADABLE})
    return rng.choice(rest) if len(rest) >= OTHERS else ""


SLIPS: dict[str, Callable[[random.Random, Field, str, Sequence[str]], str]] = {
    "amount": other_digit,
    "words": other_number_word,
    "date": other_day,
    "number": other_digit,
    "choice": other_choice,
    "text": of_another_cheque,
}
