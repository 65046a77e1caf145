"""The vision tower on images of one size: the real weights, in one batched attention a layer.

transformers attends image by image where there is no flash attention; for images of equal size one call does the same.
Patches come in blocks of 2 x 2, as the processor orders them; a block becomes one image token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int]  # rows, columns, in patches


def patches(images: Tensor, size: int = 16) -> Tensor:
    """Normalised images (batch, channels, height, width) -> (batch, blocks, 4, channels x size x size)."""
    b, c, h, w = images.shape
    cut = images.reshape(b, c, h // size // 2, 2, size, w // size // 2, 2, size)
    return cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(b, -1, 4, c * size * size)


def places(shape: Grid, corners: Tensor) -> Tensor:
    """(batch, blocks, 4, 2): row and column, on its page, of each patch of crops of `shape` cut at `corners`."""
    rows, columns = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    grid = torch.stack([rows, columns], -1).reshape(shape[0] // 2, 2, shape[1] // 2, 2, 2).transpose(1, 2)
    return grid.reshape(1, -1, 4, 2).to(corners.device) + corners[:, None, None, :]


def encode(visual: Any, cut: Tensor, where: Tensor, page: Grid) -> tuple[Tensor, list[Tensor]]:
    """Blocks (batch, blocks, 4, pixels) at their places -> states (batch, blocks, 4, d), and those of deepstack.

    Equal to Qwen3VLVisionModel before its mergers when the blocks are all of the page.
    """
    b, blocks, four, _ = cut.shape
    where = where.flatten(1, 2)
    x = _embed(visual, cut.flatten(1, 2)) + _learned(visual, where, page)
    cos, sin = _rotation(visual, where)
    deep = []
    for number, block in enumerate(visual.blocks):
        x = x + _attend(block.attn, block.norm1(x), cos, sin)
        x = x + block.mlp(block.norm2(x))
        if number in visual.deepstack_visual_indexes:
            deep.append(x.reshape(b, blocks, four, -1))
    return x.reshape(b, blocks, four, -1), deep


def merge(states: Tensor, merger: Any) -> Tensor:
    """States (batch, blocks, 4, d) -> image tokens (batch, blocks, out)."""
    tokens: Tensor = merger(states.flatten(0, 2))
    return tokens.reshape(*states.shape[:2], -1)


def in_rows(states: Tensor, where: Tensor, shape: Grid) -> Tensor:
    """States (batch, blocks, 4, d) laid out as (batch, rows, columns, d); zero where no block was given."""
    b, *_, d = states.shape
    page = states.new_zeros(b, *shape, d)
    image = torch.arange(b, device=states.device)[:, None, None].expand(where.shape[:3])
    return page.index_put((image, where[..., 0], where[..., 1]), states)


def _embed(visual: Any, cut: Tensor) -> Tensor:
    """The patch embedding; a still image is the same in both time steps, and a grey one in all colours."""
    weight = visual.patch_embed.proj.weight.sum(2)
    if cut.shape[-1] == weight.shape[-1] ** 2:
        weight = weight.sum(1)
    return F.linear(cut, weight.flatten(1), visual.patch_embed.proj.bias)


def _learned(visual: Any, where: Tensor, page: Grid) -> Tensor:
    """The learned positions, resampled bilinearly from their square table to the page (corners aligned)."""
    side = visual.num_grid_per_side
    limits = torch.tensor(page, device=where.device).sub(1).clamp(min=1)
    source = where * (side - 1) / limits
    low = source.floor().long()
    share = source - low
    high = (low + 1).clamp(max=side - 1)
    table = visual.pos_embed.weight
    total = torch.zeros((), dtype=table.dtype, device=table.device)
    for row, row_share in ((low[..., 0], 1 - share[..., 0]), (high[..., 0], share[..., 0])):
        for column, column_share in ((low[..., 1], 1 - share[..., 1]), (high[..., 1], share[..., 1])):
            total = total + F.embedding(row * side + column, table) * (row_share * column_share)[..., None].to(table)
    return total


def _rotation(visual: Any, where: Tensor) -> tuple[Tensor, Tensor]:
    angles = (where[..., None].float() * visual.rotary_pos_emb.inv_freq.float()).flatten(-2)
    angles = torch.cat([angles, angles], -1)[:, None]
    dtype = visual.pos_embed.weight.dtype
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _attend(attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    b, n, d = x.shape
    q, k, v = attention.qkv(x).reshape(b, n, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
    if x.is_cuda:
        mixed = F.scaled_dot_product_attention(q, k, v)
    else:  # On a CPU the plain products are two to five times quicker in bf16 than torch's fused attention.
        mixed = ((q * attention.scaling) @ k.transpose(-1, -2)).softmax(-1) @ v
    out: Tensor = attention.proj(mixed.transpose(1, 2).reshape(b, n, d))
    return out


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin
