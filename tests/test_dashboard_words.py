"""Every word on the page has its French, and numbers look as each language writes them."""

import ast
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from flask import Flask

from backend.dashboard import i18n, image_reasons
from cheques.network import PROXY_ASKS
from study.lead_times import REASONS
from study.metrics import Estimate

ROOT = Path(i18n.__file__).parent
KEYWORDS = {"_": None, "say": None, "gettext": None}


def messages() -> set[str]:
    methods = [("**.py", "python"), ("templates/**.html", "jinja2")]
    found = extract_from_dir(ROOT, methods, {"templates/**.html": {"newstyle_gettext": "true"}}, keywords=KEYWORDS)
    return {str(message) for _, _, message, _, _ in found} | set(REASONS.values()) | set(image_reasons.REASONS)


def test_every_message_is_translated_with_the_same_places() -> None:
    with (i18n.CATALOGS / "fr.po").open("rb") as file:
        french = {entry.id: entry.string for entry in read_po(file) if entry.id}
    assert messages() == set(french)
    for message, translation in french.items():
        assert translation
        assert sorted(re.findall(r"%\(\w+\)s", message)) == sorted(re.findall(r"%\(\w+\)s", translation)), message


def test_numbers_and_dates_follow_the_language() -> None:
    app = Flask("test")
    catalogs = i18n.speak(app)
    estimate = Estimate(1234.56, 1000.04, 1500.0)
    for language, expected in (("en", "1,234.6 s (1,000.0 to 1,500.0)"), ("fr", "1 234,6 s (de 1 000,0 à 1 500,0)")):
        with app.test_request_context(f"/?lang={language}"):
            catalogs.as_default()
            assert re.sub(r"\s", " ", i18n.interval(estimate, 1, "s")) == expected
            assert i18n.when(datetime(2026, 3, 1, 12, tzinfo=UTC)) != "–"
            assert i18n.when(None) == "–"
            assert re.sub(r"\s", " ", i18n.rate(0.001)).replace(",", ".") == "0.1 %"
            assert i18n.field_name("numero_facture") == "numero facture"


def test_all_moments_are_shown_by_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    app = Flask("test")
    catalogs = i18n.speak(app)
    try:
        with app.test_request_context("/?lang=fr"):
            catalogs.as_default()
            assert "13:00" in i18n.when(moment)
            assert i18n.when(moment) == i18n.when(moment.timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()


def test_whatever_is_wrong_with_an_image_has_its_french() -> None:
    """Each line that BadImage is raised with; the one that names a file is no task's."""
    lines = set()
    for name in ("cheques/images.py", "studio/images.py"):
        for call in ast.walk(ast.parse((ROOT.parent.parent / name).read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and re.search("BadImage|ImageAway", ast.unparse(call.func)):
                for part in call.args:
                    if isinstance(part, ast.JoinedStr):
                        texts = [str(p.value) if isinstance(p, ast.Constant) else "7" for p in part.values]
                        lines.add("".join(texts))
                    elif isinstance(part, ast.Constant):
                        lines.add(str(part.value))
    assert len(lines) > 20
    app = Flask("test")
    catalogs = i18n.speak(app)
    with app.test_request_context("/?lang=fr"):
        catalogs.as_default()
        same = {line for line in lines - {"7: 7"} if image_reasons.reason_of_image(line) == line}
        assert not same, "give it to image_reasons.REASONS and to fr.po"
        told = image_reasons.reason_of_image("damaged or cut-off image (OSError): copy the file again, or scan again")
        assert told == "image endommagée ou tronquée (OSError) : copiez le fichier ou numérisez de nouveau"
        assert image_reasons.reason_of_image("something else") == "something else"
        closed = image_reasons.reason_of_image(f"images.example is not reached: {PROXY_ASKS}")
        assert closed.startswith(
            "images.example n'est pas joint, car le proxy demande un mot de passe (407) : donnez-le"
        )
