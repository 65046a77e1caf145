"""What the stages train on, drawn by number: the same number gives the same batch. No torch: drawing stays light.

Training draws from seeds below EXAM, the fixed sets from EXAM upwards, and no hand of the unseen is ever trained on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cheques.drawing import Drawn, draw_cheque, draw_line
from cheques.drawing.cheque import Box
from cheques.drawing.content import WRITTEN
from cheques.drawing.hands import choose_hand
from cheques.drawing.handwriting import suited
from cheques.drawing.lines import choose_line
from cheques.fields import CHEQUE
from research.pretraining import supervision, targets
from research.pretraining.supervision import Point, Script, of_tokens, value_points

EXAM = 10**9
SHORT = 15  # letters that fit half a line
ROW, LONG = 32, 384  # pixels
PATCH = 16
BLOCKS = 180  # of 32 x 32 pixels, on a cheque of native size
Batch = dict[str, Any]
LAYOUTS, DISCORDANT, HIDDEN = 0.75, 0.10, 0.06
"""Shares of varied cheques: with a layout of their own (the others are of known banks), with figures and words that
differ, with one of the two hidden. From the last two a reader learns to read both, not one off the other."""
TAKEN: dict[tuple[str, ...], float] = {
    (): 0.62,
    ("photographed",): 0.14,
    ("bilevel",): 0.08,
    ("jpeg",): 0.08,
    ("upside-down",): 0.05,
    ("photographed", "jpeg"): 0.03,
}
"""How pictures of varied cheques were taken, and how often."""


@dataclass(frozen=True)
class Lines:
    """Batches of drawn lines, short and long ones apart: "images" (size, rows, columns) uint8, "texts", "aligned".

    `ramp` is after how many lines they are as varied as cheques are (0: from the first). `rows` above 32 puts
    every second batch's lines at any height of taller strips; "middles" says where. With `spoken` each line comes
    with its conversation.
    """

    size: int = 48
    ramp: int = 0
    rows: int = ROW
    first: int = 0
    hands: str = "seen"
    spoken: bool = False

    def __call__(self, number: int) -> Batch:
        rng = random.Random(self.first + number)
        short = rng.random() < 0.5
        difficulty = min(1.0, number * self.size / self.ramp) if self.ramp else 1.0
        drawn = [self._line(rng, short, difficulty) for _ in range(self.size)]
        images, texts, hands, spoken = zip(*drawn, strict=True)
        middles = [supervision.found(*line) for line in zip(images, texts, hands, strict=True)]
        aligned = [supervision.frames(images[0].shape[1], *line) for line in zip(texts, middles, strict=True)]
        rows = self.rows if number % 2 == 0 else ROW
        above = [rng.randint(0, rows - ROW) for _ in drawn]
        batch: Batch = {
            "images": np.stack([_placed(*one, rows) for one in zip(images, above, strict=True)]),
            "texts": list(texts),
            "aligned": np.stack(aligned),
            "middles": np.array(above) + ROW / 2,
            "corners": [(rng.randrange(100), rng.randrange(100)) for _ in drawn],
        }
        if self.spoken:
            said = [targets.single(*line) for line in spoken]
            points = [
                _pointed(tokens, owners, {field: (value, _script(text, middle, up))})
                for (tokens, owners), (field, value), text, middle, up in zip(
                    said, spoken, texts, middles, above, strict=True
                )
            ]
            batch["tokens"], batch["owners"], batch["points"] = targets.padded(said, points)
        return batch

    def _line(self, rng: random.Random, short: bool, difficulty: float) -> tuple[Any, ...]:
        """Image, text as written, hand, and (field, value) to be said of it."""
        while True:
            hand = choose_hand(rng, self.hands)
            line = choose_line(rng, hand)
            if (len(line.text) <= SHORT) != short:
                continue
            columns = LONG // 2 if short else LONG
            image, said = draw_line(rng, hand.name, (columns, ROW), difficulty, text=line.text)
            value = _value(line.field, said, line.canonical, said == suited(line.text, hand))
            if value is not None or not self.spoken:
                return np.asarray(image), said, hand.name, (line.field, value)


def _value(field: str, said: str, canonical: str, complete: bool) -> str | None:
    """The value of what is written, which may have lost words at one end; None where that is no value any more."""
    if field in ("beneficiaire", "lieu"):
        return said
    if complete:
        return canonical
    return said.lower() if field == "montant_lettres" else None


def _placed(image: NDArray[np.uint8], above: int, rows: int) -> NDArray[np.uint8]:
    """The line in a taller strip; above and below, paper like that of its edge rows."""
    return np.pad(image, ((above, rows - ROW - above), (0, 0)), mode="edge") if rows > ROW else image


@dataclass(frozen=True)
class Cheques:
    """Batches of whole cheques: "images" (size, 288, 640, 3) uint8, "tokens" and "owners" of the conversations.

    "texts" are the written lines of all of them; "windows" (lines, 4): cheque, first and last patch column, and
    the middle in pixels of each; "points": where each token is written. Three batches in four keep only `keep` of the
    180 blocks of a cheque ("kept"): all that are written on, and some of the print. That is half the work, and most
    of what there is to learn. `beside` draws a batch of single lines along with each ("lines"). `draw` draws a cheque
    of a seed and a group of hands.
    """

    size: int = 8
    first: int = 0
    hands: str = "seen"
    keep: int = BLOCKS
    beside: Lines | None = None
    draw: Callable[[int, str], Drawn] = draw_cheque

    def __call__(self, number: int) -> Batch:
        rng = random.Random(self.first + number)
        drawn = [self.draw(self.first + number * self.size + i, self.hands) for i in range(self.size)]
        # A line that runs from right to left is no line for CTC.
        written = [(i, text, box) for i, cheque in enumerate(drawn) if not cheque.turned for text, box in cheque.lines]
        said = [targets.whole(cheque.truth) for cheque in drawn]
        points = [_pointed(*one, _scripts(cheque)) for one, cheque in zip(said, drawn, strict=True)]
        tokens, owners, pointed = targets.padded(said, points)
        partly = self.keep < BLOCKS and number % 8 > 1  # two in a row: they are learned from side by side
        return {
            "images": np.stack([np.asarray(cheque.image) for cheque in drawn]),
            "kept": np.stack([_kept(rng, cheque, self.keep) for cheque in drawn]) if partly else None,
            "tokens": tokens,
            "owners": owners,
            "points": pointed,
            "texts": [text for _, text, _ in written],
            "windows": np.array([(i, *_columns(box), (box[1] + box[3]) / 2) for i, _, box in written]),
            "truths": [cheque.truth for cheque in drawn],
            "lines": self.beside(number) if self.beside else None,
        }


def varied_cheque(seed: int, hands: str) -> Drawn:
    """The cheque of a seed, as varied as mail is: its layout, how its picture is taken, whether its amounts agree."""
    rng = random.Random(f"varied {seed}")
    kinds = rng.choices(list(TAKEN), list(TAKEN.values()))[0]
    layouts = "train" if rng.random() < LAYOUTS else None
    return draw_cheque(seed, hands, layouts=layouts, kinds=kinds, discordant=DISCORDANT, hidden=HIDDEN)


def unfamiliar_cheque(seed: int, hands: str) -> Drawn:
    """The cheque of a seed, of a layout that is kept out of all training."""
    return draw_cheque(seed, hands, layouts="kept-out")


def discordant_cheque(seed: int, hands: str) -> Drawn:
    """The cheque of a seed, whose figures and words differ."""
    return draw_cheque(seed, hands, discordant=1.0)


def _script(text: str, middles: NDArray[np.float64] | None, above: int) -> Script | None:
    """A line in its strip; none where its letters were not found."""
    return None if middles is None else Script.along(text, middles.tolist(), above + ROW / 2)


def _scripts(cheque: Drawn) -> dict[str, tuple[str, Script | None]]:
    """For each field that is written its value, and the letters that say it."""
    scripts: dict[str, tuple[str, Script | None]] = {}
    for name, text, (x0, y0, x1, y1) in _named_lines(cheque):
        start, end = (x1, x0) if cheque.turned else (x0, x1)  # upside down the first letter stands on the right
        line = Script.along(text, supervision.between(start, end, text, cheque.hand).tolist(), (y0 + y1) / 2)
        before = scripts[name][1] if name in scripts else None
        scripts[name] = (cheque.truth[name], line if before is None else before + line)
    for name in ("signature", "devise"):
        if name in cheque.boxes:
            x0, y0, x1, y1 = cheque.boxes[name]
            value = cheque.truth[name]
            scripts[name] = (value, Script(value, (((x0 + x1) / 2, (y0 + y1) / 2),) * len(value)))
    return scripts


def _named_lines(cheque: Drawn) -> list[tuple[str, str, Box]]:
    """Every written line with the name of its field: the one whose box holds its middle."""
    named = []
    for text, box in cheque.lines:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        for name in WRITTEN:
            if name in cheque.boxes:
                x0, y0, x1, y1 = cheque.boxes[name]
                if x0 <= x <= x1 and y0 <= y <= y1:
                    named.append((name, text, box))
                    break
    return named


def _pointed(
    tokens: list[int], owners: list[int], scripts: dict[str, tuple[str, Script | None]]
) -> NDArray[np.float32]:
    """The point of each token, from the values and scripts of the fields."""
    points: dict[int, list[Point]] = {
        CHEQUE.names.index(name): value_points(name, value, script)
        for name, (value, script) in scripts.items()
        if script is not None
    }
    return of_tokens(tokens, owners, points)


def _columns(box: Box) -> tuple[int, int]:
    """First and last patch column that a line touches, with a margin of a quarter of a patch."""
    return max(0, (box[0] - 4) // PATCH), min(39, (box[2] + 4) // PATCH)


def _kept(rng: random.Random, cheque: Drawn, keep: int) -> NDArray[np.int64]:
    """Numbers of the blocks that hold writing or a signature, filled up with others at random; in ascending order."""
    inked = np.zeros((9, 20), bool)
    for x0, y0, x1, y1 in [*cheque.boxes.values(), *(box for _, box in cheque.lines)]:
        middle = (y0 + y1) // 2
        top, bottom = min(y0 + 4, middle - PATCH), max(y1 - 4, middle + PATCH)
        inked[max(0, top) // 32 : bottom // 32 + 1, max(0, x0 - 4) // 32 : (x1 + 4) // 32 + 1] = True
    held = np.flatnonzero(inked).tolist()
    others = np.flatnonzero(~inked).tolist()
    rng.shuffle(others)
    return np.sort(np.array((held + others)[:keep] if len(held) <= keep else rng.sample(held, keep)))
