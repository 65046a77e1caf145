"""The client against a real Label Studio."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from cheques.images import BadImage
from reader.reading import Reading
from studio import client as client_module
from studio.client import Project, Studio, StudioError
from studio.config import DEFAULT_CONFIG, read_config
from studio.formats import prediction, truth
from studio.images import fetch_image
from tests.conftest import LabelStudio

pytestmark = pytest.mark.integration

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
READ = Reading({"montant_numerique": "12.00", "devise": "EUR", "lieu": "Lyon"}, {"montant_numerique": 0.4})
VERSION = "v1"


@pytest.fixture(scope="module")
def studio(label_studio: LabelStudio) -> Studio:
    return label_studio.client


@pytest.fixture
def project(studio: Studio) -> Project:
    return studio.create_project("Chèques", XML)


def add_tasks(studio: Studio, project: Project, count: int) -> list[int]:
    return studio.import_tasks(project.id, [{"image": f"/data/local-files/?d=c/c{n}.png"} for n in range(count)])


def predict(studio: Studio, project: Project, scores: dict[int, float], version: str = VERSION) -> None:
    made = ({"task": task, **prediction(CONFIG, READ, version, score)} for task, score in scores.items())
    assert studio.import_predictions(project.id, made) == len(scores)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TASKS_A_PAGE", "LABELS_A_PAGE", "PREDICTIONS_A_REQUEST"):
        monkeypatch.setattr(client_module, name, 4)
    yield


def test_the_kinds_of_the_fields_survive_label_studio(project: Project) -> None:
    assert read_config(project.label_config).form == CONFIG.form


def test_tasks_come_page_by_page_and_none_is_missed_while_others_are_labelled(
    studio: Studio, project: Project, short_pages: None
) -> None:
    ids = add_tasks(studio, project, 11)
    seen = []
    for task in studio.tasks(project.id, CONFIG, labels="none"):
        seen.append(task.id)
        if len(seen) == 4:  # a page was handed over: these leave the list before the next one is asked for
            for done in ids[:3]:
                studio.annotate(done, [])
    assert seen == ids
    assert [task.id for task in studio.tasks(project.id, CONFIG, labels="none")] == ids[3:]
    assert [task.id for task in studio.tasks(project.id, CONFIG, labels="one")] == ids[:3]
    assert [task.id for task in studio.tasks(project.id, CONFIG, labels="some")] == ids[:3]
    assert [task.id for task in studio.tasks(project.id, CONFIG, after=ids[8])] == ids[9:]
    assert [task.labelled for task in studio.tasks(project.id, CONFIG)][:4] == [True, True, True, False]


def test_the_lowest_score_comes_next_and_a_patched_score_moves(studio: Studio, project: Project) -> None:
    first, second, third = add_tasks(studio, project, 3)
    predict(studio, project, {first: 0.9, second: 0.2, third: 0.5})
    studio.serve(project.id, VERSION)
    shown = studio.next_task(project.id)
    assert shown and shown["id"] == second
    assert {one["from_name"]: one["score"] for one in shown["predictions"][0]["result"]}["montant_numerique"] == 0.4
    studio.annotate(second, shown["predictions"][0]["result"], parent_prediction=shown["predictions"][0]["id"])
    (stored,) = studio.task(first, CONFIG).stored
    studio.patch_score(stored.id, 0.1)
    assert (studio.next_task(project.id) or {})["id"] == first
    assert studio.predicted_versions(project.id) == {VERSION: 3}


def test_stored_predictions_are_told_apart(studio: Studio, project: Project) -> None:
    (task,) = add_tasks(studio, project, 1)
    predict(studio, project, {task: 0.3}, "v1")
    studio.import_predictions(project.id, [{"task": task, **prediction(CONFIG, READ, "v2", 0.1, blind=True)}])
    (found,) = studio.tasks(project.id, CONFIG, stored=True)
    assert {(one.version, one.score, one.empty) for one in found.stored} == {("v1", 0.3, False), ("v2", 0.1, True)}
    assert next(studio.tasks(project.id, CONFIG)).stored == ()
    blind = next(one for one in found.stored if one.empty)
    studio.rewrite_prediction(blind.id, prediction(CONFIG, READ, "v2", 0.1)["result"], 0.2)
    (found,) = studio.tasks(project.id, CONFIG, stored=True)
    assert {(one.id, one.score, one.empty) for one in found.stored if one.version == "v2"} == {(blind.id, 0.2, False)}


def typed(text: str, name: str = "lieu") -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": "textarea", "value": {"text": [text]}}


def test_labels_skips_changes_and_deletions_are_all_seen(studio: Studio, project: Project, short_pages: None) -> None:
    ids = add_tasks(studio, project, 7)
    for task in ids[:5]:
        studio.annotate(task, [typed("Nice")], lead_time=3.0)
    studio.annotate(ids[5], [], was_cancelled=True)
    labels = list(studio.labels(project.id, CONFIG))
    assert sorted(one.task for one in labels) == ids[:6]
    assert [one.task for one in labels if one.skipped] == [ids[5]]
    assert all(one.values["lieu"] == "Nice" and one.seconds == 3.0 for one in labels if not one.skipped)

    latest = max(one.updated_at for one in labels)
    again = studio.annotate(ids[0], [typed("Lyon")])
    studio._call(lambda: studio._sdk.annotations.delete(next(one for one in labels if one.task == ids[1]).annotation))
    changed = dict(studio.changed_tasks(project.id, CONFIG, since=latest))
    assert changed[ids[1]] == ()
    true = truth(changed[ids[0]])
    assert true and (true.annotation, true.values["lieu"]) == (again, "Lyon")
    assert ids[2] not in changed


def test_what_is_changed_after_the_servers_clock_was_asked_is_found(studio: Studio, project: Project) -> None:
    (task,) = add_tasks(studio, project, 1)
    since = studio.now()
    assert abs(studio.clock_ahead()) < 5
    studio.annotate(task, [typed("Nice")])
    ((found, labels),) = studio.changed_tasks(project.id, CONFIG, f"{since:%Y-%m-%dT%H:%M:%S.%fZ}")
    assert found == task and datetime.fromisoformat(labels[0].updated_at) > since


def test_a_project_that_is_not_there_is_told_with_those_that_are(studio: Studio, project: Project) -> None:
    with pytest.raises(StudioError, match=rf"no project 9999; it has .*\b{project.id}\b.*: choose one"):
        studio.project(9999)


def test_a_backend_that_does_not_answer_is_not_registered(studio: Studio, project: Project) -> None:
    with pytest.raises(StudioError, match="Can't connect to ML backend"):
        studio.register_backend(project.id, "http://127.0.0.1:1", "Chequemate", "u", "p")
    assert studio.backends(project.id) == []


def test_a_webhook_gets_its_headers_and_never_a_twin(studio: Studio, project: Project) -> None:
    first = studio.register_webhook(project.id, "http://127.0.0.1:1/webhook", {})
    again = studio.register_webhook(project.id, "http://127.0.0.1:1/webhook", {"Authorization": "Basic x"})
    moved = studio.register_webhook(
        project.id, "http://127.0.0.1:2/webhook", {"Authorization": "Basic x"}, was="http://127.0.0.1:1/webhook"
    )
    assert first == again == moved
    (hook,) = studio.webhooks(project.id)
    assert (hook["url"], hook["headers"]) == ("http://127.0.0.1:2/webhook", {"Authorization": "Basic x"})
    assert hook["send_payload"] and hook["send_for_all_actions"]


@cache  # a user has one of them
def personal_token(label_studio: LabelStudio) -> str:
    """A personal access token, made as a person makes it: after a login."""
    session, url = requests.Session(), label_studio.url
    page = session.get(f"{url}/user/login", timeout=20).text
    csrf = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
    assert csrf
    form = {"email": label_studio.email, "password": label_studio.password, "csrfmiddlewaretoken": csrf[1]}
    session.post(f"{url}/user/login", data=form, headers={"Referer": url}, timeout=20)
    headers = {"X-CSRFToken": session.cookies["csrftoken"], "Referer": url}
    both = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    session.post(f"{url}/api/jwt/settings", json=both, headers=headers, timeout=20).raise_for_status()
    return str(session.post(f"{url}/api/token/", headers=headers, timeout=20).json()["token"])


def test_a_personal_token_works_as_well_for_tasks_and_for_files(
    label_studio: LabelStudio, studio: Studio, project: Project, tmp_path: Path
) -> None:
    token = personal_token(label_studio)
    theirs = Studio(label_studio.url, token)
    assert theirs.whoami()["email"] == label_studio.email
    ids = add_tasks(theirs, project, 2)
    assert [task.id for task in theirs.tasks(project.id, CONFIG)] == ids

    folder = label_studio.files / f"p{project.id}"
    folder.mkdir()
    Image.new("RGB", (6, 4)).save(folder / "c.png")
    upload = io.BytesIO()
    Image.new("RGB", (8, 4)).save(upload, "PNG")
    sent = requests.post(
        f"{label_studio.url}/api/projects/{project.id}/import",
        files={"file": ("c.png", upload.getvalue(), "image/png")},
        headers={"Authorization": f"Token {label_studio.token}"},
        timeout=20,
    )
    sent.raise_for_status()
    uploaded = [task.image for task in studio.tasks(project.id, CONFIG)][-1]
    local = f"/data/local-files/?d={folder.name}/c.png"
    keys = [label_studio.settings(tmp_path, studio_token=key, files_root=None) for key in (token, label_studio.token)]
    with pytest.raises(BadImage, match="no such file: import it again, or add a storage"):
        fetch_image(local, keys[0], project.id)
    studio.serve_files(project.id, str(folder))
    studio.serve_files(project.id, str(folder))  # again does no harm
    for settings in keys:
        assert fetch_image(uploaded, settings, project.id).size == (8, 4)
        assert fetch_image(label_studio.url + local, settings, project.id).size == (6, 4)
    with pytest.raises(BadImage, match="no such file"):
        fetch_image("/data/upload/99/none.png", keys[0], project.id)
