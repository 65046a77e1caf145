"""The versions of a project, which of them is champion, and the way back.

A version's folder is written beside its place and renamed into it; then the version, and the champion where it is one,
become rows in one transaction. So at any moment, whatever is killed and however full the disk, every version is whole
and there is exactly one valid champion or none.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from cheques.disk import digest_of, remove_tree, sync_folder, sync_tree
from reader.reading import Adapter
from store import tables
from store.database import Store, upsert

WEIGHTS = "adapter_model.safetensors"
LESSONS = "lessons.json"  # beside the adapter's folder: digests of what it was trained on
# Nobody works on a folder that was last written so long ago; a training may wait a week to be gone on with.
ABANDONED_SECONDS = {".trash-": 0, ".tmp-": 24 * 3600, ".training-": 7 * 24 * 3600}
Decision = Literal["promoted", "rejected", "imported", "forced"]


class VersionError(ValueError):
    """A version that is not there, not whole, or not allowed: one line, what and what to do."""


@dataclass(frozen=True)
class Version:
    """One trained adapter: what it was made from, what the gate said, and how it scored.

    labels: how many cheques it learned from. mean: exact match on the exam, None where there was none.
    dataset: the hash of its lessons, form, recipe and base. digest: SHA-256 of the weights. seconds: of training.
    brought: it was trained elsewhere, and imported.
    """

    name: str
    project: str
    path: Path
    parent: str | None = None
    labels: int = 0
    exam: int = 0
    dataset: str = ""
    base: str = ""
    form: str = ""
    digest: str = ""
    mean: float | None = None
    decision: Decision = "rejected"
    reasons: tuple[str, ...] = ()
    provisional: bool = False
    created: str = ""
    seconds: float = 0.0
    recipe: dict[str, Any] = field(default_factory=dict)
    brought: bool = False

    @property
    def adapter(self) -> Adapter:
        return Adapter(f"{self.project}/{self.name}", self.path / "adapter")

    @property
    def number(self) -> int:
        return int(self.name[1:])

    @property
    def record(self) -> dict[str, Any]:
        """What is stored of it: all but its project and its place, which are known without it."""
        return {name: value for name, value in asdict(self).items() if name not in ("path", "project")}

    def problem(self) -> str | None:
        """Why this version cannot serve, or None: its weights must be those that were judged."""
        weights = self.path / "adapter" / WEIGHTS
        try:
            stat = weights.stat()
        except OSError:
            return f"{self.name}: {weights} is missing; promote another version"
        if _digest(weights, stat.st_mtime_ns, stat.st_size) != self.digest:
            return f"{self.name}: {weights} is damaged; promote another version"
        return None


def learned(adapter: Adapter | None) -> frozenset[str]:
    """Digests of the cheques that it was trained on; empty for the base, and where an adapter does not say them."""
    if adapter is None:
        return frozenset()
    try:
        return frozenset(json.loads((adapter.path.parent / LESSONS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return frozenset()


# Every look for the champion asks for it: the weights are hashed once for each state of the file.
@lru_cache(maxsize=64)
def _digest(weights: Path, mtime_ns: int, size: int) -> str:
    return digest_of(weights)


@dataclass(frozen=True)
class Pointer:
    """Who serves, who served before (latest last), and every change with its reason."""

    champion: str | None = None
    before: tuple[str, ...] = ()
    history: tuple[dict[str, Any], ...] = ()

    def moved(self, to: str | None, before: tuple[str, ...], action: str, who: str, why: str) -> Pointer:
        entry = {"at": tables.now(), "action": action, "from": self.champion, "to": to, "who": who, "why": why}
        return Pointer(to, before, (*self.history, entry))


class Versions:
    """The versions of one project; project `local` belongs to no Label Studio."""

    def __init__(self, store: Store, project: str | int) -> None:
        self.store, self.project = store, str(project)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.project):
            raise VersionError(f"{self.project!r} is no project: give its number, or local")
        self.folder = store.files / "versions" / self.project

    def list(self) -> Sequence[Version]:
        """Every version, oldest first."""
        with self.store.look() as connection:
            return self._list(connection)

    def get(self, name: str) -> Version:
        """Raises VersionError where there is no such version."""
        with self.store.look() as connection:
            return self._get(connection, name)

    def champion(self) -> Version | None:
        """The version in service; None means the base model. A damaged champion does not serve."""
        with self.store.look() as connection:
            pointer = self._pointer(connection)
            listed = self._list(connection, pointer) if pointer.champion else ()
        version = next((one for one in listed if one.name == pointer.champion), None)
        return version if version and not version.problem() else None

    def pointer(self) -> Pointer:
        with self.store.look() as connection:
            return self._pointer(connection)

    def find(self, dataset: str) -> Version | None:
        """The version that was trained on exactly this data, if there is one."""
        return next((version for version in reversed(self.list()) if version.dataset == dataset), None)

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to build a version in; what is not added disappears."""
        folder = self.folder / f".tmp-{secrets.token_hex(6)}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, folder: Path, version: Version) -> Version:
        """Take a finished folder (adapter/, perhaps report/) as the next version; promote it if the gate did.

        `project`, `path`, `digest`, `created` and, where it has none, `name` of `version` are filled in here. Raises
        VersionError, OSError.
        """
        weights = folder / "adapter" / WEIGHTS
        if not weights.is_file():
            raise VersionError(f"{weights} is missing: this folder holds no adapter")
        digest = digest_of(weights)
        self.folder.mkdir(parents=True, exist_ok=True)
        sync_tree(folder)
        with self.store.begin(self.project) as connection:
            self._sweep()
            known = {one.name for one in self._list(connection)}
            # The highest number ever given: those of removed versions are not given again.
            own = tables.project.c.id == self.project
            last = connection.execute(sa.select(tables.project.c.last_version).where(own)).scalar_one()
            name = version.name or f"v{last + 1}"
            if name in known:
                raise VersionError(f"project {self.project} has a {name} already")
            path = self.folder / name
            created = version.created or tables.now()
            version = replace(version, name=name, project=self.project, path=path, digest=digest, created=created)
            if path.exists():
                # Whoever put it there was killed before it became a version. A sweep removes it once it is a day old.
                path.replace(self.folder / f".tmp-{secrets.token_hex(6)}")
            folder.replace(path)
            sync_folder(self.folder)
            row = {"project": self.project, "name": name, "number": version.number, "record": version.record}
            connection.execute(tables.version.insert().values(row))
            counted = max(last, version.number)
            connection.execute(tables.project.update().where(own).values(last_version=counted))
            if version.decision == "promoted":
                self._promote(connection, version, "promote", "gate", "; ".join(version.reasons))
        return version

    def judged(self, version: Version) -> None:
        """Write down what the exam said of an imported version; promote it if the gate did. Raises VersionError."""
        with self.store.begin(self.project) as connection:
            query = tables.version.update().where(*self._is(version.name))
            connection.execute(query.values(record=version.record))
            if version.decision == "promoted":
                self._promote(connection, version, "promote", "gate", "; ".join(version.reasons))

    def promote(self, name: str, *, who: str = "person", why: str = "", force: bool = False) -> Version:
        """Put a version in service; a rejected one needs `force` and a reason, both recorded. Raises VersionError."""
        with self.store.begin(self.project) as connection:
            version = self._get(connection, name)
            if version.decision == "rejected" and not force:
                reasons = "; ".join(version.reasons) or "no reason recorded"
                raise VersionError(
                    f"{name} was rejected ({reasons}): promote it with --force --why REASON, or train again"
                )
            if force and not why:
                raise VersionError(f"{name}: a forced promotion needs a reason (--why)")
            self._promote(connection, version, "force" if force else "promote", who, why)
        return self.get(name)

    def rollback(self, *, who: str = "person", why: str = "") -> Version | None:
        """Put the champion's predecessor back in service; None: the base serves again. Raises VersionError."""
        with self.store.begin(self.project) as connection:
            pointer = self._pointer(connection)
            if pointer.champion is None:
                raise VersionError(f"project {self.project} has no champion: there is nothing to roll back")
            known = {version.name: version for version in self._list(connection, pointer)}
            before = [*pointer.before]
            while before:
                version = known.get(before.pop())
                if version and not version.problem():
                    self._point(connection, pointer.moved(version.name, tuple(before), "rollback", who, why))
                    return version
            self._point(connection, pointer.moved(None, (), "rollback", who, why))
            return None

    def ever_champion(self, name: str) -> bool:
        return any(entry["to"] == name for entry in self.pointer().history)

    def prune(self, keep: int = 3) -> tuple[str, ...]:
        """Remove all but the champion, its parent, its predecessor and the last `keep` versions; the names removed."""
        with self.store.begin(self.project) as connection:
            pointer = self._pointer(connection)
            versions = self._list(connection, pointer)
            champion = next((version for version in versions if version.name == pointer.champion), None)
            kept = {pointer.champion, champion and champion.parent, *pointer.before[-1:]}
            kept |= {version.name for version in versions[len(versions) - keep :]} if keep else set()
            removed = [version for version in versions if version.name not in kept]
            for version in removed:
                connection.execute(tables.version.delete().where(*self._is(version.name)))
            self._sweep()
        # Rows first: what a kill leaves of these folders is no version any more.
        for version in removed:
            remove_tree(version.path)
        return tuple(version.name for version in removed)

    def _is(self, name: str) -> tuple[sa.ColumnElement[bool], ...]:
        return tables.version.c.project == self.project, tables.version.c.name == name

    def _list(self, connection: sa.Connection, pointer: Pointer | None = None) -> Sequence[Version]:
        """pointer: spares reading it again."""
        history = (pointer or self._pointer(connection)).history
        forced = {entry["to"] for entry in history if entry["action"] == "force"}
        known = {entry.name for entry in fields(Version)}
        query = sa.select(tables.version.c.name, tables.version.c.record).where(
            tables.version.c.project == self.project
        )
        found = []
        for name, record in connection.execute(query.order_by(tables.version.c.number)):
            values = {key: value for key, value in record.items() if key in known}
            values |= {"reasons": tuple(values["reasons"])} | ({"decision": "forced"} if name in forced else {})
            found.append(Version(**values | {"name": name, "project": self.project, "path": self.folder / name}))
        return found

    def _get(self, connection: sa.Connection, name: str) -> Version:
        versions = self._list(connection)
        for version in versions:
            if version.name == name:
                return version
        known = ", ".join(version.name for version in versions) or "none yet"
        raise VersionError(f"project {self.project} has no version {name} (it has: {known})")

    def _pointer(self, connection: sa.Connection) -> Pointer:
        now = connection.execute(
            sa.select(tables.champion.c.name, tables.champion.c.before).where(tables.champion.c.project == self.project)
        ).one_or_none()
        query = sa.select(tables.promotion.c.entry).where(tables.promotion.c.project == self.project)
        history = tuple(connection.execute(query.order_by(tables.promotion.c.id)).scalars())
        return Pointer(now.name, tuple(now.before), history) if now else Pointer()

    def _promote(self, connection: sa.Connection, version: Version, action: str, who: str, why: str) -> None:
        if problem := version.problem():
            raise VersionError(problem)
        pointer = self._pointer(connection)
        if pointer.champion == version.name:
            return
        before = (*pointer.before, pointer.champion) if pointer.champion else pointer.before
        self._point(connection, pointer.moved(version.name, before, action, who, why))

    def _point(self, connection: sa.Connection, pointer: Pointer) -> None:
        row = {"project": self.project, "name": pointer.champion, "before": list(pointer.before)}
        upsert(connection, tables.champion, [row])
        entry = {"project": self.project, "entry": pointer.history[-1]}
        connection.execute(tables.promotion.insert().values(entry))

    def _sweep(self) -> None:
        """What killed processes left behind."""
        for kind, seconds in ABANDONED_SECONDS.items():
            for folder in self.folder.glob(f"{kind}*"):
                if time.time() - folder.stat().st_mtime >= seconds:
                    shutil.rmtree(folder, ignore_errors=True)
