"""Turned scans: what a second look costs and brings, and whether the surer of two looks is the upright one.

python -m research.bench.turning [--model models/small] [--count 40]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from cheques.drawing import Drawn, draw_cheque
from cheques.fields import CHEQUE
from cheques.settings import Settings
from cheques.values import exact
from reader.local.local_reader import LocalReader
from reader.reading import Reader, Reading
from reader.turning import SURE, TurningReader, sureness

FIRST = 7_000_000  # seeds that nothing else draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/small")
    parser.add_argument("--count", type=int, default=40)
    given = parser.parse_args()
    plain = LocalReader(Settings(model=given.model, _env_file=None))  # type: ignore[call-arg]
    turning = TurningReader(plain)
    for name, layouts in (("known banks", None), ("kept-out layouts", "kept-out")):
        drawn = [draw_cheque(FIRST + n, "unseen", layouts=layouts) for n in range(given.count)]
        upright = [one.image for one in drawn]
        print(f"{name}, {given.count} cheques in hands never seen")
        first, once = timed(plain, upright)
        second, twice = timed(turning, upright)
        down, _ = timed(plain, [image.rotate(180) for image in upright])
        surer = np.mean([sureness(a) > sureness(b) for a, b in zip(first, down, strict=True)])
        unsure = np.mean([sureness(one) < SURE for one in first])
        print(f"  surer upright than upside down: {surer:.0%}; looked at twice upright: {unsure:.0%}")
        alone, with_look = right(drawn, first), right(drawn, second)
        print(f"  upright, one look {alone:.1%}, turning {with_look:.1%}, {twice / once:.2f} times the seconds")
        for degrees in (180, 90, 270):
            turned = [image.rotate(degrees, expand=True) for image in upright]
            alone, with_look = (right(drawn, timed(one, turned)[0]) for one in (plain, turning))
            print(f"  turned by {degrees}, one look {alone:.1%}, turning {with_look:.1%}")


def timed(reader: Reader, images: Sequence[Image]) -> tuple[list[Reading], float]:
    began = time.perf_counter()
    return reader.read(images, CHEQUE), time.perf_counter() - began


def right(drawn: Sequence[Drawn], readings: Sequence[Reading]) -> float:
    """Exact match, mean over the fields of all cheques."""
    pairs = zip(drawn, readings, strict=True)
    return float(np.mean([[*exact(CHEQUE, one.truth, reading.values).values()] for one, reading in pairs]))


if __name__ == "__main__":
    main()
