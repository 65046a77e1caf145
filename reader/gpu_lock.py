"""Whose turn the graphics card is: the backend reads on it until the worker wants to train, then gives it up.

Two lock files in the home folder. Whoever wants to train holds `card.wanted`, then waits for `card.lock`; the backend
holds `card.lock` while its model is loaded and looks now and then whether the card is wanted. The kernel lets go of
both when their holder dies, so that no crash leaves the card taken.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

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
        home.mkdir(parents=True, exist_ok=True)
        self._wanted = home / "card.wanted"
        self._lock = home / "card.lock"
        self._held: IO[str] | None = None

    def wanted(self) -> bool:
        """Is somebody training, or waiting to?"""
        file = try_lock(self._wanted)
        if file is None:
            return True
        file.close()
        return False

    def take(self) -> bool:
        """True if the card is ours now."""
        if self._held is None and not self.wanted():
            self._held = try_lock(self._lock)
        return self._held is not None

    def give_back(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


@contextmanager
def borrowed(home: Path, seconds: float = 600.0) -> Iterator[None]:
    """The training side: ask for the card, wait until the reader has given it up, hold it. Raises CardBusy."""
    home.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + seconds
    # Wanted first: the reader looks for that, and then lets go of the card.
    with patient_lock(home / "card.wanted", until), patient_lock(home / "card.lock", until):
        yield


def card_here(settings: Settings) -> AbstractContextManager[None]:
    """Borrow the card from a backend that may be running, where this process reads on one. Raises CardBusy."""
    return borrowed(settings.home) if uses_card(settings) else nullcontext()


def try_lock(path: Path) -> IO[str] | None:
    """The file, locked until it is closed; None where somebody else holds it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def patient_lock(path: Path, until: float) -> Iterator[None]:
    """The lock, waited for until that moment of the monotonic clock. Raises CardBusy."""
    while (file := try_lock(path)) is None:
        if time.monotonic() > until:
            raise CardBusy(f"{path} is still held: is a training hung, or the backend? Restart it")
        time.sleep(POLL_SECONDS)
    with file:
        yield
