"""The learning curve as the trainer left it in the project's folder: what 100 more labels would bring.

The file and every key of it are described in trainer/progress.py, which writes it after each version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from store.database import Store, StoreError
from store.marks import CURVE, mark
from study.metrics import Estimate


@dataclass(frozen=True)
class Target:
    """An exact match, and the lessons it takes in all with their range; None beyond what these versions show."""

    exact: float
    labels: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Expected:
    """The fitted curve. labels: lessons now; gain: what `more` lessons bring; horizon: lessons up to which it speaks.

    along: (lessons, exact match). paired: versions were compared cheque by cheque.
    """

    labels: int
    now: Estimate
    more: int
    gain: Estimate
    horizon: int
    targets: tuple[Target, ...]
    along: tuple[tuple[int, Estimate], ...]
    paired: bool


@dataclass(frozen=True)
class Learning:
    """own: the exact match of each version, and of the `base`. exam: on how many cheques it was measured.

    expected: the curve; without it `lack` says what is missing, how many there are and how many are needed.
    """

    own: Mapping[str, Estimate] = field(default_factory=dict)
    exam: Mapping[str, int] = field(default_factory=dict)
    expected: Expected | None = None
    lack: tuple[str, int, int] | None = None


NOTHING_LEARNT = Learning()


def learning_of(store: Store, project: int) -> Learning:
    """NOTHING_LEARNT where there is no curve yet, or one of another release: the next version writes it again."""
    try:
        content = mark(store, project, CURVE)
        points = {str(one["version"]): one for one in content["points"]}
        lack, expected = content.get("lack"), None
        if content["enough"]:
            expected = Expected(
                labels=int(content["labels"]),
                now=estimate(content["now"]),
                more=int(content["more"]),
                gain=estimate(content["gain"]),
                horizon=int(content["horizon"]),
                targets=tuple(
                    Target(float(one["target"]), one["labels"], one["low"], one["high"])
                    for one in content["targets"]
                    if not one["reached"]
                ),
                along=tuple((int(one["labels"]), estimate(one)) for one in content["curve"]),
                paired=content["method"] == "paired",
            )
        return Learning(
            own={name: estimate(one, "mean") for name, one in points.items()},
            exam={name: int(one["exam"]) for name, one in points.items()},
            expected=expected,
            lack=(str(lack["what"]), int(lack["have"]), int(lack["needed"])) if lack else None,
        )
    except (StoreError, ValueError, KeyError, TypeError, AttributeError):
        return NOTHING_LEARNT


def estimate(one: dict[str, Any], key: str = "value") -> Estimate:
    """An estimate from its JSON; `key` names its mean."""
    return Estimate(float(one[key]), float(one["low"]), float(one["high"]))
