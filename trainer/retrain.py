"""From labels to a version: train, judge beside base and champion, let the gate decide, and keep what came of it."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL.Image import Image

from cheques.fields import CHEQUE, Form
from cheques.settings import Settings
from reader import confidence
from reader.base_model import base_identity, differs
from reader.gpu_lock import card_here
from reader.reading import Adapter, Reader, read_each
from store.versions import LESSONS, Version, Versions, learned
from study.gate import Safety, Thresholds
from trainer.dataset import Example, dataset_hash, example, openable
from trainer.evaluate import evaluate, valid_json
from trainer.judgement import Contest
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.report import write_report

UNLABELLED = 300  # cheques at most whose answers must be valid JSON
JSON_SECONDS = 30.0  # a slow machine looks at fewer of them
CALIBRATED_ON = 60  # cheques, drawn ones where lessons are too few
CALIBRATING_SECONDS = 45.0  # a slow machine draws fewer
LESSONS_LOOKED_AT = 40  # to set beside the exam
COMPARED = 8  # cheques that an adapter from elsewhere must read twice alike


@dataclass(frozen=True)
class Step:
    """Where a retraining is: its stage (training, calibrating, judging, …), how far, and how long it will take."""

    stage: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    seconds_left: float | None = None


Report = Callable[[Step], None]


def retrain(
    lessons: Sequence[Example],
    exam: Sequence[Example],
    unlabelled: Sequence[Callable[[], Image]],
    form: Form,
    versions: Versions,
    reader_factory: Callable[[], Reader],
    recipe: LoraRecipe,
    settings: Settings,
    progress: Report | None = None,
    thresholds: Thresholds | None = None,
) -> Version:
    """The version that these lessons make: promoted, or kept as rejected with its reasons, and reported on.

    The same lessons never train twice: what they made before is returned, its promotion finished if that was cut off.
    Killed at any line it can be run again and goes on. Raises TrainingError, ReaderError, VersionError, CardBusy.
    """
    told = progress or (lambda step: None)
    lessons, lost = openable(lessons)
    exam, lost_exam = openable(exam)
    dataset = dataset_hash(lessons, form, recipe, settings.model)
    if made := versions.find(dataset):
        return _settled(versions, made)
    base, folder = base_identity(settings.model), versions.folder / f".training-{dataset}"

    def step(done: int, total: int, loss: float, seconds_left: float) -> None:
        told(Step("training", done, total, loss, seconds_left))

    def keep(trained: Trained, reader: Reader) -> Version:
        """Judge what was trained, and keep it with its report as the next version."""
        rival = _rival(versions, base)
        judged, by_heart = _not_by_heart(exam, rival)
        trained = replace(trained, unusable=(*trained.unusable, *by_heart))
        with versions.staging() as staging:
            shutil.copytree(trained.folder / "adapter", staging / "adapter")
            (staging / LESSONS).write_text(json.dumps(sorted({one.digest for one in lessons} - {""})), encoding="utf-8")
            judge = _Judge(reader, form, told, rival, staging, versions.project)
            apart = set(trained.apart)
            judge.calibrate([one for one in lessons if one.id in apart], recipe.seed)
            contest = judge.contest(judged, lessons, unlabelled, trained)
            decision = contest.decide(thresholds or Thresholds())
            version = Version(
                name="",
                project=versions.project,
                path=staging,
                parent=contest.champion_name,
                labels=len(lessons),
                exam=len(judged),
                dataset=dataset,
                base=base,
                form=form.digest,
                mean=contest.candidate.mean,
                decision="promoted" if decision.promote else "rejected",
                reasons=decision.reasons,
                provisional=decision.provisional,
                seconds=trained.seconds,
                recipe=asdict(recipe),
            )
            told(Step("reporting"))
            write_report(staging, version, contest, decision, trained, lessons)
            return versions.add(staging, version)

    with card_here(settings):
        from trainer.lora import release  # torch comes with it
        from trainer.training import train

        log = settings.training_log and settings.training_log / versions.project / dataset
        trained = train(
            lessons,
            form,
            recipe,
            settings.model,
            folder,
            progress=step,
            device=settings.device,
            log=log,
            reads_elsewhere=settings.reader_url is not None,
        )
        release()  # the reader loads the base a second time
        reader = reader_factory()
        try:
            version = keep(replace(trained, unusable=(*trained.unusable, *lost, *lost_exam)), reader)
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())[:200]
            raise TrainingError(f"{versions.folder}: {reason}; free some space and run it again, it goes on") from None
        finally:
            reader.close()
    shutil.rmtree(folder, ignore_errors=True)
    return version


def judge_brought(
    version: Version,
    exam: Sequence[Example],
    unlabelled: Sequence[Callable[[], Image]],
    form: Form,
    versions: Versions,
    reader_factory: Callable[[], Reader],
    settings: Settings,
    progress: Report | None = None,
) -> Version:
    """Judge an adapter that was trained elsewhere on the exam like any other: it serves if the gate lets it.

    Exam cheques that it says it was trained on are set aside; where it does not say, its score may flatter it, and the
    reasons say so. Raises ReaderError, VersionError, CardBusy, OSError.
    """
    told = progress or (lambda step: None)
    exam, lost = openable(exam)
    base = base_identity(settings.model)
    rival = _rival(versions, base)
    exam, by_heart = _not_by_heart(exam, rival)
    exam, by_itself = _not_by_heart(exam, version, version.name)
    known = bool(learned(version.adapter))
    if not exam:
        return version
    with card_here(settings):
        reader = reader_factory()
        try:
            judge = _Judge(reader, form, told, rival, version.path, versions.project)
            if not (version.path / confidence.FILE).is_file():
                judge.calibrate([], LoraRecipe().seed)
            # Nobody was there when its training ended: read twice, it must read the same.
            compared = exam[:COMPARED]
            readings = read_each(reader, [one.open() for one in compared], form, judge.candidate)
            trained = Trained(
                folder=version.path,
                lessons=len(learned(version.adapter)),
                steps=0,
                seconds=0.0,
                engine="elsewhere",
                losses=(),
                stops=(),
                best_epoch=0,
                apart=(),
                compared=tuple(one.id for one in compared),
                readings=tuple(reading.values for reading in readings),
                unusable=(*lost, *by_heart, *by_itself),
            )
            contest = judge.contest(exam, [], unlabelled, trained)
        finally:
            reader.close()
    decision = contest.decide(Thresholds())
    doubt = "" if known else "; what it was trained on is not known: if it saw exam cheques, its score flatters it"
    judged = replace(
        version,
        parent=contest.champion_name,
        labels=trained.lessons,
        exam=len(exam),
        base=base,
        form=form.digest,
        mean=contest.candidate.mean,
        decision="promoted" if decision.promote else "rejected",
        reasons=tuple(f"brought along: {reason}{doubt}" for reason in decision.reasons),
        provisional=decision.provisional,
    )
    write_report(version.path, judged, contest, decision, trained, [])
    versions.judged(judged)
    return judged


def _settled(versions: Versions, made: Version) -> Version:
    """A kill between adding and promoting leaves a promoted version that never was champion: finish it."""
    newest = versions.list()[-1].name == made.name  # a later champion is not put out of service for it
    if made.decision == "promoted" and newest and not versions.ever_champion(made.name):
        versions.promote(made.name, who="gate", why="; ".join(made.reasons))
    return made


def _rival(versions: Versions, base: str) -> Version | None:
    """The champion, if it can still be read with: an adapter of another base says nothing about this one."""
    champion = versions.champion()
    return champion if champion and not differs(champion.base, base) else None


def _not_by_heart(
    exam: Sequence[Example], rival: Version | None, who: str = "the champion"
) -> tuple[list[Example], list[str]]:
    """The exam without what a version was trained on, with which it would win; and a line for each of those."""
    known = learned(rival.adapter if rival else None)
    lines = [f"{one.id}: {who} was trained on it" for one in exam if one.digest in known]
    return [one for one in exam if one.digest not in known], lines


class _Judge:
    """Reads with the candidate where it stands in its staging folder, beside the base and the champion."""

    def __init__(
        self, reader: Reader, form: Form, told: Report, champion: Version | None, staging: Path, project: str
    ) -> None:
        self.reader, self.form, self.told, self.champion, self.staging = reader, form, told, champion, staging
        # Readers keep adapters by name: this name never stands for another adapter.
        self.candidate = Adapter(f"{project}/candidate-{secrets.token_hex(4)}", staging / "adapter")

    def calibrate(self, apart: Sequence[Example], seed: int) -> None:
        """Fit the confidence on lessons kept apart and drawn cheques, never on the exam; stored beside the adapter."""
        from cheques.drawing import draw_cheque

        examples = list(apart)
        if set(self.form.names) <= set(CHEQUE.names):
            for number in range(CALIBRATED_ON - len(examples)):
                drawn = draw_cheque(seed * 1_000_000 + 500_000 + number, hands="seen")
                examples.append(example(self.form, f"drawn {number}", drawn.truth, drawn.image))
        if not examples:
            return
        scores = evaluate(
            self.reader,
            self.form,
            self.candidate,
            examples,
            on_read=self._stage("calibrating"),
            seconds=CALIBRATING_SECONDS,
        )
        evidence, right = zip(*((cheque.reading.evidence, cheque.right) for cheque in scores.cheques), strict=True)
        confidence.fit(self.form, evidence, right).save(self.staging / confidence.FILE)

    def contest(
        self,
        exam: Sequence[Example],
        lessons: Sequence[Example],
        unlabelled: Sequence[Callable[[], Image]],
        trained: Trained,
    ) -> Contest:
        """Base, champion and candidate on the same exam, and the checks that need no labels."""
        champion = self.champion.adapter if self.champion else None
        base = evaluate(self.reader, self.form, None, exam, on_read=self._stage("judging the base"))
        reigning = (
            evaluate(self.reader, self.form, champion, exam, on_read=self._stage("judging the champion"))
            if champion
            else None
        )
        candidate = evaluate(self.reader, self.form, self.candidate, exam, on_read=self._stage("judging the candidate"))
        learned = evaluate(
            self.reader,
            self.form,
            self.candidate,
            lessons[:LESSONS_LOOKED_AT],
            on_read=self._stage("looking at lessons"),
        )
        by_id = {one.id: one for one in (*exam, *lessons)}
        again = read_each(self.reader, [by_id[id].open() for id in trained.compared], self.form, self.candidate)
        names = self.form.names
        pairs = zip(trained.readings, again, strict=True)
        same = sum(before.get(name) == after.values.get(name) for before, after in pairs for name in names)
        self.told(Step("checking valid JSON"))
        before, n = valid_json(self.reader, self.form, None, unlabelled[:UNLABELLED], JSON_SECONDS)
        after, _ = valid_json(self.reader, self.form, self.candidate, unlabelled[:UNLABELLED][:n])
        safety = Safety(after, before, n, same, len(again) * len(names), trained.precision)
        return Contest(base, reigning, candidate, learned, safety, self.champion.name if self.champion else None)

    def _stage(self, stage: str) -> Callable[[int, int], None]:
        return lambda done, total: self.told(Step(stage, done, total))
