"""What a lead sees at `/`, and what another site cannot make their browser do."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient

from backend.dashboard import actions
from backend.dashboard.figures import NO_FIGURES
from store.versions import VersionError
from study.quality import caught
from study.timed_annotation import TimedAnnotation
from tests.dashboard_parts import AT, figures, graded, site
from tests.redis_parts import RedisServer
from worker.queue import RETRAIN, QueueAway, enqueue, queues


@pytest.fixture
def page(tmp_path: Path) -> FlaskClient:
    return site(tmp_path).test_client()


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_page_says_what_was_computed(page: FlaskClient) -> None:
    shown = figures()
    effect = shown.savings.effect
    assert effect is not None
    text = text_of(page.get("/?lang=en").text)
    saved = effect.seconds
    assert f"A pre-label saves {saved.value:.1f} s ({saved.low:.1f} to {saved.high:.1f}) a cheque" in text
    assert f"{shown.savings.blind} blind and {shown.savings.prelabel} pre-labelled exam cheques" in text
    assert "extrapolated" in text.lower()
    assert "v3 is in service since" in text
    for rate in shown.savings.acceptance.values():
        assert f"{100 * rate:.1f} %" in text


def test_french_and_english(page: FlaskClient) -> None:
    assert "Une pré-annotation fait gagner" in page.get("/?lang=fr").text
    assert "Temps gagné" in page.get("/").text, "the choice is remembered"
    page.delete_cookie("lang")
    assert "Time saved" in page.get("/", headers={"Accept-Language": "en-GB,en"}).text
    assert '<html lang="fr">' in page.get("/?lang=de", headers={"Accept-Language": "de"}).text


def test_links_lead_to_where_people_open_label_studio(tmp_path: Path) -> None:
    html = site(tmp_path, studio_url="http://label-studio:8080", studio_public_url="https://ls.example/ls/")
    links = set(re.findall(r'href="(http[^"]+)"', html.test_client().get("/").text))
    assert "https://ls.example/ls/projects/1/data" in links
    assert not any("label-studio:8080" in link for link in links)


def test_too_little_never_shows_a_bare_number(tmp_path: Path) -> None:
    shown = figures(exam=24, lessons=30)
    text = text_of(site(tmp_path, shown).test_client().get("/?lang=en").text)
    assert f"Not enough yet: {shown.savings.blind} blind cheques, about {shown.savings.verdict.needed} needed." in text
    assert "A pre-label saves" not in text


def test_an_empty_project(tmp_path: Path) -> None:
    text = text_of(site(tmp_path, replace(NO_FIGURES, project=1, at=AT)).test_client().get("/?lang=en").text)
    assert "Not enough yet: 0 blind cheques, about 60 needed." in text
    assert "No version was trained yet" in text
    assert "No unlabelled cheque has a reading now." in text


def test_it_is_small_and_asks_nobody_else(page: FlaskClient) -> None:
    html = page.get("/").text
    linked = re.findall(r'(?:src|href)="(/dashboard/(?:static|picture)[^"]+)"', html)
    size = len(html.encode()) + sum(len(page.get(one).data) for one in linked)
    assert len(linked) == 12
    assert size < 300_000
    outside = [url for url in re.findall(r'(?:src|href|action)="([a-z]+:[^"]+)"', html) if not url.startswith("data:")]
    assert all(url.startswith("http://127.0.0.1:8080/projects/1/data") for url in outside), "links into Label Studio"
    assert "default-src 'self'" in page.get("/").headers["Content-Security-Policy"]


def test_planted_errors_are_shown_in_both_languages_and_only_where_there_are_some(tmp_path: Path) -> None:
    work = [
        TimedAnnotation(n, n, 1, 30.0, 60.0 * n, planted="date" if n % 2 else "lieu", caught=n < 15) for n in range(20)
    ]
    client = site(tmp_path, replace(figures(), caught=caught(work))).test_client()
    text = text_of(client.get("/?lang=en").text)
    # Clopper and Pearson's interval of 15 in 20.
    assert "Of 20 planted errors, 75 % (51 to 91) were corrected." in text
    assert "to be put right there: tasks 15, 16, 17, 18, 19." in text
    assert "Sur 20 erreurs témoins, 75 % (de 51 à 91) ont été corrigées." in text_of(client.get("/?lang=fr").text)
    table = client.get("/dashboard/planted.csv?lang=en").get_data(as_text=True)
    assert "All;20;15;" in table and "Place;10;8;" in table
    assert "planted" not in text_of(site(tmp_path / "none").test_client().get("/?lang=en").text).lower()


def test_what_was_read_is_escaped(page: FlaskClient) -> None:
    html = page.get("/").text
    assert "&lt;Lyon&gt;" in html and "<Lyon>" not in html


def test_annotators_have_letters_until_numbers_are_asked_for(page: FlaskClient) -> None:
    assert "Annotator A" in page.get("/?lang=en").text
    assert "Annotator 0" in page.get("/?lang=en&names=on").text
    assert "Corrections by annotator" not in page.get("/?lang=en&names=hidden").text


def test_certified_reading_at_a_chosen_rate_and_confidence(page: FlaskClient) -> None:
    strict, loose = (text_of(page.get(f"/?lang=en&misread={rate}&level=0.9").text) for rate in (0.001, 0.05))
    assert "90 % confidence in at most 0.1 % misread: not measurable with 800 exam cheques" in strict
    assert re.search(r"With 90 % confidence at most 5 % misread: \d+ % of cheques need nobody", loose)


def test_every_chart_has_a_table_and_a_csv(page: FlaskClient) -> None:
    html = page.get("/?lang=en").text
    sections = re.findall(r'<section id="([a-z-]+)".*?</section>', html, re.S)
    charts = [part for part in re.findall(r"<section.*?</section>", html, re.S) if "<svg" in part]
    assert len(charts) >= 6 and all("<table>" in part for part in charts)
    for section in {"time", "acceptance", "learning", "certified"} & set(sections):
        csv = page.get(f"/dashboard/{section}.csv?project=1&lang=en")
        assert csv.status_code == 200 and csv.text.count("\n") >= 3, section
    assert page.get("/dashboard/nonsense.csv").status_code == 404


def test_a_formula_in_a_csv_stays_text(tmp_path: Path) -> None:
    work = [TimedAnnotation(1, 1, 1, 20.0, 1.0, None, version="v1", changed={"=cmd()": "accepted"}, shown={})]
    from backend.dashboard.figures import computed

    shown = computed(work, graded(), {}, 1000)
    assert "'=cmd()" in site(tmp_path, shown).test_client().get("/dashboard/acceptance.csv").text


def test_pictures_are_those_of_the_page_alone(page: FlaskClient) -> None:
    assert page.get("/dashboard/picture/1/3").mimetype == "image/jpeg"
    assert page.get("/dashboard/picture/1/99").status_code == 404
    assert page.get("/dashboard/picture/9/3").status_code == 404


def test_a_report_is_shown_from_its_version_alone(tmp_path: Path) -> None:
    page = site(tmp_path).test_client()
    for name in ("v1", "v9", "..%2F..%2Fetc", "v1%2F..%2F..%2Fchampion"):
        assert page.get(f"/dashboard/report/1/{name}").status_code == 404


def test_an_unknown_project_is_named(page: FlaskClient) -> None:
    answer = page.get("/?project=7")
    assert answer.status_code == 400
    assert "project 7 is not served here (served: 1, 2)" in answer.text


def test_redis_away_does_not_take_the_page_away(page: FlaskClient) -> None:
    assert "Redis does not answer" in page.get("/").text
    assert page.get("/dashboard/live.json").json["away"]


def token_in(html: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', html)
    assert found
    return found[1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an action would do, noted instead of done."""
    done: list[str] = []
    monkeypatch.setattr(actions, "enqueue", lambda name, project, **more: done.append(f"{name} {project}"))
    monkeypatch.setattr(actions, "promote", lambda s, project, name, who, why: done.append(f"promote {name} {why}"))
    monkeypatch.setattr(actions, "roll_back", lambda s, project, who: done.append("rollback"))
    return done


@pytest.mark.parametrize(
    ("action", "fields", "expected"),
    [
        ("retrain", {}, ["retrain 1"]),
        ("promote", {"version": "v2", "why": "tests"}, ["promote v2 tests", "prelabel 1"]),
        ("rollback", {}, ["rollback", "prelabel 1"]),
    ],
)
def test_an_action_is_asked_twice_and_then_done(
    page: FlaskClient, asked: list[str], action: str, fields: dict[str, str], expected: list[str]
) -> None:
    version = fields.get("version", "")
    form = page.get(f"/dashboard/actions/{action}?project=1&version={version}").text
    assert not asked, "a GET does nothing"
    answer = page.post(f"/dashboard/actions/{action}", data={"token": token_in(form), "project": 1} | fields)
    assert answer.status_code == 303 and answer.headers["Location"] == f"/?project=1&done={action}"
    assert asked == expected


@pytest.mark.parametrize("token", ["", "made up", "InRoaXMgbWFjaGluZSI.aaaaaa.bbbb"])
def test_a_form_of_another_site_is_refused(page: FlaskClient, asked: list[str], token: str) -> None:
    assert page.post("/dashboard/actions/retrain", data={"token": token, "project": 1}).status_code == 403
    good = token_in(page.get("/dashboard/actions/retrain").text)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert page.post("/dashboard/actions/retrain", data={"token": good}, headers=elsewhere).status_code == 403
    assert not asked


def test_a_way_back_is_gone_once_even_where_redis_is_away(
    page: FlaskClient, monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    """Said to have failed, the lead would go back once more; the worker finds by itself what is to be read again."""

    def away(*_: object, **__: object) -> None:
        raise QueueAway("Redis is away")

    monkeypatch.setattr(actions, "enqueue", away)
    token = token_in(page.get("/dashboard/actions/rollback").text)
    assert page.post("/dashboard/actions/rollback", data={"token": token, "project": 1}).status_code < 400
    assert asked == ["rollback"]


@pytest.mark.parametrize("error", [VersionError("v2 is damaged; promote another version"), QueueAway("Redis is away")])
def test_what_stands_in_the_way_is_said(page: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(actions, "enqueue", fails)
    monkeypatch.setattr(actions, "promote", fails)
    token = token_in(page.get("/dashboard/actions/promote?version=v2").text)
    answer = page.post("/dashboard/actions/promote", data={"token": token, "project": 1, "version": "v2"})
    assert answer.status_code == 409 and str(error) in answer.text


@pytest.mark.integration
@pytest.mark.parametrize(
    ("lang", "follows", "short"),
    [
        ("en", "the one that you asked for follows it", "another one follows"),
        ("fr", "celui que vous avez demandé le suivra", "un autre suivra"),
    ],
)
def test_a_retraining_asked_for_while_another_waits_follows_it_and_the_page_says_so(
    tmp_path: Path, redis_server: RedisServer, connection: redis.Redis, lang: str, follows: str, short: str
) -> None:
    page = site(tmp_path, redis_url=redis_server.url).test_client()
    enqueue(RETRAIN, 1, connection=connection)
    assert short not in text_of(page.get(f"/?lang={lang}").text)
    token = token_in(page.get("/dashboard/actions/retrain?project=1").text)
    done = page.post("/dashboard/actions/retrain", data={"token": token, "project": 1})
    (queue,) = queues(connection, [RETRAIN])
    jobs = [queue.fetch_job(job_id) for job_id in queue.job_ids]
    assert [job.kwargs for job in jobs if job] == [{"project": 1}, {"project": 1, "force": True}]
    text = text_of(page.get(done.headers["Location"] + f"&lang={lang}").text)
    assert follows in text and short in text
    assert short in page.get("/dashboard/live.json?project=1").json["line"]
