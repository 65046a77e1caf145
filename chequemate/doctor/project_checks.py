"""What `chequemate doctor` looks at in a project of Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from chequemate.connect import (
    TITLE,
    auth_header,
    check_backend_url,
    fields_read,
    first_images,
    remarks,
    unseen_by_browsers,
)
from chequemate.doctor.checks import Finding, of_studio_error
from cheques.settings import BadSettings, Settings

if TYPE_CHECKING:
    from studio.client import Project, Studio
    from studio.config import Config

UP = ("CO", "TR", "PR")  # states of a backend in which Label Studio reaches it
NAMED = 20  # tasks that are left out
PATIENCE_SECONDS = 600.0  # for a first look through the labels; what was read is kept


def project(studio: Studio, settings: Settings, number: int, backend_is_up: bool) -> Iterator[Finding]:
    """Everything that must be right in one project; never raises."""
    from studio.connection import StudioError
    from studio.formats import BadConfig, read_config

    try:
        about = studio.project(number)
        config = read_config(about.label_config)
        head = f"project {number} « {about.title} »"
        yield Finding("fine", f"{head}: {fields_read(config)}; {about.tasks} tasks, {about.labels} labels")
        # These lines, and those of the errors below, hold their remedy after the last "; ".
        for remark in remarks(about, config):
            what, _, remedy = remark.rpartition("; ")
            yield Finding("doubtful", f"{head}: {what or remark}", remedy if what else "")
        if strange := sorted(set(settings.worth) - set(config.form.names)):
            remedy = f"its fields are {', '.join(config.form.names)}"
            yield Finding("doubtful", f"{head}: CHEQUEMATE_WORTH names {', '.join(strange)}, no field of it", remedy)
        yield from registration(studio, settings, number, head, backend_is_up)
        yield from order(studio, about, head)
        yield from images(studio, settings, about, config, head)
        yield from left_out(settings, number, config, head)
    except BadConfig as error:
        what, _, remedy = str(error).rpartition("; ")
        yield Finding("broken", f"project {number}: {what or error}", remedy if what else "correct the configuration")
    except StudioError as error:
        yield of_studio_error(error)


def registration(studio: Studio, settings: Settings, number: int, head: str, backend_is_up: bool) -> Iterator[Finding]:
    """Does Label Studio reach the backend, with its password, and tell it of new labels?"""
    again = f"run: chequemate connect --project {number}"
    url = str(settings.backend_url).rstrip("/")
    try:
        check_backend_url(settings)
    except BadSettings as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding("broken", what, remedy)
        return
    backends = studio.backends(number)
    ours = next((b for b in backends if b["url"].rstrip("/") == url), None)
    if ours is None:
        yield Finding("broken", f"{head}: the backend {url} is not registered", again)
    elif ours["state"] not in UP:
        said = " ".join(str(ours.get("error_message") or "").split())[:160]
        what = f"{head}: Label Studio does not reach the backend at {url}{f' ({said})' if said else ''}"
        remedy = (
            "it answers from here: give an address that Label Studio's machine sees; if that is loopback or private, "
            "start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false"
        )
        yield Finding("broken", what, remedy if backend_is_up else "start the backend")
    elif settings.password and ours.get("auth_method") != "BASIC_AUTH":
        yield Finding("broken", f"{head}: the backend is registered without its password", again)
    else:
        yield Finding("fine", f"{head}: the backend is registered and reached")
    for other in backends:
        if other is not ours and other["title"] == TITLE:
            remedy = "delete it in Settings > Model: Label Studio asks it too"
            yield Finding("doubtful", f"{head}: another backend of ours is registered ({other['url']})", remedy)

    wanted = f"{url}/webhook"
    hooks = studio.webhooks(number)
    active = [hook for hook in hooks if hook["url"].rstrip("/") == wanted and hook["is_active"]]
    if not active:
        remedy = f"{again}; until then new labels are noticed by the worker's own look only"
        yield Finding("broken", f"{head}: no webhook tells the backend of new labels", remedy)
    elif any((hook.get("headers") or {}) != auth_header(settings) for hook in active):
        yield Finding("broken", f"{head}: the webhook carries no auth, or a wrong one", again)
    elif not all(hook["send_payload"] for hook in active):
        yield Finding("broken", f"{head}: the webhook sends no payload", again)
    else:
        yield Finding("fine", f"{head}: webhook with auth")
    # Label Studio keeps the webhook of a backend that is deleted in its settings, and waits for it at each submit.
    registered = {f"{b['url'].rstrip('/')}/webhook" for b in backends}
    for hook in hooks:
        if hook["url"].endswith("/webhook") and hook["url"] not in registered | {wanted}:
            remedy = "delete it in Settings > Webhooks: each submit waits a second for it"
            yield Finding("doubtful", f"{head}: a webhook outlived its backend ({hook['url']})", remedy)


def order(studio: Studio, about: Project, head: str) -> Iterator[Finding]:
    """Is the most instructive cheque served next?"""
    from studio.client import SAMPLING

    again = f"run: chequemate connect --project {about.id}"
    # Label Studio orders by the scores of the version that the project shows; without a prediction of it, at random.
    stored = studio.predicted_versions(about.id)
    if about.model_version not in stored and about.tasks > about.labels:
        shown = about.model_version or "no version"
        remedy = f"wait for the pre-labels, or {again}; until then the order is random"
        yield Finding("broken", f"{head}: it shows {shown}, of which no prediction is stored", remedy)
    else:
        yield Finding("fine", f"{head}: shows {about.model_version}, {stored.get(about.model_version, 0)} predictions")
    if about.sampling != SAMPLING:
        yield Finding("broken", f"{head}: sampling is « {about.sampling} », not by uncertainty", again)
    if not about.shows_predictions:
        yield Finding("broken", f"{head}: predictions are hidden from annotators", again)
    if (members := studio.members(about.id)) > 1:
        remedy = "keep one member (others annotate without being members), or accept the random order"
        yield Finding("doubtful", f"{head}: {members} members: Label Studio then serves in random order", remedy)
    if (people := studio.annotators(about.id)) > 1:
        yield Finding("fine", f"{head}: {people} annotators, each gets the next lowest")


def images(studio: Studio, settings: Settings, about: Project, config: Config, head: str) -> Iterator[Finding]:
    """Can they be read here, and do browsers show them to annotators?"""
    if hidden := unseen_by_browsers(studio, about, config):
        what, _, remedy = hidden.rpartition("; ")
        yield Finding("broken", f"{head}: {what}", remedy)
    looked, pages, trouble = first_images(studio, settings, about.id, config)
    if pages:
        what, _, remedy = pages.partition("; ")
        yield Finding("doubtful", f"{head}: {what}", remedy)
    if trouble:
        what, _, remedy = trouble.partition(": ")
        yield Finding("broken", f"{head}: {what}", remedy)
    elif looked:
        yield Finding("fine", f"{head}: images can be read")
    else:
        yield Finding("doubtful", f"{head}: no tasks", "import some")


def left_out(settings: Settings, number: int, config: Config, head: str) -> Iterator[Finding]:
    """The labels and images that cannot be used, each with its reason and its address."""
    from backend.dashboard.figures import FigureCache
    from cheques.text import FAULTS
    from store.database import Store
    from store.marks import Why
    from store.projects import known_projects

    if number not in known_projects(Store.of(settings)):
        return  # it was never served from here
    figures = FigureCache(settings).figures(number, PATIENCE_SECONDS)
    if figures.problem:
        yield Finding("doubtful", f"{head}: the labels could not be looked through ({figures.problem})")
        return

    titles = {field.name: field.title or field.name for field in config.form}
    kinds = {field.name: field.kind for field in config.form}
    faults = {
        whole: [
            (one.task, f"{titles.get(name, name)} {FAULTS[fault].format(kind=kinds.get(name, ''))}")
            for one in figures.left_out.faulty
            if one.whole == whole
            for name, fault in one.faults.items()
        ]
        for whole in (True, False)
    }
    unread = {why: [(one.task, one.reason) for one in figures.unread if one.why == why] for why in get_args(Why)}
    correct = "correct it in Label Studio and press Update"
    for found, one, many, remedy in (
        (faults[True], "label cannot be used", "labels cannot be used", correct),
        (faults[False], "label has a field that cannot be used", "labels have fields that cannot be used", correct),
        (unread["no image"], "task has no image", "tasks have no image", "import it with one, or delete it"),
        (unread["unreadable"], "image cannot be read", "images cannot be read", "put it right: it is tried again"),
        (unread["waiting"], "image could not be fetched", "images could not be fetched", "it is tried again"),
    ):
        if tasks := list(dict.fromkeys(task for task, _ in found)):
            named = ", ".join(map(str, tasks[:NAMED])) + (" …" if len(tasks) > NAMED else "")
            what = f"{len(tasks)} {many}: tasks {named}" if len(tasks) > 1 else f"1 {one}: task {named}"
            each = [f"{settings.studio_page}/projects/{number}/data?task={task} : {why}" for task, why in found[:NAMED]]
            more = [f"… and {len(found) - NAMED} more: the page lists them"] if len(found) > NAMED else []
            yield Finding("doubtful", f"{head}: {what}", remedy, each + more)
    if not figures.left_out.faulty:
        yield Finding("fine", f"{head}: every label can be used")
