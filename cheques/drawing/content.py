"""What one cheque says: the values as they will be written, and their truth."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cheques.drawing import amounts, dates, names, people
from cheques.drawing.amounts import Currency
from cheques.drawing.hands import Hand
from cheques.drawing.handwriting import suited
from cheques.drawing.lines import in_some_case

EMPTY_SHARE, DISAGREEING_SHARE, ERASED_SHARE, UNSIGNED_SHARE = 0.02, 0.02, 0.03, 0.08
SLIPS = ("two digits swapped", "another digit", "a thousand missing", "other cents", "ten times", "of another cheque")
SLIP_SHARES = (28, 22, 14, 18, 8, 10)
WRITTEN = ("montant_numerique", "montant_lettres", "date", "beneficiaire", "lieu")


@dataclass(frozen=True)
class Content:
    """The texts to write (empty ones are left out), the truth of all seven fields, and what is special."""

    texts: dict[str, str]
    truth: dict[str, str]
    currency: Currency
    symbol_printed: bool
    erased: tuple[str, str] | None
    """A field and the wrong text that was first written there."""
    disagreeing: bool
    """The words and the figures say different amounts."""


def choose_content(
    rng: random.Random,
    hand: Hand,
    *,
    currency: Currency | None = None,
    country: str = "",
    discordant: float | None = None,
) -> Content:
    """A cheque's values: 2 % leave one empty, 2 % have words and figures that disagree, 3 % have an erasure.

    With a `country` people and towns are composed as they are named there. `discordant` is another share of cheques
    whose words and figures disagree, and then by all the slips that people make.
    """
    currency = currency or amounts.choose_currency(rng)
    cents = amounts.choose_cents(rng, currency)
    if discordant is None:
        in_figures = other_amount(rng, cents, currency) if rng.random() < DISAGREEING_SHARE else cents
    else:
        in_figures = slipped(rng, cents, currency) if rng.random() < discordant else cents
    empty = WRITTEN[int(rng.random() * len(WRITTEN))] if rng.random() < EMPTY_SHARE else ""
    if discordant is not None and in_figures != cents and empty in WRITTEN[:2]:
        empty = ""  # an amount that is left out differs from nothing
    # Where an amount is left out the currency must be printed, or nobody could know it.
    printed = rng.random() < 0.75 or empty in WRITTEN[:2]
    day = dates.choose_date(rng)
    words = amounts.words(rng, cents, currency)
    texts = {
        "montant_numerique": amounts.figures(rng, in_figures, currency, symbol=None if printed else True),
        "montant_lettres": in_some_case(rng, words, hand),
        "date": dates.written(rng, day),
        "beneficiaire": people.payee(rng, country) if country else names.payee(rng),
        "lieu": people.town(rng, country) if country else names.town(rng, currency.code),
    }
    texts = {name: "" if name == empty else suited(text, hand) for name, text in texts.items()}
    # The words in small letters whatever the hand makes of them; names as they are written.
    truth = {
        "montant_numerique": amounts.canonical(in_figures, currency),
        "montant_lettres": words,
        "date": day.isoformat(),
        "beneficiaire": texts["beneficiaire"],
        "signature": "absente" if rng.random() < UNSIGNED_SHARE else "présente",
        "lieu": texts["lieu"],
        "devise": currency.code,
    }
    if empty:
        truth[empty] = ""

    erased = None
    if rng.random() < ERASED_SHARE:
        field = WRITTEN[int(rng.random() * len(WRITTEN))]
        # Every one is chosen, so that the dice that follow do not depend on the field.
        wrong = {
            "montant_numerique": amounts.figures(rng, amounts.choose_cents(rng, currency), currency, symbol=False),
            "montant_lettres": amounts.number_words(int(rng.random() * 80) + 2),
            "date": dates.written(rng, dates.choose_date(rng)),
            "beneficiaire": names.made_up(rng),
            "lieu": names.town(rng, currency.code),
        }[field]
        erased = (field, suited(wrong, hand)) if texts[field] else None
    return Content(texts, truth, currency, printed, erased, in_figures != cents)


def other_amount(rng: random.Random, cents: int, currency: Currency) -> int:
    """The amount with one digit changed, as a slip of the pen changes it."""
    places = [place for place in range(0 if currency.cent else 2, 8) if 10**place <= cents]
    unit = 10 ** places[int(rng.random() * len(places))]
    digit = cents // unit % 10
    other = cents + unit * ((digit + 1 + int(rng.random() * 9)) % 10 - digit)
    return other if other >= 100 else cents + 100


def slipped(rng: random.Random, cents: int, currency: Currency) -> int:
    """Another amount that may stand on a cheque, by one of the slips that people make."""
    least = 1 if currency.cent else 100  # the smallest step of the currency
    while True:
        other, digits = cents, list(str(cents))
        match rng.choices(SLIPS, SLIP_SHARES)[0]:
            case "two digits swapped":  # 1,240 for 1,420
                at = rng.randrange(len(digits) - 1)
                digits[at], digits[at + 1] = digits[at + 1], digits[at]
                other = int("".join(digits))
            case "another digit":  # 1,340 for 1,240
                digits[rng.randrange(len(digits))] = rng.choice("0123456789")
                other = int("".join(digits))
            case "a thousand missing":  # 240 for 1,240, or some thousands too many
                other = cents % 100_000 if cents >= 100_000 else cents + 100_000 * rng.randint(1, 9)
            case "other cents":  # 1,240 for 1,240.50
                swapped = 10 * (cents % 10) + cents % 100 // 10
                other = cents - cents % 100 + rng.choice((0, 0, swapped, rng.randrange(100)))
            case "ten times":  # 12,400 for 1,240, or 124 for it
                other = cents * 10 if rng.random() < 0.5 else cents // 10
            case "of another cheque":
                other = amounts.choose_cents(rng, currency)
        other = other // least * least
        if other != cents and 100 <= other < 10**8:
            return other
