"""The base with a fresh adapter through Unsloth: quicker and smaller on a card, the same adapter."""

from __future__ import annotations

import os
from typing import Any

from trainer.recipe import LoraRecipe

LONGEST = 4096  # tokens of the prompt, the image and the answer together


def load_with_unsloth(model: str, recipe: LoraRecipe, device: str) -> tuple[Any, Any]:
    """(model with adapter, processor) on `device`; the image's size and the loss mask are our collator's."""
    import torch

    # Else every load tells a hub what card this machine has; nothing leaves it that nobody asked for.
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    from unsloth import FastVisionModel

    network, processor = FastVisionModel.from_pretrained(
        model,
        use_exact_model_name=True,  # the base of that name, not Unsloth's copy: the reader loads the former
        device_map={"": device},
        max_seq_length=LONGEST,
        load_in_4bit=recipe.four_bit,
        load_in_16bit=not recipe.four_bit,
        # Unsloth's own way parks activations in pinned memory, which only a machine with a card has.
        use_gradient_checkpointing="unsloth" if torch.cuda.is_available() else True,
    )
    network = FastVisionModel.get_peft_model(
        network,
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        finetune_vision_layers=recipe.vision,
        finetune_language_layers=recipe.language,
        finetune_attention_modules=True,
        finetune_mlp_modules=True,
        random_state=recipe.seed,
    )
    FastVisionModel.for_training(network)
    return network, processor
