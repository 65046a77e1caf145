"""An invoice project made by hand: other names, Number and DateTime, several choices at once, front and back."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from chequemate.connect import attach, begin, fields_read, remarks
from chequemate.stack import Stack
from cheques.drawing.hands import font
from store.database import Store
from store.versions import Versions
from studio.client import Studio
from studio.config import read_config
from studio.formats import region
from tests.browser import browser_page
from tests.test_loop_page import SHOTS
from tests.test_stack_connect import LONGEST, until

pytestmark = [pytest.mark.integration, pytest.mark.proof]

FORM = """<View style="display: flex; gap: 16px">
  <View style="flex: 1">
    <Image name="recto" value="$facture.recto" maxHeight="300px"/>
    <Image name="verso" value="$facture.verso" maxHeight="300px"/>
  </View><View style="flex: 1">
  <Header value="Fournisseur"/><TextArea name="fournisseur" toName="recto" maxSubmissions="1" editable="true"/>
  <Header value="Total TTC"/><Number name="total_ttc" toName="recto"/>
  <Header value="Articles"/><Number name="articles" toName="recto"/>
  <Header value="Échéance"/><DateTime name="echeance" toName="recto" only="date" format="%d/%m/%Y"/>
  <Header value="Payée"/>
  <Choices name="payee" toName="recto" choice="single-radio">
    <Choice value="Oui, tampon" alias="oui"/><Choice value="Non" alias="non"/><Choice value="?"/>
  </Choices>
  <Header value="Défauts"/>
  <Choices name="defauts" toName="recto" choice="multiple"><Choice value="plié"/><Choice value="taché"/></Choices>
  <Header value="Au dos"/><TextArea name="dos" toName="verso" maxSubmissions="1" editable="true"/>
  </View>
</View>"""
SUPPLIERS = ("Dupont SA", "Brasserie du Port", "Leroy & Fils", "Papeterie Centrale")


def drawn(folder: Path, number: int) -> dict[str, str]:
    """An invoice's two sides as files, and what is written on its front."""
    rng = random.Random(number)
    truth = {
        "fournisseur": rng.choice(SUPPLIERS),
        "total_ttc": f"{rng.randrange(1000, 99999) / 100:.2f}",
        "articles": str(rng.randrange(1, 9)),
        "echeance": f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        "payee": rng.choice(("oui", "non")),
    }
    year, month, day = truth["echeance"].split("-")
    lines = [
        truth["fournisseur"],
        f"Total TTC {truth['total_ttc'].replace('.', ',')} €",
        f"{truth['articles']} articles",
        f"Échéance {day}/{month}/{year}",
        "PAYÉ" if truth["payee"] == "oui" else "",
    ]
    for side, written in (("recto", lines), ("verso", ["Conditions générales"])):
        image = Image.new("RGB", (640, 280), "white")
        for row, line in enumerate(written):
            ImageDraw.Draw(image).text((24, 16 + 48 * row), line, "black", font("delius", 26))
        image.save(folder / f"{side}{number}.png")
    return truth


def test_it_is_connected_prelabelled_and_retrained(stack: Stack) -> None:
    folder, studio = stack.files / "factures", Studio(stack.studio_url, stack.token)
    folder.mkdir()
    config = read_config(FORM)
    project = studio.create_project("Factures", FORM)
    studio.serve_files(project.id, str(folder))
    tasks: list[dict[str, Any]] = []
    for number in range(36):
        truth = drawn(folder, number)
        url = "/data/local-files/?d=factures"
        data = {"facture": {side: f"{url}/{side}{number}.png" for side in ("recto", "verso")}}
        regions = [made for field in config.form if (made := region(config, field, truth[field.name]))]
        people = {
            "from_name": "defauts",
            "to_name": "recto",
            "type": "choices",
            "value": {"choices": ["plié", "taché"]},
        }
        tasks.append({"data": data} | ({"annotations": [{"result": [*regions, people]}]} if number < 30 else {}))
    ids = studio.import_tasks(project.id, tasks)

    here, config = attach(studio, stack.settings, project.id)
    print(f"read from {config.image_tag}: {fields_read(config)}", *remarks(here, config), sep="\n- ")
    assert config.form.names == ("fournisseur", "total_ttc", "articles", "echeance", "payee")
    assert [field.kind for field in config.form] == ["text", "amount", "number", "date", "choice"]
    labels = list(studio.labels(project.id, config))
    assert all(not label.problems and label.values["payee"] in ("oui", "non") for label in labels), labels[:2]
    begin(stack.settings, here)
    until(lambda: Versions(Store(stack.settings.home), project.id).list(), LONGEST, "a first version")

    version = Versions(Store(stack.settings.home), project.id).list()[0]
    print(f"{version.name}: {version.labels} lessons, exact match {version.mean}, {version.decision}")
    serving = Versions(Store(stack.settings.home), project.id).champion()
    shown = serving.name if serving else "base"
    until(lambda: studio.project(project.id).model_version == shown, 120, "showing the version in service")
    rest = {task.id: task for task in studio.tasks(project.id, config, labels="none", stored=True)}
    assert set(rest) == set(ids[30:])
    until(lambda: studio.predicted_versions(project.id).get(shown, 0) >= 6, 120, "pre-labels")

    with browser_page() as page:
        page.goto(f"{stack.studio_url}/user/login")
        page.locator("input[name=email]").fill("admin@example.com")
        page.locator("input[name=password]").fill(stack.secrets.studio_password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{stack.studio_url}/")
        page.goto(f"{stack.studio_url}/projects/{project.id}/data")
        page.get_by_text("Label All Tasks").click()
        page.get_by_test_id("bottombar-submit-button").wait_for()
        page.locator("input[name=total_ttc]").wait_for()
        page.wait_for_timeout(2000)
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / "invoices.png")
        page.get_by_test_id("bottombar-submit-button").click()
        until(lambda: studio.project(project.id).labels == 31, 60, "the label of a person")
    (label,) = [one for one in studio.labels(project.id, config) if one.task in rest]
    assert not label.problems
    assert label.shown in (None, label.values), "submitted as it was shown; nothing where it is blind"
