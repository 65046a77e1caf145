"""LoRA on a Qwen-VL in torch: with Unsloth on a GPU that has it, with plain transformers and peft elsewhere.

Both ways give the same adapter: the same layers, the same names of weights.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from PIL.Image import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cheques.disk import sync_folder
from cheques.fields import Form
from reader.base_model import base_identity
from reader.local.model import card_gib, fast_bfloat16, fast_cpu_vision, to_serving_precision, with_torchvision
from reader.turning import TurningReader
from study.gate import Precision
from trainer.collate import Collator
from trainer.presets import check_fits
from trainer.recipe import LoraRecipe, TrainingError

Cheques = Sequence[tuple[Image, Mapping[str, str | None]]]  # None: not known, nothing is learned of it
CLIP = 1.0
Choice = Literal["auto", "unsloth", "peft"]
PARITY = 8  # cheques whose readings are compared with those of the adapter reloaded
LONGEST = 4096  # tokens of the prompt, the image and the answer together


class Engine:
    """A base model with a fresh adapter, its optimizer, and what may be done with them."""

    def __init__(self, name: str, model: Any, processor: Any, recipe: LoraRecipe, base: str) -> None:
        self.name, self.model, self.processor, self.base = name, model, processor, base
        self.trained = {key: weight for key, weight in model.named_parameters() if weight.requires_grad}
        self.device = next(iter(self.trained.values())).device
        self.optimizer = torch.optim.AdamW(
            self.trained.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.at_once = recipe.batch
        on_card = self.device.type == "cuda"
        self.precision: Precision = "four_bit" if recipe.four_bit and on_card else "card" if on_card else "exact"

    def step(self, cheques: Cheques, collate: Collator, rate: float) -> float:
        """One step of the optimizer on a batch; its mean loss for each token of the answers.

        Where the card's memory does not hold the batch it is halved until it does. Raises TrainingError.
        """
        self.model.train()
        while True:
            try:
                return self._step(cheques, collate, rate)
            except torch.cuda.OutOfMemoryError:
                if self.at_once == 1:
                    raise TrainingError("out of GPU memory at one cheque a step: take a smaller model") from None
            # Outside the `except`, whose error still holds the tensors of the failed try.
            self.at_once = max(1, self.at_once // 2)
            self.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()

    # Not within `step`: with this frame goes what a failed try holds on the card, its losses with their activations.
    def _step(self, cheques: Cheques, collate: Collator, rate: float) -> float:
        parts = [collate(cheques[start : start + self.at_once]) for start in range(0, len(cheques), self.at_once)]
        tokens = [int((part["labels"] >= 0).sum()) for part in parts]
        total = 0.0
        for part, count in zip(parts, tokens, strict=True):
            loss = self._loss(part) * (count / sum(tokens))
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.trained.values(), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total

    def _loss(self, batch: dict[str, Any]) -> Any:
        quick = self.device.type == "cuda" or fast_bfloat16()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=quick):
            return self.model(**{key: value.to(self.device) for key, value in batch.items()}).loss

    def loss(self, cheques: Cheques, collate: Collator) -> float:
        """The mean loss for each token of the answers, nothing learned."""
        self.model.eval()
        with torch.no_grad():
            return float(self._loss(collate(cheques)))

    def readings(self, images: Sequence[Image], form: Form) -> list[dict[str, str]]:
        """The values that the trained model reads, as the reader will read them; it cannot be trained afterwards."""
        from reader.local.local_reader import LocalReader

        self.model.config.use_cache = True
        to_serving_precision(self.model)
        if self.device.type == "cuda":
            for weight in self.trained.values():  # the reader loads the adapter in the precision of the base
                weight.data = weight.data.to(torch.bfloat16)
        reader = TurningReader(LocalReader.from_model(self.model, self.processor, batch=PARITY))
        return [reading.values for reading in reader.read(images, form)]

    def take(self) -> dict[str, Any]:
        """A copy of the adapter's weights."""
        return {key: weight.detach().cpu().clone() for key, weight in self.trained.items()}

    def put(self, weights: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for key, weight in self.trained.items():
                weight.copy_(weights[key])

    def save(self, folder: Path) -> None:
        """Write the adapter as peft does, without this machine's paths in it."""
        try:
            self.model.save_pretrained(folder, safe_serialization=True)
        except SafetensorError as error:
            raise OSError(0, f"the adapter cannot be written ({error})") from None
        config = folder / "adapter_config.json"
        written = json.loads(config.read_text(encoding="utf-8"))
        written["base_model_name_or_path"] = self.base
        config.write_text(json.dumps(written, indent=1), encoding="utf-8")
        (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card: the report writes a full one

    def peak_bytes(self) -> int:
        """The most memory held: the card's where there is one, otherwise this process's."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return most_resident()

    def save_checkpoint(self, path: Path, metadata: str, best: Mapping[str, Any]) -> None:
        """Weights, optimizer, random state and `metadata` in one file, replaced whole. Raises OSError (a full disk)."""
        tensors = {f"now/{key}": weight for key, weight in self.take().items()}
        tensors |= {f"best/{key}": weight for key, weight in best.items()}
        for key, weight in self.trained.items():
            for part, value in self.optimizer.state.get(weight, {}).items():
                tensors[f"optimizer.{part}/{key}"] = value.detach().cpu().clone()
        tensors["rng_state"] = torch.get_rng_state()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        try:
            # Not torch.save, whose files are unpickled when they are read.
            save_file(tensors, draft, metadata={"state": metadata})
        except SafetensorError as error:
            draft.unlink(missing_ok=True)
            raise OSError(0, f"the checkpoint cannot be written ({error})") from None
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)

    def load_checkpoint(self, path: Path) -> tuple[str, dict[str, Any]] | None:
        """Go on from a checkpoint: its metadata and the best weights so far; None where there is none that fits."""
        try:
            with safe_open(path, "pt") as file:
                state = file.metadata()["state"]
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (OSError, SafetensorError, KeyError, TypeError):
            return None
        if {key[4:] for key in tensors if key.startswith("now/")} != set(self.trained) or "rng_state" not in tensors:
            return None  # of other layers, or of another release
        self.put({key[4:]: value for key, value in tensors.items() if key.startswith("now/")})
        for key, weight in self.trained.items():
            parts = ("step", "exp_avg", "exp_avg_sq")
            found = {part: tensors[f"optimizer.{part}/{key}"] for part in parts if f"optimizer.{part}/{key}" in tensors}
            if found:
                # AdamW keeps its count of steps on the CPU, and all else beside the weight.
                kept = {part: value.to(weight.device) for part, value in found.items() if part != "step"}
                self.optimizer.state[weight] = {"step": found["step"], **kept}
        torch.set_rng_state(tensors["rng_state"])
        return state, {key[5:]: value for key, value in tensors.items() if key.startswith("best/")}


def load(
    model: str,
    recipe: LoraRecipe,
    device: str = "auto",
    engine: Choice = "auto",
    reads_elsewhere: bool = False,
) -> Engine:
    """The base with a fresh adapter, on the card if there is one, with Unsloth if it is there. Raises TrainingError."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        card = card_gib(device)
        if card is None:
            raise TrainingError(f"torch sees no card {device}: install the driver, or set CHEQUEMATE_DEVICE to another")
        check_fits(model, recipe, card, reads_elsewhere)
    torch.manual_seed(recipe.seed)  # before the load, which draws the fresh adapter's weights
    try:
        if engine == "unsloth" or (engine == "auto" and device.startswith("cuda") and find_spec("unsloth")):
            name, network, processor = "unsloth", *load_with_unsloth(model, recipe, device)
        else:
            name, network, processor = "peft", *load_with_peft(model, recipe, device)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        line = " ".join(str(error).split())[:200]
        raise TrainingError(f"{model} cannot be trained ({line}): set CHEQUEMATE_MODEL to a Qwen-VL") from None
    return Engine(name, network, processor, recipe, base_identity(model))


def release() -> None:
    """Give back the memory of what was trained: it is in reference cycles, which only the garbage collector finds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load_with_unsloth(model: str, recipe: LoraRecipe, device: str) -> tuple[Any, Any]:
    """(model with adapter, processor) on `device`: quicker and smaller on a card; Collator makes its batches."""
    # Otherwise every load tells a hub what card this machine has; nothing leaves it that nobody asked for.
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


def load_with_peft(model: str, recipe: LoraRecipe, device: str) -> tuple[Any, Any]:
    """(model with adapter, processor) on `device`, which may be the CPU."""
    with_torchvision()
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText, AutoProcessor

    options: dict[str, Any] = {"dtype": torch.float32}
    if device.startswith("cuda"):
        options = {"dtype": torch.bfloat16, "device_map": {"": device}}
        if recipe.four_bit:
            from transformers import BitsAndBytesConfig

            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
            )
    network = AutoModelForImageTextToText.from_pretrained(model, **options)
    network.config.use_cache = False
    fast_cpu_vision(network)
    if device.startswith("cuda"):
        # A 7B model's activations do not fit beside its weights: they are computed again on the way back.
        network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        network.enable_input_require_grads()
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.targets,
    )
    return get_peft_model(network, config), AutoProcessor.from_pretrained(model)


def merge_adapter(model: str, adapter: Path, out: Path) -> None:
    """Write `model` with the adapter merged into its weights, and its processor, to `out`."""
    with_torchvision()
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    base = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
    PeftModel.from_pretrained(base, str(adapter)).merge_and_unload().save_pretrained(out, safe_serialization=True)
    AutoProcessor.from_pretrained(model).save_pretrained(out)


def held_bytes() -> int:
    """What this process holds: of the card the most since the last call; without a card, its resident memory."""
    if torch.cuda.is_available():
        most = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        return most
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return most_resident()


def most_resident() -> int:
    """Bytes: the most that this process ever held in memory."""
    import resource

    unit = 1 if os.uname().sysname == "Darwin" else 1024  # Linux counts in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
