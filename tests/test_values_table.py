"""How people write amounts and dates, country by country: the right value, a refusal, or two readings both named."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cheques.amounts import cents_of_words
from cheques.drawing.amounts import BY_CODE, figures
from cheques.fields import CHEQUE, CURRENCIES, PATTERNS
from cheques.values import BadValue, canonical, canonical_or_text, canonical_values, exact

# What is typed | the cheque's currency | the value; "-" is refused; "a ou b" is refused, and both are named.
AMOUNTS = """
France
1234,56               | EUR | 1234.56
1 234,56              | EUR | 1234.56
1 234,56 €            | EUR | 1234.56
1.234,56 €            | EUR | 1234.56
1234.56               | EUR | 1234.56
1 234.56              | EUR | 1234.56
€ 1234,56             | EUR | 1234.56
1234,56 EUR           | EUR | 1234.56
1234,56 euros         | EUR | 1234.56
1234,5                | EUR | 1234.50
1234                  | EUR | 1234.00
12 000 000,00         | EUR | 12000000.00
999 999 999,99        | EUR | 999999999.99
#1234,56#             | EUR | 1234.56
#1 234,56 €#          | EUR | 1234.56
***1234,56***         | EUR | 1234.56
=1234,56=             | EUR | 1234.56
--1234,56--           | EUR | 1234.56
1234€56               | EUR | 1234.56
1 234€56              | EUR | 1234.56
12 € 50               | EUR | 12.50
12 €,50               | EUR | 12.50
12 euros 50           | EUR | 12.50
12 euros 5 centimes   | EUR | 12.05
12 euros et 5 centimes| EUR | 12.05
12 € 5 c              | EUR | 12.05
12 EUR 50 cts         | EUR | 12.50
50 centimes           | EUR | 0.50
5 c                   | EUR | 0.05
1234 56/100           | EUR | 1234.56
1234 et 56/100        | EUR | 1234.56
1234 56/100 €         | EUR | 1234.56
12 euros 5/100        | EUR | 12.05
1234-56               | EUR | 1234.56
1234,—                | EUR | 1234.00
1234,-                | EUR | 1234.00
1234,--               | EUR | 1234.00
1234.                 | EUR | 1234.00
0,05                  | EUR | 0.05
0                     | EUR | 0.00
00012                 | EUR | 12.00
1.234                 | EUR | 1234.00
1.234.567             | EUR | 1234567.00
1,234,567.89          | EUR | 1234567.89
１２３４,５６          | EUR | 1234.56
１ ２３４，５６        | EUR | 1234.56
0,500                 | EUR | 0.50
8691,200              | EUR | 8691.20
12,500                | EUR | 12,50 ou 12500
12,505                | EUR | 12,505 ou 12505
691,200               | EUR | 691,20 ou 691200
12 50                 | EUR | 12,50 ou 1250
1234 56               | EUR | 1234,56 ou 123456
1 234 56              | EUR | 1234,56 ou 123456
12€5                  | EUR | 12,05 ou 12,50
1OO                   | EUR | -
100O                  | EUR | -
I234,56               | EUR | -
1S4,50                | EUR | -
l2,50                 | EUR | -
10 mille              | EUR | -
2 millions            | EUR | -
12 k€                 | EUR | -
12k                   | EUR | -
1,5 M€                | EUR | -
-50,00                | EUR | -
- 50                  | EUR | -
50,00-                | EUR | -
(50,00)               | EUR | -
+50                   | EUR | -
1 23 456              | EUR | -
12 34 56              | EUR | -
1.23.4                | EUR | -
1.2345,00             | EUR | -
1,23,456              | EUR | -
1 234.567,89          | EUR | -
12#50                 | EUR | -
12,00 € 50            | EUR | -
12€505                | EUR | -
12€50€50              | EUR | -
12,5,0                | EUR | -
12½                   | EUR | -
12⁵⁰                  | EUR | -
12,345678             | EUR | -
0,505                 | EUR | -
1 234,56 € TTC        | EUR | -
environ 50 €          | EUR | -
50 %                  | EUR | -
5e3                   | EUR | -
douze                 | EUR | -
1234567890            | EUR | -
€                     | EUR | -
12,                   | EUR | -
Belgique
1.234,50 EUR          | EUR | 1234.50
EUR 1.234,50          | EUR | 1234.50
1.250,-               | EUR | 1250.00
1.250,– €             | EUR | 1250.00
1.250 €               | EUR | 1250.00
12.345.678,90         | EUR | 12345678.90
Suisse
1'234.50              | CHF | 1234.50
1’234.50              | CHF | 1234.50
1`234.50              | CHF | 1234.50
1'234.50 CHF          | CHF | 1234.50
CHF 1'234.50          | CHF | 1234.50
CHF 1'234'567.85      | CHF | 1234567.85
1 234,50 CHF          | CHF | 1234.50
100.–                 | CHF | 100.00
100.—                 | CHF | 100.00
100.-                 | CHF | 100.00
Fr. 100.–             | CHF | 100.00
CHF 100.--            | CHF | 100.00
100 Fr. 50            | CHF | 100.50
100 francs 50         | CHF | 100.50
100 Fr. 5 ct.         | CHF | 100.05
1234.50 frs           | CHF | 1234.50
12 francs suisses     | CHF | 12.00
12 sfr                | CHF | 12.00
50 Rp.                | CHF | 0.50
1234                  | CHF | 1234.00
12.500                | CHF | 12,50 ou 12500
1.234                 | CHF | 1,234 ou 1234
12,500                | CHF | 12,50 ou 12500
12'50                 | CHF | -
.50                   | CHF | -
Tunisie
12,500 DT             | TND | 12.500
12.500 DT             | TND | 12.500
12,500                | TND | 12.500
691,200               | TND | 691.200
#8691,200#            | TND | 8691.200
8 691,200             | TND | 8691.200
8.691,200             | TND | 8691.200
8.691,200 TND         | TND | 8691.200
12,505                | TND | 12.505
12,5                  | TND | 12.500
12,50                 | TND | 12.500
12                    | TND | 12.000
1 500 DT              | TND | 1500.000
12 D.T.               | TND | 12.000
12 dinars             | TND | 12.000
12 dinars tunisiens   | TND | 12.000
12 dinars 500 millimes| TND | 12.500
12 dinars et 50 millimes| TND | 12.050
500 millimes          | TND | 0.500
12 DT 500             | TND | 12.500
12 500/1000           | TND | 12.500
12 DT 50              | TND | 12,05 ou 12,50
1.234.500             | TND | 1234,50 ou 1234500
12 50                 | TND | 12,50 ou 1250
12,5005               | TND | -
12 DT 5000            | TND | -
12,500 DT             |     | 12.500
12,500 dinars         |     | 12,50 ou 12500
12,500                |     | 12,50 ou 12500
1.234                 |     | 1,234 ou 1234
12,500 DT             | EUR | 12,50 ou 12500
12 DT                 | EUR | 12.00
Maroc
1 234,50 DH           | MAD | 1234.50
1.234,50 DH           | MAD | 1234.50
DH 1.234,50           | MAD | 1234.50
1234,50 Dhs           | MAD | 1234.50
1234.50 MAD           | MAD | 1234.50
12 dirhams 50         | MAD | 12.50
12 dirhams 50 centimes| MAD | 12.50
٣٤٥٫٥٠                | MAD | 345.50
١٬٢٣٤٫٥٠              | MAD | 1234.50
1 234 dirhams marocains| MAD | 1234.00
12,500 DH             | MAD | 12,50 ou 12500
1OO DH                | MAD | -
Algérie
1 234,50 DA           | DZD | 1234.50
1234,50 DZD           | DZD | 1234.50
12 dinars algériens   | DZD | 12.00
12 dinars             | DZD | 12.00
100.000 DA            | DZD | 100000.00
100,000 DA            | DZD | 100 ou 100000
12 dinars 50 centimes | DZD | 12.50
12 millions           | DZD | -
Afrique de l'Ouest
12 500 F CFA          | XOF | 12500
12 500 FCFA           | XOF | 12500
12.500 F CFA          | XOF | 12500
12,500 F CFA          | XOF | 12500
12500                 | XOF | 12500
12500 francs CFA      | XOF | 12500
12.500.000 F.CFA      | XOF | 12500000
12 500 F              | XOF | 12500
12500,00              | XOF | 12500
12 500 XOF            | XOF | 12500
12 500 FCFA           |     | 12500
#12.500#              | XOF | 12500
12500,50              | XOF | -
12500 F CFA 50        | XOF | -
#1.234 Francs CFA 56c#|     | -
12 50                 | XOF | 12,50 ou 1250
Afrique centrale
12 500 F CFA          | XAF | 12500
12.500 FCFA           | XAF | 12500
XAF 12 500            | XAF | 12500
12500,5               | XAF | -
Québec
1 234,56 $            | CAD | 1234.56
1 234,56 $ CAN        | CAD | 1234.56
$1,234.56             | CAD | 1234.56
CAD 1234.56           | CAD | 1234.56
1234 56/100           | CAD | 1234.56
12 $ 50               | CAD | 12.50
12 dollars et 50 cents| CAD | 12.50
12 dollars canadiens  | CAD | 12.00
12,500 $              | CAD | 12,50 ou 12500
1.234 $               | CAD | 1,234 ou 1234
Royaume-Uni, États-Unis
£1,234.56             | GBP | 1234.56
1234.56 GBP           | GBP | 1234.56
£12 50p               | GBP | 12.50
5 pence               | GBP | 0.05
12 livres sterling    | GBP | 12.00
$1,234,567.89         | USD | 1234567.89
US$ 12.50             | USD | 12.50
12 dollars and 5 cents| USD | 12.05
£1,234                | GBP | 1,234 ou 1234
-$50.00               | USD | -
"""

# What is typed | the day of its label | the value.
DATES = """
France
3 mai 2024            | 2024-06-01 | 2024-05-03
03/05/2024            | 2024-06-01 | 2024-05-03
3/5/2024              | 2024-06-01 | 2024-05-03
03/05/24              | 2024-06-01 | 2024-05-03
03.05.2024            | 2024-06-01 | 2024-05-03
03 05 24              | 2024-06-01 | 2024-05-03
03-05-2024            | 2024-06-01 | 2024-05-03
3 / 5 / 2024          | 2024-06-01 | 2024-05-03
03052024              | 2024-06-01 | 2024-05-03
2024-05-03            | 2024-06-01 | 2024-05-03
20240503              | 2024-06-01 | 2024-05-03
le 3 mai 2024         | 2024-06-01 | 2024-05-03
lundi 3 mai 2024      | 2024-06-01 | 2024-05-03
vendredi, 3 mai 2024  | 2024-06-01 | 2024-05-03
le vendredi 3 mai 2024| 2024-06-01 | 2024-05-03
Paris, le 3 mai 2024  | 2024-06-01 | 2024-05-03
Paris le 3 mai 2024   | 2024-06-01 | 2024-05-03
Saint-Étienne, le 3 mai 2024 | 2024-06-01 | 2024-05-03
Fait à Lyon, le 03/05/2024 | 2024-06-01 | 2024-05-03
1er mai 2024          | 2024-06-01 | 2024-05-01
1e mai 2024           | 2024-06-01 | 2024-05-01
1ER MAI 2024          | 2024-06-01 | 2024-05-01
10 juill. 2024        | 2024-08-01 | 2024-07-10
10 juil 24            | 2024-08-01 | 2024-07-10
3 févr. 2024          | 2024-06-01 | 2024-02-03
12 AOÛT 24            | 2024-09-01 | 2024-08-12
3 déc. 2024           | 2024-12-31 | 2024-12-03
3mai2024              | 2024-06-01 | 2024-05-03
3-mai-24              | 2024-06-01 | 2024-05-03
3-V-2024              | 2024-06-01 | 2024-05-03
3.V.24                | 2024-06-01 | 2024-05-03
29/02/2024            | 2024-06-01 | 2024-02-29
24-05-03              | 2024-06-01 | 2024-05-03
03-05-24              | 2024-06-01 | 2024-05-03
240503                | 2024-06-01 | 2024-05-03
31-12-24              | 2025-01-10 | 2024-12-31
20-05-24              | 2024-06-01 | 24/05/2020 ou 20/05/2024
24-05-03              |            | 24/05/2003 ou 03/05/2024
03/05/99              | 2001-01-01 | 1999-05-03
03/05/99              | 2024-06-01 | -
03/05/1999            | 2024-06-01 | -
03/05/1999            |            | 1999-05-03
03/05/24              |            | 2024-05-03
03/05/2031            | 2024-06-01 | -
03/05/2026            | 2024-06-01 | 2026-05-03
29/02/2023            | 2024-06-01 | -
31/02/24              | 2024-06-01 | -
5/13/2024             | 2024-06-01 | -
3/5/204               | 2024-06-01 | -
3 mai                 | 2024-06-01 | -
mai 2024              | 2024-06-01 | -
hier                  | 2024-06-01 | -
3 mars/avril 2024     | 2024-06-01 | -
O3/05/2024            | 2024-06-01 | -
3/5/20240503201       | 2024-06-01 | -
Maghreb
23/10/1445            | 2024-06-01 | -
23/10/1445            |            | -
٠٣/٠٥/٢٠٢٤            | 2024-06-01 | 2024-05-03
Tunis, le 03/05/2024  | 2024-06-01 | 2024-05-03
Suisse, Belgique
3. Mai 2024           | 2024-06-01 | 2024-05-03
3.5.24                | 2024-06-01 | 2024-05-03
10 Dezember 2023      | 2024-06-01 | 2023-12-10
Québec, ailleurs
May 3, 2024           | 2024-06-01 | 2024-05-03
3 de mayo de 2024     | 2024-06-01 | 2024-05-03
2024/05/03            | 2024-06-01 | 2024-05-03
"""

# In words | the number | the likeliest currency; "-" says nothing for certain.
WORDS = """
mille deux cents DH                 | 1200    | MAD
mille deux cents dirhams            | 1200    | MAD
dix mille F CFA                     | 10000   | XOF
dix mille FCFA                      | 10000   | XOF
dix mille francs CFA                | 10000   | XOF
mille deux cents et 56/100          | 1200.56 |
mille deux cents euros et 56/100    | 1200.56 | EUR
mille deux cents 56/100 euros       | 1200.56 | EUR
vingt euros 20 c                    | 20.20   | EUR
vingt euros 20 cts                  | 20.20   | EUR
2 mille euros                       | 2000    | EUR
2 mille 300 euros                   | 2300    | EUR
deux dinars cinq cents millimes     | 2.500   | TND
deux dinars et cinq millimes        | 2.005   | TND
trois mille DT                      | 3000    | TND
trois mille DA                      | 3000    | DZD
septante-cinq francs suisses        | 75      | CHF
nonante euros                       | 90      | EUR
20 cents euros                      | -       |
deux trois euros                    | -       |
12,05 euros 5 c                     | -       |
"""


def rows(table: str) -> list[tuple[str, ...]]:
    return [tuple(part.strip() for part in line.split("|")) for line in table.splitlines() if "|" in line]


def test_the_table_has_two_hundred_ways_of_writing_and_more() -> None:
    assert len(set(rows(AMOUNTS))) + len(set(rows(DATES))) + len(set(rows(WORDS))) > 300


@pytest.mark.parametrize(("typed", "currency", "value"), rows(AMOUNTS))
def test_an_amount(typed: str, currency: str, value: str) -> None:
    if value == "-" or " ou " in value:
        with pytest.raises(BadValue) as refused:
            canonical(CHEQUE["montant_numerique"], typed, currency)
        assert refused.value.reason == ("no_value" if value == "-" else "two_readings")
        assert value == "-" or f"{value} ?" in str(refused.value)
    else:
        assert canonical(CHEQUE["montant_numerique"], typed, currency) == value


@pytest.mark.parametrize(("typed", "day", "value"), rows(DATES))
def test_a_date(typed: str, day: str, value: str) -> None:
    made = date.fromisoformat(day) if day else None
    if value == "-" or " ou " in value:
        with pytest.raises(BadValue) as refused:
            canonical(CHEQUE["date"], typed, day=made)
        assert value == "-" or f"{value} ?" in str(refused.value)
    else:
        assert canonical(CHEQUE["date"], typed, day=made) == value


@pytest.mark.parametrize(("typed", "value", "currency"), rows(WORDS))
def test_an_amount_in_words(typed: str, value: str, currency: str) -> None:
    said = cents_of_words(typed)
    assert (said and (said.value, said.currency or "")) == (None if value == "-" else (Decimal(value), currency))


def test_a_date_out_of_the_window_says_so_and_a_wider_window_takes_it() -> None:
    field, made = CHEQUE["date"], date(2024, 6, 1)
    with pytest.raises(BadValue) as refused:
        canonical(field, "03/05/1999", day=made)
    assert refused.value.reason == "far_date"
    assert canonical(field, "03/05/99", day=made, years=40) == "1999-05-03"


@pytest.mark.parametrize("typed", ["CFA", "F CFA", "francs", "$", "dinars"])
def test_a_currency_that_may_be_two_is_refused_with_both_named(typed: str) -> None:
    with pytest.raises(BadValue, match=r"(XOF ou XAF|USD ou CAD|TND ou DZD) \?"):
        canonical(CHEQUE["devise"], typed)


def test_the_currency_of_the_label_decides_the_decimals() -> None:
    for currency, value in {"TND": "12.500", "XOF": "12500", "XAF": "12500"}.items():
        values, refused = canonical_values(CHEQUE, {"montant_numerique": "12,500", "devise": currency})
        assert values["montant_numerique"] == value and not refused
    _, refused = canonical_values(CHEQUE, {"montant_numerique": "12,500", "devise": "EUR"})
    assert refused.keys() == {"montant_numerique"}


def test_exact_match_compares_numbers() -> None:
    truth = {"montant_numerique": "12.500", "devise": "TND"}
    for read, right in {"12.50": True, "12.500": True, "12,5": True, "12500.00": False, "12.505": False}.items():
        assert exact(CHEQUE, truth, {"montant_numerique": read, "devise": "EUR"})["montant_numerique"] is right
    truth = {"montant_numerique": "12500", "devise": "XOF"}
    assert exact(CHEQUE, truth, {"montant_numerique": "12500.00", "devise": "XOF"})["montant_numerique"]


def test_a_hundred_thousand_letters_are_too_long_for_every_field() -> None:
    for field in CHEQUE:
        for text in ("x" * 100_000, "1" * 100_000, "1 " * 50_000, "un " * 33_000):
            with pytest.raises(BadValue) as refused:
                canonical(field, text)
            assert refused.value.reason == "too_long" and len(str(refused.value)) < 200
    assert cents_of_words("x" * 100_000) is None


TYPED = st.text("0123456789 .,'-€#/cDTFHeurosmilt", max_size=14) | st.text(max_size=20)
CURRENCY = st.sampled_from(("", *CURRENCIES))


@given(TYPED, CURRENCY)
def test_an_amount_never_has_other_digits_than_were_typed_nor_a_form_that_the_pattern_forbids(
    typed: str, currency: str
) -> None:
    import re
    import unicodedata

    try:
        value = canonical(CHEQUE["montant_numerique"], typed, currency)
    except BadValue:
        return
    if value in ("", "?"):
        return
    assert re.fullmatch(PATTERNS["amount"], value)
    written = re.sub(r"/\s*1000?", "", typed)
    digits = "".join(str(unicodedata.decimal(c)) for c in written if unicodedata.category(c) == "Nd")
    assert [d for d in digits if d != "0"] == [d for d in value if d not in "0."]
    if currency:
        assert canonical(CHEQUE["montant_numerique"], value, currency) == value


@given(st.lists(TYPED, min_size=7, max_size=7), st.dates(date(1990, 1, 1), date(2060, 1, 1)), CURRENCY)
def test_the_values_of_a_label_are_their_own_canonical_values(texts: list[str], day: date, currency: str) -> None:
    typed = dict(zip(CHEQUE.names, texts, strict=True)) | ({"devise": currency} if currency else {})
    values, refused = canonical_values(CHEQUE, typed, day)
    known = {name: value for name, value in values.items() if name not in refused}
    if known.get("devise"):
        again, refused = canonical_values(CHEQUE, known, day)
        assert not refused and {name: again[name] for name in known} == known


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.integers(-900, 6000))
def test_a_date_survives_the_ways_of_writing_it(day: date, before: int) -> None:
    label = day + timedelta(before)
    for typed in (f"{day:%d/%m/%Y}", f"{day:%d.%m.%y}", f"{day:%d%m%Y}", f"{day.day}/{day.month}/{day:%y}"):
        assert canonical(CHEQUE["date"], typed, day=label) == day.isoformat()


@given(st.integers(0, 99_999_999), st.sampled_from(sorted(BY_CODE)), st.randoms(use_true_random=False))
def test_what_the_generator_draws_comes_back_in_its_currency(cents: int, code: str, rng: object) -> None:
    currency = BY_CODE[code]
    cents = cents if currency.cent else cents // 100 * 100
    value = canonical(CHEQUE["montant_numerique"], figures(rng, cents, currency), code)  # type: ignore[arg-type]
    assert Decimal(value) == Decimal(cents) / 100
    assert canonical_or_text(CHEQUE["montant_numerique"], value, code) == value
