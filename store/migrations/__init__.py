"""The tables' history, by Alembic: `upgrade` brings a database to the tables of this release."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory


def head() -> str:
    """The tables' revision of this release."""
    found = ScriptDirectory(str(Path(__file__).parent)).get_current_head()
    assert found is not None
    return found


def upgrade(connection: sa.Connection) -> None:
    """Inside the connection's transaction; nothing where the tables are of this release already."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if MigrationContext.configure(connection).get_current_revision() != head():
        command.upgrade(config, "head")
