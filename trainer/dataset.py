"""Labels and their images as examples to learn from or to be judged on, and the hash by which a data set is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL.Image import Image

from cheques.fields import Form
from cheques.images import BadImage, open_image
from cheques.values import canonical_values
from reader.base_model import base_identity
from store.draw import pixels_digest

TRUTH = "truth.jsonl"


class DataError(ValueError):
    """A data set that cannot be used: one line, what and what to do."""


@dataclass(frozen=True)
class Example:
    """One cheque with what is true of it.

    id: names it in reports. values: canonical, by field. written: as people typed them. digest: of the pixels.
    origin: its bank and its hand, as far as they are known. unknown: fields whose truth nobody knows, because what
    was typed has no canonical form; they are neither learned nor judged. `open` gives the RGB image and may raise
    BadImage.
    """

    id: str
    values: Mapping[str, str]
    open: Callable[[], Image]
    digest: str = ""
    written: Mapping[str, str] | None = None
    origin: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()

    @property
    def taught(self) -> dict[str, str | None]:
        """What is learned, by field; None for what is unknown."""
        return {**self.values, **dict.fromkeys(self.unknown)}


def example(
    form: Form,
    id: str,
    written: Mapping[str, str],
    source: Path | Image,
    origin: tuple[str, ...] = (),
    unusable: Collection[str] | None = None,
) -> Example:
    """An example from a file or an image already open. Raises BadImage.

    written: as people type; a field without a canonical form becomes unknown. unusable: these fields, where `written`
    is canonical already.
    """
    values, refused = canonical_values(form, written) if unusable is None else (written, unusable)
    opened = open_image(source) if isinstance(source, Path) else source
    return Example(
        id,
        {name: "" if name in refused else values.get(name, "") for name in form.names},
        partial(open_image, source) if isinstance(source, Path) else lambda: opened,
        pixels_digest(opened),
        {name: value for name, value in written.items() if name in form.names},
        origin,
        frozenset(refused),
    )


def read_folder(folder: Path, form: Form) -> tuple[list[Example], list[str]]:
    """The examples of a folder with truth.jsonl, and a line for each cheque or field left out (with its line number).

    A line is {"image": "c0001.png", field: text, …}; a field that is not given is empty. Raises DataError where
    there is no truth.jsonl or nothing usable in it.
    """
    path = folder / TRUTH
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing: give a folder made by `chequemate draw`, or write one line a cheque"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; write it as UTF-8, one JSON object a line") from None
    examples, problems = list[Example](), list[str]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one, refused = _of_line(folder, form, line)
        except (BadImage, DataError) as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        problems += [f"{path}:{number}: {error}" for error in refused]
        if len(one.unknown) < len(form.names):
            examples.append(one)
    if not examples:
        raise DataError(problems[0] if problems else f"{path} is empty: write one JSON object for each cheque")
    return examples, problems


def _of_line(folder: Path, form: Form, line: str) -> tuple[Example, list[str]]:
    """The cheque of one line, and what is wrong with single fields of it. Raises DataError and BadImage for a line."""
    try:
        truth = json.loads(line)
    except ValueError as error:
        raise DataError(f"no JSON ({error}); write one object a line") from None
    if not isinstance(truth, dict) or not isinstance(truth.get("image"), str):
        raise DataError('no "image"; write {"image": "c0001.png", field: text, …}')
    values = {name: value for name, value in truth.items() if name in form.names}
    wrong = [name for name, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise DataError(f"{wrong[0]} is no text; put it in quotes")
    if not values:
        raise DataError(f"none of the form's fields; it has {', '.join(form.names)}")
    origin = tuple(str(truth[key]) for key in ("bank", "hand") if truth.get(key))
    one = example(form, truth["image"], values, folder / truth["image"], origin)
    return one, [f"{error}; the line's other fields count" for error in canonical_values(form, values)[1].values()]


def openable(examples: Sequence[Example]) -> tuple[list[Example], list[str]]:
    """Those whose image opens, and a line for each of the others."""
    good, bad = list[Example](), list[str]()
    for one in examples:
        try:
            one.open()
            good.append(one)
        except BadImage as error:
            bad.append(f"{one.id}: {error}")
    return good, bad


def dataset_hash(examples: Iterable[Example], form: Form, recipe: Any, model: str) -> str:
    """Equal for equal lessons, form, recipe and base, in any order: the same labels never train twice."""
    # Without what is unknown: once somebody corrects that label, the lesson is another one.
    lessons = sorted(
        [one.id, one.digest, sorted((name, value) for name, value in one.taught.items() if value is not None)]
        for one in examples
    )
    content = {"lessons": lessons, "form": form.digest, "recipe": asdict(recipe), "base": base_identity(model)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def kept_apart(
    examples: Sequence[Example], share: float, seed: int, at_least: int = 20
) -> tuple[list[Example], list[Example]]:
    """Lessons to train on, and lessons for early stopping and calibration; of fewer than `at_least`, all to train on.

    A digest of the pixels decides, so hardly any lesson changes sides when others come.
    """

    def chance(one: Example) -> str:
        return hashlib.sha256(f"{seed}:{one.digest or one.id}".encode()).hexdigest()

    if len(examples) < at_least:
        return list(examples), []
    order = sorted(examples, key=chance)
    apart = set(map(id, order[: max(1, round(share * len(order)))]))
    return [one for one in examples if id(one) not in apart], [one for one in examples if id(one) in apart]
