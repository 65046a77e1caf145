"""How people name a currency and its parts: one table for amounts in figures and in words. All of it is plain text.

Plain is what `cheques.text.plain` makes: small letters without accents.
"""

from __future__ import annotations

import re

from cheques.fields import CURRENCIES
from cheques.text import plain

# What a noun may mean, the likeliest first; what stands beside it narrows it down.
NOUNS: dict[str, tuple[str, ...]] = {
    "euro": ("EUR",),
    "franc": ("CHF", "XOF", "XAF"),
    "dirham": ("MAD",),
    "dinar": ("TND", "DZD"),
    "livre": ("GBP",),
    "dollar": ("USD", "CAD"),
}
# By adjective: its noun, its plural, and what it means. "CFA" does not say which of the two it is.
ADJECTIVES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "suisse": ("franc", "suisses", ("CHF",)),
    "cfa": ("franc", "cfa", ("XOF", "XAF")),
    "marocain": ("dirham", "marocains", ("MAD",)),
    "tunisien": ("dinar", "tunisiens", ("TND",)),
    "algerien": ("dinar", "algeriens", ("DZD",)),
    "sterling": ("livre", "sterling", ("GBP",)),
    "americain": ("dollar", "americains", ("USD",)),
    "us": ("dollar", "us", ("USD",)),
    "canadien": ("dollar", "canadiens", ("CAD",)),
}
# The names of a part: its decimals, and the currency that it belongs to if there is only one. A dinar has a thousand
# parts in Tunisia, a hundred in Algeria.
PARTS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(("c", "ct", "cts", "cent", "cents", "centime", "centimes"), (2, "")),
    **dict.fromkeys(("rp", "rappen"), (2, "CHF")),
    **dict.fromkeys(("p", "penny", "pence"), (2, "GBP")),
    **dict.fromkeys(("mill", "millime", "millimes"), (3, "TND")),
}
# What signs, abbreviations and codes stand for, wherever they stand.
SIGNS: dict[str, str] = {
    **dict.fromkeys(("€", "eur"), "euro"),
    **dict.fromkeys(("chf", "sfr"), "franc suisse"),
    **dict.fromkeys(("f", "fr", "frs"), "franc"),
    **dict.fromkeys(("fcfa", "f cfa", "f. cfa", "f.cfa", "xof", "xaf"), "franc cfa"),
    **dict.fromkeys(("dh", "dhs", "mad"), "dirham"),
    **dict.fromkeys(("dt", "tnd"), "dinar tunisien"),
    **dict.fromkeys(("da", "dzd"), "dinar algerien"),
    "£": "livre",
    "gbp": "livre sterling",
    "$": "dollar",
    "usd": "dollar us",
    "cad": "dollar canadien",
}
# What these stand for beside figures. Among words a slip of the pen may look like them, and a `c` is a cent.
SIGNS_BESIDE_FIGURES: dict[str, str] = {
    **dict.fromkeys(("fs", "sfrs"), "franc suisse"),
    **dict.fromkeys(("cfa", "fr cfa", "frs cfa"), "franc cfa"),
    **dict.fromkeys(("drh", "drhs"), "dirham"),
    "dnt": "dinar tunisien",
    **dict.fromkeys(("us$", "$us"), "dollar us"),
    **dict.fromkeys(("c$", "ca$", "can$", "$c", "$ca", "$can"), "dollar canadien"),
}


# By what may stand beside figures, without spaces and points: the currencies that it may mean.
MEANINGS = {name: frozenset(codes) for noun, codes in NOUNS.items() for name in (noun, f"{noun}s")}
MEANINGS |= {
    name: frozenset(codes)
    for adjective, (noun, plural, codes) in ADJECTIVES.items()
    for name in (f"{noun} {adjective}", f"{noun}s {plural}")
}
MEANINGS |= {sign: MEANINGS[name] for sign, name in (SIGNS | SIGNS_BESIDE_FIGURES).items()}
MEANINGS |= {code.lower(): frozenset((code,)) for code in CURRENCIES}  # XOF means itself, and "franc CFA" does not
MEANINGS = {re.sub(r"[ .]", "", name): codes for name, codes in MEANINGS.items()}


def meant(word: str) -> frozenset[str]:
    """The currencies that a word or a sign may mean; none where it means no currency."""
    return MEANINGS.get(re.sub(r"[ .]", "", plain(word)), frozenset())


def precision(currency: str) -> int:
    """The decimals of a currency: 3 for TND, none for XOF and XAF, 2 for most (CLDR)."""
    from babel.numbers import get_currency_precision

    return int(get_currency_precision(currency))
