"""The order of labelling judged by replay: labels that are known already are given out as each strategy asks for them.

A cell is one strategy, one seed and one number of labels: the model is trained from the base on the labels chosen so
far and judged on a fixed test set, and the strategy chooses the next ones. Each cell is a file, so that a replay that
was cut off goes on. All strategies of a seed share their first labels, chosen by chance.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from cheques.disk import replace_file
from cheques.drawing.mail import SHARES, Kind, mail
from cheques.fields import CHEQUE
from cheques.settings import settings
from cheques.values import exact
from reader.open_reader import open_reader
from reader.reading import Adapter, Reader
from store.acquisition_cache import compact, signal
from trainer.dataset import Example, example
from trainer.recipe import LoraRecipe
from worker.acquisition import STRATEGIES, Pool, worth_of

TEST_SEED = 999_999  # of the mail that everything is judged on
FIRST = "first"  # the strategy of the first cell of a seed: chance, the same for all
RECIPE = replace(LoraRecipe(), apart=0.0)  # as in a project, but every label is trained on


@dataclass(frozen=True)
class Plan:
    """One replay. labels: at how many of them a model is trained. epochs: of each training, without early stopping."""

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: tuple[int, ...]
    pool: int
    test: int
    epochs: int
    folder: Path

    def stages(self) -> list[list[tuple[str, int, int]]]:
        """(strategy, seed, number of labels) of every cell; those of a stage depend on those of the stages before."""
        first = [(FIRST, seed, self.labels[0]) for seed in self.seeds]
        return [first, *([(s, seed, n) for seed in self.seeds for s in self.strategies] for n in self.labels[1:])]


@dataclass(frozen=True)
class Cell:
    """What came of one cell. mean: exact match over the whole mail; tail: over its long tail alone.

    chosen: the places in the pool that were trained on. kinds: how many of each kind. seconds: all that it took.
    """

    strategy: str
    seed: int
    labels: int
    mean: float
    tail: float
    chosen: tuple[int, ...]
    kinds: Mapping[Kind, int]
    seconds: float


def run(plan: Plan, strategy: str, seed: int, labels: int) -> Cell:
    """One cell, or what is on disk of it; those before it must be there. Raises TrainingError, ReaderError."""
    path = plan.folder / f"{strategy}-{seed}-{labels}.json"
    if not path.exists():
        replace_file(path, json.dumps(asdict(run_anew(plan, strategy, seed, labels)), indent=1) + "\n")
    found = json.loads(path.read_text(encoding="utf-8"))
    return Cell(**found | {"chosen": tuple(found["chosen"])})


def run_anew(plan: Plan, strategy: str, seed: int, labels: int) -> Cell:
    from trainer.lora import release  # torch comes with it
    from trainer.training import train

    began, pool = time.monotonic(), mail_of(seed, plan.pool)
    chosen = chosen_by(plan, strategy, seed, labels)
    scratch = plan.folder / f"training-{strategy}-{seed}-{labels}"
    recipe = replace(RECIPE, epochs=plan.epochs, seed=seed)
    lessons = [pool[place][1] for place in chosen]
    train(lessons, CHEQUE, recipe, settings().model, scratch, device=settings().device)
    release()
    reader, adapter = the_reader(), Adapter(scratch.name, scratch / "adapter")
    right = right_of(reader, adapter, plan.test)
    if labels != plan.labels[-1] and strategy != "random":
        look(reader, adapter, pool, chosen, plan.folder / f"{strategy}-{seed}-{labels}.npz")
    shutil.rmtree(scratch)
    mean = sum(SHARES[kind] * value for kind, value in right.items())
    kinds = dict(Counter(pool[place][0] for place in chosen))
    return Cell(strategy, seed, labels, mean, right["tail"], chosen, kinds, time.monotonic() - began)


def chosen_by(plan: Plan, strategy: str, seed: int, labels: int) -> tuple[int, ...]:
    """What the cell before had, and the next ones in this strategy's order."""
    if strategy == FIRST:
        return tuple(np.random.default_rng(seed).permutation(plan.pool)[:labels].tolist())
    before = plan.labels[plan.labels.index(labels) - 1]
    cell = run(plan, FIRST if before == plan.labels[0] else strategy, seed, before)
    rest = np.setdiff1d(np.arange(plan.pool), cell.chosen)
    if strategy == "random":  # looks at nothing
        pool = Pool(*(np.zeros(shape) for shape in ((len(rest), 0), (len(rest), 0), 0, len(rest), (0, 0))))
    else:
        # The rest of the pool as the cell's model sees it; features are those of the first model, as in a project.
        now = np.load(plan.folder / f"{cell.strategy}-{cell.seed}-{cell.labels}.npz")
        features = np.load(plan.folder / f"{FIRST}-{cell.seed}-{plan.labels[0]}.npz")["features"].astype(float)
        worth = worth_of(CHEQUE, settings().worth)
        pool = Pool(now["confidence"][rest], features[rest], worth, now["signal"][rest], features[list(cell.chosen)])
    order = STRATEGIES[strategy](pool, seed * 1000 + labels)
    return (*cell.chosen, *rest[order[: labels - before]].tolist())


def look(reader: Reader, adapter: Adapter, pool: Mail, chosen: tuple[int, ...], path: Path) -> None:
    """Keep what the model is sure of over the whole pool, the labelled too: their features cover others."""
    readings = reader.read([one.open() for _, one in pool], CHEQUE, adapter)
    confidence = [[reading.confidence.get(name, 0.0) for name in CHEQUE.names] for reading in readings]
    features = np.array([compact(reading.embedding) for reading in readings])
    draft = path.with_name(f".{path.name}")
    signals = np.array([signal(reading) for reading in readings])
    np.savez(draft, confidence=np.array(confidence), signal=signals, features=features)
    draft.replace(path)


def right_of(reader: Reader, adapter: Adapter | None, count: int) -> dict[Kind, float]:
    """Exact match over each kind of mail; of every kind equally many are read, so that the tail is measured too."""
    test = mail_of(TEST_SEED, count, tuple(SHARES))
    readings = reader.read([one.open() for _, one in test], CHEQUE, adapter)
    right: dict[Kind, list[float]] = {kind: [] for kind in SHARES}
    for (kind, one), reading in zip(test, readings, strict=True):
        right[kind].append(float(np.mean([*exact(CHEQUE, one.values, reading.values).values()])))
    return {kind: float(np.mean(values)) for kind, values in right.items()}


Mail = list[tuple[Kind, Example]]


@lru_cache(maxsize=2)
def mail_of(seed: int, count: int, kinds: tuple[Kind, ...] = ()) -> Mail:
    pieces = mail(seed, count, kinds)
    return [(piece.kind, example(CHEQUE, piece.id, piece.drawn.truth, piece.drawn.image)) for piece in pieces]


@cache
def the_reader() -> Reader:
    return open_reader(settings())
