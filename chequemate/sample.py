"""A look at the first images of a project, before many are asked for."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from cheques.settings import Settings

if TYPE_CHECKING:
    from studio.client import Studio
    from studio.config import Config

LOOKED_AT = 3  # images


def first_images(studio: Studio, settings: Settings, project: int, config: Config) -> tuple[int, str]:
    """How many could be read, and what is wrong with the first that could not, in a line. Raises StudioError."""
    from cheques.images import BadImage
    from studio.images import fetch_image

    looked = 0
    for task in islice(studio.tasks(project, config), LOOKED_AT):
        try:
            fetch_image(task.image, settings, project)
            looked += 1
        except BadImage as error:
            return looked, f"the image of task {task.id} cannot be read: {error}"
    return looked, ""
