"""`chequemate serve`: the backend and a worker, for a Label Studio that runs elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from rich.console import Console

from chequemate.stack import Stack
from chequemate.supervisor import StackError
from cheques.settings import remarks, settings


def serve() -> None:
    """Run the backend and a worker here for your own Label Studio, with a Redis unless REDIS_URL names one."""
    console, own = Console(), settings()
    if own.studio_token is None:
        raise StackError("no token for Label Studio: set CHEQUEMATE_STUDIO_TOKEN, and CHEQUEMATE_STUDIO_URL with it")
    stack = Stack(own, lambda line: console.print(line, style="yellow", markup=False), ("redis", "backend", "worker"))

    def begin() -> None:
        with console.status("starting Redis, the backend, a worker"):
            stack.start()
        console.print(
            f"The backend listens at {stack.backend_listens}; {stack.studio_url} will call it at {stack.backend_url}.\n"
            "Join a project, in another terminal: .venv/bin/chequemate connect --project N\n"
            f"Logs are in {stack.settings.home / 'stack' / 'logs'}. Ctrl-C stops everything; the data stay.",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )

    until_stopped(stack, console, begin)


def until_stopped(stack: Stack, console: Console, begin: Callable[[], None]) -> None:
    """Begin, and keep the stack until Ctrl-C or a signal to end; then end all of it."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for remark in remarks(stack.settings):
        console.print(f"note: {remark}", style="yellow", markup=False, soft_wrap=True)
    # `kill` and a closed terminal end the stack in order, as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        begin()
        while True:
            signal.pause()
    except KeyboardInterrupt:
        console.print("stopping…")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave the stop half done
        stack.stop()
