"""Every figure of the page: `FigureCache.figures(project)`, from Label Studio, the store and nothing else."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from backend.dashboard.annotations import Annotations
from backend.dashboard.exam import NOTHING, Graded, blind_values, graded, with_later
from backend.dashboard.status import History, history_of
from cheques.fields import Form
from cheques.settings import Settings
from cheques.text import Fault
from reader.base_model import base_identity
from store.blind_readings import blind_readings
from store.database import Store
from store.draw import Draw
from store.marks import Unread, unread
from store.planted import PlantedRecord
from store.reading_cache import ReadingCache, read_as
from studio.client import Studio, StudioError
from studio.config import BadConfig, read_config
from studio.least_certain import Uncertain, least_certain
from study.quality import Caught, Right, Waved, caught, right, waved_through
from study.savings import Savings, savings
from study.timed_annotation import TimedAnnotation

log = structlog.get_logger()

GOAL = 1000
FRESH_SECONDS = 3.0  # figures younger than this are shown without asking again
PATIENCE_SECONDS = 0.4  # how long a page waits for newer figures before it shows those at hand


@dataclass(frozen=True)
class Faulty:
    """A label of which something cannot be used. at: when it was made (seconds since 1970). faults: why, by field."""

    task: int
    annotation: int
    at: float
    faults: Mapping[str, Fault]

    @property
    def whole(self) -> bool:
        """Is all of it left out, and not these fields alone?"""
        return "two_values" in self.faults.values()


@dataclass(frozen=True)
class LeftOut:
    """faulty: the newest first. skipped: tasks that everybody skipped. disputed: tasks on which annotators disagree."""

    faulty: tuple[Faulty, ...] = ()
    skipped: tuple[int, ...] = ()
    disputed: tuple[int, ...] = ()


def left_out(work: Sequence[TimedAnnotation]) -> LeftOut:
    """What of the labels cannot be used, and what was passed over, so that whoever labelled it can put it right.

    work: every annotation, oldest first. Where an annotator labelled a task again, the newer label counts.
    """
    latest = {(one.task, one.annotator): one for one in work if not one.skipped}
    labelled = {task for task, _ in latest}
    faulty = [Faulty(one.task, one.annotation, one.at, one.faults) for one in latest.values() if one.faults]
    return LeftOut(
        tuple(sorted(faulty, key=lambda one: (one.at, one.annotation), reverse=True)),
        tuple(sorted({one.task for one in work} - labelled)),
        tuple(sorted({one.task for one in latest.values() if one.disputed})),
    )


@dataclass(frozen=True)
class Figures:
    """labels: cheques labelled of `goal`. at: when Label Studio was last asked. problem: why that is a while ago.

    unread: tasks whose cheque cannot be read, as the worker found last.
    reading: how many tasks were read so far while the project is read for the first time, else None.
    """

    project: int
    title: str
    goal: int
    labels: int
    tasks: int
    exam: int
    corrected: int
    savings: Savings
    right: Right
    waved: Waved
    caught: Caught
    history: History
    graded: Graded
    uncertain: tuple[Uncertain, ...]
    left_out: LeftOut
    unread: tuple[Unread, ...] = ()
    at: datetime | None = None
    problem: str = ""
    reading: int | None = None

    @property
    def stamp(self) -> str:
        """Changes when something on the page does: an open page reloads when it finds another one."""
        champion = self.history.champion.name if self.history.champion else ""
        versions, learnt = len(self.history.versions), len(self.history.learning.own)
        faulty = [(one.annotation, *one.faults.values()) for one in self.left_out.faulty]
        unread = [(one.task, one.why) for one in self.unread]
        rest = (self.left_out.skipped, self.left_out.disputed)
        # Not hash(): for text it differs from process to process, and open pages would reload for no reason.
        open_work = zlib.crc32(repr((faulty, unread, rest)).encode())
        parts = (self.labels, self.corrected, versions, learnt, champion, self.savings.blind, self.reading, open_work)
        return "-".join(map(str, parts))


def computed(work: Sequence[TimedAnnotation], graded: Graded, unshown: dict[int, dict[str, str]], goal: int) -> Figures:
    """The figures of a project's annotations, oldest first; `FigureCache` fills in what else the page shows.

    unshown: by task, the values that the annotator of a blind cheque was not shown.
    """
    done = [one for one in work if not one.skipped]
    return Figures(
        project=0,
        title="",
        goal=goal,
        labels=len({one.task for one in done}),
        tasks=0,
        exam=len({one.task for one in done if one.exam}),
        corrected=sum(one.corrections > 0 for one in done),
        savings=savings(work, goal),
        right=right(work),
        waved=waved_through(work, unshown),
        caught=caught(work),
        history=History((), None, None),
        graded=graded,
        uncertain=(),
        left_out=left_out(work),
    )


NO_FIGURES = computed((), NOTHING, {}, GOAL)


class ProjectFigures:
    """What is kept of one project."""

    def __init__(self, project: int) -> None:
        self.project = project
        self.annotations: Annotations | None = None
        self.draw: Draw | None = None
        self.figures = replace(NO_FIGURES, project=project)
        self.mark: tuple[object, ...] = ()
        self.problem = ""
        self.asked = -1e9
        self.busy: threading.Event | None = None

    def take(self, found: Figures) -> None:
        """Newly computed figures; what Label Studio said of the project and of its tasks stays."""
        kept = self.figures
        about = {"title": kept.title, "tasks": kept.tasks, "uncertain": kept.uncertain, "unread": kept.unread}
        self.figures = replace(found, at=kept.at, **about)  # type: ignore[arg-type]

    def shown(self) -> Figures:
        """The figures as a page shows them now."""
        first = self.figures.at is None and self.annotations is not None and not self.annotations.known
        reading = self.annotations.fetched if first and self.annotations else None
        return replace(self.figures, problem=self.problem, reading=reading)


class FigureCache:
    """Keeps the figures of each project, and brings them up to date in a thread of its own."""

    def __init__(self, settings: Settings, goal: int = GOAL) -> None:
        self._settings, self._store = settings, Store.of(settings)
        self._goal = goal
        self._studio: Studio | None = None
        self._shelves: dict[int, ProjectFigures] = {}
        self._lock = threading.Lock()

    def figures(self, project: int, patience: float = PATIENCE_SECONDS) -> Figures:
        """The figures of this moment, or the last ones if newer ones take longer than `patience` (seconds)."""
        with self._lock:
            shelf = self._shelves.setdefault(project, ProjectFigures(project))
            # One refresh at a time for each project, beside the requests: Label Studio may take its time.
            if shelf.busy is None and time.monotonic() - shelf.asked > FRESH_SECONDS:
                shelf.asked, shelf.busy = time.monotonic(), threading.Event()
                threading.Thread(target=self._refresh, args=(shelf,), name=f"figures-{project}", daemon=True).start()
            busy = shelf.busy
        if busy is not None:
            busy.wait(patience)
        return shelf.shown()

    def _refresh(self, shelf: ProjectFigures) -> None:
        try:
            history = history_of(self._store, shelf.project)
            shelf.figures = replace(shelf.figures, history=history)
            if shelf.annotations is None:
                shelf.annotations = Annotations(self._store, shelf.project)
                if shelf.annotations.known:
                    # The first page after a start shows what was known before Label Studio answers.
                    shelf.take(self._computed(shelf.project, shelf.annotations.work(), history, None))
            studio = self._studio = self._studio or Studio.of(self._settings)
            project = studio.project(shelf.project)
            config = read_config(project.label_config)
            # Only now: a project that Label Studio does not have gets no draw.
            shelf.draw = draw = shelf.draw or Draw(self._store, shelf.project)  # an opened draw reads what was added
            planted = PlantedRecord.of(self._store, shelf.project)
            changed = shelf.annotations.refresh(
                studio, config, draw.get, lambda: studio.project(shelf.project).labels, planted
            )
            if changed or history.mark != shelf.mark or shelf.figures.at is None:
                shelf.take(self._computed(shelf.project, shelf.annotations.work(), history, config.form))
                shelf.mark = history.mark

            def is_hidden(task: int) -> bool:
                # The exam stays unseen: whoever knows its readings can no longer label it blind. A planted error is
                # no reading, and whoever sees it here is no longer tested by it. What was never drawn may be exam.
                place = draw.get(task)
                return task in planted or place is None or place.role == "exam"

            # Label Studio answers 500 where an empty project is sorted by score.
            uncertain = least_certain(studio, shelf.project, config, hidden=is_hidden) if project.tasks else ()
            shelf.figures = replace(
                shelf.figures,
                title=project.title,
                tasks=project.tasks,
                uncertain=tuple(uncertain),
                unread=unread(self._store, shelf.project),
                at=datetime.now(UTC),
            )
            shelf.problem = ""
        except (StudioError, BadConfig) as error:
            shelf.problem = str(error)
        except Exception as error:  # the page goes on with what it had
            log.error("figures.failed", project=shelf.project, error=type(error).__name__)
            shelf.problem = f"the figures could not be computed ({type(error).__name__}): see the backend's log"
        finally:
            # Counted from the end: a slow Label Studio is left in peace for as long as a quick one.
            done, shelf.busy, shelf.asked = shelf.busy, None, time.monotonic()
            if done:
                done.set()

    def _computed(self, project: int, work: Sequence[TimedAnnotation], history: History, form: Form | None) -> Figures:
        versions = {one.task: one.version for one in work if one.arm == "blind"}
        unshown = blind_values(blind_readings(self._store, project), versions.get)
        exam = graded(history.champion)
        if history.champion is not None and form is not None:
            read_by = read_as(base_identity(self._settings.model), history.champion.name)
            read = partial(ReadingCache(self._store).of_tasks, project, read_by, form.digest)
            exam = with_later(exam, work, form, read)
        return replace(computed(work, exam, unshown, self._goal), project=project, history=history)
