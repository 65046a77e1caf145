"""Retrain now, promote, roll back: asked twice, protected from other sites, and only ever started from here."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass

import redis
from flask import request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.exceptions import BadRequest, Forbidden, NotFound

from backend.dashboard.i18n import say as _
from backend.dashboard.status import promote, roll_back
from cheques.settings import Settings
from store.versions import VersionError
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


def wanted(action: str, version: str, project: int) -> Wanted:
    """Raises NotFound, BadRequest."""
    if action not in ACTIONS:
        raise NotFound(f"no action {action[:20]}")
    if action == "promote" and not version:
        raise BadRequest("promote: which version?")
    return Wanted(action, project, version[:20])


def carry_out(wanted: Wanted, settings: Settings, connection: redis.Redis, why: str) -> str:
    """Do it; what stands in the way, in one line, or nothing."""
    try:
        match wanted.action:
            case "retrain":
                enqueue(RETRAIN, wanted.project, connection=connection, force=True)
                return ""
            case "promote":
                promote(settings, wanted.project, wanted.version, who(), why)
            case _:
                roll_back(settings, wanted.project, who())
        # Without Redis it is done all the same, once: `reconcile` sees that another version is in service.
        with suppress(QueueAway):
            enqueue(PRELABEL, wanted.project, connection=connection)
    except (VersionError, QueueAway) as error:
        return str(error)
    return ""


def who() -> str:
    """The user who is logged in, for the record of versions."""
    given = request.authorization
    return (given.username or "") if given else "this machine"


class Tokens:
    """Proof that a form came from this page: the browser sends the login along with what any site makes it send."""

    def __init__(self) -> None:
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="actions")

    def make(self, user: str) -> str:
        return str(self._signer.dumps(user))

    def check(self, token: str, user: str) -> None:
        """Raises Forbidden."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in SAME_SITE:
            raise Forbidden("this came from another site")
        try:
            if self._signer.loads(token, max_age=TOKEN_SECONDS) == user:
                return
        except BadSignature:
            pass
        raise Forbidden("the form is too old or not ours: go back, reload the page and ask again")
