"""Readings that are kept, so that a cheque is read once by each version. A cache: it may be deleted at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from reader.reading import Reading
from store import tables
from store.database import Store, StoreError, upsert

log = structlog.get_logger()

reading = tables.reading


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


def read_as(base: str, version: str) -> str:
    """The name of a version for kept readings: another base reads otherwise under the same version's name.

    base: its identity, which a folder of other weights does not share (`reader.base_model.base_identity`).
    """
    return f"{base} {version}"


class ReadingCache:
    """The kept readings; any thread may call.

    Where the database cannot be used, as on a full disk, nothing is kept, and cheques are read again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, keys: Iterable[Key]) -> dict[Key, Reading]:
        """Those that are kept."""
        found = {}
        try:
            with self._store.look() as connection:
                for key in keys:
                    query = sa.select(reading.c.reading).where(*(reading.c[name] == part for name, part in _parts(key)))
                    if (kept := _reading(connection.execute(query).scalar_one_or_none())) is not None:
                        found[key] = kept
        except StoreError as error:
            log.warning("readings.unusable", reason=error.strerror)
        return found

    def put(self, readings: Mapping[Key, Reading]) -> None:
        rows = [dict(_parts(key)) | {"reading": _as_json(one)} for key, one in readings.items()]
        try:
            with self._store.begin() as connection:
                upsert(connection, reading, rows)
        except StoreError as error:
            log.warning("readings.unusable", reason=error.strerror)

    def forget(self, project: str, keep: Iterable[str]) -> None:
        """Drop what versions other than `keep` read."""
        query = reading.delete().where(reading.c.project == project, reading.c.version.not_in(list(keep)))
        try:
            with self._store.begin() as connection:
                connection.execute(query)
        except StoreError as error:
            log.warning("readings.unusable", reason=error.strerror)

    def of_tasks(self, project: int, version: str, form: str, tasks: Iterable[int]) -> dict[int, Reading]:
        """What `version` (as `read_as` names it) has read on these tasks, for whoever only looks."""
        mine = (reading.c.project == str(project), reading.c.version == version, reading.c.form == form)
        found = {}
        with self._store.look() as connection:
            for task in tasks:
                query = sa.select(reading.c.reading).where(*mine, reading.c.task == str(task)).limit(1)
                if (kept := _reading(connection.execute(query).scalar_one_or_none())) is not None:
                    found[task] = kept
        return found


def _parts(key: Key) -> Iterable[tuple[str, str]]:
    return asdict(key).items()


def _as_json(one: Reading) -> dict[str, Any]:
    return {
        "values": one.values,
        "confidence": one.confidence,
        "embedding": [round(x, 5) for x in one.embedding],
        "notes": list(one.notes),
        "evidence": one.evidence,
    }


def _reading(kept: Any) -> Reading | None:
    """None where nothing is kept, or nothing that this release can read: then the cheque is read again."""
    try:
        return Reading(
            {name: str(value) for name, value in kept["values"].items()},
            {name: float(sure) for name, sure in kept["confidence"].items()},
            embedding=tuple(map(float, kept["embedding"])),
            notes=tuple(kept["notes"]),
            evidence=kept["evidence"],
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        return None
