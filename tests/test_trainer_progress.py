"""`chequemate progress`, from the disk alone: what it says, keeps for the page, and does not make up."""

from __future__ import annotations

import json
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import Result

from chequemate import progress as verb
from cheques.settings import settings
from store.database import Store
from store.marks import CURVE, mark
from store.projects import known_projects
from store.versions import VersionError, Versions
from tests.learning_parts import exams, law, project
from tests.test_trainer_retrain import go
from tests.test_trainer_versions import add
from tests.trainer_parts import runner
from trainer import judgement, training
from trainer.progress import MORE, as_json, learning_progress, sentence

Run = Callable[..., Result]
TRUTH = law(0.35, 0.0, 0.5, 100)
LABELS, CHEQUES = (40, 80, 120, 160), (20, 30, 40, 50)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture
def run(home: Path) -> Run:
    app = typer.Typer()
    app.command()(verb.progress)

    return runner(app)


def test_it_says_what_100_more_labels_bring_and_what_a_target_takes(run: Run, home: Path, tmp_path: Path) -> None:
    project(home, "7", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    told = run("--project", 7, "--target", 0.999, "--json", tmp_path / "p.json", "--plot", tmp_path / "p.svg").stdout
    found = json.loads((tmp_path / "p.json").read_text())
    now, gain = found["now"], found["gain"]
    assert f"exact match {now['value']:.2f} now; 100 more labels bring +{gain['value']:.2f}" in told
    assert "1.00 is not within reach of what these versions show (looked up to 480 labels)" in told
    for name, labels in (("base", 0), ("v1", 40), ("v4", 160)):
        assert any(line.split()[1:4:2] == [name, str(labels)] for line in told.splitlines()), name
    assert (found["project"], found["enough"], found["method"], found["horizon"]) == ("7", True, "paired", 480)
    assert [one["version"] for one in found["points"]] == ["base", "v1", "v2", "v3", "v4"]
    assert found["points"][0]["exam"] == 50 and found["points"][1]["exam"] == 20
    assert gain["low"] <= TRUTH(260) - TRUTH(160) <= gain["high"]
    assert {0, 40, 80, 120, 160, 260} <= {one["labels"] for one in found["curve"]}
    assert xml.parse(tmp_path / "p.svg").getroot().tag.endswith("svg")


def test_a_target_within_reach(run: Run, home: Path) -> None:
    project(home, "local", exams(TRUTH, LABELS, (400,) * 4, 1), LABELS)
    assert "0.50 is reached now" in run("--target", 0.5).stdout
    curve = learning_progress(Versions(Store(home), "local")).curve
    assert curve is not None
    soon = round(curve.at(160).value + 0.02, 3)
    assert f"{soon:.2f} takes about {curve.needed(soon).labels} labels to learn from (" in run("--target", soon).stdout


def test_a_target_that_only_the_better_edge_reaches_is_neither_promised_nor_ruled_out(run: Run, home: Path) -> None:
    project(home, "local", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    curve = learning_progress(Versions(Store(home), "local")).curve
    assert curve is not None
    far = curve.needed(0.88)
    assert far.labels is None and far.low is not None
    assert f"0.88 takes more than 480 labels as the curve goes, {far.low} at best" in run("--target", 0.88).stdout


def test_a_file_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    for option in ("--json", "--plot"):
        told = run(option, tmp_path)
        assert told.exit_code == 2 and "give a file" in told.output


def test_too_little_is_said_and_nothing_is_guessed(run: Run, home: Path, tmp_path: Path) -> None:
    told = run("--plot", tmp_path / "p.svg", "--json", "-").stdout
    assert json.loads(told)["lack"] == {"what": "versions", "have": 0, "needed": 3}
    assert "no version that was judged" in run().stdout
    project(home, "local", exams(TRUTH, LABELS[:2], CHEQUES[:2], 1), LABELS[:2])
    told = run("--json", tmp_path / "p.json", "--plot", tmp_path / "p.svg").stdout
    assert "not enough yet: 2 versions, 3 needed" in told and "bring" not in told
    found = json.loads((tmp_path / "p.json").read_text())
    assert not found["enough"] and "gain" not in found and len(found["points"]) == 3
    project(home, "8", exams(TRUTH, LABELS, (5, 6, 7, 8), 1), LABELS)
    assert "not enough yet: 8 exam cheques, 20 needed" in run("--project", 8).stdout


def test_versions_that_were_all_rejected_are_a_curve_like_any_other(home: Path) -> None:
    judged = exams(TRUTH, LABELS, CHEQUES, 1)
    project(home, "1", judged, LABELS)
    project(home, "2", judged, LABELS, decision="rejected")
    promoted, rejected = (learning_progress(Versions(Store(home), name)) for name in ("1", "2"))
    assert sentence(promoted) == sentence(rejected)
    assert [one["decision"] for one in as_json(rejected)["points"]] == [None, *["rejected"] * 4]


@pytest.mark.parametrize("damage", ["{ half a", "[]", '{"cheques": [{"id": "c1"}], "base": 3}', '{"cheques": 7}'])
def test_a_damaged_report_costs_its_cheques_and_not_the_curve(home: Path, damage: str) -> None:
    made = project(home, "7", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    (made[1].path / "report" / "report.json").write_text(damage)
    found = as_json(learning_progress(Versions(Store(home), "7")))
    assert (found["enough"], found["method"]) == (True, "parametric")
    assert found["points"][2] == found["points"][2] | {"version": "v2", "exam": 30, "mean": made[1].mean}


def test_reports_without_the_bases_cheques_still_give_its_mean(home: Path) -> None:
    made = project(home, "7", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    for version in made:
        path = version.path / "report" / "report.json"
        report: dict[str, Any] = json.loads(path.read_text())
        for cheque in report["cheques"]:
            del cheque["base_right"]
        path.write_text(json.dumps(report))
    found = as_json(learning_progress(Versions(Store(home), "7")))
    assert found["points"][0]["version"] == "base" and found["method"] == "parametric"


def test_another_base_is_another_curve(home: Path, run: Run) -> None:
    judged = exams(TRUTH, LABELS, CHEQUES, 1)
    project(home, "7", judged, LABELS, base="large-ba9876543210")
    project(home, "7", judged[:3], LABELS[:2])
    found = learning_progress(Versions(Store(home), "7"))
    assert [row.name for row in found.rows] == ["base", "v5", "v6"] and found.left_out == 4
    assert "left out: 4 versions of another base model or form" in run("--project", 7).stdout


def test_a_version_without_an_exam_is_no_point(home: Path) -> None:
    project(home, "7", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    add(Versions(Store(home), "7"), "imported")
    assert [row.name for row in learning_progress(Versions(Store(home), "7")).rows] == ["base", "v1", "v2", "v3", "v4"]


def test_what_the_page_shows_is_kept_of_the_project(home: Path, run: Run) -> None:
    assert "not enough yet" in run("--project", 8).stdout
    assert mark(Store(home), 8, CURVE) is None and 8 not in known_projects(Store(home)), "a look makes no project"
    project(home, "7", exams(TRUTH, LABELS, CHEQUES, 1), LABELS)
    run("--project", 7, "--target", 0.9)
    kept = mark(Store(home), 7, CURVE)
    assert kept["more"] == MORE and len(kept["targets"]) > 1


def test_a_project_that_is_none_is_named(run: Run) -> None:
    with pytest.raises(VersionError, match="is no project"):
        run("--project", "../7")


def test_a_report_says_which_fields_the_base_read_right(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.test_trainer_retrain import fake_training

    monkeypatch.setattr(training, "train", fake_training)
    monkeypatch.setattr(judgement, "CALIBRATED_ON", 4)
    go(home)
    found = learning_progress(Versions(Store(home), "7"))
    base, version = found.rows
    assert base.point.n == version.point.n == 50
    assert base.point.mean == pytest.approx(1 / 7) and version.point.mean == 1
