"""Several models or versions on the same cheques: what each reads, what it costs, and which one is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.evaluate import Scores
from trainer.metrics import paired_gain

THOUSAND = 1000


@dataclass(frozen=True)
class Entry:
    """One contestant. seconds: a cheque. memory: bytes held while reading. free_json: valid JSON, decoded freely."""

    name: str
    scores: Scores
    free_json: float | None
    memory: int
    minutes_of_training: float | None = None

    @property
    def seconds(self) -> float:
        return self.scores.seconds / max(1, self.scores.n)

    def cost(self, price_an_hour: float) -> float:
        """Of a thousand cheques, in the currency of the price."""
        return self.seconds * THOUSAND / 3600 * price_an_hour

    def as_json(self, price_an_hour: float | None) -> dict[str, Any]:
        return {
            "model": self.name,
            **self.scores.as_json(),
            "free_valid_json": self.free_json,
            "memory_bytes": self.memory,
            "minutes_of_training": self.minutes_of_training,
            "cost_per_thousand": None if price_an_hour is None else self.cost(price_an_hour),
        }


def enough(entries: Sequence[Entry]) -> Entry:
    """The quickest entry that is not worse than the best one beyond chance (paired bootstrap, 95 %).

    On one machine the quickest is the cheapest. Needs at least one entry, all on the same cheques.
    """
    best = max(entries, key=lambda entry: entry.scores.mean or 0.0)

    def not_worse(entry: Entry) -> bool:
        gain = paired_gain(entry.scores.rates, best.scores.rates)
        return entry is best or (gain is not None and gain.high >= 0)

    return min(filter(not_worse, entries), key=lambda entry: entry.seconds)


def gains_on_first(entries: Sequence[Entry]) -> list[str]:
    """By how much each entry is better than the first one, in points with its interval."""
    first, lines = entries[0].scores.rates, []
    for entry in entries:
        gain = paired_gain(entry.scores.rates, first)
        same = gain is None or entry is entries[0] or np.array_equal(entry.scores.rates, first)
        lines.append(
            "–"
            if same or gain is None
            else f"{gain.value * 100:+.1f} ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})"
        )
    return lines
