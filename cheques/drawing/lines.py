"""Single handwritten lines: what the eye of a reader learns from before it ever sees a whole cheque."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cheques.drawing import amounts, dates, names, paper
from cheques.drawing.hands import Hand, choose_hand
from cheques.drawing.handwriting import style, suited, width, write

ALPHABET = " " + string.digits + string.ascii_letters + ",./'-#*=€$£&" + "àâçèéêëîïôùûüœÀÂÇÈÉÊËÎÏÔÙÛÜŒ"
"""Every character that a line, or a handwritten value on a cheque, may contain."""


@dataclass(frozen=True)
class Line:
    """A field value as written, with the form that counts (canonical) where the field has one."""

    text: str
    field: str
    canonical: str


def choose_line(rng: random.Random, hand: Hand) -> Line:
    """The value of one field of one cheque; more figures than a cheque has, since figures are what must be read."""
    chance = rng.random()
    currency = amounts.choose_currency(rng)
    if chance < 0.3:
        cents = amounts.choose_cents(rng, currency)
        return Line(amounts.figures(rng, cents, currency), "montant_numerique", amounts.canonical(cents, currency))
    if chance < 0.6:
        text = amounts.words(rng, amounts.choose_cents(rng, currency), currency)
        return Line(in_some_case(rng, text, hand), "montant_lettres", text)
    if chance < 0.78:
        day = dates.choose_date(rng)
        return Line(dates.written(rng, day), "date", day.isoformat())
    if chance < 0.92:
        text = names.payee(rng)
        return Line(text, "beneficiaire", text)
    text = names.town(rng, currency.code)
    return Line(text, "lieu", text)


def draw_line(
    rng: random.Random,
    hands: str = "seen",
    size: tuple[int, int] = (384, 32),
    difficulty: float = 1.0,
    text: str | None = None,
) -> tuple[Image.Image, str]:
    """One field value in one hand, and what a transcriber would type.

    `hands` is "seen", "unseen", "all" or the name of one hand; `size` is (width, height) in pixels; `difficulty` 0 is
    clean, in one size, and 1 as varied as cheques are. `text` writes this instead of a value of its own choosing.
    A text that is too long for the width loses words at one end. The image is grey (mode L), ink dark.
    """
    hand = choose_hand(rng, hands)
    columns, rows = size
    said = suited(text if text is not None else choose_line(rng, hand).text, hand)
    larger = rng.uniform(1, 1.35) if len(said) < 20 else 1.0
    how = style(rng, difficulty, xheight=0.27 * rows * (1 + difficulty * (larger - 1)))
    margin = round(columns * 0.015) + (int(rng.random() * 0.03 * columns * difficulty))
    # As many words as may be written without shrinking letters below two thirds of their size.
    overfull, allowed = width(said, hand, how) / max(1, columns - margin - 6), max(1.0, min(1.35, how.xheight / 6.2))
    while overfull > allowed and " " in said:
        kept = said.split(" ")
        shorter = " ".join(kept[1:] if rng.random() < 0.5 else kept[:-1])
        overfull *= len(shorter) / len(said)
        said = shorter
    d = difficulty
    baseline = rows * (0.68 + d * rng.uniform(-0.07, 0.07))
    ink = write(rng, said, hand, how, size, (margin, baseline)).ink

    sheet = paper.strip(rng, columns, rows, level=250 - d * rng.uniform(0, 45), contrast=d * rng.uniform(0, 34))
    if rng.random() < 0.7 * d:
        row = min(rows - 2, round(baseline + rng.uniform(1, 4)))
        sheet[row] *= rng.uniform(0.45, 0.85)
    darkness = 20 + d * rng.uniform(-20, 70)
    # Ink covers paper by as much as there is of it.
    cover = ink.astype(np.float32) * np.float32(1 / 255)
    sheet += cover * (darkness - sheet)
    if rng.random() < 0.35 * d:
        sheet = paper.blurred(sheet, rng.uniform(0.15, 0.5))
    if d > 0:
        sheet += paper.noise(rng, columns, rows) * np.float32(d * rng.uniform(0, 9))
    return Image.fromarray(np.clip(sheet, 0, 255, out=sheet).astype(np.uint8)), said


def in_some_case(rng: random.Random, text: str, hand: Hand) -> str:
    """An amount in words in small letters, with a capital first, or in capitals (never in joined hands)."""
    chance = rng.random()
    if not hand.joined:
        text = text.replace("cfa", "CFA")
    if chance < 0.35:
        return text[0].upper() + text[1:]
    return text.upper() if chance < 0.42 and not hand.joined else text
