"""`chequemate connect`: join a Label Studio project, a new one or one with a thousand labels."""

from __future__ import annotations

import base64
import re
from itertools import islice
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

from cheques.settings import BadSettings

if TYPE_CHECKING:
    from cheques.settings import Settings
    from studio.client import Project, Studio
    from studio.config import Config

UNSEEN = re.compile(r"\.(tiff?|pdf|hei[cf])$", re.IGNORECASE)
TASKS_LOOKED_AT, IMAGES_LOOKED_AT = 5000, 3
TITLE = "Chequemate"  # of the backend in Label Studio; never the name of a version


def connect(
    project: Annotated[int, typer.Option(help="The project's number, as in its address: /projects/N.")],
) -> None:
    """Join an existing Label Studio project: pre-label it, learn from the labels it has, and from each new one."""
    from rich.console import Console

    from cheques.settings import settings
    from studio.client import Studio

    console = Console()
    own = settings()
    studio = Studio.of(own)
    joined, config = attach(studio, own, project)
    console.print(f"read from {config.image_tag}: {fields_read(config)}", markup=False, soft_wrap=True)
    hidden = unseen_by_browsers(studio, joined, config)
    _, pages, trouble = first_images(studio, own, project, config)
    for remark in [*remarks(joined, config), *filter(None, (hidden, pages, trouble))]:
        console.print(f"note: {remark}", markup=False, soft_wrap=True)
    begin(own, joined)
    console.print(
        f"project {project} « {joined.title} » is joined: {len(config.form.names)} fields, {joined.tasks} tasks, "
        f"{joined.labels} labels; its pre-labels are on their way"
        + (", and a first version is trained on its labels." if joined.labels else "."),
        markup=False,
        soft_wrap=True,
    )
    console.print(f"{own.studio_page}/projects/{project}/data : open it and choose « Label All Tasks ».", markup=False)


def attach(studio: Studio, settings: Settings, number: int) -> tuple[Project, Config]:
    """Register backend and webhook with their auth, set sampling, and serve the project from now on; again: no harm.

    A backend whose webhook is refused is taken away again. The version to show is set by `prelabel`, once there are
    predictions of it: before, the order would be random. Raises BadConfig, BadSettings, StudioError.
    """
    from store.database import Store
    from store.projects import join
    from studio.client import SAMPLING
    from studio.connection import StudioError
    from studio.formats import read_config

    project = studio.project(number)
    config = read_config(project.label_config)
    check_backend_url(settings)
    url = str(settings.backend_url).rstrip("/")
    password = settings.password.get_secret_value() if settings.password else ""
    # Where ours was registered before: its webhook is moved to the new address, not doubled.
    before = next((b["url"].rstrip("/") for b in studio.backends(number) if b["title"] == TITLE), "")
    registered = studio.register_backend(number, url, TITLE, settings.user, password)
    try:
        studio.register_webhook(number, f"{url}/webhook", auth_header(settings), was=f"{before or url}/webhook")
    except StudioError:
        if not before:
            studio.unregister_backend(number, registered, f"{url}/webhook")
        raise
    studio.patch_project(number, sampling=SAMPLING, show_collab_predictions=True)
    join(Store.of(settings), number)
    return project, config


def check_backend_url(settings: Settings) -> None:
    """Label Studio takes a backend at `http://backend:9090`, but no webhook there. Raises BadSettings."""
    host = settings.backend_url.host or ""
    if "." not in host and ":" not in host and host != "localhost":
        raise BadSettings(
            f"CHEQUEMATE_BACKEND_URL={settings.backend_url}: Label Studio sends no events to a host without a dot in "
            f"its name; give the backend's machine or container another name, such as {host}.internal, and set that"
        )


def auth_header(settings: Settings) -> dict[str, str]:
    """What the backend asks of whoever calls it, as a header."""
    if settings.password is None:
        return {}
    pair = f"{settings.user}:{settings.password.get_secret_value()}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def begin(settings: Settings, project: Project, learn: bool = True) -> None:
    """Have the worker draw and pre-label, and `learn` at once from what is labelled. Raises QueueAway."""
    from worker import queue

    connection = queue.connect(settings.redis_url)
    queue.enqueue(queue.RECONCILE, project.id, connection=connection)
    queue.enqueue(queue.PRELABEL, project.id, connection=connection)
    # force: what is labelled already is learned at once, be it fewer than a training usually waits for.
    if learn and project.labels:
        queue.enqueue(queue.RETRAIN, project.id, connection=connection, force=True)


def fields_read(config: Config) -> str:
    """What is read of each document: every field with its kind."""
    return ", ".join(f"{field.name} ({field.kind})" for field in config.form)


def first_images(studio: Studio, settings: Settings, project: int, config: Config) -> tuple[int, str, str]:
    """How many could be read; a line on one with several pages, one on the first unreadable one. Raises StudioError."""
    from cheques.images import BadImage, open_image, pages_in
    from studio.images import fetch_bytes

    looked, pages = 0, ""
    for task in islice(studio.tasks(project, config), IMAGES_LOOKED_AT):
        try:
            content = fetch_bytes(task.image, settings, project)
            open_image(content, settings.page)
            looked += 1
            if (count := pages_in(content)) > 1:
                pages = (
                    f"task {task.id} has {count} pages, and page {settings.page} is read; choose another with "
                    "CHEQUEMATE_PAGE, or import them with --pages"
                )
        except BadImage as error:
            return looked, pages, f"the image of task {task.id} cannot be read: {error}"
    return looked, pages, ""


def unseen_by_browsers(studio: Studio, project: Project, config: Config) -> str:
    """A line on the tasks whose files no browser shows to an annotator, by the names of the files; else nothing."""
    tasks = islice(studio.tasks(project.id, config), TASKS_LOOKED_AT)
    found = [task.id for task in tasks if UNSEEN.search(unquote(task.image))]
    if not found:
        return ""
    shown = ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")
    return (
        f"{len(found)} tasks ({shown}) are TIFF, PDF or HEIC files: read and learned, but browsers show annotators "
        f"nothing; convert them: chequemate import DIR --project {project.id}, with the folder of the files"
    )


def remarks(project: Project, config: Config) -> list[str]:
    """What of the project will not work as one might think: each one line, after its last "; " what to do about it."""
    from studio.config import by_reason

    found = [f"{names}: neither filled nor learned: {why}" for names, why in by_reason(config.left)]
    for name in sorted(config.no_unknown):
        if config.form[name].kind == "choice":
            found.append(f'{name} has no choice « ? »: an unreadable one cannot be said; add <Choice value="?"/>')
        else:
            found.append(
                f"{name} cannot hold « ? »: an unreadable one cannot be said; make it a TextArea if there are any"
            )
    found += config.doubts
    if project.annotations_a_task > 1:
        found.append(
            f"{project.annotations_a_task} annotations a task: Label Studio then serves begun tasks before uncertain "
            "ones; set Annotations per task to 1"
        )
    return found
