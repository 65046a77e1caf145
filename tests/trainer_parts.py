"""For the trainer's tests: a reader that knows the truth of pictures and errs as told, and a model quick to train."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from cheques.fields import CHEQUE, Form
from cheques.settings import MODELS
from reader.prompt import answer
from reader.reading import Adapter, Reading
from store.draw import pixels_digest
from trainer.dataset import Example, example

TRUTH = {
    "montant_numerique": "120.50",
    "montant_lettres": "cent vingt euros et cinquante centimes",
    "date": "2024-05-03",
    "beneficiaire": "Jeanne Morel",
    "signature": "présente",
    "lieu": "Lyon",
    "devise": "EUR",
}

Err = Callable[[str, dict[str, str]], dict[str, str]]  # (adapter's name or base, truth) -> what is read


def runner(app: typer.Typer) -> Callable[..., Result]:
    """Runs the app's verbs; what they did not foresee is raised."""

    def run(*words: object) -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def picture(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (36, 80, 3)).astype(np.uint8))


def cheques(count: int, first: int = 0) -> list[Example]:
    """Cheques with an amount of their own each."""
    return [
        example(CHEQUE, f"c{n}", TRUTH | {"montant_numerique": f"{n + 1}.00"}, picture(n))
        for n in range(first, first + count)
    ]


def toy_model(folder: Path) -> str:
    """The shipped model in `folder`, looking at images of a few patches: a step takes a tenth of a second."""
    shutil.copytree(MODELS / "small", folder)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["size"] = {"shortest_edge": 4096, "longest_edge": 8192}
    path.write_text(json.dumps(config))
    return str(folder)


class FakeReader:
    """Reads by looking the picture up; `err` says what it makes of the truth. `closed` counts the closings."""

    def __init__(self, known: Sequence[Example], err: Err | None = None) -> None:
        self.truth = {one.digest: dict(one.values) for one in known}
        self.err: Err = err or (lambda name, truth: truth)
        self.closed = 0

    def read(
        self,
        images: Sequence[Image.Image],
        form: Form,
        adapter: Adapter | None = None,
        *,
        constrained: bool = True,
    ) -> list[Reading]:
        readings = []
        for image in images:
            truth = self.truth.get(pixels_digest(image), TRUTH)
            values = self.err(adapter.name if adapter else "base", dict(truth))
            sure = {name: 0.9 if value == truth[name] else 0.2 for name, value in values.items()}
            raw = answer(form, values) if constrained or "no json" not in values.values() else "{"
            evidence = {
                name: {"total": np.log(p), "mean": -0.1, "low": -0.1, "margin": 1, "length": 5}
                for name, p in sure.items()
            }
            readings.append(Reading(values, sure, raw, (), (), evidence))
        return readings

    def close(self) -> None:
        self.closed += 1
