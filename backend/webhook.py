"""Label events -> a set of annotation ids -> a job. All of it is quick: an annotator waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import redis
import structlog

from store.database import StoreError
from store.projects import project_number
from worker.queue import PRELABEL, RECONCILE, RETRAIN, QueueAway, enqueue, forget_labels, note_labels

log = structlog.get_logger()

LABELLED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED")
DELETED = ("ANNOTATIONS_DELETED", "ANNOTATION_DELETED")


def handle_event(connection: redis.Redis, event: Mapping[str, Any], retrain_every: Callable[[int], int]) -> str:
    """Do what an event asks for; what was done, in a word.

    retrain_every: a project -> new or changed lessons that start a retraining.
    """
    action, project = str(event.get("action", "")), sent_project(event.get("project"))
    if project is None:
        return "ignored"
    ids = annotations_of(event)
    try:
        if action in LABELLED:
            if ids and note_labels(connection, project, ids, retrain_every(project)):
                enqueue(RECONCILE, project, connection=connection)
                return "counting"
            return "noted"
        if action in DELETED:
            forget_labels(connection, project, ids)
            return "forgotten"
        if action == "TASKS_CREATED":
            # Imported tasks may carry annotations, and no other event tells of those.
            enqueue(RECONCILE, project, connection=connection)
            enqueue(PRELABEL, project, connection=connection)
            return "prelabelling"
        if action == "START_TRAINING":
            enqueue(RETRAIN, project, connection=connection, force=True)
            return "training"
        if action == "PROJECT_UPDATED":
            enqueue(RECONCILE, project, connection=connection)
            return "checking"
        return "ignored"
    except (redis.RedisError, QueueAway, StoreError) as error:
        # Nothing is lost for good: `reconcile` asks Label Studio itself for what changed.
        log.warning("webhook.left", project=project, action=action, error=type(error).__name__)
        return "left to reconcile"


def annotations_of(event: Mapping[str, Any]) -> list[int]:
    """The ids of an event's annotations: one under `annotation`, several under `annotations`."""
    several = event.get("annotations")
    found = [event.get("annotation"), *(several if isinstance(several, list) else ())]
    ids = [one.get("id") for one in found if isinstance(one, Mapping)]
    # The sender decides what comes: to Python True is an int as well, and the store has no larger integers.
    return [number for number in ids if type(number) is int and 0 < number < 2**63]


def sent_project(sent: Any) -> int | None:
    """A project's id from what Label Studio sends: {"id": 1, …}, "1.1795342822", "1" or 1."""
    if isinstance(sent, Mapping):
        sent = sent.get("id")
    return project_number(str(sent).split(".")[0])
