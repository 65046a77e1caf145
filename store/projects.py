"""The Label Studio projects that are served, one folder each under the home; `chequemate connect` adds one."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from cheques.settings import Settings


def folder(home: Path, project: int | str) -> Path:
    """Where what is known of a project lies (its draw, its attempts): made by `join`."""
    return home / "projects" / str(project)


def join(home: Path, project: int) -> None:
    """Serve this project from now on; again does no harm."""
    place = folder(home, project)
    place.mkdir(parents=True, exist_ok=True)
    if (place / "project.json").exists():
        return
    part = place / f"project.json.{os.getpid()}"
    part.write_text(json.dumps({"project": project, "joined": datetime.now(UTC).isoformat(timespec="seconds")}))
    part.replace(place / "project.json")


def leave(home: Path, project: int) -> None:
    """Serve it no more; its draw and versions stay."""
    (folder(home, project) / "project.json").unlink(missing_ok=True)


def joined(home: Path) -> list[int]:
    """The projects joined by `chequemate connect` or `chequemate demo`, in ascending order."""
    names = [path.parent.name for path in (home / "projects").glob("*/project.json")]
    return sorted(int(name) for name in names if name.isdigit())


def served(settings: Settings) -> list[int]:
    """Every project to serve: the joined ones, and those of CHEQUEMATE_PROJECTS."""
    return sorted({*joined(settings.home), *settings.projects})
