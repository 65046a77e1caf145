"""Dates as people type them: every day that a text may mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from functools import cache

from cheques.text import plain, typed

YEARS = 20  # before the day of the label: archives are labelled too
YEARS_AHEAD = 3  # after it: some are dated ahead
CENTURY = (2000, 2049)  # what two digits may mean where the day of the label is not known
KNOWN = (1900, 2099)  # years of four digits, where it is not; not those of another calendar
ROOM = 80  # letters at most
ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")


def readings(text: str, day: date | None = None, years: int = YEARS) -> list[date]:
    """Every day that the text may mean, in ascending order; none where it is no date.

    day: when the label was made; a date lies at most `years` before it and YEARS_AHEAD after it.
    """
    text = typed(text) if len(text) <= ROOM else ""
    # Before a date may stand a place, "le" and a day of the week, and a point at its end.
    days = "|".join(names_of("days"))
    text = re.sub(r"^(?:fait )?(?:a )?[a-z][a-z' -]*(?:,| (?=le ))\s*(?=le |\d|(?:" + days + r")\b)", "", text)
    text = re.sub(rf"^(?:le )?(?:(?:{days})\.?,? )?(?:le )?", "", text).rstrip(" .")

    found = set()
    first, last = CENTURY if day is None else (day.year - 99, day.year + YEARS_AHEAD)
    for year, month, number in orders(text):
        full = [int(year)] if len(year) == 4 else [y for y in range(first, last + 1) if y % 100 == int(year)]
        for one in full:
            with suppress(ValueError):
                found.add(date(one, month, number))
    if day is None:
        return sorted(one for one in found if KNOWN[0] <= one.year <= KNOWN[1])
    # As tuples, since three years after a 29th of February there is none.
    oldest, newest = (day.year - years, day.month, day.day), (day.year + YEARS_AHEAD, day.month, day.day)
    return sorted(one for one in found if oldest <= (one.year, one.month, one.day) <= newest)


def orders(text: str) -> Iterator[tuple[str, int, int]]:
    """(year, month, day) in every order in which the text may be read; the year as it stands there."""
    months = names_of("months")
    names = "|".join(sorted(map(re.escape, months), key=len, reverse=True))
    # Day first: nobody who writes French puts the month first in digits.
    if m := re.fullmatch(r"(\d{1,2})[ /.,:-]+(\d{1,2})[ /.,:-]+(\d{4}|\d\d)", text):
        yield m[3], int(m[2]), int(m[1])
    if m := re.fullmatch(r"(\d{4})[ /.,:-]+(\d{1,2})[ /.,:-]+(\d{1,2})", text):
        yield m[1], int(m[2]), int(m[3])
    if m := re.fullmatch(r"(\d\d)-(\d\d?)-(\d\d?)", text):  # Quebec, and whoever types as computers do
        yield m[1], int(m[2]), int(m[3])
    # Without separators, as typed on a number pad.
    if m := re.fullmatch(r"(\d\d)(\d\d)(\d{4}|\d\d)", text):
        yield m[3], int(m[2]), int(m[1])
    if m := re.fullmatch(r"(\d{4}|\d\d)(\d\d)(\d\d)", text):
        yield m[1], int(m[2]), int(m[3])
    nth, between = r"(?:er|ere|re|e|eme|\.)?", r"[ /,-]*(?:de )?"
    if m := re.fullmatch(rf"(\d{{1,2}}) ?{nth}{between}({names})\.?{between}(\d{{4}}|\d\d)", text):
        yield m[3], months[m[2]], int(m[1])
    if m := re.fullmatch(rf"({names})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})", text):
        yield m[3], months[m[1]], int(m[2])
    if m := re.fullmatch(rf"(\d{{1,2}})[ /.-]+({'|'.join(ROMAN)})[ /.-]+(\d{{4}}|\d\d)", text):
        yield m[3], ROMAN.index(m[2]) + 1, int(m[1])


@cache
def names_of(what: str) -> dict[str, int]:
    """The names of months or of days of the week, whole and short, in the languages that people here write."""
    from babel.dates import get_day_names, get_month_names

    of = get_month_names if what == "months" else get_day_names
    names = {
        plain(name).strip("."): number
        for locale in ("es", "it", "de", "en", "fr")
        for width in ("wide", "abbreviated")
        for number, name in of(width, locale=locale).items()
    }
    if what == "months":
        names |= {"janv": 1, "fev": 2, "fevr": 2, "mrs": 3, "avr": 4, "juil": 7, "juill": 7, "jul": 7, "aou": 8}
        names |= {"sept": 9, "oct": 10, "nov": 11, "dec": 12}
    return names
