"""Muon for matrices, AdamW for the rest; fp32 master weights behind a bf16 model.

Muon (Jordan 2024; torch.optim.Muon) orthogonalises the momentum of every matrix. Embeddings, convolutions, biases,
norms, heads and the large mergers (whose orthogonalisation would cost more than their gradient) are AdamW's.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

MUON_RATE, ADAM_RATE = 3e-3, 1.5e-3
ADAMS = ("embed", "lm_head", "letters", "merger")


class Optimiser:
    """Steps over a set of modules: `modules` are the fp32 masters, `copies` those that compute, in `dtype`.

    Each of the copies learns from a batch of its own; a step takes the mean of their gradients. `fast` is the first.
    """

    def __init__(self, modules: nn.ModuleDict, dtype: torch.dtype, *, muon: bool = True, copies: int = 1) -> None:
        self.fast = modules if dtype == torch.float32 else copy.deepcopy(modules).to(dtype)
        self.copies = [self.fast, *(copy.deepcopy(self.fast) for _ in range(copies - 1))]
        computing = (one.parameters() for one in self.copies)
        self._same = [(master, copied) for master, *copied in zip(modules.parameters(), *computing, strict=True)]
        named = dict(modules.named_parameters())
        matrices = [n for n, w in named.items() if muon and w.ndim == 2 and not any(part in n for part in ADAMS)]
        decayed = [n for n, w in named.items() if n not in matrices and w.ndim > 1]
        plain = [n for n in named if n not in matrices and n not in decayed]
        adam = torch.optim.AdamW(
            [
                {"params": [named[n] for n in decayed], "weight_decay": 0.02},
                {"params": [named[n] for n in plain], "weight_decay": 0.0},
            ],
            lr=ADAM_RATE,
            betas=(0.9, 0.98),
        )
        self._parts: dict[str, tuple[torch.optim.Optimizer, list[str]]] = {"adam": (adam, decayed + plain)}
        if matrices:
            orthogonal = torch.optim.Muon(
                [named[n] for n in matrices], lr=MUON_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
            )
            self._parts["muon"] = (orthogonal, matrices)

    def step(self, share: float) -> float:
        """One step at `share` of the full learning rate; returns the norm of the gradient before clipping at 1."""
        masters = []
        for master, copied in self._same:
            grads = [one.grad.float() for one in copied if one.grad is not None]
            for one in copied:
                one.grad = None
            if grads:
                master.grad = sum(grads[1:], grads[0]) / len(copied)
                masters.append(master)
        norm = nn.utils.clip_grad_norm_(masters, 1.0)
        for name, (part, _) in self._parts.items():
            for group in part.param_groups:
                group["lr"] = share * (MUON_RATE if name == "muon" else ADAM_RATE)
            part.step()
            part.zero_grad(set_to_none=True)
        self.share_weights()
        return float(norm)

    @torch.no_grad()
    def share_weights(self) -> None:
        """The masters' values into the copies that compute."""
        for master, copied in self._same:
            for one in copied:
                if one is not master:
                    one.copy_(master)

    def state(self) -> dict[str, Tensor]:
        """Every moment and momentum, flat: "adam/<weight>/exp_avg", …"""
        return {
            f"{part}/{names[number]}/{moment}": torch.as_tensor(value)
            for part, (optimiser, names) in self._parts.items()
            for number, values in optimiser.state_dict()["state"].items()
            for moment, value in values.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """What `state` gave. A weight without a saved moment starts without one."""
        for part, (optimiser, names) in self._parts.items():
            whole: dict[str, Any] = optimiser.state_dict()
            numbers = {name: number for number, name in enumerate(names)}
            whole["state"] = {}
            for key, value in state.items():
                owner, weight, moment = key.split("/")
                if owner == part and weight in numbers:
                    whole["state"].setdefault(numbers[weight], {})[moment] = value
            optimiser.load_state_dict(whole)
