"""All stages in a row: eyes on lines, then reading lines aloud, then whole cheques. Each resumes where it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from research.pretraining import checkpoint, ctc, export, init_weights, model, vision
from research.pretraining.checkpoint import Progress
from research.pretraining.lines import HeadsStage, LinesStage, pixels
from research.pretraining.loop import Plan, Stage, train
from research.pretraining.optimiser import Optimiser
from research.pretraining.reading import ChequesStage, ReadingStage
from research.pretraining.samples import Lines

SHARES = {"lines": 0.25, "reading": 0.15, "cheques": 0.6}  # of the minutes
# From weights that read already the rate falls from the start: at the full rate they unlearn for as long as it lasts.
SHARES_FROM, COOL_DOWN_FROM = {"heads": 0.02, "cheques": 0.98}, 1.0


def pretrain(
    minutes: float,
    device: str,
    out: Path,
    *,
    resume: bool = False,
    begin: Path | None = None,
    log: Callable[[str], None] = print,
) -> None:
    """Trains for about `minutes` with a checkpoint for each stage in `out`; the best model so far is in `out`/model.

    `resume` goes on with the furthest stage that has a checkpoint; `begin` is a model folder whose weights go straight
    to the last stage, as soon as throw-away heads can spell what its tower sees. Raises BadCheckpoint.
    """
    modules, optimiser = fresh(device)
    to_do, shares = stages(device), SHARES
    if begin is not None:
        checkpoint.load_model(begin / export.WEIGHTS, modules["model"])
        to_do, shares = [HeadsStage(to_do[0].draw.size), to_do[-1]], SHARES_FROM
    reached = max((i for i, stage in enumerate(to_do) if resume and _saved(out, stage).exists()), default=0)
    for stage in to_do[reached:]:
        before = export.seen(begin) if begin and stage.name == "cheques" else (0, 0.0)
        progress = Progress(stage.name, before=before)
        if resume and _saved(out, stage).exists():
            progress = checkpoint.load(_saved(out, stage), modules, optimiser)
        optimiser.share_weights()
        plan = Plan(
            seconds=minutes * 60 * shares[stage.name],
            folder=out,
            cool_down=COOL_DOWN_FROM if begin else Plan.cool_down,
            processes=drawing_processes(),
            log=log,
            after_measure=shipping(out / "model") if stage.name == "cheques" else None,
        )
        if progress.seconds < plan.seconds:
            train(stage, modules, optimiser, progress, plan)


def is_there(device: str) -> bool:
    """Is there such a device on this machine?"""
    return not device.startswith("cuda") or torch.cuda.is_available()


def _saved(out: Path, stage: Stage) -> Path:
    return out / f"{stage.name}.safetensors"


def shipping(folder: Path) -> Callable[[nn.ModuleDict, Progress, dict[str, float]], None]:
    """Exports a model that reads better than the one that ships, and no other."""

    def ship(modules: nn.ModuleDict, progress: Progress, scores: dict[str, float]) -> None:
        if export.better(folder, scores):
            export.export(folder, modules["model"], progress, scores)

    return ship


def stages(device: str, fixed: int = 64) -> list[Stage]:
    """The three stages, in batches that keep the device busy; `fixed` is the size of the fixed sets."""
    larger = 8 if device.startswith("cuda") else 1
    lines = fixed // 16
    return [LinesStage(48 * larger, lines), ReadingStage(48 * larger, lines), ChequesStage(8 * larger, fixed)]


def fresh(device: str, *, patches: int = 32, copies: int | None = None) -> tuple[nn.ModuleDict, Optimiser]:
    """The model and the throw-away heads, before they have seen anything."""
    small = model.build()
    width, depth = small.config.vision_config.hidden_size, small.config.vision_config.depth
    init_weights.unit_gain(small, depth)
    init_weights.whiten(small.model.visual, _seen_patches(small.model.visual, patches))
    # It tells where it looks; and on a CPU, in bf16, it is several times quicker than torch's fused attention.
    small.model.language_model.config._attn_implementation = "eager"
    modules = nn.ModuleDict({"model": small, "head": ctc.Head(width), "halfway": ctc.Head(width)}).to(device)
    return modules, Optimiser(modules, precision(device), copies=copies or side_by_side(device))


def precision(device: str) -> torch.dtype:
    """bf16 where the processor multiplies it quickly (four times faster than fp32 on recent ones), else fp32."""
    quick = device.startswith("cuda") or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if quick else torch.float32


def side_by_side(device: str) -> int:
    """How many batches are learned from at once: a card takes larger ones instead."""
    return 1 if device.startswith("cuda") else min(4, os.cpu_count() or 1)


def drawing_processes() -> int:
    return max(1, (os.cpu_count() or 2) - 1)


def _seen_patches(visual: Any, batches: int) -> torch.Tensor:
    weight = visual.pos_embed.weight
    images = [Lines(32, ramp=32 * batches, first=2 * 10**8)(number)["images"] for number in range(1, batches + 1)]
    return torch.cat([vision.patches(pixels(batch, weight)).flatten(0, 2) for batch in images])
