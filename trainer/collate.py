"""Examples -> one batch of tokens and pixels; only the answer is learned."""

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

    It serves both engines alike: by default Unsloth's own collator shrinks images and trains the prompt too.
    """

    def __init__(self, processor: Any, form: Form) -> None:
        self.processor, self.form = processor, form
        prompt = processor.apply_chat_template(messages(form), add_generation_prompt=True, tokenize=False)
        start = prompt[prompt.rindex("<|im_start|>") :]
        self.start = processor.tokenizer(start, add_special_tokens=False)["input_ids"]
        self.end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def __call__(self, cheques: Sequence[tuple[Image, Mapping[str, str | None]]]) -> dict[str, Any]:
        """input_ids, attention_mask, pixel_values, image_grid_thw, … and labels, of which only the answers count.

        A value that is None is not known: it is written as empty, and no token that says so counts.
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
            # The answer is the last turn. Its <|im_end|> is learned too, or reading does not stop.
            width = len(self.start)
            turns = (at for at in range(len(ids) - width, -1, -1) if ids[at : at + width] == self.start)
            if (turn := next(turns, None)) is None:
                raise AssertionError(
                    "the chat template writes the assistant's turn otherwise when it is asked to be continued"
                )
            begin = turn + width
            end = ids.index(self.end, begin) + 1
            row[:begin] = IGNORED
            row[end:] = IGNORED

            # Of a value that is not known, no token is learned that says any of it, nor the quote where it ends.
            unknown = [json.dumps(name, ensure_ascii=False) for name in self.form.names if values.get(name, "") is None]
            if not unknown:
                continue
            text = answer(self.form, values)
            spelt = self.processor.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            if spelt["input_ids"] != ids[begin : end - 1]:
                raise AssertionError("the tokenizer spells an answer otherwise within the chat than by itself")
            quotes = [text.index(f"{key}: ") + len(key) + 3 for key in unknown]
            for place, (first, last) in enumerate(spelt["offset_mapping"]):
                if any(first <= quote < last for quote in quotes):
                    row[begin + place] = IGNORED
        return {**batch, "labels": labels}
