"""The Label Studio projects that are served, and each one's own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from cheques.settings import Settings
from store import tables
from store.database import Store

# What a project may set otherwise than the environment.
OWN_SETTINGS = ("retrain_every", "strategy", "worth", "doubt", "blind", "second_share", "planted")
rows = tables.project


class BadProjectSetting(ValueError):
    """A setting that a project cannot have, or a value that it cannot take: one line."""


def project_number(sent: object) -> int | None:
    """A project's number as somebody outside sends it, as text or in JSON; None for whatever else it is."""
    # Not str.isdigit, which calls "²" a digit; 18 digits, for a database's integers have 64 bits.
    return int(text) or None if re.fullmatch("[0-9]{1,18}", text := str(sent)) else None


def join(store: Store, project: int) -> None:
    """Serve this project from now on; again does no harm."""
    with store.begin(str(project)) as connection:
        new = rows.c.id == str(project), rows.c.joined.is_(None)
        connection.execute(rows.update().where(*new).values(joined=tables.now()))


def leave(store: Store, project: int) -> None:
    """Serve it no more; its draw and versions stay."""
    with store.begin(str(project)) as connection:
        connection.execute(rows.update().where(rows.c.id == str(project)).values(joined=None))


def served(settings: Settings) -> list[int]:
    """Every project to serve: those joined by `chequemate connect`, and those of CHEQUEMATE_PROJECTS."""
    with Store.of(settings).look() as connection:
        names = connection.execute(sa.select(rows.c.id).where(rows.c.joined.is_not(None))).scalars()
        return sorted({*(number for name in names if (number := project_number(name))), *settings.projects})


def known_projects(store: Store) -> list[int]:
    """Every Label Studio project that anything is known of."""
    with store.look() as connection:
        names = connection.execute(sa.select(rows.c.id)).scalars()
        return sorted(number for name in names if (number := project_number(name)))


def images_of(store: Store, project: int) -> Path:
    """The folder of the images of its labelled cheques."""
    return store.files / "projects" / str(project) / "images"


def own_settings(store: Store, project: int) -> dict[str, Any]:
    """What this project sets otherwise than the environment, by name."""
    with store.look() as connection:
        found = connection.execute(sa.select(rows.c.settings).where(rows.c.id == str(project))).scalar_one_or_none()
    return dict(found or {})


def settings_of(store: Store, settings: Settings, project: int) -> Settings:
    """The settings that count for this project."""
    return settings.model_copy(update=own_settings(store, project))


def set_settings(store: Store, project: int, wanted: Mapping[str, str | None]) -> dict[str, Any]:
    """Take these settings, as typed, for this project; None: the environment's again. Raises BadProjectSetting."""
    taken = dict[str, Any]()
    for name, text in wanted.items():
        if text is None:
            taken[name] = None
            continue
        if name not in OWN_SETTINGS:
            raise BadProjectSetting(f"{name} is no setting of a project: give one of {', '.join(OWN_SETTINGS)}")
        adapter: TypeAdapter[Any] = TypeAdapter(Settings.model_fields[name].rebuild_annotation())
        try:
            taken[name] = adapter.validate_json(text) if name == "worth" else adapter.validate_python(text)
        except ValidationError as error:
            raise BadProjectSetting(f"{name}={text}: {error.errors()[0]['msg']}") from None
    with store.begin(str(project)) as connection:
        own = rows.c.id == str(project)
        before = connection.execute(sa.select(rows.c.settings).where(own)).scalar_one()
        now = {name: value for name, value in (before | taken).items() if value is not None}
        connection.execute(rows.update().where(own).values(settings=now))
    return now
