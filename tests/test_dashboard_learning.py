"""The learning curve on the page and in the slides: what the trainer kept is shown, in French and in English."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.dashboard.figures import Figures
from backend.dashboard.learning import NOTHING_LEARNT, learning_of
from backend.dashboard.status import history_of
from chequemate.slides import slides
from store import tables
from store.database import Store
from store.marks import CURVE, mark, set_mark
from store.versions import Versions
from tests.dashboard_parts import figures, site
from tests.learning_parts import exams, law, project
from trainer.progress import keep_curve, learning_progress

LABELS, CHEQUES = (40, 80, 120, 160), (20, 30, 40, 50)


def shown(home: Path, versions: int = 4, kept: bool = True) -> Figures:
    judged = exams(law(0.35, 0.0, 0.5, 100), LABELS, CHEQUES, 1)[: versions + 1]
    project(home, "1", judged, LABELS[:versions])
    if kept:
        keep_curve(versions := Versions(Store(home), "1"), learning_progress(versions))
    return replace(figures(), history=history_of(Store(home), 1))


def section(home: Path, figures: Figures, lang: str, printed: str = "") -> str:
    html = site(home, figures).test_client().get(f"/?lang={lang}{printed}").text
    found = re.search(r'<section id="learning".*?</section>', html, re.S)
    assert found
    return found[0]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_gain_of_100_more_labels_stands_first_in_both_languages(tmp_path: Path) -> None:
    page = shown(tmp_path)
    kept = mark(Store(tmp_path), 1, CURVE)
    now, gain = (
        f"{100 * kept['now']['value']:.0f}",
        [f"{100 * kept['gain'][key]:.1f}" for key in ("value", "low", "high")],
    )
    english, french = (text_of(section(tmp_path, page, lang)) for lang in ("en", "fr"))
    assert f"Exact match {now} % now; 100 more labels bring {gain[0]} points ({gain[1]} to {gain[2]})." in english
    comma = [one.replace(".", ",") for one in gain]
    assert f"Exactitude de {now} % aujourd'hui ; 100 annotations de plus apportent".replace("'", "&#39;") in french
    assert f"{comma[0]} points (de {comma[1]} à {comma[2]})." in french
    assert "is in service since" in english and "est en service depuis" in french


def test_the_curve_has_its_band_and_a_table_behind_it(tmp_path: Path) -> None:
    html = section(tmp_path, shown(tmp_path), "en")
    assert len(re.findall(r'<path class="band a" d="M[^"]+Z"/>', html)) == 1
    assert len(re.findall(r'<path class="whisker b"', html)) == 5, "base and four versions with their own intervals"
    assert "fitted curve with its range" in html
    rows = [text_of(row).split() for row in re.findall(r"<tr>.*?</tr>", html, re.S)[1:]]
    assert [row[0] for row in rows] == ["v4", "v3", "v2", "v1", "base", "with"]
    assert rows[-1][:4] == ["with", "100", "more", "260"]
    csv = site(tmp_path, shown(tmp_path / "b")).test_client().get("/dashboard/learning.csv?lang=en").text
    assert "with 100 more;260;–;–;–;" in csv
    assert section(tmp_path, shown(tmp_path / "c"), "en", "&print").count("<tr>") == 7


def test_too_few_versions_say_so_and_no_curve_is_drawn(tmp_path: Path) -> None:
    page = shown(tmp_path, versions=2)
    english, french = (section(tmp_path, page, lang) for lang in ("en", "fr"))
    said = "What 100 more labels would bring: not enough yet, 2 of 3 versions of different size."
    assert said in text_of(english) and "bring" not in text_of(english).replace(said, "")
    assert "pas encore mesurable, 2 sur 3 versions de tailles différentes" in french
    assert "band" not in english


def test_before_the_file_is_written_and_when_it_is_damaged_the_versions_are_shown_alone(tmp_path: Path) -> None:
    html = section(tmp_path, shown(tmp_path, kept=False), "en")
    assert "is computed with the next version" in html and "<svg" in html and "band" not in html


def test_an_adapter_that_was_brought_along_stands_beside_the_base_and_ours(tmp_path: Path) -> None:
    shown(tmp_path, versions=2)
    with Store(tmp_path).begin() as connection:
        v1 = tables.version.c.name == "v1"
        record = connection.execute(sa.select(tables.version.c.record).where(v1)).scalar_one()
        connection.execute(tables.version.update().where(v1).values(record=record | {"brought": True, "labels": 0}))
    keep_curve(versions := Versions(Store(tmp_path), "1"), learning_progress(versions))
    page = replace(figures(), history=history_of(Store(tmp_path), 1))
    english, french = (text_of(section(tmp_path, page, lang)) for lang in ("en", "fr"))
    percents = r"\d+[.,]\d.% \(\d+.% (?:to|à) \d+.%\)"
    assert re.search(f"Side by side: the base {percents}, your adapter v1 {percents}, v2 {percents}", english)
    assert re.search(f"Côte à côte : la base {percents}, votre adaptateur v1 {percents}, v2 {percents}", french)
    assert "On 30, 20, 30 exam cheques, not the same ones." in english  # the intervals are of different exams
    assert "it may have seen the exam" in english and "v1 (yours)" in english
    assert "Side by side" not in text_of(section(tmp_path, shown(tmp_path / "without"), "en"))


@pytest.mark.parametrize("kept", [{}, [], 3, {"points": [{}]}, {"points": [], "enough": True}, {"points": 3}])
def test_what_another_release_kept_is_nothing(tmp_path: Path, kept: object) -> None:
    assert learning_of(Store(tmp_path), 1) == NOTHING_LEARNT
    set_mark(Store(tmp_path), 1, CURVE, kept)
    assert learning_of(Store(tmp_path), 1) == NOTHING_LEARNT


def test_the_open_page_learns_that_the_curve_came(tmp_path: Path) -> None:
    before = shown(tmp_path, kept=False)
    keep_curve(versions := Versions(Store(tmp_path), "1"), learning_progress(versions))
    assert before.stamp != replace(before, history=history_of(Store(tmp_path), 1)).stamp


def test_the_slides_say_it_too(tmp_path: Path) -> None:
    page = shown(tmp_path)
    expected = page.history.learning.expected
    assert expected is not None
    text = "\n".join(slides(page)[-1].lines).replace("\u00a0", " ")
    gain = f"{100 * expected.gain.value:.1f} points".replace(".", ",")
    assert f"100 de plus apporteraient {gain} (de " in text
