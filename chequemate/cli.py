"""`chequemate`: one verb, one function. Heavy libraries are imported inside the verbs, so that --help is quick."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import typer
from rich.console import Console

from chequemate import (
    backup,
    compare,
    connect,
    demo,
    draw,
    evaluate,
    forget,
    import_,
    pretrain,
    progress,
    project_settings,
    read,
    replay,
    report,
    savings,
    serve,
    simulate,
    train,
    versions,
)
from chequemate.doctor.verb import doctor
from chequemate.stack import adopt_running
from chequemate.supervisor import StackError
from cheques.settings import Settings

app = typer.Typer(
    help="Pre-labels bank cheques in Label Studio, learns from every correction, shows the most instructive one next.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for verb in (
    demo.demo,
    serve.serve,
    connect.connect,
    import_.import_,
    doctor,
    simulate.simulate,
    savings.savings,
    progress.progress,
    report.report,
    project_settings.settings,
    backup.backup,
    backup.restore,
    forget.forget,
    draw.draw,
    read.read,
    train.train,
    evaluate.evaluate,
    compare.compare,
    replay.replay,
    pretrain.pretrain,
):
    # `import` is a keyword, so that verb is the function `import_`.
    app.command(verb.__name__.rstrip("_"))(verb)
app.add_typer(versions.app, name="versions")


def main() -> None:
    """Runs a verb. What a user can cause ends in one line and exit code 2, never in a traceback."""
    close_home()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the verbs draw their own; 0 shows downloads
    if sys.argv[1:2] not in (["demo"], ["serve"]):  # these two start a stack of their own
        adopt_running()
    try:
        app()
    except Exception as error:
        from chequemate.report import ReportError
        from cheques.images import BadImage
        from cheques.settings import BadSettings
        from cheques.values import BadValue
        from reader.gpu_lock import CardBusy
        from reader.reading import ReaderError
        from store.database import StoreError
        from store.versions import VersionError
        from studio.config import BadConfig
        from studio.connection import StudioError
        from trainer.dataset import DataError
        from trainer.recipe import TrainingError
        from worker.queue import QueueAway

        caused = (BadConfig, BadImage, BadSettings, BadValue, CardBusy, DataError, QueueAway, ReaderError, ReportError)
        if isinstance(error, (*caused, StackError, StoreError, StudioError, TrainingError, VersionError)):
            line = str(error)
        # What the system says of a file: a full disk, no right to write. StoreError is an OSError too, and comes first:
        # it says by itself what to do.
        elif isinstance(error, OSError) and error.strerror is not None:
            line = f"{error.filename or 'disk'}: {error.strerror}; see to it, and run this again"
        else:
            raise
        Console(stderr=True, soft_wrap=True).print(f"chequemate: {line}", style="red", markup=False, highlight=False)
        sys.exit(2)
    finally:
        close_home()  # the verb may have made it


def close_home() -> None:
    """Make the home its owner's alone; what a verb writes elsewhere is as readable as the user's other files."""
    with suppress(ValueError, OSError):  # whoever needs the settings reports what is wrong with them
        if (home := Settings().home).is_dir():
            home.chmod(0o700)
