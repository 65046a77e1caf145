"""Weights to start from: a patch embedding that whitens, and layers of unit gain.

Pixels of a patch are strongly correlated, which makes the first layer slow to learn; principal components of drawn
lines, brought to equal variance, are a start from which letters are found several times sooner.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

DAMPING = 0.02  # of the mean variance: components below it are paper and noise


@torch.no_grad()
def whiten(visual: Any, cut: Tensor) -> None:
    """Sets the patch embedding from grey patches (n, pixels): its outputs are decorrelated, of variance about 1."""
    mean = cut.mean(0)
    variances, components = torch.linalg.eigh(torch.cov(cut.T))
    scale = (variances + DAMPING * variances.mean()).rsqrt()
    projection = visual.patch_embed.proj
    kept = min(projection.out_channels, cut.shape[1])
    basis = (components * scale).T.flip(0)[:kept]
    _, colours, times, high, wide = projection.weight.shape
    projection.weight.mul_(0.1)
    spread = basis.reshape(kept, 1, 1, high, wide) / (colours * times)
    projection.weight[:kept] = spread.expand(-1, colours, times, -1, -1)
    projection.bias.zero_()
    projection.bias[:kept] = -(basis @ mean)


@torch.no_grad()
def unit_gain(model: nn.Module, depth: int) -> None:
    """Linear layers keep the variance of what they read; those that write to the residual stream start small."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and "lm_head" not in name:
            gain = (
                1 / math.sqrt(2 * depth) if name.endswith((".proj", "mlp.linear_fc2", "o_proj", "down_proj")) else 1.0
            )
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
