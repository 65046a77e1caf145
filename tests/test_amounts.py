"""French words to cents: what num2words says comes back whole, however people write it down."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from cheques import amounts
from cheques.amounts import cents_of_words, words_and_figures_agree

SAID = {
    "mille deux cent trente-quatre euros et cinquante-six centimes": 123456,
    "MILLE DEUX CENT TRENTE QUATRE EUROS": 123400,
    "mille-deux-cent-trente-quatre euros": 123400,
    "quatre-vingt-dix-neuf euros": 9900,
    "quatre vingts euros": 8000,
    "nonante-neuf francs suisses": 9900,
    "septante et un francs et huitante centimes": 7180,
    "soixante et onze euros": 7100,
    "mil neuf cents francs": 190000,
    "quinze cents euros": 150000,
    "un million d'euros": 100000000,
    "deux millions trois cent mille deux euros": 230000200,
    "somme de vingt-deux euros seulement": 2200,
    "zéro euro et dix centimes": 10,
    "cinquante centimes": 50,
    "douze euros cinquante": 1250,
    "douze virgule cinq euros": 1250,
    "douze virgule zéro cinq euros": 1205,
    "douze virgule 05 euros": 1205,
    "douze virgule 5 euros": 1250,
    "douze virgule 50 euros": 1250,
    "12.000 euros": 1200000,
    "1.234.567,89 euros": 123456789,
    "12.50 euros": 1250,
    "euros cinq cents": 50000,
    "cent euros et 05 centimes": 10005,
    "cent euros et 50/100": 10050,
    "mille deux cents 56/100": 120056,
    "douze euros trois centièmes": 1203,
    "trois centièmes": 3,
    "1 234,56 euros": 123456,
    "deux cents": 20000,
    "cent dollars et vingt cents": 10020,
    "cent quatre-vingts dinars et cinq cents millimes": 18050,
    "cinq livres et un penny": 501,
    # slips of the pen
    "vingt-deus euros": 2200,
    "quatrevingtdix euro": 9000,
    "deuxcents euros": 20000,
    "cinqante euros": 5000,
}

NOT_SAID = ["", "?", "euros", "bonjour", "deux trois euros", "dix un euros", "vingt quatre-vingt euros", "mille mille"]
NOT_SAID += ["centième", "mille trois centièmes", "douze euros centième", "12 euros et 1,5 centièmes"]
NOT_SAID += ["1" * 40 + " euros", "1" * 40 + " euros 56/100", "12," + "0" * 40 + " euros"]


@pytest.mark.parametrize(("words", "cents"), SAID.items())
def test_words_say_cents(words: str, cents: int) -> None:
    amount = cents_of_words(words)
    assert amount is not None and amount.cents == cents


@pytest.mark.parametrize("words", NOT_SAID)
def test_words_that_say_no_amount_are_not_guessed(words: str) -> None:
    assert cents_of_words(words) is None


SPOKEN = sorted({*amounts.NUMBERS, *amounts.UNITS, *amounts.NOUNS, ",", "12", "1,5", "et", "9" * 30})


@given(st.lists(st.sampled_from(SPOKEN), max_size=8))
def test_words_in_any_order_never_end_in_an_error(words: list[str]) -> None:
    amount = cents_of_words(" ".join(words))
    assert amount is None or amount.value >= 0


def test_a_slip_between_two_numbers_is_not_guessed() -> None:
    assert cents_of_words("reize euros") is None  # treize, or seize?


@pytest.mark.parametrize(
    ("words", "currency", "may_be"),
    [
        ("dix euros", "EUR", ("EUR",)),
        ("dix francs suisses", "CHF", ("CHF",)),
        ("dix francs", "CHF", ("CHF", "XOF", "XAF")),
        ("dix francs cfa", "XOF", ("XOF", "XAF")),
        ("dix dirhams", "MAD", ("MAD",)),
        ("dix dinars", "TND", ("TND", "DZD")),
        ("dix dinars algériens", "DZD", ("DZD",)),
        ("dix livres sterling", "GBP", ("GBP",)),
        ("dix dollars canadiens", "CAD", ("CAD",)),
        ("dix", None, ()),
    ],
)
def test_words_name_a_currency(words: str, currency: str | None, may_be: tuple[str, ...]) -> None:
    amount = cents_of_words(words)
    assert amount is not None and (amount.currency, amount.may_be) == (currency, may_be)


def test_agreement_of_words_and_figures() -> None:
    assert words_and_figures_agree("douze euros et dix centimes", "12.10") is True
    assert words_and_figures_agree("douze euros", "1 200,00 €") is False
    assert words_and_figures_agree("", "12.10") is None
    assert words_and_figures_agree("douze euros", "?") is None
    assert words_and_figures_agree("un mot illisible", "12.10") is None


def spellings(cents: int, rng: random.Random) -> str:
    """num2words in one of the three countries' French, hyphened, spaced or bare of accents."""
    language = rng.choice(["fr", "fr", "fr_CH", "fr_BE"])
    words = str(num2words(cents / 100, lang=language, to="currency", currency="EUR"))
    return rng.choice([words, words.replace("-", " "), words.replace(" ", "-"), words.upper(), words.replace("é", "e")])


def mistakes(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    wrong = []
    for _ in range(count):
        cents = rng.randrange(1, 10 ** rng.randint(1, 8))
        words = spellings(cents, rng)
        amount = cents_of_words(words)
        if amount is None or amount.cents != cents or amount.currency != "EUR":
            wrong.append(words)
    return wrong


def test_num2words_and_back() -> None:
    assert mistakes(3_000, seed=1) == []


@pytest.mark.proof
def test_num2words_and_back_a_hundred_thousand_times() -> None:
    assert mistakes(100_000, seed=2) == []
