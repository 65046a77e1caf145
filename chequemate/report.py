"""`chequemate report`: the page for the lead as a PDF, and five slides for management in French."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backend.dashboard.figures import FigureCache
    from cheques.settings import Settings

PATIENCE_SECONDS = 600.0
PRINT_SECONDS = 120.0
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "brave-browser",
)
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
# --no-sandbox: the page is our own, and in containers there is no sandbox to be had.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-pdf-header-footer")


class ReportError(Exception):
    """A report that cannot be made: one line, what and what to do."""


def report(
    project: Annotated[
        int | None, typer.Option(help="project of Label Studio; the only one served if left out")
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="write the page here, as a PDF")] = None,
    pptx: Annotated[Path | None, typer.Option(help="write five slides here, in French")] = None,
    lang: Annotated[str, typer.Option(help="language of the PDF: fr or en")] = "fr",
    hourly: Annotated[float | None, typer.Option(help="euros an hour of annotation, for the slide on costs")] = None,
) -> None:
    """Print the page for the lead, or make slides from the project's own numbers."""
    from backend.dashboard.figures import FigureCache
    from cheques.settings import settings
    from store.projects import served

    if pdf is None and pptx is None:
        raise typer.BadParameter("give --pdf FILE, --pptx FILE, or both")
    chosen = settings()
    if project is None:
        projects = served(chosen)
        if len(projects) != 1:
            known = ", ".join(map(str, projects)) or "none"
            raise ReportError(f"served projects: {known}; choose one with --project N")
        project = projects[0]
    cache = FigureCache(chosen)
    figures = cache.figures(project, PATIENCE_SECONDS)
    if figures.problem:
        raise ReportError(figures.problem)
    if pdf is not None:
        print_page(page_of(cache, chosen, project, lang), pdf)
        print(f"{pdf}: the page of project {project}")
    if pptx is not None:
        from chequemate.deck import write
        from chequemate.slides import slides

        write(slides(figures, hourly), pptx)
        print(f"{pptx}: five slides on project {project}")


def page_of(cache: FigureCache, settings: Settings, project: int, lang: str = "fr") -> str:
    """The page as one HTML file with everything inside it, as of now."""
    from flask import Flask

    from backend.dashboard import register
    from studio.images import fetch_image
    from worker.queue import connect

    # The backend's own routes, asked without a server, so that the PDF says what the page says.
    app = Flask(__name__)
    wanted = settings.model_copy(update={"projects": (*settings.projects, project)})
    register(
        app, wanted, lambda url, project: fetch_image(url, settings, project), connect(settings.redis_url, 1.0), cache
    )
    return app.test_client().get("/", query_string={"print": "", "project": project, "lang": lang}).text


def print_page(html: str, pdf: Path) -> None:
    """Raises ReportError where there is no browser that can print, or it does not."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    browser = browser or next((path for path in APPLICATIONS if Path(path).is_file()), None)
    if browser is None:
        raise ReportError(
            "no Chromium or Chrome found to print with: install one, or open the page and print it from there"
        )
    with tempfile.TemporaryDirectory(prefix="chequemate-") as name:
        folder = Path(name)
        (folder / "page.html").write_text(html, encoding="utf-8")
        # A profile of its own: a browser that is open already would take the command over, and print nothing.
        command = [browser, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={folder / 'page.pdf'}"]
        try:
            done = subprocess.run(
                [*command, (folder / "page.html").as_uri()], capture_output=True, timeout=PRINT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ReportError(f"{browser} did not print within {PRINT_SECONDS:.0f} s: print the page by hand") from None
        if not (folder / "page.pdf").is_file():
            sys.stderr.buffer.write(done.stderr[-500:])
            raise ReportError(f"{browser} printed nothing (exit code {done.returncode}): print the page by hand")
        try:
            shutil.move(folder / "page.pdf", pdf)
        except OSError as error:
            raise ReportError(f"{pdf}: {error.strerror}; give a file that can be written") from None
