"""What the whole model says of an image whose vision states are known: real weights, equal layouts, one pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from research.pretraining.vision import Grid, merge

LOOKING, HEADS = 2, 2  # the text layer, and how many of its heads, that are shown where to look


def scores(
    model: Any, image: Tensor, deep: list[Tensor], where: Tensor, page: Grid, text: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """What is expected at each token after the image, given all before it: logits (batch, after, vocabulary).

    Beside it, how those expectations look at the image: (batch, HEADS, after, blocks), shares of attention.
    image (batch, blocks, d): its tokens, deep: the tower's states for deepstack; where (batch, blocks, 4, 2): their
    places on the page; text: tokens before the image (before,) and after it (batch, after).
    """
    visual, language = model.model.visual, model.model.language_model
    deeper = [merge(d, m).flatten(0, 1) for d, m in zip(deep, visual.deepstack_merger_list, strict=True)]
    before, after = text
    b, n, _ = image.shape
    opening = language.embed_tokens(before).expand(b, -1, -1)
    whole = torch.cat([opening, image, language.embed_tokens(after)], 1)
    shown = torch.zeros(whole.shape[:2], dtype=torch.bool, device=whole.device)
    shown[:, len(before) : len(before) + n] = True
    caught: list[Tensor] = []
    hook = language.layers[LOOKING].self_attn.register_forward_hook(lambda *call: caught.append(call[-1][1]))
    try:
        hidden = language(
            inputs_embeds=whole,
            position_ids=positions(len(before), where, page, after.shape[1]),
            visual_pos_masks=shown,
            deepstack_visual_embeds=deeper,
            use_cache=False,
        ).last_hidden_state
    finally:
        hook.remove()
    asking = slice(len(before) + n - 1, -1)
    return model.lm_head(hidden[:, asking]), caught[0][:, :HEADS, asking, len(before) : len(before) + n]


def astray(looks: Tensor, where: Tensor, points: Tensor) -> Tensor:
    """Mean -log of the attention that falls on the blocks at each token's point. points (batch, after, 2): x, y or -1.

    A block counts when its middle is within 24 pixels across and 28 in height: one or two blocks each way.
    """
    middles = (where[:, :, 0].flip(-1) + 1) * 16
    away = (points[:, :, None] - middles[:, None]).abs()
    there = (away[..., 0] < 24) & (away[..., 1] < 28)
    known = (points[..., 0] >= 0) & there.any(-1)
    seen = (looks.float() * there[:, None]).sum(-1).clamp(min=1e-4).log().neg().mean(1)
    return seen[known].mean() if bool(known.any()) else seen.sum() * 0


def positions(before: int, where: Tensor, page: Grid, after: int) -> Tensor:
    """(3, batch, length): time, row and column of every token, as Qwen3-VL counts for an image of that page."""
    batch = len(where)
    cells = where[:, :, 0].div(2, rounding_mode="floor").permute(2, 0, 1)
    cells = torch.cat([torch.zeros_like(cells[:1]), cells])
    opening = torch.arange(before, device=where.device).expand(3, batch, -1)
    closing = torch.arange(after, device=where.device) + before + max(page) // 2
    return torch.cat([opening, before + cells, closing.expand(3, batch, -1)], -1)
