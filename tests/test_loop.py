"""The whole loop with every real part: pre-labels, people, retraining, a new version, and what can be killed in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from rich.progress import Progress

from chequemate.demo import prepare
from chequemate.stack import Stack
from store.database import Store
from store.versions import Versions
from studio.client import Studio
from studio.formats import read_config
from tests.browser import browser_page
from worker.queue import RETRAIN, connect, job_progress

pytestmark = pytest.mark.integration

CHEQUES = 40
TITLES = ("Montant en chiffres", "Montant en lettres", "Date", "Bénéficiaire", "Signature", "Lieu", "Devise")


@pytest.fixture(scope="module")
def project(stack: Stack) -> int:
    """The demo's project, as `make demo` leaves it, with fewer cheques."""
    return prepare(stack, Progress(disable=True), CHEQUES).id


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    with browser_page() as page:
        page.goto(f"{stack.studio_url}/user/login")
        page.locator("input[name=email]").fill("admin@example.com")
        page.locator("input[name=password]").fill(stack.secrets.studio_password)
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        yield page


def test_every_cheque_is_pre_labelled_in_the_order_of_serving(stack: Stack, project: int) -> None:
    studio = Studio(stack.studio_url, stack.token)
    about = studio.project(project)
    tasks = list(studio.tasks(project, read_config(about.label_config), stored=True))
    assert len(tasks) == CHEQUES
    scores = [stored.score for task in tasks for stored in task.stored if stored.version == about.model_version]
    assert len(set(scores)) == CHEQUES and None not in scores
    assert (about.model_version, about.sampling) == ("base", "Uncertainty sampling")


def test_a_person_sees_seven_filled_fields_corrects_one_and_gets_the_next_cheque(
    stack: Stack, project: int, page: Page
) -> None:
    studio = Studio(stack.studio_url, stack.token)
    config = read_config(studio.project(project).label_config)
    first, shown = next_shown(studio, project)
    names = [name for name, value in shown.items() if "text" in value]
    page.goto(f"{stack.studio_url}/projects/{project}/data")
    page.get_by_text("Label All Tasks").click()
    for title in TITLES:
        expect(page.get_by_text(title, exact=True).first).to_be_visible()
    for name, value in shown.items():
        if "text" in value:
            expect(page.locator(f"[name^='{name}:']")).to_have_text(value["text"][0])
        else:
            expect(page.locator(f"input[name='{value['choices'][0]}']").first).to_be_checked()

    region = page.get_by_test_id("textarea-region").filter(has=page.locator(f"[name^='{names[0]}:']"))
    region.hover()
    region.get_by_test_id("htx-textbox-edit-button").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(typed := "4271" if names[0] == "montant_numerique" else "trois francs")
    page.keyboard.press("Enter")
    expect(page.get_by_text(typed)).to_be_visible()
    page.get_by_test_id("bottombar-submit-button").click()

    until(lambda: any(label.task == first["id"] and label.usable for label in studio.labels(project, config)), 60)
    (label,) = [one for one in studio.labels(project, config) if one.task == first["id"] and one.usable]
    # As many decimals as its currency has.
    assert label.values[names[0]] in ("4271", "4271.00", "4271.000", "trois francs")
    assert label.changed[names[0]] == "corrected"
    assert {label.changed[name] for name in shown if name != names[0]} == {"accepted"}
    assert label.seconds is not None and label.seconds > 0
    expect(page.get_by_text(typed)).to_have_count(0)
    following = studio.next_task(project)
    assert following is not None and following["id"] != first["id"]


def test_labels_become_versions_and_the_order_of_lessons_holds(stack: Stack, project: int, tmp_path: Path) -> None:
    outcome = tmp_path / "run.json"
    run(stack, "simulate", "--labels", "20", "--project", str(project), "--json", str(outcome))
    told = json.loads(outcome.read_text())
    assert told["labels"] == 20 and told["versions"]
    assert {version["decision"] for version in told["versions"]} <= {"promoted", "rejected"}
    lessons = [one for one in told["served"] if not one["exam"]]
    pairs = [(a, b) for a, b in pairwise(lessons) if a["version"] == b["version"]]
    assert pairs and all(a["score"] < b["score"] for a, b in pairs)
    exam = [one["exam"] for one in told["served"]]
    assert any(exam) and not all(exam)
    assert Versions(Store(stack.settings.home), project).list()


def test_a_killed_worker_and_a_wiped_redis_cost_nothing(stack: Stack, project: int) -> None:
    before = [version.name for version in Versions(Store(stack.settings.home), project).list()]
    champion = Versions(Store(stack.settings.home), project).champion()
    start_training(stack, project)
    until(lambda: stage(stack, project) == "training", 120)

    os.kill(stack.supervisor.pid("worker"), signal.SIGKILL)
    stopped = stack.supervisor.pid("redis")
    os.kill(stopped, signal.SIGKILL)
    for file in (stack.settings.home / "stack" / "redis").rglob("*"):
        if file.is_file() and file.suffix in (".aof", ".rdb", ".manifest"):
            file.unlink()
    assert Versions(Store(stack.settings.home), project).champion() == champion

    until(lambda: len(Versions(Store(stack.settings.home), project).list()) > len(before), 400)
    names = [version.name for version in Versions(Store(stack.settings.home), project).list()]
    assert names[: len(before)] == before
    serving = Versions(Store(stack.settings.home), project).champion()
    studio = Studio(stack.studio_url, stack.token)
    shown = serving.name if serving else "base"
    until(lambda: studio.project(project).model_version == shown, 120)


def next_shown(studio: Studio, project: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The next cheque of which a text is shown, and what: blind ones, that come at their turns too, are skipped."""
    while task := studio.next_task(project):
        shown = {region["from_name"]: region["value"] for one in task["predictions"] for region in one["result"]}
        if any("text" in value for value in shown.values()):
            return task, shown
        studio.annotate(task["id"], [], was_cancelled=True)
    raise AssertionError("no cheque is pre-labelled")


def run(stack: Stack, *arguments: str) -> str:
    """A verb of the command line, as typed in another terminal."""
    command = [sys.executable, "-m", "chequemate", *arguments]
    done = subprocess.run(command, env=stack.environment(), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)


def stage(stack: Stack, project: int) -> str | None:
    job = job_progress(connect(stack.settings.redis_url), RETRAIN, project)
    return job and job.get("stage")


def start_training(stack: Stack, project: int) -> None:
    """Enough new labels for one more version, as a person at the page would leave them."""
    run(stack, "simulate", "--labels", "12", "--project", str(project), "--no-breaks")
