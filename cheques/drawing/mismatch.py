"""Two amounts on one cheque: slips by which the figures come to differ from the words."""

from __future__ import annotations

import random

from cheques.drawing.amounts import Currency, choose_cents


def slipped(rng: random.Random, cents: int, currency: Currency) -> int:
    """Another amount, as people make it: never the same one, and always one that may stand on a cheque."""
    least = 1 if currency.cent else 100  # the smallest step of the currency
    slips = [_digits_swapped, _other_digit, _thousand_missing, _other_cents, _ten_times, _of_another_cheque]
    while True:
        slip = rng.choices(slips, (28, 22, 14, 18, 8, 10))[0]
        other = slip(rng, cents, currency) // least * least
        if other != cents and 100 <= other < 10**8:
            return other


def _digits_swapped(rng: random.Random, cents: int, currency: Currency) -> int:
    """1,240 for 1,420."""
    digits = list(str(cents))
    at = rng.randrange(len(digits) - 1)
    digits[at], digits[at + 1] = digits[at + 1], digits[at]
    return int("".join(digits))


def _other_digit(rng: random.Random, cents: int, currency: Currency) -> int:
    """1,340 for 1,240."""
    digits = list(str(cents))
    digits[rng.randrange(len(digits))] = rng.choice("0123456789")
    return int("".join(digits))


def _thousand_missing(rng: random.Random, cents: int, currency: Currency) -> int:
    """240 for 1,240, or a thousand too many."""
    return cents % 100_000 if cents >= 100_000 else cents + 100_000 * rng.randint(1, 9)


def _other_cents(rng: random.Random, cents: int, currency: Currency) -> int:
    """1,240 for 1,240.50, or other cents."""
    return cents - cents % 100 + rng.choice((0, 0, 10 * (cents % 10) + cents % 100 // 10, rng.randrange(100)))


def _ten_times(rng: random.Random, cents: int, currency: Currency) -> int:
    """12,400 for 1,240, or 124 for it."""
    return cents * 10 if rng.random() < 0.5 else cents // 10


def _of_another_cheque(rng: random.Random, cents: int, currency: Currency) -> int:
    return choose_cents(rng, currency)
