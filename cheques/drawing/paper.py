"""Paper: guilloches, noise and blur, made once and cropped at random, so that a cheque costs milliseconds."""

from __future__ import annotations

import random
from functools import cache, lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cheques.drawing import patterns
from cheques.drawing.patterns import TALL, WIDE

Sheet = NDArray[np.float32]
"""Grey values from 0 to 255, shape (height, width)."""
Grid = TypeVar("Grid", NDArray[np.float32], NDArray[np.uint8])

PATTERNS = 12


@cache
def guilloche(number: int) -> Sheet:
    """One of the security patterns: fine interlaced waves from 0 (paper) to 1 (line), larger than any cheque."""
    rng = np.random.default_rng(1000 + number)
    y, x = np.mgrid[0:TALL, 0:WIDE].astype(np.float32)
    pattern = np.zeros((TALL, WIDE), np.float32)
    for _ in range(2 + number % 2):
        period, swing, length = rng.uniform(5, 12), rng.uniform(3, 16), rng.uniform(40, 160)
        angle = rng.uniform(-0.9, 0.9)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        phase = across + swing * np.sin(along * (2 * np.pi / length))
        phase = phase + 4 * np.sin(along * (2 * np.pi / (length * 0.37)))
        wave = np.cos(phase * (2 * np.pi / period))
        pattern = np.maximum(pattern, np.clip((wave - 0.55) / 0.45, 0, 1))
    return pattern


@cache
def noise_sheet() -> Sheet:
    """Noise of mean 0 and deviation 1, larger than any cheque."""
    return np.random.default_rng(7).standard_normal((TALL, WIDE), dtype=np.float32)


def cropped(rng: random.Random, sheet: Grid, columns: int, rows: int) -> Grid:
    """A random part of a sheet; one larger than the sheet repeats it."""
    # A crop that fills most of a sheet would always look the same: the sheet is repeated.
    if rows > TALL // 2 or columns > WIDE // 2:
        sheet = np.tile(sheet, (-(-2 * rows // TALL), -(-2 * columns // WIDE)))
    top = int(rng.random() * (sheet.shape[0] - rows))
    left = int(rng.random() * (sheet.shape[1] - columns))
    return sheet[top : top + rows, left : left + columns]


def strip(rng: random.Random, columns: int, rows: int, level: float, contrast: float) -> Sheet:
    """Paper of a grey level with a guilloche darker by `contrast`, its own to write on."""
    pattern = cropped(rng, guilloche(int(rng.random() * PATTERNS)), columns, rows)
    return np.float32(level) - np.float32(contrast) * pattern


def pattern(rng: random.Random, number: int, columns: int, rows: int) -> NDArray[np.uint8]:
    """A random part of a guilloche as steps from 0 (paper) to 255 (line)."""
    return cropped(rng, guilloche_steps(number % PATTERNS), columns, rows).copy()


@cache
def guilloche_steps(number: int) -> NDArray[np.uint8]:
    """A guilloche as steps from 0 (paper) to 255 (line)."""
    return (guilloche(number) * 255).astype(np.uint8)


def texture(rng: random.Random, number: int, columns: int, rows: int) -> NDArray[np.uint8]:
    """A random part of a pattern of `cheques.drawing.patterns`, as steps from 0 (paper) to 255 (line)."""
    return cropped(rng, guilloche_steps(number) if number < PATTERNS else patterns.steps(number), columns, rows).copy()


def noise(rng: random.Random, columns: int, rows: int) -> Sheet:
    """Noise of mean 0 and deviation 1; not to be written on."""
    return cropped(rng, noise_sheet(), columns, rows)


@lru_cache(maxsize=16)
def grain_sheet(deviation: int) -> NDArray[np.uint8]:
    """The noise around 128, as steps of grey."""
    return np.clip(128 + deviation * noise_sheet(), 0, 255).astype(np.uint8)


def grain(rng: random.Random, deviation: int, columns: int, rows: int) -> NDArray[np.uint8]:
    """Noise around 128, as steps of grey."""
    return np.ascontiguousarray(cropped(rng, grain_sheet(deviation), columns, rows))


def blurred(sheet: Sheet, amount: float) -> Sheet:
    """The sheet mixed with its neighbours, 0 not at all and 1 wholly."""
    near = sheet.copy()
    near[1:-1] = (sheet[:-2] + sheet[2:]) * np.float32(0.5)
    near[:, 1:-1] += (sheet[:, :-2] + sheet[:, 2:]) * np.float32(0.5)
    near[:, 1:-1] *= np.float32(0.5)
    return sheet + np.float32(amount) * (near - sheet)
