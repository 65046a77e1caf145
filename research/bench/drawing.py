"""What drawing costs on one core: `python -m research.bench.drawing [--json]`. Milliseconds, cheque against line."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

from cheques.drawing import draw_cheque, draw_line


def milliseconds(draw: Callable[[int], object], count: int) -> float:
    """Processor time of one drawing, the best of three rounds: what other processes take does not count."""
    for seed in range(count):
        draw(seed)
    rounds = []
    for turn in range(1, 4):
        start = time.process_time()
        for seed in range(turn * count, (turn + 1) * count):
            draw(seed)
        rounds.append((time.process_time() - start) / count * 1000)
    return min(rounds)


def main() -> None:
    rng = random.Random(1)
    line = milliseconds(lambda _: draw_line(rng), 1000)
    clean = milliseconds(lambda seed: draw_cheque(seed, damage=0), 150)
    cheque = milliseconds(draw_cheque, 150)
    layout = milliseconds(lambda seed: draw_cheque(seed, "train", layouts="train"), 150)
    photographed = milliseconds(lambda seed: draw_cheque(seed, "train", layouts="train", kinds=["photographed"]), 100)
    if "--json" in sys.argv:
        found = {"line_ms": line, "clean_cheque_ms": clean, "cheque_ms": cheque, "lines_per_cheque": cheque / line}
        print(json.dumps({**found, "layout_ms": layout, "photographed_ms": photographed}))
        return
    print(f"a line             {line:6.2f} ms")
    print(f"a cheque, clean    {clean:6.2f} ms")
    print(f"a cheque           {cheque:6.2f} ms (goal: at most 15)")
    print(f"a new layout       {layout:6.2f} ms, {layout / cheque:.2f} of a cheque of a named bank (goal: at most 1.5)")
    print(f"… photographed     {photographed:6.2f} ms")
    print(f"a cheque costs     {cheque / line:6.1f} lines, damage {100 * (1 - clean / cheque):.0f} % of it")


if __name__ == "__main__":
    main()
