"""Finding a near-duplicate among all seen before, side by side against one by one: `python -m research.bench.draw`.

The same question to the same fingerprints both ways, and the same answer; what is printed is seconds and their ratio.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from cheques.images import distance
from store.draw import NEAR, Place, _Fingerprints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="cheques seen before")
    count = parser.parse_args().count
    dice = np.random.default_rng(0)
    places = [Place(str(n), 0.5, "lesson", None, str(n), dice.bytes(128).hex(), 0.2, 0.1) for n in range(count)]
    near = _Fingerprints()
    for place in places:
        near.add(place)
    asked = places[count // 2].phash[:-1] + "0"

    began = time.perf_counter()
    (slow,) = [one for one in places if distance(one.phash, asked) <= NEAR * len(asked) * 4]
    middle = time.perf_counter()
    quick = near.nearest(asked)
    ended = time.perf_counter()
    assert quick is slow
    print(f"one by one    {middle - began:8.4f} s")
    print(f"side by side  {ended - middle:8.4f} s: {(middle - began) / (ended - middle):.0f} times as quick")


if __name__ == "__main__":
    main()
