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
    text = _bare(typed(text)) if len(text) <= ROOM else ""
    found = set()
    for first, month, last in _orders(text):
        for year in [int(first)] if len(first) == 4 else _full(first, day):
            with suppress(ValueError):
                found.add(date(year, month, last))
    return sorted(one for one in found if _lies(one, day, years))


def _bare(text: str) -> str:
    """Without what may stand before a date (a place, "le", a day of the week) and the point at its end."""
    days = "|".join(_names("days"))
    text = re.sub(r"^(?:fait )?(?:a )?[a-z][a-z' -]*(?:,| (?=le ))\s*(?=le |\d|(?:" + days + r")\b)", "", text)
    return re.sub(rf"^(?:le )?(?:(?:{days})\.?,? )?(?:le )?", "", text).rstrip(" .")


def _orders(text: str) -> Iterator[tuple[str, int, int]]:
    """(year, month, day) in every order in which the text may be read; the year as it stands there."""
    months = _names("months")
    names = "|".join(sorted(map(re.escape, months), key=len, reverse=True))
    if m := re.fullmatch(r"(\d{1,2})[ /.,:-]+(\d{1,2})[ /.,:-]+(\d{4}|\d\d)", text):
        yield m[3], int(m[2]), int(m[1])
    if m := re.fullmatch(r"(\d{4})[ /.,:-]+(\d{1,2})[ /.,:-]+(\d{1,2})", text):
        yield m[1], int(m[2]), int(m[3])
    if m := re.fullmatch(r"(\d\d)-(\d\d?)-(\d\d?)", text):  # Quebec, and whoever types as computers do
        yield m[1], int(m[2]), int(m[3])
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


def _full(two: str, day: date | None) -> Iterator[int]:
    """The years that two digits may mean."""
    first, last = CENTURY if day is None else (day.year - 99, day.year + YEARS_AHEAD)
    yield from (year for year in range(first, last + 1) if year % 100 == int(two))


def _lies(one: date, day: date | None, years: int) -> bool:
    if day is None:
        return KNOWN[0] <= one.year <= KNOWN[1]
    near = (one.month, one.day)
    return (day.year - years, day.month, day.day) <= (one.year, *near) <= (day.year + YEARS_AHEAD, day.month, day.day)


@cache
def _names(what: str) -> dict[str, int]:
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
