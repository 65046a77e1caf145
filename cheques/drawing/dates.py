"""Dates as people write them on cheques."""

from __future__ import annotations

import datetime
import random

MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
SHORT = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")
_FIRST = datetime.date(2012, 1, 1).toordinal()
_LAST = datetime.date(2027, 12, 31).toordinal()


def choose_date(rng: random.Random) -> datetime.date:
    """A day of the years 2012 to 2027."""
    return datetime.date.fromordinal(_FIRST + int(rng.random() * (_LAST - _FIRST + 1)))


def written(rng: random.Random, day: datetime.date) -> str:
    """A date in one of the notations that people use."""
    chance = rng.random()
    if chance < 0.62:
        separator = "/" if chance < 0.4 else "." if chance < 0.47 else "-" if chance < 0.55 else " "
        year = str(day.year) if rng.random() < 0.65 or separator == " " else f"{day.year % 100:02d}"
        if rng.random() < 0.75 or separator == " ":
            return f"{day.day:02d}{separator}{day.month:02d}{separator}{year}"
        return f"{day.day}{separator}{day.month}{separator}{year}"
    number = "1er" if day.day == 1 else str(day.day)
    month = MONTHS[day.month - 1] if rng.random() < 0.75 else SHORT[day.month - 1]
    return f"{number} {month} {day.year}"
