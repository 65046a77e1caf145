"""Several models or versions on the same cheques: what each reads, what it costs, and which one is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from study.metrics import Estimate, paired_gain
from trainer.evaluate import Scores

THOUSAND = 1000
FEWEST = 10  # cheques; with fewer no model can be called worse than another


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

    @property
    def exact_match(self) -> Estimate | None:
        """The mean over the cheques; None where they are too few for an interval."""
        return paired_gain(self.scores.rates, np.zeros_like(self.scores.rates)) if self.scores.n >= FEWEST else None

    def cost(self, price_an_hour: float) -> float:
        """Of a thousand cheques, in the currency of the price."""
        return self.seconds * THOUSAND / 3600 * price_an_hour

    def as_json(self, price_an_hour: float | None) -> dict[str, Any]:
        return {
            "model": self.name,
            **self.scores.as_json(),
            "interval": self.exact_match and [self.exact_match.low, self.exact_match.high],
            "free_valid_json": self.free_json,
            "memory_bytes": self.memory,
            "minutes_of_training": self.minutes_of_training,
            "cost_per_thousand": None if price_an_hour is None else self.cost(price_an_hour),
        }


def enough(entries: Sequence[Entry]) -> Entry | None:
    """The quickest entry that is not worse than the best one beyond chance (paired bootstrap, 95 %).

    On one machine the quickest is the cheapest. Needs at least one entry, all on the same cheques; None where these
    are too few to tell.
    """
    if entries[0].scores.n < FEWEST:
        return None
    best = max(entries, key=lambda entry: entry.scores.mean or 0.0)

    def not_worse(entry: Entry) -> bool:
        gain = paired_gain(entry.scores.rates, best.scores.rates)
        return entry is best or (gain is not None and gain.high >= 0)

    return min(filter(not_worse, entries), key=lambda entry: entry.seconds)


def gains_on_first(entries: Sequence[Entry]) -> list[Estimate | None]:
    """How much better each entry is than the first one; None for that one, and where the cheques are too few."""
    first = entries[0].scores
    return [
        None if entry is entries[0] or first.n < FEWEST else paired_gain(entry.scores.rates, first.rates)
        for entry in entries
    ]
