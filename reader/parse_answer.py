"""A decoded answer -> a Reading: values, evidence, confidences and notes; the same for every reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cheques.fields import EMPTY, Form
from cheques.values import canonical_or_text
from reader.confidence import FILE, PRIOR, Calibration, Token, amount_fields, cross_checks, token_evidence
from reader.grammar import parsed
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

    # French, since annotators read them in the task.
    notes = ["réponse coupée avant sa fin"] if cut else []
    if missing := [name for name in form.names if name not in values]:
        notes.append(f"non lu : {', '.join(missing)}")
    figures, words, _ = amount_fields(form)
    if figures and words and checks[figures.name].get("disagree"):
        notes.append(f"{words.name} et {figures.name} ne disent pas le même montant")
    return Reading(values, confidence, raw, embedding, tuple(notes), evidence)


def values_in(form: Form, raw: str) -> dict[str, str]:
    """The form's fields in a JSON text, null as empty; none where it is no JSON object."""
    found = parsed(raw)
    if not isinstance(found, dict):
        return {}
    return {name: EMPTY if found[name] is None else str(found[name]) for name in form.names if name in found}


def calibration_of(model: str, adapter: Adapter | None) -> Calibration:
    """The calibration stored beside the adapter, or in the model's folder for the base; otherwise the prior."""
    folder = adapter.path.parent if adapter else Path(model)
    return Calibration.load(folder / FILE) or PRIOR
