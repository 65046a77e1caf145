"""Exams of known truth, for the tests of the learning curve."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from store.database import Store
from store.versions import Version, Versions
from study.learning_curve import Point
from tests.test_trainer_versions import add

FIELDS = ("montant_numerique", "montant_lettres", "date", "beneficiaire", "signature", "lieu", "devise")
Truth = Callable[[float], float]  # lessons -> exact match


def law(start: float, floor: float, exponent: float, offset: float) -> Truth:
    return lambda lessons: 1 - start * (floor + (1 - floor) * (1 + lessons / offset) ** -exponent)


def exams(
    truth: Truth, labels: Sequence[int], cheques: Sequence[int], seed: int, noise: float = 0.01, jump: float = 0.0
) -> list[dict[str, list[bool]]]:
    """Of the base and each version: the right fields of each exam cheque.

    Cheques and fields are hard for every version alike, each training also errs by itself (noise), the exam grows with
    the versions, and the base lies off the curve by `jump`.
    """
    rng = np.random.default_rng(seed)
    n = max(cheques)
    hard = np.sqrt(0.3) * rng.normal(size=(n, 1)) + np.sqrt(0.45) * rng.normal(size=(n, len(FIELDS)))
    judged = []
    for place, (lessons, seen) in enumerate(zip((0, *labels), (cheques[-1], *cheques), strict=True)):
        exact = truth(lessons) + (rng.normal(0, noise) if place else -jump)
        right = hard + 0.5 * rng.normal(size=hard.shape) < norm.ppf(min(max(exact, 0.001), 0.999))
        judged.append({f"c{cheque}": right[cheque].tolist() for cheque in range(seen)})
    return judged


def points(judged: Sequence[dict[str, list[bool]]], labels: Sequence[int]) -> list[Point]:
    found = []
    for lessons, exam in zip((0, *labels), judged, strict=True):
        scores = {cheque: float(np.mean(right)) for cheque, right in exam.items()}
        found.append(Point(lessons, len(scores), float(np.mean([*scores.values()])), scores, lessons > 0))
    return found


def project(
    home: Path, name: str, judged: Sequence[dict[str, list[bool]]], labels: Sequence[int], **more: Any
) -> list[Version]:
    """Versions on disk with the reports of such exams. more: of every version."""
    versions, base, added = Versions(Store(home), name), judged[0], []
    for lessons, exam in zip(labels, judged[1:], strict=True):
        mean = float(np.mean([*exam.values()]))
        about: dict[str, Any] = {"labels": lessons, "exam": len(exam), "mean": mean, "base": "small-0123456789ab"}
        version = add(versions, **about | more)
        cheques = [
            {"id": id, "right": _named(right), "base_right": _named(base[id]), "confidence": {}}
            for id, right in exam.items()
        ]
        base_mean = float(np.mean([base[id] for id in exam]))
        report = {"base": {"n": len(exam), "mean": base_mean}, "cheques": cheques}
        (version.path / "report").mkdir()
        (version.path / "report" / "report.json").write_text(json.dumps(report), encoding="utf-8")
        added.append(version)
    return added


def _named(right: Sequence[bool]) -> dict[str, bool]:
    return dict(zip(FIELDS, right, strict=True))
