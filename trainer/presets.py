"""Which recipe for which base, and whether it fits on the card: known before anything is downloaded."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec
from pathlib import Path

from cheques.settings import Settings
from trainer.recipe import LoraRecipe, TrainingError

# GiB of the weights in 16 bit, as published on the hub.
WEIGHTS_GIB = {
    "Qwen/Qwen2.5-VL-3B-Instruct": 7.0,
    "Qwen/Qwen2.5-VL-7B-Instruct": 15.5,
    "Qwen/Qwen2.5-VL-32B-Instruct": 62.5,
    "Qwen/Qwen3-VL-2B-Instruct": 4.0,
    "Qwen/Qwen3-VL-4B-Instruct": 8.3,
    "Qwen/Qwen3-VL-8B-Instruct": 16.4,
    "Qwen/Qwen3-VL-32B-Instruct": 62.1,
}
FOUR_BIT = 0.36  # of the 16-bit weights: the vision tower and the embeddings stay as they are
READING_GIB = 2.0  # images, keys and values of the cheques read at once, beside the weights in 16 bit
WORKING_GIB, WORKING_SHARE = 3.0, 0.06  # adapter, optimizer and checkpointed activations at two cheques a step
SMALL_WIDTH = 512  # hidden size up to which a model has nearly everything to learn: more steps, larger ones

SMALL = LoraRecipe()
LARGE = LoraRecipe(alpha=16, learning_rate=2e-4, epochs=4, batch=2)


def recipe_for(model: str, card_gib: float | None = None, reads_elsewhere: bool = False) -> LoraRecipe:
    """The recipe for a folder or hub name; in 4 bit where the card does not hold it otherwise.

    4 bit only where another machine or card reads: the reader in this process does not quantise.
    """
    if is_small(model):
        return SMALL
    weights = weights_gib(model)
    too_large = weights is not None and card_gib is not None and need_gib(weights, four_bit=False) > card_gib
    return LoraRecipe(**{**vars(LARGE), "four_bit": too_large and reads_elsewhere})


def recipe_here(settings: Settings) -> LoraRecipe:
    """The recipe for the model of the settings on this machine, as torch sees it.

    Raises TrainingError where what training needs is not installed.
    """
    # Calibration and report need the last two, hours after training has started.
    if missing := [name for name in ("torch", "peft", "sklearn", "matplotlib") if find_spec(name) is None]:
        raise TrainingError(f"training needs {', '.join(missing)}: install chequemate[train]")
    if settings.device == "cpu" or is_small(settings.model):
        return recipe_for(settings.model)
    from reader.local.model import card_gib

    return recipe_for(settings.model, card_gib(settings.device), reads_elsewhere=settings.reader_url is not None)


def check_fits(model: str, recipe: LoraRecipe, card_gib: float, reads_elsewhere: bool = False) -> None:
    """Raises TrainingError where a card of `card_gib` cannot train the model, or cannot read with it afterwards.

    An unknown model passes. reads_elsewhere: a server reads, so this card need not hold the weights in 16 bit.
    """
    weights = weights_gib(model)
    if weights is None:
        return
    to_train, to_read = need_gib(weights, recipe.four_bit), 0.0 if reads_elsewhere else weights + READING_GIB
    if max(to_train, to_read) <= card_gib:
        return
    what, needed = ("train", to_train) if to_train > card_gib else ("read with", to_read)
    in_four = need_gib(weights, four_bit=True)
    enough = in_four if reads_elsewhere else max(to_train, to_read)
    remedies = ["a smaller model", f"a card of {math.ceil(enough)} GiB or more"]
    if in_four <= card_gib:
        server = "a vLLM server with CHEQUEMATE_READER_URL, for then it is trained in 4 bit"
        remedies.append("a 4-bit recipe" if reads_elsewhere else server)
    raise TrainingError(
        f"{model} needs about {math.ceil(needed)} GiB to {what} and the card has {card_gib:.0f}: "
        f"take {', '.join(remedies[:-1])} or {remedies[-1]}"
    )


def need_gib(weights: float, four_bit: bool) -> float:
    """About how many GiB a training takes, from those of the weights in 16 bit."""
    return weights * (FOUR_BIT if four_bit else 1.0) + WORKING_GIB + WORKING_SHARE * weights


def weights_gib(model: str) -> float | None:
    """GiB of a folder's weights, or of a model known by name; None for others."""
    folder = Path(model)
    if folder.is_dir():
        return sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2**30
    return WEIGHTS_GIB.get(model)


def is_small(model: str) -> bool:
    """Is this the folder of a model of at most SMALL_WIDTH? Not where its config does not say so."""
    config = Path(model) / "config.json"
    if not config.is_file():
        return False
    content = json.loads(config.read_text(encoding="utf-8"))
    return int(content.get("text_config", content).get("hidden_size", SMALL_WIDTH + 1)) <= SMALL_WIDTH
