"""Tasks whose cheque cannot be read, and why: what each job found last, kept in the project's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cheques.disk import locked, replace_file

Why = Literal["no image", "unreadable", "waiting"]
UNREAD = "unread.json"


@dataclass(frozen=True)
class Unread:
    """One task. why: it has no image, its image cannot be read, or could not be fetched so far and is tried again.

    reason: what was wrong and what to do, in one line.
    """

    task: int
    why: Why
    reason: str

    @classmethod
    def of(cls, task: int, image: str, reason: str, passing: bool = False) -> Unread:
        """image: its URL, as far as the task has one."""
        return cls(task, "waiting" if passing else "unreadable" if image else "no image", reason)


def keep_unread(folder: Path, job: str, found: Iterable[Unread]) -> None:
    """What this job found now, in place of what it found before. A full disk only means that it is not shown."""
    path = folder / UNREAD
    with suppress(OSError), locked(folder / "unread.lock"):
        past = _read(path)
        now = past | {job: [[one.task, one.why, one.reason] for one in found]}
        if now != past:
            replace_file(path, json.dumps(now))


def unread(folder: Path) -> tuple[Unread, ...]:
    """By task, each once, whatever job found it."""
    lines = [Unread(*line) for found in _read(folder / UNREAD).values() for line in found]
    return tuple(one for _, one in sorted({one.task: one for one in lines}.items()))


def _read(path: Path) -> dict[str, list[list[Any]]]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
