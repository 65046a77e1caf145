"""How an adapter is trained, and what came of it: one recipe and one result, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from study.gate import Precision

VISION = r"visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(linear_fc1|linear_fc2|gate_proj|up_proj|down_proj))"
LANGUAGE = r"language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"


@dataclass(frozen=True)
class LoraRecipe:
    """Everything that shapes an adapter besides its lessons and its base; a part of the data set's hash.

    drawn: share of drawn cheques among those seen in an epoch. apart: share of the lessons kept for early stopping
    and calibration. hard: share of the lessons that the base finds hardest; each is seen once more in an epoch.
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    vision: bool = True
    language: bool = True
    learning_rate: float = 6e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    epochs: int = 6
    patience: int = 1
    batch: int = 4
    drawn: float = 0.1
    apart: float = 0.2
    hard: float = 0.25
    augment: float = 1.0
    four_bit: bool = False
    seed: int = 3407

    def __post_init__(self) -> None:
        if not (self.vision or self.language):
            raise ValueError("the recipe trains no layer: set vision or language")
        if self.rank < 1 or self.batch < 1 or self.epochs < 1:
            raise ValueError("the recipe's rank, batch and epochs must be at least 1")
        if not 0 <= self.drawn < 1 or not 0 <= self.apart < 1:
            raise ValueError("the recipe's shares (drawn, apart) must be in [0, 1)")

    @property
    def targets(self) -> str:
        """The regular expression of the layers that get an adapter: the merger between the towers gets none."""
        parts = [part for part, wanted in ((VISION, self.vision), (LANGUAGE, self.language)) if wanted]
        return rf".*({'|'.join(parts)})"


class TrainingError(Exception):
    """A training that cannot go on: one line, what and what to do."""


@dataclass(frozen=True)
class Trained:
    """An adapter in `folder`/adapter, and how it came about.

    readings: what the trained model read on the images of `compared`, for the parity check.
    apart: ids of the lessons kept for early stopping and calibration. losses: (step, loss); stops: loss on `apart`
    before training and after each epoch. unusable: a line for each lesson whose image could not be opened.
    """

    folder: Path
    lessons: int
    steps: int
    seconds: float
    engine: str
    losses: tuple[tuple[int, float], ...]
    stops: tuple[float, ...]
    best_epoch: int
    apart: tuple[str, ...]
    compared: tuple[str, ...]
    readings: tuple[Mapping[str, str], ...]
    peak_bytes: int = 0
    unusable: tuple[str, ...] = ()
    resumed_from: int = 0
    precision: Precision = "exact"
