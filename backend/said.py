"""What the reader would have said on blind cheques: one JSON line each in `said.jsonl` of the project's folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SAID = "said.jsonl"


def keep(folder: Path, line: Mapping[str, Any]) -> None:
    """Add one line, after removing a last one that a kill or a full disk left torn. Raises OSError (a full disk)."""
    with (folder / SAID).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        # ASCII alone: what was read may hold half a character, which UTF-8 cannot write.
        file.write(json.dumps(line).encode() + b"\n")


def kept(folder: Path) -> Iterator[dict[str, Any]]:
    """Every whole line, oldest first; what was damaged is left out."""
    try:
        content = (folder / SAID).read_bytes()
    except OSError:
        return
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict):
            yield one
