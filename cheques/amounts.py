"""Amounts in French words -> a number, and whether the legal amount (words) and the courtesy amount (figures) agree.

text2num reads numbers as well, the Swiss and the Belgian ones too, but no currency, and no slip of the pen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

from cheques import figures
from cheques.figures import as_number
from cheques.text import plain

_TO_SIXTEEN = "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
_SMALL = {word: n for n, word in enumerate(_TO_SIXTEEN.split())} | {"une": 1}
_TENS = {"vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60}
_TENS |= {"septante": 70, "huitante": 80, "octante": 80, "nonante": 90}
_POWERS = {"mille": 10**3, "mil": 10**3, "milles": 10**3, "million": 10**6, "millions": 10**6}
_POWERS |= {"milliard": 10**9, "milliards": 10**9}
_HUNDRED = ("cent", "cents")
_NUMBERS = {*_SMALL, *_TENS, *_POWERS, *_HUNDRED}

# What a noun may mean, the likeliest first; an adjective or the name of the hundredth narrows it down.
_WHOLE = {
    "euro": ("EUR",),
    "franc": ("CHF", "XOF", "XAF"),
    "dirham": ("MAD",),
    "dinar": ("TND", "DZD"),
    "livre": ("GBP",),
    "dollar": ("USD", "CAD"),
}
_NARROWER = {
    "suisse": ("CHF",),
    "cfa": ("XOF", "XAF"),
    "marocain": ("MAD",),
    "tunisien": ("TND",),
    "algerien": ("DZD",),
    "sterling": ("GBP",),
    "americain": ("USD",),
    "us": ("USD",),
    "canadien": ("CAD",),
    "millime": ("TND",),
    "penny": ("GBP",),
    "pence": ("GBP",),
}
# A part's decimals.
_PART = {"centime": 2, "penny": 2, "pence": 2, "millime": 3, "cts": 2, "ct": 2, "c": 2}
_SIGNS = {
    "€": "euro",
    "£": "livre",
    "$": "dollar",
    "eur": "euro",
    "chf": "franc suisse",
    "sfr": "franc suisse",
    "fcfa": "franc cfa",
    "f cfa": "franc cfa",
    "f. cfa": "franc cfa",
    "f.cfa": "franc cfa",
    "xof": "franc cfa",
    "xaf": "franc cfa",
    "frs": "franc",
    "fr": "franc",
    "f": "franc",
    "dhs": "dirham",
    "dh": "dirham",
    "mad": "dirham",
    "dt": "dinar tunisien",
    "tnd": "dinar tunisien",
    "da": "dinar algerien",
    "dzd": "dinar algerien",
    "gbp": "livre sterling",
    "usd": "dollar us",
    "cad": "dollar canadien",
}
_ABBREVIATED = "|".join(sorted((re.escape(sign) for sign in _SIGNS if sign.isascii() and sign != "$"), key=len)[::-1])
_SIGN = re.compile(rf"[€£$]|(?<![a-z])(?:{_ABBREVIATED})(?![a-z])")
_OVER = "centieme"  # 56/100, a part that a fraction names
ROOM = 400  # letters that are looked at
_COMMA = "virgule"
_IDLE = "et de d la le somme montant payez pour seulement exactement net nette pile tout rond"


@dataclass(frozen=True)
class Amount:
    """value: exact, millimes too. currency: the likeliest ISO 4217 code.

    may_be: every currency that these words may mean ("dinars" alone: TND and DZD); empty where none is named.
    """

    value: Decimal
    currency: str | None = None
    may_be: tuple[str, ...] = ()

    @property
    def cents(self) -> int:
        """In hundredths, a millime rounded."""
        return round(self.value * 100)


def cents_of_words(text: str) -> Amount | None:
    """The amount that French words say, or None where they say none, or nothing certain.

    With and without hyphens and accents, septante to nonante, centimes, small slips of the pen; figures in place of
    words (`douze euros 05`) too.
    """
    words = _understood(text) if len(text) <= ROOM else None
    if not words:
        return None
    words = _with_named_cents(words)
    whole: Decimal | None = None
    part: Decimal | None = None
    currencies: tuple[str, ...] = ()
    spoken: list[str] = []
    for word in words:
        if word in _WHOLE or word in _NARROWER:
            currencies = _narrowed(currencies, _WHOLE.get(word) or _NARROWER[word])
        if word in _WHOLE and spoken:
            if whole is not None:
                return None
            whole, spoken = _decimal(spoken), []
            if whole is None:
                return None
        elif word == _OVER:  # its number is the last word, and what stands before may be the whole
            if part is not None:
                return None
            part = Decimal(spoken.pop()).scaleb(-2)
        elif word in _PART and spoken:
            number = _number(spoken)
            if number is None or part is not None:
                return None
            part, spoken = number.scaleb(-_PART[word]), []
        elif word in _NUMBERS or word == _COMMA or word[0].isdigit():
            spoken.append(word)
    if spoken and whole is None:
        whole, spoken = _decimal(spoken), []
        if whole is None:
            return None
    if spoken:  # "douze euros cinquante"
        number = _number(spoken)
        if number is None or part is not None:
            return None
        part = number.scaleb(-2)
    if (whole is None and part is None) or (part or 0) >= 1 or (part is not None and (whole or 0) % 1):
        return None
    return Amount((whole or Decimal(0)) + (part or Decimal(0)), currencies[0] if currencies else None, currencies)


def words_and_figures_agree(words: str, courtesy: str) -> bool | None:
    """Do the legal and the courtesy amount say the same? None where one of them is missing or cannot be understood.

    courtesy: canonical, or as people type it.
    """
    said, number = cents_of_words(words), as_number(courtesy)
    if number is None:
        found = figures.readings(courtesy)
        number = Decimal(found[0]) if len(found) == 1 else None
    return said.value == number if said and number is not None else None


def _narrowed(so_far: tuple[str, ...], also: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(code for code in so_far if code in also) or also if so_far else also


def _understood(text: str) -> list[str] | None:
    """The words as this file spells them, without those that only lead on; None where one cannot be made out."""
    text = plain(text).replace("œ", "oe")
    text = re.sub(r"(?<=\d)\s(?=\d{3}\b)", "", text)  # 1 234
    thousands = r"(?<![\d.,])\d{1,3}([.,])\d{3}(?:\1\d{3})*(?!\d|[.,]\d{3})"  # 12.000
    text = re.sub(thousands, lambda found: re.sub("[.,]", "", found[0]), text)
    text = re.sub(r"\b(\d{1,2})\s*/\s*100\b", rf"\1 {_OVER} ", text)
    text = _SIGN.sub(lambda found: f" {_SIGNS[found[0]]} ", text)
    words: list[str] = []
    for word in re.findall(r"\d+(?:[.,]\d+)?|[a-z]+", text):
        if word in _IDLE.split():
            continue
        found = [word] if word[0].isdigit() else _known(word)
        if found is None:
            return None
        words += found
    return words


@cache
def _vocabulary() -> dict[str, str]:
    """Every spelling that is understood -> the word as this file knows it (units in the singular)."""
    units = {*_WHOLE, *_NARROWER, *_PART, _OVER}
    return {word: word for word in (*_NUMBERS, *units, _COMMA)} | {f"{unit}s": unit for unit in units}


@lru_cache(4096)
def _known(word: str) -> list[str] | None:
    """The word itself, the words that it is glued from, or the one word that it is a slip of."""
    vocabulary = _vocabulary()
    if word in vocabulary:
        return [vocabulary[word]]
    return _unglued(word) or _without_slip(word)


@lru_cache(4096)
def _unglued(word: str) -> list[str] | None:
    if not word:
        return []
    vocabulary = _vocabulary()
    for end in range(len(word), 1, -1):
        head = word[:end]
        if head in vocabulary or head == "et":
            tail = _unglued(word[end:])
            if tail is not None:
                return [*([vocabulary[head]] if head != "et" else []), *tail]
    return None


def _without_slip(word: str) -> list[str] | None:
    """The nearest word that is one letter away (two in a long one), if no other is as near."""
    from rapidfuzz.distance import DamerauLevenshtein

    if len(word) < 4:
        return None
    reach = 1 if len(word) < 8 else 2
    near: dict[int, set[str]] = {}
    for spelling, meant in _vocabulary().items():
        if abs(len(spelling) - len(word)) <= reach and len(spelling) > 2:
            near.setdefault(DamerauLevenshtein.distance(word, spelling), set()).add(_singular(meant))
    best = min(near, default=reach + 1)
    return [near[best].pop()] if best <= reach and len(near[best]) == 1 else None


def _singular(word: str) -> str:
    return word[:-1] if word in ("cents", "vingts", "milles", "millions", "milliards") else word


def _with_named_cents(words: list[str]) -> list[str]:
    """`vingt dollars et cinq cents`: after a currency and a number, a last `cent` is the hundredth, not 100."""
    units = [n for n, word in enumerate(words) if word in _WHOLE or word in _NARROWER]
    numbered = any(word in _NUMBERS or word[0].isdigit() for word in words[: units[-1]]) if units else False
    if words[-1] in _HUNDRED and numbered and units[-1] < len(words) - 2:
        return [*words[:-1], "centime"]
    return words


def _decimal(spoken: list[str]) -> Decimal | None:
    """`douze virgule zéro cinq`, `douze virgule 05`, `douze`, `12,05`."""
    if _COMMA not in spoken:
        return _number(spoken)
    at = spoken.index(_COMMA)
    before, after = spoken[:at], spoken[at + 1 :]
    whole, part = _number(before), _number(after)
    if whole is None or part is None or part >= 100:
        return None
    places = len(after[0]) if after[0].isdigit() else 1 if part < 10 and after[0] != "zero" else 2
    return whole + part.scaleb(-places)


def _number(spoken: list[str]) -> Decimal | None:
    """The number that the words say; None where they are no French number (`deux trois`, `dix un`).

    Figures may stand beside thousands and millions (`2 mille 300`), not beside hundreds: `20 cents` is no 2000.
    """
    if len(spoken) == 1 and spoken[0][0].isdigit():
        return Decimal(spoken[0].replace(",", "."))
    total, below, power = 0, 0, 10**12
    last = ""
    for word in spoken:
        if word in _POWERS:
            value = _POWERS[word]
            if value >= power or last == "zero":
                return None
            total, below, power = total + max(1, below) * value, 0, value
        elif last.isdigit():
            return None
        elif word[0].isdigit():
            if below or not re.fullmatch(r"[1-9]\d{0,2}", word):
                return None
            below = int(word)
        else:
            grown = _grown(below, word, last)
            if grown is None:
                return None
            below = grown
        last = word
    return Decimal(total + below) if spoken else None


def _grown(below: int, word: str, last: str) -> int | None:
    """A number under a thousand, one word longer; None where French does not go on so."""
    rest = below % 100
    if word in _HUNDRED:
        return below * 100 if 1 < below < 100 else 100 if not below and last != "zero" else None
    if word in _TENS:
        if word in ("vingt", "vingts") and last == "quatre" and rest == 4:
            return below + 76
        return below + _TENS[word] if rest == 0 and last != "zero" else None
    value = _SMALL.get(word)
    if value is None:
        return None
    if value == 0:
        return below if last in ("", "zero") else None
    if value >= 10:
        follows = rest == 0 or (rest == 60 and last == "soixante") or (rest == 80 and last in ("vingt", "vingts"))
    else:
        follows = rest % 10 == 0 and (last != "dix" or value >= 7)
    return below + value if follows else None
