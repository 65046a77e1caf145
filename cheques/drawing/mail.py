"""A project's mail, as unbalanced as real mail: two banks in easy hands make most of it, and there is a long tail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cheques.drawing.banks import BANKS
from cheques.drawing.cheque import Drawn, draw_cheque
from cheques.drawing.hands import SEEN
from cheques.drawing.other_banks import OTHER_BANKS

Kind = Literal["common", "other", "tail"]
SHARES: dict[Kind, float] = {"common": 0.6, "other": 0.25, "tail": 0.15}
COMMON = (BANKS[0].name, OTHER_BANKS[1].name)  # one that the shipped model knows, one that it has never seen
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
        yield Piece(f"{seed}-{number:04d}", kind, _drawn(own, kind, damage))


def _drawn(seed: int, kind: Kind, damage: float) -> Drawn:
    if kind == "common":
        hand = EASY[seed % len(EASY)]
        return draw_cheque(seed, banks=COMMON, hand=hand, damage=damage)
    if kind == "other":
        return draw_cheque(seed, "seen", banks=[bank.name for bank in BANKS[1:]], damage=damage)
    return draw_cheque(
        seed, "unseen", banks=[bank.name for bank in OTHER_BANKS if bank.name not in COMMON], damage=damage
    )
