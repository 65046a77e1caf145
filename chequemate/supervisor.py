"""Child processes that are kept alive: started in sessions of their own, restarted when they die, ended as a whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]

LONGEST_PAUSE = 30.0  # seconds between two starts of a child that keeps dying
STEADY = 60.0  # a child that lived this long starts again at once when it dies
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
    started: float
    up: bool = False  # was ready once: from then on it is restarted when it dies
    failures: int = 0
    due: float = 0.0  # when to start it again, by the monotonic clock; 0: it runs


class Supervisor:
    """Keeps services alive under `folder` (its lock, the pids, the logs). One supervisor a folder at a time."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self._say = say
        self._children: dict[str, Child] = {}
        self._mutex = threading.RLock()
        self._stopping = threading.Event()
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / "lock")
        # Whoever held this lock before may have been killed, and its children live on.
        _end(self._recorded())
        self._watch = threading.Thread(target=self._keep_alive, name="supervisor", daemon=True)
        self._watch.start()

    def start(self, service: Service) -> None:
        """Start it and return at once; `wait` tells when it is ready."""
        with self._mutex:
            self._children[service.name] = Child(service, self._spawn(service), time.monotonic())
            self._record()

    def wait(self, name: str) -> None:
        """Until the service is ready. Raises StackError, with its last words, where it dies or takes too long."""
        child = self._children[name]
        deadline = time.monotonic() + child.service.patience
        while not child.service.ready(child.process.pid):
            if child.process.poll() is not None:
                raise StackError(f"{name} ended at its start ({self._last_line(name)}); see {self.log(name)}")
            if time.monotonic() > deadline:
                raise StackError(f"{name} was not ready in {child.service.patience:.0f} s; see {self.log(name)}")
            if self._stopping.wait(0.1):
                raise StackError(f"{name} was stopped before it was ready; start again")
        child.up = True

    def pid(self, name: str) -> int:
        """The process of a service as it runs now; it changes with each restart."""
        return self._children[name].process.pid

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def stop(self, names: Iterable[str] = (), patience: float = 8.0) -> None:
        """End these services, or all (in the reverse order of their start), with everything that they started."""
        every = not names
        with self._mutex:
            if every:
                self._stopping.set()
            chosen = [self._children.pop(name) for name in list(names) or [*reversed(self._children)]]
        if every and self._watch is not threading.current_thread():
            self._watch.join(timeout=5)
        for child in chosen:
            _end_session(child.process.pid, patience, child.process)
        with self._mutex:
            self._record()
            if every:
                self._lock.close()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        log = self.log(service.name)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            try:
                # A session of its own: Ctrl-C in the terminal reaches us alone, and we end it with all it started.
                return subprocess.Popen(
                    service.command,
                    env=dict(service.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=0o077,  # what they write holds pictures of cheques and tokens
                )
            except OSError as error:
                raise StackError(f"{service.name}: {service.command[0]} does not start ({error.strerror})") from None

    def _keep_alive(self) -> None:
        while not self._stopping.wait(0.1):
            with self._mutex:
                for child in self._children.values():
                    self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        code = child.process.poll()
        if code is None or not child.up:
            return
        if not child.due:
            child.failures = 1 if now - child.started > STEADY else child.failures + 1
            pause = min(LONGEST_PAUSE, 0.25 * 2**child.failures)
            child.due = now + pause
            self._say(f"{child.service.name} ended ({_reason(code)}); starting it again in {pause:.1f} s")
            # A worker that was killed leaves the job it had forked; two of them would train at once.
            _end_session(child.process.pid, 2.0)
        elif now >= child.due:
            child.started, child.due = now, 0.0
            with contextlib.suppress(StackError, OSError):  # a full disk, say: tried again, after a longer pause
                child.process = self._spawn(child.service)
                self._record()

    def _record(self) -> None:
        pids = {}
        for name, child in self._children.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                pids[name] = {"pid": child.process.pid, "created": psutil.Process(child.process.pid).create_time()}
        part = self.folder / "pids.json.part"
        part.write_text(json.dumps(pids))
        part.replace(self.folder / "pids.json")

    def _recorded(self) -> list[tuple[int, float]]:
        try:
            pids = json.loads((self.folder / "pids.json").read_text())
            return [(int(one["pid"]), float(one["created"])) for one in pids.values()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []  # none, or half written by a crash: nothing of ours is known

    def _last_line(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"


def _lock(path: Path) -> IO[str]:
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise StackError(f"{path.parent} is in use by another `chequemate demo`: stop that one first") from None
    return handle


def _end(recorded: Iterable[tuple[int, float]]) -> None:
    """End what an earlier supervisor left, if the pid still is that very process (or its session outlived it)."""
    for pid, created in recorded:
        try:
            same = abs(psutil.Process(pid).create_time() - created) < 1.0
        except psutil.NoSuchProcess:
            same = True  # a pid is not given again while a session bears it
        if same:
            _end_session(pid, 5.0)


def _session(sid: int) -> list[psutil.Process]:
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == sid:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def _end_session(sid: int, patience: float, process: subprocess.Popen[bytes] | None = None) -> None:
    """Ask every process of the session to end, and after `patience` seconds make it."""
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    while members := _session(sid):
        late = time.monotonic() > deadline
        for member in members:
            if late or member.pid not in asked:
                asked.add(member.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.send_signal(signal.SIGKILL if late else signal.SIGTERM)
        if process is not None:
            process.poll()
        time.sleep(0.05)
    if process is not None:
        process.wait()


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
