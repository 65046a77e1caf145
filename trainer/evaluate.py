"""What a reader makes of labelled cheques: exact match cheque by cheque, valid JSON, confidence, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from PIL.Image import Image
from rapidfuzz.distance import Levenshtein

from cheques.fields import UNREADABLE, Form
from cheques.images import BadImage
from cheques.values import exact
from reader.grammar import fits
from reader.reading import Adapter, Reader, Reading, read_each
from study import metrics
from study.gate import Right, as_right
from trainer.dataset import Example

AT_ONCE = 16  # images open at a time; the reader makes its own batches of them
MISREAD = (0.01, 0.001)

OnRead = Callable[[int, int], None]  # cheques read, cheques in all
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Judged:
    """One cheque: what is true, what was read, which fields are right, and whether the answer was valid JSON.

    right: without the fields of which the truth is not known.
    """

    example: Example
    reading: Reading
    right: dict[str, bool]
    valid: bool

    @property
    def rate(self) -> float:
        return sum(self.right.values()) / len(self.right)

    def errors(self, name: str) -> tuple[int, int]:
        """Letters wrong in a field (edit distance), and its letters."""
        truth = self.example.values.get(name, "")
        return Levenshtein.distance(truth, self.reading.values.get(name, "")), len(truth)

    def as_written(self, name: str) -> bool:
        """Is the field, as the model wrote it, the very text that the person typed?"""
        written = self.example.written or self.example.values
        return written.get(name, "") == self.reading.values.get(name, "")


@dataclass(frozen=True)
class Scores:
    """How one reader (base, champion, candidate) did on a set of cheques."""

    form: Form
    cheques: tuple[Judged, ...]
    seconds: float

    @property
    def n(self) -> int:
        return len(self.cheques)

    @cached_property
    def right(self) -> Right:
        """(cheques, fields) which fields were read right; NaN where the truth is not known."""
        return as_right(self.form.names, [cheque.right for cheque in self.cheques])

    @property
    def rates(self) -> metrics.Floats:
        return np.array([cheque.rate for cheque in self.cheques])

    @property
    def mean(self) -> float | None:
        return float(self.rates.mean()) if self.n else None

    def field_rates(self) -> dict[str, float]:
        """By field of which any truth is known, how often it was read right."""
        columns = zip(self.form.names, self.right.T, strict=True)
        return {name: float(np.nanmean(column)) for name, column in columns if not np.isnan(column).all()}

    @property
    def hard(self) -> list[str]:
        """The cheques of which no field is right."""
        return [cheque.example.id for cheque in self.cheques if not any(cheque.right.values())]

    @property
    def valid_json(self) -> float | None:
        return sum(cheque.valid for cheque in self.cheques) / self.n if self.n else None

    def character_errors(self) -> float | None:
        """Edit distance over letters, all fields together."""
        counts = [cheque.errors(name) for cheque in self.cheques for name in cheque.right]
        letters = sum(length for _, length in counts)
        return sum(wrong for wrong, _ in counts) / letters if letters else None

    def confidences(self) -> tuple[metrics.Floats, metrics.Bools]:
        """Of every value: its confidence, and whether it is right."""
        pairs = [(c.reading.confidence.get(f, 0.0), right) for c in self.cheques for f, right in c.right.items()]
        return np.array([p for p, _ in pairs]), np.array([r for _, r in pairs], bool)

    def read_rate(self, target: float) -> float | None:
        """The share of cheques whose amount can be taken without a person at a misread rate of `target`.

        A form without an amount: whole cheques. What holds a `?` is never taken.
        """
        names = [field.name for field in self.form if field.kind == "amount"][:1] or list(self.form.names)
        trust, right = list[float](), list[bool]()
        for cheque in self.cheques:
            if cheque.right.keys() >= set(names):
                doubtful = any(cheque.reading.values.get(name, UNREADABLE) == UNREADABLE for name in names)
                sure = min(cheque.reading.confidence.get(name, 0.0) for name in names)
                trust.append(0.0 if doubtful else sure)
                right.append(all(cheque.right[name] for name in names))
        return metrics.read_rate(np.array(trust), np.array(right, bool), target)

    def as_json(self) -> dict[str, Any]:
        """What `chequemate evaluate` writes; null stands for what cannot be told from so few cheques."""
        confidence, right = self.confidences()
        return {
            "n": self.n,
            "mean": self.mean,
            "median": float(np.median(self.rates)) if self.n else None,
            "fields": self.field_rates(),
            "valid_json": self.valid_json,
            "hard": len(self.hard),
            "ece": metrics.calibration_error(confidence, right),
            "auroc": metrics.auroc(confidence, right),
            "read_rate": {str(target): self.read_rate(target) for target in MISREAD},
            "seconds_per_cheque": self.seconds / self.n if self.n else None,
        }

    def beside(self) -> dict[str, Any]:
        """What a report gives beside them: letters wrong, and values that are the very text that people typed."""
        written = [cheque.as_written(name) for cheque in self.cheques for name in cheque.right]
        return {
            "character_errors": self.character_errors(),
            "as_written": sum(written) / len(written) if written else None,
        }


def evaluate(
    reader: Reader,
    form: Form,
    adapter: Adapter | None,
    examples: Sequence[Example],
    *,
    constrained: bool = True,
    on_read: OnRead | None = None,
    seconds: float = 1e9,
) -> Scores:
    """Read the examples (all of which must open) and judge each against its truth.

    After `seconds` no other group is read, and the rest is left out. Raises ReaderError, BadImage.
    """
    cheques, taken = list[Judged](), 0.0
    for group in groups(examples, AT_ONCE):
        if taken > seconds:
            break
        images = [one.open() for one in group]
        began = time.perf_counter()
        readings = read_each(reader, images, form, adapter, constrained=constrained)
        taken += time.perf_counter() - began
        for one, reading in zip(group, readings, strict=True):
            same = exact(form, one.values, reading.values)
            right = {name: equal for name, equal in same.items() if name not in one.unknown}
            cheques.append(Judged(one, reading, right, fits(form, reading.raw)))
        if on_read:
            on_read(len(cheques), len(examples))
    return Scores(form, tuple(cheques), taken)


def valid_json(
    reader: Reader, form: Form, adapter: Adapter | None, images: Sequence[Callable[[], Image]], seconds: float = 1e9
) -> tuple[float | None, int]:
    """The share of freely decoded answers that are valid JSON of the form, and on how many cheques.

    Images that do not open are left out; after `seconds` no other group is read.
    """
    valid, read, began = 0, 0, time.monotonic()
    for group in groups(images, AT_ONCE // 2):
        if read and time.monotonic() - began > seconds:
            break
        opened = list[Image]()
        for open_it in group:
            with suppress(BadImage):
                opened.append(open_it())
        answers = read_each(reader, opened, form, adapter, constrained=False) if opened else []
        valid, read = valid + sum(fits(form, answer.raw) for answer in answers), read + len(answers)
    return (valid / read if read else None), read


def groups(things: Sequence[Thing], size: int) -> Iterator[Sequence[Thing]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]
