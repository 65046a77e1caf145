"""Kept readings, so that each version reads a cheque once. A cache: it may be deleted at any time."""

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
    """The name of a version among kept readings: on another base the same version's name reads otherwise.

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
                    own = (reading.c[name] == part for name, part in asdict(key).items())
                    query = sa.select(reading.c.reading).where(*own)
                    if (kept := kept_reading(connection.execute(query).scalar_one_or_none())) is not None:
                        found[key] = kept
        except StoreError as error:
            log.warning("readings.unusable", reason=error.strerror)
        return found

    def put(self, readings: Mapping[Key, Reading]) -> None:
        rows = []
        for key, one in readings.items():
            embedding = [round(x, 5) for x in one.embedding]
            content = {"values": one.values, "confidence": one.confidence, "embedding": embedding}
            rows.append(asdict(key) | {"reading": content | {"notes": list(one.notes), "evidence": one.evidence}})
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
        """What `version` (as `read_as` names it) has read on these tasks, whatever their images are now."""
        mine = (reading.c.project == str(project), reading.c.version == version, reading.c.form == form)
        found = {}
        with self._store.look() as connection:
            for task in tasks:
                query = sa.select(reading.c.reading).where(*mine, reading.c.task == str(task)).limit(1)
                if (kept := kept_reading(connection.execute(query).scalar_one_or_none())) is not None:
                    found[task] = kept
        return found


def kept_reading(kept: Any) -> Reading | None:
    """A reading from its column; None where there is none, or none that this release can read."""
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
