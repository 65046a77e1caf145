"""Training end to end on a toy: what is learned, what is written, and what a kill or a full disk leaves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from cheques.fields import CHEQUE
from cheques.images import BadImage
from cheques.settings import Settings
from reader.base_model import base_identity
from reader.prompt import answer
from store.database import Store
from tests.trainer_parts import cheques, toy_model
from trainer import training
from trainer.dataset import Example
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.training import train

pytestmark = pytest.mark.slow

RECIPE = LoraRecipe(epochs=2, rank=2, batch=4, drawn=0, hard=0, seed=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_model(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(autouse=True)
def _few_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PARITY", 2)


def run(examples: list[Example], model: str, out: Path, recipe: LoraRecipe = RECIPE, **more: Any) -> Trained:
    return train(examples, CHEQUE, recipe, model, out, device="cpu", **more)


def weights(folder: Path) -> dict[str, Any]:
    with safe_open(folder / "adapter" / "adapter_model.safetensors", "numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def test_only_the_answer_is_learned(model: str) -> None:
    from trainer.collate import Collator
    from trainer.lora import load

    engine = load(model, RECIPE, "cpu")
    one, other = cheques(2)
    batch = Collator(engine.processor, CHEQUE)([(one.open(), one.values), (other.open(), {})])
    for row, values in zip(batch["labels"], (one.values, {}), strict=True):
        learned = engine.processor.tokenizer.decode([token for token in row.tolist() if token >= 0])
        assert learned == answer(CHEQUE, values) + "<|im_end|>"
    assert (batch["labels"] < 0).sum() > (batch["labels"] >= 0).sum() / 2


def test_nothing_is_learned_of_a_value_that_nobody_knows(model: str) -> None:
    from trainer.collate import Collator
    from trainer.lora import load

    engine, one = load(model, RECIPE, "cpu"), cheques(1)[0]
    unknown = replace(one, values={**one.values, "date": "", "devise": ""}, unknown=frozenset(("date", "devise")))
    batch = Collator(engine.processor, CHEQUE)([(one.open(), unknown.taught), (one.open(), unknown.values)])
    masked, whole = batch["labels"].tolist()
    assert batch["input_ids"][0].tolist() == batch["input_ids"][1].tolist()
    left_out = [token for token, kept in zip(whole, masked, strict=True) if token != kept]
    spelt = [engine.processor.tokenizer.decode([token]) for token in left_out]
    assert len(spelt) == 2 and all('"' in token for token in spelt)  # that nothing follows the opening quote

    other = replace(unknown, values={**unknown.values, "date": "2024-05-03"})
    assert engine.loss([(one.open(), unknown.taught)], Collator(engine.processor, CHEQUE)) == pytest.approx(
        engine.loss([(one.open(), other.taught)], Collator(engine.processor, CHEQUE))
    )


def test_an_adapter_on_both_towers_that_lowers_the_loss(model: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    trained = run(cheques(8), model, tmp_path, progress=lambda step, steps, *_: seen.append((step, steps)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert trained.losses[-1][1] < trained.losses[0][1]
    written = weights(tmp_path)
    assert all(".lora_" in key for key in written)
    assert any("visual.blocks.0.attn.qkv" in key for key in written)
    assert any("language_model.layers.0.mlp.down_proj" in key for key in written)
    assert not any("merger" in key for key in written)
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    config = (tmp_path / "adapter" / "adapter_config.json").read_text()
    assert json.loads(config)["base_model_name_or_path"] == base_identity(model) and model not in config
    assert len(trained.compared) == len(trained.readings) == 2


def test_the_reloaded_adapter_reads_as_at_the_end_of_training(model: str, tmp_path: Path) -> None:
    from reader.open_reader import open_reader
    from reader.reading import Adapter

    lessons = cheques(2)
    trained = run(lessons, model, tmp_path, replace(RECIPE, epochs=1))
    reader = open_reader(Settings(model=model, device="cpu"))
    again = reader.read([one.open() for one in lessons], CHEQUE, Adapter("7/v1", tmp_path / "adapter"))
    assert [reading.values for reading in again] == list(trained.readings)


class Killed(BaseException):
    pass


def test_killed_half_way_it_goes_on_to_the_same_adapter(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    recipe = replace(RECIPE, hard=0.25, apart=0.2, epochs=2)
    whole = run(cheques(20), model, tmp_path / "whole", recipe)
    with pytest.raises(Killed):
        run(cheques(20), model, tmp_path / "killed", recipe, progress=lambda step, *_: kill_at(step, 3))
    resumed = run(cheques(20), model, tmp_path / "killed", recipe)
    assert resumed.resumed_from == 2
    assert resumed.losses == whole.losses and resumed.stops == whole.stops and resumed.readings == whole.readings
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


def test_its_curves_are_drawn_for_tensorboard_once_though_it_was_killed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    recipe, out, log = replace(RECIPE, batch=8, apart=0.2), tmp_path / "out", tmp_path / "log"
    with pytest.raises(Killed):
        run(cheques(20), model, out, recipe, log=log, progress=lambda step, *_: kill_at(step, 3))
    trained = run(cheques(20), model, out, recipe, log=log)
    drawn = reading.EventAccumulator(str(log)).Reload()
    assert trained.resumed_from == 2
    for name, expected in {
        "loss": dict(trained.losses),
        "loss_apart": dict(zip((0, 2, 4), trained.stops, strict=True)),
    }.items():
        assert {point.step: point.value for point in drawn.Scalars(name)} == pytest.approx(expected, abs=1e-4)
        assert len(drawn.Scalars(name)) == len(expected)
    assert max(point.value for point in drawn.Scalars("rate")) == pytest.approx(RECIPE.learning_rate)


def test_a_log_without_tensorboard_is_refused_in_one_line_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainingError, match="a log needs TensorBoard: pip install tensorboard, or"):
        run(cheques(1), "no model at all", tmp_path, log=tmp_path / "log")


def test_a_torn_checkpoint_is_left_aside(model: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half a file")
    assert run(cheques(4), model, tmp_path, replace(RECIPE, epochs=1)).resumed_from == 0


def test_it_stops_when_the_lessons_kept_apart_get_worse(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([3.0, 2.0, 1.0, 1.5, 1.2, 9.9])
    monkeypatch.setattr(training, "loss_apart", lambda *_: next(losses))
    recipe = replace(RECIPE, epochs=9, patience=1, batch=8)
    trained = run(cheques(20), model, tmp_path / "stopped", recipe)
    assert (len(trained.apart), trained.stops, trained.best_epoch) == (4, (3.0, 2.0, 1.0, 1.5, 1.2), 2)
    monkeypatch.undo()
    two = weights_after_two_epochs(model, tmp_path / "two", recipe)
    assert all((two[key] == weight).all() for key, weight in weights(tmp_path / "stopped").items())


def weights_after_two_epochs(model: str, out: Path, recipe: LoraRecipe) -> dict[str, Any]:
    """What the nine epochs' training held after two of them."""
    with pytest.raises(Killed):
        run(cheques(20), model, out, recipe, progress=lambda step, *_: kill_at(step, 5))
    with safe_open(out / "checkpoint.safetensors", "numpy") as file:
        kept = {key[4:]: file.get_tensor(key) for key in file.keys() if key.startswith("now/")}  # noqa: SIM118
    return {key.replace(".default.", "."): weight for key, weight in kept.items()}


def kill_at(step: int, last: int) -> None:
    if step == last:
        raise Killed


def test_a_full_disk_is_said_in_one_line_and_the_training_goes_on_later(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)

    def full(self: object, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="No space left on device; free some"):
        patch.setattr("trainer.lora.Engine.save", full)
        run(cheques(4), model, tmp_path)
    assert run(cheques(4), model, tmp_path).resumed_from == 2


def test_a_lesson_whose_image_does_not_open_is_left_out(model: str, tmp_path: Path) -> None:
    def gone() -> Any:
        raise BadImage("c9.png: No such file or directory")

    trained = run([*cheques(3), Example("c9", {}, gone)], model, tmp_path, replace(RECIPE, epochs=1))
    assert trained.lessons == 3
    assert trained.unusable == ("c9: c9.png: No such file or directory",)
    with pytest.raises(TrainingError, match="no lesson to train on"):
        run([Example("c9", {}, gone)], model, tmp_path)


def test_what_is_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="set CHEQUEMATE_MODEL to a Qwen-VL") as refused:
        run(cheques(1), str(tmp_path), tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_drawn_cheques_are_mixed_in_and_hard_lessons_seen_twice(model: str, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=1, drawn=0.5, hard=0.25, batch=1)
    assert run(cheques(4), model, tmp_path, recipe).steps == 10  # 4 lessons, 1 of them twice, 5 drawn


def test_from_labels_to_a_version_with_the_real_reader(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reader.open_reader import open_reader
    from store.versions import Versions
    from trainer import judgement
    from trainer.retrain import retrain

    monkeypatch.setattr(judgement, "CALIBRATED_ON", 2)
    settings = Settings(home=tmp_path, model=model, device="cpu")
    lessons, exam = cheques(6), cheques(3, first=50)
    version = retrain(
        lessons,
        exam,
        [one.open for one in exam],
        CHEQUE,
        Versions(Store(tmp_path), "7"),
        lambda: open_reader(settings),
        replace(RECIPE, epochs=1),
        settings,
    )
    report = json.loads((version.path / "report" / "report.json").read_text())
    assert report["safety"]["same"] == report["safety"]["compared"] == 14
    assert report["training"]["engine"] == "peft" and report["candidate"]["n"] == 3
    assert version.problem() is None and version.provisional
