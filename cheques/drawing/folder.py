"""A folder of drawn cheques: c0001.png, c0002.png, … and truth.jsonl, the same for the same seed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cheques.drawing import captures, layouts
from cheques.drawing.banks import banks_called
from cheques.drawing.cheque import Drawn, draw_cheque
from cheques.drawing.hands import hands_called

TRUTH = "truth.jsonl"
FIRST = 10**12  # pretraining draws below this: a folder never holds a cheque that was trained on


def cheque_seed(seed: int, number: int) -> int:
    """The seed of cheque `number` (from 1) of the folder of a seed; folders below a million cheques share none."""
    return FIRST + seed * 1_000_000 + number


def cheque(
    seed: int,
    number: int,
    hands: str = "seen",
    banks: str = "seen",
    *,
    kinds: Sequence[str] = (),
    discordant: float | None = None,
    hidden: float = 0.0,
) -> Drawn:
    """Cheque `number` (from 1) of the folder of a seed; `banks` is a group of banks or of layouts."""
    new = banks in layouts.GROUPS
    return draw_cheque(
        cheque_seed(seed, number),
        hands,
        banks=None if new else banks_called(banks),
        layouts=banks if new else None,
        kinds=kinds,
        discordant=discordant,
        hidden=hidden,
    )


def write_folder(
    folder: Path,
    count: int,
    seed: int,
    hands: str = "seen",
    on_drawn: Callable[[], object] | None = None,
    banks: str = "seen",
    *,
    kinds: Sequence[str] = (),
    discordant: float | None = None,
    hidden: float = 0.0,
) -> Path:
    """Draws `count` cheques into a folder and returns the path of its truth.jsonl.

    truth.jsonl appears (or is replaced) at the end and whole, so that a folder with one is complete. `on_drawn` is
    called after each cheque; the rest is as for `draw_cheque`. Raises ValueError for unknown hands, banks and kinds of
    damage, OSError where nothing can be written.
    """
    # What is misspelt is said before anything is written.
    hands_called(hands)
    captures.check(kinds)
    if banks not in layouts.GROUPS:
        banks_called(banks)
    folder.mkdir(parents=True, exist_ok=True)
    # By process, since two commands may write into one folder.
    unfinished = folder / f".{TRUTH}.{os.getpid()}"
    try:
        with unfinished.open("w", encoding="utf-8") as lines:
            for number in range(1, count + 1):
                drawn = cheque(seed, number, hands, banks, kinds=kinds, discordant=discordant, hidden=hidden)
                name = f"c{number:04d}.png"
                drawn.image.save(folder / name, compress_level=3)
                lines.write(json.dumps({"image": name, **drawn.truth}, ensure_ascii=False) + "\n")
                if on_drawn:
                    on_drawn()
            lines.flush()
            os.fsync(lines.fileno())
        unfinished.replace(folder / TRUTH)
    finally:
        unfinished.unlink(missing_ok=True)
    return folder / TRUTH
