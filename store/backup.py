"""A backup: every row that nobody can make again and every file, in one archive, of one moment; and its restoring.

The archive is a plain tar with `chequemate-backup.json`, one file of JSON lines for each table, and `files/`. So a
backup of SQLite can be restored into PostgreSQL, and the other way round. Readings and other caches are left out.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, cast

import sqlalchemy as sa

from cheques.disk import sync_folder, sync_tree
from store import tables
from store.database import Store
from store.migrations import head

ABOUT = "chequemate-backup.json"
ROOMS = ("versions", "projects")  # below the store's folder of files
KEPT = [table for table in tables.metadata.sorted_tables if table not in tables.CACHES]


class BadBackup(Exception):
    """An archive that is no backup, or a store that is not empty: one line, what and what to do."""


def backup(store: Store, path: Path) -> dict[str, int]:
    """Write the archive whole or not at all, while everything runs; rows by table, and files. Raises OSError."""
    draft = path.with_name(f".{path.name}.part")
    counts = {}
    try:
        # It holds pictures of cheques: nobody but its owner may read it.
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(handle, "wb") as file,
            tarfile.open(fileobj=file, mode="w") as archive,
            store.look() as connection,
        ):
            about = {"made": tables.now(), "tables": head()}
            add_text(archive, ABOUT, json.dumps(about))
            for table in KEPT:
                rows = [json.dumps(dict(row)) for row in connection.execute(sa.select(table)).mappings()]
                add_text(archive, f"tables/{table.name}.jsonl", "".join(f"{row}\n" for row in rows))
                counts[table.name] = len(rows)
            # A version's folder is whole before it has a row, and does not change: the rows above say which there are.
            names = connection.execute(sa.select(tables.version.c.project, tables.version.c.name)).all()
            folders = [store.files / "versions" / project / name for project, name in names]
            folders += (store.files / "projects").glob("*/images")
            found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
            counts["files"] = 0
            for one in found:
                try:
                    archive.add(one, f"files/{one.relative_to(store.files).as_posix()}")
                except FileNotFoundError:  # an image that a retraining no longer needs, or a version that was pruned
                    continue
                counts["files"] += 1
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.absolute().parent)
    return counts


def restore(store: Store, path: Path) -> dict[str, int]:
    """Bring a backup into an empty store; rows by table, and files.

    Files come first and rows last, in one transaction: after a kill the store is still empty, and this can be called
    again. Raises BadBackup, OSError.
    """
    with store.look() as connection:
        if any(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in KEPT):
            raise BadBackup("the store is not empty: restore into another CHEQUEMATE_HOME or database")
    try:
        with tarfile.open(path) as archive:
            about = read_text(archive, ABOUT)
            if json.loads(about).get("tables") != head():
                raise BadBackup(f"{path} was made by another release: restore it with that one, then upgrade")
            rows = {
                table: [json.loads(line) for line in read_text(archive, f"tables/{table.name}.jsonl").splitlines()]
                for table in KEPT
            }
            store.files.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".restore-", dir=store.files) as draft:
                members = [one for one in archive.getmembers() if one.name.startswith("files/")]
                for member in members:
                    extract_below(Path(draft), archive, member)
                counts = {"files": len(members)}
                for room in ROOMS:
                    for folder in (Path(draft) / "files" / room).glob("*"):
                        sync_tree(folder)
                        # What is there comes from a restore that was killed: the store was empty then as it is now.
                        place = store.files / room / folder.name
                        place.parent.mkdir(parents=True, exist_ok=True)
                        if place.exists():
                            shutil.rmtree(place)
                        folder.replace(place)
                        sync_folder(place.parent)
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise BadBackup(f"{path} is no backup of Chequemate, or cut short ({type(error).__name__})") from None
    with store.begin() as connection:
        for table, listed in rows.items():
            if listed:
                connection.execute(table.insert(), listed)
            counts[table.name] = len(listed)
            if "id" in table.c and isinstance(table.c.id.type, sa.BigInteger) and not store.is_sqlite and listed:
                # PostgreSQL counts on from where its own sequence is, not from the largest number.
                name = f"pg_get_serial_sequence('{table.name}', 'id')"
                connection.exec_driver_sql(f"SELECT setval({name}, (SELECT max(id) FROM {table.name}))")
    return counts


def extract_below(folder: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Write one file below the folder. Raises ValueError where it is no file, or its name leads elsewhere."""
    # By hand: tarfile has had a filter for such names only since Python 3.11.4.
    place = (folder / member.name).resolve()
    if not member.isfile() or not place.is_relative_to(folder.resolve()):
        raise ValueError("no file of a backup")
    place.parent.mkdir(parents=True, exist_ok=True)
    with cast(IO[bytes], archive.extractfile(member)) as source, place.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    """Add a file that only its owner may read."""
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def read_text(archive: tarfile.TarFile, name: str) -> str:
    """A file of the archive. Raises KeyError where it is not there."""
    file = archive.extractfile(name)
    assert file is not None
    return file.read().decode()
