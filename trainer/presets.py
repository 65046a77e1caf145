"""Which recipe for which base, and whether it fits on the card; known before anything is downloaded."""

from __future__ import annotations

import json
from pathlib import Path

from cheques.reading.card import uses_card
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
WORKING_GIB, WORKING_SHARE = 3.0, 0.06  # adapter, optimizer and checkpointed activations at two cheques a step
SMALL_WIDTH = 512  # hidden size up to which a model is learned from scratch, so to say: more steps, larger ones

SMALL = LoraRecipe()
LARGE = LoraRecipe(alpha=16, learning_rate=2e-4, epochs=4, batch=2)


def recipe_for(model: str, card_gib: float | None = None) -> LoraRecipe:
    """The recipe for a folder or hub name; in 4 bit where the card holds it no other way."""
    if _width(model) <= SMALL_WIDTH:
        return SMALL
    weights = weights_gib(model)
    four_bit = weights is not None and card_gib is not None and need_gib(weights, four_bit=False) > card_gib
    return LoraRecipe(**{**vars(LARGE), "four_bit": four_bit})


def recipe_here(settings: Settings) -> LoraRecipe:
    """The recipe for the model of the settings on this machine."""
    if not uses_card(settings):
        return recipe_for(settings.model)
    from trainer.lora import card_gib

    return recipe_for(settings.model, card_gib())


def check_fits(model: str, recipe: LoraRecipe, card_gib: float) -> None:
    """Raises TrainingError where the model will not fit on a card of `card_gib`; an unknown model passes."""
    weights = weights_gib(model)
    if weights is None or need_gib(weights, recipe.four_bit) <= card_gib:
        return
    needed, in_four = need_gib(weights, recipe.four_bit), need_gib(weights, four_bit=True)
    remedy = "a 4-bit recipe" if not recipe.four_bit and in_four <= card_gib else f"a card of {in_four:.0f} GiB or more"
    raise TrainingError(
        f"{model} needs about {needed:.0f} GiB to train and the card has {card_gib:.0f}: "
        f"take {remedy}, or a smaller model"
    )


def need_gib(weights: float, four_bit: bool) -> float:
    """About how much a training holds, from the GiB of the weights in 16 bit."""
    return weights * (FOUR_BIT if four_bit else 1.0) + WORKING_GIB + WORKING_SHARE * weights


def weights_gib(model: str) -> float | None:
    """GiB of a folder's weights, or of a model known by name; None for others."""
    folder = Path(model)
    if folder.is_dir():
        return sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2**30
    return WEIGHTS_GIB.get(model)


def _width(model: str) -> int:
    config = Path(model) / "config.json"
    if not config.is_file():
        return SMALL_WIDTH + 1
    content = json.loads(config.read_text(encoding="utf-8"))
    return int(content.get("text_config", content).get("hidden_size", SMALL_WIDTH + 1))
