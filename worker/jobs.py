"""The jobs: retrain, prelabel, reconcile. Each step is a call into another room; each job may be killed anywhere."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import redis
import structlog
from PIL.Image import Image

from cheques.settings import Settings, settings
from reader.base_model import base_identity, differs
from reader.open_reader import open_reader
from store.database import Store
from store.draw import Draw, Shares, wants_second
from store.marks import keep_unread, mark, set_mark
from store.projects import images_of, settings_of
from store.training_history import Training, new_or_changed, note_training, trainings
from store.versions import Versions
from studio.client import SAMPLING, Project, Studio
from studio.config import Config, read_config
from studio.images import fetch_image
from trainer.presets import recipe_here
from trainer.progress import keep_curve, learning_progress
from worker.backend_client import BackendClient, VersionChanged
from worker.job_decorator import JobFailed, Result, job, progress
from worker.labelled_examples import NO_IMAGE, Fetch, Labelled, examples, forget_images, labelled, lessons_and_exam
from worker.prelabelling import Pile, Prelabelled
from worker.queue import PRELABEL, RECONCILE, RETRAIN, connect, enqueue, forget_labels, note_needed

if TYPE_CHECKING:
    from trainer.judgement import Step

log = structlog.get_logger()

BASE = "base"
FULL_LOOK_SECONDS = 1800.0  # how often reconcile looks at every prediction, and not only for new tasks
RETRY_SECONDS = 60.0  # after a first run in vain for what could not be read; then twice as long each time
LATE_SECONDS = 10.0  # a label may be there so much later than it says that it was changed
UNLABELLED = 300  # cheques without label on which valid JSON is measured


@dataclass(frozen=True)
class Site:
    """All that a job needs to know of its project."""

    settings: Settings
    studio: Studio
    project: Project
    config: Config
    store: Store
    draw: Draw
    versions: Versions
    fetch: Fetch

    @classmethod
    def of(cls, project: int) -> Site:
        """Raises StudioError, BadConfig."""
        store = Store.of(settings())
        own = settings_of(store, settings(), project)
        studio = Studio.of(own)
        about = studio.project(project)
        draw = Draw(store, project, shares=Shares.of(own))
        fetch = partial(fetch_image, settings=own, project=project)
        config = read_config(about.label_config)
        return cls(own, studio, about, config, store, draw, Versions(store, project), fetch)

    @property
    def images(self) -> Path:
        """Where the images of labelled cheques lie."""
        return images_of(self.store, self.project.id)

    @property
    def serving(self) -> str:
        """The name of the version in service, for Label Studio."""
        champion = self.versions.champion()
        return champion.name if champion else BASE

    @property
    def images_from(self) -> str:
        """What changes with the settings on which it depends whether an image can be had."""
        own = self.settings
        where = (own.studio_url, own.studio_public_url, own.studio_token and own.studio_token.get_secret_value())
        how = (own.files_root, own.image_hosts, own.ca_bundle)
        return hashlib.sha256(repr((where, how)).encode()).hexdigest()[:16]


@job
def retrain(project: int, force: bool = False) -> Result:
    """Labels -> a new version, promoted or rejected; below the threshold only when forced (by START_TRAINING)."""
    from trainer.retrain import retrain as train_and_judge

    site = Site.of(project)
    form, fetch, images = site.config.form, site.fetch, site.images
    labels = labelled(site.studio, project, site.config, site.draw, fetch)
    keep_unread(site.store, project, RECONCILE, labels.unread)
    # Here alone: one retrain of a project runs at a time, and only it uses them.
    if gone := forget_images(images, (*labels.lessons, *labels.exam)):
        log.info("images.forgotten", project=project, images=gone)
    judge_what_was_brought(site, labels)
    count = new_or_changed(labels.seen, trainings(site.store, project))
    if not labels.lessons or (count < site.settings.retrain_every and not force):
        return {"outcome": "too few lessons", "new": count, "lessons": len(labels.lessons)}

    lessons, exam, unusable, unread = lessons_and_exam(labels, form, fetch, images)
    keep_unread(site.store, project, RETRAIN, unread)
    reasons = Counter(labels.left_out) + unusable
    left_out = {why.replace(" ", "_"): n for why, n in reasons.items()}
    log.info("retrain.begins", project=project, lessons=len(lessons), exam=len(exam), left_out=left_out)

    reader, recipe = partial(open_reader, site.settings), recipe_here(site.settings)
    version = train_and_judge(lessons, exam, unlabelled(site), form, site.versions, reader, recipe, site.settings, told)
    note_training(site.store, project, Training(labels.seen, version.decision, version.name))
    if version.decision == "promoted":
        enqueue(PRELABEL, project)
    with suppress(OSError):  # the page's learning curve waits for the next version
        keep_curve(site.versions, learning_progress(site.versions))
    about = {"mean": version.mean, "lessons": version.labels, "exam": version.exam, "reasons": list(version.reasons)}
    return {"outcome": version.decision, "version": version.name, **about}


def judge_what_was_brought(site: Site, labels: Labelled) -> None:
    """Adapters that people brought along sit the exam once there is one, before anything is compared with them."""
    from trainer.retrain import judge_brought

    waiting = [version for version in site.versions.list() if version.brought and version.mean is None]
    if not waiting or not labels.exam:
        return
    form, project = site.config.form, site.project.id
    exam, *_ = examples(labels.exam, form, site.fetch, site.images)
    reader = partial(open_reader, site.settings)
    for version in waiting:
        if differs(version.base, base_identity(site.settings.model)):
            log.warning("brought.of_another_base", project=project, version=version.name)
            continue
        judged = judge_brought(version, exam, unlabelled(site), form, site.versions, reader, site.settings, told)
        log.info("brought.judged", project=project, version=judged.name, decision=judged.decision)
        if judged.decision == "promoted":
            enqueue(PRELABEL, project)
    with suppress(OSError):
        keep_curve(site.versions, learning_progress(site.versions))


def unlabelled(site: Site) -> list[Callable[[], Image]]:
    """Images of cheques without label, on which nothing but the form of the answers can be judged."""
    tasks = islice(site.studio.tasks(site.project.id, site.config, labels="none"), UNLABELLED)
    return [partial(site.fetch, task.image) for task in tasks if task.image]


def told(step: Step) -> None:
    """Say for the page how far the training is."""
    progress(**asdict(step))


@job
def prelabel(project: int) -> Result:
    """Every unlabelled task gets a prediction of the version in service, in the order of learning; then it is shown."""
    site = Site.of(project)
    backend = BackendClient(site.settings, project, site.project.label_config, site.config)
    before = Marker.of(site)
    for _ in range(3):
        version = site.serving
        try:
            pile = Pile(site.studio, project, site.config, site.draw, backend, version, site.settings, progress)
            done = pile.prelabelled(anew=bool(before.outdated(site)))
        except VersionChanged as error:
            log.info("prelabel.begins_again", project=project, reason=str(error))
            continue
        if done.predicted and (site.project.model_version != version or is_drifted(site.project)):
            site.studio.serve(project, version)
        if share := site.settings.second_share:
            site.studio.ask_second(project, lambda task: wants_second(site.draw.get(task), share))
        keep_unread(site.store, project, PRELABEL, backend.unread.values())
        set_mark(site.store, project, PRELABEL, asdict(before.after(version, site, done)))
        return {"version": version, **asdict(done)}
    raise JobFailed(f"project {project}: the version in service changed again and again; it is tried again")


def is_drifted(project: Project) -> bool:
    """Did somebody change the project so that it no longer serves our order, or no longer shows the pre-labels?"""
    return project.sampling != SAMPLING or not project.shows_predictions


@job
def reconcile(project: int) -> Result:
    """Ask Label Studio itself what webhooks, or a wiped Redis, have lost; enqueue what is due."""
    site = Site.of(project)
    every = site.settings.retrain_every
    connection = connect()
    count, annotations = count_labels(site)
    due = []
    if count >= every and enqueue(RETRAIN, project, connection=connection):
        due.append(RETRAIN)
    with suppress(redis.RedisError):  # then it is counted again at the next turn
        forget_labels(connection, project, annotations)
        note_needed(connection, project, every - count if count < every else every)
    if (reason := why_prelabel(site)) and enqueue(PRELABEL, project, connection=connection):
        due.append(PRELABEL)
    return {"new": count, "needed": every, "due": due, "why": reason}


def count_labels(site: Site) -> tuple[int, tuple[int, ...]]:
    """How many lessons are new or changed, and the annotations looked at: all of them, unless nothing has changed."""
    project, studio = site.project.id, site.studio
    known = mark(site.store, project, RECONCILE)
    done = len(trainings(site.store, project))
    try:
        same = known["labels"] == site.project.labels and known["trainings"] == done
        mended = known["unread"] and (
            known["images_from"] != site.images_from or time.time() - known["at"] > FULL_LOOK_SECONDS
        )
        if same and not mended:
            # Was any label made or changed meanwhile? One deleted shows in their number. A task changes a moment after
            # its label, and with hints and scores too: that a task changed says nothing of its labels.
            since = datetime.fromisoformat(known["since"])
            changed = studio.changed_tasks(project, site.config, f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}")
            if not any(datetime.fromisoformat(label.updated_at) > since for _, labels in changed for label in labels):
                return int(known["count"]), ()
    except (KeyError, TypeError, ValueError):
        pass  # the first time, or of another release: everything is counted

    # Before the reading begins: what changes meanwhile, on a page that was read already, is found at the next turn.
    since = studio.now() - timedelta(seconds=LATE_SECONDS)
    labels = labelled(studio, project, site.config, site.draw, site.fetch)
    keep_unread(site.store, project, RECONCILE, labels.unread)
    count = new_or_changed(labels.seen, trainings(site.store, project))
    now = {"labels": site.project.labels, "trainings": done, "since": since.isoformat(), "count": count}
    # Lessons whose image could not be opened count as soon as it can.
    now |= {"unread": labels.left_out.get(NO_IMAGE, 0), "images_from": site.images_from, "at": time.time()}
    set_mark(site.store, project, RECONCILE, now)
    return count, labels.annotations


def why_prelabel(site: Site) -> str:
    """What is left to do for `prelabel`, or nothing. Cheap as long as its last run was whole."""
    marker, version = Marker.of(site), site.serving
    if marker.version != version:
        return f"{version} is in service, the predictions are of {marker.version or 'no version'}"
    if site.project.model_version != version and marker.last_task:
        return f"the project shows {site.project.model_version or 'no version'}"
    if is_drifted(site.project) and marker.last_task:
        return "the project's sampling was changed"
    if reason := marker.outdated(site):
        return reason
    if not marker.whole and time.time() - marker.at > marker.pause:
        return "some cheques could not be read for the time being"
    if marker.unreadable and marker.images_from != site.images_from:
        return "some cheques could not be opened, and the settings have changed"
    if time.time() - marker.at > FULL_LOOK_SECONDS:
        return "time for a full look"
    tasks = site.studio.tasks(site.project.id, site.config, labels="none", after=marker.last_task)
    return "new tasks" if any(True for _ in tasks) else ""


@dataclass(frozen=True)
class Marker:
    """What `prelabel` did last, for which version, form and base. last_task: the highest id it has seen.

    whole: nothing is left for later. fruitless: how often in a row nothing of what was left could be read.
    unreadable: cheques whose image could not be opened, by the settings of images_from.
    """

    version: str = ""
    last_task: int = 0
    at: float = 0.0
    whole: bool = False
    form: str = ""
    base: str = ""
    fruitless: int = 0
    unreadable: int = 0
    images_from: str = ""

    @property
    def pause(self) -> float:
        """Seconds until it is worth while to try again what could not be read: an image may never come back."""
        return min(FULL_LOOK_SECONDS, RETRY_SECONDS * 2 ** min(self.fruitless - 1, 10)) if self.fruitless else 0.0

    def outdated(self, site: Site) -> str:
        """Why the predictions of its version are written again, or nothing: they are of this form and base."""
        base = base_identity(site.settings.model)
        if self.form and self.form != site.config.form.digest:
            return "the form was changed"
        # The version may be called the same, "base" above all.
        return f"{base} reads, the predictions are of {self.base}" if self.base and self.base != base else ""

    def after(self, version: str, site: Site, done: Prelabelled) -> Marker:
        return Marker(
            version,
            done.last_task,
            at=time.time(),
            whole=not done.waiting,
            form=site.config.form.digest,
            base=base_identity(site.settings.model),
            fruitless=self.fruitless + 1 if done.waiting and not done.read else 0,
            unreadable=done.unreadable,
            images_from=site.images_from,
        )

    @classmethod
    def of(cls, site: Site) -> Marker:
        try:
            known = replace(cls(), **(mark(site.store, site.project.id, PRELABEL) or {}))
        except TypeError:
            return cls()  # of another release
        # One whose values are of other kinds is as damaged as one that is no JSON.
        whole = all(type(getattr(known, field.name)) is type(field.default) for field in fields(cls))
        return known if whole else cls()
