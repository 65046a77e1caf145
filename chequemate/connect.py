"""`chequemate connect`: join a Label Studio project, a new one or one with a thousand labels."""

from __future__ import annotations

import base64
import re
from itertools import islice
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

if TYPE_CHECKING:
    from cheques.settings import Settings
    from studio.client import Project, Studio
    from studio.config import Config

UNSEEN = re.compile(r"\.(tiff?|pdf|hei[cf])$", re.IGNORECASE)
LOOKED_AT = 5000  # tasks
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
    hidden = unseen_by_browsers(studio, joined, config)
    for remark in remarks(joined, config) + ([hidden] if hidden else []):
        console.print(f"note: {remark}", markup=False, soft_wrap=True)
    begin(own, joined)
    console.print(
        f"project {project} « {joined.title} » is joined: {len(config.form.names)} fields, {joined.tasks} tasks, "
        f"{joined.labels} labels; its pre-labels are on their way"
        + (", and a first version is trained on its labels." if joined.labels else "."),
        markup=False,
        soft_wrap=True,
    )
    console.print(f"{studio.url}/projects/{project}/data : open it and choose « Label All Tasks ».", markup=False)


def attach(studio: Studio, settings: Settings, number: int) -> tuple[Project, Config]:
    """Register backend and webhook with their auth, set sampling, and serve the project from now on; again: no harm.

    The version to show is set by `prelabel`, once there are predictions of it: before, the order would be random.
    Raises BadConfig, StudioError.
    """
    from studio.client import SAMPLING
    from studio.formats import read_config
    from studio.projects import join

    project = studio.project(number)
    config = read_config(project.label_config)
    url = str(settings.backend_url).rstrip("/")
    password = settings.password.get_secret_value() if settings.password else ""
    before = next((b["url"].rstrip("/") for b in studio.backends(number) if b["title"] == TITLE), url)
    studio.register_backend(number, url, TITLE, settings.user, password)
    studio.register_webhook(number, f"{url}/webhook", auth_header(settings), was=f"{before}/webhook")
    studio.patch_project(number, sampling=SAMPLING, show_collab_predictions=True)
    join(settings.home, number)
    return project, config


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
    if learn and project.labels:
        queue.enqueue(queue.RETRAIN, project.id, connection=connection, force=True)


def unseen_by_browsers(studio: Studio, project: Project, config: Config) -> str:
    """A line on the tasks whose files no browser shows to an annotator, by the names of the files; else nothing."""
    tasks = islice(studio.tasks(project.id, config), LOOKED_AT)
    found = [task.id for task in tasks if UNSEEN.search(unquote(task.image))]
    if not found:
        return ""
    shown = ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")
    return (
        f"{len(found)} tasks ({shown}) are TIFF, PDF or HEIC files: read and learned, but browsers show annotators "
        f"nothing; convert them: chequemate import DIR --project {project.id}, with the folder of the files"
    )


def remarks(project: Project, config: Config) -> list[str]:
    """What of the project will not work as one might think, and what to do about it."""
    found = []
    if config.ignored:
        found.append(f"{', '.join(config.ignored)}: neither filled nor learned; only TextArea and single Choices are")
    for name in sorted(config.no_unknown):
        found.append(f'{name} has no choice « ? »: an unreadable one cannot be said; add <Choice value="?"/>')
    if project.annotations_a_task > 1:
        found.append(
            f"{project.annotations_a_task} annotations a task: Label Studio then serves begun tasks before uncertain "
            "ones; set Annotations per task to 1"
        )
    return found
