"""Files that survive a kill at any line and a full disk: locks, atomic replacement."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from filelock import FileLock


def lock_at(path: Path) -> FileLock:
    """A lock between processes; the kernel lets go of it when the holder dies. Two of one process exclude each other.

    `with lock_at(path):` waits for it, `.acquire(timeout=seconds)` raises filelock.Timeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the soft lock that filelock falls back to on odd file systems: it outlives a holder that is killed.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def replace_file(path: Path, text: str) -> None:
    """Write `path` whole or not at all, and have it on disk when this returns. Raises OSError (a full disk)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each writer: two may replace one file at once.
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # The content before the name: after a power cut no name may point to half a file.
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make every file and folder below `folder` durable."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def remove_tree(folder: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    # A rename happens at once, removing a tree does not.
    trash = folder.with_name(f".trash-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        folder.replace(trash)
        shutil.rmtree(trash, ignore_errors=True)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
