"""How long it takes to put unlabelled cheques in order, as their number grows, with 1,000 labelled ones to be unlike.

    python -m research.bench.acquisition

For each strategy: seconds at 1,000, 10,000 and 100,000 cheques, how the last grew beside n log n, and the memory held.
"""

from __future__ import annotations

import argparse
import math
import resource
import time

import numpy as np
from numpy.typing import NDArray

from store.acquisition_cache import DIMENSIONS
from worker.acquisition import STRATEGIES, Pool, rising

LABELLED, FIELDS = 1000, 7


def pool(count: int) -> Pool:
    """Mail in forty kinds, as the reader might see it."""
    chance = np.random.default_rng(0)
    kinds = chance.standard_normal((40, DIMENSIONS))

    def images(number: int) -> NDArray[np.float64]:
        return kinds[chance.integers(0, 40, number)] + 0.3 * chance.standard_normal((number, DIMENSIONS))

    confidence = chance.beta(4, 1, (count, FIELDS))
    return Pool(confidence, images(count), np.ones(FIELDS), confidence.max(axis=1), images(LABELLED))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    counts = parser.parse_args().counts
    print(f"{'':12}" + "".join(f"{count:>10,}" for count in counts) + f"{'growth / n log n':>20}")
    pools = {count: pool(count) for count in counts}
    work = {name: (lambda given, strategy=strategy: strategy(given, 0)) for name, strategy in STRATEGIES.items()}
    work["scores"] = lambda given: rising([None] * len(given))  # type: ignore[assignment, return-value, misc]
    for name, job in work.items():
        seconds = [timed(job, pools[count]) for count in counts]
        fair = counts[-1] * math.log(counts[-1]) / (counts[-2] * math.log(counts[-2])) if len(counts) > 1 else 1.0
        grown = seconds[-1] / seconds[-2] / fair if len(counts) > 1 else 1.0
        print(f"{name:12}" + "".join(f"{one:>9.2f}s" for one in seconds) + f"{grown:>20.2f}")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"at most {held:.2f} GiB held")


def timed(job: object, given: Pool) -> float:
    """The best of three."""
    best = math.inf
    for _ in range(3):
        began = time.perf_counter()
        job(given)  # type: ignore[operator]
        best = min(best, time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
