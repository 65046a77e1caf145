"""One client of Label Studio: tasks and labels page by page, predictions, project settings, backends, webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import islice
from typing import Any, Literal
from urllib.parse import quote

from cheques.settings import Settings
from studio.api_types import Project, StoredPrediction, Task, moment, project_of, task_of, where
from studio.config import HINT, Config
from studio.connection import Connection, Moved, StudioError
from studio.formats import Label, label

__all__ = ["Project", "StoredPrediction", "Studio", "StudioError", "Task"]

SAMPLING = "Uncertainty sampling"
TASKS_A_PAGE = 500
LABELS_A_PAGE = 100  # these come with annotations and every stored prediction
PREDICTIONS_A_REQUEST = 500
ANNOTATORS = 2  # of a task that is given to a second one
Labels = Literal["any", "none", "one", "some"]
LABELS: dict[Labels, list[dict[str, Any]]] = {
    "any": [],
    "none": [where("total_annotations", "equal", 0)],
    "one": [where("total_annotations", "equal", 1)],
    "some": [where("total_annotations", "greater", 0)],
}


class Studio:
    """Label Studio at `url`; `token` is a legacy token or a personal access token. Every method raises StudioError."""

    def __init__(self, url: str, token: str, timeout: float = 60.0, attempts: int = 4) -> None:
        self.url = url.rstrip("/")
        self._connection = Connection(url, token, timeout, attempts)
        self._get, self._call, self._sdk = self._connection.get, self._connection.call, self._connection.sdk

    @classmethod
    def of(cls, settings: Settings) -> Studio:
        """The Label Studio of the settings."""
        if settings.studio_token is None:
            raise StudioError(
                "no token for Label Studio: set CHEQUEMATE_STUDIO_TOKEN (Label Studio > Account & Settings > token)"
            )
        return cls(str(settings.studio_url), settings.studio_token.get_secret_value())

    def whoami(self) -> dict[str, Any]:
        """The user whose token this is: id, email, …"""
        user: dict[str, Any] = self._call(self._sdk.users.whoami).dict()
        return user

    def server_version(self) -> str:
        """The release of the server; asked without a token."""
        return str(self._get("/api/version", auth=False).json().get("release", ""))

    def projects(self) -> list[Project]:
        """All projects that the token's user sees."""
        return [project_of(p.dict()) for p in self._call(lambda: list(self._sdk.projects.list()))]

    def project(self, project: int) -> Project:
        try:
            return project_of(self._get(f"/api/projects/{project}").json())
        except StudioError as error:
            if error.status != 404:
                raise
            ids = ", ".join(str(p.id) for p in self.projects()) or "none yet"
            raise StudioError(
                f"Label Studio has no project {project}; it has {ids}: choose one of these", 404
            ) from None

    def create_project(self, title: str, label_config: str) -> Project:
        made = self._call(lambda: self._sdk.projects.create(title=title, label_config=label_config), safe=False)
        return self.project(made.id)

    def patch_project(self, project: int, **changes: Any) -> None:
        """Change settings of a project: model_version, sampling, show_collab_predictions, …"""
        self._call(lambda: self._sdk.projects.update(project, **changes))

    def serve(self, project: int, version: str) -> None:
        """Show the predictions of `version`, the lowest score first: once they are imported, never before."""
        self.patch_project(project, model_version=version, sampling=SAMPLING, show_collab_predictions=True)

    def annotators(self, project: int) -> int:
        """How many people have annotated in the project; 0 where the release does not tell (1.20 and before)."""
        return len(self._get_known(f"/api/projects/{project}/annotators/") or ())

    def members(self, project: int) -> int:
        """How many members the project has; 0 where the edition knows none."""
        return len(self._get_known(f"/api/projects/{project}/members") or ())

    def predicted_versions(self, project: int) -> dict[str, int]:
        """How many predictions of each version the project holds."""
        counts = self._get(f"/api/projects/{project}/model-versions/").json()
        # The version that the project shows is among them even with no prediction.
        return {str(version): int(count) for version, count in counts.items() if count}

    def token_settings(self) -> dict[str, bool]:
        """Which kinds of token the organisation accepts: api_tokens_enabled, legacy_api_tokens_enabled.

        Nothing where the release knows one kind only, the legacy one (1.13).
        """
        return dict(self._get_known("/api/jwt/settings") or {})

    def now(self) -> datetime:
        """What the server's clock says, in whole seconds; this machine's where the server does not say."""
        sent = self._get("/api/version", auth=False).headers.get("Date")
        return parsedate_to_datetime(sent) if sent else datetime.now(UTC)

    def clock_ahead(self) -> float:
        """By how many seconds the server's clock is ahead of this machine's."""
        return (self.now() - datetime.now(UTC)).total_seconds()

    def import_tasks(self, project: int, tasks: list[dict[str, Any]]) -> list[int]:
        """Add tasks (data such as {"image": URL}, or whole tasks with annotations); their ids, in this order."""
        made = self._call(
            lambda: self._sdk.projects.import_tasks(project, request=tasks, return_task_ids=True), safe=False
        )
        return list(made.task_ids)

    def upload(self, project: int, name: str, content: bytes) -> str:
        """Store a file in Label Studio; its URL for a task. It makes no task."""
        sent = self._connection.upload(f"/api/projects/{project}/import?commit_to_project=false", name, content)
        (number,) = sent.json()["file_upload_ids"]
        return f"/data/{quote(self._get(f'/api/import/file-upload/{number}').json()['file'])}"

    def task_data(self, project: int) -> Iterator[tuple[int, dict[str, Any], bool]]:
        """Of every task: its id, its data as imported, and whether it has an annotation."""
        for task in self._pages(project, [], TASKS_A_PAGE, "task_only"):
            yield task["id"], task["data"], bool(task.get("total_annotations") or task.get("is_labeled"))

    def change_data(self, task: int, **changes: Any) -> None:
        """Change some of a task's data; the rest of it stays."""
        # The API replaces a task's data as a whole.
        data = dict(self._get(f"/api/tasks/{task}", resolve_uri="false").json()["data"])
        self._call(lambda: self._sdk.tasks.update(str(task), data=data | changes))

    def users(self) -> dict[str, int]:
        """The id of every user of the organisation, by e-mail."""
        return {str(user["email"]).lower(): int(user["id"]) for user in self._get("/api/users/").json()}

    def has_annotation(self, annotation: int, created_at: str) -> bool:
        """Did this server make the annotation, at this very moment?"""
        known = self._get_known(f"/api/annotations/{annotation}/")
        return known is not None and bool(known["created_at"] == created_at)

    def serve_files(self, project: int, folder: str) -> None:
        """Let the project's tasks show `/data/local-files/?d=…` of this folder. Doing it twice does no harm."""
        known = self._get("/api/storages/localfiles", project=project).json()
        if not any(str(storage.get("path", "")).rstrip("/") == folder.rstrip("/") for storage in known):
            about = {"project": project, "path": folder, "title": "cheques", "use_blob_urls": True}
            self._call(lambda: self._sdk.import_storage.local.create(**about), safe=False)

    def tasks(
        self, project: int, config: Config, *, labels: Labels = "any", stored: bool = False, after: int = 0
    ) -> Iterator[Task]:
        """Tasks in ascending id, page by page: memory stays flat over any number of them.

        labels: only those with so many annotations. stored: with their predictions (slower). after: an id.
        """
        wanted = LABELS[labels]
        size, fields = (LABELS_A_PAGE, "all") if stored else (TASKS_A_PAGE, "task_only")
        for task in self._pages(project, wanted, size, fields, after):
            yield task_of(task, config)

    def task(self, task: int, config: Config) -> Task:
        # As imported: when Label Studio resolves s3://…, it sends an address of its own.
        return task_of(self._get(f"/api/tasks/{task}", resolve_uri="false").json(), config)

    def labels(self, project: int, config: Config, since: str = "") -> Iterator[Label]:
        """Every annotation, skips too, task by task, page by page.

        since: an `updated_at`; only tasks that changed after it. A deletion shows in `changed_tasks` alone.
        """
        for _, labels in self.changed_tasks(project, config, since):
            yield from labels

    def changed_tasks(self, project: int, config: Config, since: str = "") -> Iterator[tuple[int, tuple[Label, ...]]]:
        """(task, its annotations) of every task that has some, or, with `since`, of every task that changed after it.

        A task that lost its last annotation after `since` comes with none.
        """
        # The task list joins all its conditions by "and", or all by "or": tasks with skips alone take a second pass.
        if since:
            passes = [[where("updated_at", "greater", moment(since), "Datetime")]]
        else:
            passes = [
                LABELS["some"],
                [where("total_annotations", "equal", 0), where("cancelled_annotations", "greater", 0)],
            ]
        for wanted in passes:
            for task in self._pages(project, wanted, LABELS_A_PAGE, "all"):
                yield task["id"], tuple(label(annotation, task, config) for annotation in task["annotations"])

    def import_predictions(self, project: int, predictions: Iterable[dict[str, Any]]) -> int:
        """Store predictions ({"task": id, **formats.prediction(…)}), a chunk at a time; how many were stored.

        Label Studio keeps what a task had before: before a second run, ask `tasks(stored=True)` what is there.
        """
        rest, count = iter(predictions), 0
        while chunk := list(islice(rest, PREDICTIONS_A_REQUEST)):
            done = self._call(partial(self._sdk.projects.import_predictions, project, request=chunk), safe=False)
            created = min(len(chunk) if done.created is None else done.created, len(chunk))
            full = [one for one in chunk if one["result"]]
            # Label Studio's check of an import does not know the names that a Repeater makes ("date_0"). It drops all
            # predictions with such a name without a word, and answers 201. One at a time it takes them.
            if full and created == len(chunk) - len(full):
                for one in full:
                    self._call(partial(self._sdk.predictions.create, **one), safe=False)
                created = len(chunk)
            count += created
        return count

    def patch_score(self, prediction: int, score: float) -> None:
        """Move a stored prediction in the order of labelling without reading again."""
        self._call(lambda: self._sdk.predictions.update(prediction, score=score))

    def rewrite_prediction(self, prediction: int, result: list[dict[str, Any]], score: float) -> None:
        """Let a stored prediction show something else, for whoever opens its task from now on."""
        self._call(lambda: self._sdk.predictions.update(prediction, result=result, score=score))

    def set_hint(self, task: int, hint: str) -> None:
        """Tell the task's annotator where to look; the rest of its data stays."""
        self.change_data(task, **{HINT: hint})

    def annotate(self, task: int, result: list[dict[str, Any]], **more: Any) -> int:
        """Submit an annotation as a person would (lead_time, parent_prediction, was_cancelled, …); its id."""
        return int(self._call(lambda: self._sdk.annotations.create(task, result=result, **more), safe=False).id)

    def next_task(self, project: int) -> dict[str, Any] | None:
        """The task that the "Label All Tasks" button would show to the token's user; None when all are done."""
        try:
            return dict(self._get(f"/api/projects/{project}/next").json())
        except StudioError as error:
            if error.status == 404:
                return None
            raise

    def backends(self, project: int) -> list[dict[str, Any]]:
        """The project's ML backends: id, url, title, state, auth_method, error_message, …"""
        return list(self._get("/api/ml", project=project).json())

    def register_backend(self, project: int, url: str, title: str, user: str, password: str) -> int:
        """Connect the backend at `url` with basic auth, or bring the one of this title up to date; its id.

        Label Studio asks /health and /setup at once: the backend must be up. Sets project.model_version to `title`.
        """
        auth = {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password} if password else {}
        known = next((b["id"] for b in self.backends(project) if b["title"] == title), None)
        # A PATCH needs url, project and title each time: with the title alone the server answers 500.
        about = {"url": url, "project": project, "title": title, **auth}
        if known is None:
            return int(self._call(lambda: self._sdk.ml.create(**about), safe=False).id)
        self._call(lambda: self._sdk.ml.update(known, **about))
        return int(known)

    def unregister_backend(self, project: int, backend: int, webhook: str) -> None:
        """Undo `register_backend`, and remove the webhook that Label Studio made for it and leaves behind."""
        self._call(lambda: self._sdk.ml.delete(backend))
        for hook in self.webhooks(project):
            if hook["url"].rstrip("/") == webhook.rstrip("/"):
                self._call(partial(self._sdk.webhooks.delete, hook["id"]))

    def webhooks(self, project: int) -> list[dict[str, Any]]:
        """The project's webhooks: id, url, headers, actions, is_active, …"""
        return [w for w in self._get("/api/webhooks/", project=project).json() if w.get("project") == project]

    def register_webhook(self, project: int, url: str, headers: Mapping[str, str], was: str = "") -> int:
        """Send every event of the project to `url` with these headers; its id. was: the address it had before.

        Label Studio makes a webhook for each backend, without auth: it is given these headers. A second webhook
        sends every event twice: all but one are removed, at the former address too.
        """
        about: dict[str, Any] = {"url": url, "headers": dict(headers), "is_active": True}
        about |= {"send_payload": True, "send_for_all_actions": True}
        ours = [w["id"] for w in self.webhooks(project) if w["url"].rstrip("/") in (url.rstrip("/"), was.rstrip("/"))]
        for extra in ours[1:]:
            self._call(partial(self._sdk.webhooks.delete, extra))
        if not ours:
            return int(self._call(lambda: self._sdk.webhooks.create(project=project, **about), safe=False).id)
        self._call(lambda: self._sdk.webhooks.update(ours[0], **about))
        return int(ours[0])

    def get_file(self, path: str, limit: int) -> bytes | Moved:
        """A file that Label Studio serves ("/data/…", "/projects/N/resolve/…"), of at most `limit` bytes.

        Where Label Studio redirects, the caller follows, without the token.
        """
        return self._connection.download(path, limit)

    def storages(self, project: int) -> list[dict[str, Any]]:
        """The project's source storages, without their keys: type, bucket, s3_endpoint, presign, …"""
        return list(self._get("/api/storages/", project=project).json())

    def ask_second(self, project: int, wanted: Callable[[int], bool]) -> int:
        """See to it that each wanted task is served until two people have labelled it; how many are asked for now.

        A task's `overlap` does it, never the project's own "annotations per task": above 1 Label Studio serves begun
        tasks before uncertain ones. Nobody is given a task again that they have labelled. Nothing is taken back.
        """
        asked = 0
        for task in self._pages(project, [], TASKS_A_PAGE, "task_only"):
            number, people = int(task["id"]), int(task.get("overlap") or 1)
            if people < ANNOTATORS and int(task.get("total_annotations") or 0) < ANNOTATORS and wanted(number):
                # A task that one person has done counts as done until it is said that it is not.
                self._call(partial(self._sdk.tasks.update, str(number), overlap=ANNOTATORS, is_labeled=False))
                asked += 1
        return asked

    def _get_known(self, path: str) -> Any:
        """What the server answers; None where it knows no such thing, or is a release without it."""
        try:
            return self._get(path).json()
        except StudioError as error:
            if error.status == 404:
                return None
            raise

    def _pages(
        self, project: int, wanted: list[dict[str, Any]], size: int, fields: str, after: int = 0
    ) -> Iterator[dict[str, Any]]:
        # By id and not by page number: a task that is labelled meanwhile shifts the pages, and some would be missed.
        while True:
            query = {
                "filters": {"conjunction": "and", "items": [where("id", "greater", after), *wanted]},
                "ordering": ["tasks:id"],
            }
            page = self._get(
                "/api/tasks",
                project=project,
                fields=fields,
                page_size=size,
                resolve_uri="false",
                query=json.dumps(query),
            ).json()["tasks"]
            yield from page
            if len(page) < size:
                return
            if page[-1]["id"] <= after:
                raise StudioError(f"Label Studio at {self.url} sends the same page again: is there a cache in between?")
            after = page[-1]["id"]
