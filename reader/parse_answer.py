"""A decoded answer -> a Reading: values, evidence, confidences and notes; the same for every reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cheques.fields import EMPTY, Form
from cheques.values import canonical_or_text
from reader.confidence import FILE, PRIOR, Calibration, Token, amount_fields, cross_checks, token_evidence
from reader.reading import Adapter, Reading


def reading(
    form: Form, tokens: Sequence[Token], calibration: Calibration, embedding: tuple[float, ...] = (), cut: bool = False
) -> Reading:
    """What the tokens say; `cut`: decoding was stopped before they ended. A field without a value is named in notes."""
    raw = b"".join(token.spelt for token in tokens).decode(errors="replace")
    decoded = values_in(form, raw)
    values = {name: canonical_or_text(form[name], text) for name, text in decoded.items()}
    heard, checks = token_evidence(tokens), cross_checks(form, values)
    evidence = {name: heard[name] | checks[name] for name in values if name in heard}
    confidence = dict.fromkeys(values, 0.0) | calibration.confidence(form, evidence)
    return Reading(values, confidence, raw, embedding, tuple(_notes(form, values, checks, cut)), evidence)


def values_in(form: Form, raw: str) -> dict[str, str]:
    """The form's fields in a JSON text, null as empty; none where it is no JSON object."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: _text(found[name]) for name in form.names if name in found}


def _text(value: object) -> str:
    return EMPTY if value is None else str(value)


def _notes(form: Form, values: dict[str, str], checks: dict[str, dict[str, float]], cut: bool) -> list[str]:
    notes = []
    if cut:
        notes.append("réponse coupée avant sa fin")
    missing = [name for name in form.names if name not in values]
    if missing:
        notes.append(f"non lu : {', '.join(missing)}")
    figures, words, _ = amount_fields(form)
    if figures and words and checks[figures.name].get("disagree"):
        notes.append(f"{words.name} et {figures.name} ne disent pas le même montant")
    return notes


def calibration_of(model: str, adapter: Adapter | None) -> Calibration:
    """The calibration stored beside the adapter, or in the model's folder for the base; else the stated prior."""
    folder = adapter.path.parent if adapter else Path(model)
    return Calibration.load(folder / FILE) or PRIOR
