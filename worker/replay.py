"""The order of labelling judged by replay: labels that are known already are given out as each strategy asks for them.

They are those of drawn mail, or of a project: its lessons are the pool, its exam is what everything is judged on. A
cell is one strategy, one seed and one number of labels: the model is trained from the base on the labels chosen so far
and judged on a fixed test set, and the strategy chooses the next ones. Each cell is a file, so that a replay that was
cut off goes on. All strategies of a seed share their first labels, chosen by chance.
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
from cheques.fields import CHEQUE, Form
from cheques.settings import settings
from cheques.values import exact
from reader.open_reader import open_reader
from reader.reading import Adapter, Reader, read_each
from store.acquisition_cache import compact, signal
from trainer.dataset import Example, example
from trainer.recipe import LoraRecipe, TrainingError
from worker.acquisition import STRATEGIES, Pool, worth_of
from worker.labelled_examples import labelled, lessons_and_exam

TEST_SEED = 999_999  # of the mail that everything is judged on
FIRST = "first"  # the strategy of the first cell of a seed: chance, the same for all
RECIPE = replace(LoraRecipe(), apart=0.0)  # as in a project, but every label is trained on
LABELLED = "labelled"  # the one kind of a project's cheques


@dataclass(frozen=True)
class Plan:
    """One replay. labels: at how many of them a model is trained. epochs: of each training, without early stopping.

    pool, test: how many cheques of drawn mail; of a project its number, and the ids of lessons and exam as they were at
    the start, so that labels that come meanwhile change nothing.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    labels: tuple[int, ...]
    pool: int
    test: int
    epochs: int
    folder: Path
    project: int | None = None
    lessons: tuple[str, ...] = ()
    exam: tuple[str, ...] = ()

    def stages(self) -> list[list[tuple[str, int, int]]]:
        """(strategy, seed, number of labels) of every cell; those of a stage depend on those of the stages before."""
        first = [(FIRST, seed, self.labels[0]) for seed in self.seeds]
        return [first, *([(s, seed, n) for seed in self.seeds for s in self.strategies] for n in self.labels[1:])]


@dataclass(frozen=True)
class Cell:
    """What came of one cell. mean: exact match over the whole mail; tail: over its long tail alone, None of a project.

    chosen: the places in the pool that were trained on. kinds: how many of each kind. seconds: all that it took.
    """

    strategy: str
    seed: int
    labels: int
    mean: float
    tail: float | None
    chosen: tuple[int, ...]
    kinds: Mapping[str, int]
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

    began, about = time.monotonic(), material(plan, seed)
    form, pool = about.form, about.pool
    chosen = chosen_by(plan, strategy, seed, labels)
    scratch = plan.folder / f"training-{strategy}-{seed}-{labels}"
    recipe = replace(RECIPE, epochs=plan.epochs, seed=seed)
    train([pool[place][1] for place in chosen], form, recipe, settings().model, scratch, device=settings().device)
    release()
    reader, adapter = the_reader(), Adapter(scratch.name, scratch / "adapter")
    readings = read_each(reader, [one.open() for _, one in about.test], form, adapter)
    right: dict[str, list[float]] = {kind: [] for kind in about.shares}
    for (kind, one), reading in zip(about.test, readings, strict=True):
        same = exact(form, one.values, reading.values)
        right[kind].append(float(np.mean([same[name] for name in form.names if name not in one.unknown])))
    if labels != plan.labels[-1] and strategy != "random":
        look(reader, adapter, about, plan.folder / f"{strategy}-{seed}-{labels}.npz")
    shutil.rmtree(scratch)
    mean = sum(share * float(np.mean(right[kind])) for kind, share in about.shares.items())
    tail = float(np.mean(right["tail"])) if "tail" in right else None
    kinds = dict(Counter(pool[place][0] for place in chosen))
    return Cell(strategy, seed, labels, mean, tail, chosen, kinds, time.monotonic() - began)


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
        worth = worth_of(material(plan, seed).form, settings().worth)
        pool = Pool(now["confidence"][rest], features[rest], worth, now["signal"][rest], features[list(cell.chosen)])
    order = STRATEGIES[strategy](pool, seed * 1000 + labels)
    return (*cell.chosen, *rest[order[: labels - before]].tolist())


def look(reader: Reader, adapter: Adapter, about: Material, path: Path) -> None:
    """Keep what the model is sure of over the whole pool, the labelled too: their features cover others."""
    readings = read_each(reader, [one.open() for _, one in about.pool], about.form, adapter)
    confidence = [[reading.confidence.get(name, 0.0) for name in about.form.names] for reading in readings]
    features = np.array([compact(reading.embedding) for reading in readings])
    draft = path.with_name(f".{path.name}")
    signals = np.array([signal(reading) for reading in readings])
    np.savez(draft, confidence=np.array(confidence), signal=signals, features=features)
    draft.replace(path)


Cheques = list[tuple[str, Example]]


@dataclass(frozen=True)
class Material:
    """What is played on: cheques with their kinds. shares: how much each kind counts in the mean."""

    form: Form
    pool: Cheques
    test: Cheques
    shares: Mapping[str, float]


def material(plan: Plan, seed: int) -> Material:
    """The drawn mail of this seed, or the project's labels. Raises TrainingError, StudioError."""
    if plan.project is None:
        # Of every kind equally many are judged on, so that the tail is measured too.
        shares = {str(kind): share for kind, share in SHARES.items()}
        return Material(CHEQUE, drawn(seed, plan.pool), drawn(TEST_SEED, plan.test, tuple(SHARES)), shares)
    form, lessons, exam = labels_of(plan.project)
    found = {one.id: one for one in (*lessons, *exam)}
    if gone := [id for id in (*plan.lessons, *plan.exam) if id not in found]:
        raise TrainingError(f"the labels of {len(gone)} cheques are gone since the replay began: start a new one")
    pool, test = ([(LABELLED, found[id]) for id in ids] for ids in (plan.lessons, plan.exam))
    return Material(form, pool, test, {LABELLED: 1.0})


@lru_cache(maxsize=2)  # a pool's pictures take hundreds of megabytes
def drawn(seed: int, count: int, kinds: tuple[Kind, ...] = ()) -> Cheques:
    pieces = mail(seed, count, kinds)
    return [(piece.kind, example(CHEQUE, piece.id, piece.drawn.truth, piece.drawn.image)) for piece in pieces]


@cache
def labels_of(project: int) -> tuple[Form, list[Example], list[Example]]:
    """A project's form, lessons and exam, as a retraining would use them. Raises StudioError."""
    from worker.jobs import Site

    site = Site.of(project)
    labels = labelled(site.studio, project, site.config, site.draw, site.fetch)
    lessons, exam, *_ = lessons_and_exam(labels, site.config.form, site.fetch, site.images)
    return site.config.form, lessons, exam


@cache
def the_reader() -> Reader:
    return open_reader(settings())
