"""A project's model as Label Studio knows it: tasks in, as many predictions out, whatever happens."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from PIL.Image import Image

from backend.arms import PENDING
from backend.reader_thread import Resident
from cheques.images import BadImage
from cheques.log import place_of
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


@contextmanager
def _without_torch() -> Iterator[None]:
    """label-studio-ml imports torch for one call that is not used here; a backend with a remote reader needs none."""
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch"]


with _without_torch():
    from label_studio_ml.model import LabelStudioMLBase

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

    passing: the same task may well be read later (not in time, card lent, image server away). how: for the metrics.
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
        super().__init__(None, train_output)  # its own parser resolves entities, and stops at an encoding in the prolog
        self.project = project
        self.base = base_identity(tools.settings.model)
        self._tools = tools
        self._versions = Versions(tools.store, project)
        self._drawing = threading.Lock()  # held by whoever uses the draw
        self._seen: Serving | None = None

    @cached_property
    def _draw(self) -> Draw:
        """Made for the first cheque: whoever only asks about a project (`/setup`) leaves nothing behind."""
        return Draw(self._tools.store, self.project)

    def serving(self) -> Serving:
        """The champion of this moment."""
        champion = self._versions.champion()
        name = champion.name if champion else BASE
        serving = Serving(name, champion.adapter if champion else None, read_as(self.base, name))
        if self._seen is not None and self._seen.name != name:
            self._tools.readings.forget(str(self.project), (serving.stored_as, self._seen.stored_as))
        self._seen = serving
        return serving

    def predict(self, tasks: Sequence[Mapping[str, Any]], deadline: float | None = None, **_: Any) -> list[Any]:
        """A prediction for each task, in order; an empty one where there is no reading or none may be shown."""
        serving = self.serving()
        return self.predictions(self.read(tasks, serving, deadline), serving)

    def predictions(self, outcomes: Sequence[Outcome], serving: Serving) -> list[dict[str, Any]]:
        """What Label Studio stores: the reading, nothing for a blind cheque, a gap for `prelabel` where none is."""
        return [self._prediction(outcome, serving) for outcome in outcomes]

    def read(
        self, tasks: Sequence[Mapping[str, Any]], serving: Serving, deadline: float | None = None
    ) -> list[Outcome]:
        """An outcome for each task, in order; what is not read at `deadline` (time.monotonic) comes back as passing."""
        keys = [self._key(task, serving) for task in tasks]
        stored = self._tools.readings.get(keys)
        outcomes: dict[int, Outcome] = {}
        for place, (task, key) in enumerate(zip(tasks, keys, strict=True)):
            with self._drawing:
                drawn = self._draw.get(key.task) if key in stored else None
            if drawn:
                outcomes[place] = Outcome(key.task, "stored", stored[key], blind=drawn.arm == "blind")
            elif not self._url(task):
                error = f"no image under {self.config.image_key!r}: import the task with one"
                outcomes[place] = self._unread(key.task, error)
        fresh = [place for place in range(len(tasks)) if place not in outcomes]
        outcomes |= self._fresh({place: tasks[place] for place in fresh}, keys, serving, deadline)
        return [outcomes[place] for place in range(len(tasks))]

    def _fresh(
        self, tasks: dict[int, Mapping[str, Any]], keys: Sequence[Key], serving: Serving, deadline: float | None
    ) -> dict[int, Outcome]:
        """Images are fetched while the reader is busy with those before; memory holds a few batches at most."""
        outcomes: dict[int, Outcome] = {}
        places, slowest = list(tasks), 0.0
        reading: dict[int, _Read] = {}
        step = LOOKAHEAD * self._tools.settings.batch
        for start in range(0, len(places), step):
            began = time.monotonic()
            if deadline is not None and began + slowest > deadline:
                late = places[start:]
                outcomes |= {place: _late(keys[place].task) for place in late}
                break
            chunk = places[start : start + step]
            # For one image alone its request's own thread is quicker than a pool.
            fetch_all = self._tools.pool.map if len(chunk) > 1 else map
            fetched = dict(zip(chunk, fetch_all(self._fetched, [tasks[place] for place in chunk]), strict=True))
            outcomes |= self._collected(reading, keys, deadline)
            outcomes |= {place: found for place, found in fetched.items() if isinstance(found, Outcome)}
            reading = self._submitted({p: f for p, f in fetched.items() if isinstance(f, _Fetched)}, serving)
            slowest = max(slowest, time.monotonic() - began)
        return outcomes | self._collected(reading, keys, deadline)

    def _fetched(self, task: Mapping[str, Any]) -> _Fetched | Outcome:
        name = _name(task)
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
            log.error("cheque.failed", project=self.project, task=name, place=place_of(error))
            return self._unread(name, f"internal error ({type(error).__name__})")
        return _Fetched(image, place.arm == "blind")

    def _submitted(self, fetched: dict[int, _Fetched], serving: Serving) -> dict[int, _Read]:
        images = [one.image for one in fetched.values()]
        answers = self._tools.resident.submit(images, self.config.form, serving.adapter)
        pairs = zip(fetched.items(), answers, strict=True)
        return {place: _Read(answer, one.blind, serving) for (place, one), answer in pairs}

    def _collected(self, reading: dict[int, _Read], keys: Sequence[Key], deadline: float | None) -> dict[int, Outcome]:
        outcomes = {place: self._outcome(keys[place].task, one, deadline) for place, one in reading.items()}
        self._tools.readings.put({keys[place]: o.reading for place, o in outcomes.items() if o.reading})
        for outcome in outcomes.values():
            if outcome.blind and outcome.reading:
                self._say(outcome, reading[next(iter(reading))].serving.name)
        return outcomes

    def _outcome(self, task: str, one: _Read, deadline: float | None) -> Outcome:
        left = READ_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return Outcome(task, "read", one.answer.result(left), blind=one.blind)
        except FutureTimeout:
            one.answer.cancel()
            return _late(task)
        except Unreadable as error:
            return self._unread(task, str(error))
        except ReaderError as error:
            return self._unread(task, str(error), passing=True)

    def _unread(self, task: str, reason: str, passing: bool = False) -> Outcome:
        log.warning("cheque.unread", project=self.project, task=task, reason=reason)
        return Outcome(task, "unread", error=reason, passing=passing)

    def _say(self, outcome: Outcome, version: str) -> None:
        """Keep what the annotator of a blind cheque is not shown: it lives nowhere else."""
        assert outcome.reading is not None
        values, confidence = outcome.reading.values, outcome.reading.confidence
        try:
            note_blind_reading(self._tools.store, self.project, BlindReading(outcome.task, version, values, confidence))
        except StoreError as error:
            log.error("blind_reading.lost", project=self.project, task=outcome.task, reason=error.strerror)

    def _prediction(self, outcome: Outcome, serving: Serving) -> dict[str, Any]:
        if outcome.reading is None:
            return STAND_IN
        return prediction(self.config, outcome.reading, serving.name, outcome.score, blind=outcome.blind)

    def _key(self, task: Mapping[str, Any], serving: Serving) -> Key:
        return Key.of(str(self.project), _name(task), self._url(task), serving.stored_as, self.config.form.digest)

    def _url(self, task: Mapping[str, Any]) -> str:
        return name_of(self.config.image_of(task.get("data") or {}), self._tools.settings)


@dataclass(frozen=True)
class _Fetched:
    image: Image
    blind: bool


@dataclass(frozen=True)
class _Read:
    answer: Future[Reading]
    blind: bool
    serving: Serving


def _late(task: str) -> Outcome:
    return Outcome(task, "late", error="not in time", passing=True)


def _name(task: Mapping[str, Any]) -> str:
    return str(task.get("id", "")).encode(errors="replace").decode().replace("\0", "?")  # which PostgreSQL refuses
