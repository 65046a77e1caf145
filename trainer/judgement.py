"""Base, champion and candidate side by side on the same exam: how they read it, gains, what moved, what got worse."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cheques.fields import Form, is_cheque
from reader import confidence
from reader.reading import Adapter, Reader, read_each
from store.versions import Version
from study.gate import Decision, Safety, Thresholds, decide
from study.metrics import paired_gain
from trainer.dataset import Example, example
from trainer.evaluate import Judged, Scores, evaluate, valid_json
from trainer.recipe import Trained

UNLABELLED = 300  # cheques at most whose answers must be valid JSON
JSON_SECONDS = 30.0  # a slow machine looks at fewer of them
CALIBRATED_ON = 60  # cheques, drawn ones where lessons are too few
CALIBRATING_SECONDS = 45.0  # a slow machine draws fewer
LESSONS_LOOKED_AT = 40  # to set beside the exam


@dataclass(frozen=True)
class Step:
    """Where a retraining is: its stage (training, calibrating, judging, …), how far, and how long it will take."""

    stage: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    seconds_left: float | None = None


Report = Callable[[Step], None]


def candidate_in(folder: Path, project: str) -> Adapter:
    """The adapter that stands in a folder, to be read with before it is a version."""
    # Readers keep adapters by name: this name never stands for another one.
    return Adapter(f"{project}/candidate-{secrets.token_hex(4)}", folder / "adapter")


def calibrate(
    reader: Reader, form: Form, candidate: Adapter, apart: Sequence[Example], seed: int, told: Report
) -> None:
    """Fit the candidate's confidence on lessons kept apart and drawn cheques, and store it beside the adapter.

    Never on the exam, which would then flatter its own confidence.
    """
    from cheques.drawing import draw_cheque

    examples = list(apart)
    if is_cheque(form):
        for number in range(CALIBRATED_ON - len(examples)):
            drawn = draw_cheque(seed * 1_000_000 + 500_000 + number, hands="seen")
            examples.append(example(form, f"drawn {number}", drawn.truth, drawn.image))
    if not examples:
        return
    scores = evaluate(
        reader,
        form,
        candidate,
        examples,
        on_read=lambda *count: told(Step("calibrating", *count)),
        seconds=CALIBRATING_SECONDS,
    )
    evidence, right = zip(*((cheque.reading.evidence, cheque.right) for cheque in scores.cheques), strict=True)
    confidence.fit(form, evidence, right).save(candidate.path.parent / confidence.FILE)


def judge(
    reader: Reader,
    form: Form,
    candidate: Adapter,
    champion: Version | None,
    exam: Sequence[Example],
    lessons: Sequence[Example],
    unlabelled: Sequence[Callable[[], Image]],
    trained: Trained,
    told: Report,
) -> Contest:
    """Base, champion and candidate on the same exam, and the checks that need no labels."""

    def read(stage: str, adapter: Adapter | None, examples: Sequence[Example]) -> Scores:
        return evaluate(reader, form, adapter, examples, on_read=lambda *count: told(Step(stage, *count)))

    base = read("judging the base", None, exam)
    reigning = read("judging the champion", champion.adapter, exam) if champion else None
    scores = read("judging the candidate", candidate, exam)
    learned = read("looking at lessons", candidate, lessons[:LESSONS_LOOKED_AT])

    # Does the adapter as the reader loads it read what it read when its training ended? A damaged file does not, nor a
    # server that leaves out the adapter's vision layers.
    by_id = {one.id: one for one in (*exam, *lessons)}
    again = read_each(reader, [by_id[id].open() for id in trained.compared], form, candidate)
    pairs = zip(trained.readings, again, strict=True)
    same = sum(before.get(name) == after.values.get(name) for before, after in pairs for name in form.names)

    told(Step("checking valid JSON"))
    before, n = valid_json(reader, form, None, unlabelled[:UNLABELLED], JSON_SECONDS)
    after, _ = valid_json(reader, form, candidate, unlabelled[:UNLABELLED][:n])
    safety = Safety(after, before, n, same, len(again) * len(form.names), trained.precision)
    return Contest(base, reigning, scores, learned, safety, champion.name if champion else None)


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
