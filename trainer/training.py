"""Lessons in, an adapter out: the loop that every engine runs.

So Unsloth and plain peft see the same data order and the same loss on the answer alone. Training starts from the base
each time, and a training that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cheques.fields import CHEQUE, Form
from trainer.augment import augmented
from trainer.collate import Collator
from trainer.dataset import Example, kept_apart, openable
from trainer.lora import PARITY, Choice, Engine, load
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.tensorboard import Curves

Progress = Callable[[int, int, float, float], None]  # step, steps, loss, seconds left

CHECKPOINT_SECONDS = 60.0


@dataclass
class _Run:
    """What a checkpoint holds besides tensors."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    best_epoch: int = 0
    waited: int = 0
    seconds: float = 0.0
    hard: list[int] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)


def train(
    examples: Sequence[Example],
    form: Form,
    recipe: LoraRecipe,
    model: str,
    out: Path,
    *,
    progress: Progress | None = None,
    device: str = "auto",
    engine: Choice = "auto",
    log: Path | None = None,
    reads_elsewhere: bool = False,
) -> Trained:
    """Train an adapter for `model` on the examples into out/adapter, going on from a checkpoint in `out`.

    `out` must belong to exactly these examples, form, recipe and model. log: a folder for TensorBoard.
    reads_elsewhere: nothing is read with it on this card afterwards, which it then need not fit in 16 bit. Raises
    TrainingError: a model that cannot be loaded, no usable lesson, a loss that is no number, a full disk.
    """
    usable, unusable = openable(examples)
    if not usable:
        raise TrainingError("no lesson to train on: label some cheques first")
    learn, apart = kept_apart(usable, recipe.apart, recipe.seed)
    curves = Curves(log)
    loaded = load(model, recipe, device, engine, reads_elsewhere)
    training = _Training(loaded, Collator(loaded.processor, form), form, recipe, learn, apart, out, curves)
    try:
        training.run(progress or (lambda *_: None))
        compared = (learn + apart)[:PARITY]
        training.save(out / "adapter")
        readings = loaded.readings([one.open() for one in compared], form)
    except OSError as error:
        raise TrainingError(f"{out}: {error.strerror or error}; free some space and train again, it goes on") from None
    finally:
        curves.close()
    run = training.state
    return Trained(
        folder=out,
        lessons=len(learn),
        steps=run.step,
        seconds=run.seconds,
        engine=loaded.name,
        losses=tuple(run.losses),
        stops=tuple(run.stops),
        best_epoch=run.best_epoch,
        apart=tuple(one.id for one in apart),
        compared=tuple(one.id for one in compared),
        readings=tuple(readings),
        peak_bytes=loaded.peak_bytes(),
        unusable=tuple(unusable),
        resumed_from=training.resumed_from,
        precision=loaded.precision,
    )


class _Training:
    """The loop: epochs of batches, a look at the lessons kept apart after each, and checkpoints."""

    def __init__(
        self,
        engine: Engine,
        collate: Collator,
        form: Form,
        recipe: LoraRecipe,
        learn: list[Example],
        apart: list[Example],
        out: Path,
        curves: Curves,
    ) -> None:
        self.engine, self.collate, self.form, self.recipe = engine, collate, form, recipe
        self.learn, self.apart, self.curves = learn, apart, curves
        self.checkpoint = out / "checkpoint.safetensors"
        self.state = _Run()
        self.best: dict[str, Any] = {}
        if found := engine.load_checkpoint(self.checkpoint):
            metadata, self.best = found
            self.state = _Run(**json.loads(metadata))
            self.state.losses = [(step, loss) for step, loss in self.state.losses]
        self.resumed_from = self.state.step

    @property
    def steps(self) -> int:
        extra = self.state.hard or [0] * round(self.recipe.hard * len(self.learn))
        lessons = len(self.learn) + len(extra)
        return self.recipe.epochs * math.ceil((lessons + self._drawn(lessons)) / self.recipe.batch)

    def run(self, progress: Progress) -> None:
        if not self.state.step:
            self._look_at_the_base()
        saved = time.monotonic()
        while self.state.epoch < self.recipe.epochs and self.state.waited <= self.recipe.patience:
            batches = list(self._batches(self.state.epoch))
            while self.state.batch < len(batches):
                began = time.monotonic()
                rate = self._rate()
                loss = self.engine.step(self._opened(batches[self.state.batch]), self.collate, rate)
                if not math.isfinite(loss):
                    raise TrainingError("the loss is no longer a number: lower the recipe's learning rate")
                self.state.step, self.state.batch = self.state.step + 1, self.state.batch + 1
                self.state.seconds += time.monotonic() - began
                self.state.losses.append((self.state.step, round(loss, 5)))
                self.curves.add(self.state.step, loss=loss, rate=rate)
                pace = self.state.seconds / self.state.step
                progress(self.state.step, self.steps, loss, pace * (self.steps - self.state.step))
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    self._save_checkpoint()
                    saved = time.monotonic()
            self._end_of_epoch()
            self._save_checkpoint()
            saved = time.monotonic()

    def save(self, folder: Path) -> None:
        """The best adapter seen, as peft writes it."""
        if self.best:
            self.engine.put(self.best)
        self.engine.save(folder)

    def _look_at_the_base(self) -> None:
        """Which lessons the base finds hardest, and its loss on those kept apart, before anything is learned."""
        began = time.monotonic()
        count = round(self.recipe.hard * len(self.learn))
        if count:
            losses = [self.engine.loss([(one.open(), one.taught)], self.collate) for one in self.learn]
            self.state.hard = sorted(range(len(losses)), key=lambda index: -losses[index])[:count]
        self.state.stops = [self._loss_apart()] if self.apart else []
        self.state.seconds += time.monotonic() - began

    def _end_of_epoch(self) -> None:
        began = time.monotonic()
        self.state.epoch, self.state.batch = self.state.epoch + 1, 0
        if self.apart:
            loss = self._loss_apart()
            self.state.stops.append(loss)
            self.state.waited += 1
            if loss < self.state.best:
                self.state.best, self.state.best_epoch, self.state.waited = loss, self.state.epoch, 0
                self.best = self.engine.take()
        else:
            self.state.best_epoch = self.state.epoch
        self.state.seconds += time.monotonic() - began

    def _loss_apart(self) -> float:
        size = self.recipe.batch
        groups = [self.apart[start : start + size] for start in range(0, len(self.apart), size)]
        losses = [self.engine.loss([(one.open(), one.taught) for one in group], self.collate) for group in groups]
        total: float = sum(loss * len(group) for loss, group in zip(losses, groups, strict=True))
        self.curves.add(self.state.step, loss_apart=total / len(self.apart))
        return total / len(self.apart)

    def _rate(self) -> float:
        """Linear warm-up, then a cosine down to a tenth."""
        steps, warm = self.steps, max(1, round(self.recipe.warmup * self.steps))
        if self.state.step < warm:
            return self.recipe.learning_rate * (self.state.step + 1) / warm
        done = (self.state.step - warm) / max(1, steps - warm)
        return self.recipe.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(1.0, done)))

    def _batches(self, epoch: int) -> Iterator[list[tuple[str, int]]]:
        """(kind, number) of the cheques of each batch: lessons once, hard ones once more, drawn ones in between."""
        cheques = [("lesson", index) for index in (*range(len(self.learn)), *self.state.hard)]
        count = self._drawn(len(cheques))
        cheques += [("drawn", self.recipe.seed * 1_000_000 + epoch * count + number) for number in range(count)]
        random.Random(f"{self.recipe.seed}:{epoch}").shuffle(cheques)
        for start in range(0, len(cheques), self.recipe.batch):
            yield cheques[start : start + self.recipe.batch]

    def _drawn(self, lessons: int) -> int:
        if not set(self.form.names) <= set(CHEQUE.names):
            return 0  # what is drawn is a cheque: it teaches nothing about another form
        return round(lessons * self.recipe.drawn / (1 - self.recipe.drawn))

    def _opened(self, batch: list[tuple[str, int]]) -> list[tuple[Image, Mapping[str, str | None]]]:
        opened = list[tuple[Image, Mapping[str, str | None]]]()
        for kind, number in batch:
            if kind == "drawn":
                from cheques.drawing import draw_cheque

                drawn = draw_cheque(number, hands="seen")
                opened.append((drawn.image, drawn.truth))
            else:
                one, seed = self.learn[number], f"{self.recipe.seed}:{self.state.step}:{number}"
                opened.append((augmented(one.open(), seed, self.recipe.augment), one.taught))
        return opened

    def _save_checkpoint(self) -> None:
        self.engine.save_checkpoint(self.checkpoint, json.dumps(asdict(self.state)), self.best)
