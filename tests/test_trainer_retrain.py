"""From labels to a version: promoted or rejected with reasons, once for the same labels, and whole after a kill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cheques.fields import CHEQUE, Form
from cheques.settings import Settings, settings
from reader.base_model import base_identity
from store.database import Store
from store.versions import WEIGHTS, Version, Versions
from tests.test_trainer_versions import add
from tests.trainer_parts import Err, FakeReader, cheques
from trainer import judgement, training
from trainer.dataset import Example
from trainer.judgement import Step
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.retrain import retrain

LESSONS, EXAM = cheques(30), cheques(50, first=100)
TRAININGS: list[int] = []


def fake_training(
    examples: Sequence[Example],
    form: Form,
    recipe: LoraRecipe,
    model: str,
    out: Path,
    *,
    progress: training.Progress,
    device: str,
    log: Path | None = None,
    reads_elsewhere: bool = False,
) -> Trained:
    """Writes an adapter that nobody has to read; at the end of training it read everything right."""
    (out / "adapter").mkdir(parents=True, exist_ok=True)
    (out / "adapter" / WEIGHTS).write_bytes(b"weights")
    (out / "adapter" / "adapter_config.json").write_text("{}")
    TRAININGS.append(len(examples))
    if log:
        log.mkdir(parents=True)
    progress(1, 1, 0.5, 0.0)
    compared = tuple(one.id for one in examples[:8])
    read = tuple(one.values for one in examples[:8])
    losses = ((1, 0.5),)
    return Trained(out, len(examples), 1, 2.0, "fake", losses, (1.0, 0.5), 1, compared[:4], compared, read)


@pytest.fixture(autouse=True)
def _without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", fake_training)
    monkeypatch.setattr(judgement, "CALIBRATED_ON", 4)
    TRAININGS.clear()


def nothing_but(*names: str) -> Err:
    """The base reads these fields alone; every adapter reads all."""
    return lambda reader, truth: truth if reader != "base" else {n: v if n in names else "" for n, v in truth.items()}


ONLY_PLACES = nothing_but("lieu")


def go(home: Path, err: Err = ONLY_PLACES, exam: Sequence[Example] = EXAM, **more: Any) -> Version:
    settings = Settings(home=home, device="cpu")
    reader = FakeReader([*LESSONS, *EXAM], err)
    return retrain(
        more.pop("lessons", LESSONS),
        exam,
        [one.open for one in LESSONS],
        CHEQUE,
        Versions(Store(home), "7"),
        lambda: reader,
        LoraRecipe(),
        settings,
        **more,
    )


def report(version: Version) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((version.path / "report" / "report.json").read_text())
    return content


@pytest.mark.slow
def test_a_better_candidate_serves_and_its_report_says_why(tmp_path: Path) -> None:
    steps: list[Step] = []
    version = go(tmp_path, progress=steps.append)
    assert (version.name, version.decision, version.provisional, version.mean) == ("v1", "promoted", False, 1.0)
    assert (version.labels, version.exam, version.parent) == (30, 50, None)
    champion = Versions(Store(tmp_path), "7").champion()
    assert champion and champion.name == "v1"
    content = report(version)
    assert content["gains"]["base"]["mean"]["value"] == pytest.approx(6 / 7)
    assert content["safety"]["same"] == content["safety"]["compared"] == 56
    assert content["regressions"] == []
    page = (version.path / "report" / "report.html").read_text()
    assert "Promoted: mean exact match +85.7 points" in page and "http" not in page.replace("http://www.w3.org", "")
    assert {step.stage for step in steps} >= {"training", "calibrating", "judging the candidate", "reporting"}
    assert (version.path / "confidence.json").is_file()


@pytest.mark.slow
def test_the_adapter_may_be_published_and_holds_no_value_of_a_cheque(tmp_path: Path) -> None:
    version = go(tmp_path)
    card = (version.path / "adapter" / "README.md").read_text()
    assert "library_name: peft" in card and "100.0%" in card
    assert "Jeanne Morel" not in card and str(tmp_path) not in card
    assert not (version.path / "adapter" / "report.html").exists()


@pytest.mark.slow
def test_the_same_labels_never_train_twice(tmp_path: Path) -> None:
    first = go(tmp_path)
    assert go(tmp_path, lessons=LESSONS[::-1]) == first
    assert TRAININGS == [30]
    assert go(tmp_path, lessons=LESSONS[:20]).name == "v2"


@pytest.mark.slow
def test_a_worse_candidate_is_kept_and_does_not_serve(tmp_path: Path) -> None:
    good = go(tmp_path)

    def worse(reader: str, truth: dict[str, str]) -> dict[str, str]:
        return truth if reader.endswith("/v1") else dict.fromkeys(truth, "")

    version = go(tmp_path, worse, lessons=LESSONS[:20])
    assert (version.decision, version.parent) == ("rejected", "v1")
    assert any("against the champion v1" in reason for reason in version.reasons)
    assert any("parity" in reason for reason in version.reasons)
    champion = Versions(Store(tmp_path), "7").champion()
    assert champion and champion.name == good.name
    page = (version.path / "report" / "report.html").read_text()
    assert "Rejected for" in page and "50 of 50 are read worse than by the champion v1" in page
    assert report(version)["regressions"] == [one.id for one in EXAM]


def test_broken_json_is_refused(tmp_path: Path) -> None:
    def broken(reader: str, truth: dict[str, str]) -> dict[str, str]:
        return truth | {"lieu": "no json" if reader != "base" and truth["montant_numerique"] == "5.00" else "Lyon"}

    version = go(tmp_path, broken)
    assert version.decision == "rejected"
    assert any("valid JSON in free decoding fell from 100.0% to 96.7%" in reason for reason in version.reasons)


def test_one_field_ruined_is_refused(tmp_path: Path) -> None:
    def no_dates(reader: str, truth: dict[str, str]) -> dict[str, str]:
        return truth | ({"lieu": "", "signature": ""} if reader == "base" else {"date": "1999-01-01"})

    version = go(tmp_path, no_dates)
    assert version.decision == "rejected"
    assert "date fell from 100% to 0% against the base on 50 exam cheques" in version.reasons


def test_without_an_exam_the_decision_is_provisional(tmp_path: Path) -> None:
    version = go(tmp_path, exam=[])
    assert (version.decision, version.provisional, version.mean) == ("promoted", True, None)
    assert "no exam cheque" in (version.path / "report" / "report.html").read_text()


def test_an_exam_image_that_is_gone_is_counted_and_left_out(tmp_path: Path) -> None:
    from cheques.images import BadImage

    def gone() -> Any:
        raise BadImage("no such file")

    version = go(tmp_path, exam=[*EXAM, Example("lost", EXAM[0].values, gone)])
    assert version.exam == 50
    assert report(version)["training"]["left_out"] == ["lost: no such file"]


@pytest.mark.slow
def test_a_champion_is_not_judged_on_what_it_knows_by_heart(tmp_path: Path) -> None:
    assert go(tmp_path, nothing_but(), exam=LESSONS[:10]).exam == 10
    second = go(tmp_path, nothing_but(), lessons=EXAM[:20], exam=[*LESSONS[:10], *EXAM[20:]])
    assert second.exam == 30
    left_out = json.loads((second.path / "report" / "report.json").read_text())["training"]["left_out"]
    assert left_out == [f"{one.id}: the champion was trained on it" for one in LESSONS[:10]]


def test_a_champion_of_another_base_is_no_rival(tmp_path: Path) -> None:
    add(Versions(Store(tmp_path), "7"), base="small-0123456789ab")
    assert go(tmp_path).parent is None


def test_a_champion_of_the_same_weights_under_another_name_still_is_one(tmp_path: Path) -> None:
    mine = base_identity(settings().model)
    add(Versions(Store(tmp_path), "7"), base=mine.replace("small-", "cheques-"))
    assert go(tmp_path).parent == "v1"


@pytest.mark.slow
def test_a_kill_before_the_version_is_added_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Versions, "add", kill)
        go(tmp_path)
    assert Versions(Store(tmp_path), "7").list() == []
    assert go(tmp_path).name == "v1"
    assert not list((tmp_path / "versions" / "7").glob(".t*"))


@pytest.mark.slow
def test_a_full_disk_is_said_in_one_line_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("store.versions.sync_tree", "trainer.report.write_card"):
        with monkeypatch.context() as patch, pytest.raises(TrainingError, match="No space left on device; free some"):
            patch.setattr(step, full)
            go(tmp_path)
    assert Versions(Store(tmp_path), "7").list() == []
    assert go(tmp_path).name == "v1"


@pytest.mark.slow
def test_a_kill_between_adding_and_promoting_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Versions, "_promote", kill)
        go(tmp_path)
    versions = Versions(Store(tmp_path), "7")
    assert versions.list() == [] and versions.champion() is None, "both or none"
    go(tmp_path)
    assert [version.name for version in versions.list()] == ["v1"] and TRAININGS == [30, 30]
    champion = versions.champion()
    assert champion and champion.name == "v1"


def test_going_back_is_not_undone_by_the_same_labels(tmp_path: Path) -> None:
    go(tmp_path)
    versions = Versions(Store(tmp_path), "7")
    versions.rollback()
    assert go(tmp_path).name == "v1"
    assert versions.champion() is None
