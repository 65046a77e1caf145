"""A home of an older release, which kept its state in files, is taken over into the store.

Everything is read into the database in the transaction that makes its tables, with a mark that says so. Then the old
files are moved aside, under ASIDE. After a kill in between, the mark says that only this is left to do.
"""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from store import tables

log = structlog.get_logger()

ASIDE = "before-the-store"
TAKEN = "taken over"
# Of a project's folder; images/ stays where it is.
OF_A_PROJECT = (
    *("project.json", "draw.jsonl", "said.jsonl", "planted.jsonl", "attempts.jsonl", "sights.jsonl", "unread.json"),
    *("counted.json", "prelabelled.json", "learning.json", "annotations.sqlite*", "*.lock"),
)
OF_A_PLACE = ("task", "u", "role", "arm", "digest", "phash", "exam_share", "blind_share")
OF_VERSIONS = ("champion", "number", "lock")  # the versions' own folders stay where they are


def take_over(connection: sa.Connection, home: Path) -> None:
    """Inside the connection's transaction. Does nothing where there is nothing to take over, or it was done."""
    marks = tables.mark
    key = {"project": "", "name": f"{TAKEN} {home.absolute()}"}
    done = sa.select(marks.c.name).where(marks.c.project == "", marks.c.name == key["name"])
    if connection.execute(done).one_or_none() or not any(old_files(home)):
        return
    names = {path.name for room in ("projects", "versions") for path in (home / room).glob("*") if path.is_dir()}
    for name in sorted(names):
        take_project(connection, home, name)

    # Readings only save reading everything again: a file that is damaged is left.
    if (path := home / "readings.sqlite").exists():
        columns, rows = ("project", "task", "image", "version", "form", "reading"), list[dict[str, Any]]()
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as old:
                found = old.execute(f"SELECT {', '.join(columns)} FROM reading").fetchall()
            rows = [dict(zip(columns, (*row[:-1], json.loads(row[-1])), strict=True)) for row in found]
        except (sqlite3.Error, ValueError) as error:
            log.warning("home.readings_left", reason=type(error).__name__)
        if rows:
            connection.execute(tables.reading.insert(), rows)
    connection.execute(marks.insert().values(**key, value=tables.now()))
    log.info("home.taken_over", projects=sorted(names), old_files=str(home / ASIDE))


def set_aside(home: Path) -> None:
    """Move the old files out of the way, once everything in them is in the database."""
    for path in list(old_files(home)):
        new = home / ASIDE / path.relative_to(home)
        new.parent.mkdir(parents=True, exist_ok=True)
        path.replace(new)


def old_files(home: Path) -> Iterator[Path]:
    """The files of older releases that are still in their places."""
    for pattern in OF_A_PROJECT:
        yield from (home / "projects").glob(f"*/{pattern}")
    for name in OF_VERSIONS:
        yield from (home / "versions").glob(f"*/{name}")
    yield from home.glob("readings.sqlite*")


def take_project(connection: sa.Connection, home: Path, name: str) -> None:
    """All rows of one project. One that the database has already, from another home, stays as it is there."""
    folder, versions = home / "projects" / name, home / "versions" / name
    salts = [str(line["salt"]) for line in json_lines(folder / "draw.jsonl", "salt")]
    # The folder's name is the version's: what was copied here from another project has its own name here.
    paths = [path for path in versions.glob("v*") if path.name[1:].isdecimal()]
    records = [record | {"name": path.name} for path in paths if (record := json_object(path / "version.json"))]
    records.sort(key=lambda record: int(record["name"][1:]))
    last = max((int(record["name"][1:]) for record in records), default=0)
    with suppress(OSError, ValueError):
        last = max(last, int((versions / "number").read_text()))
    joined = json_object(folder / "project.json")
    if not (salts or records or joined is not None):
        return  # a folder that holds nothing that anybody would miss
    if connection.execute(sa.select(tables.project.c.id).where(tables.project.c.id == name)).one_or_none():
        log.warning("home.project_left", project=name, reason="the database has this project already, of another home")
        return
    row: dict[str, Any] = {"id": name, "joined": None if joined is None else str(joined.get("joined") or tables.now())}
    row |= {"salt": salts[-1] if salts else secrets.token_hex(16), "settings": {}, "last_version": last}
    connection.execute(tables.project.insert().values(row))

    def take(table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            names = set(table.c.keys())
            listed = [{"project": name} | {key: one[key] for key in one.keys() & names} for one in rows]
            connection.execute(table.insert(), listed)

    places: dict[str, dict[str, Any]] = {}
    for line in json_lines(folder / "draw.jsonl", *OF_A_PLACE):
        places.setdefault(line["task"], line)  # of a task drawn twice the first draw counts
    take(tables.place, list(places.values()))
    take(
        tables.blind_reading,
        [
            {"task": str(line["task"]), "version": line["version"], "read": line["values"]}
            | {"confidence": line.get("confidence") or {}}
            for line in json_lines(folder / "said.jsonl", "task", "version", "values")
        ],
    )
    lines = json_lines(folder / "planted.jsonl", "task", "version", "field", "read", "shown")
    take(tables.planted, list({(line["task"], line["version"]): line for line in lines}.values()))
    take(tables.training, list(json_lines(folder / "attempts.jsonl", "at", "outcome", "version", "lessons")))
    take(
        tables.version,
        [{"name": record["name"], "number": int(record["name"][1:]), "record": record} for record in records],
    )
    if pointer := json_object(versions / "champion"):
        take(tables.champion, [{"name": pointer["champion"], "before": pointer["before"]}])
        take(tables.promotion, [{"entry": entry} for entry in pointer["history"]])
    sights: dict[str, dict[str, Any]] = {}
    for line in json_lines(folder / "sights.jsonl", "task", "version", "form", "confidence"):
        before = sights.get(str(line["task"]), {})
        features = line.get("features") and base64.b64decode(line["features"])
        sights[str(line["task"])] = {
            "task": str(line["task"]),
            "version": line["version"],
            "form": line["form"],
            "confidence": tables.UNREADABLE_CHEQUE if line["confidence"] is None else line["confidence"],
            "signal": float(line.get("signal") or 0),
            "features": before.get("features") or features,
        }
    take(tables.sight, list(sights.values()))
    if curve := json_object(folder / "learning.json"):
        take(tables.mark, [{"name": "learning curve", "value": curve}])


def json_lines(path: Path, *keys: str) -> Iterator[dict[str, Any]]:
    """The JSON lines of a file that have these keys. What a kill or a full disk tore is logged and left out."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            found = json.loads(line) if line.strip() else {}
        except ValueError:
            log.warning("home.line_left", file=f"{path.parent.name}/{path.name}", line=number)
            continue
        if isinstance(found, dict) and found and set(keys) <= found.keys():
            yield found


def json_object(path: Path) -> dict[str, Any] | None:
    """None where the file is not there, or holds no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
