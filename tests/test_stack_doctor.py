"""`chequemate doctor` notices each trap that was laid for it, and says the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from chequemate.connect import TITLE, attach
from chequemate.doctor import checks
from chequemate.doctor.checks import Finding
from chequemate.doctor.verb import findings
from chequemate.stack import Stack
from cheques.settings import Settings
from studio.client import Project, Studio
from studio.config import DEFAULT_CONFIG
from studio.formats import Reading, prediction, read_config
from tests.redis_parts import RedisServer, free_port

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")


def settings(home: Path, **more: Any) -> Settings:
    return Settings(_env_file=None, home=home, **more)  # type: ignore[call-arg]


def wrong(found: Iterator[Finding]) -> list[str]:
    return [f"{one.state}: {one.what} -> {one.remedy}" for one in found if one.state != "fine"]


def test_a_full_disk_and_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=4e8))
    (line,) = wrong(checks.machine(settings(tmp_path)))
    assert line.startswith("broken: disk: 0.4 GB free") and "make room" in line
    (tmp_path / "file").touch()
    (line,) = wrong(checks.machine(settings(tmp_path / "file" / "home")))
    assert "set CHEQUEMATE_HOME to a folder of your own" in line


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    assert "CHEQUEMATE_FILES_ROOT" in wrong(checks.machine(settings(tmp_path, files_root=tmp_path / "none")))[-1]


def test_redis_away(tmp_path: Path) -> None:
    (line,) = wrong(checks.redis_and_worker(settings(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")))
    assert line.startswith("broken: Redis does not answer") and "set REDIS_URL" in line


def test_a_redis_without_a_password_beyond_this_machine(tmp_path: Path) -> None:
    (line,) = wrong(checks.redis_and_worker(settings(tmp_path, redis_url="redis://redis.example:6379/0")))
    assert line.startswith("broken: CHEQUEMATE_REDIS_URL names redis.example without a password -> set requirepass")


@pytest.mark.integration
def test_redis_without_a_file_and_without_a_worker(tmp_path: Path, redis_server: RedisServer) -> None:
    no_password, no_file, no_worker = wrong(checks.redis_and_worker(settings(tmp_path, redis_url=redis_server.url)))
    assert no_password.startswith("doubtful: Redis has no password -> set requirepass")
    assert no_file.startswith("doubtful: Redis keeps no append-only file -> set appendonly yes")
    assert no_worker.startswith("broken: no worker is alive") and "python -m worker" in no_worker


def test_a_backend_that_is_away(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (line,) = wrong(checks.backend(settings(tmp_path, backend_url=url)))
    assert line.startswith(f"broken: the backend does not answer at {url}")


@pytest.mark.integration
class TestWithTheWholeStack:
    @pytest.fixture(autouse=True)
    def _without_healing(self, stack: Stack) -> Iterator[None]:
        """The worker puts right in seconds what is laid here: it is held still meanwhile."""
        worker = psutil.Process(stack.supervisor.pid("worker"))
        held = [worker, *worker.children(recursive=True)]
        for process in held:
            process.suspend()
        yield
        for process in held:
            process.resume()

    @pytest.fixture
    def studio(self, stack: Stack) -> Studio:
        return Studio(stack.studio_url, stack.token)

    @pytest.fixture
    def project(self, stack: Stack, studio: Studio) -> Project:
        """A project in which everything is right, and which nobody serves."""
        project = studio.create_project("Chèques", XML)
        (stack.files / "d").mkdir(exist_ok=True)
        config = read_config(XML)
        from PIL import Image

        Image.new("RGB", (64, 32)).save(stack.files / "d" / "c.png")
        (task,) = studio.import_tasks(project.id, [{"image": "/data/local-files/?d=d/c.png"}])
        attach(studio, stack.settings.model_copy(update={"home": stack.settings.home / "elsewhere"}), project.id)
        made = prediction(config, Reading({"lieu": "Lyon"}, {}), "v1", 0.5)
        studio.import_predictions(project.id, [{"task": task, **made}])
        studio.serve(project.id, "v1")
        return studio.project(project.id)

    def told(self, stack: Stack, project: Project, **changes: Any) -> list[str]:
        return wrong(findings(stack.settings.model_copy(update=changes), project.id))

    def test_nothing_is_said_of_what_is_right(self, stack: Stack, project: Project) -> None:
        assert [line for line in self.told(stack, project) if "GB free" not in line] == []

    def test_a_worth_of_no_field(self, stack: Stack, project: Project) -> None:
        lines = self.told(stack, project, worth={"date": 2.0, "dates": 1.0})
        assert any("CHEQUEMATE_WORTH names dates, no field of it -> its fields are montant_" in line for line in lines)

    def test_a_wrong_token(self, stack: Stack, project: Project) -> None:
        assert "set a valid CHEQUEMATE_STUDIO_TOKEN" in self.told(stack, project, studio_token=SecretStr("f" * 40))[-1]

    def test_a_wrong_password(self, stack: Stack, project: Project) -> None:
        lines = self.told(stack, project, password=SecretStr("wrong"))
        assert any("refuses user and password" in line for line in lines)
        assert any("the webhook carries no auth, or a wrong one" in line for line in lines)

    def test_a_webhook_without_auth(self, stack: Stack, studio: Studio, project: Project) -> None:
        studio.register_webhook(project.id, f"{stack.backend_url}/webhook", {})
        (line,) = self.told(stack, project)
        assert f"carries no auth, or a wrong one -> run: chequemate connect --project {project.id}" in line

    def test_a_webhook_that_outlived_its_backend(self, stack: Stack, studio: Studio, project: Project) -> None:
        studio.register_webhook(project.id, "http://127.0.0.1:1/webhook", {})
        (line,) = self.told(stack, project)
        assert "outlived its backend (http://127.0.0.1:1/webhook) -> delete it" in line

    def test_a_model_version_that_matches_nothing(self, stack: Stack, studio: Studio, project: Project) -> None:
        studio.patch_project(project.id, model_version=TITLE)
        (line,) = self.told(stack, project)
        assert f"shows {TITLE}, of which no prediction is stored" in line and "the order is random" in line

    def test_another_sampling_and_hidden_predictions(self, stack: Stack, studio: Studio, project: Project) -> None:
        studio.patch_project(project.id, sampling="Sequential sampling", show_collab_predictions=False)
        lines = self.told(stack, project)
        assert any("sampling is « Sequential sampling »" in line for line in lines)
        assert any("predictions are hidden" in line for line in lines)

    def test_several_annotations_a_task(self, stack: Stack, studio: Studio, project: Project) -> None:
        studio.patch_project(project.id, maximum_annotations=2)
        assert any("2 annotations a task" in line for line in self.told(stack, project))

    def test_an_image_that_is_not_there(self, stack: Stack, project: Project) -> None:
        (stack.files / "d" / "c.png").unlink()
        (line,) = self.told(stack, project)
        assert "image of task" in line and "no such file under CHEQUEMATE_FILES_ROOT" in line

    def test_a_backend_that_is_not_registered(self, stack: Stack, studio: Studio) -> None:
        plain = studio.create_project("Autre", XML)
        lines = self.told(stack, plain)
        assert any("is not registered -> run: chequemate connect" in line for line in lines)
        assert any("no webhook tells the backend" in line for line in lines)

    def test_a_configuration_without_an_image(self, stack: Stack, studio: Studio) -> None:
        text = '<View><Text name="t" value="$t"/><TextArea name="lieu" toName="t"/></View>'
        plain = studio.create_project("Texte", text)
        assert any('no Image -> add <Image name="image"' in line for line in self.told(stack, plain))

    def test_a_clock_that_is_wrong(self, stack: Stack, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Studio, "clock_ahead", lambda self: -3600.0)
        (line,) = self.told(stack, project)
        assert "clock is -3600 s off" in line

    def test_the_exit_code_says_whether_something_is_broken(
        self, stack: Stack, studio: Studio, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from chequemate.cli import app
        from cheques import settings as module

        monkeypatch.setattr(module, "settings", lambda: stack.settings)
        runner, arguments = CliRunner(), ["doctor", "--project", str(project.id)]
        assert runner.invoke(app, arguments).exit_code == 0
        studio.patch_project(project.id, sampling="Sequential sampling")
        result = runner.invoke(app, arguments)
        assert result.exit_code == 1
        assert "→ run: chequemate connect --project" in result.output
