"""What of an image reaches the model, in reading as in training, and the quicker ways through the vision tower."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from cheques.settings import MODELS
from reader.local.local_reader import LocalReader
from reader.local.model import fast_cpu_vision, vision_tower, with_torchvision
from reader.prompt import fit_to_model
from trainer.collate import Collator

pytestmark = pytest.mark.slow

SMALL = MODELS / "small"


@pytest.fixture
def model() -> Any:
    with_torchvision()
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(SMALL, dtype=torch.float32)


@pytest.fixture
def processor() -> Any:
    with_torchvision()
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(SMALL)


def test_specks_and_ribbons_get_paper_around_them() -> None:
    assert fit_to_model(Image.new("L", (1, 1))).size == (32, 32)
    assert fit_to_model(Image.new("RGB", (2_400, 50))).size == (2_400, 300)
    assert fit_to_model(Image.new("RGB", (640, 288))).size == (640, 288)


@pytest.mark.parametrize("size", [(3508, 2480), (2067, 945), (40_000, 50)])
def test_a_large_scan_is_brought_to_a_megapixel_in_its_proportions(size: tuple[int, int]) -> None:
    width, height = fit_to_model(Image.new("RGB", size)).size
    assert 990_000 < width * height <= 1_000_000
    assert width / height == pytest.approx(min(size[0] / size[1], 8), rel=0.01)


def test_training_sees_the_megapixel_that_reading_sees(model: Any, processor: Any) -> None:
    processor.image_processor.size = {"shortest_edge": 65_536, "longest_edge": 16_777_216}  # as Qwen3-VL ships
    scan = draw_cheque(1).image.resize((2560, 1152))
    read = LocalReader.from_model(model, processor)._session.inputs([scan], CHEQUE)  # type: ignore[union-attr]
    learned = Collator(processor, CHEQUE)([(scan, {})])
    assert torch.equal(read["pixel_values"], learned["pixel_values"])
    assert len(read["pixel_values"]) == pytest.approx(1_000_000 / 16**2, rel=0.05), "patches of 16 x 16"


def test_the_quicker_ways_see_the_same(model: Any, processor: Any) -> None:
    seen = processor.image_processor([draw_cheque(1).image], return_tensors="pt")
    visual = vision_tower(model)
    assert visual is not None
    with torch.no_grad():
        plain = visual(seen["pixel_values"], grid_thw=seen["image_grid_thw"]).pooler_output
        fast_cpu_vision(model)
        quick = visual(seen["pixel_values"], grid_thw=seen["image_grid_thw"]).pooler_output
    assert torch.allclose(plain, quick, atol=1e-4 * float(plain.abs().max()))
