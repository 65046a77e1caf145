"""What cannot be used is listed where people look: on the page within a minute, by doctor, to Prometheus."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from backend.arms import work_of
from backend.dashboard.exam import true_labels
from backend.dashboard.figures import LeftOut, left_out
from backend.dashboard.prometheus import measured
from backend.dashboard.view_left_out import ROWS, why
from chequemate.connect import attach, begin
from chequemate.doctor.checks import Finding
from chequemate.doctor.verb import findings
from chequemate.stack import Stack
from cheques.drawing.folder import write_folder
from cheques.text import FAULTS
from store.database import Store
from store.marks import UNREAD, Unread, keep_unread, mark, set_mark, unread
from studio.client import Studio
from studio.config import DEFAULT_CONFIG, read_config
from studio.formats import Label, label
from study.quality import agreement
from tests.browser import browser_page
from tests.dashboard_parts import figures, site
from tests.jobs_parts import World
from tests.test_loop import run, until
from worker.jobs import prelabel, reconcile, retrain
from worker.queue import RECONCILE

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
PATIENCE = 600.0  # seconds: a few on an idle machine, more on one that tests share
SHOTS = os.environ.get("SHOTS")  # a folder for pictures


def region(name: str, value: Any, key: str = "text") -> dict[str, Any]:
    kind = "choices" if key == "choices" else "textarea"
    return {"from_name": name, "to_name": "image", "type": kind, "value": {key: value}, "id": name, "origin": "manual"}


def made(task: int, *regions: dict[str, Any], annotator: int = 1, **more: Any) -> Label:
    at = f"2026-03-01T10:{task % 60:02}:00Z"
    about = {"id": 100 + task, "created_at": at, "updated_at": at, "completed_by": annotator, "lead_time": 9.0}
    return label(about | {"result": list(regions)} | more, {"id": task, "data": {"image": "/a.png"}}, CONFIG)


def listed(*labels: Label) -> LeftOut:
    return left_out(work_of(labels))


class TestWhichLabels:
    def test_two_values_cost_the_whole_label_a_bad_value_its_field(self) -> None:
        doubled = made(1, region("date", ["2024-05-03"]), region("date", ["2024-06-03"]))
        bad, good = made(2, region("date", ["hier"])), made(3, region("date", ["2024-05-03"]))
        found = listed(doubled, bad, good).faulty
        assert [(one.task, one.whole, dict(one.faults)) for one in found] == [
            (2, False, {"date": "no_value"}),
            (1, True, {"date": "two_values"}),
        ]

    def test_a_renamed_field_is_told_and_a_control_that_is_no_field_is_not(self) -> None:
        assert dict(listed(made(1, region("datum", ["2024-05-03"]))).faulty[0].faults) == {"datum": "no_field"}
        config = read_config(XML.replace("</View>\n</View>", '<Rating name="r" toName="image"/></View></View>'))
        about = {"id": 1, "result": [region("r", 3, "rating"), region("date", ["2024-05-03"])]}
        assert label(about, {"id": 1, "data": {}}, config).faults == {}

    @pytest.mark.parametrize("text", [20240503, None, {"a": 1}, [None], [3], 4.5, True])
    def test_what_is_no_text(self, text: Any) -> None:
        assert dict(listed(made(1, region("lieu", text))).faulty[0].faults) == {"lieu": "not_text"}

    def test_what_was_done_again_or_skipped_is_not_listed(self) -> None:
        bad = made(1, region("date", ["hier"]))
        again = replace(made(1, region("date", ["2024-05-03"])), annotation=500, created_at="2026-03-01T11:00:00Z")
        assert listed(bad, again).faulty == ()
        skip = made(2, region("date", ["hier"]), was_cancelled=True)
        assert listed(skip) == LeftOut(skipped=(2,))
        other = replace(again, annotator=2)
        assert [one.annotation for one in listed(bad, other).faulty] == [101], "another's label does not mend it"

    def test_a_task_that_somebody_labelled_is_not_skipped(self) -> None:
        assert listed(made(1, was_cancelled=True), replace(made(1), annotator=2)).skipped == ()


def test_a_field_that_cannot_be_used_counts_in_no_statistic() -> None:
    """Neither as right nor as wrong: what somebody typed there says nothing of the reader or of a colleague."""
    bad = made(1, region("date", ["hier"]), region("lieu", ["Lyon"]))
    good = made(1, region("date", ["2024-05-03"]), region("lieu", ["Lyon"]), annotator=2)
    one, other = (replace(work, exam=True, arm="blind") for work in work_of([bad, replace(good, annotation=500)]))
    assert "date" not in one.values and one.values["lieu"] == "Lyon"
    assert agreement(one.values, other.values) == agreement(other.values, one.values) == 1.0
    assert true_labels([other, replace(one, at=other.at + 1)]) == {1: other}
    assert true_labels([one]) == {}


class TestUnread:
    def test_each_job_replaces_its_own_and_a_task_stands_once(self, tmp_path: Path) -> None:
        assert unread(Store(tmp_path), 7) == ()
        keep_unread(Store(tmp_path), 7, "prelabel", [Unread.of(3, "/a.png", "damaged"), Unread.of(1, "", "no image")])
        keep_unread(Store(tmp_path), 7, "retrain", [Unread.of(3, "/a.png", "damaged")])
        assert [(one.task, one.why) for one in unread(Store(tmp_path), 7)] == [(1, "no image"), (3, "unreadable")]
        keep_unread(Store(tmp_path), 7, "prelabel", [Unread.of(2, "/b.png", "away", passing=True)])
        assert [(one.task, one.why) for one in unread(Store(tmp_path), 7)] == [(2, "waiting"), (3, "unreadable")]
        set_mark(Store(tmp_path), 7, UNREAD, {})
        assert unread(Store(tmp_path), 7) == ()

    def test_the_jobs_keep_what_they_could_not_read(self, world: World) -> None:
        world.labelled(30)
        world.studio.add_tasks(range(50, 60))
        world.backend.unreadable, world.backend.away = frozenset({51}), frozenset({52})
        prelabel(7)
        assert [(one.task, one.why, one.reason) for one in unread(Store(world.home), 7)] == [
            (51, "unreadable", "why"),
            (52, "waiting", "why"),
        ]
        reconcile(7)
        assert [one.task for one in unread(Store(world.home), 7)] == [3, 51, 52]
        world.studio.annotate(4, image="/image/3")  # drawn already, and its image is gone
        world.decision = "rejected"
        retrain(7)
        assert [(one.task, one.why) for one in unread(Store(world.home), 7)][:2] == [
            (3, "unreadable"),
            (4, "unreadable"),
        ]
        world.backend.unreadable = world.backend.away = frozenset()
        prelabel(7)
        assert not {51, 52} & {one.task for one in unread(Store(world.home), 7)}


LEFT = LeftOut(
    left_out(
        work_of(
            [
                made(12, region("date", ["2024-05-03"]), region("date", ["2024-06-03"])),
                made(17, region("montant_numerique", ["Zoé"]), region("lieu", 5)),
            ]
        )
    ).faulty,
    skipped=(8,),
    disputed=(9,),
)
BLANK = (
    Unread(31, "no image", "no image under 'image': import the task with one"),
    Unread(32, "unreadable", "damaged or cut-off image (OSError): copy the file again, or scan again"),
    Unread(33, "waiting", "image not fetched: Label Studio does not answer"),
)


class TestThePage:
    def test_it_lists_them_with_links_in_both_languages(self, tmp_path: Path) -> None:
        client = site(tmp_path, replace(figures(), left_out=LEFT, unread=BLANK)).test_client()
        english = client.get("/?lang=en").text
        for line in (
            "Labels that cannot be used: 1 (task 12).",
            "Labels with a field that cannot be used; their others count: 1 (task 17).",
            "Tasks without an image: 1 (task 31).",
            "Images that cannot be read: 1 (task 32).",
            "Images that could not be fetched so far, and are tried again: 1 (task 33).",
            "Annotators disagree, and the latest label counts: 1 (task 9).",
            "Skipped by annotators: 1 (task 8).",
            "has two values: the whole label is left out until one is deleted",
            "damaged or cut-off image (OSError): copy the file again, or scan again",
        ):
            assert line in english
        for task in (12, 17, 31, 32, 33):
            assert f'projects/1/data?task={task}">{task}</a>' in english
        assert "Zo" not in re.findall(r'<section id="left-out".*?</section>', english, re.S)[0]
        french = client.get("/?lang=fr").text
        assert "Annotations inutilisables : 1 (tâche 12)." in french and "n&#39;est pas une valeur" in french
        assert "image endommagée ou tronquée (OSError) : copiez le fichier ou numérisez de nouveau" in french
        table = client.get("/dashboard/left-out.csv?lang=en").get_data(as_text=True)
        assert "12;" in table and "Amount in figures;is no value of this kind of field" in table

    def test_nothing_left_out_is_no_section(self, tmp_path: Path) -> None:
        assert "left-out" not in site(tmp_path).test_client().get("/").text

    def test_of_very_many_the_page_shows_some_and_the_csv_all(self, tmp_path: Path) -> None:
        many = tuple(Unread(task, "no image", "none") for task in range(1, 1001))
        client = site(tmp_path, replace(figures(), unread=many)).test_client()
        html = client.get("/?lang=en").text
        assert "Tasks without an image: 1,000 (tasks 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 …)." in html
        assert html.count("/projects/1/data?task=") - 10 == ROWS and "Here are the first 50 of 1,000 lines" in html
        assert client.get("/dashboard/left-out.csv").get_data(as_text=True).count("\n") == 1001

    def test_every_reason_has_words(self, tmp_path: Path) -> None:
        with site(tmp_path).test_request_context("/?lang=en"):
            assert len({why(fault) for fault in FAULTS}) == len(FAULTS)  # type: ignore[arg-type]

    def test_the_open_page_notices(self) -> None:
        shown = figures()
        assert len({shown.stamp, replace(shown, left_out=LEFT).stamp, replace(shown, unread=BLANK).stamp}) == 3


def test_prometheus_is_told_how_many_and_why() -> None:
    found = {m.name: m.samples for m in measured({1: replace(figures(), left_out=LEFT, unread=BLANK)})}
    reasons = {s.labels["reason"]: s.value for s in found["chequemate_unusable_labels"]}
    assert reasons == dict.fromkeys(FAULTS, 0) | {"two_values": 1, "no_value": 1, "not_text": 1}
    blank = {s.labels["reason"]: s.value for s in found["chequemate_unreadable_images"]}
    assert blank == {"no_image": 1, "unreadable": 1, "waiting": 1}
    assert [found[f"chequemate_{name}_cheques"][0].value for name in ("skipped", "disputed")] == [1, 1]


@pytest.mark.integration
class TestOnARealLabelStudio:
    @pytest.fixture(scope="class")
    def project(self, stack: Stack) -> Iterator[int]:
        """Eight cheques; of three more one has no image, one a damaged one, and one a file that is not there."""
        studio, place = Studio(stack.studio_url, stack.token), stack.files / "seen"
        write_folder(place, 8, 5)
        (place / "torn.png").write_bytes(next(place.glob("c*.png")).read_bytes()[:2000])
        made = studio.create_project("Ce qui reste", XML)
        studio.serve_files(made.id, str(place))
        names = [*(path.name for path in sorted(place.glob("c*.png"))), "torn.png", "gone.png"]
        tasks = [{"image": f"/data/local-files/?d=seen/{name}"} for name in names]
        studio.import_tasks(made.id, [*tasks, {"image": ""}])
        attach(studio, stack.settings, made.id)
        begin(stack.settings, made)
        until(lambda: studio.project(made.id).model_version == "base", PATIENCE)
        yield made.id

    @pytest.fixture
    def tasks(self, stack: Stack, project: int) -> list[int]:
        return [task.id for task in Studio(stack.studio_url, stack.token).tasks(project, CONFIG)]

    def test_images_are_listed_and_one_that_is_put_right_is_read(
        self, stack: Stack, project: int, tasks: list[int]
    ) -> None:
        def blank() -> dict[int, str]:
            return {one.task: one.why for one in unread(Store.of(stack.settings), project)}

        assert blank() == {tasks[8]: "unreadable", tasks[9]: "unreadable", tasks[10]: "no image"}
        place = stack.files / "seen"
        write_folder(stack.files / "more", 1, 6)
        next((stack.files / "more").glob("c*.png")).rename(place / "gone.png")
        from worker.queue import PRELABEL, connect, enqueue

        enqueue(PRELABEL, project, connection=connect(stack.settings.redis_url))
        until(lambda: tasks[9] not in blank(), PATIENCE)
        assert set(blank()) == {tasks[8], tasks[10]}

    def test_what_cannot_be_used_is_on_the_page_within_a_minute_and_harms_nobody(
        self, stack: Stack, project: int, tasks: list[int]
    ) -> None:
        studio = Studio(stack.studio_url, stack.token)
        odd: list[Any] = [20240503, None, {"a": [1]}, [7]]
        for task, value in zip(tasks, odd, strict=False):
            studio.annotate(task, [region("date", value), region("lieu", ["Lyon"])], lead_time=9.0)
        studio.annotate(tasks[4], [region("date", ["hier"])], lead_time=9.0)
        twice = [region("lieu", ["Lyon"]), region("lieu", ["Nice"]) | {"id": "other"}]
        studio.annotate(tasks[5], twice, lead_time=9.0)
        annotation = studio.annotate(tasks[6], [region("date", ["demain"])], lead_time=9.0)
        studio.annotate(tasks[7], [region("lieu", ["Lyon"])], lead_time=9.0)

        began = time.monotonic()
        bad = [str(task) for task in tasks[:7]]
        login = {"username": stack.settings.user, "password": stack.secrets.backend_password}
        with browser_page(http_credentials=login) as page:
            page.goto(f"{stack.backend_url}/?project={project}&lang=en")

            def shown() -> list[str]:
                while True:  # the page reloads itself, and may be in the middle of that
                    with suppress(PlaywrightError):
                        if listed := page.locator("#left-out tbody th").all_inner_texts():
                            return listed
                    assert time.monotonic() - began < PATIENCE, "the page lists nothing"
                    page.wait_for_timeout(200)

            while not set(bad) <= set(shown()):
                assert time.monotonic() - began < PATIENCE, "the page does not list them"
                page.wait_for_timeout(1000)  # the open page looks by itself
            words = page.locator("#left-out").inner_text()
            assert f"Labels that cannot be used: 1 (task {tasks[5]})." in words
            assert words.count("is no text: type it again") == 4
            assert page.locator("#labels").inner_text() == "8"
            assert page.locator("#left-out tbody a").first.get_attribute("href") == (
                f"{stack.studio_url}/projects/{project}/data?task={tasks[6]}"
            )
            if SHOTS:
                for language in ("en", "fr"):
                    for width, height in ((1400, 1000), (390, 844)):
                        page.set_viewport_size({"width": width, "height": height})
                        page.goto(f"{stack.backend_url}/?project={project}&lang={language}")
                        page.screenshot(path=Path(SHOTS) / f"left-out-{language}-{width}.png", full_page=True)
                page.goto(f"{stack.backend_url}/?project={project}&lang=en")
            # Put right, it leaves the list.
            studio._sdk.annotations.update(annotation, result=[region("date", ["2024-05-03"])])
            began = time.monotonic()
            while str(tasks[6]) in shown():
                assert time.monotonic() - began < PATIENCE
                page.wait_for_timeout(1000)

        told = [one for one in findings(stack.settings, project) if one.each]
        self.says(told, f"1 label cannot be used: task {tasks[5]}", f"data?task={tasks[5]} : Lieu has two values")
        self.says(
            told,
            f"5 labels have fields that cannot be used: tasks {', '.join(map(str, reversed(tasks[:5])))}",
            f"data?task={tasks[4]} : Date is no value of kind date",
        )
        self.says(told, f"1 task has no image: task {tasks[10]}", "import the task with one")
        self.says(told, f"1 image cannot be read: task {tasks[8]}", "damaged or cut-off image")
        labels = [label for label in studio.labels(project, CONFIG) if label.task in tasks]
        assert len(labels) == 8
        store = Store.of(stack.settings)
        latest = max(label.updated_at for label in labels)
        until(lambda: mark(store, project, RECONCILE)["since"] > latest, PATIENCE)  # reconcile has read them all
        assert "in the trial:" in run(stack, "savings", "--project", str(project))

    def says(self, told: list[Finding], what: str, each: str) -> None:
        assert any(one.what.endswith(what) and any(each in line for line in one.each) for one in told), told
