"""Amounts as people write them on cheques: in figures, in French words, in several currencies."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate

from cheques.currencies import precision
from cheques.figures import written


@dataclass(frozen=True)
class Currency:
    """How the people of a currency write it. `cent` is empty where there are no cents."""

    code: str
    symbols: tuple[str, ...]
    one: str
    many: str
    cent: str
    cents: str
    share: float
    """How many of a hundred drawn cheques are in it."""
    nonante: bool = False
    """Septante and nonante are the usual words."""


CURRENCIES = (
    Currency("EUR", ("€", "€", "€", "EUR", "euros"), "euro", "euros", "centime", "centimes", 75),
    Currency("CHF", ("CHF", "Fr.", "CHF"), "franc", "francs", "centime", "centimes", 5, nonante=True),
    Currency("MAD", ("DH", "MAD", "Dhs"), "dirham", "dirhams", "centime", "centimes", 5),
    Currency("TND", ("DT", "TND"), "dinar", "dinars", "millime", "millimes", 5),
    Currency("XOF", ("F CFA", "FCFA", "XOF"), "franc CFA", "francs CFA", "", "", 5),
    Currency("CAD", ("$ CAN", "CAD"), "dollar canadien", "dollars canadiens", "cent", "cents", 1),
    Currency("USD", ("$", "USD"), "dollar", "dollars", "cent", "cents", 1),
    Currency("GBP", ("£", "GBP"), "livre sterling", "livres sterling", "penny", "pence", 1),
    Currency("DZD", ("DA", "DZD"), "dinar algérien", "dinars algériens", "centime", "centimes", 2),
)
BY_CODE = {currency.code: currency for currency in CURRENCIES}
BOUNDS = tuple(accumulate(currency.share / 100 for currency in CURRENCIES))


def choose_currency(rng: random.Random) -> Currency:
    """A currency, as often as its share."""
    chance = rng.random()
    return next((c for c, bound in zip(CURRENCIES, BOUNDS, strict=True) if chance < bound), CURRENCIES[0])


def choose_cents(rng: random.Random, currency: Currency) -> int:
    """1.00 to 999,999.99 in cents: every length as likely as its use on cheques, a third of them round."""
    digits = rng.choices((1, 2, 3, 4, 5, 6), (6, 22, 32, 24, 11, 5))[0]
    whole = rng.randrange(10 ** (digits - 1), 10**digits)
    if rng.random() < 0.2:
        whole = max(1, whole // 10 * 10)
    if not currency.cent or rng.random() < 0.3:
        return whole * 100
    return whole * 100 + rng.randrange(100)


def canonical(cents: int, currency: Currency) -> str:
    """The amount as the truth spells it."""
    return written(Decimal(cents).scaleb(-2), precision(currency.code))


@lru_cache(maxsize=8192)
def spelt(n: int, nonante: bool) -> str:
    """The words of a number, as num2words has them; cached, since it is slow."""
    from num2words import num2words

    if not nonante:
        return str(num2words(n, lang="fr"))
    # num2words leaves the s of `cents` before another number, and says huitante, which few do.
    swiss = str(num2words(n, lang="fr_CH"))
    return re.sub(r"cents (?=\w)", "cent ", swiss).replace("huitante", "quatre-vingt")


def number_words(n: int, nonante: bool = False) -> str:
    """French words of 0 to 999,999, in the spelling of before 1990 (hyphens below a hundred only)."""
    thousands, rest = divmod(n, 1000)
    if not thousands:
        return spelt(rest, nonante)
    words = spelt(thousands * 1000, nonante)
    return words if not rest else f"{words} {spelt(rest, nonante)}"


def words(rng: random.Random, cents: int, currency: Currency) -> str:
    """An amount in words, lower case, single spaces, in one of the ways in which people write it."""
    whole, part = divmod(cents, 100)
    nonante = currency.nonante and rng.random() < 0.7
    number = number_words(whole, nonante)
    chance = rng.random()
    if chance < 0.1:
        number = number.replace(" ", "-")
    elif chance < 0.2:
        number = number.replace("-", " ")
    name = currency.one if whole == 1 else currency.many
    if currency.code == "CHF" and rng.random() < 0.5:
        name += " suisse" if whole == 1 else " suisses"
    if currency.code == "TND" and rng.random() < 0.4:
        name += " tunisien" if whole == 1 else " tunisiens"
    text = f"{number} {name}"
    if not part:
        return text.lower()
    if currency.cent == "millime":
        return f"{text} et {number_words(part * 10)} millimes".lower()
    joint = " et " if rng.random() < 0.65 else " "
    unit = currency.cent if part == 1 else currency.cents
    number = f"{part:02d}" if rng.random() < 0.06 else number_words(part, nonante)
    return f"{text}{joint}{number} {unit}".lower()


def figures(rng: random.Random, cents: int, currency: Currency, *, symbol: bool | None = None) -> str:
    """An amount in figures, in one of the notations that people use. `symbol` True or False decides the currency."""
    whole, part = divmod(cents, 100)
    group = " " if currency.code != "CHF" else rng.choice(" '")
    if rng.random() < 0.1 and currency.code not in ("CHF", "CAD", "USD", "GBP", "TND"):  # 12.500 DT is 12 and a half
        group = "."
    grouped = f"{whole:,}".replace(",", group) if rng.random() < 0.65 else str(whole)
    comma = "," if rng.random() < 0.8 or group == "." else "."
    if currency.code == "CHF":
        comma = "." if rng.random() < 0.7 else ","
    if not currency.cent:
        number = grouped
    elif part or rng.random() < 0.55:
        number = f"{grouped}{comma}{part:02d}"
    else:
        number = rng.choice((grouped, f"{grouped},-", f"{grouped}{comma}00", f"{grouped}.-"))
    show = rng.random() < 0.4 if symbol is None else symbol
    sign = currency.symbols[int(rng.random() * len(currency.symbols))]
    chance = rng.random()
    if show:
        before = (currency.code == "CHF") == (chance < 0.8)
        gap = " " if chance < 0.7 or sign.isalpha() else ""
        return f"{sign} {number}" if before else f"{number}{gap}{sign}"
    fence = "#" if chance < 0.08 else "*" if chance < 0.11 else "=" if chance < 0.14 else ""
    return f"{fence}{number}{fence}"
