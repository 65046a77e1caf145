"""From labels to a version: train, judge beside base and champion, let the gate decide, and keep what came of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from PIL.Image import Image

from cheques.fields import Form
from cheques.settings import Settings
from reader import confidence
from reader.base_model import base_identity, differs
from reader.gpu_lock import card_here
from reader.reading import Reader, read_each
from store.versions import LESSONS, Version, Versions, learned
from study.gate import Thresholds
from trainer.dataset import Example, dataset_hash, openable
from trainer.judgement import Report, Step, calibrate, candidate_in, judge
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.report import write_report

COMPARED = 8  # cheques that an adapter from elsewhere must read twice alike


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
        # A kill between adding and promoting leaves a promoted version that never was champion. A later champion is
        # not put out of service for it.
        newest = versions.list()[-1].name == made.name
        if made.decision == "promoted" and newest and not versions.ever_champion(made.name):
            versions.promote(made.name, who="gate", why="; ".join(made.reasons))
        return made

    base, folder = base_identity(settings.model), versions.folder / f".training-{dataset}"
    with card_here(settings):
        from trainer.lora import release  # torch comes with it
        from trainer.training import train

        trained = train(
            lessons,
            form,
            recipe,
            settings.model,
            folder,
            progress=lambda *step: told(Step("training", *step)),
            device=settings.device,
            log=settings.training_log and settings.training_log / versions.project / dataset,
            reads_elsewhere=settings.reader_url is not None,
        )
        # Only now: somebody may have changed the champion during the hours of training.
        champion = rival(versions, base)
        exam, by_heart = not_by_heart(exam, champion)
        trained = replace(trained, unusable=(*trained.unusable, *lost, *lost_exam, *by_heart))
        release()  # the reader loads the base a second time
        reader = reader_factory()
        try:
            with versions.staging() as staging:
                shutil.copytree(trained.folder / "adapter", staging / "adapter")
                digests = sorted({one.digest for one in lessons} - {""})
                (staging / LESSONS).write_text(json.dumps(digests), encoding="utf-8")
                candidate = candidate_in(staging, versions.project)
                apart = [one for one in lessons if one.id in set(trained.apart)]
                calibrate(reader, form, candidate, apart, recipe.seed, told)
                contest = judge(reader, form, candidate, champion, exam, lessons, unlabelled, trained, told)
                decision = contest.decide(thresholds or Thresholds())
                version = Version(
                    name="",
                    project=versions.project,
                    path=staging,
                    parent=contest.champion_name,
                    labels=len(lessons),
                    exam=len(exam),
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
                version = versions.add(staging, version)
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
    champion = rival(versions, base)
    exam, by_heart = not_by_heart(exam, champion)
    exam, by_itself = not_by_heart(exam, version, version.name)
    known = bool(learned(version.adapter))
    if not exam:
        return version
    with card_here(settings):
        reader = reader_factory()
        try:
            candidate = candidate_in(version.path, versions.project)
            if not (version.path / confidence.FILE).is_file():
                calibrate(reader, form, candidate, [], LoraRecipe().seed, told)
            # Nobody was there when its training ended: read twice, it must read the same.
            compared = exam[:COMPARED]
            readings = read_each(reader, [one.open() for one in compared], form, candidate)
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
            contest = judge(reader, form, candidate, champion, exam, [], unlabelled, trained, told)
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


def rival(versions: Versions, base: str) -> Version | None:
    """The champion, if it can still be read with: an adapter of another base says nothing about this one."""
    champion = versions.champion()
    return champion if champion and not differs(champion.base, base) else None


def not_by_heart(
    exam: Sequence[Example], version: Version | None, who: str = "the champion"
) -> tuple[list[Example], list[str]]:
    """The exam without what a version was trained on, with which it would win; and a line for each of those."""
    known = learned(version.adapter if version else None)
    lines = [f"{one.id}: {who} was trained on it" for one in exam if one.digest in known]
    return [one for one in exam if one.digest not in known], lines
