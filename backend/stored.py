"""Readings kept on disk, so that a cheque is read once by each version. A cache: it may be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cheques.reading.reader import Reading

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
        return cls(project, task, hashlib.sha256(url.encode()).hexdigest()[:24], version, form)


def read_as(model: str, version: str) -> str:
    """The name of a version for stored readings: another base reads otherwise under the same version's name."""
    return f"{model} {version}"


class Stored:
    """The stored readings below `home`; any thread may call. A damaged file is begun anew."""

    def __init__(self, home: Path) -> None:
        self.path = home / "readings.sqlite"
        self._lock = threading.Lock()
        home.mkdir(parents=True, exist_ok=True)
        self._connection = self._open()

    def get(self, keys: Iterable[Key]) -> dict[Key, Reading]:
        """Those that are stored."""
        found = {}
        with self._lock:
            for key in keys:
                row = self._ask("SELECT reading FROM reading WHERE " + WHERE, _values(key)).fetchone()
                if row:
                    found[key] = _reading(row[0])
        return found

    def put(self, readings: Mapping[Key, Reading]) -> None:
        """Raises nothing: a full disk only means that cheques are read again."""
        rows = [(*_values(key), _text(reading)) for key, reading in readings.items()]
        with self._lock:
            try:
                self._connection.executemany("INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._connection.commit()
            except sqlite3.Error:
                self._begin_anew()

    def forget(self, project: str, keep: Iterable[str]) -> None:
        """Drop what versions other than `keep` read."""
        kept = tuple(keep)
        marks = ", ".join("?" * len(kept))
        with self._lock:
            self._ask(f"DELETE FROM reading WHERE project = ? AND version NOT IN ({marks})", (project, *kept))
            self._connection.commit()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _ask(self, query: str, values: tuple[str, ...]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query, values)
        except sqlite3.Error:
            self._begin_anew()
            return self._connection.execute(query, values)

    def _begin_anew(self) -> None:
        self._connection.close()
        for path in self.path.parent.glob(self.path.name + "*"):
            path.unlink(missing_ok=True)
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.DatabaseError:
            for path in self.path.parent.glob(self.path.name + "*"):
                path.unlink(missing_ok=True)
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what a crash of the machine loses is read again
        connection.execute(TABLE)
        connection.commit()
        return connection


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
    return json.dumps(parts, ensure_ascii=False)


def _reading(text: str) -> Reading:
    parts = json.loads(text)
    return Reading(
        parts["values"],
        parts["confidence"],
        embedding=tuple(parts["embedding"]),
        notes=tuple(parts["notes"]),
        evidence=parts["evidence"],
    )
