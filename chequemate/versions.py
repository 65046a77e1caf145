"""`chequemate versions`: what was trained, what serves, and the way back."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from store.versions import Versions

app = typer.Typer(help="List versions, promote one, or go back.", invoke_without_command=True)
console = Console()

Project = Annotated[str, typer.Option(help="The Label Studio project's number, or local.")]
Name = Annotated[str, typer.Argument(metavar="V", help="Its name: v3.")]


@app.callback()
def listing(
    context: typer.Context,
    project: Project = "local",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """List a project's versions and name its champion."""
    context.obj = project
    if context.invoked_subcommand:
        return
    versions = versions_of(project)
    champion = versions.champion()
    if as_json:
        rows = [
            {"version": v.name, "parent": v.parent, "labels": v.labels, "mean": v.mean, "decision": v.decision}
            for v in versions.list()
        ]
        content = {"champion": champion and champion.name, "versions": rows}
        print(json.dumps(content, ensure_ascii=False))
        return
    table = Table("version", "parent", "labels", "exact match", "decision", "why", title=f"project {project}")
    for version in versions.list():
        mean = "–" if version.mean is None else f"{version.mean:.1%}"
        mark = "★ " if champion and version.name == champion.name else ""
        why = "; ".join(version.reasons)
        table.add_row(mark + version.name, version.parent, str(version.labels), mean, version.decision, why)
    console.print(table if versions.list() else f"project {project} has no version yet: the base model serves")


@app.command()
def promote(
    context: typer.Context,
    name: Name,
    project: Project = "",
    force: Annotated[bool, typer.Option(help="Promote what the gate rejected; say --why.")] = False,
    why: Annotated[str, typer.Option(help="The reason, recorded with your name.")] = "",
) -> None:
    """Put a version in service; the backend follows without a restart."""
    version = versions_of(project or context.obj).promote(name, who=person(), why=why, force=force)
    console.print(f"{version.name} serves project {version.project}")


@app.command()
def rollback(
    context: typer.Context,
    project: Project = "",
    why: Annotated[str, typer.Option(help="The reason, recorded with your name.")] = "",
) -> None:
    """Put the version that served before the champion back in service."""
    version = versions_of(project or context.obj).rollback(who=person(), why=why)
    console.print(f"{version.name if version else 'the base model'} serves project {project or context.obj}")


@app.command()
def show(context: typer.Context, name: Name, project: Project = "") -> None:
    """Say everything about a version, and where its report is."""
    versions = versions_of(project or context.obj)
    version = versions.get(name)
    lines = [f"{key}: {value}" for key, value in vars(version).items() if key not in ("reasons", "path")]
    changes = [entry for entry in versions.pointer().history if name in (entry["from"], entry["to"])]
    lines += [f"reason: {reason}" for reason in version.reasons]
    lines += [f"{e['at']} {e['action']} {e['from']} -> {e['to']} by {e['who']} {e['why']}" for e in changes]
    lines.append(f"report: {version.path / 'report' / 'report.html'}")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@app.command()
def prune(
    context: typer.Context,
    project: Project = "",
    keep: Annotated[int, typer.Option(min=0, help="How many of the latest stay.")] = 3,
) -> None:
    """Remove old versions; the champion, its parent, its predecessor and the latest stay."""
    removed = versions_of(project or context.obj).prune(keep)
    console.print(f"removed: {', '.join(removed)}" if removed else "nothing to remove")


@app.command("export")
def export_version(
    context: typer.Context,
    name: Name,
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    project: Project = "",
    merged: Annotated[
        bool, typer.Option(help="The base with the adapter merged into it, checked reading by reading.")
    ] = False,
) -> None:
    """Write a version's adapter (or the merged model) to a folder; the report, which holds pictures, stays."""
    from trainer.export_import import export_adapter, export_merged

    version = versions_of(project or context.obj).get(name)
    if merged:
        from cheques.settings import settings

        export_merged(version, folder, settings())
    else:
        export_adapter(version, folder)
    console.print(f"{version.name} is in {folder}")


@app.command("import")
def import_version(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder with adapter_model.safetensors.")],
    project: Project = "",
) -> None:
    """Take an adapter from elsewhere as the next version; it serves when you promote it."""
    from cheques.settings import settings
    from trainer.export_import import import_adapter, must_read

    must_read(folder, settings())
    version = import_adapter(versions_of(project or context.obj), folder, settings().model)
    console.print(f"{version.name}: promote it with `chequemate versions promote {version.name}`")


def versions_of(project: str) -> Versions:
    from cheques.settings import settings
    from store.database import Store
    from store.versions import Versions

    return Versions(Store.of(settings()), project)


def person() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        return "unknown"
