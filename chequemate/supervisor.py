"""Child processes that are kept alive: restarted when they die, and ended with this process, however it ends.

No pid is ever written down: after a reboot, or once the system reuses it, it would name a stranger. Beside each child
stands a guard (`chequemate/tether.py`) that ends it when this process is gone. Whether it has ended is seen from its
log, which is locked: the lock holds as long as any process that inherited the log lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chequemate import tether

PATIENCE = 8.0  # seconds that a child has to end when it is asked to
LONGEST_PAUSE = 30.0  # seconds between two starts of a child that keeps dying
STEADY = 60.0  # a child that lived this long starts again at once when it dies
ORPHANED = 5.0  # seconds that what a dead child had started has to end
LOG_BYTES = 20_000_000


class StackError(Exception):
    """Something that the stack needs cannot be started: one line, what and what to do."""


@dataclass(frozen=True)
class Service:
    """A program to keep running. ready: asked until it says yes; patience: seconds that this may take at first."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[int], bool]
    patience: float = 60.0


@dataclass
class Child:
    service: Service
    process: subprocess.Popen[bytes]
    keeper: threading.Thread | None = None  # restarts it when it dies, once it was ready

    def let_go(self) -> None:
        """Close the pipe that its guard reads: the guard ends it, and what it has started."""
        assert self.process.stdin
        self.process.stdin.close()


class Supervisor:
    """Keeps services alive under `folder` (its lock, the logs). One supervisor a folder at a time; else StackError."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say
        self._children: dict[str, Child] = {}
        self._stopping = threading.Event()
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        if not hold(self._lock):
            self._lock.close()
            raise StackError(f"{folder} is in use by another `chequemate demo`: stop that one first")
        # Whoever held this lock before may have been killed a moment ago, and its children are still ending.
        for log in sorted((folder / "logs").glob("*.log")):
            if not self._has_ended(log.stem, PATIENCE + 5):
                self._lock.close()
                raise StackError(f"{log.stem} of an earlier start still runs and writes {log}: end it by hand")

    def start(self, service: Service) -> None:
        """Start it and return at once; `wait` tells when it is ready."""
        self._children[service.name] = Child(service, self._spawn(service))

    def wait(self, name: str) -> None:
        """Until the service is ready. Raises StackError, with its last words, where it dies or takes too long."""
        child = self._children[name]
        deadline = time.monotonic() + child.service.patience
        while not child.service.ready(child.process.pid):
            if child.process.poll() is not None:
                lines = self.log(name).read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise StackError(f"{name} ended at its start ({lines[-1][:200]}); see {self.log(name)}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} was not ready in {child.service.patience:.0f} s; see {self.log(name)}")
            if self._stopping.wait(0.1):
                raise StackError(f"{name} was stopped before it was ready; start again")
        if child.keeper is None:  # one is enough, however often it is waited for: two would end each other's child
            child.keeper = threading.Thread(target=self._keep_alive, args=(child,), name=f"keep {name}", daemon=True)
            child.keeper.start()

    def pid(self, name: str) -> int:
        """The process of a service as it runs now; it changes with each restart."""
        return self._children[name].process.pid

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def stop(self) -> None:
        """End all services, the last started first, with everything that they started."""
        self._stopping.set()
        while self._children:
            name, child = self._children.popitem()
            child.let_go()
            try:
                child.process.wait(PATIENCE + 2)
            except subprocess.TimeoutExpired:  # somebody has killed its guard
                child.process.kill()
                child.process.wait()
            if child.keeper:
                child.keeper.join()
            if not self._has_ended(name, ORPHANED):
                self._say(f"something that {name} has started still runs")
        self._lock.close()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        if not shutil.which(service.command[0]):
            raise StackError(f"{service.name}: {service.command[0]} does not start (no such program)")
        log = self.log(service.name)
        with log.open("ab") as output:
            # A killed worker leaves the job it had begun, which ends a moment later; otherwise two would train at once.
            if not hold(output, ORPHANED):
                raise StackError(f"{service.name}: something of its last start still runs; start again in a moment")
            # Copied and emptied, not renamed: the lock is on this file, and the next start looks for it here.
            if output.tell() > LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                output.truncate(0)
            return subprocess.Popen(
                (sys.executable, "-IS", tether.__file__, str(PATIENCE), *service.command),
                env=dict(service.environment),
                stdin=subprocess.PIPE,  # the guard reads it; the program's own is empty
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone, and we end them in order
                umask=0o077,  # what they write holds pictures of cheques and tokens
            )

    def _keep_alive(self, child: Child) -> None:
        """Runs in a thread of its own until `stop`. A child that keeps dying is started again after longer pauses."""
        failures, started = 0, time.monotonic()
        while True:
            code = child.process.wait()
            child.let_go()
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - started > STEADY else failures + 1
            pause = min(LONGEST_PAUSE, 0.25 * 2**failures)
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self._say(f"{child.service.name} ended ({reason}); starting it again in {pause:.1f} s")
            if self._stopping.wait(pause):
                return
            started = time.monotonic()
            with contextlib.suppress(StackError, OSError):  # a full disk, say: the next round tries again
                child.process = self._spawn(child.service)
            # `stop` may have let the old process go while the new one was started.
            if self._stopping.is_set():
                child.let_go()

    def _has_ended(self, name: str, patience: float) -> bool:
        with self.log(name).open("ab") as log:
            return hold(log, patience)


def hold(file: IO[Any], patience: float = 0.0) -> bool:
    """Lock the file for this process and all that inherit it; False: others still have it after so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
