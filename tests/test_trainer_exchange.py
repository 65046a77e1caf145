"""Versions out of the house and into it: merged weights read as the adapter did, and no base is taken for another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cheques.settings import Settings
from reader.base_model import CONFIG, base_identity, other_base
from reader.reading import ReaderError
from store.database import Store
from store.versions import Version, VersionError, Versions
from tests.test_reading_local import made_adapter
from tests.trainer_parts import toy_model
from trainer import export_import, lora
from trainer.export_import import export_adapter, export_merged, import_adapter, must_read

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(toy_model(tmp_path_factory.mktemp("models") / "toy"))


@pytest.fixture(scope="module")
def random_adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It reads anything but what the base reads."""
    return made_adapter(tmp_path_factory.mktemp("adapters"), 3, model).path


@pytest.fixture
def settings(model: Path, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", model=str(model), device="cpu", threads=1, _env_file=None)


def named(adapter: Path, base: str, folder: Path) -> Path:
    """A copy of the adapter that says it was trained on this base."""
    shutil.copytree(adapter, folder)
    config = json.loads((folder / CONFIG).read_text()) | {"base_model_name_or_path": base}
    (folder / CONFIG).write_text(json.dumps(config))
    return folder


def trained_elsewhere(model: Path, folder: Path) -> Path:
    """A model of the very same shapes whose weights are others."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    weights = {name: weight * 1.01 for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def version(random_adapter: Path, model: Path, settings: Settings, tmp_path: Path) -> Version:
    adapter = named(random_adapter, base_identity(str(model)), tmp_path / "adapter")
    return import_adapter(Versions(Store(settings.home), "local"), adapter, settings.model)


def test_merged_weights_are_a_model_that_reads_as_the_adapter_does(
    version: Version, settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "merged"
    export_merged(version, out, settings)
    with_adapter = export_import.drawn_values(settings, version.adapter)
    assert export_import.drawn_values(settings, None) != with_adapter
    merged = export_import.drawn_values(settings.model_copy(update={"model": str(out)}), None)
    assert sum(one != other for one, other in zip(merged, with_adapter, strict=True)) <= 2
    assert not list(tmp_path.glob(".merged-*"))


def test_a_merge_that_reads_otherwise_is_refused_and_leaves_nothing(
    version: Version, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        lora, "merge_adapter", lambda model, adapter, out: shutil.copytree(model, out, dirs_exist_ok=True)
    )
    with pytest.raises(VersionError, match=r"^v1: merged, \d+ of 56 values are read otherwise; export the") as refused:
        export_merged(version, tmp_path / "merged", settings)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.glob("*merged*"))


def test_an_adapter_is_neither_read_with_nor_merged_nor_imported_over_other_weights_of_the_same_shapes(
    version: Version, settings: Settings, model: Path, tmp_path: Path
) -> None:
    here = settings.model_copy(update={"model": str(trained_elsewhere(model, tmp_path / "toy"))})
    said = rf"trained on another base \({version.base}\).*set CHEQUEMATE_MODEL to that one"
    with pytest.raises(ReaderError, match=said):
        export_import.drawn_values(here, version.adapter)
    with pytest.raises(ReaderError, match=said):
        export_merged(version, tmp_path / "merged", here)
    export_adapter(version, tmp_path / "out")
    versions = Versions(Store(tmp_path / "elsewhere"), "local")
    with pytest.raises(VersionError, match=said):
        import_adapter(versions, tmp_path / "out", here.model)
    assert versions.list() == []
    assert import_adapter(versions, tmp_path / "out", settings.model).base == version.base


QWEN = "Qwen/Qwen2.5-VL-7B-Instruct"


@pytest.mark.parametrize(
    "trained_on, model, is_other",
    [
        (QWEN, QWEN, False),
        ("qwen/qwen2.5-vl-7b-instruct", QWEN, False),
        ("Qwen/Qwen3-VL-8B-Instruct", QWEN, True),
        ("toy-{weights}", "toy", False),
        ("another-name-{weights}", "toy", False),
        ("toy-0123456789ab", "toy", True),
        ("toy-0123456789ab", QWEN, False),  # its folder may hold what the hub name means
        (QWEN, "toy", False),
        ("/home/ada/models/qwen", QWEN, False),  # says nothing
        ("toy", "toy", False),
        ("", QWEN, False),
    ],
)
def test_only_what_surely_is_another_base_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained_on: str, model: str, is_other: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy").mkdir()
    Path("toy/config.json").write_text("{}")
    said = trained_on.format(weights=base_identity("toy").rpartition("-")[2])
    Path("adapter").mkdir()
    Path("adapter", CONFIG).write_text(json.dumps({"base_model_name_or_path": said}))
    assert other_base(Path("adapter"), model) == (said if is_other else None)


def test_an_adapter_that_cannot_be_read_with_is_told_before_it_is_taken(settings: Settings, tmp_path: Path) -> None:
    """As a champion it would stop every retraining, which reads the exam with it."""
    from tests.test_trainer_versions import adapter_elsewhere

    with pytest.raises(ReaderError) as error:
        must_read(adapter_elsewhere(tmp_path / "elsewhere"), settings)
    assert "\n" not in str(error.value)
