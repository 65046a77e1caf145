"""A store for tests, on SQLite and on a PostgreSQL of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from store.database import Store


class PostgreSQL:
    """A real server in a folder; every `database` is a new, empty one on it."""

    def __init__(self, folder: Path) -> None:
        import pgserver

        self._server = pgserver.get_server(folder, cleanup_mode="stop")
        self._url = sa.make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    def database(self) -> str:
        name = f"test_{secrets.token_hex(6)}"
        engine = sa.create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url.set(database=name).render_as_string(hide_password=False)

    def stop(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    pytest.importorskip("pgserver", reason="pgserver has no PostgreSQL for this Python")
    with TemporaryDirectory(prefix="postgresql-") as folder:  # root's server runs as another user, who must reach it
        server = PostgreSQL(Path(folder))
        yield server
        server.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store, once on each database."""
    if request.param == "sqlite":
        return Store(tmp_path)
    return Store(tmp_path, request.getfixturevalue("postgresql").database())
