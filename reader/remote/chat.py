"""One chat completion: the body that asks for a reading, and the tokens of the answer."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL.Image import Image

from cheques.fields import Form
from reader.confidence import FORCED, Token
from reader.grammar import longest_answer, pattern
from reader.prompt import fit_to_model, messages
from reader.reading import ReaderError


def request(model: str, image: Image, form: Form) -> dict[str, Any]:
    """The body of one chat completion: the prompt of training, the image as PNG."""
    picture = {"type": "image_url", "image_url": {"url": data_uri(image)}}
    turns = [
        {**turn, "content": [picture if part["type"] == "image" else part for part in turn["content"]]}
        for turn in messages(form)
    ]
    return {
        "model": model,
        "messages": turns,
        "temperature": 0,
        "max_tokens": longest_answer(form),
        "logprobs": True,
        "top_logprobs": 2,
    }


def held_to(form: Form, is_vllm: bool) -> dict[str, Any]:
    """What holds an answer to the form: its pattern where the server is vLLM, its JSON schema anywhere else."""
    if is_vllm:
        return {"structured_outputs": {"regex": pattern(form)}}
    schema = {"name": "reading", "schema": form.schema(), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def data_uri(image: Image) -> str:
    """The image as the model is to see it, as PNG in a URL."""
    png = io.BytesIO()
    fit_to_model(image).save(png, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def tokens_of(choice: dict[str, Any], content: str) -> list[Token]:
    """The answer's tokens with the log-probabilities that the server gives after the grammar's mask.

    Servers spell the halves of a cut letter as replacement characters: the text itself says what they were.
    """
    listed = (choice.get("logprobs") or {}).get("content")
    if listed is None:
        raise ReaderError("the reader's server gives no log-probabilities: use vLLM, or allow logprobs there")
    text, at, tokens = content.encode(), 0, []
    for n, one in enumerate(listed):
        spelt = bytes_of(one)
        if not text.startswith(spelt, at) or "\ufffd" in one["token"]:
            # What is cut ends where the next whole token starts.
            following = next((bytes_of(later) for later in listed[n + 1 :] if "\ufffd" not in later["token"]), b"")
            end = text.find(following, at) if following else len(text)
            spelt = text[at : max(at, end)]
        at += len(spelt)
        rivals = [other["logprob"] for other in one.get("top_logprobs", []) if other["token"] != one["token"]]
        margin = float(one["logprob"]) - max(rivals, default=-FORCED)
        tokens.append(Token(spelt, one["logprob"], min(margin, FORCED)))
    # Some servers list the token that ends the turn; it is no part of the text.
    return [token for token, one in zip(tokens, listed, strict=True) if not one["token"].startswith("<|")]


def bytes_of(token: dict[str, Any]) -> bytes:
    """A token as bytes; some servers give its text alone."""
    return bytes(token["bytes"]) if token.get("bytes") else str(token["token"]).encode()
