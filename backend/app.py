"""The Flask application that Label Studio and the worker talk to: how it is built, guarded, and answers errors."""

from __future__ import annotations

import atexit
import hmac
import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, make_response, request
from PIL.Image import Image
from PIL.Image import new as new_image
from werkzeug.exceptions import HTTPException

from backend import dashboard, routes
from backend.dashboard.prometheus import Measures
from backend.model import ChequeModel, Tools
from backend.reader_thread import Resident
from backend.routes import ServedModels, error_line
from cheques.images import fingerprint
from cheques.log import code_place, log_to_stderr
from cheques.settings import BadSettings, Settings, check_redis, is_loopback, keep_private, remarks
from cheques.settings import settings as settings_of_this_process
from reader.gpu_lock import Card, uses_card
from reader.open_reader import open_reader
from reader.reading import Reader
from store.database import Store, StoreError
from store.reading_cache import ReadingCache
from studio.config import DEFAULT_CONFIG, BadConfig, read_config
from studio.images import fetch_image

log = structlog.get_logger()

FETCHERS = 8
LARGEST_REQUEST = 256 * 2**20  # "Retrieve predictions" sends all selected tasks in one request
# A request that carries one of these came through a proxy: that it comes from loopback says nothing of who asks.
OF_PROXIES = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


def create_app(
    settings: Settings | None = None,
    reader: Callable[[], Reader] | None = None,
    fetch: Callable[[str, int], Image] | None = None,
) -> Flask:
    """The application. `reader` and `fetch` stand in for the local model and for Label Studio's files, in tests.

    Raises BadSettings where it would listen to the network without a password.
    """
    settings = settings or settings_of_this_process()
    check(settings)
    keep_private(settings.home)
    log_to_stderr()
    for remark in remarks(settings):
        log.warning("setting.idle", reason=remark)

    card = Card(settings.home) if uses_card(settings) else None
    resident = Resident(reader or (lambda: open_reader(settings)), settings.batch, card)
    store = Store.of(settings)
    fetch = fetch or (lambda url, project: fetch_image(url, settings, project))
    pool = ThreadPoolExecutor(FETCHERS, "fetch")
    backend = ServedModels(settings, Tools(settings, store, resident, ReadingCache(store), fetch, pool))
    atexit.register(resident.close)

    def warm_up() -> None:
        read_config(DEFAULT_CONFIG.read_text(encoding="utf-8"))
        fingerprint(new_image("RGB", (64, 64)))

    # The first configuration and the first fingerprint import much, and Label Studio gives /setup three seconds.
    threading.Thread(target=warm_up, daemon=True).start()

    app = application(backend)
    desk = dashboard.register(app, settings, fetch, backend.redis)
    backend.metrics.add(Measures(settings, desk, backend.redis))
    return app


def check(settings: Settings) -> None:
    """Without a password only this machine may connect, to Redis as well. Raises BadSettings."""
    check_redis(settings)
    if settings.password is None and not is_loopback(settings.host):
        raise BadSettings(
            f"CHEQUEMATE_HOST={settings.host} without CHEQUEMATE_PASSWORD: set a password, or listen on 127.0.0.1"
        )


def application(backend: ServedModels) -> Flask:
    """label-studio-ml's application with its views replaced: its own keep one model for all projects, without auth."""
    settings = backend.settings
    # Its module keeps a single application, so the module is loaded again for each.
    spec = importlib.util.find_spec("label_studio_ml.api")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: Flask = module.init_app(ChequeModel)

    # Its logging hooks write whole bodies, tokens included; its error handlers answer with raw messages.
    app.before_request_funcs.clear()
    app.after_request_funcs.clear()
    app.error_handler_spec.clear()
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST
    app.extensions["chequemate"] = backend

    @app.before_request
    def refusal() -> Response | None:
        # Docker's health check does not log in.
        if request.path == "/health" or is_admitted(settings):
            return None
        if settings.password is None:
            line = "without a password only this machine is answered, at 127.0.0.1 or localhost"
            return make_response(error_line(f"{line}: set CHEQUEMATE_PASSWORD", 403))
        line = "wrong or missing user and password: give those of CHEQUEMATE_USER and CHEQUEMATE_PASSWORD"
        answer = make_response(error_line(line, 401))
        # Browsers ask for the login where this header says so.
        answer.headers["WWW-Authenticate"] = 'Basic realm="Chequemate", charset="UTF-8"'
        return answer

    answer_errors(app)
    app.view_functions |= {
        "health": lambda: routes.health(backend, is_admitted(settings)),
        "_setup": lambda: routes.setup(backend),
        "_predict": lambda: routes.predict(backend),
        "webhook": lambda: routes.webhook(backend),
        "metrics": lambda: routes.metrics(backend),
        "get_version": lambda: routes.versions(backend),
        "_is_training": lambda: routes.is_training(backend),
        "_train": lambda: error_line("/train is gone: Label Studio starts a training through /webhook", 410),
    }
    # label-studio-ml's route takes POST alone.
    app.add_url_rule("/versions", "versions", lambda: routes.versions(backend), methods=["GET"])
    app.add_url_rule("/read", "read", lambda: routes.read(backend), methods=["POST"])
    return app


def is_admitted(settings: Settings) -> bool:
    """Basic auth, compared in constant time; without a configured password, programs of this machine alone."""
    if settings.password is None:
        # A web page whose name was made to mean 127.0.0.1 (DNS rebinding) sends that name as Host.
        # Behind a proxy everybody comes from loopback.
        try:
            asked_for = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return False
        return (
            is_loopback(request.remote_addr or "")
            and is_loopback(asked_for)
            and not any(name in request.headers for name in OF_PROXIES)
        )

    given = request.authorization
    user, password = (given.username or "", given.password or "") if given and given.type == "basic" else ("", "")
    # Both are compared each time: how long the answer takes says nothing of either.
    right_user = hmac.compare_digest(user.encode(), settings.user.encode())
    right_password = hmac.compare_digest(password.encode(), settings.password.get_secret_value().encode())
    return right_user and right_password


def answer_errors(app: Flask) -> None:
    """Each error is one line of JSON; what went wrong inside is in the log alone."""

    @app.errorhandler(HTTPException)
    def of_http(error: HTTPException) -> tuple[Response, int]:
        return error_line(error.description or error.name, error.code or 500)

    @app.errorhandler(BadConfig)
    def of_the_form(error: BadConfig) -> tuple[Response, int]:
        return error_line(str(error), 400)

    @app.errorhandler(StoreError)
    def of_the_store(error: StoreError) -> tuple[Response, int]:
        log.error("store.unusable", path=request.path, reason=error.strerror)
        return error_line(f"the database cannot be used: {error.strerror}", 503)

    @app.errorhandler(Exception)
    def of_ours(error: Exception) -> tuple[Response, int]:
        log.error("request.failed", path=request.path, error=type(error).__name__, place=code_place(error))
        return error_line(f"internal error ({type(error).__name__}): see the backend's log", 500)
