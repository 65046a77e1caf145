"""The settings of a project as a form: what it has otherwise than the environment says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from backend.dashboard.i18n import say as _
from cheques.settings import Settings
from store.database import Store
from store.projects import OWN_SETTINGS, BadProjectSetting, own_settings, set_settings


@dataclass(frozen=True)
class Field:
    """One setting. value: as it was typed for this project, or nothing; otherwise: what counts without it."""

    name: str
    label: str
    value: str
    otherwise: str
    choices: tuple[str, ...] = ()


def fields_of(settings: Settings, project: int) -> list[Field]:
    """Every setting that a project may have, in the order of the table in docs/configuration.md. Raises StoreError."""
    here = own_settings(Store.of(settings), project)
    labels = {
        "retrain_every": _("New or changed labels that start a retraining"),
        "strategy": _("Which cheque comes next"),
        "worth": _("What a field is worth to that order, as JSON"),
        "doubt": _("Fields less sure than this are named to the annotator"),
        "blind": _("Show half of the exam without pre-labels, to measure the time saved"),
        "second_share": _("Share of the exam that a second annotator labels"),
        "planted": _("Share of the pre-labels that show one planted error"),
    }
    found = []
    for name in OWN_SETTINGS:
        kind = Settings.model_fields[name].annotation
        choices = ("true", "false") if kind is bool else tuple(map(str, get_args(kind))) if name == "strategy" else ()
        value = _typed(here[name]) if name in here else ""
        found.append(Field(name, labels[name], value, _typed(getattr(settings, name)), choices))
    return found


def take(settings: Settings, project: int, form: Mapping[str, str]) -> str:
    """Take what was typed; what is wrong with it, in one line, or nothing. Raises StoreError."""
    wanted = {name: form[name].strip() or None for name in OWN_SETTINGS if name in form}
    try:
        set_settings(Store.of(settings), project, wanted)
    except BadProjectSetting as error:
        return str(error)
    return ""


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
