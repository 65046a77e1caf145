"""The backend's batch route as the worker uses it: patient with a backend that restarts or has lent its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from cheques.network import why
from cheques.settings import Settings
from reader.base_model import base_identity, differs
from reader.reading import Reading
from store.marks import Unread
from studio.client import Task
from studio.config import Config

PATIENCE_SECONDS = 300.0  # a backend that restarts has loaded its model by then
ANSWER_SECONDS = 1800.0


class BackendError(Exception):
    """The backend is away, refuses, or has no reader: one line."""


class VersionChanged(Exception):
    """Another version came into service meanwhile: what was read so far is to be read again."""


class NotNow(Exception):
    """It restarts, or has lent its card to a training: ask again."""


class BackendClient:
    """Reads tasks of one project through the backend, as the version that is expected to be in service.

    unread: of the tasks asked for so far, those that could not be read, and why.
    """

    def __init__(
        self, settings: Settings, project: int, label_config: str, config: Config, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._url = str(settings.backend_url).rstrip("/") + "/read"
        self._about = {"project": project, "label_config": label_config}
        self._base = base_identity(settings.model)
        self._data_of = config.data_of
        self._patience = patience
        self.unread: dict[int, Unread] = {}
        self._session = requests.Session()
        if settings.password is not None:
            self._session.auth = (settings.user, settings.password.get_secret_value())

    def read(self, tasks: Sequence[Task], version: str) -> dict[int, Reading | None]:
        """By task: its reading, None where it cannot be read; tasks that may be read later are left out.

        Raises BackendError, VersionChanged.
        """
        sent = [{"id": task.id, "data": self._data_of(task.image)} for task in tasks]
        retrying = Retrying(
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(0.5, max=10),
            retry=retry_if_exception_type(NotNow),
        )
        try:
            answer = retrying(self.ask, {**self._about, "tasks": sent})
        except RetryError as error:
            reason = error.last_attempt.exception()
            raise BackendError(f"{self._url}: {reason}; is the backend running, and its model whole?") from None
        if answer["version"] != version:
            raise VersionChanged(f"{answer['version']} is in service, no longer {version}")
        if differs(base := str(answer.get("base") or self._base), self._base):
            raise BackendError(
                f"{self._url} reads with {base}, this worker is set to {self._base}: give both the same"
                " CHEQUEMATE_MODEL, and start them again"
            )
        images = {task.id: task.image for task in tasks}
        for one in answer["readings"]:
            task = int(one["task"])
            self.unread.pop(task, None)
            if one["error"]:
                self.unread[task] = Unread.of(task, images[task], one["error"], one["passing"])
        return {
            int(one["task"]): None
            if one["error"]
            else Reading(one["values"], one["confidence"], embedding=tuple(one["embedding"]))
            for one in answer["readings"]
            if not one["passing"]
        }

    def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask once. Raises NotNow, BackendError."""
        try:
            answer = self._session.post(self._url, json=body, timeout=(5, ANSWER_SECONDS))
        except (requests.ConnectionError, requests.Timeout) as error:
            if reason := why(error, "CHEQUEMATE_BACKEND_URL"):
                raise BackendError(f"the backend at {self._url} is not reached: {reason}") from None
            raise NotNow(f"no answer ({type(error).__name__})") from None
        try:
            content: dict[str, Any] = answer.json()
        except ValueError:
            content = {}
        if answer.status_code in (502, 503, 504):
            raise NotNow(content.get("error", f"answers {answer.status_code}"))
        if answer.status_code != 200:
            raise BackendError(f"{self._url} answers {answer.status_code}: {content.get('error', 'no reason given')}")
        return content
