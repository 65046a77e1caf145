"""Examples -> one batch of tokens and pixels; only the answer is to be learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from PIL.Image import Image

from cheques.fields import Form
from reader.prompt import answer, conversation, fit_to_model, messages

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

    def __call__(self, cheques: Sequence[tuple[Image, Mapping[str, str | None]]]) -> dict[str, Any]:
        """input_ids, attention_mask, pixel_values, image_grid_thw, … and labels, of which only the answers count.

        A value that is None is not known: it stands as empty, and no token that says so counts.
        """
        texts = [
            self.processor.apply_chat_template(conversation(self.form, values), tokenize=False) for _, values in cheques
        ]
        batch = dict(
            self.processor(
                text=texts,
                images=[fit_to_model(image) for image, _ in cheques],
                padding=True,
                padding_side="right",
                return_tensors="pt",
            )
        )
        labels = batch["input_ids"].clone()
        for row, ids, (_, values) in zip(labels, batch["input_ids"].tolist(), cheques, strict=True):
            begin, end = self._answer(ids)
            row[:begin] = IGNORED
            row[end:] = IGNORED
            for place in self._unknown(values, ids[begin : end - 1]):
                row[begin + place] = IGNORED
        return {**batch, "labels": labels}

    def _unknown(self, values: Mapping[str, str | None], ids: list[int]) -> list[int]:
        """Which tokens of the answer say, even in part, a value that is not known, or where it ends."""
        names = [name for name in self.form.names if name in values and values[name] is None]
        if not names:
            return []
        text = answer(self.form, values)
        spelt = self.processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if spelt["input_ids"] != ids:
            raise AssertionError("the tokenizer spells an answer otherwise within the chat than by itself")
        quotes = [text.index(f"{json.dumps(name, ensure_ascii=False)}: ") for name in names]
        ends = [at + len(json.dumps(name, ensure_ascii=False)) + 3 for at, name in zip(quotes, names, strict=True)]
        return [place for place, (start, end) in enumerate(spelt["offset_mapping"]) for at in ends if start <= at < end]

    def _answer(self, ids: list[int]) -> tuple[int, int]:
        """Where the answer begins, and where it ends: its <|im_end|> is learned too, or reading would not stop."""
        width = len(self.start)
        for begin in range(len(ids) - width, -1, -1):
            if ids[begin : begin + width] == self.start:
                return begin + width, ids.index(self.end, begin + width) + 1
        raise AssertionError("the chat template writes the assistant's turn otherwise when it is asked to be continued")
