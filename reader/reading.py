"""What a reading is, and what everything that reads cheques has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL.Image import Image

from cheques.fields import Form


class ReaderError(Exception):
    """A reader that cannot read (no model, no server, an adapter for another base): one line, what and what to do."""


class Unreadable(ReaderError):
    """This one cheque cannot be read; its neighbours can."""


@dataclass(frozen=True)
class Reading:
    """What a reader saw on one cheque.

    values: canonical, by field; a field that could not be decoded is missing and named in `notes`.
    confidence: by field, the probability in [0, 1] that the value is right.
    raw: the JSON text as decoded. embedding: the image's pooled vision features.
    """

    values: dict[str, str]
    confidence: dict[str, float]
    raw: str = ""
    embedding: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Adapter:
    """A trained adapter: a name that is never used twice ("7/v3"), and its folder."""

    name: str
    path: Path


class Reader(Protocol):
    """Reads batches of any size; raises ReaderError, never returns fewer readings than images."""

    def read(
        self, images: Sequence[Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]: ...

    def close(self) -> None: ...


def read_each(
    reader: Reader, images: Sequence[Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
) -> list[Reading]:
    """As `reader.read`; but a cheque that is Unreadable gives an empty reading that says why in its notes."""
    try:
        return reader.read(images, form, adapter, constrained=constrained)
    except Unreadable as error:
        # One by one, to find which of them it is.
        if len(images) == 1:
            return [Reading({}, {}, notes=(str(error),))]
        alone = (read_each(reader, [image], form, adapter, constrained=constrained) for image in images)
        return [reading for (reading,) in alone]
