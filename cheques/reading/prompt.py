"""What the model is asked, and how it answers: the same words for training and for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cheques.fields import Field, Form

HINTS = {"amount": "0.00", "words": "lettres", "date": "AAAA-MM-JJ", "number": "0", "text": "texte"}


def question(form: Form) -> str:
    """The request for one image: every field with the form its value takes."""
    return f'Lis en JSON : {", ".join(map(_hint, form))}. Vide : "". Illisible : "?".'


def _hint(field: Field) -> str:
    return f"{field.name} ({'/'.join(field.choices) if field.kind == 'choice' else HINTS[field.kind]})"


def messages(form: Form) -> list[dict[str, Any]]:
    """The user's turn of the chat: one image, then the question."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question(form)}]}]


def conversation(form: Form, values: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The whole chat as it is trained: the question and the answer."""
    return [*messages(form), {"role": "assistant", "content": [{"type": "text", "text": answer(form, values)}]}]


def answer(form: Form, values: Mapping[str, str | None]) -> str:
    """The JSON that answers, on one line, its keys in the form's order; a missing value, or None, is empty."""
    return json.dumps({name: values.get(name) or "" for name in form.names}, ensure_ascii=False)
