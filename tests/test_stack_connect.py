"""`chequemate connect` joins a project that people made and labelled by hand, and learns from it at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from chequemate.connect import TITLE, attach, auth_header, begin, remarks
from chequemate.stack import Stack
from cheques.drawing.folder import write_folder
from cheques.settings import Settings
from store.database import Store
from store.draw import Draw
from store.projects import join, leave, served
from store.versions import Versions
from studio.client import SAMPLING, Project, Studio
from studio.config import DEFAULT_CONFIG, BadConfig, read_config
from studio.connection import StudioError

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
LONGEST = 1800.0  # seconds: minutes on an idle machine, more on one that tests share


def test_projects_are_joined_once_and_left(tmp_path: Any) -> None:
    assert served(Settings(home=tmp_path)) == []
    for project in (12, 3, 12):
        join(Store(tmp_path), project)
    Draw(Store(tmp_path), "local")
    assert served(Settings(home=tmp_path)) == [3, 12]
    leave(Store(tmp_path), 3)
    assert served(Settings(_env_file=None, home=tmp_path, projects="7,12")) == [7, 12]  # type: ignore[call-arg, arg-type]


def test_what_will_not_work_as_one_thinks_is_remarked() -> None:
    xml = XML.replace('<Choice value="?"/>', "").replace(
        "</View>\n</View>", '<Rating name="r" toName="image"/></View></View>'
    )
    project = Project(1, "t", xml, "", "", True, 2, 0, 0, 0)
    found = remarks(project, read_config(xml))
    assert found[0].startswith("r (Rating): neither filled nor learned")
    assert [line.split(" ")[0] for line in found[1:3]] == ["devise", "signature"]
    assert found[3].startswith("2 annotations a task")


def test_the_header_is_basic_auth() -> None:
    settings = Settings(_env_file=None, user="u", password="p")  # type: ignore[call-arg, arg-type]
    assert auth_header(settings) == {"Authorization": "Basic dTpw"}
    assert auth_header(Settings(_env_file=None)) == {}  # type: ignore[call-arg]


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(1)


@pytest.mark.integration
def test_a_project_that_cannot_be_served_is_not_joined(stack: Stack) -> None:
    studio = Studio(stack.studio_url, stack.token)
    project = studio.create_project("Texte", '<View><Text name="t" value="$t"/><TextArea name="l" toName="t"/></View>')
    with pytest.raises(BadConfig, match="no Image"):
        attach(studio, stack.settings, project.id)
    assert project.id not in served(Settings(home=stack.settings.home))
    assert studio.backends(project.id) == []


@pytest.mark.integration
def test_a_backend_whose_webhook_is_refused_is_taken_away_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(stack.studio_url, stack.token)
    project = studio.create_project("Refusé", XML)

    def refused(*_: object, **more: object) -> int:
        raise StudioError("Enter a valid URL.", 400)

    monkeypatch.setattr(studio, "register_webhook", refused)
    with pytest.raises(StudioError, match="valid URL"):
        attach(studio, stack.settings, project.id)
    assert (studio.backends(project.id), studio.webhooks(project.id)) == ([], [])
    assert project.id not in served(Settings(home=stack.settings.home))


@pytest.mark.integration
@pytest.mark.parametrize("step", ["register_backend", "register_webhook", "patch_project"])
def test_killed_after_any_step_and_called_again_it_is_joined_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    studio = Studio(stack.studio_url, stack.token)
    project = studio.create_project(f"Tué après {step}", XML)
    whole = getattr(studio, step)

    def dies(*arguments: Any, **more: Any) -> None:
        whole(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(studio, step, dies)
        attach(studio, stack.settings, project.id)
    attach(studio, stack.settings, project.id)
    assert (len(studio.backends(project.id)), len(studio.webhooks(project.id))) == (1, 1)
    assert project.id in served(Settings(home=stack.settings.home))
    leave(Store(stack.settings.home), project.id)


@pytest.mark.integration
def test_a_project_with_40_labels_gets_its_first_version_within_minutes(stack: Stack) -> None:
    folder, studio = stack.files / "theirs", Studio(stack.studio_url, stack.token)
    answers = [json.loads(line) for line in write_folder(folder, 46, 77, "unseen").read_text().splitlines()]
    project = studio.create_project("Fait à la main", XML)
    studio.serve_files(project.id, str(folder))
    tasks = [as_task(truth, done=number < 40) for number, truth in enumerate(answers)]
    ids = studio.import_tasks(project.id, tasks)
    assert studio.project(project.id).labels == 40

    before = time.monotonic()
    here, _ = attach(studio, stack.settings, project.id)
    begin(stack.settings, here)
    until(lambda: Versions(Store(stack.settings.home), project.id).list(), LONGEST, "a first version")
    print(f"first version after {time.monotonic() - before:.0f} s")

    (backend,) = studio.backends(project.id)
    assert (backend["title"], backend["auth_method"], backend["state"]) == (TITLE, "BASIC_AUTH", "CO")
    (hook,) = studio.webhooks(project.id)
    assert hook["headers"] == auth_header(stack.settings)
    assert studio.project(project.id).sampling == SAMPLING
    version = Versions(Store(stack.settings.home), project.id).list()[0]
    assert 20 <= version.labels < 40  # a fifth of them is exam
    serving = Versions(Store(stack.settings.home), project.id).champion()
    shown = serving.name if serving else "base"
    until(lambda: studio.project(project.id).model_version == shown, 120, "showing the version in service")
    rest = {task.id: task for task in studio.tasks(project.id, CONFIG, labels="none", stored=True)}
    assert set(rest) == set(ids[40:])
    assert all(any(one.version == shown for one in task.stored) for task in rest.values())


def as_task(truth: dict[str, str], done: bool) -> dict[str, Any]:
    """A task as another tool exports it, with or without an annotation."""
    regions = []
    for field in CONFIG.form:
        kind, key = ("choices", "choices") if field.kind == "choice" else ("textarea", "text")
        if value := truth.get(field.name):
            regions.append({"from_name": field.name, "to_name": "image", "type": kind, "value": {key: [value]}})
    task: dict[str, Any] = {"data": {"image": f"/data/local-files/?d=theirs/{truth['image']}"}}
    return task | ({"annotations": [{"result": regions}]} if done else {})
