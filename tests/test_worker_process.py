"""A real worker process and a real Redis, both killed at the worst moments. The jobs are stand-ins that only wait."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from rq import Callback

from chequemate.doctor.checks import failed_jobs
from cheques.settings import MODELS, Settings
from tests.redis_parts import RedisServer
from worker.queue import (
    PRELABEL,
    RECONCILE,
    RETRAIN,
    Failure,
    connect,
    enqueue,
    failures,
    note_failure,
    queues,
)

pytestmark = pytest.mark.integration

# Imported by every Python that starts with this folder on its path: the jobs' processes too.
STAND_INS = """
import os, sys, time, types

def say(line):
    with open(os.environ["STORY"], "a") as file:
        file.write(line + "\\n")

def waits(name):
    def work(project, **arguments):
        from worker.job_decorator import progress
        if os.environ.get("LOADS") == name:
            from trainer.lora import load
            from trainer.recipe import LoraRecipe
            load(os.environ["SMALL"], LoraRecipe(rank=1), "cpu")
        say(f"{name} {project} begins {os.getpid()}")
        until = time.time() + float(os.environ.get(f"SECONDS_{name.upper()}", 0))
        while time.time() < until:
            time.sleep(0.05)
            progress(stage="waiting", done=1, total=2)
        say(f"{name} {project} ends {os.getpid()}")
        return {}
    work.__name__ = name
    return work

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "worker.jobs":
            import importlib.machinery
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return types.ModuleType(spec.name)
    def exec_module(self, module):
        from worker.job_decorator import job
        for name in ("retrain", "prelabel", "reconcile"):
            setattr(module, name, job(waits(name)))

sys.meta_path.insert(0, Finder())
"""


class Stage:
    """A worker, its Redis, and the story that its jobs write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = RedisServer(folder)
        self.story = folder / "story"
        self.story.touch()
        (folder / "sitecustomize.py").write_text(STAND_INS)
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, *queues: str, **env: str) -> subprocess.Popen[bytes]:
        about = {
            "PYTHONPATH": f"{self.folder}:{Path(__file__).parent.parent}",
            "STORY": str(self.story),
            "CHEQUEMATE_HOME": str(self.folder / "home"),
            "CHEQUEMATE_REDIS_URL": self.server.url,
            "CHEQUEMATE_PROJECTS": "7",
            "CHEQUEMATE_RECONCILE_SECONDS": "3600",
        }
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "worker", *queues],
                env=os.environ | about | env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                umask=0o022,  # as anybody's shell has it
            )
        self.workers.append(worker)
        return worker

    @property
    def connection(self) -> redis.Redis:
        return connect(self.server.url)

    def lines(self, start: str) -> list[str]:
        return [line for line in self.story.read_text().splitlines() if line.startswith(start)]

    def wait_for(self, start: str, count: int = 1, seconds: float = 60.0) -> list[str]:
        self.wait_until(lambda: len(self.lines(start)) >= count, f"{count} x {start!r}", seconds)
        return self.lines(start)

    def wait_until(self, true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not true():
            log = (self.folder / "worker.log").read_text()[-3000:]
            assert time.monotonic() < until, f"no {what}:\n{self.story.read_text()}\n{log}"
            time.sleep(0.05)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait(10)
        self.server.kill()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_works_through_the_queues_by_priority_and_leaves_nothing_behind(stage: Stage) -> None:
    for name in (RECONCILE, RETRAIN, PRELABEL):
        enqueue(name, 7, connection=stage.connection)
    worker = stage.work()
    stage.wait_for("reconcile 7 ends")
    assert [line.rsplit(" ", 1)[0] for line in stage.story.read_text().splitlines()] == [
        f"{name} 7 {what}" for name in (PRELABEL, RETRAIN, RECONCILE) for what in ("begins", "ends")
    ]
    assert stage.lines("retrain")[0].split()[-1] != str(worker.pid)  # each job in a process of its own
    stage.wait_until(lambda: not stage.connection.keys("rq:job:*"), "clean queue")
    worker.terminate()
    assert worker.wait(20) == 0


def test_the_worker_is_killed_in_mid_training_and_another_finishes_it(stage: Stage) -> None:
    worker = stage.work(SECONDS_RETRAIN="600")
    enqueue(RETRAIN, 7, connection=stage.connection, force=True)
    (line,) = stage.wait_for("retrain 7 begins")
    orphan = int(line.split()[-1])
    worker.kill()
    worker.wait(10)
    stage.wait_until(lambda: not is_alive(orphan), "death of the orphan", 10)
    stage.work(SECONDS_RETRAIN="0")
    stage.wait_for("retrain 7 ends")
    assert len(stage.lines("retrain 7 begins")) == 2


def test_redis_is_killed_and_wiped_in_mid_training_and_the_loop_goes_on(stage: Stage) -> None:
    stage.work(SECONDS_RETRAIN="6")
    stage.wait_for("reconcile 7 ends")  # the first, when the worker starts
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.wait_for("retrain 7 begins")
    stage.server.kill()
    time.sleep(2)
    stage.server.start()
    stage.wait_for("retrain 7 ends")  # it was not disturbed
    stage.wait_for("reconcile 7 ends", 2)  # at once when Redis was back, not after an hour
    stage.wait_until(lambda: bool(stage.connection.smembers("rq:workers")), "registered worker", 30)
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.wait_for("retrain 7 ends", 2)
    assert len(stage.lines("retrain 7 begins")) == 2


def test_redis_is_away_when_the_worker_starts_and_dies_while_it_idles(stage: Stage) -> None:
    stage.server.kill()
    stage.work()
    time.sleep(3)
    stage.server.start()
    stage.wait_for("reconcile 7 ends")
    stage.server.kill()
    time.sleep(1)
    stage.server.start()
    stage.wait_for("reconcile 7 ends", 2)


def test_a_job_that_kills_its_own_process_is_tried_again(stage: Stage) -> None:
    stage.work(SECONDS_PRELABEL="600")
    enqueue("prelabel", 7, connection=stage.connection)
    (line,) = stage.wait_for("prelabel 7 begins")
    os.kill(int(line.split()[-1]), signal.SIGKILL)
    stage.wait_for("prelabel 7 begins", 2)  # after the pause of its first retry, which nobody but the timer ends
    (failure,) = failures(stage.connection, 7)
    assert failure.line.startswith("prelabel was ended by signal 9 at 0.")
    assert '"job.killed"' in (stage.folder / "worker.log").read_text()


def test_what_failed_is_told_until_one_of_its_kind_goes_well(stage: Stage) -> None:
    note_failure(stage.connection, 7, Failure("retrain", 0.0, "no room; make some"))
    settings = Settings(_env_file=None, home=stage.folder / "home", redis_url=stage.server.url, projects="7")  # type: ignore[call-arg, arg-type]
    (told,) = failed_jobs(settings)
    assert (told.what, told.remedy) == ("project 7: retrain failed: no room", "make some")
    stage.work()
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.wait_for("retrain 7 ends")
    stage.wait_until(lambda: not failures(stage.connection, 7), "end of the failure")


def test_a_job_that_takes_more_than_the_container_has_says_how_much() -> None:
    failure = Failure("retrain", 0.0, signal=9, out_of_memory=True, peak=6 * 2**30, limit=6 * 2**30)
    said = "retrain was ended by signal 9 at 6.0 GiB of memory: the container has no more than 6.0"
    assert failure.line == f"{said}; raise WORKER_MEMORY in .env"


def test_asked_to_stop_it_does_not_wait_for_a_training(stage: Stage) -> None:
    worker = stage.work(SECONDS_RETRAIN="600")
    enqueue(RETRAIN, 7, connection=stage.connection)
    (line,) = stage.wait_for("retrain 7 begins")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(20) == 0
    assert not is_alive(int(line.split()[-1]))
    stage.work(SECONDS_RETRAIN="0")
    stage.wait_for("retrain 7 ends")


def test_reconcile_comes_again_and_again_by_itself(stage: Stage) -> None:
    stage.work(CHEQUEMATE_RECONCILE_SECONDS="1")
    stage.wait_for("reconcile 7 ends", 3)
    assert not any(queue.job_ids for queue in queues(stage.connection, [RETRAIN]))


def test_a_second_worker_says_who_is_the_first(stage: Stage) -> None:
    first = stage.work()
    stage.wait_for("reconcile 7 begins")
    second = stage.work()
    assert second.wait(30) == 2
    assert f"process {first.pid}" in (stage.folder / "worker.log").read_text()


def test_queues_can_be_served_apart(stage: Stage) -> None:
    stage.work("retrain", SECONDS_RETRAIN="600")
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.wait_for("retrain 7 begins")
    stage.work("reconcile", "prelabel")
    stage.wait_for("reconcile 7 ends")


def test_no_password_is_on_a_command_line(stage: Stage) -> None:
    stage.connection.config_set("requirepass", "hush-hush")
    url = stage.server.url.replace("redis://", "redis://:hush-hush@")
    worker = stage.work(CHEQUEMATE_REDIS_URL=url, SECONDS_RETRAIN="600")
    enqueue(RETRAIN, 7, connection=connect(url))
    (line,) = stage.wait_for("retrain 7 begins")
    for pid in (worker.pid, int(line.split()[-1])):
        words = Path(f"/proc/{pid}/cmdline").read_text()
        assert "worker" in words and "hush-hush" not in words


def test_a_function_that_is_none_of_ours_is_dropped_and_the_worker_goes_on(stage: Stage) -> None:
    proof = stage.folder / "proof"
    (retrain, prelabel) = queues(stage.connection, [RETRAIN, PRELABEL])
    forged = [
        retrain.enqueue_call("os.system", args=(f"touch {proof}",)),
        prelabel.enqueue_call("os.system", args=(f"touch {proof}",)),
        prelabel.enqueue_call("worker.jobs.prelabel", kwargs={"project": 7}, on_failure=Callback("os.system")),
    ]
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.work("retrain")  # of one queue alone RQ keeps what it has taken in a list
    stage.wait_for("retrain 7 ends")
    stage.work("prelabel", "reconcile")
    stage.wait_for("reconcile 7 ends")
    log = (stage.folder / "worker.log").read_text()
    refused = [json.loads(line) for line in log.splitlines() if "job.refused" in line]
    assert [one["function"] for one in refused] == ["os.system", "os.system", "worker.jobs.prelabel"]
    assert not proof.exists() and not stage.lines("prelabel") and str(proof) not in log
    assert not any(stage.connection.exists(job.key) for job in forged)


def test_what_jobs_write_is_its_owners_alone(stage: Stage) -> None:
    home = stage.folder / "home"
    home.mkdir(mode=0o755)
    worker = stage.work()
    stage.wait_for("reconcile 7 ends")
    made = [home, home / "worker-reconcile.lock", home / "locks" / "reconcile-7.lock"]
    assert [path.stat().st_mode & 0o077 for path in made] == [0, 0, 0]
    assert worker.poll() is None


def test_a_loading_bar_does_not_spill_into_the_log(stage: Stage) -> None:
    stage.work(LOADS="retrain", SMALL=str(MODELS / "small"))
    enqueue(RETRAIN, 7, connection=stage.connection)
    stage.wait_for("retrain 7 ends")
    for line in (stage.folder / "worker.log").read_text().splitlines():
        json.loads(line)


def test_an_unknown_queue_is_refused_in_one_line(stage: Stage) -> None:
    worker = stage.work("retrian")
    assert worker.wait(30) == 2
    assert (stage.folder / "worker.log").read_text() == "no queue retrian: there are prelabel, retrain, reconcile\n"
