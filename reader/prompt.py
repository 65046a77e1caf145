"""What the model is given and how it answers: the same for training and for reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from PIL import Image as Images
from PIL.Image import Image

from cheques.fields import Form

HINTS = {"amount": "0.00", "words": "lettres", "date": "AAAA-MM-JJ", "number": "0", "text": "texte"}

SLIMMEST = 8  # sides at most 8:1; what is slimmer is put on white, so that scaling leaves some pixels of height
SMALLEST = 32  # pixels a side
LARGEST = 1_000_000  # pixels: a cheque at 215 dpi. Qwen's processors take a page at 300 dpi for 11,000 tokens of image


def question(form: Form) -> str:
    """The request for one image: every field with the form its value takes."""
    hints = ("/".join(field.choices) if field.kind == "choice" else HINTS[field.kind] for field in form)
    wanted = ", ".join(f"{name} ({hint})" for name, hint in zip(form.names, hints, strict=True))
    return f'Lis en JSON : {wanted}. Vide : "". Illisible : "?".'


def messages(form: Form) -> list[dict[str, Any]]:
    """The user's turn of the chat: one image, then the question."""
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question(form)}]}]


def conversation(form: Form, values: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The whole chat as it is trained: the question and the answer."""
    return [*messages(form), {"role": "assistant", "content": [{"type": "text", "text": answer(form, values)}]}]


def answer(form: Form, values: Mapping[str, str | None]) -> str:
    """The JSON that answers, on one line, its keys in the form's order; a missing value, or None, is empty."""
    return json.dumps({name: values.get(name) or "" for name in form.names}, ensure_ascii=False)


def fit_to_model(image: Image) -> Image:
    """RGB of at most LARGEST pixels; a speck, or what is slimmer than SLIMMEST:1, in the middle of white paper."""
    image = image.convert("RGB")
    width, height = image.size
    paper = (max(width, -(-height // SLIMMEST), SMALLEST), max(height, -(-width // SLIMMEST), SMALLEST))
    if paper != image.size:
        page = Images.new("RGB", paper, "white")
        page.paste(image, ((paper[0] - width) // 2, (paper[1] - height) // 2))
        image = page
    scale = (LARGEST / (paper[0] * paper[1])) ** 0.5
    if scale >= 1:
        return image
    size = int(paper[0] * scale), int(paper[1] * scale)
    # In two steps, of which the first is quick: a page at 600 dpi is 35 megapixels.
    return image.resize(size, Images.Resampling.LANCZOS, reducing_gap=3.0)
