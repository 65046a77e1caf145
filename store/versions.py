"""The versions of a project on disk, which of them is champion, and the way back.

A version is written beside its place and renamed into it; the champion is one small file replaced whole. So at any
moment, whatever is killed and however full the disk, there is exactly one valid champion or none.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from cheques.disk import digest_of, locked, remove_tree, replace_file, sync_folder, sync_tree
from reader.reading import Adapter

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
    """Digests of the cheques that it was trained on; empty where nobody wrote them down (made elsewhere, the base)."""
    if adapter is None:
        return frozenset()
    try:
        return frozenset(json.loads((adapter.path.parent / LESSONS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return frozenset()


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
        entry = {"at": _now(), "action": action, "from": self.champion, "to": to, "who": who, "why": why}
        return Pointer(to, before, (*self.history, entry))


class Versions:
    """The versions of one project below `home`; project `local` belongs to no Label Studio."""

    def __init__(self, home: Path, project: str | int) -> None:
        self.project = str(project)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self.project):
            raise VersionError(f"{self.project!r} is no project: give its number, or local")
        self.folder = home / "versions" / self.project

    def list(self) -> list[Version]:
        """Every whole version, oldest first."""
        pointer = self.pointer()
        forced = {entry["to"] for entry in pointer.history if entry["action"] == "force"}
        found = (_read(path, self.project) for path in self.folder.glob("v*") if re.fullmatch(r"v\d+", path.name))
        whole = [replace(v, decision="forced") if v.name in forced else v for v in found if v]
        return sorted(whole, key=lambda version: version.number)

    def get(self, name: str) -> Version:
        """Raises VersionError where there is no such version."""
        for version in self.list():
            if version.name == name:
                return version
        known = ", ".join(version.name for version in self.list()) or "none yet"
        raise VersionError(f"project {self.project} has no version {name} (it has: {known})")

    def champion(self) -> Version | None:
        """The version in service; None means the base model. A damaged champion does not serve."""
        name = self.pointer().champion
        version = _read(self.folder / name, self.project) if name else None
        return version if version and not version.problem() else None

    def pointer(self) -> Pointer:
        try:
            content = json.loads((self.folder / "champion").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Pointer()
        return Pointer(content["champion"], tuple(content["before"]), tuple(content["history"]))

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
        with self._locked():
            self._sweep()
            name = version.name or f"v{self._last_number() + 1}"
            if (self.folder / name).exists():
                raise VersionError(f"project {self.project} has a {name} already")
            version = replace(
                version,
                name=name,
                project=self.project,
                path=self.folder / name,
                digest=digest_of(weights),
                created=version.created or _now(),
            )
            replace_file(folder / "version.json", json.dumps(_as_json(version), indent=1, ensure_ascii=False))
            sync_tree(folder)
            # First, so that no kill makes a number serve twice.
            replace_file(self.folder / "number", str(max(self._last_number(), version.number)))
            folder.replace(version.path)
            sync_folder(self.folder)
            if version.decision == "promoted":
                self._promote(version, "promote", "gate", "; ".join(version.reasons))
        return version

    def judged(self, version: Version) -> None:
        """Write down what the exam said of an imported version; promote it if the gate did. Raises VersionError."""
        with self._locked():
            replace_file(version.path / "version.json", json.dumps(_as_json(version), indent=1, ensure_ascii=False))
            if version.decision == "promoted":
                self._promote(version, "promote", "gate", "; ".join(version.reasons))

    def promote(self, name: str, *, who: str = "person", why: str = "", force: bool = False) -> Version:
        """Put a version in service; a rejected one needs `force` and a reason, both recorded. Raises VersionError."""
        with self._locked():
            version = self.get(name)
            if version.decision == "rejected" and not force:
                reasons = "; ".join(version.reasons) or "no reason recorded"
                raise VersionError(
                    f"{name} was rejected ({reasons}): promote it with --force --why REASON, or train again"
                )
            if force and not why:
                raise VersionError(f"{name}: a forced promotion needs a reason (--why)")
            self._promote(version, "force" if force else "promote", who, why)
        return self.get(name)

    def rollback(self, *, who: str = "person", why: str = "") -> Version | None:
        """Put the champion's predecessor back in service; None: the base serves again. Raises VersionError."""
        with self._locked():
            pointer = self.pointer()
            if pointer.champion is None:
                raise VersionError(f"project {self.project} has no champion: there is nothing to roll back")
            before = [*pointer.before]
            while before:
                version = _read(self.folder / before.pop(), self.project)
                if version and not version.problem():
                    self._point(pointer.moved(version.name, tuple(before), "rollback", who, why))
                    return version
            self._point(pointer.moved(None, (), "rollback", who, why))
            return None

    def ever_champion(self, name: str) -> bool:
        return any(entry["to"] == name for entry in self.pointer().history)

    def prune(self, keep: int = 3) -> tuple[str, ...]:
        """Remove all but the champion, its parent, its predecessor and the last `keep` versions; the names removed."""
        with self._locked():
            pointer, versions = self.pointer(), self.list()
            champion = next((version for version in versions if version.name == pointer.champion), None)
            kept = {pointer.champion, champion and champion.parent, *pointer.before[-1:]}
            kept |= {version.name for version in versions[len(versions) - keep :]} if keep else set()
            removed = [version for version in versions if version.name not in kept]
            for version in removed:
                remove_tree(version.path)
            self._sweep()
        return tuple(version.name for version in removed)

    def _promote(self, version: Version, action: str, who: str, why: str) -> None:
        if problem := version.problem():
            raise VersionError(problem)
        pointer = self.pointer()
        if pointer.champion == version.name:
            return
        before = (*pointer.before, pointer.champion) if pointer.champion else pointer.before
        self._point(pointer.moved(version.name, before, action, who, why))

    def _point(self, pointer: Pointer) -> None:
        replace_file(self.folder / "champion", json.dumps(asdict(pointer), indent=1, ensure_ascii=False))

    def _last_number(self) -> int:
        try:
            counted = int((self.folder / "number").read_text())
        except (FileNotFoundError, ValueError):
            counted = 0
        return max([counted, *(version.number for version in self.list())])

    def _locked(self) -> Any:
        return locked(self.folder / "lock")

    def _sweep(self) -> None:
        """What killed processes left behind."""
        for kind, seconds in ABANDONED_SECONDS.items():
            for folder in self.folder.glob(f"{kind}*"):
                if time.time() - folder.stat().st_mtime >= seconds:
                    shutil.rmtree(folder, ignore_errors=True)


def _as_json(version: Version) -> dict[str, Any]:
    return {name: value for name, value in asdict(version).items() if name not in ("path", "project")}


def _read(folder: Path, project: str) -> Version | None:
    try:
        content = json.loads((folder / "version.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    known = {entry.name for entry in fields(Version)}
    values = {name: value for name, value in content.items() if name in known}
    # The folder's name is the version's: what was copied here from another project is still found under its own name.
    return Version(
        **values | {"name": folder.name, "project": project, "path": folder, "reasons": tuple(values["reasons"])}
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
