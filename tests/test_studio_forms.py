"""Forms of many kinds on a real Label Studio: what is read is shown, submitted, and comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page

from reader.reading import Reading
from studio.config import read_config
from studio.formats import label, prediction
from studio.images import fetch_image
from tests.browser import browser_page
from tests.conftest import LabelStudio

pytestmark = pytest.mark.integration

FRONT, BACK = "/data/local-files/?d=forms/front.png", "/data/local-files/?d=forms/back.png"
ONE = 'maxSubmissions="1" editable="true"'


@pytest.fixture(scope="module")
def page(label_studio: LabelStudio) -> Iterator[Page]:
    with browser_page() as page:
        page.goto(f"{label_studio.url}/user/login")
        page.locator("input[name=email]").fill(label_studio.email)
        page.locator("input[name=password]").fill(label_studio.password)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{label_studio.url}/")
        yield page


@pytest.mark.parametrize(
    ("form", "data", "read"),
    [
        pytest.param(
            '<Image name="image" value="$facture.url"/>'
            '<Number name="total" toName="image"/><Number name="articles" toName="image"/>'
            '<DateTime name="emis" toName="image" only="date"/>'
            '<DateTime name="paye" toName="image" only="date" format="%d/%m/%Y"/>'
            '<Choices name="solde" toName="image" choice="single-radio">'
            '<Choice value="Oui, tampon" alias="oui"/><Choice value="Non" alias="non"/></Choices>',
            {"facture": {"url": FRONT}},
            {"total": "1234.50", "articles": "3", "emis": "2024-05-03", "paye": "2024-04-01", "solde": "oui"},
            id="number, day, alias, nested data",
        ),
        pytest.param(
            f'<Image name="image" valueList="$pages" page="2"/><TextArea name="lieu" toName="image" {ONE}/>',
            {"pages": [BACK, FRONT]},
            {"lieu": "Lyon"},
            id="the second page of a list",
        ),
        pytest.param(
            '<Repeater on="$pages" indexFlag="{{idx}}"><Image name="page_{{idx}}" value="$pages[{{idx}}].url"/>'
            f'<TextArea name="lieu_{{{{idx}}}}" toName="page_{{{{idx}}}}" {ONE}/></Repeater>',
            {"pages": [{"url": FRONT}, {"url": BACK}]},
            {"lieu_0": "Lyon"},
            id="a Repeater",
        ),
        pytest.param(
            '<Image name="image" value="/data/local-files/?d=forms/$file"/>'
            f'<TextArea name="lieu" toName="image" {ONE}/>',
            {"file": "front.png"},
            {"lieu": "Lyon"},
            id="an address made of text and data",
        ),
    ],
)
def test_what_is_read_is_shown_and_comes_back(
    label_studio: LabelStudio, page: Page, form: str, data: dict[str, Any], read: dict[str, str], tmp_path: Any
) -> None:
    studio, folder = label_studio.client, label_studio.files / "forms"
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (64, 32)).save(folder / "front.png")
    Image.new("RGB", (32, 64)).save(folder / "back.png")
    project = studio.create_project("Formulaire", f"<View>{form}</View>")
    config = read_config(project.label_config)
    studio.serve_files(project.id, str(folder))
    (task,) = studio.import_tasks(project.id, [data])
    assert fetch_image(studio.task(task, config).image, label_studio.settings(tmp_path), project.id).size == (64, 32)
    (same,) = studio.import_tasks(project.id, [config.data_of(FRONT)])
    assert studio.task(same, config).image == FRONT
    made = prediction(config, Reading(read, {}), "v1", 0.5)
    assert studio.import_predictions(project.id, [{"task": task, **made}]) == 1
    studio.serve(project.id, "v1")

    page.goto(f"{label_studio.url}/projects/{project.id}/data")
    page.get_by_text("Label All Tasks").click()
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST"):
        page.get_by_test_id("bottombar-submit-button").click()

    sent = studio._get(f"/api/tasks/{task}", resolve_uri="false").json()
    (annotation,) = sent["annotations"]
    one = label(annotation, sent, config)
    assert (one.values, one.problems) == (read, ())
    assert set(one.changed.values()) == {"accepted"} and one.shown == read


def test_label_studio_leaves_names_of_a_repeater_out_of_an_import_in_silence(label_studio: LabelStudio) -> None:
    """And so they are stored one at a time, and blind ones beside them together."""
    studio = label_studio.client
    form = (
        '<View><Repeater on="$pages"><Image name="p_{{idx}}" value="$pages[{{idx}}].url"/>'
        '<TextArea name="lieu_{{idx}}" toName="p_{{idx}}"/></Repeater></View>'
    )
    project = studio.create_project("Pages", form)
    config = read_config(form)
    ids = studio.import_tasks(project.id, [{"pages": [{"url": FRONT}]}] * 4)
    made = [
        {"task": task, **prediction(config, Reading({"lieu_0": "Lyon"}, {}), "v1", 0.5, blind=number == 2)}
        for number, task in enumerate(ids)
    ]
    assert studio.import_predictions(project.id, made) == 4
    stored = {task.id: task.stored for task in studio.tasks(project.id, config, stored=True)}
    assert [[one.empty for one in stored[task]] for task in ids] == [[False], [False], [True], [False]]
