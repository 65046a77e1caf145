"""`chequemate doctor`: every trap that stops the loop in silence, and for each what to do, in a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chequemate.doctor.checks import Finding
    from cheques.settings import Settings

SIGNS = {"fine": "[green]✓[/]", "doubtful": "[yellow]![/]", "broken": "[red]✗[/]"}


def doctor(
    project: Annotated[int | None, typer.Option(help="Look at this project only; else at every one served.")] = None,
) -> None:
    """Check everything that the loop needs, and say the remedy of what is wrong. Exit code 1: something is broken."""
    from rich.console import Console
    from rich.markup import escape

    from cheques.settings import settings

    console = Console(soft_wrap=True)
    worst = 0
    for finding in findings(settings(), project):
        console.print(f"{SIGNS[finding.state]} {escape(finding.what)}", highlight=False)
        if finding.remedy:
            console.print(f"    → {escape(finding.remedy)}", highlight=False)
        for line in finding.each:
            console.print(f"      {escape(line)}", highlight=False)
        worst |= finding.state == "broken"
    sys.exit(int(worst))


def findings(settings: Settings, project: int | None = None) -> Iterator[Finding]:
    """Every finding, the machine's first, then the services', then each project's."""
    from chequemate.doctor import checks, project_checks
    from store.projects import served
    from studio.client import Studio
    from studio.connection import StudioError

    yield from checks.machine(settings)
    yield from checks.configuration(settings)
    yield from checks.redis_and_worker(settings)
    yield from checks.failed_jobs(settings)
    backend_is_up = False
    for finding in checks.backend(settings):
        backend_is_up |= finding.state == "fine"
        yield finding
    try:
        studio = Studio.of(settings)
        yield from checks.studio(studio, settings)
    except StudioError as error:
        yield checks.of_studio_error(error)
        return
    numbers = served(settings) if project is None else [project]
    if not numbers:
        yield checks.Finding("doubtful", "no project is served", "join one: chequemate connect --project N")
    for number in numbers:
        yield from project_checks.project(studio, settings, number, backend_is_up)
