"""True saving, ours and naive, over many simulated projects: `python -m research.bench.savings [--runs 100]`."""

from __future__ import annotations

import argparse
import time

import numpy as np

from research.bench.annotators import Team, naive, play
from study.savings import savings

TEAMS = {
    "usual": Team(),
    "small (40 + 40)": Team(exam=80),
    "large (600 + 600)": Team(exam=1200),
    "no saving": Team(saved=0.0),
    "many idle tabs": Team(idle=0.15),
    "steep learning": Team(learning=(0.2, 0.35, 0.5)),
    "one annotator": Team(speeds=(60.0,)),
    "ten annotators": Team(speeds=(30, 40, 50, 60, 70, 80, 90, 100, 110, 120)),
    "very uneven cheques": Team(spread=0.7),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    print("| annotators | true (s) | ours (s) | its 95 % interval holds | naive (s) | its interval holds | ms a run |")
    print("|---|---|---|---|---|---|---|")
    for name, team in TEAMS.items():
        rows = []
        for seed in range(runs):
            played = play(team, seed)
            start = time.perf_counter()
            found = savings(played.work, replicates=500).effect
            spent = time.perf_counter() - start
            assert found is not None
            mean, low, high = naive(played.work)
            true = played.saved_seconds
            holds = found.seconds.low <= true <= found.seconds.high
            ours, half = found.seconds.value, found.seconds.width / 2
            rows.append((true, ours, half, holds, mean, (high - low) / 2, low <= true <= high, 1000 * spent))
        true, ours, half, holds, theirs, naive_half, naive_holds, spent = np.mean(rows, axis=0)
        left, right = f"{ours:.1f} ± {half:.1f} | {holds:.0%}", f"{theirs:.1f} ± {naive_half:.1f} | {naive_holds:.0%}"
        print(f"| {name} | {true:.1f} | {left} | {right} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
