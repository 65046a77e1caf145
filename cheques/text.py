"""What every kind of value shares: text on one line, names without accents, and what is no value."""

from __future__ import annotations

import unicodedata
from typing import Literal

Reason = Literal["no_value", "two_readings", "far_date", "not_text", "too_long", "not_allowed"]

# In English, for the command line; what was typed is never part of it. {kind}: the field's.
REASONS: dict[Reason, str] = {
    "no_value": "is no value of kind {kind}",
    "two_readings": "can be read in two ways",
    "far_date": "lies too far from the day of its label (CHEQUEMATE_DATE_YEARS)",
    "not_text": "is no text",
    "too_long": "is longer than a reading of kind {kind} may be",
    "not_allowed": "has characters that no reading can have",
}

# Of a field of a label: a value that cannot be used, or one that has no single value or no field.
Fault = Literal[Reason, "two_values", "no_field"]
FAULTS = {str(reason): words for reason, words in REASONS.items()} | {
    "two_values": "has two values: the label is left out until one is deleted",
    "no_field": "is no field of the form: rename it back, or label again",
}


class BadValue(ValueError):
    """A text that is no value of its field; the message is one line for people, the reason one word for programs."""

    def __init__(self, message: str, reason: Reason = "no_value") -> None:
        super().__init__(message)
        self.reason: Reason = reason


def one_line(text: str) -> str:
    """NFC, plain apostrophes, one space for each run of spaces and control characters, and nothing invisible."""
    text = unicodedata.normalize("NFC", str(text)).replace("’", "'")
    kinds = ((unicodedata.category(c), c) for c in text)
    shown = "".join(" " if kind[0] in "CZ" else c for kind, c in kinds if kind != "Cf")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def plain(text: str) -> str:
    """Lower case without accents, for comparing names that people type."""
    return "".join(c for c in unicodedata.normalize("NFD", one_line(text).lower()) if not unicodedata.combining(c))


def typed(text: str) -> str:
    """Plain text with the digits, dashes and marks of any script and width as ASCII has them.

    Only what is another shape of the same sign: superscripts and fractions stay what they are, for `12⁵⁰` is no 1250.
    """
    signs = {"−": "-", "٫": ",", "٬": "'", "،": ",", "·": ".", "‘": "'", "ʼ": "'", "′": "'", "`": "'", "´": "'"}

    def ascii_of(c: str) -> str:
        kind = unicodedata.category(c)
        if kind == "Nd":
            return str(unicodedata.decimal(c))
        if kind == "Pd":
            return "-"
        if unicodedata.decomposition(c).startswith(("<wide>", "<narrow>", "<small>")):
            return unicodedata.normalize("NFKC", c)
        return signs.get(c, c)

    return plain("".join(map(ascii_of, one_line(text))))
