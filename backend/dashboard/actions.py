"""What the lead may do on the page: retrain now, promote, roll back, change a project's settings.

Every form carries a token, so that no other site can make a logged-in browser send it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import redis
from flask import request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import BadRequest, Forbidden, NotFound

from backend.dashboard.i18n import say as _
from cheques.settings import Settings
from store.database import Store
from store.projects import OWN_SETTINGS, BadProjectSetting, own_settings, set_settings
from store.versions import VersionError, Versions
from worker.queue import PRELABEL, RETRAIN, QueueAway, enqueue

TOKEN_SECONDS = 3600
ACTIONS = ("retrain", "promote", "rollback")
SAME_SITE = ("same-origin", "none")  # none: typed into the address bar


@dataclass(frozen=True)
class Wanted:
    """What a lead asks for."""

    action: str
    project: int
    version: str = ""

    @property
    def question(self) -> str:
        match self.action:
            case "retrain":
                return _("Train a new version now from every label there is?")
            case "promote":
                return _("Put %(version)s in service? All unlabelled cheques will be read again.", version=self.version)
            case _:
                return _("Put the version before this one back in service? All unlabelled cheques will be read again.")


def asked_action(action: str, version: str, project: int) -> Wanted:
    """What a request asks for. Raises NotFound, BadRequest."""
    if action not in ACTIONS:
        raise NotFound(f"no action {action[:20]}")
    if action == "promote" and not version:
        raise BadRequest("promote: which version?")
    return Wanted(action, project, version[:20])


def carry_out(wanted: Wanted, settings: Settings, connection: redis.Redis, why: str) -> str:
    """Do it; returns what stands in the way, in one line, or nothing."""
    try:
        match wanted.action:
            case "retrain":
                enqueue(RETRAIN, wanted.project, connection=connection, force=True)
                return ""
            case "promote":
                promote(settings, wanted.project, wanted.version, who(), why)
            case _:
                roll_back(settings, wanted.project, who())
        # Without Redis the cheques are read again later: `reconcile` sees that another version is in service.
        with suppress(QueueAway):
            enqueue(PRELABEL, wanted.project, connection=connection)
    except (VersionError, QueueAway) as error:
        return str(error)
    return ""


def promote(settings: Settings, project: int, name: str, who: str, why: str) -> None:
    """Put a version in service; a rejected one only with a reason. Raises VersionError."""
    versions = Versions(Store.of(settings), project)
    rejected = versions.get(name).decision == "rejected"
    # The record of versions says why the gate was overruled.
    if rejected and not why:
        raise VersionError(f"{name} was rejected: say why it is to serve all the same")
    versions.promote(name, who=who, why=why or "from the page", force=rejected)


def roll_back(settings: Settings, project: int, who: str) -> None:
    """Put the champion's predecessor, or the base, back in service. Raises VersionError."""
    Versions(Store.of(settings), project).rollback(who=who, why="from the page")


def who() -> str:
    """The user who is logged in, for the record of versions."""
    given = request.authorization
    return (given.username or "") if given else "this machine"


class Tokens:
    """Proof that a form came from this page: the browser sends the login along with what any site makes it send."""

    def __init__(self) -> None:
        # A key for each process: after a restart an open form has to be asked for again.
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="actions")

    def make(self, user: str) -> str:
        return str(self._signer.dumps(user))

    def check(self, token: str, user: str) -> None:
        """Raises Forbidden."""
        # Older browsers do not say from which site a form comes: for them the token decides alone.
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in SAME_SITE:
            raise Forbidden("this came from another site")
        try:
            if self._signer.loads(token, max_age=TOKEN_SECONDS) == user:
                return
        except BadSignature:
            pass
        raise Forbidden("the form is too old or not ours: go back, reload the page and ask again")


@dataclass(frozen=True)
class SettingField:
    """A setting of a project. value: as it was typed for it, or empty; otherwise: what counts without it."""

    name: str
    label: str
    value: str
    otherwise: str
    choices: tuple[str, ...] = ()


def setting_fields(settings: Settings, project: int) -> list[SettingField]:
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
        value = as_typed(here[name]) if name in here else ""
        found.append(SettingField(name, labels[name], value, as_typed(getattr(settings, name)), choices))
    return found


def save_settings(settings: Settings, project: int, form: Mapping[str, str]) -> str:
    """Save what was typed; returns what is wrong with it, in one line, or nothing. Raises StoreError."""
    wanted = {name: form[name].strip() or None for name in OWN_SETTINGS if name in form}
    try:
        set_settings(Store.of(settings), project, wanted)
    except BadProjectSetting as error:
        return str(error)
    return ""


def as_typed(value: Any) -> str:
    """A setting's value as one types it: text without quotes, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
