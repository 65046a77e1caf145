"""A headless Chromium for tests that see what a person sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def browser_page(width: int = 1400, height: int = 1000, **context: object) -> Iterator[Page]:
    """A fresh page in a browser of its own; playwright's Chromium where none is installed."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()  # type: ignore[arg-type]
            page.set_default_timeout(60_000)
            expect.set_options(timeout=60_000)  # a machine that trains beside it is slow
            yield page
        finally:
            browser.close()
