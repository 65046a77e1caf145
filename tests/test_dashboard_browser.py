"""The page in a real browser: accessible, readable on a phone, and content with its own server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from werkzeug.serving import make_server

from tests.browser import browser_page
from tests.dashboard_parts import site

pytestmark = pytest.mark.integration


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The page of a simulated team, on a port of its own."""
    server = make_server("127.0.0.1", 0, site(tmp_path), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("scheme", "language"), [("light", "fr"), ("dark", "en")])
def test_axe_finds_no_fault(address: str, scheme: str, language: str) -> None:
    found = []
    with browser_page(color_scheme=scheme) as page:
        for path in (f"/?lang={language}", f"/dashboard/actions/promote?version=v2&lang={language}"):
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            found += Axe().run(page)["violations"]
    assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_a_phone_needs_no_scrolling_sideways(address: str) -> None:
    with browser_page(width=360, height=740) as page:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_point_says_its_numbers_to_pointer_and_keyboard(address: str) -> None:
    with browser_page() as page:
        page.goto(f"{address}/?lang=en")
        point = page.locator("#learning a.point, #learning g.point").first
        point.hover()
        told = page.locator("#told")
        assert told.is_visible() and told.inner_text().startswith("v1: 65.0")
        page.mouse.move(0, 0)
        assert not told.is_visible()
        point.focus()
        assert told.is_visible()
        page.keyboard.press("Escape")
        assert not told.is_visible()


def test_nothing_is_asked_of_another_host(address: str) -> None:
    asked: list[str] = []
    errors: list[str] = []
    with browser_page() as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_load_state("networkidle")
    assert len(asked) > 5
    assert all(url.startswith((address, "data:")) for url in asked)
    assert errors == []
