"""Readings kept on disk, so that a cheque is read once by each version. A cache: it may be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from reader.reading import Reading

log = structlog.get_logger()

T = TypeVar("T")

TABLE = """
CREATE TABLE IF NOT EXISTS reading (
  project TEXT, task TEXT, image TEXT, version TEXT, form TEXT, reading TEXT NOT NULL,
  PRIMARY KEY (project, version, form, task, image)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Key:
    """Which reading: project, task, hash of the image's URL, the model and adapter that read, digest of the form."""

    project: str
    task: str
    image: str
    version: str
    form: str

    @classmethod
    def of(cls, project: str, task: str, url: str, version: str, form: str) -> Key:
        image = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return cls(project, task, image, version, form)


def read_as(model: str, version: str) -> str:
    """The name of a version for stored readings: another base reads otherwise under the same version's name."""
    return f"{model} {version}"


class Stored:
    """The stored readings below `home`; any thread may call. A damaged file is begun anew.

    Raises nothing of a file that cannot be used, as on a full disk: then nothing is stored, and cheques are read again.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "readings.sqlite"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        home.mkdir(parents=True, exist_ok=True)

    def get(self, keys: Iterable[Key]) -> dict[Key, Reading]:
        """Those that are stored."""
        wanted = list(keys)

        def got(file: sqlite3.Connection) -> dict[Key, Reading]:
            rows = ((key, file.execute(f"SELECT reading FROM reading WHERE {WHERE}", _values(key))) for key in wanted)
            return {key: _reading(row[0]) for key, found in rows if (row := found.fetchone())}

        return self._done(got) or {}

    def put(self, readings: Mapping[Key, Reading]) -> None:
        rows = [(*_values(key), _text(reading)) for key, reading in readings.items()]
        if rows:
            self._done(lambda file: file.executemany("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows))

    def forget(self, project: str, keep: Iterable[str]) -> None:
        """Drop what versions other than `keep` read."""
        kept = tuple(keep)
        query = f"DELETE FROM reading WHERE project = ? AND version NOT IN ({', '.join('?' * len(kept))})"
        self._done(lambda file: file.execute(query, (project, *kept)))

    def forget_tasks(self, project: str, tasks: Iterable[str]) -> int | None:
        """Drop all that was read on these tasks, so that the file holds no trace of it; how many readings.

        None: the file cannot be written now, and nothing was dropped.
        """
        query = "DELETE FROM reading WHERE project = ? AND task IN (SELECT value FROM json_each(?))"
        gone = json.dumps(list(tasks))

        def forgotten(file: sqlite3.Connection) -> int:
            file.execute("PRAGMA secure_delete = ON")
            return file.execute(query, (project, gone)).rowcount

        count = self._done(forgotten)
        if count is not None:
            self._done(lambda file: file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        return count

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What the work gives, whole or not at all; None where the file cannot be used now."""
        with self._lock:
            try:
                return self._tried(work)
            except sqlite3.Error as error:
                if not _is_damage(error):
                    log.warning("stored.unusable", error=getattr(error, "sqlite_errorname", type(error).__name__))
                    return None
            with suppress(sqlite3.Error, OSError):
                self._let_go()
                for path in self.path.parent.glob(self.path.name + "*"):
                    path.unlink(missing_ok=True)
                return self._tried(work)
            return None

    def _tried(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = _opened(self.path)
        with self._connection:  # which commits, or rolls back
            return work(self._connection)

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what a crash of the machine loses is read again
        connection.execute(TABLE)
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


def _is_damage(error: sqlite3.Error) -> bool:
    """Is the file no good any more, or gone? Not so on a full disk, or while somebody else holds it."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code == sqlite3.SQLITE_READONLY_DBMOVED


def readings_of(home: Path, project: int, version: str, form: str, tasks: Iterable[int]) -> dict[int, Reading]:
    """What `version` (as `read_as` names it) has read on these tasks, for whoever only looks; {} if damaged."""
    query = "SELECT reading FROM reading WHERE project = ? AND version = ? AND form = ? AND task = ? LIMIT 1"
    found = {}
    try:
        with closing(sqlite3.connect(f"{(home / 'readings.sqlite').as_uri()}?mode=ro", uri=True)) as connection:
            for task in tasks:
                row = connection.execute(query, (str(project), version, form, str(task))).fetchone()
                if row:
                    found[task] = _reading(row[0])
    except (sqlite3.Error, ValueError, KeyError):
        return {}
    return found


# In the order of Key's fields, which _values follows.
WHERE = "project = ? AND task = ? AND image = ? AND version = ? AND form = ?"


def _values(key: Key) -> tuple[str, ...]:
    return (key.project, key.task, key.image, key.version, key.form)


def _text(reading: Reading) -> str:
    parts = {
        "values": reading.values,
        "confidence": reading.confidence,
        "embedding": [round(x, 5) for x in reading.embedding],
        "notes": list(reading.notes),
        "evidence": reading.evidence,
    }
    return json.dumps(parts)  # in ASCII: SQLite does not take half a character, which a reader may answer


def _reading(text: str) -> Reading:
    parts = json.loads(text)
    return Reading(
        parts["values"],
        parts["confidence"],
        embedding=tuple(parts["embedding"]),
        notes=tuple(parts["notes"]),
        evidence=parts["evidence"],
    )
