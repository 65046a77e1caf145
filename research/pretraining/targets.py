"""Conversations as tokens: what stands before the image, what after it, and which token belongs to which field.

Numbers only, made in the drawing processes; the text is that of `reader.prompt` in the chat template's frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cheques.fields import CHEQUE
from reader.prompt import answer, question
from research.pretraining import tokenizer as tok

NONE = -1  # a token of no field: asked, not answered
BEFORE = f"{tok.START}user\n{tok.VISION_START}"
AFTER = f"{tok.VISION_END}{{question}}{tok.END}\n{tok.START}assistant\n"
KEYS = [f'{{"{CHEQUE.names[0]}": "', *(f'", "{name}": "' for name in CHEQUE.names[1:]), '"}']


@cache
def _tokens() -> Any:
    return tok.core()


def numbers(text: str) -> list[int]:
    return list(_tokens().encode(text, add_special_tokens=False).ids)


def before() -> list[int]:
    """What stands before the image, in every conversation."""
    return numbers(BEFORE)


def whole(truth: Mapping[str, str]) -> tuple[list[int], list[int]]:
    """A cheque's conversation after the image: its tokens, and for each the number of the field it belongs to.

    To a field belong the tokens of its value and the key that ends it; the first key belongs to the first field, and
    the end of the turn to the last.
    """
    asked = numbers(AFTER.format(question=question(CHEQUE)))
    said = numbers(answer(CHEQUE, truth) + tok.END)
    keys = {numbers(key)[0]: number for number, key in enumerate(KEYS)}
    owners, field = [], 0
    for token in said:
        owners.append(field)
        if token in keys:
            field = min(keys[token], len(KEYS) - 2)
    return asked + said, [NONE] * len(asked) + owners


def single(field: str, value: str) -> tuple[list[int], list[int]]:
    """One field of one line, without a question: the key is given, the value and the key after it are to be said."""
    number = CHEQUE.names.index(field)
    given = numbers(AFTER.format(question="") + KEYS[number])
    said = numbers(value) + numbers(KEYS[number + 1])
    return given + said, [NONE] * len(given) + [number] * len(said)


def padded(
    sequences: Sequence[tuple[list[int], list[int]]], points: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Tokens, owners and points of equal length; padding stands on the right, where causal attention never looks."""
    longest = max(len(tokens) for tokens, _ in sequences)
    padding = numbers(tok.PAD)[0]
    tokens = np.full((len(sequences), longest), padding, np.int64)
    owners = np.full((len(sequences), longest), NONE, np.int64)
    pointed = np.full((len(sequences), longest, 2), -1, np.float32)
    for row, ((line, fields), at) in enumerate(zip(sequences, points, strict=True)):
        tokens[row, : len(line)], owners[row, : len(line)], pointed[row, : len(line)] = line, fields, at
    return tokens, owners, pointed
