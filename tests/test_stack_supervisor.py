"""Children that die are started again, and none outlives the supervisor, however it ended."""

from __future__ import annotations

import fcntl
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
WITH_ITS_GUARD = 3


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
    until(lambda: len(session_of(first)) == WITH_ITS_GUARD)
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pid("worker") != first)
    assert session_of(first) == []
    assert said == ["worker ended (SIGKILL); starting it again in 0.5 s"]


def test_a_child_that_was_waited_for_twice_comes_back_once(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(service("redis"))
    supervisor.wait("redis")
    supervisor.wait("redis")
    first = supervisor.pid("redis")
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pid("redis") != first)
    second = supervisor.pid("redis")
    time.sleep(1.5)
    assert said == ["redis ended (SIGKILL); starting it again in 0.5 s"]
    assert supervisor.pid("redis") == second and second in session_of(second)


def test_a_child_is_not_started_beside_what_it_left_behind(supervisor: Supervisor, said: list[str]) -> None:
    """A job of the worker is in a process group of its own, and ends a moment after its worker."""
    job = f"{sys.executable} -c 'import os, time; os.setpgid(0, 0); print(os.getpid(), flush=True); time.sleep(2)'"
    supervisor.start(service("worker", ("sh", "-c", f"{job} & wait")))
    supervisor.wait("worker")
    until(lambda: supervisor.log("worker").read_text())
    first, left = supervisor.pid("worker"), int(supervisor.log("worker").read_text())
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.pid("worker") != first)
    assert not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE
    assert len(said) == 1


@pytest.mark.slow
def test_a_child_that_keeps_dying_is_started_ever_more_rarely(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(service("worker", ("sh", "-c", "sleep 0.3; exit 3")))
    supervisor.wait("worker")
    until(lambda: len(said) == 3)
    assert [line.split(" in ")[1] for line in said] == ["0.5 s", "1.0 s", "2.0 s"]
    assert "exit code 3" in said[0]


@pytest.mark.slow
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


def test_stop_ends_everything_even_what_ignores_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chequemate.supervisor.PATIENCE", 0.5)
    supervisor = Supervisor(tmp_path, print)
    supervisor.start(service("stubborn", ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")))
    supervisor.wait("stubborn")
    pid = supervisor.pid("stubborn")
    supervisor.stop()
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


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert first.stdout
    left = int(first.stdout.readline())
    until(lambda: len(session_of(left)) == WITH_ITS_GUARD)
    first.kill()
    first.wait()
    Supervisor(tmp_path, print).stop()  # it waits for the end of what is left
    assert session_of(left) == []


def test_what_ends_late_holds_up_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "redis.log").open("w") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        late = subprocess.Popen(["sleep", "1"], stdout=log)
    Supervisor(tmp_path, print).stop()
    assert late.wait(0.1) == 0


def test_what_does_not_end_is_told_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chequemate.supervisor.PATIENCE", -5.0)
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "redis.log").open("w") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        late = subprocess.Popen(["sleep", "600"], stdout=log)
    with pytest.raises(StackError, match=r"redis of an earlier start still runs and writes .*redis\.log"):
        Supervisor(tmp_path, print)
    assert late.poll() is None
    late.kill()
    late.wait()
    Supervisor(tmp_path, print).stop()


def test_a_guard_that_is_killed_does_not_keep_a_child_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chequemate.supervisor.PATIENCE", -1.0)
    supervisor = Supervisor(tmp_path, print)
    supervisor.start(service("redis", ("sleep", "600")))
    supervisor.wait("redis")
    pid = supervisor.pid("redis")
    until(lambda: len(session_of(pid)) == 2)
    (guard,) = (one for one in session_of(pid) if one != pid)
    os.kill(guard, signal.SIGKILL)
    supervisor.stop()
    assert session_of(pid) == []


def test_an_old_log_makes_way(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chequemate.supervisor.LOG_BYTES", 3)
    supervisor.log("worker").write_text("long ago\n")
    supervisor.start(service("worker", ("echo", "new")))
    until(lambda: supervisor.log("worker").read_text() == "new\n")
    assert supervisor.log("worker").with_suffix(".log.1").read_text() == "long ago\n"


@pytest.mark.parametrize("leader_lives", [True, False])
def test_a_recorded_pid_that_is_somebody_elses_is_left_alone(tmp_path: Path, leader_lives: bool) -> None:
    """A stranger was given the pid that a file names, with its whole session even where the pid itself is no more."""
    command = "sleep 600 & echo $!; " + ("wait" if leader_lives else "")
    leader = subprocess.Popen(["sh", "-c", command], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout
    stranger = psutil.Process(int(leader.stdout.readline()))
    if not leader_lives:
        leader.wait()
    for name in ("pids.json", "supervisor.pid", "lock"):
        (tmp_path / name).write_text(f'{{"worker": {{"pid": {leader.pid}, "created": {time.time()}}}}}')
    supervisor = Supervisor(tmp_path, print)
    supervisor.start(service("worker"))
    supervisor.wait("worker")
    supervisor.stop()
    assert stranger.is_running() and stranger.status() != psutil.STATUS_ZOMBIE
    assert leader_lives == (leader.poll() is None)
    stranger.kill()
    leader.wait()


def test_no_pid_is_written_down(supervisor: Supervisor) -> None:
    supervisor.start(service("worker"))
    supervisor.wait("worker")
    written = [path for path in supervisor.folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in written) == ["lock", "worker.log"]
    assert not any(path.read_text() for path in written)
