"""The one reader that stays in memory: one thread owns it, and gathers what several requests ask for into batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

import structlog
from PIL.Image import Image

from cheques.fields import Form
from cheques.log import code_place
from reader.gpu_lock import Card
from reader.reading import Adapter, Reader, ReaderError, Reading, Unreadable

log = structlog.get_logger()

LINGER = 0.02  # a batch that is not full waits for company, for this share of the time that reading takes
RETRY_SECONDS = 10.0  # after a reader could not be opened
CARD_SECONDS = 0.5  # how often an idle reader looks whether its card is wanted
LONGEST_PAUSE = 5.0  # of a thread that fails at every turn: each pause is twice as long as the one before

State = Literal["opening", "ready", "away", "failed", "closed"]


class Away(ReaderError):
    """The card is lent to a training: answer from what is stored, and ask again later."""


# Compared by identity: two wishes for the same cheque are two people who wait.
@dataclass(frozen=True, eq=False)
class Wish:
    """One image that somebody waits for."""

    image: Image
    form: Form
    adapter: Adapter | None
    answer: Future[Reading]

    def goes_with(self, other: Wish) -> bool:
        return self.adapter == other.adapter and self.form == other.form


class Resident:
    """Any thread submits images and gets a future for each. One thread opens, uses and closes the reader."""

    def __init__(self, open_reader: Callable[[], Reader], batch: int = 8, card: Card | None = None) -> None:
        self._open_reader = open_reader
        self._batch = batch
        self._card = card
        self._reader: Reader | None = None
        self._wishes: deque[Wish] = deque()
        self._turn = threading.Condition()
        self._failed_at = 0.0
        self._seconds = 0.0  # that the last batch took
        self._stopping = threading.Event()
        self.state: State = "opening"
        self.problem = ""
        self._thread = threading.Thread(target=self._serve, name="reader", daemon=True)
        self._thread.start()

    def submit(self, images: Sequence[Image], form: Form, adapter: Adapter | None) -> list[Future[Reading]]:
        """A future for each image; it raises ReaderError, or Away while the card is lent."""
        wishes = [Wish(image, form, adapter, Future()) for image in images]
        with self._turn:
            # Checked under the lock: a wish that comes after the last refusal would wait for ever.
            if self._stopping.is_set():
                self._refuse(wishes, ReaderError("the reader is closing: ask again in a minute"))
            else:
                self._wishes.extend(wishes)
                self._turn.notify()
        return [wish.answer for wish in wishes]

    def close(self, seconds: float = 10.0) -> None:
        """Finish the batch at hand, refuse the rest, give card and memory back."""
        with self._turn:
            self._stopping.set()
            self._turn.notify()
        self._thread.join(seconds)

    def _serve(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                if self._card is not None:
                    wanted = self._card.wanted()
                    if wanted and self.state != "away":
                        self._put_down("away")
                        log.info("reader.away", why="the card is lent to a training")
                    elif not wanted and self.state == "away":
                        self.state = "opening"

                if self._reader is None and self.state != "away":
                    self._open()
                batch = self._next_batch()
                if self._reader is None:
                    away = Away("the card is lent to a training: ask again later") if self.state == "away" else None
                    self._refuse(self._take_all(), away or ReaderError(self.problem or "the reader is not open yet"))
                elif batch:
                    began = time.monotonic()
                    self._read(self._reader, batch)
                    self._seconds = time.monotonic() - began
                pause = 0.0
            except Exception as error:  # this thread must outlive whatever a reader raises
                log.error("reader.thread", error=type(error).__name__, place=code_place(error))
                self._refuse(self._take_all(), ReaderError(f"the reader's thread failed ({type(error).__name__})"))
                # What fails may fail at once and for hours, such as a home that is gone.
                pause = min(LONGEST_PAUSE, max(0.1, 2 * pause))
        self._put_down("closed")
        self._refuse(self._take_all(), ReaderError("the reader is closing: ask again in a minute"))

    def _open(self) -> None:
        if self.state == "failed" and time.monotonic() - self._failed_at < RETRY_SECONDS:
            return
        if self._card is not None and not self._card.take():
            self.state = "away"
            return
        try:
            self._reader = self._open_reader()
        except ReaderError as error:
            problem = str(error)
        except Exception as error:
            problem = f"the reader could not be opened ({type(error).__name__}): check CHEQUEMATE_MODEL"
        else:
            self.state, self.problem = "ready", ""
            log.info("reader.ready")
            return

        if problem != self.problem:  # it is tried again and again, and /health and the doctor go on saying why not
            log.error("reader.failed", problem=problem)
        self.state, self.problem, self._failed_at = "failed", problem, time.monotonic()
        if self._card is not None:
            self._card.give_back()

    def _put_down(self, state: State) -> None:
        # The memory is freed first: who takes the card next needs it.
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._card is not None:
            self._card.give_back()
        self.state = state

    def _next_batch(self) -> list[Wish]:
        """Up to a batch of wishes for the same form and adapter; empty where none came in CARD_SECONDS."""
        with self._turn:
            if not self._wishes:
                self._turn.wait(CARD_SECONDS)
            # A reader as quick as this gains nothing from fuller batches.
            if self._seconds > 0.01 and 0 < len(self._wishes) < self._batch and self._reader is not None:
                self._turn.wait(LINGER * self._seconds)
            if not self._wishes or self._reader is None:
                return []
            first = self._wishes[0]
            batch = [wish for wish in self._wishes if wish.goes_with(first)][: self._batch]
            self._wishes = deque(wish for wish in self._wishes if wish not in batch)
        # Whoever waited may have given up: a cancelled wish is not read.
        return [wish for wish in batch if wish.answer.set_running_or_notify_cancel()]

    def _read(self, reader: Reader, batch: list[Wish]) -> None:
        try:
            readings = reader.read([wish.image for wish in batch], batch[0].form, batch[0].adapter)
            for wish, reading in zip(batch, readings, strict=True):
                wish.answer.set_result(reading)
            return
        except Unreadable as error:
            unreadable = error
        except ReaderError as error:
            self._refuse(batch, error)
            return
        except Exception as error:
            unreadable = Unreadable(f"the reader could not read this cheque ({type(error).__name__})")

        # One cheque that the reader cannot stand must not take its neighbours with it: each is read by itself.
        if len(batch) == 1:
            self._refuse(batch, unreadable)
            return
        for wish in batch:
            if not wish.answer.done():
                self._read(reader, [wish])

    def _take_all(self) -> list[Wish]:
        with self._turn:
            wishes, self._wishes = list(self._wishes), deque()
        return wishes

    @staticmethod
    def _refuse(wishes: list[Wish], error: ReaderError) -> None:
        for wish in wishes:
            # A future may be started only once, and answered only once.
            if wish.answer.running() or (not wish.answer.done() and wish.answer.set_running_or_notify_cancel()):
                wish.answer.set_exception(error)
