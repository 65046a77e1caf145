"""Which recipe for which base, and whether it fits on the card; known before anything is downloaded."""

from __future__ import annotations

from trainer.recipe import LoraRecipe


def recipe_for(model: str) -> LoraRecipe:
    return LoraRecipe()
