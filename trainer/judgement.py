"""Base, champion and candidate side by side on the same exam: gains, what moved, what got worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from study.gate import Decision, Safety, Thresholds, decide
from study.metrics import paired_gain
from trainer.evaluate import Judged, Scores


@dataclass(frozen=True)
class Contest:
    """The scores of one judgement. `lessons`: the candidate on cheques it was trained on, to see overfitting."""

    base: Scores
    champion: Scores | None
    candidate: Scores
    lessons: Scores
    safety: Safety
    champion_name: str | None = None

    @property
    def rival(self) -> Scores:
        return self.champion or self.base

    @property
    def rival_name(self) -> str:
        return f"the champion {self.champion_name}" if self.champion else "the base"

    def decide(self, thresholds: Thresholds) -> Decision:
        return decide(
            self.candidate.form.names,
            self.candidate.right,
            self.rival.right,
            self.safety,
            rival_name=self.rival_name,
            thresholds=thresholds,
        )

    def gains(self) -> dict[str, dict[str, Any]]:
        """Of mean and median over base and champion, each with its 95 % interval (null below two cheques)."""
        rivals: Mapping[str, Scores | None] = {"base": self.base, "champion": self.champion}
        return {
            name: {
                what: (gain and asdict(gain))
                for what in ("mean", "median")
                for gain in [paired_gain(self.candidate.rates, scores.rates, median=what == "median")]
            }
            for name, scores in rivals.items()
            if scores
        }

    def moved(self) -> list[tuple[Judged, Judged]]:
        """The hard cheques (the base reads no field of them): the base's reading and the candidate's."""
        hard = set(self.base.hard)
        pairs = zip(self.base.cheques, self.candidate.cheques, strict=True)
        return [(before, after) for before, after in pairs if before.example.id in hard]

    def regressions(self) -> list[tuple[Judged, Judged]]:
        """The cheques that the candidate reads worse than its rival, the worst first: before and after."""
        pairs = zip(self.rival.cheques, self.candidate.cheques, strict=True)
        worse = [(before, after) for before, after in pairs if after.rate < before.rate]
        return sorted(worse, key=lambda pair: pair[1].rate - pair[0].rate)

    def as_json(self) -> dict[str, Any]:
        moved = self.moved()
        return {
            "base": self.base.as_json() | self.base.beside(),
            "champion": self.champion.as_json() | self.champion.beside() if self.champion else None,
            "candidate": self.candidate.as_json() | self.candidate.beside(),
            "lessons": self.lessons.as_json() | self.lessons.beside(),
            "gains": self.gains(),
            "safety": asdict(self.safety),
            "hard": {"base": len(moved), "moved": sum(after.rate > 0 for _, after in moved)},
            "regressions": [after.example.id for _, after in self.regressions()],
        }
