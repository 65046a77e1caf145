"""Examples -> one batch of tokens and pixels; only the answer is to be learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL.Image import Image

from cheques.fields import Form
from cheques.reading.paper import readable
from cheques.reading.prompt import conversation, messages

IGNORED = -100


class Collator:
    """Makes batches with the base model's own processor: the image and the prompt of reading, labels on the answer.

    Unsloth's collator would shrink images and train the prompt by default; this one serves both engines alike.
    """

    def __init__(self, processor: Any, form: Form) -> None:
        self.processor, self.form = processor, form
        prompt = processor.apply_chat_template(messages(form), add_generation_prompt=True, tokenize=False)
        start = prompt[prompt.rindex("<|im_start|>") :]
        self.start = processor.tokenizer(start, add_special_tokens=False)["input_ids"]
        self.end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def __call__(self, cheques: Sequence[tuple[Image, Mapping[str, str]]]) -> dict[str, Any]:
        """input_ids, attention_mask, pixel_values, image_grid_thw, … and labels, of which only the answers count."""
        texts = [
            self.processor.apply_chat_template(conversation(self.form, values), tokenize=False) for _, values in cheques
        ]
        batch = dict(
            self.processor(
                text=texts,
                images=[readable(image) for image, _ in cheques],
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
        )
        labels = batch["input_ids"].clone()
        for row, ids in zip(labels, batch["input_ids"].tolist(), strict=True):
            begin, end = self._answer(ids)
            row[:begin] = IGNORED
            row[end:] = IGNORED
        return {**batch, "labels": labels}

    def _answer(self, ids: list[int]) -> tuple[int, int]:
        """Where the answer begins, and where it ends: its <|im_end|> is learned too, or reading would not stop."""
        width = len(self.start)
        for begin in range(len(ids) - width, -1, -1):
            if ids[begin : begin + width] == self.start:
                return begin + width, ids.index(self.end, begin + width) + 1
        raise AssertionError("the chat template writes the assistant's turn otherwise when it is asked to be continued")
