"""Labels of a project -> its lessons and its exam, by the one draw, and the images to go with them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from PIL.Image import Image

from cheques.fields import Form
from cheques.images import BadImage
from store.draw import Draw, pixels_digest
from store.marks import Unread
from store.planted import PlantedRecord
from studio.client import Studio
from studio.config import Config
from studio.formats import Label, disagreements, truth
from studio.images import ImageAway
from studio.planted import checked
from trainer.dataset import Example, example

log = structlog.get_logger()

Fetch = Callable[[str], Image]
NO_IMAGE = "image cannot be read"  # why a label is left out, for as long as that lasts


@dataclass(frozen=True)
class Labelled:
    """The true label of each task, by its role; `left_out` counts what cannot be used, by reason.

    unread: of those, whose image cannot be read. annotations: the ids of all of them, true or not. disagreeing: tasks
    on which annotators disagree.
    """

    lessons: tuple[Label, ...]
    exam: tuple[Label, ...]
    left_out: Mapping[str, int]
    unread: tuple[Unread, ...]
    annotations: tuple[int, ...]
    disagreeing: int

    @property
    def seen(self) -> dict[int, str]:
        """The lessons as an attempt remembers them."""
        return {label.annotation: label.updated_at for label in self.lessons}


def labelled(studio: Studio, project: int, config: Config, draw: Draw, fetch: Fetch) -> Labelled:
    """Ask Label Studio for every label; tasks never seen before are drawn now. Raises StudioError.

    Planted errors are taken out: one that somebody left as it was shown is nothing to learn from.
    """
    planted = PlantedRecord.of(draw.store, project)
    roles: dict[str, list[Label]] = {"lesson": [], "exam": []}
    left_out: Counter[str] = Counter()
    unread, annotations, disagreeing = list[Unread](), list[int](), 0
    for task, given in studio.changed_tasks(project, config):
        labels = tuple(checked(label, planted.get(task)).label for label in given)
        annotations += [label.annotation for label in labels]
        disagreeing += bool(disagreements(labels))
        label = truth(labels)
        if label is None:
            left_out["skipped" if all(one.skipped for one in labels) else "two values for one field"] += 1
            continue
        try:
            # One that was labelled before anybody saw it is drawn now, and was shown nothing.
            place = draw.get(task) or draw.place(task, fetch(label.image), labelled=True)
        except BadImage as error:
            log.warning("label.left_out", project=project, task=task, reason=str(error))
            left_out[NO_IMAGE] += 1
            unread.append(Unread.of(task, label.image, str(error), isinstance(error, ImageAway)))
            continue
        roles[place.role].append(label)
    lessons, exam = tuple(roles["lesson"]), tuple(roles["exam"])
    return Labelled(lessons, exam, left_out, tuple(unread), tuple(annotations), disagreeing)


def examples(
    labels: Iterable[Label], form: Form, fetch: Fetch, images: Path
) -> tuple[list[Example], Counter[str], list[Unread]]:
    """Examples of the labels, their images kept below `images`; how many were left out, by reason; and of
    those, whose image cannot be read."""
    found, left_out, unread = list[Example](), Counter[str](), list[Unread]()
    images.mkdir(parents=True, exist_ok=True)
    for label in labels:
        try:
            path = _kept(images, label, fetch)
        except BadImage as error:
            log.warning("label.left_out", task=label.task, reason=str(error))
            left_out[NO_IMAGE] += 1
            unread.append(Unread.of(label.task, label.image, str(error), isinstance(error, ImageAway)))
            continue
        if label.unusable:  # why, in a word: what was typed may be personal
            log.warning("label.fields_left_out", task=label.task, fields=label.unusable)
            left_out["fields without a canonical form"] += len(label.unusable)
        if len(label.unusable) < len(form.names):
            found.append(example(form, str(label.task), label.values, path, unusable=label.unusable))
    return found, left_out, unread


def lessons_and_exam(
    labels: Labelled, form: Form, fetch: Fetch, images: Path
) -> tuple[list[Example], list[Example], Counter[str], list[Unread]]:
    """Lessons and exam as examples, no picture in both; how many were left out, and whose image cannot be read."""
    lessons, unusable, unread = examples(labels.lessons, form, fetch, images)
    exam, unusable_exam, unread_exam = examples(labels.exam, form, fetch, images)
    # The draw keeps the two apart by the images that their tasks had when they were drawn; one may have been replaced.
    judged = {one.digest for one in exam}
    twins = Counter({"also in the exam": sum(one.digest in judged for one in lessons)})
    lessons = [one for one in lessons if one.digest not in judged]
    return lessons, exam, unusable + unusable_exam + twins, unread + unread_exam


def forget_images(images: Path, labels: Iterable[Label]) -> int:
    """Remove the images that none of the labels is about any more; how many. Only while nobody else uses them."""
    used = {_stem(label) for label in labels}
    by_age = sorted(images.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    newest = {path.stem.rpartition("-")[0]: path for path in by_age}
    gone = set(images.glob("*")) - {path for stem, path in newest.items() if stem in used}
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _stem(label: Label) -> str:
    """By task and image URL: under another URL the task has another image."""
    return f"{label.task}-{hashlib.sha256(label.image.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _kept(images: Path, label: Label, fetch: Fetch) -> Path:
    """The image that the task has now; what is kept of it serves while it cannot be fetched. Raises BadImage."""
    try:
        # Each time: another picture may have been put under the same URL.
        image = fetch(label.image)
    except BadImage:
        before = sorted(images.glob(f"{_stem(label)}-*.png"), key=lambda path: path.stat().st_mtime_ns)
        if not before:
            raise
        return before[-1]
    path = images / f"{_stem(label)}-{pixels_digest(image)[:16]}.png"
    if path.exists():
        path.touch()  # the newest of its URL
    else:
        part = path.with_suffix(".part")
        image.save(part, "PNG", compress_level=1)
        part.replace(path)
    return path
