"""The slides and the printed page: filled from the project's numbers, and nothing runs off the paper."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest
from PIL import ImageFont
from pptx import Presentation
from pptx.util import Emu, Inches

from backend.dashboard.figures import NO_FIGURES, Figures
from chequemate.deck import Slide, write
from chequemate.report import BROWSERS, page_of, print_page
from chequemate.slides import UNKNOWN, slides
from cheques.settings import Settings
from tests.dashboard_parts import ShownDesk, figures

POINTS_AN_INCH = 72


@pytest.fixture
def reported(tmp_path: Path) -> Figures:
    """A project whose champion has a report."""
    shown = figures(home=tmp_path)
    fields = dict.fromkeys(shown.savings.acceptance, 0.75)
    scores = {"n": 60, "mean": 0.6, "median": 0.57, "fields": fields, "valid_json": 1.0, "seconds_per_cheque": 0.4}
    gain = {"value": 0.15, "low": 0.081, "high": 0.22}
    report = {
        "base": scores,
        "candidate": scores | {"mean": 0.75},
        "gains": {"base": {"mean": gain, "median": gain | {"value": 0.143}}},
        "hard": {"base": 7, "moved": 3},
        "training": {"engine": "unsloth", "peak_bytes": 19 * 2**30},
    }
    folder = tmp_path / "v3" / "report"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    champion = replace(
        shown.history.versions[-1], base="Qwen/Qwen2.5-VL-7B-Instruct", recipe={"rank": 16, "epochs": 8}, seconds=444.0
    )
    return replace(shown, history=replace(shown.history, champion=champion))


def said(deck: list[Slide]) -> str:
    text = "\n".join(line for slide in deck for line in (slide.title, *slide.lines))
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def test_the_slides_carry_the_projects_own_numbers(reported: Figures) -> None:
    text = said(slides(reported, hourly=35.0))
    assert "500 chèques annotés sur 1 000 prévus" in text
    assert "Qwen2.5-VL-7B-Instruct" in text and "Unsloth ; mémoire de pointe 19,0 Gio" in text
    assert "Durée d'un entraînement : 7,4 minutes" in text
    assert "Exactitude moyenne : 60 % puis 75 %" in text
    assert "Gain moyen : +15,0 points (de 8,1 à 22,0)" in text
    assert "Gain médian : +14,3 points" in text
    assert "3 débloqués sur 7" in text
    effect, hours = reported.savings.effect, reported.savings.hours
    assert effect is not None and hours is not None
    assert f"{effect.seconds.value:.1f} s".replace(".", ",") in text
    assert f"soit {35 * hours.saved.value:.0f} €" in text


def test_what_is_not_known_is_not_made_up() -> None:
    deck = slides(replace(NO_FIGURES, project=1))
    text = said(deck)
    assert text.count(UNKNOWN) >= 8
    assert "0 débloqués" not in text and "puis" not in text
    assert not any(slide.chart for slide in deck), "no chart of nothing"
    assert "il en faut environ 60" in text


def test_five_slides_with_native_charts_and_notes(reported: Figures, tmp_path: Path) -> None:
    write(slides(reported), tmp_path / "slides.pptx")
    show = Presentation(str(tmp_path / "slides.pptx"))
    assert [slide.shapes.title.text for slide in show.slides] == [
        "Contexte et protocole",
        "Méthode",
        "Résultats",
        "Limites et coûts",
        "Conclusion et suites",
    ]
    assert sum(shape.has_chart for slide in show.slides for shape in slide.shapes) == 4
    assert all(len(slide.notes_slide.notes_text_frame.text) > 100 for slide in show.slides)


@pytest.mark.parametrize("known", [True, False])
def test_nothing_runs_off_a_slide(reported: Figures, tmp_path: Path, known: bool) -> None:
    write(slides(reported if known else NO_FIGURES, 35.0), tmp_path / "slides.pptx")
    show = Presentation(str(tmp_path / "slides.pptx"))
    for slide in show.slides:
        for shape in slide.shapes:
            assert shape.left >= 0 and shape.left + shape.width <= show.slide_width
            assert shape.top >= 0 and shape.top + shape.height <= show.slide_height
            if shape.has_text_frame and shape.text_frame.text:
                assert height_of(shape) <= shape.height, shape.text_frame.text


def height_of(shape: object) -> int:
    """EMU that the text takes when it is wrapped at the shape's width, less the usual margins."""
    inches = Inches(0.1)
    for paragraph in shape.text_frame.paragraphs:  # type: ignore[attr-defined]
        size = paragraph.font.size.pt
        font = ImageFont.load_default(size)
        room = (Emu(shape.width).inches - 0.2) * POINTS_AN_INCH  # type: ignore[attr-defined]
        lines, line = 1, ""
        for word in paragraph.text.split():
            if font.getlength(f"{line} {word}") > room:
                lines, line = lines + 1, word
            else:
                line = f"{line} {word}".strip()
        inches += Inches((lines * size * 1.2 + (paragraph.space_after.pt if paragraph.space_after else 0)) / 72)
    return int(inches)


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium to print with")
@pytest.mark.slow
def test_the_page_is_printed_with_everything_inside(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0")
    html = page_of(ShownDesk(figures()), settings, 1, "en")
    assert "<script" not in html and "/dashboard/static" not in html
    print_page(html, tmp_path / "page.pdf")
    pdf = pypdfium2.PdfDocument(tmp_path / "page.pdf")
    text = "".join(pdf[number].get_textpage().get_text_range() for number in range(len(pdf)))
    pdf.close()
    assert "A pre-label saves" in text and "Certified reading" in text
