"""Amounts in figures, as people type them: every number that a text may mean."""

from __future__ import annotations

import re
from decimal import Decimal

from cheques.currencies import PARTS, meant, precision
from cheques.fields import PATTERNS
from cheques.text import typed

POINT = frozenset(("CHF", "GBP", "USD", "CAD"))  # where a point is no sign of thousands for sure
ROOM = 60  # letters at most

UNIT = r"[a-z€$£][a-z€$£. ]*?"
NUMBER = r"\d(?:[\d .,']*\d)?"
GROUPED = r"[1-9]\d{0,2}(?:(?P<mark>[ .,'])\d{3})(?:(?P=mark)\d{3})*"
# "1 234,56 €", "CHF 100.–", "#1234-56#"
ONE = re.compile(rf"(?P<before>{UNIT})?\s*(?P<number>{NUMBER}(?:-\d\d)?)(?:\s?[.,]\s?--?|\.)?\s*(?P<after>{UNIT})?")
# "12 € 50", "12 euros et 5 centimes", "1234 56/100 €"
TWO = re.compile(
    rf"(?P<before>{UNIT})?\s*(?P<number>{NUMBER})(?:\s*(?!et\b|and\b)(?P<unit>{UNIT}))?\s?[.,]?(?:\s+(?:et|and))?\s*"
    rf"(?<!\d)(?P<part>\d{{1,3}})\s*(?:/\s*(?P<of>1000?))?\s*(?P<after>{UNIT})?"
)


def readings(text: str, currency: str = "") -> list[str]:
    """Every amount that the text may mean, canonical, in ascending order; none where it is no amount.

    currency: the cheque's, where it is known; it decides the decimals, as the units in the text do where it is not.
    """
    text = re.sub(r"^[#*=~ ]+|[#*=~ ]+$", "", typed(text)) if len(text) <= ROOM else ""
    text = re.sub(r"^-+ ?(\d.*\d) ?-+$", r"\1", text)  # a fence of dashes; one dash alone is a minus
    numbers: set[Decimal] = set()
    places: set[int] = set()
    one, two = ONE.fullmatch(text), TWO.fullmatch(text)
    part = part_decimals(one["after"] or "") if one else 0
    if one and not (part and two):  # "12 € 50 centimes" is both, and no 50 centimes alone
        units = [unit for unit in (one["before"], one["after"]) if unit]
        places = places_of(currency, units)
        if part:
            numbers = with_part("0", one["number"], places, part)
        else:
            point = currency in POINT or any(POINT & meant(unit) for unit in units)
            numbers = {number for decimals in places for number in numbers_of(one["number"], decimals, point)}
    elif two:
        places = places_of(currency, [unit for unit in (two["before"], two["unit"], two["after"]) if unit])
        decimals = len(two["of"]) - 1 if two["of"] else part_decimals(two["after"] or "")
        # What stands apart is a part by its name, or by its place right after the currency.
        if decimals or (two["unit"] and not two["after"]):
            numbers = with_part(two["number"], two["part"], places, decimals)
    decided = precision(currency) if currency else min(places) if len(places) == 1 else None
    # 1234,567 € has a digit too many: refused, since rounding would hide the slip.
    if len(numbers) == 1 and decided is not None and not fits(min(numbers), decided):
        return []
    return [written(number, 2 if decided is None else decided) for number in sorted(numbers)]


def written(number: Decimal, decimals: int) -> str:
    """The canonical form of a number, with as many decimals as its currency has, or more if it needs more."""
    return f"{number:.{next(n for n in range(decimals, 9) if fits(number, n))}f}"


def as_number(value: str) -> Decimal | None:
    """The number of an amount in canonical form, of any currency; None for anything else."""
    return Decimal(value) if re.fullmatch(PATTERNS["amount"], value) else None


def part_decimals(name: str) -> int:
    """The decimals of a part, by its name; 0 where it names none."""
    return PARTS.get(name.strip(" ."), (0, ""))[0]


def places_of(currency: str, units: list[str]) -> set[int]:
    """The numbers of decimals that the amount may have; none where a unit is not known, or two contradict."""
    codes: frozenset[str] | None = None
    for unit in units:
        part, only = PARTS.get(unit.strip(" ."), (0, ""))
        if part and not only:
            continue
        own = frozenset((only,)) if only else meant(unit)
        codes = own if codes is None else codes & own
        if not codes:
            return set()
    # No unit is written: the cheque's own currency decides, or it may be any.
    if codes is None:
        return {precision(currency)} if currency else {0, 2, 3}
    if not currency:
        return {precision(code) for code in codes}
    # "100 €" on a cheque in francs: the unit is wrong, the number is not, unless the two count decimals differently.
    return {precision(code) for code in ({currency} if currency in codes else {currency, *codes})}


def numbers_of(text: str, decimals: int, point: bool) -> set[Decimal]:
    """What a number may mean where its currency has so many decimals."""
    if text.isdigit():
        return {Decimal(text)}
    if spaced := re.fullmatch(rf"(\d+|{GROUPED}) (\d\d)", text):  # 12 50: cents, or a slip within 1250
        return {Decimal(f"{digits_of(spaced[1])}.{spaced[3]}"), Decimal(digits_of(text))}
    found = set()
    grouped = re.fullmatch(GROUPED, text)
    # 12,500 is twelve dinars and a half in Tunis; anywhere else a comma is hardly a sign of thousands.
    if grouped and not (decimals == 3 and re.fullmatch(r"\d+[.,]\d+", text)):
        found.add(Decimal(digits_of(text)))
    split = re.fullmatch(rf"(?P<whole>\d+|{GROUPED})(?:(?P<sign>[.,])(?P<part>\d{{1,3}})|-(?P<dashed>\d\d))", text)
    if split and (split["mark"] is None or split["mark"] != split["sign"] or decimals == 3):
        part = split["part"] or split["dashed"]
        number = Decimal(f"{digits_of(split['whole'])}.{part}")
        thousands = grouped is not None and split["sign"] == "." and not point
        if len(part) == 3 and decimals == 2:
            found |= set() if thousands else {number}
        elif len(part) <= max(decimals, 2) and fits(number, decimals):
            found.add(number)
    return found


def with_part(whole: str, part: str, places: set[int], decimals: int) -> set[Decimal]:
    """A whole number and its part. decimals: of the part, by its name; 0 where it has none, then by its length."""
    if not re.fullmatch(rf"\d+|{GROUPED}", whole) or not part.isdigit():
        return set()
    fit = [most for most in places if most and len(part) <= most]
    meanings = {decimals} if decimals else {*fit, *([len(part)] if fit else [])}
    shifted = {Decimal(digits_of(whole)) + Decimal(part).scaleb(-n) for n in meanings if len(part) <= n}
    return {number for number in shifted if any(fits(number, most) for most in places)}


def fits(number: Decimal, decimals: int) -> bool:
    """Does the number need no more than so many decimals?"""
    # By its digits: `round` ends in an error beyond the 28 that decimal calculates with.
    _, digits, exponent = number.as_tuple()
    beyond = -int(exponent) - decimals
    return beyond <= 0 or not any(digits[-beyond:])


def digits_of(text: str) -> str:
    """The digits of a text, one after the other."""
    return re.sub(r"\D", "", text)
