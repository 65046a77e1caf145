"""The real path through Unsloth, on a CPU with what it asks of a card stubbed; run by `make test-unsloth`.

Unsloth brings its own versions of much, so it lives in an environment of its own; without it these tests are skipped.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cheques.fields import CHEQUE
from tests.trainer_parts import cheques, toy_model
from trainer.recipe import LoraRecipe

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(find_spec("unsloth") is None, reason="Unsloth is not installed here: make test-unsloth"),
]

RECIPE = LoraRecipe(epochs=1, rank=2, batch=2, drawn=0, hard=0)


@pytest.fixture(scope="module", autouse=True)
def _card_that_is_none() -> None:
    """What Unsloth asks a card for at import; nothing of this is in the product."""
    switches = ("ALLOW_CPU", "SKIP_TORCHVISION_CHECK", "COMPILE_DISABLE", "DISABLE_STATISTICS")
    os.environ.update({f"UNSLOTH_{name}": "1" for name in switches})
    import torch

    from reader.local.model import with_torchvision

    with_torchvision()
    card = SimpleNamespace(name="none", total_memory=8 << 30, major=8, minor=0, multi_processor_count=1)
    torch.cuda.get_device_properties = lambda *_, **__: card
    torch.cuda.get_device_capability = lambda *_, **__: (8, 0)
    torch.cuda.mem_get_info = lambda *_, **__: (8 << 30, 8 << 30)
    import unsloth  # noqa: F401


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_model(tmp_path_factory.mktemp("models") / "toy")


def keys_and_shapes(folder: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(folder / "adapter" / "adapter_model.safetensors", "pt") as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def test_unsloth_and_peft_write_the_same_adapter(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cheques.settings import Settings
    from reader.local.local_reader import LocalReader
    from reader.reading import Adapter
    from trainer import training

    monkeypatch.setattr(training, "PARITY", 2)
    lessons = cheques(4)
    quick = training.train(lessons, CHEQUE, RECIPE, model, tmp_path / "unsloth", device="cpu", engine="unsloth")
    plain = training.train(lessons, CHEQUE, RECIPE, model, tmp_path / "peft", device="cpu", engine="peft")
    assert (quick.engine, plain.engine) == ("unsloth", "peft")
    assert keys_and_shapes(tmp_path / "unsloth") == keys_and_shapes(tmp_path / "peft")
    # The same cheques in the same order under the same mask: before anything is learned the losses are the same.
    assert quick.steps == plain.steps == 2
    assert quick.losses[0][1] == pytest.approx(plain.losses[0][1], rel=0.03)
    reader = LocalReader(Settings(model=model, device="cpu"))
    read = reader.read([one.open() for one in lessons], CHEQUE, Adapter("7/v1", tmp_path / "unsloth" / "adapter"))
    assert all(reading.values.keys() == set(CHEQUE.names) for reading in read)
