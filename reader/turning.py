"""A scan that lies upside down or on its side is turned by the reader's own judgement, for one more look at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from cheques.fields import Form
from reader.reading import Adapter, Reader, Reading

SURE = -0.1
"""Log-probability of a letter of the values, on average. Of 80 cheques in hands that the small model had never seen,
half of them of layouts kept out of training, it was higher upright than upside down on every one; upright it was below
this on none of known banks, and on 8 % of the others (research/bench/turning.py)."""
ON_ITS_SIDE = 1.9  # height over width from which a scan is a cheque on its side; a phone's photo is up to 1.8
TURNED = "turned by {} degrees"  # in the notes


class TurningReader:
    """Reads a cheque of which the reader is unsure a second time the other way round; the surer reading counts.

    A scan on its side is read turned at once, since no cheque is so high.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def read(
        self, images: Sequence[Image.Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        """As the reader that it holds. Freely decoded answers are not turned: they only tell whether they are JSON."""
        if not constrained:
            return self.reader.read(images, form, adapter, constrained=False)
        first = [90 if image.height > ON_ITS_SIDE * image.width else 0 for image in images]
        readings = self._read(images, first, form, adapter)
        unsure = [n for n, reading in enumerate(readings) if sureness(reading) < SURE]
        if not unsure:
            return readings
        second = [first[n] + (90 if images[n].height > images[n].width and not first[n] else 180) for n in unsure]
        again = self._read([images[n] for n in unsure], second, form, adapter)
        for n, reading in zip(unsure, again, strict=True):
            if sureness(reading) > sureness(readings[n]):
                readings[n] = reading
        return readings

    def _read(
        self, images: Sequence[Image.Image], degrees: Sequence[int], form: Form, adapter: Adapter | None
    ) -> list[Reading]:
        pairs = zip(images, degrees, strict=True)
        turned = [image.rotate(angle, expand=True) if angle else image for image, angle in pairs]
        readings = self.reader.read(turned, form, adapter)
        return [
            replace(reading, notes=(*reading.notes, TURNED.format(angle))) if angle else reading
            for reading, angle in zip(readings, degrees, strict=True)
        ]

    def close(self) -> None:
        self.reader.close()


def sureness(reading: Reading) -> float:
    """The mean log-probability of a letter of the values; minus infinity where nothing was read."""
    letters = sum(one.get("length", 0.0) for one in reading.evidence.values())
    return sum(one.get("total", 0.0) for one in reading.evidence.values()) / letters if letters else float("-inf")
