"""The small Qwen3-VL: its configuration, its processor, and the folder in which both ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reader.local.model import with_torchvision
from research.pretraining import tokenizer as tok

SIZE = (640, 288)  # pixels (width, height) at which a cheque is read: 40 x 18 patches, 180 image tokens
PIXELS = SIZE[0] * SIZE[1]


def config() -> Any:
    """Qwen3VLConfig of about 11 million parameters: 6 vision layers and 4 text layers of 256."""
    from transformers import Qwen3VLConfig

    ids = {token: number for number, token in enumerate(tok.SPECIALS)}
    return Qwen3VLConfig(
        vision_config={
            "depth": 6,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_heads": 4,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 256,
            "num_position_embeddings": 400,
            "deepstack_visual_indexes": [3],
        },
        text_config={
            "vocab_size": tok.VOCABULARY,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [12, 10, 10],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "pad_token_id": ids[tok.PAD],
            "bos_token_id": None,
            "eos_token_id": ids[tok.END],
        },
        tie_word_embeddings=True,
        image_token_id=ids[tok.IMAGE],
        video_token_id=ids[tok.VIDEO],
        vision_start_token_id=ids[tok.VISION_START],
        vision_end_token_id=ids[tok.VISION_END],
    )


def build(seed: int = 0) -> Any:
    """The model with random weights, in fp32."""
    import torch

    with_torchvision()
    from transformers import GenerationConfig, Qwen3VLForConditionalGeneration

    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config())
    ids = model.config.text_config
    model.generation_config = GenerationConfig(
        eos_token_id=ids.eos_token_id, pad_token_id=ids.pad_token_id, do_sample=False, max_new_tokens=256
    )
    return model


def processor() -> Any:
    """Qwen3VLProcessor that keeps a 640 x 288 cheque as it is, and brings other images to about as many pixels."""
    with_torchvision()
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    size = {"shortest_edge": PIXELS * 4 // 5, "longest_edge": PIXELS}
    images = {
        "size": size,
        "patch_size": 16,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    tokenizer = tok.build()
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**images),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**images),
        chat_template=tok.TEMPLATE,
    )


def save_frame(folder: Path) -> None:
    """Everything in the folder but the weights: processor, tokenizer, chat template, configurations."""
    folder.mkdir(parents=True, exist_ok=True)
    processor().save_pretrained(folder)
    model = build()
    model.config.architectures = ["Qwen3VLForConditionalGeneration"]
    model.config.dtype = "bfloat16"
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)


def parameters(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters())
