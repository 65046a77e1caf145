"""Chequemate's own state: one database, SQLite or PostgreSQL, and one folder of files beside it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from cheques.settings import Settings
from store import tables

FILE = "chequemate.db"
AT_ONCE = 500  # values that one query names: SQLite before 3.32 takes at most 999, and PostgreSQL 65,535
WAIT_SECONDS = 60  # for another process that writes
MIGRATING = 0x63686571  # the number of PostgreSQL's lock under which tables are made or changed


class StoreError(OSError):
    """The database cannot be used now (full disk, held, away): `strerror` is one line, and nothing was written."""

    def __init__(self, reason: str, number: int = errno.EIO) -> None:
        super().__init__(number, reason)

    def __str__(self) -> str:
        return str(self.strerror)


class Store:
    """The database and the files of one home.

    url: of PostgreSQL; without one it is `chequemate.db` in `home`. files: where adapters, reports and images lie;
    `home` where it is not given. Tables are made, and files of older releases taken over, when it is first used.
    """

    def __init__(self, home: Path, url: str | None = None, files: Path | None = None) -> None:
        self.home = home
        self.files = files or home
        self.url = url or f"sqlite:///{(home / FILE).absolute()}"

    @classmethod
    def of(cls, settings: Settings) -> Store:
        url = settings.database_url.get_secret_value() if settings.database_url else None
        return cls(settings.home, url, settings.files)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite:")

    @contextmanager
    def begin(self, project: str | None = None) -> Iterator[sa.Connection]:
        """A transaction that writes: whole when it ends, nothing of it after an error or a kill.

        project: nobody else writes what belongs to it meanwhile; its row is made if there is none. Raises
        StoreError.
        """
        with self._connected(write=True) as connection:
            if project is not None:
                row = {"id": project, "salt": secrets.token_hex(16), "settings": {}, "last_version": 0}
                connection.execute(insert(connection, tables.project).values(row).on_conflict_do_nothing())
                # SQLite has one writer in all; PostgreSQL keeps others from this project's row.
                query = sa.select(tables.project.c.id).where(tables.project.c.id == project).with_for_update()
                connection.execute(query)
            yield connection

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, of one moment. Raises StoreError."""
        with self._connected(write=False) as connection:
            yield connection

    def clear_traces(self) -> None:
        """What was deleted is in no file any more: SQLite's log keeps pages for a while as they were before."""
        if self.is_sqlite:
            with self._connected(write=False) as connection:
                # Outside a transaction: SQLite refuses a checkpoint inside one that has read or written.
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
                connection.exec_driver_sql("BEGIN")

    @contextmanager
    def _connected(self, write: bool) -> Iterator[sa.Connection]:
        try:
            engine = _ready_engine(self)
            options: dict[str, Any] = {"write": write}
            if not write and not self.is_sqlite:
                options["isolation_level"] = "REPEATABLE READ"  # SQLite reads as of one moment anyway
            with engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except IntegrityError:
            raise  # a row that the tables refuse is a bug, not a database that cannot be used
        except DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            path = self.home / FILE
            if not self.is_sqlite:
                at = sa.make_url(self.url)
                raise StoreError(
                    f"PostgreSQL at {at.host or 'its socket'} cannot be used ({reason[:120]}): "
                    "start it, or correct CHEQUEMATE_DATABASE_URL"
                ) from None
            if "full" in reason:
                raise StoreError("No space left on device", errno.ENOSPC) from None
            if "malformed" in reason or "not a database" in reason:
                line = f"{path} is damaged: move it away and bring back a backup (chequemate restore FILE)"
            elif "locked" in reason:
                line = f"{path} is held by another process for more than {WAIT_SECONDS} s: see what it does"
            else:
                line = f"{path} cannot be used ({reason[:120]})"
            raise StoreError(line) from None


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT of the connection's own dialect, which can say what to do about a row that is there already."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows, each in place of one with the same primary key."""
    listed = [dict(row) for row in rows]
    if not listed:
        return
    query = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {name: query.excluded[name] for name in listed[0] if name not in keys}
    connection.execute(query.on_conflict_do_update(index_elements=keys, set_=others), listed)


def delete_tasks(connection: sa.Connection, table: sa.Table, project: int, tasks: Iterable[int | str]) -> int:
    """Delete the rows of these tasks of a project; how many rows."""
    listed = [str(task) for task in tasks]
    own = table.c.project == str(project)
    chunks = (listed[start : start + AT_ONCE] for start in range(0, len(listed), AT_ONCE))
    return sum(connection.execute(table.delete().where(own, table.c.task.in_(some))).rowcount for some in chunks)


_engines: list[sa.Engine] = []


@lru_cache(maxsize=64)
def _engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite:"):
        try:
            # psycopg, whatever the address says: it is the driver that the extra brings. pool_pre_ping: a server that
            # was restarted leaves dead connections in the pool.
            server = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        except ModuleNotFoundError:
            raise StoreError("CHEQUEMATE_DATABASE_URL needs the extra postgres: install psycopg[binary]") from None
        except (sa.exc.ArgumentError, ValueError):  # whose messages may hold the password
            raise StoreError(
                "CHEQUEMATE_DATABASE_URL is no address: escape / # @ in its password as %2F %23 %40"
            ) from None
        _engines.append(server)
        return server
    # isolation_level None: otherwise Python's sqlite3 begins transactions by itself, and only before a write.
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_SECONDS, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a promotion survives a power cut
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: cheques are personal data

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later fails in SQLite where another one wrote in between.
        write = connection.get_execution_options().get("write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    _engines.append(engine)
    return engine


_ready: set[tuple[str, Path]] = set()


def _ready_engine(store: Store) -> sa.Engine:
    """The engine of a database whose tables are those of this release."""
    if store.is_sqlite and not (store.home / FILE).exists():
        store.home.mkdir(parents=True, exist_ok=True)
        _engine(store.url).dispose()  # its connections are to a file that was deleted
        _ready.discard((store.url, store.home))
    engine = _engine(store.url)
    if (store.url, store.home) not in _ready:
        from store.migrations import upgrade
        from store.takeover import set_aside, take_over

        with engine.connect().execution_options(write=True) as connection, connection.begin():
            if not store.is_sqlite:  # SQLite has one writer at a time anyway
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATING})")
            upgrade(connection)
            take_over(connection, store.home)
        set_aside(store.home)
        _ready.add((store.url, store.home))
    return engine


def _after_fork() -> None:
    # A connection must not be used on both sides of a fork, and closing it on one side ends it on the other.
    for engine in _engines:
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
