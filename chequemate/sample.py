"""A look at the first images of a project, before many are asked for."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from cheques.settings import Settings

if TYPE_CHECKING:
    from studio.client import Studio
    from studio.config import Config

LOOKED_AT = 3  # images


def first_images(studio: Studio, settings: Settings, project: int, config: Config) -> tuple[int, str, str]:
    """How many could be read; a line on one with several pages, one on the first unreadable one. Raises StudioError."""
    from cheques.images import BadImage, open_image, pages_in
    from studio.images import fetch_bytes

    looked, pages = 0, ""
    for task in islice(studio.tasks(project, config), LOOKED_AT):
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
