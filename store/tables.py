"""The tables of the store. A change here needs a migration in `store/migrations/versions`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class Json(TypeDecorator[Any]):
    """JSON in ASCII: what was read may hold half a character (a lone surrogate), which neither database takes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        return None if value is None else json.loads(value)


class CachedJson(Json):
    """JSON of a cache: what is damaged counts as missing, and is made again."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        try:
            return super().process_result_value(value, dialect)
        except ValueError:
            return None


metadata = sa.MetaData()


def now() -> str:
    """This second in ISO 8601 and UTC, as every table keeps a time."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _counted() -> sa.Column[int]:
    # SQLite counts rows up by itself under this type alone.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)


# What nobody can make again.

# joined: when `connect` joined it; not served where it is null. last_version: the highest number ever given.
project = _table(
    "project",
    _key("id"),
    sa.Column("joined", sa.Text),
    _text("salt"),
    sa.Column("settings", Json, nullable=False),
    sa.Column("last_version", sa.Integer, nullable=False),
)

# The draw: what was drawn for each task. id: the order of drawing.
place = _table(
    "place",
    _counted(),
    _text("project"),
    _text("task"),
    sa.Column("u", sa.Double, nullable=False),
    _text("role"),
    sa.Column("arm", sa.Text),
    _text("digest"),
    _text("phash"),
    sa.Column("exam_share", sa.Double, nullable=False),
    sa.Column("blind_share", sa.Double, nullable=False),
)
sa.Index("place_of_task", place.c.project, place.c.task, unique=True)

blind_reading = _table(
    "blind_reading",
    _counted(),
    _text("project"),
    _text("task"),
    _text("version"),
    sa.Column("read", Json, nullable=False),
    sa.Column("confidence", Json, nullable=False),
)
sa.Index("blind_reading_of_project", blind_reading.c.project)

planted = _table(
    "planted",
    _counted(),
    _text("project"),
    _text("task"),
    _text("version"),
    _text("field"),
    sa.Column("read", Json, nullable=False),
    sa.Column("shown", Json, nullable=False),
)
sa.Index("planted_of_task", planted.c.project, planted.c.task, planted.c.version, unique=True)

# lessons: annotation id -> when it was last changed; only of a project's last training.
training = _table(
    "training",
    _counted(),
    _text("project"),
    _text("at"),
    _text("outcome"),
    sa.Column("version", sa.Text),
    sa.Column("lessons", Json, nullable=False),
)
sa.Index("training_of_project", training.c.project)

version = _table(
    "version",
    _key("project"),
    _key("name"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("record", Json, nullable=False),
)

# name: None where the base serves. before: who served before, latest last.
champion = _table("champion", _key("project"), sa.Column("name", sa.Text), sa.Column("before", Json, nullable=False))

promotion = _table("promotion", _counted(), _text("project"), sa.Column("entry", Json, nullable=False))
sa.Index("promotion_of_project", promotion.c.project)

# Caches: any row may be deleted at any time, and is made again.

reading = _table(
    "reading",
    _key("project"),
    _key("version"),
    _key("form"),
    _key("task"),
    _key("image"),
    sa.Column("reading", CachedJson, nullable=False),
)

UNREADABLE_CHEQUE = "unreadable"  # in place of the confidences of a cheque on which nothing can be read

# What the order of labelling needs of a cheque. features: float16, of its first reading; the rest of the latest one.
sight = _table(
    "sight",
    _key("project"),
    _key("task"),
    _text("version"),
    _text("form"),
    sa.Column("confidence", CachedJson),
    sa.Column("signal", sa.Double, nullable=False),
    sa.Column("features", sa.LargeBinary),
)

annotation = _table("annotation", _key("project"), _key("task"), sa.Column("rows", CachedJson, nullable=False))

# How far something has got: the worker's looks at Label Studio, the page's, what could not be read, the learning curve.
mark = _table("mark", _key("project"), _key("name"), sa.Column("value", CachedJson, nullable=False))

CACHES = (reading, sight, annotation, mark)
