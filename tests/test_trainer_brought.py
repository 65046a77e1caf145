"""An adapter that a team brings along becomes v0, and sits the exam like any other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.base_model import base_identity
from store.database import Store
from store.versions import LESSONS, WEIGHTS, Version, VersionError, Versions
from tests.trainer_parts import Err, FakeReader, cheques
from trainer.dataset import Example
from trainer.progress import learning_progress
from trainer.retrain import judge_brought

EXAM = cheques(50, first=100)
BASE = base_identity(Settings(_env_file=None).model)  # type: ignore[call-arg]


def brought(home: Path, lessons: Sequence[Example] = ()) -> tuple[Versions, Version]:
    versions = Versions(Store(home), "7")
    with versions.staging() as folder:
        (folder / "adapter").mkdir()
        (folder / "adapter" / WEIGHTS).write_bytes(b"weights")
        if lessons:
            (folder / LESSONS).write_text(json.dumps([one.digest for one in lessons]))
        version = Version(
            "v0", "7", folder, base=BASE, brought=True, decision="imported", reasons=("imported from trial",)
        )
        return versions, versions.add(folder, version)


def judge(versions: Versions, version: Version, home: Path, err: Err, exam: Sequence[Example] = EXAM) -> Version:
    reader = FakeReader(EXAM, err)
    settings = Settings(_env_file=None, home=home, device="cpu")  # type: ignore[call-arg]
    images = [one.open for one in EXAM[:4]]
    return judge_brought(version, exam, images, CHEQUE, versions, lambda: reader, settings)


def better(reader: str, truth: dict[str, str]) -> dict[str, str]:
    return truth if reader != "base" else dict.fromkeys(truth, "")


def worse(reader: str, truth: dict[str, str]) -> dict[str, str]:
    return truth if reader == "base" else dict.fromkeys(truth, "")


def test_one_that_is_better_than_the_base_serves_and_has_a_report(tmp_path: Path) -> None:
    versions, version = brought(tmp_path)
    assert versions.champion() is None
    judged = judge(versions, version, tmp_path, better)
    assert (judged.name, judged.decision, judged.mean, judged.exam) == ("v0", "promoted", 1.0, 50)
    assert "what it was trained on is not known" in judged.reasons[0]
    champion = versions.champion()
    assert champion == judged and versions.list() == [judged]
    report = json.loads((judged.path / "report" / "report.json").read_text())
    assert report["base"]["mean"] == 0.0 and report["candidate"]["mean"] == 1.0 and len(report["cheques"]) == 50


def test_one_that_is_worse_does_not_serve_and_stays_to_be_compared(tmp_path: Path) -> None:
    versions, version = brought(tmp_path)
    judged = judge(versions, version, tmp_path, worse)
    assert judged.decision == "rejected" and versions.champion() is None
    found = learning_progress(versions)
    assert [row.name for row in found.rows] == ["base", "v0"]
    assert found.lack and found.lack.have < 2  # on no curve: nobody knows of how many labels it is


def test_exam_cheques_that_it_was_trained_on_are_set_aside(tmp_path: Path) -> None:
    versions, version = brought(tmp_path, lessons=EXAM[:10])
    judged = judge(versions, version, tmp_path, better)
    assert judged.exam == 40 and judged.labels == 10
    assert "not known" not in judged.reasons[0]


def test_without_an_exam_it_waits(tmp_path: Path) -> None:
    versions, version = brought(tmp_path, lessons=EXAM)
    assert judge(versions, version, tmp_path, better).mean is None
    assert versions.list()[0].decision == "imported"


def test_there_is_one_v0_and_the_next_version_is_v1(tmp_path: Path) -> None:
    versions, _ = brought(tmp_path)
    with pytest.raises(VersionError, match="has a v0 already"):
        brought(tmp_path)
    with versions.staging() as folder:
        (folder / "adapter").mkdir()
        (folder / "adapter" / WEIGHTS).write_bytes(b"other weights")
        assert versions.add(folder, Version("", "7", folder, dataset="d")).name == "v1"
