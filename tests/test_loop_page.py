"""The page of the running stack says what the exported annotations say, in French and in English."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page
from rich.progress import Progress

from chequemate.connect import attach, begin
from chequemate.demo import import_drawn, prepare
from chequemate.stack import Stack
from studio.client import Studio
from studio.config import DEFAULT_CONFIG
from tests.browser import browser_page
from tests.test_loop import CHEQUES, run, until

pytestmark = pytest.mark.integration

SHOTS = os.environ.get("SHOTS")  # a folder for the README's pictures


def test_the_page_says_what_the_exported_annotations_say(stack: Stack, tmp_path: Path) -> None:
    studio = Studio(stack.studio_url, stack.token)
    prepare(stack, Progress(disable=True), CHEQUES)
    # A project of its own, with one version from beginning to end.
    made = studio.create_project("La page", DEFAULT_CONFIG.read_text(encoding="utf-8"))
    import_drawn(studio, made, stack.files / "cheques")
    attach(studio, stack.settings, project := made.id)
    begin(stack.settings, made)
    until(lambda: studio.project(project).model_version == "base", 400)
    run(stack, "simulate", "--labels", "6", "--project", str(project), "--no-breaks")
    exported = tmp_path / "export.json"
    sent = studio._get(f"/api/projects/{project}/export", exportType="JSON")
    exported.write_bytes(sent.content)
    run(
        stack, "savings", "--export", str(exported), "--project", str(project), "--json", str(tmp_path / "savings.json")
    )
    savings = json.loads((tmp_path / "savings.json").read_text())
    labelled = {task["id"] for task in json.loads(exported.read_text()) if task["annotations"]}

    for language in ("fr", "en"):
        login = {"username": stack.settings.user, "password": stack.secrets.backend_password}
        with browser_page(http_credentials=login) as page:
            text = shown(page, f"{stack.backend_url}/?project={project}&lang={language}", len(labelled))
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"page-{language}.png", full_page=True)
                page.set_viewport_size({"width": 390, "height": 844})
                page.screenshot(path=Path(SHOTS) / f"phone-{language}.png")
        numbers = text.replace(",", ".")
        for rate in savings["acceptance"].values():
            assert f"{100 * rate:.1f} %" in numbers
        blind, prelabel = savings["n"]["blind"], savings["n"]["prelabel"]
        words = {"fr": f"{blind} chèques d'examen sans pré-annotation et {prelabel} avec", "en": f"{blind} blind and"}
        assert words[language] in text
        assert ("Not enough yet" in text) == (language == "en" and not savings["enough"])


def shown(page: Page, url: str, labels: int) -> str:
    """The page's text once it has caught up with Label Studio."""
    for _ in range(20):
        page.goto(url)
        if page.locator("#labels").inner_text() == str(labels):
            break
        page.wait_for_timeout(1000)
    assert page.locator("#labels").inner_text() == str(labels)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    return re.sub(r"\s+", " ", page.locator("body").inner_text())
