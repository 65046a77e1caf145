"""Loading a Qwen-VL and its processor into this process: device, precision, threads, and what can be wrong there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Before torch is loaded, which reads it: idle OpenMP threads that spin take a small machine's cores from others.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from reader.grammar import Grammar
from reader.reading import ReaderError


@dataclass
class Loaded:
    """A model ready to read: `ends` are the tokens that end an answer."""

    model: Any
    processor: Any
    grammar: Grammar
    ends: frozenset[int]

    @property
    def device(self) -> Any:
        return next(self.model.parameters()).device


def load(name: str, device: str = "auto", threads: int = 0) -> Loaded:
    """The base model (a folder or a hub name) on its device, in the precision that this machine is fast in.

    Raises ReaderError where it is no model, its weights are incomplete, or its tokenizer belongs to another.
    """
    if threads:
        torch.set_num_threads(threads)
    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ReaderError(f"{name} is no model folder (no config.json): set CHEQUEMATE_MODEL to one, or to a hub name")
    if not folder.exists() and (folder.is_absolute() or name.startswith(".") or name.count("/") != 1):
        raise ReaderError(
            f"no model folder {name}: set CHEQUEMATE_MODEL to one, or to a hub name such as Qwen/Qwen2.5-VL-7B-Instruct"
        )

    with_torchvision()
    from transformers import utils

    # SciPy, scikit-learn and pandas serve a kind of generation and losses that nobody uses here, and loading them is a
    # quarter of the time until the first reading.
    with patch.multiple(utils, is_scipy_available=lambda: False, is_sklearn_available=lambda: False):
        import transformers.generation.candidate_generator
        import transformers.loss.loss_utils  # noqa: F401
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()
    place = device_called(device)
    try:
        processor = AutoProcessor.from_pretrained(name)
        # On a card straight to it: a large model need not fit into the machine's memory first.
        options = {"dtype": torch.float32} if place.type == "cpu" else {"dtype": torch.bfloat16, "device_map": place}
        model, report = AutoModelForImageTextToText.from_pretrained(name, output_loading_info=True, **options)
    except torch.OutOfMemoryError:
        raise ReaderError(f"{name} does not fit on {place}: choose a smaller model, or CHEQUEMATE_DEVICE=cpu") from None
    except Exception as error:  # transformers, safetensors and the hub each raise their own for a model that is not one
        raise ReaderError(f"{name} cannot be loaded ({why(error)}): check CHEQUEMATE_MODEL, or copy it again") from None
    if report["missing_keys"] or report["mismatched_keys"]:
        wrong = len(report["missing_keys"]) + len(report["mismatched_keys"])
        raise ReaderError(f"{name}: {wrong} weights are missing or of another shape: copy the whole model again")
    to_serving_precision(model)
    return ready(model, processor)


def to_serving_precision(model: Any) -> None:
    """The precision of reading, in place: what was trained in another is judged in the one that it will serve in.

    On a CPU the vision tower is most of the work of a cheque, and in bfloat16 it is four times faster where the CPU
    multiplies that in hardware; the text stays exact in float32.
    """
    visual = vision_tower(model)
    if visual is not None and next(model.parameters()).device.type == "cpu" and fast_bfloat16():
        visual.to(torch.bfloat16)
    fast_cpu_vision(model)


def fast_cpu_vision(model: Any) -> None:
    """The vision tower on a CPU: patches in one product; where it is fast in bfloat16, attention in two."""
    visual = vision_tower(model)
    if visual is None or next(model.parameters()).device.type != "cpu":
        return
    for layer in visual.modules():
        if isinstance(layer, torch.nn.Conv3d) and layer.kernel_size == layer.stride:
            layer.forward = partial(one_product, layer)
    if not fast_bfloat16():
        return
    from transformers import AttentionInterface

    AttentionInterface.register("two_products", two_products)
    visual.config._attn_implementation = "two_products"


def one_product(layer: Any, patches: Any) -> Any:
    """A convolution over patches that are just as large as its kernel."""
    assert patches.shape[2:] == layer.kernel_size
    seen = torch.nn.functional.linear(patches.flatten(1), layer.weight.flatten(1), layer.bias)
    return seen[:, :, None, None, None]


def two_products(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **_: Any
) -> tuple[Any, None]:
    """Attention of one image, written out: in bfloat16 on a CPU twice as fast as torch's own, and as exact."""
    assert attention_mask is None
    with torch.autocast("cpu", enabled=False):  # it would take the softmax, the largest part, in float32
        weights = torch.softmax((query * scaling) @ key.transpose(-1, -2), -1)
        return (weights @ value).transpose(1, 2).contiguous(), None


def ready(model: Any, processor: Any) -> Loaded:
    """A model in memory made ready to read. Raises ReaderError where the processor belongs to another model."""
    rows = model.get_input_embeddings().weight.shape[0]
    tokenizer = processor.tokenizer
    image = getattr(processor, "image_token_id", None)
    if len(tokenizer) > rows or (image is not None and image != model.config.image_token_id):
        raise ReaderError("the tokenizer does not match the model: take both from the same folder")
    # Answers go on where prompts end, so prompts end together.
    tokenizer.padding_side = "left"
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else list(ends or [])
    # The head may be padded beyond the tokenizer's vocabulary.
    rows = getattr(model.get_output_embeddings(), "out_features", rows)
    return Loaded(model, processor, Grammar(tokenizer, rows), frozenset([*ends, tokenizer.eos_token_id]))


def with_torchvision() -> None:
    """Lets torchvision be imported where it has no compiled operators: there is no CPU build of it.

    Only where the plain import has failed; a whole torchvision declares them itself.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            try:
                torch.library.define(
                    f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            except RuntimeError:  # declared already, in this process
                continue


def vision_tower(model: Any) -> Any | None:
    """The module that turns pixels into image tokens, or None where the model hides it."""
    return next((module for name, module in model.named_modules() if name.rpartition(".")[2] == "visual"), None)


def why(error: BaseException) -> str:
    """The first line of an error, short."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines[0] else type(error).__name__


def device_called(wanted: str) -> Any:
    """The torch device of `settings.device`. Raises ReaderError where there is none."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise ReaderError(f"no device {wanted}: set CHEQUEMATE_DEVICE to auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ReaderError("no CUDA card is seen: install the driver, or set CHEQUEMATE_DEVICE=cpu")
    return device


def card_gib(device: str = "auto") -> float | None:
    """GiB of a card, what others hold of it included; None where torch cannot train on it."""
    if device == "cpu" or not torch.cuda.is_available():
        return None
    try:
        return float(torch.cuda.get_device_properties("cuda" if device == "auto" else device).total_memory) / 2**30
    except (AssertionError, RuntimeError, ValueError):  # no such card, or no device at all
        return None


def fast_bfloat16() -> bool:
    """Does this CPU multiply bfloat16 in hardware? Elsewhere it is slower than float32."""
    checks = (getattr(torch.cpu, f"_is_{feature}_supported", None) for feature in ("avx512_bf16", "amx_tile"))
    return any(check is not None and check() for check in checks)
