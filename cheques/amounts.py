"""Amounts in French words -> a number, and whether the legal amount (words) and the courtesy amount (figures) agree.

text2num reads numbers as well, the Swiss and the Belgian ones too, but no currency, and no slip of the pen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from rapidfuzz.distance import DamerauLevenshtein

from cheques import figures
from cheques.currencies import ADJECTIVES, NOUNS, PARTS, SIGNS
from cheques.figures import as_number
from cheques.text import plain

TO_SIXTEEN = "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
SMALL = {word: n for n, word in enumerate(TO_SIXTEEN.split())} | {"une": 1}
TENS = {"vingt": 20, "vingts": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60}
TENS |= {"septante": 70, "huitante": 80, "octante": 80, "nonante": 90}
POWERS = {"mille": 10**3, "mil": 10**3, "milles": 10**3, "million": 10**6, "millions": 10**6}
POWERS |= {"milliard": 10**9, "milliards": 10**9}
HUNDRED = ("cent", "cents")
NUMBERS = {*SMALL, *TENS, *POWERS, *HUNDRED}

# A part's decimals. `cent` is a number among words, until `words_of` sees that it is a part.
DECIMALS = {part: PARTS[part][0] for part in ("centime", "penny", "pence", "millime", "cts", "ct", "c")}
# What narrows a noun down: an adjective, or a part that one currency alone has.
NARROWER = {adjective: codes for adjective, (_, _, codes) in ADJECTIVES.items()}
NARROWER |= {part: (PARTS[part][1],) for part in DECIMALS if PARTS[part][1]}
ABBREVIATED = sorted((re.escape(sign) for sign in SIGNS if sign[0].isascii() and sign != "$"), key=len, reverse=True)
SIGN = re.compile(rf"[€£$]|(?<![a-z])(?:{'|'.join(ABBREVIATED)})(?![a-z])")
MOST_DIGITS = 15
OVER = "centieme"  # 56/100, a part that a fraction names
COMMA = "virgule"
IDLE = frozenset(
    [
        "et",
        "de",
        "d",
        "la",
        "le",
        "somme",
        "montant",
        "payez",
        "pour",
        "seulement",
        "exactement",
        "net",
        "nette",
        "pile",
        "tout",
        "rond",
    ]
)
ROOM = 400  # letters that are looked at

# Every spelling that is understood -> the word as this file knows it (units in the singular).
UNITS = {*NOUNS, *NARROWER, *DECIMALS, OVER}
VOCABULARY = {word: word for word in (*NUMBERS, *UNITS, COMMA)} | {f"{unit}s": unit for unit in UNITS}
PLURALS = ("cents", "vingts", "milles", "millions", "milliards")


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
    words = words_of(text) if len(text) <= ROOM else None
    # No amount has so many digits, and decimal calculates with 28.
    if not words or any(len(re.findall(r"\d", word)) > MOST_DIGITS for word in words):
        return None
    whole: Decimal | None = None
    part: Decimal | None = None
    currencies: tuple[str, ...] = ()
    spoken: list[str] = []
    for word in words:
        if codes := NOUNS.get(word) or NARROWER.get(word):
            currencies = tuple(code for code in currencies if code in codes) or codes
        if word in NOUNS and spoken:
            if whole is not None:
                return None
            whole, spoken = decimal_of(spoken), []
            if whole is None:
                return None
        elif word == OVER:
            if part is not None or not spoken:
                return None
            # "mille deux cents 56/100": what stands before the figures may be the whole. "douze euros trois centièmes"
            over = [spoken.pop()] if spoken[-1].isdigit() else spoken
            hundredths = number_of(over)
            if hundredths is None or hundredths % 1:
                return None
            part, spoken = hundredths.scaleb(-2), [] if over is spoken else spoken
        elif word in DECIMALS and spoken:
            number = number_of(spoken)
            if number is None or part is not None:
                return None
            part, spoken = number.scaleb(-DECIMALS[word]), []
        elif word in NUMBERS or word == COMMA or word[0].isdigit():
            spoken.append(word)
    if spoken and whole is None:
        whole, spoken = decimal_of(spoken), []
        if whole is None:
            return None
    if spoken:  # "douze euros cinquante"
        number = number_of(spoken)
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


def words_of(text: str) -> list[str] | None:
    """The words as this file spells them, without those that only lead on; None where one cannot be made out."""
    text = plain(text).replace("œ", "oe")
    text = re.sub(r"(?<=\d)\s(?=\d{3}\b)", "", text)  # 1 234
    thousands = r"(?<![\d.,])\d{1,3}([.,])\d{3}(?:\1\d{3})*(?!\d|[.,]\d{3})"  # 12.000
    text = re.sub(thousands, lambda found: re.sub("[.,]", "", found[0]), text)
    text = re.sub(r"\b(\d{1,2})\s*/\s*100\b", rf"\1 {OVER} ", text)
    text = SIGN.sub(lambda found: f" {SIGNS[found[0]]} ", text)
    words: list[str] = []
    for word in re.findall(r"\d+(?:[.,]\d+)?|[a-z]+", text):
        if word in IDLE:
            continue
        found = [word] if word[0].isdigit() else known(word)
        if found is None:
            return None
        words += found

    # "vingt dollars et cinq cents": after a currency and a number, a last `cent` is the hundredth, not 100.
    units = [n for n, word in enumerate(words) if word in NOUNS or word in NARROWER]
    numbered = units and any(word in NUMBERS or word[0].isdigit() for word in words[: units[-1]])
    if numbered and words[-1] in HUNDRED and units[-1] < len(words) - 2:
        words[-1] = "centime"
    return words


@lru_cache(4096)
def known(word: str) -> list[str] | None:
    """The word itself, the words that it is glued from, or the one word that it is a slip of."""
    if word in VOCABULARY:
        return [VOCABULARY[word]]
    if glued := unglued(word):
        return glued
    if len(word) < 4:
        return None

    # One letter away, two in a long word, and no other word as near.
    reach = 1 if len(word) < 8 else 2
    near: dict[int, set[str]] = {}
    for spelling, meant in VOCABULARY.items():
        if abs(len(spelling) - len(word)) <= reach and len(spelling) > 2:
            singular = meant.removesuffix("s") if meant in PLURALS else meant
            near.setdefault(DamerauLevenshtein.distance(word, spelling), set()).add(singular)
    best = min(near, default=reach + 1)
    return [near[best].pop()] if best <= reach and len(near[best]) == 1 else None


@lru_cache(4096)
def unglued(word: str) -> list[str] | None:
    """The words that stand in one without spaces, each as long as it can be; None where a rest is none."""
    if not word:
        return []
    for end in range(len(word), 1, -1):
        head = word[:end]
        if head in VOCABULARY or head == "et":
            tail = unglued(word[end:])
            if tail is not None:
                return [*([VOCABULARY[head]] if head != "et" else []), *tail]
    return None


def decimal_of(spoken: list[str]) -> Decimal | None:
    """`douze virgule zéro cinq`, `douze virgule 05`, `douze`, `12,05`."""
    if COMMA not in spoken:
        return number_of(spoken)
    at = spoken.index(COMMA)
    before, after = spoken[:at], spoken[at + 1 :]
    whole, part = number_of(before), number_of(after)
    if whole is None or part is None or part >= 100:
        return None
    # `virgule cinq` is five tenths, `virgule zéro cinq` and `virgule cinquante` are hundredths.
    places = len(after[0]) if after[0].isdigit() else 1 if part < 10 and after[0] != "zero" else 2
    return whole + part.scaleb(-places)


def number_of(spoken: list[str]) -> Decimal | None:
    """The number that the words say; None where they are no French number (`deux trois`, `dix un`).

    Figures may stand beside thousands and millions (`2 mille 300`), not beside hundreds: `20 cents` is no 2000.
    """
    if len(spoken) == 1 and spoken[0][0].isdigit():
        return Decimal(spoken[0].replace(",", "."))
    total, below, power = 0, 0, 10**12
    last = ""
    for word in spoken:
        if word in POWERS:
            # Powers go down, and each stands once: `deux mille trois mille` is no number.
            value = POWERS[word]
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
            longer = grown(below, word, last)
            if longer is None:
                return None
            below = longer
        last = word
    return Decimal(total + below) if spoken else None


def grown(below: int, word: str, last: str) -> int | None:
    """A number under a thousand, one word longer; None where French does not go on so."""
    rest = below % 100
    if word in HUNDRED:
        return below * 100 if 1 < below < 100 else 100 if not below and last != "zero" else None
    if word in TENS:
        # quatre-vingt: the 4 becomes 80.
        if word in ("vingt", "vingts") and last == "quatre" and rest == 4:
            return below + 76
        return below + TENS[word] if rest == 0 and last != "zero" else None
    value = SMALL.get(word)
    if value is None:
        return None
    if value == 0:
        return below if last in ("", "zero") else None
    if value >= 10:
        # soixante-dix to soixante-dix-neuf, and the same after quatre-vingt.
        follows = rest == 0 or (rest == 60 and last == "soixante") or (rest == 80 and last in ("vingt", "vingts"))
    else:
        # After `dix` come sept, huit and neuf alone: dix-six is seize.
        follows = rest % 10 == 0 and (last != "dix" or value >= 7)
    return below + value if follows else None
