"""Memory inside a container: how much there is, and how often the system ended a process because it ran out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

# Where a container sees its own control group: version 2 of the kernel's interface, then version 1.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
EVENTS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
NO_LIMIT = 2**60  # version 1 writes a number as large as this


def memory_limit() -> int | None:
    """In bytes; None where there is no limit, or none that can be read."""
    for path in LIMITS:
        with suppress(OSError, ValueError):
            limit = int(path.read_text())
            return limit if limit < NO_LIMIT else None
    return None


def memory_kills() -> int | None:
    """How many processes of this container the system has ended for lack of memory; None where it cannot be read."""
    for path in EVENTS:
        with suppress(OSError, ValueError):
            counts = dict(line.split() for line in path.read_text().splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return None
