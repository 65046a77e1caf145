"""Files that survive a kill at any line and a full disk: locks, atomic replacement, append-only lines."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` as a lock between processes; the kernel lets go of it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, text: str) -> None:
    """Write `path` whole or not at all, and have it on disk when this returns. Raises OSError (a full disk)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def append_line(path: Path, line: str, durable: bool = True) -> None:
    """Add one line to an append-only file, after removing a last line that a kill or a full disk left torn.

    Call it under a lock. Raises OSError; what was written before stays whole. Not durable: it survives a kill, and
    is not waited for until it survives a power cut too.
    """
    with path.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        whole = _end_of_last_line(path, end)
        if whole < end:
            file.truncate(whole)
        file.write(line.encode() + b"\n")
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if end == 0:
        sync_folder(path.parent)


def _end_of_last_line(path: Path, end: int) -> int:
    with path.open("rb") as file:
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0


def whole_lines(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The JSON lines of an append-only file from `offset` on, and the offset after the last whole one.

    A torn last line is left out; it will be read when it is whole, or removed by the next append.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read()
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line.strip()], offset + len(whole)


def keep_lines(path: Path, wanted: Callable[[dict[str, Any]], bool]) -> int:
    """Leave out of a file of JSON lines those that are not wanted, and damaged ones; how many they were.

    Its lock is the one of whoever appends: the file's name with the suffix .lock. Raises OSError; then nothing is lost.
    """

    def is_kept(line: bytes) -> bool:
        try:
            return wanted(json.loads(line))
        except (ValueError, KeyError, TypeError):
            return False

    with locked(path.with_suffix(".lock")):
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        kept = [line for line in lines if is_kept(line)]
        if len(kept) < len(lines):
            replace_file(path, b"".join(line + b"\n" for line in kept).decode())
    return len(lines) - len(kept)


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
    trash = folder.with_name(f".trash-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        folder.replace(trash)
        shutil.rmtree(trash, ignore_errors=True)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
