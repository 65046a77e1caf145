"""What each route answers. The habits of Label Studio that shape the answers are in the comments."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest

from backend.metrics import Metrics
from backend.model import BASE, STAND_IN, ChequeModel, Outcome, Tools
from backend.webhook import handle_event, sent_project
from cheques.memory import memory_kills
from cheques.settings import Settings
from store.projects import known_projects, settings_of
from store.versions import Versions
from studio.config import BadConfig
from worker.queue import PRELABEL, RETRAIN, QueueAway, connect, enqueue, job_progress

log = structlog.get_logger()

PREDICT_SECONDS = 50.0  # "Retrieve predictions" must be back within 60, and Label Studio gives up at 100
REDIS_SECONDS = 0.2  # the webhook runs inside the annotator's click


class ServedModels:
    """The state behind the routes: one model for each project and configuration."""

    def __init__(self, settings: Settings, tools: Tools) -> None:
        self.settings = settings
        self.tools = tools
        self.redis = connect(settings.redis_url, REDIS_SECONDS)
        self.metrics = Metrics(self.redis, self.champions)
        self._models: dict[int, tuple[str, ChequeModel]] = {}
        self._building = threading.Lock()

    def model(self, project: int, label_config: object) -> ChequeModel:
        """The project's model; built again only when the configuration changed. Raises BadConfig."""
        # Two models of one project would each keep a draw and a version in service of their own.
        with self._building:
            known = self._models.get(project)
            if known and (not label_config or label_config == known[0]):
                return known[1]
            if not label_config or not isinstance(label_config, str):
                raise BadConfig(f"project {project}: its labeling configuration is not known; send label_config")
            model = ChequeModel(label_config, project=project, tools=self.tools)
            self._models[project] = label_config, model
            return model

    def champions(self) -> dict[int, str]:
        """The version in service of every project that was ever served here."""
        known = {*list(self._models), *known_projects(self.tools.store)}
        return {project: self.champion(project) for project in sorted(known)}

    def champion(self, project: int) -> str:
        """The name of the version in service, or of the base."""
        if project in self._models:
            return self._models[project][1].serving().name
        champion = Versions(self.tools.store, project).champion()
        return champion.name if champion else BASE

    def retrain_every(self, project: int) -> int:
        """New or changed lessons that start a retraining."""
        return settings_of(self.tools.store, self.settings, project).retrain_every


def health(backend: ServedModels, admitted: bool) -> Response:
    """Up as soon as the process is: a project can be connected while the model still loads."""
    resident = backend.tools.resident
    # The problem may name the reader's URL, with all that stands in it.
    more: dict[str, Any] = {"problem": resident.problem} if admitted else {}
    if admitted and (kills := memory_kills()):
        more["memory_kills"] = kills
    return jsonify(status="UP", reader=resident.state, **more)


def setup(backend: ServedModels) -> Response:
    """Label Studio calls this before every predict, and skips the tasks that hold the version named here."""
    body = required_body()
    # Label Studio names the configuration `schema` here, and `label_config` in /predict.
    model = backend.model(required_project(body), body.get("schema") or body.get("label_config"))
    return jsonify(model_version=model.serving().name)


def predict(backend: ServedModels) -> Response:
    """As many results as tasks: where one is missing, Label Studio drops the whole batch."""
    body = required_body()
    project, tasks = required_project(body), required_tasks(body)
    with backend.metrics.seconds.labels("predict").time():
        try:
            model = backend.model(project, body.get("label_config"))
        except BadConfig as error:
            log.warning("predict.bad_config", project=project, reason=str(error))
            return jsonify(results=[STAND_IN for _ in tasks])
        serving = model.serving()
        outcomes = model.read(tasks, serving, time.monotonic() + PREDICT_SECONDS)
        count(backend, project, outcomes)
        if any(outcome.reading is None for outcome in outcomes):
            # The worker reads what is missing here, so that nobody has to ask again.
            try:
                enqueue(PRELABEL, project, connection=backend.redis)
            except QueueAway as error:
                log.warning("predict.gaps_left", project=project, reason=str(error))
        return jsonify(results=model.predictions(outcomes, serving), model_version=serving.name)


def read(backend: ServedModels) -> Response | tuple[Response, int]:
    """The batch route of `prelabel`: readings as they are, the blind ones too; 503 while there is no reader."""
    body = required_body()
    project, tasks = required_project(body), required_tasks(body)
    with backend.metrics.seconds.labels("read").time():
        model = backend.model(project, body.get("label_config"))
        serving = model.serving()
        outcomes = model.read(tasks, serving)
        count(backend, project, outcomes)
    waiting = [outcome.error for outcome in outcomes if outcome.passing]
    if waiting and backend.tools.resident.state != "ready":
        return error_line(waiting[0], 503)
    readings = [
        {
            "task": outcome.task,
            "values": outcome.reading.values if outcome.reading else {},
            "confidence": outcome.reading.confidence if outcome.reading else {},
            "embedding": list(outcome.reading.embedding) if outcome.reading else [],
            "error": outcome.error or None,
            "passing": outcome.passing,
        }
        for outcome in outcomes
    ]
    return jsonify(version=serving.name, base=model.base, readings=readings)


def webhook(backend: ServedModels) -> Response:
    """Label Studio waits for this inside the annotator's click, for one second at most."""
    event = required_body()
    with backend.metrics.seconds.labels("webhook").time():
        done = handle_event(backend.redis, event, backend.retrain_every)
    # Prometheus keeps each label for ever: what a client may invent becomes no label.
    known = done != "ignored"
    project, action = (str(sent_project(event.get("project"))), str(event["action"])) if known else ("", "other")
    backend.metrics.events.labels(project, action).inc()
    return jsonify(status=done)


def versions(backend: ServedModels) -> Response:
    """Newest first, the base last. Label Studio asks without naming a project: then those of all."""
    project = sent_project(request.args.get("project") or (json_object() or {}).get("project"))
    projects = list(backend.champions()) if project is None else [project]
    names = [v.name for one in projects for v in reversed(Versions(backend.tools.store, one).list())]
    champion = {} if project is None else {"champion": backend.champion(project)}
    return jsonify(versions=[*dict.fromkeys(names), BASE], **champion)


def is_training(backend: ServedModels) -> Response:
    project = sent_project(request.args.get("project"))
    try:
        job = job_progress(backend.redis, RETRAIN, project) if project is not None else None
    except QueueAway:
        job = None
    return jsonify(is_training=bool(job and job["status"] == "started"), progress=job)


def metrics(backend: ServedModels) -> Response:
    return Response(backend.metrics.text(), mimetype="text/plain; version=0.0.4")


def error_line(line: str, status: int) -> tuple[Response, int]:
    """An error as every client gets it: JSON, one line, no traceback."""
    return jsonify(error=" ".join(line.split())), status


def count(backend: ServedModels, project: int, outcomes: list[Outcome]) -> None:
    """Count the cheques that were answered, by how."""
    for outcome in outcomes:
        backend.metrics.answered.labels(str(project), "blind" if outcome.blind else outcome.how).inc()


def json_object() -> dict[str, Any] | None:
    """The JSON object that was sent; None for whatever else it is."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested deeper than anything that means something
        return None
    return body if isinstance(body, dict) else None


def required_body() -> dict[str, Any]:
    """Raises BadRequest where no JSON object was sent."""
    body = json_object()
    if body is None:
        raise BadRequest("no JSON object: send one, with Content-Type application/json")
    return body


def required_project(body: dict[str, Any]) -> int:
    """Raises BadRequest."""
    project = sent_project(body.get("project"))
    if project is None:
        raise BadRequest('no project: send "project": the id of a Label Studio project')
    return project


def required_tasks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Raises BadRequest."""
    tasks = body.get("tasks")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise BadRequest('no tasks: send "tasks": a list of Label Studio tasks')
    return tasks
