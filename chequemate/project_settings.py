"""`chequemate settings`: the settings in which a project differs from the environment."""

from __future__ import annotations

from typing import Annotated

import typer


def settings(
    project: Annotated[int, typer.Option(help="project of Label Studio")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="NAME= takes the environment's value again")
    ] = None,
) -> None:
    """Show a project's settings, or change them: they count from the next reading or training on."""
    from cheques.settings import settings as of_environment
    from store.database import Store
    from store.projects import (
        OWN_SETTINGS,
        BadProjectSetting,
        known_projects,
        own_settings,
        set_settings,
        settings_of,
    )

    own = of_environment()
    store = Store.of(own)
    if project not in {*known_projects(store), *own.projects}:
        raise typer.BadParameter(f"project {project} is not served: chequemate connect --project {project}")
    if changes:
        pairs = [change.partition("=") for change in changes]
        if wrong := next((name for name, equals, _ in pairs if not equals), None):
            raise typer.BadParameter(f"{wrong}: give NAME=VALUE, such as retrain_every=30")
        try:
            set_settings(store, project, {name: text or None for name, _, text in pairs})
        except BadProjectSetting as error:
            raise typer.BadParameter(str(error)) from None
    here, now = own_settings(store, project), settings_of(store, own, project)
    for name in OWN_SETTINGS:
        typer.echo(f"{name}={getattr(now, name)}" + ("" if name in here else "  (from the environment)"))
