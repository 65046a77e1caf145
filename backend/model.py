"""A project's model as Label Studio knows it: for each task a prediction, whatever happens."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from PIL.Image import Image

from backend.arms import PENDING
from backend.reader_thread import Resident
from cheques.images import BadImage
from cheques.log import code_place
from cheques.settings import Settings
from reader.base_model import base_identity
from reader.reading import Adapter, ReaderError, Reading, Unreadable
from store.blind_readings import BlindReading, note_blind_reading
from store.database import Store, StoreError
from store.draw import Draw, Shares
from store.projects import settings_of
from store.reading_cache import Key, ReadingCache, read_as
from store.versions import Versions
from studio.formats import prediction, read_config
from studio.images import ImageAway, name_of

# label-studio-ml imports torch for one call that is not used here, and a backend with a remote reader has no torch.
without_torch = "torch" not in sys.modules
if without_torch:
    sys.modules["torch"] = None  # type: ignore[assignment]
try:
    from label_studio_ml.model import LabelStudioMLBase
finally:
    if without_torch:
        del sys.modules["torch"]

log = structlog.get_logger()

BASE = "base"  # the version name of the model without adapter
STAND_IN = {"result": [], "score": 0.0, "model_version": PENDING}
READ_SECONDS = 1800.0  # a reader that needs longer for one batch is hung
LOOKAHEAD = 2  # batches handed to the reader at once, so that it never waits for images


@dataclass(frozen=True)
class Tools:
    """What every project's model uses. fetch: an image's URL, a project -> the image; raises BadImage."""

    settings: Settings
    store: Store
    resident: Resident
    readings: ReadingCache
    fetch: Callable[[str, int], Image]
    pool: ThreadPoolExecutor


@dataclass(frozen=True)
class Serving:
    """The version in service: its name for Label Studio, its adapter (None: the base), its name for stored readings."""

    name: str
    adapter: Adapter | None
    stored_as: str


@dataclass(frozen=True)
class Outcome:
    """What came of one task: a reading, or why there is none.

    passing: the same task may be read later (not in time, card lent, image server away). how: for the metrics.
    """

    task: str
    how: str
    reading: Reading | None = None
    error: str = ""
    passing: bool = False
    blind: bool = False

    @property
    def score(self) -> float:
        """The smallest confidence of any field; 0 where nothing was read."""
        return min(self.reading.confidence.values(), default=0.0) if self.reading else 0.0


class ChequeModel(LabelStudioMLBase):  # type: ignore[misc]
    """The model of one project with one labeling configuration. Raises BadConfig where that cannot be served."""

    def __init__(self, label_config: str, train_output: object = None, *, project: int, tools: Tools) -> None:
        self.config = read_config(label_config)
        # Without the configuration: the base class's parser resolves entities, and fails on an encoding in the prolog.
        super().__init__(None, train_output)
        self.project = project
        self.base = base_identity(tools.settings.model)
        self._tools = tools
        self._versions = Versions(tools.store, project)
        self._drawing = threading.Lock()  # held by whoever uses the draw
        self._seen: Serving | None = None

    @cached_property
    def _draw(self) -> Draw:
        """Opened for the first cheque: who only asks about a project (`/setup`) leaves nothing in the store."""
        return Draw(self._tools.store, self.project)

    def serving(self) -> Serving:
        """The champion of this moment."""
        champion = self._versions.champion()
        name = champion.name if champion else BASE
        serving = Serving(name, champion.adapter if champion else None, read_as(self.base, name))
        # The champion and the one before it stay: a rollback finds its readings. Those of older versions go.
        if self._seen is not None and self._seen.name != name:
            self._tools.readings.forget(str(self.project), (serving.stored_as, self._seen.stored_as))
        self._seen = serving
        return serving

    def predict(self, tasks: Sequence[Mapping[str, Any]], deadline: float | None = None, **_: Any) -> list[Any]:
        """A prediction for each task, in order; an empty one where there is no reading or none may be shown.

        LabelStudioMLBase demands it; the routes call `read` and `predictions`.
        """
        serving = self.serving()
        return self.predictions(self.read(tasks, serving, deadline), serving)

    def predictions(self, outcomes: Sequence[Outcome], serving: Serving) -> list[dict[str, Any]]:
        """What Label Studio stores: the reading, nothing for a blind cheque, a gap for `prelabel` where none is."""
        return [
            prediction(self.config, one.reading, serving.name, one.score, blind=one.blind) if one.reading else STAND_IN
            for one in outcomes
        ]

    def read(
        self, tasks: Sequence[Mapping[str, Any]], serving: Serving, deadline: float | None = None
    ) -> list[Outcome]:
        """An outcome for each task, in order; what is not read at `deadline` (time.monotonic) comes back as passing."""
        project, digest = str(self.project), self.config.form.digest
        keys = [Key.of(project, task_id(task), self._url(task), serving.stored_as, digest) for task in tasks]
        stored = self._tools.readings.get(keys)
        outcomes: dict[int, Outcome] = {}
        for place, (task, key) in enumerate(zip(tasks, keys, strict=True)):
            # What may be shown depends on the draw: a cheque that was never drawn is fetched and drawn first.
            with self._drawing:
                drawn = self._draw.get(key.task) if key in stored else None
            if drawn:
                outcomes[place] = Outcome(key.task, "stored", stored[key], blind=drawn.arm == "blind")
            elif not self._url(task):
                error = f"no image under {self.config.image_key!r}: import the task with one"
                outcomes[place] = self._unread(key.task, error)

        # Images are fetched while the reader is busy with those before; memory holds a few batches at most.
        fresh = [place for place in range(len(tasks)) if place not in outcomes]
        reading: dict[int, tuple[Future[Reading], bool]] = {}  # the answer, and whether the cheque is blind
        slowest, step = 0.0, LOOKAHEAD * self._tools.settings.batch
        for start in range(0, len(fresh), step):
            began = time.monotonic()
            # What would end after the deadline is not begun: by then Label Studio has given up.
            if deadline is not None and began + slowest > deadline:
                outcomes |= {place: late(keys[place].task) for place in fresh[start:]}
                break
            chunk = fresh[start : start + step]
            # For one image alone its request's own thread is quicker than a pool.
            fetch_all = self._tools.pool.map if len(chunk) > 1 else map
            fetched = dict(zip(chunk, fetch_all(self._fetch, [tasks[place] for place in chunk]), strict=True))
            outcomes |= self._collect(reading, keys, serving, deadline)

            outcomes |= {place: found for place, found in fetched.items() if isinstance(found, Outcome)}
            cheques = {place: found for place, found in fetched.items() if not isinstance(found, Outcome)}
            images = [image for image, _blind in cheques.values()]
            answers = self._tools.resident.submit(images, self.config.form, serving.adapter)
            pairs = zip(cheques.items(), answers, strict=True)
            reading = {place: (answer, blind) for (place, (_image, blind)), answer in pairs}
            slowest = max(slowest, time.monotonic() - began)
        outcomes |= self._collect(reading, keys, serving, deadline)
        return [outcomes[place] for place in range(len(tasks))]

    def _fetch(self, task: Mapping[str, Any]) -> tuple[Image, bool] | Outcome:
        """The image and whether its cheque is blind, or why there is no image."""
        name = task_id(task)
        try:
            image = self._tools.fetch(self._url(task), self.project)
            # Asked for each cheque: a lead may have changed the project's settings since.
            own = settings_of(self._tools.store, self._tools.settings, self.project)
            with self._drawing:
                self._draw.shares = Shares.of(own)
                place = self._draw.place(name, image, labelled=bool(task.get("annotations")))
        except BadImage as error:
            return self._unread(name, str(error), passing=isinstance(error, ImageAway))
        except StoreError as error:
            return self._unread(name, f"the draw cannot be written: {error.strerror}", passing=True)
        except Exception as error:  # whatever is odd about one task is no reason to lose its neighbours
            log.error("cheque.failed", project=self.project, task=name, place=code_place(error))
            return self._unread(name, f"internal error ({type(error).__name__})")
        return image, place.arm == "blind"

    def _collect(
        self,
        reading: Mapping[int, tuple[Future[Reading], bool]],
        keys: Sequence[Key],
        serving: Serving,
        deadline: float | None,
    ) -> dict[int, Outcome]:
        """Wait for the reader's answers, and keep what it read."""
        outcomes: dict[int, Outcome] = {}
        for place, (answer, blind) in reading.items():
            task = keys[place].task
            left = READ_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                outcomes[place] = Outcome(task, "read", answer.result(left), blind=blind)
            except FutureTimeout:
                # Nobody waits for it any more: if it has not begun, the reader passes it over.
                answer.cancel()
                outcomes[place] = late(task)
            except Unreadable as error:
                outcomes[place] = self._unread(task, str(error))
            except ReaderError as error:
                outcomes[place] = self._unread(task, str(error), passing=True)
        self._tools.readings.put({keys[place]: one.reading for place, one in outcomes.items() if one.reading})

        # What the annotator of a blind cheque is not shown is in no prediction: it is kept here alone.
        for one in outcomes.values():
            if one.blind and one.reading:
                kept = BlindReading(one.task, serving.name, one.reading.values, one.reading.confidence)
                try:
                    note_blind_reading(self._tools.store, self.project, kept)
                except StoreError as error:
                    log.error("blind_reading.lost", project=self.project, task=one.task, reason=error.strerror)
        return outcomes

    def _unread(self, task: str, reason: str, passing: bool = False) -> Outcome:
        log.warning("cheque.unread", project=self.project, task=task, reason=reason)
        return Outcome(task, "unread", error=reason, passing=passing)

    def _url(self, task: Mapping[str, Any]) -> str:
        return name_of(self.config.image_of(task.get("data") or {}), self._tools.settings)


def late(task: str) -> Outcome:
    """What comes of a task that is not read in time."""
    return Outcome(task, "late", error="not in time", passing=True)


def task_id(task: Mapping[str, Any]) -> str:
    """The task's id as the store can keep it: PostgreSQL refuses the byte 0 and lone surrogates."""
    return str(task.get("id", "")).encode(errors="replace").decode().replace("\0", "?")
