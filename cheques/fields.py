"""The fields of a cheque, and the JSON schema that a reading of them must follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["amount", "words", "date", "number", "text", "choice"]

EMPTY = ""  # nothing is written there
UNREADABLE = "?"  # something is written there and cannot be read

CURRENCIES = ("EUR", "CHF", "MAD", "TND", "DZD", "XOF", "XAF", "GBP", "USD", "CAD")

# maxLength alone lets raw control characters through a grammar, so every kind has a pattern of its own. Letters, marks,
# digits and signs of every script are written out as ranges: neither Python's `re` nor xgrammar knows \\p{L}. Outside
# them are spaces but the plain one, what cannot be seen, and the backslash. The quote stands first in its class, where
# reader.grammar finds it to spell it as JSON does.
_CAPITALS = "A-Z\u00c0-\u00d6\u00d8-\u00de"
_OTHERS = (
    "!#-@\\[\\]-~\u00a1-\u00ac\u00ae-\u00bf\u00d7\u00df-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u2fff"
    "\u3001-\ud7ff\uf900-\ufefe\uff01-\ufffc"
)
PATTERNS: dict[Kind, str] = {
    "amount": r"\d{1,9}(\.\d{2,3})?",
    "date": r"[12]\d{3}-[01]\d-[0-3]\d",
    "number": r"-?(0|[1-9]\d{0,11})(\.\d{0,5}[1-9])?",
    "words": f'["{_OTHERS}][" {_OTHERS}]{{0,159}}',
    "text": f'["{_CAPITALS}{_OTHERS}][" {_CAPITALS}{_OTHERS}]{{0,79}}',
}


@dataclass(frozen=True)
class Field:
    """One thing to read: its name in labels and JSON, its kind, its title for people, its choices if it has some."""

    name: str
    kind: Kind
    title: str = ""
    choices: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        if self.kind == "choice":
            # A form may list `?` among its choices, and an enum must not repeat itself.
            return {"type": "string", "enum": [*dict.fromkeys((*self.choices, EMPTY, UNREADABLE))]}
        return {"type": "string", "pattern": rf"^({PATTERNS[self.kind]}|\?)?$"}


@dataclass(frozen=True)
class Form:
    """The fields of one Label Studio project, in the order in which they are read."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError("the form has no field: add a TextArea or Choices to the labeling configuration")
        if len(set(self.names)) < len(self.fields):
            raise ValueError(f"a field's name occurs twice in the form: {', '.join(self.names)}")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"no field {name} in the form; it has {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def digest(self) -> str:
        """Changes when a name, a kind or a choice does: what was trained for one form does not serve another."""
        parts = [[field.name, field.kind, list(field.choices)] for field in self.fields]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a reading: every field, in this order, nothing else."""
        return {
            "type": "object",
            "properties": {field.name: field.schema for field in self.fields},
            "required": list(self.names),
            "additionalProperties": False,
        }


CHEQUE = Form(
    (
        Field("montant_numerique", "amount", "Montant en chiffres"),
        Field("montant_lettres", "words", "Montant en lettres"),
        Field("date", "date", "Date"),
        Field("beneficiaire", "text", "Bénéficiaire"),
        Field("signature", "choice", "Signature", ("présente", "absente")),
        Field("lieu", "text", "Lieu"),
        Field("devise", "choice", "Devise", CURRENCIES),
    )
)


def is_cheque(form: Form) -> bool:
    """Has the form fields of CHEQUE alone? A drawn cheque teaches nothing about another one."""
    return set(form.names) <= set(CHEQUE.names)
