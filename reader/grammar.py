"""Decoding held to the form: the grammar of its JSON schema, compiled once for each form and tokenizer (llguidance)."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cheques.fields import Form
from reader.reading import ReaderError

LETTER = 3  # bytes of UTF-8 that one character of the patterns may take
# Spaced as the answers of training are.
TIGHT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammar:
    """The grammars of one tokenizer. `rows` is the width of the model's scores, at least the tokenizer's vocabulary.

    Raises ReaderError where the tokenizer is not one that grammars can be compiled for.
    """

    def __init__(self, tokenizer: Any, rows: int) -> None:
        import llguidance.hf

        try:
            self.tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=rows)
        except Exception as error:  # the library raises ValueError, RuntimeError or a Rust panic by cause
            raise ReaderError(
                f"no grammar for this tokenizer ({one_line(error)}): use the model's own tokenizer"
            ) from None
        self.rows = rows
        self._compiled: dict[str, Any] = {}

    def follow(self, form: Form) -> Any:
        """A new matcher at the start of an answer. Raises ReaderError where no grammar accepts the form's schema."""
        from llguidance import LLMatcher

        if form.digest not in self._compiled:
            grammar = LLMatcher.grammar_from_json_schema(form.schema(), overrides=TIGHT)
            matcher = LLMatcher(self.tokenizer, grammar)
            if matcher.is_error():
                reason = one_line(matcher.get_error())
                raise ReaderError(f"no grammar accepts the form ({reason}): rename fields or choices")
            self._compiled[form.digest] = matcher
        # Copying is cheap, compiling is not.
        return self._compiled[form.digest].deep_copy()

    def allowed(self, matchers: list[Any | None]) -> NDArray[np.bool_]:
        """(matchers, rows) which tokens may come next; all of them where the matcher is None."""
        from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

        bits = allocate_token_bitmask(len(matchers), self.rows)
        for row, matcher in enumerate(matchers):
            if matcher is not None:
                fill_next_token_bitmask(matcher, bits, row)
        whole = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little", count=self.rows)
        return whole.view(np.bool_)

    def spelt(self, token: int) -> bytes:
        """The bytes that a token stands for; a letter may be cut in two."""
        spelt: bytes = self.tokenizer.decode_bytes([token])
        return spelt


def pattern(form: Form) -> str:
    """The regular expression of a whole answer, spaced as in training, a value's quotes spelt `\\"` as JSON has them.

    For servers that take one: under a JSON schema they let white space through without end.
    """
    values = []
    for field in form:
        schema = field.schema
        if "enum" in schema:
            value = f"({'|'.join(map(literal, schema['enum']))})"
        else:
            value = str(schema["pattern"]).removeprefix("^").removesuffix("$")
            # The quote stands first in its class (see cheques.fields); JSON spells it with a backslash.
            value = re.sub(r'\["((?:\\.|[^\]\\])*)\]', r'([\1]|\\\\")', value)
        values.append(f'"{literal(field.name)}": "{value}"')
    return rf"\{{{', '.join(values)}\}}"


def literal(text: str) -> str:
    """As JSON spells it, with what means something in a regular expression escaped, and nothing else."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", json.dumps(text, ensure_ascii=False)[1:-1])


def longest_answer(form: Form) -> int:
    """The bytes of the longest answer that the form's grammar allows: no token is shorter than one byte.

    So a decoding limited to this many tokens always ends by itself.
    """
    from reader.prompt import answer

    longest = len(answer(form, {}).encode())
    for field in form:
        schema = field.schema
        if "enum" in schema:
            longest += max(len(json.dumps(choice).encode()) for choice in schema["enum"])
        else:  # the upper ends of the pattern's counts, and what stands once
            counts = re.findall(r"\{(?:\d+,)?(\d+)\}", schema["pattern"])
            longest += LETTER * (sum(map(int, counts)) + 10)
    return longest


def fits(form: Form, raw: str) -> bool:
    """Is the text a JSON object with the form's fields, and no others? Their values are not checked."""
    values = parsed(raw)
    return isinstance(values, dict) and values.keys() == set(form.names)


def holds(form: Form, raw: str) -> bool:
    """Did a grammar of the form make this text: its fields in their order, each value as its kind demands?"""
    values = parsed(raw)
    if not isinstance(values, dict) or tuple(values) != form.names:
        return False
    for field, value in zip(form, values.values(), strict=True):
        schema = field.schema
        if "enum" in schema:
            if value not in schema["enum"]:
                return False
        elif not isinstance(value, str) or not re.search(schema["pattern"], value):
            return False
    return True


def parsed(raw: str) -> object:
    """What a JSON text holds; None where it is no JSON, or nested too deep."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def one_line(error: object) -> str:
    """An error's message, short."""
    return " ".join(str(error).split())[:160]
