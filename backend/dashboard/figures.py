"""Every figure of the page: `FigureCache.figures(project)`, from Label Studio, the store and nothing else."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from backend.dashboard.annotations import Annotations
from backend.dashboard.exam import NOTHING, Graded, graded, said, with_later
from backend.dashboard.left_out import LeftOut, left_out
from backend.dashboard.status import History, history_of
from cheques.fields import Form
from cheques.settings import Settings
from reader.base_model import base_identity
from store.blind_readings import blind_readings
from store.database import Store
from store.draw import Draw
from store.marks import Unread, unread
from store.planted import PlantedRecord
from store.reading_cache import ReadingCache, read_as
from store.versions import Version
from studio.client import Studio, StudioError
from studio.config import BadConfig, Config, read_config
from studio.least_certain import Uncertain, least_certain
from study.quality import Caught, Right, Waved, caught, right, waved_through
from study.savings import Savings, savings
from study.timed_annotation import TimedAnnotation

log = structlog.get_logger()

GOAL = 1000
FRESH_SECONDS = 3.0  # figures younger than this are shown without asking again
PATIENCE_SECONDS = 0.4  # how long a page waits for newer figures before it shows those at hand


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
        """Changes when something on the page does; ETag and what the open page compares itself with."""
        champion = self.history.champion.name if self.history.champion else ""
        versions, learnt = len(self.history.versions), len(self.history.learning.own)
        faulty = [(one.annotation, *one.faults.values()) for one in self.left_out.faulty]
        unread = [(one.task, one.why) for one in self.unread]
        rest = (self.left_out.skipped, self.left_out.disputed)
        open_work = zlib.crc32(repr((faulty, unread, rest)).encode())
        parts = (self.labels, self.corrected, versions, learnt, champion, self.savings.blind, self.reading, open_work)
        return "-".join(map(str, parts))


def computed(work: Sequence[TimedAnnotation], graded: Graded, said: dict[int, dict[str, str]], goal: int) -> Figures:
    """The figures of a project's annotations, oldest first; what else the page shows is filled in by the desk."""
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
        waved=waved_through(work, said),
        caught=caught(work),
        history=History((), None, None),
        graded=graded,
        uncertain=(),
        left_out=left_out(work),
    )


NO_FIGURES = computed((), NOTHING, {}, GOAL)


class FigureCache:
    """Keeps the figures of each project, and brings them up to date beside the requests that look at them."""

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
            if shelf.busy is None and time.monotonic() - shelf.asked > FRESH_SECONDS:
                shelf.asked, shelf.busy = time.monotonic(), threading.Event()
                threading.Thread(target=self._refresh, args=(shelf,), name=f"figures-{project}", daemon=True).start()
            busy = shelf.busy
        if busy is not None:
            busy.wait(patience)
        return shelf.shown()

    def _refresh(self, shelf: ProjectFigures) -> None:
        try:
            self._bring_up_to_date(shelf)
        except (StudioError, BadConfig) as error:
            shelf.problem = str(error)
        except Exception as error:  # the page goes on with what it had
            log.error("figures.failed", project=shelf.project, error=type(error).__name__)
            shelf.problem = f"the figures could not be computed ({type(error).__name__}): see the backend's log"
        finally:
            done, shelf.busy, shelf.asked = shelf.busy, None, time.monotonic()
            if done:
                done.set()

    def _bring_up_to_date(self, shelf: ProjectFigures) -> None:
        history = history_of(self._store, shelf.project)
        shelf.figures = replace(shelf.figures, history=history)
        if shelf.annotations is None:
            shelf.annotations = Annotations(self._store, shelf.project)
            if shelf.annotations.known:
                shelf.take(self._computed(shelf, history, None))
        if self._studio is None:
            self._studio = Studio.of(self._settings)
        project = self._studio.project(shelf.project)
        config = read_config(project.label_config)
        # Not before: a project that Label Studio does not have is none here.
        shelf.draw = draw = shelf.draw or Draw(self._store, shelf.project)  # which reads on where it was
        planted, studio = PlantedRecord.of(self._store, shelf.project), self._studio
        changed = shelf.annotations.refresh(
            studio, config, draw.get, lambda: studio.project(shelf.project).labels, planted
        )
        if changed or history.mark != shelf.mark or shelf.figures.at is None:
            shelf.take(self._computed(shelf, history, config.form))
            shelf.mark = history.mark
        shelf.figures = replace(
            shelf.figures,
            title=project.title,
            tasks=project.tasks,
            # Sorting the tasks of an empty project by their score answers 500.
            uncertain=self._uncertain(self._studio, shelf.project, config, draw, planted) if project.tasks else (),
            unread=unread(self._store, shelf.project),
            at=datetime.now(UTC),
        )
        shelf.problem = ""

    def _computed(self, shelf: ProjectFigures, history: History, form: Form | None) -> Figures:
        assert shelf.annotations is not None
        work = shelf.annotations.work()
        versions = {one.task: one.version for one in work if one.arm == "blind"}
        told = said(blind_readings(self._store, shelf.project), versions.get)
        found = computed(work, self._graded(shelf.project, history.champion, work, form), told, self._goal)
        return replace(found, project=shelf.project, history=history)

    def _graded(
        self, project: int, champion: Version | None, work: Sequence[TimedAnnotation], form: Form | None
    ) -> Graded:
        if champion is None or form is None:
            return graded(champion)
        read_by = read_as(base_identity(self._settings.model), champion.name)
        kept = partial(ReadingCache(self._store).of_tasks, project, read_by, form.digest)
        return with_later(graded(champion), work, form, kept)

    @staticmethod
    def _uncertain(
        studio: Studio, project: int, config: Config, draw: Draw, planted: PlantedRecord
    ) -> tuple[Uncertain, ...]:
        # The exam stays unseen: whoever knows its readings could no longer label it blind. A planted error is no
        # reading, and who has seen it here is no longer put to the test by it.
        def is_hidden(task: int) -> bool:
            place = draw.get(task)
            # What was never drawn might be of the exam.
            return task in planted or place is None or place.role == "exam"

        return tuple(least_certain(studio, project, config, hidden=is_hidden))


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
        kept = self.figures
        about = {"title": kept.title, "tasks": kept.tasks, "uncertain": kept.uncertain, "unread": kept.unread}
        self.figures = replace(found, at=kept.at, **about)  # type: ignore[arg-type]

    def shown(self) -> Figures:
        first = self.figures.at is None and self.annotations is not None and not self.annotations.known
        reading = self.annotations.fetched if first and self.annotations else None
        return replace(self.figures, problem=self.problem, reading=reading)
