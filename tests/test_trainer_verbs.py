"""The verbs train, evaluate and versions, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from chequemate import compare, evaluate, train, versions
from cheques.drawing import draw_cheque
from cheques.settings import settings
from store.database import Store
from store.versions import VersionError, Versions
from tests.test_trainer_retrain import LESSONS, fake_training
from tests.test_trainer_versions import add
from tests.trainer_parts import FakeReader, runner
from trainer import judgement, training
from trainer.dataset import DataError, Example

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CHEQUEMATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHEQUEMATE_DEVICE", "cpu")
    monkeypatch.setattr(training, "train", fake_training)
    monkeypatch.setattr(judgement, "CALIBRATED_ON", 4)

    def err(name: str, truth: dict[str, str]) -> dict[str, str]:
        return truth | ({"date": ""} if name == "base" else {})

    monkeypatch.setattr("reader.open_reader.open_reader", lambda _: FakeReader(LESSONS, err))
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture
def run(home: Path) -> Run:
    app = typer.Typer()
    app.command()(train.train)
    app.command()(evaluate.evaluate)
    app.command()(compare.compare)
    app.add_typer(versions.app, name="versions")

    return runner(app)


def folder_of(examples: list[Example], folder: Path) -> Path:
    folder.mkdir()
    lines = []
    for one in examples:
        one.open().save(folder / f"{one.id}.png")
        lines.append(json.dumps({"image": f"{one.id}.png", **one.values}, ensure_ascii=False))
    (folder / "truth.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_train_makes_a_version_that_evaluate_then_reads_with(run: Run, home: Path, tmp_path: Path) -> None:
    folder = folder_of(LESSONS, tmp_path / "cheques")
    before = tmp_path / "before.json"
    run("evaluate", folder, "--version", "base", "--json", before)
    assert json.loads(before.read_text())["mean"] == pytest.approx(6 / 7)
    told = run("train", folder, "--json", tmp_path / "report.json")
    assert "v1 promoted" in told.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["version"], report["decision"]) == ("v1", "promoted")
    judged = set(report["data"]["exam"])
    assert 0 < len(judged) < 15 and not judged & set(report["data"]["lessons"])
    after = tmp_path / "after.json"
    told = run("evaluate", folder, "--json", after)
    assert json.loads(after.read_text())["mean"] == 1
    assert json.loads(after.read_text())["n"] == len(judged), "a version is not scored on its own lessons"
    assert f"{len(LESSONS) - len(judged)} of {len(LESSONS)} cheques, which local/v1 was trained on" in " ".join(
        told.stdout.split()
    )
    run("compare", "base", "v1", "--data", folder, "--json", tmp_path / "compared.json")
    assert json.loads((tmp_path / "compared.json").read_text())["n"] == len(judged)
    assert "nothing was trained" in run("train", folder).stdout


def test_an_exam_folder_is_judged_on_and_never_trained_on(run: Run, tmp_path: Path) -> None:
    lessons, exam = folder_of(LESSONS[:10], tmp_path / "a"), folder_of(LESSONS[8:14], tmp_path / "b")
    told = run("train", lessons, "--exam", exam, "--json", tmp_path / "report.json")
    assert "8 lessons, 6 exam cheques" in told.stdout
    assert "c8.png is in" in told.stdout
    with pytest.raises(DataError, match="v1 was trained on every cheque in it"):
        run("evaluate", folder_of(LESSONS[:3], tmp_path / "c"))


def test_a_scan_saved_again_is_not_trained_on_either(home: Path, tmp_path: Path) -> None:
    for folder, numbers in (("a", (0, 1, 2)), ("b", (3, 4))):
        (tmp_path / folder).mkdir()
        drawn = {f"{number}.png": draw_cheque(number) for number in numbers}
        for name, one in drawn.items():
            one.image.save(tmp_path / folder / name)
        lines = [json.dumps({"image": name, **one.truth}) for name, one in drawn.items()]
        (tmp_path / folder / "truth.jsonl").write_text("\n".join(lines))
    draw_cheque(4).image.save(tmp_path / "a" / "1.png", "JPEG", quality=60)
    lessons, exam = train.split(tmp_path / "a", tmp_path / "b", "local", settings())
    assert [one.id for one in lessons] == ["0.png", "2.png"] and len(exam) == 2


@pytest.mark.parametrize("wish", ["rank=many", "rank=0", "ranks=4"])
def test_a_slip_in_the_last_model_is_said_before_the_first_is_trained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    folder = folder_of(LESSONS, tmp_path / "cheques")
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it was trained"))
    assert run("compare", "base@rank=4", f"base@{wish}", "--data", folder, "--train").exit_code == 2


def test_too_few_to_train_and_judge_on_is_one_line(run: Run, tmp_path: Path) -> None:
    folder = folder_of(LESSONS[:1], tmp_path / "cheques")
    with pytest.raises(DataError, match="too few cheques"):
        run("compare", "base", "--data", folder, "--train")


@pytest.mark.slow
def test_a_training_is_logged_where_the_user_or_the_setting_says(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(LESSONS, tmp_path / "cheques")
    run("train", folder, "--log", tmp_path / "here")
    monkeypatch.setenv("CHEQUEMATE_TRAINING_LOG", str(tmp_path / "there"))
    settings.cache_clear()
    run("train", folder, "--rank", 4)
    for name in ("here", "there"):
        assert [path.parent.name for path in (tmp_path / name).glob("*/*")] == ["local"]


def test_versions_lists_promotes_and_rolls_back(run: Run, home: Path) -> None:
    assert json.loads(run("versions", "--json").stdout) == {"champion": None, "versions": []}
    of = Versions(Store(home), "7")
    add(of, labels=20, mean=0.5)
    add(of, labels=40, mean=0.6, parent="v1")
    listed = json.loads(run("versions", "--project", 7, "--json").stdout)
    assert listed["champion"] == "v2"
    assert listed["versions"][1] == {
        "version": "v2",
        "parent": "v1",
        "labels": 40,
        "mean": 0.6,
        "decision": "promoted",
    }
    assert "v1 serves project 7" in run("versions", "rollback", "--project", 7).stdout
    assert "v2 serves project 7" in run("versions", "--project", 7, "promote", "v2").stdout
    assert "★ v2" in run("versions", "--project", 7).stdout
    assert "promote None -> v1 by gate" in run("versions", "show", "v1", "--project", 7).stdout


def test_compare_names_the_one_that_is_enough(run: Run, home: Path, tmp_path: Path) -> None:
    add(Versions(Store(home), "local"))
    folder = folder_of(LESSONS, tmp_path / "cheques")
    told = run(
        "compare", "base", "v1", "--data", folder, "--price-hour", 1, "--price-api", 0.01, "--json", tmp_path / "c.json"
    )
    found = json.loads((tmp_path / "c.json").read_text())
    assert [entry["mean"] for entry in found["models"]] == [pytest.approx(6 / 7), 1]
    assert (found["enough"], found["api_cost_per_thousand"]) == ("v1", 10)
    assert "enough: v1" in told.stdout


def test_compare_trains_what_it_is_told_to_and_promotes_nothing(run: Run, home: Path, tmp_path: Path) -> None:
    folder = folder_of(LESSONS, tmp_path / "cheques")
    run("compare", "base@rank=4", "base@rank=8", "--data", folder, "--train", "--json", tmp_path / "c.json")
    models = json.loads((tmp_path / "c.json").read_text())["models"]
    assert [entry["model"] for entry in models] == ["base@rank=4", "base@rank=8"]
    assert len(list((home / "comparisons").iterdir())) == 2
    assert Versions(Store(home), "compare").list() == []
    assert run("compare", "base@width=4", "--data", folder, "--train").exit_code == 2


def test_force_needs_a_reason(run: Run, home: Path) -> None:
    add(Versions(Store(home), "local"), "rejected")
    with pytest.raises(VersionError, match="--why"):
        run("versions", "promote", "v1", "--force")
    run("versions", "promote", "v1", "--force", "--why", "the exam was wrong")
    assert Versions(Store(home), "local").pointer().history[-1]["why"] == "the exam was wrong"


def test_an_adapter_goes_out_without_its_report_and_comes_back_in(run: Run, home: Path, tmp_path: Path) -> None:
    from tests.test_trainer_versions import adapter_elsewhere

    run("versions", "import", adapter_elsewhere(tmp_path / "elsewhere"))
    version = Versions(Store(home), "local").get("v1")
    (version.path / "report").mkdir()
    (version.path / "report" / "report.html").write_text("pictures")
    assert version.decision == "imported"
    run("versions", "export", "v1", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    run("versions", "promote", "v1")
    with pytest.raises(VersionError, match="exists already"):
        run("versions", "export", "v1", tmp_path / "out")


@pytest.mark.parametrize("content", [b"half a file", b""])
def test_what_is_no_adapter_is_not_taken(run: Run, home: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(VersionError, match="holds no adapter"):
        run("versions", "import", tmp_path)
    with pytest.raises(VersionError, match=r"adapter_model\.safetensors is missing"):
        run("versions", "import", tmp_path / "nowhere")
    assert Versions(Store(home), "local").list() == []
