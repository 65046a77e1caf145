"""Greedy decoding of a batch, under a grammar or free: every token with its log-probability and its margin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reader.confidence import FORCED, Token
from reader.grammar import Grammar

NARROW = 1024  # a hidden size up to which one thread decodes faster than several
JUMP = 3  # forced tokens in a row that are worth a wider chunk for every line


@dataclass
class Line:
    """One answer in the making: its tokens, those the model has not seen yet, and whether it has ended by itself."""

    matcher: Any | None
    limit: int
    tokens: list[Token] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def going(self) -> bool:
        return not self.ended and len(self.tokens) < self.limit


@torch.inference_mode()  # type: ignore[untyped-decorator]
def decode(
    model: Any,
    inputs: dict[str, Tensor],
    grammar: Grammar,
    matchers: list[Any | None],
    limit: int,
    ends: frozenset[int],
) -> list[tuple[list[Token], bool]]:
    """The answers to a batch of prompts (left-padded): tokens, about `limit` at most, and whether each ended by itself.

    Where the grammar leaves one choice (the JSON's keys), tokens are not asked for: they go to the model together in
    the next chunk. Shorter rows of a chunk are padded on the left, and the attention mask hides the padding.
    """
    lines = [Line(matcher, limit) for matcher in matchers]
    out = model(**inputs, use_cache=True, logits_to_keep=1)
    cache, mask = out.past_key_values, inputs["attention_mask"]
    # M-RoPE counts an image as its longer side, not as its tokens: the model says how much less that is.
    rope_delta = getattr(out, "rope_deltas", None)
    position = mask.sum(1, keepdim=True) + (0 if rope_delta is None else rope_delta.view(-1, 1).to(mask.device))
    waiting = list(lines)
    with threads_that_pay(model):
        while True:
            choose(waiting, out.logits[:, -1], grammar, ends)
            going = [row for row, line in enumerate(waiting) if line.going]
            if not going:
                return [(line.tokens, line.ended) for line in lines]
            # Lines that have ended still cost a row: they go once they are half of all.
            if len(going) <= len(waiting) / 2:
                kept = torch.tensor(going, device=mask.device)
                cache.batch_select_indices(kept)
                mask, position, waiting = mask[kept], position[kept], [waiting[row] for row in going]

            rows = [line.unseen if line.going else [] for line in waiting]
            width = max(map(len, rows))
            chunk = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=mask.device)
            seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=mask.device)
            places = position + seen.cumsum(1) - 1
            mask, position = torch.cat([mask, seen], 1), position + seen.sum(1, keepdim=True)
            out = model(
                input_ids=chunk,
                attention_mask=mask,
                position_ids=places.expand(3, *places.shape),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )


def choose(lines: list[Line], logits: Tensor, grammar: Grammar, ends: frozenset[int]) -> None:
    """The best allowed token of each line, and after it what the grammar forces."""
    scores = logits.float()
    matchers = [line.matcher if line.going else None for line in lines]
    if any(matcher is not None for matcher in matchers):
        allowed = torch.from_numpy(grammar.allowed(matchers)).to(scores.device)
        # Masked before the softmax, as vLLM does: a forced token then has log-probability 0.
        scores = scores.masked_fill(~allowed, -torch.inf)
    best = scores.log_softmax(-1).topk(2)
    for line, token, (first, second) in zip(lines, best.indices[:, 0].tolist(), best.values.tolist(), strict=True):
        if not line.going:
            continue
        if token in ends:
            line.ended = True
            continue
        line.tokens.append(Token(grammar.spelt(token), first, min(first - second, FORCED)))
        line.unseen = [token]
        if line.matcher is None:
            continue
        line.matcher.consume_token(token)
        forced = line.matcher.compute_ff_tokens()
        # A short run is asked for token by token: it would widen the chunk of every line.
        if len(forced) < JUMP:
            forced = []
        line.matcher.consume_tokens(forced)
        line.tokens += [Token(grammar.spelt(one), 0.0, FORCED) for one in forced]
        line.unseen += forced
        line.ended = line.matcher.is_stopped()


@contextmanager
def threads_that_pay(model: Any) -> Iterator[None]:
    """One thread for a small model's steps: they are too short to be shared, and threads wait longer than they work."""
    embedding = model.get_input_embeddings().weight
    threads = torch.get_num_threads()
    if embedding.device.type == "cpu" and embedding.shape[1] <= NARROW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
