"""Where a pretraining stands, on disk: weights, optimiser, counts. One file, written beside and then moved.

Whatever is drawn follows from the number of the batch, and the model has no dropout: the counts are the random state.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from research.pretraining.optimiser import Optimiser


@dataclass(frozen=True)
class Progress:
    """How far one stage has come; `seconds` are those spent training.

    `before`: samples and seconds that the weights had seen already when the stage began (`pretrain --from`).
    """

    stage: str
    batches: int = 0
    samples: int = 0
    seconds: float = 0.0
    before: tuple[int, float] = (0, 0.0)

    def first_batch(self, size: int) -> int:
        """The number of the next batch: what was seen before is not drawn again. Rounded up to a multiple of 8."""
        return self.batches + -(-self.before[0] // (8 * size)) * 8

    def after(self, samples: int, seconds: float) -> Progress:
        return replace(self, batches=self.batches + 1, samples=self.samples + samples, seconds=self.seconds + seconds)


class BadCheckpoint(ValueError):
    """A checkpoint that cannot be resumed: one line, which file, and what to do."""


def save(path: Path, progress: Progress, modules: nn.ModuleDict, optimiser: Optimiser) -> None:
    from safetensors.torch import save_file

    tensors = {f"weights/{name}": tensor for name, tensor in modules.state_dict().items()}
    tensors |= {f"optimiser/{name}": tensor for name, tensor in optimiser.state().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    copies = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    save_file(copies, beside, metadata={"progress": json.dumps(asdict(progress))})
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)


def load(path: Path, modules: nn.ModuleDict, optimiser: Optimiser | None = None) -> Progress:
    """Puts the weights in place and, for a resume, the optimiser; without one, heads of another stage are left out."""
    tensors, progress = _read(path)
    weights = _below(tensors, "weights/")
    answer = modules.load_state_dict(weights, strict=False)
    if optimiser is not None:
        if answer.unexpected_keys or answer.missing_keys:
            odd = (answer.unexpected_keys + answer.missing_keys)[0]
            raise BadCheckpoint(f"{path}: {odd} does not fit this model; delete the file to start the stage again")
        optimiser.restore(_below(tensors, "optimiser/"))
    return progress


def load_model(path: Path, model: nn.Module) -> None:
    """Weights as they ship (bf16, without the tied output embedding) into an fp32 model. Raises BadCheckpoint."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        answer = model.load_state_dict(load_file(path), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadCheckpoint(f"{path}: {str(error).splitlines()[0]}; give a folder with the small model") from None
    odd = [*answer.unexpected_keys, *(name for name in answer.missing_keys if name != "lm_head.weight")]
    if odd:
        raise BadCheckpoint(f"{path}: {odd[0]} does not fit the small model; give a folder with the small model")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _progress(text: str) -> Progress:
    values = json.loads(text)
    return Progress(**values | {"before": tuple(values.get("before", Progress.before))})


def _read(path: Path) -> tuple[dict[str, Tensor], Progress]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return tensors, _progress((opened.metadata() or {})["progress"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise BadCheckpoint(f"{path}: {error}; delete the file to start the stage again") from None
