"""Training on a card that is not there: which one is measured, what Unsloth is asked for, and what is given back."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cheques.fields import CHEQUE
from cheques.settings import Settings
from reader.local.model import card_gib
from store.database import Store
from store.versions import Versions
from tests.test_trainer_retrain import EXAM, LESSONS, fake_training
from tests.trainer_parts import FakeReader
from trainer import judgement, lora, training
from trainer.lora import load
from trainer.presets import recipe_here
from trainer.recipe import LoraRecipe, Trained, TrainingError
from trainer.retrain import retrain

LARGE = "Qwen/Qwen2.5-VL-32B-Instruct"


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 80 GiB, and cuda:1 of 48."""

    def properties(device: str) -> SimpleNamespace:
        return SimpleNamespace(total_memory={"cuda": 80, "cuda:0": 80, "cuda:1": 48}[str(device)] << 30)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)


def settings(**given: Any) -> Settings:
    return Settings(_env_file=None, **{"model": LARGE, "reader_url": "http://127.0.0.1:8000"} | given)


def test_the_card_that_the_settings_name_is_the_one_that_is_measured(two_cards: None) -> None:
    assert (card_gib(), card_gib("cuda:1"), card_gib("cpu")) == (80, 48, None)
    assert recipe_here(settings()).four_bit is False
    assert recipe_here(settings(device="cuda:1")).four_bit is True
    assert recipe_here(settings(device="cuda:1", reader_url=None)).four_bit is False  # nothing here reads in 4 bit
    assert recipe_here(settings(device="cpu")).four_bit is False


def test_a_torch_that_sees_no_card_is_one_line_though_the_driver_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_cuda(*_: object) -> None:
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_properties", without_cuda)
    assert recipe_here(settings()).four_bit is False
    with pytest.raises(TrainingError, match="no card cuda: install the driver, or set CHEQUEMATE_DEVICE"):
        load(LARGE, LoraRecipe(), "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a card, but not this one
    with pytest.raises(TrainingError, match="no card cuda:7"):
        load(LARGE, LoraRecipe(), "cuda:7")


def test_what_cannot_be_read_with_afterwards_is_not_trained(two_cards: None) -> None:
    with pytest.raises(TrainingError, match="to read with and the card has 48"):
        load(LARGE, LoraRecipe(four_bit=True), "cuda:1")


UNSLOTH = """
import os
STATISTICS_AT_IMPORT = os.environ.get("UNSLOTH_DISABLE_STATISTICS")

class FastVisionModel:
    asked = {}
    def from_pretrained(model_name, **asked):
        FastVisionModel.asked = asked | {"model_name": model_name}
        return "network", "processor"
    def get_peft_model(network, **_):
        return network
    def for_training(network):
        pass
"""


def test_unsloth_tells_nobody_and_loads_the_very_base_on_the_very_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "unsloth.py").write_text(UNSLOTH)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "unsloth", raising=False)
    monkeypatch.setenv("UNSLOTH_DISABLE_STATISTICS", "for monkeypatch to forget")
    monkeypatch.delenv("UNSLOTH_DISABLE_STATISTICS")
    from trainer.lora import load_with_unsloth

    assert load_with_unsloth(LARGE, LoraRecipe(), "cuda:1") == ("network", "processor")
    unsloth: Any = sys.modules.pop("unsloth")
    assert unsloth.STATISTICS_AT_IMPORT == "1"
    asked = unsloth.FastVisionModel.asked
    assert (asked["model_name"], asked["use_exact_model_name"]) == (LARGE, True)
    assert asked["device_map"] == {"": "cuda:1"}


class Network:
    """What is trained; it hangs in a cycle, as Unsloth leaves it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_trained_is_gone_before_the_reader_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained: list[weakref.ref[Network]] = []
    emptied: list[bool] = []

    def train(*given: Any, **named: Any) -> Trained:
        trained.append(weakref.ref(Network()))
        return fake_training(*given, **named)

    def opened() -> FakeReader:
        assert trained[0]() is None and emptied == [True]
        return FakeReader([*LESSONS, *EXAM])

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(judgement, "CALIBRATED_ON", 4)
    monkeypatch.setattr(lora.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(lora.torch.cuda, "empty_cache", lambda: emptied.append(trained[0]() is None))
    versions, here = Versions(Store(tmp_path), "7"), Settings(home=tmp_path, device="cpu", _env_file=None)
    gc.disable()  # else it may come by itself
    try:
        retrain(LESSONS, EXAM, [], CHEQUE, versions, opened, LoraRecipe(), here)
    finally:
        gc.enable()
