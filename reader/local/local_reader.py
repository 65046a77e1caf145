"""Reading in this process: any Qwen-VL through transformers, adapters through peft, held to the form's grammar."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL.Image import Image

from cheques.fields import Form
from cheques.settings import Settings
from reader.confidence import Calibration
from reader.grammar import longest_answer
from reader.local.adapters import Adapters
from reader.local.decode import decode
from reader.local.model import Loaded, load, ready, vision_tower, with_torchvision
from reader.parse_answer import calibration_of, reading
from reader.prompt import fit_to_model, messages
from reader.reading import Adapter, ReaderError, Reading

LONGEST_FREE_ANSWER = 512  # tokens, where no grammar bounds them
EMBEDDING = 256  # dimensions at most


class LocalReader:
    """Reads with a model in this process; any number of threads may call it, one at a time reads.

    Raises ReaderError at once where the model cannot be loaded. After `close` the next `read` loads it again.
    """

    def __init__(self, settings: Settings) -> None:
        self._open: Callable[[], Loaded] = lambda: load(settings.model, settings.device, settings.threads)
        self._model, self._batch, self._as_it_is = settings.model, settings.batch, False
        self._lock = threading.RLock()
        self._session: Session | None = Session(self._open(), self._model)

    @classmethod
    def from_model(cls, model: Any, processor: Any, *, batch: int = 8) -> LocalReader:
        """A reader of a model that is in memory already (in training, say); without an adapter it reads as it is."""
        # Past __init__, which would load a model.
        self = cls.__new__(cls)
        with_torchvision()
        self._open = lambda: ready(model, processor)
        self._model, self._batch, self._as_it_is = "", batch, True
        self._lock = threading.RLock()
        self._session = Session(self._open(), self._model)
        return self

    def read(
        self, images: Sequence[Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        """One reading for each image, in their order; `constrained=False` decodes without the grammar.

        Raises ReaderError (an adapter for another base, a card too small for one cheque).
        """
        with self._lock:
            session = self._session = self._session or Session(self._open(), self._model)
            if not self._as_it_is:
                session.adapters.use(adapter)
            calibration = calibration_of(self._model, adapter)
            readings: list[Reading | None] = [None] * len(images)
            # Images of about one size are read together, so that little is padded.
            order = sorted(range(len(images)), key=lambda n: (images[n].width * images[n].height, images[n].width))
            for start in range(0, len(order), self._batch):
                batch = order[start : start + self._batch]
                found = session.read([images[n] for n in batch], form, calibration, constrained)
                for n, read in zip(batch, found, strict=True):
                    readings[n] = read
            return [read for read in readings if read is not None]

    def close(self) -> None:
        """Give the memory (and the card) back."""
        with self._lock:
            self._session = None
            # A model refers to itself: without this its memory stays until the collector happens to run.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


class Session:
    """A loaded model with its adapters, between two closes."""

    def __init__(self, loaded: Loaded, name: str) -> None:
        self.loaded = loaded
        self.adapters = Adapters(loaded.model, name)
        self._prompts: dict[str, str] = {}

    def read(self, images: list[Image], form: Form, calibration: Calibration, constrained: bool) -> list[Reading]:
        """A batch; halved where the card's memory does not hold it."""
        try:
            return self._read(images, form, calibration, constrained)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        # Outside the `except`, whose error still holds the tensors of the failed batch.
        if len(images) == 1:
            raise ReaderError("out of GPU memory on one cheque: take a smaller model, or stop what else uses the card")
        half = len(images) // 2
        parts = (images[:half], images[half:])
        return [read for part in parts for read in self.read(part, form, calibration, constrained)]

    def _read(self, images: list[Image], form: Form, calibration: Calibration, constrained: bool) -> list[Reading]:
        model, grammar = self.loaded.model, self.loaded.grammar
        matchers = [grammar.follow(form) if constrained else None for _ in images]
        inputs = self.inputs(images, form)
        limit = longest_answer(form) if constrained else min(longest_answer(form), LONGEST_FREE_ANSWER)
        with listening(model) as heard:
            answers = decode(model, inputs, grammar, matchers, limit, self.loaded.ends)
        embeddings = pooled(heard[-1], inputs["image_grid_thw"]) if heard else [()] * len(images)
        return [
            reading(form, tokens, calibration, embedding, cut=not ended)
            for (tokens, ended), embedding in zip(answers, embeddings, strict=True)
        ]

    def inputs(self, images: list[Image], form: Form) -> dict[str, Any]:
        """What the model is given for these images, on its device."""
        processor = self.loaded.processor
        if form.digest not in self._prompts:
            prompt = processor.apply_chat_template(messages(form), add_generation_prompt=True, tokenize=False)
            self._prompts[form.digest] = prompt
        texts = [self._prompts[form.digest]] * len(images)
        batch = processor(text=texts, images=[*map(fit_to_model, images)], padding=True, return_tensors="pt")
        return {key: value.to(self.loaded.device) for key, value in batch.items()}


@contextmanager
def listening(model: Any) -> Iterator[list[Any]]:
    """The model in its reading mood, its image tokens kept; afterwards as it was, since it may be in training."""
    heard: list[Any] = []

    def hear(module: Any, arguments: Any, output: Any) -> None:
        heard[:] = [getattr(output, "pooler_output", output)]

    was_training = model.training
    visual = vision_tower(model)
    hook = visual.register_forward_hook(hear) if visual is not None else None
    model.eval()
    try:
        yield heard
    finally:
        model.train(was_training)
        if hook is not None:
            hook.remove()


def pooled(tokens: Any, grids: Any) -> list[tuple[float, ...]]:
    """For each image the mean of its image tokens, in at most EMBEDDING numbers of length 1."""
    counts = grids.prod(-1)
    counts = (counts * tokens.shape[0]) // counts.sum()  # patches -> tokens: several patches are merged into one
    found = []
    for own in torch.split(tokens.float(), counts.tolist()):
        mean = own.mean(0)
        if mean.numel() > EMBEDDING:
            mean = torch.nn.functional.adaptive_avg_pool1d(mean[None, None], EMBEDDING)[0, 0]
        found.append(tuple(torch.nn.functional.normalize(mean, dim=0).tolist()))
    return found
