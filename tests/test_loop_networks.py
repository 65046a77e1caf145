"""The whole loop where teams run Label Studio: on S3, below a path behind a private CA, behind a company's proxy.

Each is joined with `connect`, pre-labelled, labelled until a version is trained, and looked at by `doctor`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from chequemate import services
from chequemate.services import EMAIL
from chequemate.stack import Stack, free_port
from chequemate.supervisor import Supervisor
from cheques.drawing.folder import write_folder
from cheques.network import prepare
from cheques.settings import Settings
from store.database import Store
from store.versions import Versions
from studio.client import Studio
from studio.config import DEFAULT_CONFIG, read_config
from tests.conftest import ANY_PORTS, LabelStudio
from tests.network_parts import Proxy, nginx, running, s3
from tests.test_loop import run, until
from tests.test_studio_client import personal_token

pytestmark = [pytest.mark.integration, pytest.mark.proof]

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
CHEQUES = 16
LABELS = 14  # of them six or more are lessons, which is a retraining


@pytest.fixture(scope="module")
def cheques(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn cheques with their truth."""
    folder = tmp_path_factory.mktemp("cheques")
    write_folder(folder, CHEQUES, 5, "unseen")
    return folder


@contextmanager
def ours(home: Path, **settings: object) -> Iterator[Stack]:
    """Our parts alone, at work on somebody's Label Studio."""
    about = {"home": home, "retrain_every": 6, "reconcile_seconds": 15.0, **settings}
    own = Settings(_env_file=None, **about)  # type: ignore[call-arg, arg-type]
    with Stack(own, parts=("redis", "backend", "worker"), usual_ports=ANY_PORTS) as stack:
        yield stack


def labelled_to_a_version(stack: Stack, studio: Studio, project: int, cheques: Path) -> None:
    """Connect, pre-label, label, learn; and nothing is broken for doctor."""
    assert "is joined" in run(stack, "connect", "--project", str(project))
    until(lambda: sum(studio.predicted_versions(project).values()) >= CHEQUES, 1200)
    until(lambda: studio.project(project).model_version == "base", 300)
    shown = [p for task in studio.tasks(project, CONFIG, stored=True) for p in task.stored]
    assert len(shown) == CHEQUES and any(not prediction.empty for prediction in shown)
    truth = str(cheques / "truth.jsonl")
    run(stack, "simulate", "--labels", str(LABELS), "--project", str(project), "--truth", truth, "--no-breaks")
    until(lambda: bool(Versions(Store(stack.settings.home), project).list()), 3600)
    versions = Versions(Store(stack.settings.home), project).list()
    assert {version.decision for version in versions} <= {"promoted", "rejected"}
    command = [sys.executable, "-m", "chequemate", "doctor", "--project", str(project)]
    told = subprocess.run(command, env=stack.environment(), capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("presign", [True, False], ids=["presigned", "proxied"])
def test_s3(label_studio: LabelStudio, cheques: Path, tmp_path: Path, presign: bool) -> None:
    studio = label_studio.client
    project = studio.create_project("Chèques en S3", XML).id
    about = {"studio_url": label_studio.url, "studio_token": personal_token(label_studio)}
    with s3() as storage, ours(tmp_path / "home", **about) as stack:
        files = {f"scans/{path.name}": path.read_bytes() for path in cheques.glob("c*.png")}
        bucket = storage.bucket(f"loop-{project}", files)
        storage.storage_in(label_studio.url, label_studio.token, project, bucket, presign)
        labelled_to_a_version(stack, studio, project, cheques)


def test_below_a_path_behind_a_private_ca(cheques: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, behind, port = trustme.CA(), free_port(), free_port()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    prepare([], tmp_path / "ca.pem", tmp_path)  # for this process' own client
    files, url = tmp_path / "files", f"https://localhost:{port}/label-studio"
    (files / "scans").mkdir(parents=True)
    for path in cheques.glob("c*.png"):
        (files / "scans" / path.name).write_bytes(path.read_bytes())
    service = services.label_studio(tmp_path / "ls", behind, files, password="pass-word-1", token="a" * 40)
    service = replace(service, environment={**service.environment, "LABEL_STUDIO_HOST": url})
    supervisor = Supervisor(tmp_path, print)
    try:
        supervisor.start(service)
        supervisor.wait("label-studio")
        with nginx(tmp_path, port, "/label-studio", behind, authority):
            studio = Studio(url, "a" * 40)
            project = studio.create_project("Chèques sous un chemin", XML).id
            studio.serve_files(project, str(files / "scans"))
            (storage,) = studio.storages(project)
            studio._sdk.import_storage.local.sync(storage["id"])
            task = next(studio.tasks(project, CONFIG))
            assert task.image.startswith(f"{url}/data/local-files/?d=scans/")
            token = personal_token(LabelStudio(url, "a" * 40, EMAIL, "pass-word-1", files))
            about = {"studio_url": url, "studio_token": token, "ca_bundle": tmp_path / "ca.pem"}
            with ours(tmp_path / "home", **about) as stack:
                labelled_to_a_version(stack, studio, project, cheques)
    finally:
        supervisor.stop()


def test_behind_a_proxy_that_must_not_see_loopback(
    label_studio: LabelStudio, cheques: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = label_studio.client
    project = studio.create_project("Chèques derrière un proxy", XML).id
    names = [path.name for path in cheques.glob("c*.png")]
    studio.import_tasks(project, [{"image": f"http://images.example/scans/{name}"} for name in names])
    proxy = Proxy()
    proxy.sites["images.example"] = lambda path: (cheques / Path(path).name).read_bytes()
    with running(proxy):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")  # so that it is set back
        prepare([], None, tmp_path)  # for this process; the stack's parts have to know by themselves
        whole = Stack.environment
        monkeypatch.setattr(
            Stack,
            "environment",
            lambda stack: {name: text for name, text in whole(stack).items() if name.lower() != "no_proxy"},
        )
        about = {"studio_url": label_studio.url, "studio_token": label_studio.token, "image_hosts": "images.example"}
        with ours(tmp_path / "home", **about) as stack:
            labelled_to_a_version(stack, studio, project, cheques)
    assert {line.rpartition("/")[0] for line in proxy.seen} == {"GET http://images.example/scans"}
