"""`make compose-test`: the README's way with Docker, on a real engine, and everything in it stopped, killed and wiped.

Takes a quarter of an hour and more, and skips itself where no engine runs. What a build needs where PyTorch's own index
cannot be reached (TORCH_BACKEND, IMAGE_PYTHON, BUILD_NETWORK) it takes from the environment, as `docker compose build`
does.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from cheques.drawing.folder import write_folder
from studio.api_types import Task
from studio.client import Studio
from studio.config import DEFAULT_CONFIG, read_config

ROOT = Path(__file__).resolve().parent.parent
XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
SECONDS = 1800.0  # for what takes a minute on an idle machine
CHEQUES = 40


def engine_runs() -> bool:
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(not engine_runs(), reason="no Docker engine runs here: start one, then make compose-test"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Composed:
    """The project's own compose file under another name, with files, passwords and ports of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.files, self.secrets = folder / "files", folder / "secrets"
        self.files.mkdir()
        self.port, self.page, self.tls, self.tls_page = (free_port() for _ in range(4))
        self.env = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"chequemate-test-{os.getpid()}",
            "CHEQUE_FILES": str(self.files),
            "SECRETS": str(self.secrets),
            "LABEL_STUDIO_USERNAME": "admin@example.com",
            "LABEL_STUDIO_HOST": f"http://localhost:{self.port}",
            "LABEL_STUDIO_LISTEN": f"127.0.0.1:{self.port}",
            "BACKEND_LISTEN": f"127.0.0.1:{self.page}",
            "TLS_LISTEN": f"127.0.0.1:{self.tls}",
            "TLS_PAGE_LISTEN": f"127.0.0.1:{self.tls_page}",
            "TLS_HTTP_LISTEN": "127.0.0.1:0",
            "CHEQUEMATE_RETRAIN_EVERY": "10",
            "CHEQUEMATE_RECONCILE_SECONDS": "15",
        }
        subprocess.run(["sh", ROOT / "deploy" / "secrets.sh"], env=self.env, check=True)
        # A password as people choose them: with what an address or a quoted text would have to escape.
        password = self.secrets / "redis_password"
        password.unlink()
        password.write_text('p/#@:"\\ w')

    def run(self, *words: str, check: bool = True, **env: str) -> str:
        """What `docker compose …` prints; the test fails with it where it fails."""
        done = subprocess.run(
            ["docker", "compose", *words], cwd=ROOT, env=self.env | env, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"docker compose {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def chequemate(self, *words: str, check: bool = True) -> str:
        return self.run("exec", "-T", "worker", "chequemate", *words, check=check)

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    @property
    def studio(self) -> Studio:
        return Studio(f"http://127.0.0.1:{self.port}", self.secret("label_studio_token"))

    def states(self) -> dict[str, str]:
        """Service -> "running (healthy)"."""
        lines = self.run("ps", "-a", "--format", "json").splitlines()
        services = [json.loads(line) for line in lines if line.startswith("{")]
        return {one["Service"]: f"{one['State']} ({one['Health']})" for one in services}

    def until_up(self) -> None:
        self.until(lambda: set(self.states().values()) == {"running (healthy)"}, "every service healthy")

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen; {self.states()}\n{self.run('logs', '--tail', '30')}")
            time.sleep(2)

    def doctor(self) -> list[str]:
        """What is broken, by doctor's own lines."""
        said = self.chequemate("doctor", check=False).splitlines()
        return [line for line in said if line.startswith("✗")]

    def until_nothing_is_broken(self) -> None:
        self.until(lambda: not self.doctor(), "a doctor that finds nothing broken")

    def versions(self, project: int) -> list[str]:
        said = self.chequemate("versions", "--project", str(project), "--json")
        return [one["version"] for one in json.loads(said.splitlines()[0])["versions"]]

    def loop(self, project: int) -> dict[str, Any]:
        """What the page shows of the loop now."""
        answer = requests.get(
            f"http://127.0.0.1:{self.page}/dashboard/live.json",
            params={"project": project},
            auth=("chequemate", self.secret("backend_password")),
            timeout=60,
        )
        return dict(answer.json()) if answer.ok else {}

    def tasks(self, project: int) -> list[Task]:
        return list(self.studio.tasks(project, CONFIG, stored=True))

    def label(self, project: int, truth: dict[str, dict[str, str]], count: int) -> None:
        """Label the next cheques as they are served, as the page would send it."""
        for _ in range(count):
            task = self.studio.next_task(project)
            assert task, "nothing left to label"
            name = Path(str(task["data"]["image"])).name.split("-")[-1]
            stored = max((int(p["id"]) for p in task.get("predictions") or ()), default=None)
            more: dict[str, Any] = {"parent_prediction": stored} if stored else {}
            self.studio.annotate(task["id"], regions(truth[name]), lead_time=20.0, **more)


def regions(values: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for field in CONFIG.form:
        kind = "choices" if field.kind == "choice" else "textarea"
        if value := values.get(field.name):
            key = "choices" if kind == "choices" else "text"
            about = {"from_name": field.name, "to_name": "image", "type": kind, "origin": "manual"}
            found.append(about | {"value": {key: [value]}})
    return found


@pytest.fixture(scope="module")
def truth(composed: Composed) -> dict[str, dict[str, str]]:
    """Drawn cheques in the folder that containers see as /files/lot1: file name -> true values."""
    lines = write_folder(composed.files / "lot1", CHEQUES, 5).read_text().splitlines()
    return {line.pop("image"): line for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    made = Composed(tmp_path_factory.mktemp("compose"))
    try:
        made.run("up", "-d", "--build")
        made.until_up()
        yield made
    finally:
        made.run("--profile", "tls", "down", "-v", "--timeout", "5", check=False)


@pytest.fixture(scope="module")
def project(composed: Composed, truth: dict[str, dict[str, str]]) -> int:
    """A project on a Local-files storage, as .env.example says, joined and pre-labelled."""
    studio = composed.studio
    number = studio.create_project("Local", XML).id
    sdk = studio._sdk
    storage = sdk.import_storage.local.create(
        project=number, title="lot1", path="/files/lot1", regex_filter=r".*\.png", use_blob_urls=True
    )
    sdk.import_storage.local.sync(storage.id)
    composed.until(lambda: studio.project(number).tasks == CHEQUES, "tasks of the storage")
    assert all(task.image.startswith(composed.env["LABEL_STUDIO_HOST"]) for task in composed.tasks(number))
    print(composed.chequemate("connect", "--project", str(number)))
    composed.until(lambda: all(task.stored for task in composed.tasks(number)), "predictions of all tasks")
    return number


def test_local_files_are_read(composed: Composed, project: int) -> None:
    shown = [task for task in composed.tasks(project) if not all(one.empty for one in task.stored)]
    assert len(shown) >= 0.8 * CHEQUES  # the blind part of the exam is empty, and nothing else
    composed.until_nothing_is_broken()


def test_uploads_are_read(composed: Composed, truth: dict[str, dict[str, str]]) -> None:
    studio = composed.studio
    number = studio.create_project("Uploads", XML).id
    paths = [composed.files / "lot1" / name for name in sorted(truth)[:5]]
    answer = requests.post(
        f"{studio.url}/api/projects/{number}/import",
        headers={"Authorization": f"Token {composed.secret('label_studio_token')}"},
        files=[("file", (path.name, path.read_bytes(), "image/png")) for path in paths],
        timeout=60,
    )
    assert answer.ok, answer.text
    composed.chequemate("connect", "--project", str(number))
    composed.until(lambda: all(task.stored for task in composed.tasks(number)), "predictions of the uploads")
    assert not any("image" in line for line in composed.doctor())


def test_connect_again_does_no_harm_and_registers_nothing_twice(composed: Composed, project: int) -> None:
    composed.chequemate("connect", "--project", str(project))
    assert len(composed.studio.backends(project)) == len(composed.studio.webhooks(project)) == 1


def test_25_labels_make_a_version(composed: Composed, project: int, truth: dict[str, dict[str, str]]) -> None:
    composed.label(project, truth, 25)
    composed.until(lambda: composed.versions(project), "a first version")
    composed.until_nothing_is_broken()


@pytest.mark.parametrize("service", ["redis", "postgres", "label-studio", "backend", "worker"])
def test_each_service_is_restarted_and_the_loop_goes_on(composed: Composed, project: int, service: str) -> None:
    before = composed.studio.project(project).labels
    composed.run("restart", service)
    composed.until_up()
    composed.until_nothing_is_broken()
    assert composed.studio.project(project).labels == before
    assert composed.studio.next_task(project)


def test_redis_hears_when_it_shall_stop_and_nothing_of_ours_runs_as_root(composed: Composed) -> None:
    began = time.monotonic()
    composed.run("stop", "redis")
    logs = composed.run("logs", "--tail", "20", "redis")
    assert "Received SIGTERM" in logs or "User requested shutdown" in logs, (time.monotonic() - began, logs)
    composed.run("up", "-d")
    composed.until_up()
    for service in ("redis", "backend", "worker", "label-studio"):
        user = composed.run("exec", "-T", service, "sh", "-c", "grep ^Uid: /proc/1/status").split()
        assert user[1] != "0", service
        processes = composed.run("exec", "-T", service, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert not any(secret in processes for secret in ("p/#@", composed.secret("backend_password")))


def test_a_worker_killed_in_mid_training_trains_again(
    composed: Composed, project: int, truth: dict[str, dict[str, str]]
) -> None:
    known = composed.versions(project)
    composed.label(project, truth, 4)  # on the same labels there would be nothing to train
    composed.studio._sdk.ml.train(composed.studio.backends(project)[0]["id"])
    composed.until(lambda: is_training(composed.loop(project)), "a training")
    composed.run("kill", "worker")
    composed.run("up", "-d")
    composed.until(lambda: len(composed.versions(project)) > len(known), "the version of the training that was killed")
    composed.until_nothing_is_broken()


def is_training(loop: dict[str, Any]) -> bool:
    return any(job["name"] == "retrain" and job["status"] == "started" for job in loop.get("jobs", ()))


def test_down_and_up_keeps_everything(composed: Composed, project: int) -> None:
    before = composed.versions(project), composed.studio.project(project).labels
    composed.run("down")
    composed.run("up", "-d")
    composed.until_up()
    assert (composed.versions(project), composed.studio.project(project).labels) == before
    composed.until_nothing_is_broken()


def test_redis_wiped_is_made_again_from_label_studio(composed: Composed, project: int) -> None:
    before = composed.versions(project)
    composed.run("rm", "-s", "-f", "redis")
    subprocess.run(["docker", "volume", "rm", f"{composed.env['COMPOSE_PROJECT_NAME']}_redis"], check=True)
    composed.run("up", "-d")
    composed.until_up()
    composed.until_nothing_is_broken()
    assert composed.versions(project) == before


def test_out_of_memory_is_said(composed: Composed, project: int, truth: dict[str, dict[str, str]]) -> None:
    composed.label(project, truth, 4)
    composed.run("up", "-d", WORKER_MEMORY="450m")
    composed.until_up()
    composed.studio._sdk.ml.train(composed.studio.backends(project)[0]["id"])
    composed.until(lambda: "the container has no more than 0.4" in " ".join(composed.doctor()), "doctor's line")
    page = requests.get(
        f"http://127.0.0.1:{composed.page}/",
        params={"project": project, "lang": "fr"},
        auth=("chequemate", composed.secret("backend_password")),
        timeout=60,
    )
    assert "a manqué de mémoire" in page.text
    composed.run("up", "-d")
    composed.until(lambda: "no more than" not in " ".join(composed.doctor()), "a training that goes well")


def test_a_backend_without_a_reader_is_not_healthy(composed: Composed) -> None:
    composed.run("up", "-d", "--no-deps", "backend", CHEQUEMATE_MODEL="/models/none")
    composed.until(lambda: composed.states()["backend"] == "running (unhealthy)", "an unhealthy backend")
    assert any("/models/none" in line for line in composed.doctor())
    composed.run("up", "-d")
    composed.until_up()


def test_behind_tls_people_log_in_and_see_the_page(composed: Composed) -> None:
    urllib3.disable_warnings()  # the proxy's certificate is of its own authority, made for this test
    url = f"https://localhost:{composed.tls}"
    env = {"LABEL_STUDIO_HOST": url, "LABEL_STUDIO_COOKIE_SECURE": "1", "COMPOSE_PROFILES": "tls"}
    composed.run("up", "-d", **env)
    session = requests.Session()
    session.verify, session.trust_env = False, False  # or certificates named in the environment would count

    def page() -> bool:
        try:
            return session.get(f"{url}/user/login/", timeout=10).ok
        except requests.RequestException:
            return False

    composed.until(page, "the log-in page behind TLS")
    form = {"email": "admin@example.com", "password": composed.secret("label_studio_password")}
    form["csrfmiddlewaretoken"] = str(session.cookies["csrftoken"])
    answer = session.post(f"{url}/user/login/", data=form, headers={"Referer": f"{url}/user/login/"}, timeout=30)
    assert answer.ok and "login" not in answer.url, (answer.status_code, answer.url)
    assert all(cookie.secure for cookie in session.cookies)
    lead = session.get(
        f"https://localhost:{composed.tls_page}/", auth=("chequemate", composed.secret("backend_password")), timeout=60
    )
    assert lead.ok and "Chequemate" in lead.text
    composed.run("--profile", "tls", "up", "-d", **{**env, "LABEL_STUDIO_HOST": composed.env["LABEL_STUDIO_HOST"]})


def test_the_file_for_a_card_is_one_that_compose_takes(composed: Composed) -> None:
    merged = composed.run("config", "--format", "json", COMPOSE_FILE="docker-compose.yml:deploy/gpu.yml")
    services = json.loads(merged[merged.index("{") :])["services"]
    assert services["worker"]["image"] == services["backend"]["image"]
    assert services["worker"]["image"].endswith("-gpu")
    assert services["backend"]["build"]["args"]["EXTRA_LOCK"] == "locks/unsloth.txt"
