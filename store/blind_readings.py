"""What the reader would have said on blind cheques: one JSON line each in `said.jsonl` of the project's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cheques.disk import append_line, locked

SAID = "said.jsonl"


def keep(folder: Path, line: Mapping[str, Any]) -> None:
    """Add one line, after removing a last one that a kill or a full disk left torn. Raises OSError (a full disk)."""
    with locked(folder / "said.lock"):
        # ASCII alone: what was read may hold half a character, which UTF-8 cannot write.
        append_line(folder / SAID, json.dumps(line), durable=False)


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
