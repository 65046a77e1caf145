"""The decoding loop against transformers' own: the same answers and log-probabilities, for any Qwen-VL."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE, Field, Form
from cheques.settings import MODELS
from reader.grammar import Grammar
from reader.local.local_reader import LocalReader
from reader.local.model import with_torchvision
from reader.prompt import messages
from reader.reading import Reading

pytestmark = pytest.mark.slow

FORM = Form((Field("total", "amount"), Field("date", "date"), Field("payé", "choice", choices=("oui", "non"))))


def qwen3() -> Any:
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(MODELS / "small", dtype=torch.float32).eval()


def qwen2_5() -> Any:
    """A tiny Qwen2.5-VL with random weights and the small model's tokens: windows of vision, other positions."""
    from transformers import AutoConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    small = AutoConfig.from_pretrained(MODELS / "small")
    ids = {name: getattr(small, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
            "window_size": 64,
        },
        text_config={
            "vocab_size": small.text_config.vocab_size,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        },
        **ids,
    )
    model = Qwen2_5_VLForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = small.text_config.eos_token_id
    model.generation_config.pad_token_id = 0
    return model


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    """Of different sizes, so that the batch is padded."""
    cheques = [draw_cheque(seed).image for seed in range(3)]
    return [cheques[0], cheques[1].resize((900, 300)), cheques[2].resize((320, 320))]


@pytest.fixture(scope="module", params=[qwen3, qwen2_5], ids=["qwen3-vl", "qwen2.5-vl"])
def model(request: pytest.FixtureRequest) -> Any:
    with_torchvision()
    torch.set_num_threads(1)
    return request.param()


@pytest.fixture(scope="module")
def processor() -> Any:
    with_torchvision()
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(MODELS / "small")


class Mask:
    """The grammar as a logits processor of transformers, one token at a time and nothing jumped over."""

    def __init__(self, grammar: Grammar, rows: int, end: int) -> None:
        self.grammar, self.end = grammar, end
        self.matchers = [grammar.follow(FORM) for _ in range(rows)]
        self.first = True

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for matcher, token in zip(self.matchers, ids[:, -1].tolist(), strict=True):
            if not self.first and not matcher.is_stopped():
                matcher.consume_token(token)
        self.first = False
        allowed = torch.from_numpy(self.grammar.allowed(self.matchers)).clone()
        for row, matcher in enumerate(self.matchers):
            if matcher.is_stopped():
                allowed[row] = torch.arange(allowed.shape[1]) == self.end
        return scores.masked_fill(~allowed, -torch.inf)


def generated(model: Any, processor: Any, images: list[Image.Image]) -> list[tuple[str, float]]:
    """Text and summed log-probability of each answer by `generate`."""
    prompt = processor.apply_chat_template(messages(FORM), add_generation_prompt=True, tokenize=False)
    inputs = processor(
        text=[prompt] * len(images), images=images, padding=True, padding_side="left", return_tensors="pt"
    )
    end = processor.tokenizer.eos_token_id
    mask = Mask(Grammar(processor.tokenizer, model.get_input_embeddings().weight.shape[0]), len(images), end)
    options = {"max_new_tokens": 60, "do_sample": False, "return_dict_in_generate": True, "output_scores": True}
    out = model.generate(**inputs, logits_processor=[mask], **options)
    answers = out.sequences[:, inputs["input_ids"].shape[1] :]
    logs = torch.stack([step.log_softmax(-1) for step in out.scores], 1).gather(2, answers[..., None])[..., 0]
    logs = logs.masked_fill((answers == end) | (answers == 0), 0.0).sum(1).tolist()
    return list(zip(processor.tokenizer.batch_decode(answers, skip_special_tokens=True), logs, strict=True))


def total(reading: Reading) -> float:
    return sum(of["total"] for of in reading.evidence.values())


def test_the_loop_says_what_generate_says_with_the_same_log_probabilities(
    model: Any, processor: Any, images: list[Image.Image]
) -> None:
    readings = LocalReader.from_model(model, processor).read(images, FORM)
    expected = generated(model, processor, images)
    assert [reading.raw for reading in readings] == [text for text, _ in expected]
    assert [total(reading) for reading in readings] == pytest.approx([log for _, log in expected], abs=1e-3)


def test_a_padded_batch_reads_like_each_image_alone(model: Any, processor: Any, images: list[Image.Image]) -> None:
    reader = LocalReader.from_model(model, processor)
    for image, together in zip(images, reader.read(images, CHEQUE), strict=True):
        alone = reader.read([image], CHEQUE)[0]
        assert alone.raw == together.raw
        assert total(alone) == pytest.approx(total(together), abs=0.05)
        assert alone.embedding == pytest.approx(together.embedding, abs=1e-4)
