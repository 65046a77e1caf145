"""Whose turn the graphics card is: the backend reads on it until the worker wants to train, then gives it up.

Two lock files in the home folder. Whoever wants to train holds `card.wanted`, then waits for `card.lock`; the backend
holds `card.lock` while its model is loaded and looks now and then whether the card is wanted. The kernel lets go of
both when their holder dies, so that no crash leaves the card taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import Timeout

from cheques.disk import lock_at
from cheques.settings import Settings

POLL_SECONDS = 0.2
DEVICES = Path("/dev")
CARDS = ("nvidia[0-9]*", "dxg")  # of Linux, and of Windows as Linux sees it in WSL2


class CardBusy(Exception):
    """The card was not given up in time: one line."""


def uses_card(settings: Settings) -> bool:
    """Does this machine read in this process on a graphics card? Without importing torch."""
    if settings.reader_url or settings.device == "cpu":
        return False
    # What hides cards from CUDA hides them here too.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    return settings.device.startswith("cuda") or any(any(DEVICES.glob(name)) for name in CARDS)


class Card:
    """The reading side: take the card, give it back, see whether it is wanted."""

    def __init__(self, home: Path) -> None:
        self._wanted = lock_at(home / "card.wanted")
        self._lock = lock_at(home / "card.lock")

    def wanted(self) -> bool:
        """Is somebody training, or waiting to?"""
        try:
            with self._wanted.acquire(blocking=False):
                return False
        except Timeout:
            return True

    def take(self) -> bool:
        """True if the card is ours now."""
        if not self._lock.is_locked and not self.wanted():
            with suppress(Timeout):
                self._lock.acquire(blocking=False)
        return self._lock.is_locked

    def give_back(self) -> None:
        self._lock.release()


@contextmanager
def borrowed(home: Path, seconds: float = 600.0) -> Iterator[None]:
    """The training side: ask for the card, wait until the reader has given it up, hold it. Raises CardBusy."""
    wanted, lock = lock_at(home / "card.wanted"), lock_at(home / "card.lock")
    until = time.monotonic() + seconds
    try:
        try:
            # Wanted first: the reader looks for that, and then lets go of the card.
            wanted.acquire(timeout=seconds, poll_interval=POLL_SECONDS)
            lock.acquire(timeout=max(0.0, until - time.monotonic()), poll_interval=POLL_SECONDS)
        except Timeout as error:
            raise CardBusy(f"{error.lock_file} is still held: is a training hung, or the backend? Restart it") from None
        yield
    finally:
        lock.release()
        wanted.release()


def card_here(settings: Settings) -> AbstractContextManager[None]:
    """Borrow the card from a backend that may be running, where this process reads on one. Raises CardBusy."""
    return borrowed(settings.home) if uses_card(settings) else nullcontext()
