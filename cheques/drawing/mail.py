"""A project's mail, as unbalanced as real mail: two banks in easy hands make most of it, and there is a long tail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cheques.drawing.banks import BANKS, OTHER_BANKS
from cheques.drawing.cheque import Drawn, draw_cheque
from cheques.drawing.hands import SEEN

Kind = Literal["common", "other", "tail"]
SHARES: dict[Kind, float] = {"common": 0.6, "other": 0.25, "tail": 0.15}
COMMON = (BANKS[0].name, OTHER_BANKS[1].name)  # one that the shipped model knows, one that it has never seen
OTHER = tuple(bank.name for bank in BANKS[1:])
TAIL = tuple(bank.name for bank in OTHER_BANKS if bank.name not in COMMON)
EASY = tuple(hand.name for hand in SEEN if not hand.joined and not hand.capitals)[:6]
TWICE = 0.1  # share that is written like a cheque before it, by the same person on the same day
FIRST = 2 * 10**12  # beyond the seeds of pretraining and of folders


@dataclass(frozen=True)
class Piece:
    """One cheque of the mail. kind: from one of the two common banks, another known one, or the long tail."""

    id: str
    kind: Kind
    drawn: Drawn


def mail(seed: int, count: int, kinds: tuple[Kind, ...] = ()) -> Iterator[Piece]:
    """`count` cheques, the same for the same seed; `kinds`: these in turn, instead of by SHARES and without twins."""
    rng = random.Random(f"mail {seed}")
    before: list[tuple[int, Kind]] = []
    for number in range(count):
        own = FIRST + seed * 1_000_000 + number
        kind = kinds[number % len(kinds)] if kinds else rng.choices(list(SHARES), list(SHARES.values()))[0]
        damage = rng.uniform(0.6, 1) if kind == "tail" else rng.uniform(0.1, 0.6)
        if before and not kinds and rng.random() < TWICE:
            own, kind = rng.choice(before)
        before.append((own, kind))
        match kind:
            case "common":
                drawn = draw_cheque(own, banks=COMMON, hand=EASY[own % len(EASY)], damage=damage)
            case "other":
                drawn = draw_cheque(own, "seen", banks=OTHER, damage=damage)
            case "tail":
                drawn = draw_cheque(own, "unseen", banks=TAIL, damage=damage)
        yield Piece(f"{seed}-{number:04d}", kind, drawn)
