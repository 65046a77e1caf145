"""The page, its tables as CSV, the pictures and reports it links to, and the live line at its top."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import redis
from flask import Blueprint, Flask, Response, jsonify, make_response, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from PIL.Image import Image
from werkzeug.exceptions import BadRequest, NotFound

from backend.dashboard import actions, i18n, view, view_learning, view_left_out, view_reader
from backend.dashboard.figures import PATIENCE_SECONDS, FigureCache, Figures
from backend.dashboard.status import loop_of
from backend.dashboard.view import Section
from cheques.images import BadImage
from cheques.settings import Settings
from store.database import Store
from store.projects import project_number, served
from store.versions import VersionError, Versions
from studio.client import StudioError

PICTURE = (480, 480)
MISREADS = (0.001, 0.005, 0.01, 0.02, 0.05)
LEVELS = (0.9, 0.95, 0.99)
NAMES = ("off", "on", "hidden")
# Everything on the page is its own; pictures inlined for printing are data.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class Wishes:
    """What the lead chose: project, misread rate and confidence to certify, whether annotators are told apart."""

    project: int
    misread: float = 0.01
    level: float = 0.95
    names: str = "off"

    @classmethod
    def of_request(cls, settings: Settings) -> Wishes:
        def one_of(name: str, allowed: Sequence[float], default: float) -> float:
            value = request.args.get(name, default, type=float)
            return value if value in allowed else default

        names = request.args.get("names", "off")
        return cls(
            asked_project(settings),
            one_of("misread", MISREADS, 0.01),
            one_of("level", LEVELS, 0.95),
            names if names in NAMES else "off",
        )


def asked_project(settings: Settings) -> int:
    """The project that the request names, else the first one served (0 where there is none). Raises BadRequest."""
    known = served(settings)
    asked = request.values.get("project")
    if asked is None:
        return known[0] if known else 0
    number = project_number(asked)
    if number is None or number not in known:
        numbers = ", ".join(map(str, known)) or "none yet: chequemate connect --project N joins one"
        raise BadRequest(f"project {asked[:12]} is not served here (served: {numbers})")
    return number


def register(
    app: Flask,
    settings: Settings,
    fetch: Callable[[str, int], Image],
    connection: redis.Redis,
    desk: FigureCache | None = None,
) -> FigureCache:
    """Put the page at `/` of an application that has its auth already; returns the cache of its figures.

    fetch: an image's URL, a project -> the image; raises BadImage, StudioError.
    """
    desk = desk or FigureCache(settings)
    catalogs = i18n.speak(app)
    pages = Blueprint(
        "dashboard", __name__, template_folder="templates", static_folder="static", static_url_path="/dashboard/static"
    )
    views = Views(settings, desk, connection, fetch)
    pages.before_request(catalogs.as_default)
    pages.after_request(guarded)
    pages.add_url_rule("/dashboard/live.json", "live", views.live)
    pages.add_url_rule("/dashboard/<section>.csv", "table", views.table)
    pages.add_url_rule("/dashboard/picture/<int:project>/<int:task>", "picture", views.picture)
    pages.add_url_rule("/dashboard/report/<int:project>/<version>", "report", views.report)
    pages.add_url_rule("/dashboard/actions/<action>", "ask", views.ask)
    pages.add_url_rule("/dashboard/actions/<action>", "act", views.act, methods=["POST"])
    pages.add_url_rule("/dashboard/settings", "settings", views.settings)
    pages.add_url_rule("/dashboard/settings", "save", views.save, methods=["POST"])
    pages.register_error_handler(BadRequest, lambda error: (plain(error.description), 400))
    pages.register_error_handler(NotFound, lambda error: (plain(error.description), 404))
    app.register_blueprint(pages)

    # `/` belongs to no blueprint: its language and its headers are set by hand.
    def page() -> Response:
        catalogs.as_default()
        return guarded(views.page())

    # label-studio-ml answers `/` with its health route; that stays at /health alone.
    health: Callable[[], Any] | None = app.view_functions.get("health")
    if health is None:
        app.add_url_rule("/", "root", page)
    else:
        beside = health
        app.view_functions["health"] = lambda: page() if request.path == "/" else beside()
    return desk


def home(**query: str | int) -> str:
    """The page's own address, also where a proxy serves it under a path."""
    return f"{request.script_root}/" + (f"?{urlencode(query)}" if query else "")


def guarded(answer: Response) -> Response:
    """The answer with the headers that keep other sites, and other people's caches, away from it."""
    answer.headers.setdefault("Content-Security-Policy", POLICY)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "same-origin"
    # The figures and cheques are for who is logged in: no shared cache may keep them.
    if request.endpoint != "dashboard.static":
        answer.headers.setdefault("Cache-Control", "private, no-cache")
    return answer


def plain(line: str | None) -> Response:
    """A line for people, not a page."""
    return Response(f"{line}\n", mimetype="text/plain")


class Views:
    """The views, with what they know of the world: settings, figures, Redis, and images by `fetch`."""

    def __init__(
        self, settings: Settings, desk: FigureCache, connection: redis.Redis, fetch: Callable[[str, int], Image]
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._redis = connection
        self._tokens = actions.Tokens()

        @lru_cache(maxsize=64)
        def thumbnail(project: int, url: str) -> bytes:
            image = fetch(url, project).convert("RGB")
            image.thumbnail(PICTURE)
            out = io.BytesIO()
            image.save(out, "JPEG", quality=60, optimize=True)
            return out.getvalue()

        self._thumbnail = thumbnail

    def page(self) -> Response:
        """The page itself; with `?print`, as one file with styles and pictures inside."""
        wishes = Wishes.of_request(self._settings)
        printed = "print" in request.args
        figures = self._desk.figures(wishes.project, 120.0 if printed else PATIENCE_SECONDS)
        if printed:
            figures = replace(figures, problem="")
        html = render_template(
            "dashboard.html",
            figures=figures,
            loop=loop_of(self._redis, self._settings, wishes.project),
            sections=self._sections(figures, wishes),
            wishes=wishes,
            projects=served(self._settings),
            studio=self._settings.studio_page,
            choices={"misread": MISREADS, "level": LEVELS, "names": NAMES},
            printed=printed,
            style=(Path(__file__).parent / "static" / "dashboard.css").read_text() if printed else "",
            picture=self.inlined if printed else None,
            has_report=view_learning.has_report,
            i18n=i18n,
            home=home,
        )
        answer = make_response(html)
        if "lang" in request.args:
            answer.set_cookie("lang", request.args["lang"][:2], samesite="Strict", max_age=31536000)
        return answer

    def live(self) -> Response:
        """What the open page asks for: the line at its top, and whether the rest has changed."""
        wishes = Wishes.of_request(self._settings)
        # Every open page asks every five seconds: the answer never waits for Label Studio.
        figures = self._desk.figures(wishes.project, 0.0)
        loop = loop_of(self._redis, self._settings, wishes.project)
        line = render_template("live.html", figures=figures, loop=loop, i18n=i18n)
        return jsonify(stamp=figures.stamp, line=line, **loop.as_json())

    def table(self, section: str) -> Response:
        """One section's table as CSV, for spreadsheets of the reader's language."""
        wishes = Wishes.of_request(self._settings)
        sections = self._sections(self._desk.figures(wishes.project, 30.0), wishes)
        found = next((one.table for one in sections if one.id == section and one.table), None)
        if found is None:
            raise NotFound(f"no table {section[:40]}")
        text = io.StringIO()
        # A semicolon, for the comma is the decimal point of French spreadsheets.
        writer = csv.writer(text, delimiter=";")
        writer.writerow(found.head)
        # Names of fields come from outside: an apostrophe in front keeps a spreadsheet from running them as formulas.
        formulas = ("=", "+", "@", "\t")
        writer.writerows([f"'{cell}" if cell.startswith(formulas) else cell for cell in row] for row in found.rows)
        headers = {"Content-Disposition": f'attachment; filename="chequemate-{wishes.project}-{section}.csv"'}
        # Without a byte-order mark spreadsheets do not take it for UTF-8.
        return Response("\ufeff" + text.getvalue(), mimetype="text/csv; charset=utf-8", headers=headers)

    def picture(self, project: int, task: int) -> Response:
        try:
            return Response(
                self._jpeg(project, task),
                mimetype="image/jpeg",
                headers={"Cache-Control": "private, max-age=3600"},
            )
        except (BadImage, StudioError) as error:
            raise NotFound(str(error)) from None

    def report(self, project: int, version: str) -> Response:
        """The report that the trainer wrote for a version."""
        try:
            path = Versions(Store.of(self._settings), project).get(version).path / "report" / "report.html"
        except VersionError as error:
            raise NotFound(str(error)) from None
        if not path.is_file():
            raise NotFound(f"{version} has no report")
        answer = send_file(path)
        # The report is one file with its styles and pictures inside, and nothing of it may reach the network.
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; script-src 'unsafe-inline'"
        )
        return answer

    def ask(self, action: str) -> str:
        """What will happen, and a button for it."""
        wanted = actions.asked_action(action, request.args.get("version", ""), asked_project(self._settings))
        return self._form("confirm.html", wanted=wanted, error="")

    def act(self, action: str) -> ResponseReturnValue:
        self._tokens.check(request.form.get("token", ""), actions.who())
        wanted = actions.asked_action(action, request.form.get("version", ""), asked_project(self._settings))
        error = actions.carry_out(wanted, self._settings, self._redis, request.form.get("why", "").strip())
        if error:
            return self._form("confirm.html", wanted=wanted, error=error), 409
        return Response(status=303, headers={"Location": home(project=wanted.project, done=action)})

    def settings(self) -> str:
        project = asked_project(self._settings)
        fields = actions.setting_fields(self._settings, project)
        return self._form("settings.html", project=project, fields=fields, error="")

    def save(self) -> ResponseReturnValue:
        self._tokens.check(request.form.get("token", ""), actions.who())
        project = asked_project(self._settings)
        if error := actions.save_settings(self._settings, project, request.form):
            fields = actions.setting_fields(self._settings, project)
            return self._form("settings.html", project=project, fields=fields, error=error), 409
        return Response(status=303, headers={"Location": home(project=project, done="settings")})

    def _form(self, template: str, **shown: Any) -> str:
        """A page with a form, and in it the token that proves that the form comes from here."""
        token = self._tokens.make(actions.who())
        return render_template(template, token=token, home=home, language=i18n.language, **shown)

    def _sections(self, figures: Figures, wishes: Wishes) -> list[Section]:
        report = url_for("dashboard.report", project=wishes.project, version="VERSION")
        studio = f"{self._settings.studio_page}/projects/{wishes.project}/data?task="
        sections = [
            view_left_out.left_out(figures, lambda task: f"{studio}{task}"),
            view.time_saved(figures),
            view.over_time(figures),
            view.acceptance(figures),
            view.corrections(figures),
            view.annotators(figures, wishes.names),
            view.quality(figures),
            view.planted(figures),
            view_learning.learning(figures, report),
            view_reader.certified(figures, wishes.misread, wishes.level),
        ]
        return [section for section in sections if section]

    def _jpeg(self, project: int, task: int) -> bytes:
        """A small picture of a cheque on the page, and of no other. Raises NotFound, BadImage, StudioError."""
        shown = self._desk.figures(project, 0.0).uncertain if project in served(self._settings) else ()
        url = next((one.image for one in shown if one.task == task), None)
        if url is None:
            raise NotFound(f"task {task} is not on the page")
        return self._thumbnail(project, url)

    def inlined(self, project: int, task: int) -> str:
        """The picture as part of the page itself, for printing; empty where there is none."""
        try:
            return "data:image/jpeg;base64," + base64.b64encode(self._jpeg(project, task)).decode()
        except (BadImage, StudioError, NotFound):
            return ""
