"""Children that die are started again, and none outlives the supervisor, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from chequemate.supervisor import Service, StackError, Supervisor

SLEEP = ("sh", "-c", "sleep 600 & wait")  # a child with a child of its own


def service(name: str, command: tuple[str, ...] = SLEEP, patience: float = 5.0) -> Service:
    return Service(name, command, dict(os.environ), lambda pid: psutil.pid_exists(pid), patience)


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def session_of(pid: int) -> list[int]:
    found = []
    for other in psutil.process_iter(["status"]):
        try:
            if os.getsid(other.pid) == pid and other.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(other.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    one = Supervisor(tmp_path, said.append)
    yield one
    one.stop()


def test_a_killed_child_comes_back_and_what_it_had_started_ends(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(service("worker"))
    supervisor.wait("worker")
    first = supervisor.pid("worker")
    until(lambda: len(session_of(first)) == 2)
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pid("worker") != first)
    assert session_of(first) == []
    assert said == ["worker ended (SIGKILL); starting it again in 0.5 s"]


def test_a_child_that_keeps_dying_is_started_ever_more_rarely(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(service("worker", ("sh", "-c", "sleep 0.3; exit 3")))
    supervisor.wait("worker")
    until(lambda: len(said) == 3)
    assert [line.split(" in ")[1] for line in said] == ["0.5 s", "1.0 s", "2.0 s"]
    assert "exit code 3" in said[0]


def test_a_child_that_cannot_be_started_again_is_tried_ever_more_rarely_until_it_can(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chequemate.supervisor.STEADY", 0.5)
    supervisor.start(service("worker"))
    supervisor.wait("worker")
    time.sleep(0.6)  # it ran well for long
    log = supervisor.log("worker")
    log.unlink()
    log.mkdir()  # as on a full disk, nothing can be written there
    os.kill(supervisor.pid("worker"), signal.SIGKILL)
    until(lambda: len(said) == 2)
    time.sleep(1.5)
    assert len(said) <= 3 and [line.rsplit(" in ", 1)[1] for line in said[:2]] == ["0.5 s", "1.0 s"]
    log.rmdir()
    until(lambda: psutil.pid_exists(supervisor.pid("worker")))


def test_a_child_that_dies_at_its_start_is_told_with_its_last_words(supervisor: Supervisor) -> None:
    never = Service("backend", ("sh", "-c", "echo no model; exit 1"), dict(os.environ), lambda pid: False, 5.0)
    supervisor.start(never)
    with pytest.raises(StackError, match=r"backend ended at its start \(no model\); see .*backend\.log"):
        supervisor.wait("backend")


def test_a_child_that_is_never_ready_is_told(supervisor: Supervisor) -> None:
    supervisor.start(Service("backend", SLEEP, dict(os.environ), lambda pid: False, 0.2))
    with pytest.raises(StackError, match="not ready in 0 s"):
        supervisor.wait("backend")


def test_a_missing_program_is_told(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match="/nowhere/redis-server does not start"):
        supervisor.start(service("redis", ("/nowhere/redis-server",)))


def test_stop_ends_everything_even_what_ignores_the_request(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, print)
    supervisor.start(service("stubborn", ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")))
    supervisor.wait("stubborn")
    pid = supervisor.pid("stubborn")
    supervisor.stop(patience=0.5)
    assert session_of(pid) == []


def test_what_a_child_writes_is_its_owners_alone(supervisor: Supervisor) -> None:
    before = os.umask(0o022)
    try:
        supervisor.start(service("worker", ("sh", "-c", "umask; sleep 600")))
    finally:
        os.umask(before)
    until(lambda: supervisor.log("worker").read_text() == "0077\n")


def test_two_supervisors_do_not_share_a_folder(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match="in use by another"):
        Supervisor(supervisor.folder, print)


KILLED = """
import os, sys, time
from pathlib import Path
from chequemate.supervisor import Service, Supervisor
one = Supervisor(Path(sys.argv[1]), print)
one.start(Service("worker", ("sh", "-c", "sleep 600 & wait"), dict(os.environ), lambda pid: True))
one.wait("worker")
print(one.pid("worker"), flush=True)
time.sleep(600)
"""


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert first.stdout
    left = int(first.stdout.readline())
    until(lambda: len(session_of(left)) == 2)
    first.kill()
    first.wait()
    assert len(session_of(left)) == 2  # they outlived it
    os.kill(left, signal.SIGKILL)  # and even a child without its leader is found
    Supervisor(tmp_path, print).stop()
    assert session_of(left) == []


def test_a_recorded_pid_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (tmp_path / "pids.json").write_text(f'{{"worker": {{"pid": {other.pid}, "created": 1000.0}}}}')
    Supervisor(tmp_path, print).stop()
    assert other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"worker": 3}', '{"worker": {"pid": "x"}}'])
def test_damaged_records_are_no_hindrance(tmp_path: Path, text: str) -> None:
    (tmp_path / "pids.json").write_text(text)
    Supervisor(tmp_path, print).stop()
