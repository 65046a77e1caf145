"""`chequemate backup` and `chequemate restore`: the state that nobody can make again, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the archive to write, such as monday.tar")],
) -> None:
    """Write the draw, the versions, the records and the files into one archive; nothing has to be stopped for it.

    It holds pictures of cheques: keep it as safe as these. Label Studio's labels are backed up with Label Studio.
    """
    from chequemate.output import check_places
    from cheques.settings import settings
    from store.backup import backup as write
    from store.database import Store

    check_places(file)
    counts = write(Store.of(settings()), file)
    typer.echo(f"{file}: {counted(counts)}")


def restore(file: Annotated[Path, typer.Argument(metavar="FILE", help="an archive of `chequemate backup`")]) -> None:
    """Bring a backup into an empty home or database: the same champion serves, and nobody is drawn again."""
    from cheques.settings import settings
    from store.backup import BadBackup
    from store.backup import restore as bring
    from store.database import Store

    if not file.is_file():
        raise typer.BadParameter(f"{file}: no such file")
    try:
        counts = bring(Store.of(settings()), file)
    except BadBackup as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(f"restored: {counted(counts)}")


def counted(counts: dict[str, int]) -> str:
    said = {"project": "projects", "place": "cheques drawn", "version": "versions", "files": "files"}
    return ", ".join(f"{counts[name]} {words}" for name, words in said.items())
