"""Lessons in, an adapter out: the loop that every engine runs.

So Unsloth and plain peft see the same data order and the same loss on the answer alone. Training starts from the base
each time, and a training that was killed goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cheques.fields import Form, is_cheque
from trainer.augment import augmented
from trainer.collate import Collator
from trainer.dataset import Example, kept_apart, openable
from trainer.lora import PARITY, Choice, Engine, load
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.tensorboard import Curves

Progress = Callable[[int, int, float, float], None]  # step, steps, loss, seconds left

Cheque = tuple[Image, Mapping[str, str | None]]  # and what is true of it, by field; None: not known

CHECKPOINT_SECONDS = 60.0


@dataclass
class Run:
    """What a checkpoint holds besides tensors: where the loop is, and what it saw. hard: numbers of lessons."""

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
    collate = Collator(loaded.processor, form)

    run, best = Run(), dict[str, Any]()  # best: the weights with the lowest loss on the lessons kept apart
    checkpoint = out / "checkpoint.safetensors"
    if found := loaded.load_checkpoint(checkpoint):
        metadata, best = found
        run = Run(**json.loads(metadata))
        run.losses = [(step, loss) for step, loss in run.losses]  # JSON has no tuples
    resumed_from = run.step

    def stop_loss() -> float:
        loss = loss_apart(loaded, collate, apart, recipe.batch)
        curves.add(run.step, loss_apart=loss)
        return loss

    try:
        if not run.step:
            began = time.monotonic()
            if count := round(recipe.hard * len(learn)):
                losses = [loaded.loss([(one.open(), one.taught)], collate) for one in learn]
                run.hard = sorted(range(len(losses)), key=lambda index: -losses[index])[:count]
            run.stops = [stop_loss()] if apart else []
            run.seconds += time.monotonic() - began

        # An epoch: lessons once, hard ones once more, drawn cheques in between.
        lessons = [("lesson", index) for index in (*range(len(learn)), *run.hard)]
        drawn = round(len(lessons) * recipe.drawn / (1 - recipe.drawn)) if is_cheque(form) else 0
        steps = recipe.epochs * math.ceil((len(lessons) + drawn) / recipe.batch)
        saved = time.monotonic()
        while run.epoch < recipe.epochs and run.waited <= recipe.patience:
            first = recipe.seed * 1_000_000 + run.epoch * drawn
            cheques = [*lessons, *(("drawn", number) for number in range(first, first + drawn))]
            random.Random(f"{recipe.seed}:{run.epoch}").shuffle(cheques)
            for start in range(run.batch * recipe.batch, len(cheques), recipe.batch):
                began = time.monotonic()
                rate = learning_rate(recipe, run.step, steps)
                batch = [
                    _drawn(number) if kind == "drawn" else _seen_anew(learn[number], number, run.step, recipe)
                    for kind, number in cheques[start : start + recipe.batch]
                ]
                loss = loaded.step(batch, collate, rate)
                if not math.isfinite(loss):
                    raise TrainingError("the loss is no longer a number: lower the recipe's learning rate")
                run.step, run.batch = run.step + 1, run.batch + 1
                run.seconds += time.monotonic() - began
                run.losses.append((run.step, round(loss, 5)))
                curves.add(run.step, loss=loss, rate=rate)
                if progress:
                    progress(run.step, steps, loss, run.seconds / run.step * (steps - run.step))
                if time.monotonic() - saved > CHECKPOINT_SECONDS:
                    loaded.save_checkpoint(checkpoint, json.dumps(asdict(run)), best)
                    saved = time.monotonic()

            began = time.monotonic()
            run.epoch, run.batch = run.epoch + 1, 0
            if apart:
                run.stops.append(loss := stop_loss())
                run.waited += 1
                if loss < run.best:
                    run.best, run.best_epoch, run.waited = loss, run.epoch, 0
                    best = loaded.take()
            else:
                run.best_epoch = run.epoch
            run.seconds += time.monotonic() - began
            loaded.save_checkpoint(checkpoint, json.dumps(asdict(run)), best)
            saved = time.monotonic()

        compared = (learn + apart)[:PARITY]
        if best:
            loaded.put(best)
        loaded.save(out / "adapter")
        readings = loaded.readings([one.open() for one in compared], form)
    except OSError as error:
        raise TrainingError(f"{out}: {error.strerror or error}; free some space and train again, it goes on") from None
    finally:
        curves.close()
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
        resumed_from=resumed_from,
        precision=loaded.precision,
    )


def learning_rate(recipe: LoraRecipe, step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a tenth."""
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return recipe.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(1.0, done)))


def loss_apart(engine: Engine, collate: Collator, apart: Sequence[Example], size: int) -> float:
    """The mean loss on the lessons kept apart, of which there is at least one; it says when to stop."""
    groups = [apart[start : start + size] for start in range(0, len(apart), size)]
    losses = [engine.loss([(one.open(), one.taught) for one in group], collate) for group in groups]
    total: float = sum(loss * len(group) for loss, group in zip(losses, groups, strict=True))
    return total / len(apart)


def _seen_anew(one: Example, number: int, step: int, recipe: LoraRecipe) -> Cheque:
    """A lesson as another scan might show it; the same at the same step, so that a resumed training sees the same."""
    return augmented(one.open(), f"{recipe.seed}:{step}:{number}", recipe.augment), one.taught


def _drawn(number: int) -> Cheque:
    from cheques.drawing import draw_cheque

    drawn = draw_cheque(number, hands="seen")
    return drawn.image, drawn.truth
