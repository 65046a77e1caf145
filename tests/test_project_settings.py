"""A project may have settings of its own: by the command line, by the page, and wherever they count."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from chequemate import project_settings
from cheques.settings import Settings, settings
from store.database import Store
from store.draw import Draw
from store.projects import BadProjectSetting, join, own_settings, set_settings, settings_of
from tests.backend_parts import FakeReader, client_of, predict, task
from tests.dashboard_parts import figures, site
from tests.test_dashboard_page import token_in
from tests.trainer_parts import runner


def test_a_project_has_its_own_and_the_others_the_environments(store: Store) -> None:
    set_settings(store, 7, {"retrain_every": "30", "blind": "false", "worth": '{"date": 2}', "strategy": "random"})
    here, elsewhere = (settings_of(store, Settings(retrain_every=15), project) for project in (7, 8))
    assert (here.retrain_every, here.blind, here.worth, here.strategy) == (30, False, {"date": 2.0}, "random")
    assert (elsewhere.retrain_every, elsewhere.blind, elsewhere.strategy) == (15, True, "active")
    set_settings(store, 7, {"retrain_every": None, "blind": None})
    assert own_settings(store, 7) == {"worth": {"date": 2.0}, "strategy": "random"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("retrain_every", "0"),
        ("retrain_every", "soon"),
        ("strategy", "best"),
        ("doubt", "80"),
        ("worth", "{"),
        ("worth", '{"date": -1}'),
        ("home", "/tmp"),
        ("password", "x"),
    ],
)
def test_what_a_project_cannot_have_is_refused_and_nothing_of_it_taken(store: Store, name: str, text: str) -> None:
    with pytest.raises(BadProjectSetting, match=name):
        set_settings(store, 7, {"doubt": "0.5", name: text})
    assert own_settings(store, 7) == {}


def test_what_is_drawn_next_follows_them(tmp_path: Path) -> None:
    client = client_of(tmp_path, FakeReader)
    predict(client, [task(number) for number in range(60)])
    set_settings(Store(tmp_path), 7, {"blind": "false"})
    predict(client, [task(number) for number in range(60, 160)])
    places = Draw(Store(tmp_path), 7).places()
    assert any(place.arm == "blind" for place in places[:60])
    assert not any(place.arm == "blind" for place in places[60:])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path))
    settings.cache_clear()
    join(Store(tmp_path), 7)
    yield tmp_path
    settings.cache_clear()


def test_the_verb_shows_and_changes_them(home: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(project_settings.settings)
    run = runner(app)
    assert "retrain_every=20  (from the environment)" in run("--project", 7).output
    assert "retrain_every=30\n" in run("--project", 7, "retrain_every=30").output
    assert "retrain_every=20  (from" in run("--project", 7, "retrain_every=").output
    for words, line in (
        (("--project", 8), "project 8 is not served"),
        (("--project", 7, "retrain_every"), "give NAME=VALUE"),
        (("--project", 7, "retrain_every=-1"), "retrain_every=-1: Input should be greater than or equal to 1"),
    ):
        answer = run(*words)
        assert answer.exit_code == 2 and line in " ".join(answer.output.replace("│", " ").split())


@pytest.fixture
def page(tmp_path: Path) -> FlaskClient:
    return site(tmp_path, figures()).test_client()


def test_the_page_shows_and_changes_them(page: FlaskClient, tmp_path: Path) -> None:
    assert "/dashboard/settings?project=1" in page.get("/?project=1&lang=en").text
    form = page.get("/dashboard/settings?project=1&lang=fr").text
    assert "Réglages du projet 1" in form and "de l'environnement : 20" in unescape(form)
    saved = page.post(
        "/dashboard/settings",
        data={"token": token_in(form), "project": 1, "retrain_every": "35", "strategy": "", "home": "/tmp"},
    )
    assert saved.status_code == 303 and "Enregistré" in page.get(f"{saved.location}&lang=fr").text
    assert own_settings(Store(tmp_path), 1) == {"retrain_every": 35}
    assert 'value="35"' in page.get("/dashboard/settings?project=1").text


def test_a_wrong_value_and_a_form_of_another_site_change_nothing(page: FlaskClient, tmp_path: Path) -> None:
    token = token_in(page.get("/dashboard/settings?project=1").text)
    wrong = page.post("/dashboard/settings", data={"token": token, "project": 1, "doubt": "7"})
    assert wrong.status_code == 409 and "less than or equal to 1" in wrong.text
    assert page.post("/dashboard/settings", data={"token": "x", "project": 1, "doubt": "0.7"}).status_code == 403
    assert own_settings(Store(tmp_path), 1) == {}
