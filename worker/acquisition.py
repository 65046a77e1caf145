"""Which cheque next: pure functions over arrays, the same for the same seed.

A strategy takes a Pool and a seed and gives the order of labelling, the first to be labelled first. They differ in
what they look at: `random` at nothing, `uncertainty` at how many fields are likely wrong, `diverse` at how unlike the
images are, `active`, the default, at both, and it keeps what nobody can read for the end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cheques.fields import Form

Floats = NDArray[np.floating[Any]]
Order = NDArray[np.intp]

STEP = 1e-6  # Label Studio is given scores with six decimals
MOST = round(1 / STEP)  # steps: a score is at most 1
SHORTLIST = 2000  # cheques that are spread out one by one: enough for months of labels; the others follow by merit
NO_SIGNAL = 0.02  # the surest written field of a cheque that nobody can read is less sure than this
SPREAD = 0.5  # how much novelty counts beside uncertainty: 0 not at all, 1 as much


@dataclass(frozen=True)
class Pool:
    """n cheques to put in order, f fields, d features.

    confidence: (n, f), calibrated, in [0, 1]; NaN where a field was not read: it counts as wrong.
    features: (n, d) of the images, in any scale; rows with NaN: none known.
    worth: (f,) of the fields, relative to one another.
    signal: (n,) the confidence of the surest field on which something was read.
    covered: (m, d) the features of the cheques labelled already.
    """

    confidence: Floats
    features: Floats
    worth: Floats
    signal: Floats
    covered: Floats

    def __len__(self) -> int:
        return len(self.confidence)


Strategy = Callable[[Pool, int], Order]


def random(pool: Pool, seed: int) -> Order:
    """Any order is as good: what the others are measured against."""
    return np.random.default_rng(seed).permutation(len(pool))


def uncertainty(pool: Pool, seed: int) -> Order:
    """The largest expected worth of wrong fields first; ties as they come. O(n log n)."""
    return falling(expected_wrong(pool))


def diverse(pool: Pool, seed: int) -> Order:
    """The least like anything labelled or chosen before first, whatever the reader is sure of. O(n log n + n m)."""
    return spread(pool, np.ones(len(pool)))


def active(pool: Pool, seed: int) -> Order:
    """Uncertain and unlike what is labelled or chosen; what nobody can read goes last. O(n log n + n m)."""
    legible = readable(pool)
    order = spread(pool, np.where(legible, expected_wrong(pool), 0.0))
    return np.concatenate([order[legible[order]], order[~legible[order]]])


STRATEGIES: dict[str, Strategy] = {one.__name__: one for one in (random, uncertainty, diverse, active)}


def expected_wrong(pool: Pool) -> Floats:
    """(n,): the expected number of wrong fields, each counted by its worth."""
    wrong: Floats = (1.0 - np.nan_to_num(pool.confidence, nan=0.0)) @ pool.worth
    return wrong


def readable(pool: Pool) -> NDArray[np.bool_]:
    """(n,): False where the reader found a trace of nothing: such a cheque teaches nobody anything."""
    return np.nan_to_num(pool.signal, nan=0.0) >= NO_SIGNAL


def worth_of(form: Form, given: dict[str, float]) -> Floats:
    """(f,): what the settings say, else 2 for an amount, in figures or in words, and 1 for any other field."""
    return np.array([given.get(f.name, 2.0 if f.kind in ("amount", "words") else 1.0) for f in form], float)


def falling(merit: Floats) -> Order:
    """The most first; ties as they come."""
    return np.argsort(-merit, kind="stable")


def spread(pool: Pool, merit: Floats) -> Order:
    """By merit times novelty; among the foremost, what each choice covers counts for the next ones."""
    features, covered = comparable(pool.features, pool.covered)
    novelty = novelty_of(features, covered)
    order = falling(merit * novelty**SPREAD)
    front, rest = order[:SHORTLIST], order[SHORTLIST:]
    return np.concatenate([front[one_by_one(features[front], merit[front], novelty[front])], rest])


def one_by_one(features: Floats, merit: Floats, novelty: Floats) -> Order:
    """Greedy: the best of those left, after which everything like it is less new."""
    left, novelty = np.ones(len(merit), bool), novelty.copy()
    known = np.any(features != 0, axis=1)
    chosen = np.zeros(len(merit), np.intp)
    for turn in range(len(merit)):
        best = int(np.argmax(np.where(left, merit * novelty**SPREAD, -np.inf)))
        chosen[turn], left[best] = best, False
        novelty = np.minimum(novelty, unlikeness(features @ features[best]))
        if not known.all() and (left & known).any():
            novelty[~known] = novelty[left & known].mean()
    return chosen


def comparable(features: Floats, covered: Floats) -> tuple[Floats, Floats]:
    """Both about their common middle, of length 1; zeros where none are known.

    All cheques are much alike, and the reader's features of them too: what they share says nothing.
    """
    width = features.shape[1]
    if not width:
        return features, covered.reshape(0, 0)
    both: Floats = np.concatenate([features, covered.reshape(-1, width)]).astype(np.float32)
    known: NDArray[np.bool_] = np.asarray(np.isfinite(both).all(axis=1))
    both = np.where(known[:, None], both, 0.0)
    if known.any():
        both[known] -= both[known].mean(axis=0)
    both /= np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-9)
    return both[: len(features)], both[len(features) :]


def novelty_of(features: Floats, covered: Floats) -> Floats:
    """(n,) in (0, 1]: next to 0 for the image of one covered, 1 for one like none; unknown features: the average."""
    novelty = np.ones(len(features))
    for start in range(0, len(features) if len(covered) else 0, 4096):
        nearest = (features[start : start + 4096] @ covered.T).max(axis=1)
        novelty[start : start + 4096] = unlikeness(nearest)
    known = np.any(features != 0, axis=1)
    if known.any():
        novelty[~known] = novelty[known].mean()
    return novelty


def unlikeness(likeness: Floats) -> Floats:
    """What a likeness of 1 or less leaves to be new."""
    # Not quite 0: among duplicates the less certain still comes first.
    return np.clip(1.0 - likeness, 1e-4, 1.0)


def rising(held: Sequence[float | None]) -> list[float]:
    """Scores in the order of serving, each more than the one before, so that Label Studio serves exactly this order.

    held: the score that each cheque has now, None for a new one. As many as can keep theirs do, for every other costs
    a request; where there is no room between two that stay, all are spread anew. At most 1, for up to a million
    cheques. O(n log n).
    """
    now = [None if score is None else round(score / STEP) for score in held]
    # Over the lower half: what comes last finds room behind all others until there are more than twice as many.
    width = max(1, MOST // (2 * (len(now) + 1)))
    steps, last = list[int](), 0
    for place in [*longest_rise(now), len(now)]:
        new = place - len(steps)
        end = now[place] if place < len(now) else None
        room = min(last + (new + 1) * width, MOST + 1) if end is None else end
        if room - last <= new:
            return [round((number + 1) * width * STEP, 6) for number in range(len(now))]
        steps += [last + (room - last) * (number + 1) // (new + 1) for number in range(new)]
        if end is not None:
            steps.append(end)
            last = end
    return [round(step * STEP, 6) for step in steps]


def longest_rise(steps: Sequence[int | None]) -> list[int]:
    """The places of a longest strictly rising subsequence of what is positive and at most 1 (Schensted 1961)."""
    ends, places, before = list[int](), list[int](), dict[int, int]()
    for place, step in enumerate(steps):
        if step is None or not 0 < step <= MOST:
            continue
        length = bisect_left(ends, step)
        before[place] = places[length - 1] if length else -1
        ends[length : length + 1], places[length : length + 1] = [step], [place]
    rise, place = list[int](), places[-1] if places else -1
    while place >= 0:
        rise.append(place)
        place = before[place]
    return rise[::-1]
