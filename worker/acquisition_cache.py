"""What the reader made of each cheque, as far as the order of labelling hangs on it; kept beside the draw.

A cache: whoever deletes it has the cheques asked for again. Features stay those of a cheque's first reading: what was
labelled long ago was never read by the version of today, and the two are to be compared.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cheques.disk import append_line, locked, replace_file, whole_lines
from cheques.fields import EMPTY, UNREADABLE, Form
from reader.reading import Reading
from worker.acquisition import DIMENSIONS, Floats, Pool

Features = NDArray[np.float16]
STALE = 1000  # lines too many before the file is tidied


@dataclass(frozen=True)
class Sight:
    """One cheque as one version saw it: confidences in the order of the form's fields, None where nothing can be read.

    signal: the confidence of the surest field on which something was read.
    """

    confidence: tuple[float, ...] | None
    signal: float = 0.0


SIGHTS = "sights.jsonl"


class Sights:
    """The sights of one version and one form, and every cheque's features; `sights.jsonl` in `folder`."""

    def __init__(self, folder: Path, version: str, form: Form) -> None:
        self._path, self._version, self._form = folder / SIGHTS, version, form
        self._sights: dict[int, Sight] = {}
        self._features: dict[int, Features] = {}
        lines, _ = whole_lines(self._path)
        for line in lines:
            self._take(line)
        if len(lines) > 2 * len(self._features | self._sights) + STALE:
            self._tidy()

    def _tidy(self) -> None:
        """Leave out what versions of the past were sure of."""
        mine = {"version": self._version, "form": self._form.digest}
        lines = [
            {"task": task, **mine, "confidence": sight.confidence, "signal": sight.signal}
            for task, sight in self._sights.items()
        ]
        past = {"version": "", "form": "", "confidence": None}
        lines += [{"task": task, **past, "features": _text(row)} for task, row in self._features.items()]
        with suppress(OSError), locked(self._path.with_suffix(".lock")):
            replace_file(self._path, "".join(json.dumps(line) + "\n" for line in lines))

    def __contains__(self, task: int) -> bool:
        return task in self._sights

    def __getitem__(self, task: int) -> Sight:
        return self._sights[task]

    def add(self, readings: Mapping[int, Reading | None]) -> None:
        """Keep what was read now; None: the cheque cannot be read."""
        with locked(self._path.with_suffix(".lock")):
            for task, reading in readings.items():
                line = self._line(task, reading)
                with suppress(OSError):  # a full disk only means that cheques are asked for again
                    append_line(self._path, json.dumps(line), durable=False)
                self._take(line)

    def pool(self, tasks: Sequence[int], covered: Sequence[int], worth: Floats) -> Pool:
        """These tasks, all of them read, as arrays; `covered` are the tasks labelled already."""
        confidence = np.array([self._sights[task].confidence for task in tasks], float)
        return Pool(
            confidence=confidence.reshape(len(tasks), len(self._form.names)),
            features=self._rows(tasks),
            worth=worth,
            signal=np.array([self._sights[task].signal for task in tasks], float),
            covered=self._rows([task for task in covered if task in self._features]),
        )

    def _rows(self, tasks: Sequence[int]) -> Floats:
        unknown = np.full(DIMENSIONS, np.nan)
        rows = [self._features.get(task, unknown) for task in tasks]
        return np.array(rows, float).reshape(len(tasks), DIMENSIONS)

    def _line(self, task: int, reading: Reading | None) -> dict[str, object]:
        about: dict[str, object] = {"task": task, "version": self._version, "form": self._form.digest}
        if reading is None:
            return about | {"confidence": None}
        confidence = [round(reading.confidence.get(name, 0.0), 4) for name in self._form.names]
        about |= {"confidence": confidence, "signal": round(signal(reading), 4)}
        if reading.embedding and task not in self._features:
            about["features"] = _text(compact(reading.embedding))
        return about

    def _take(self, line: Mapping[str, object]) -> None:
        task, confidence = int(str(line["task"])), line["confidence"]
        if line["version"] == self._version and line["form"] == self._form.digest:
            known = isinstance(confidence, list)
            self._sights[task] = Sight(tuple(confidence), float(str(line["signal"]))) if known else Sight(None)  # type: ignore[arg-type]
        if isinstance(features := line.get("features"), str):
            self._features.setdefault(task, np.frombuffer(base64.b64decode(features), np.float16))


def _text(features: Features) -> str:
    return base64.b64encode(features.tobytes()).decode()


def signal(reading: Reading) -> float:
    """The confidence of the surest field on which something was read; 0 where nothing was."""
    written = [name for name, value in reading.values.items() if value not in (EMPTY, UNREADABLE)]
    return max((reading.confidence.get(name, 0.0) for name in written), default=0.0)


def compact(embedding: Sequence[float]) -> Features:
    """(DIMENSIONS,): a random projection, always the same, of as many numbers as the reader's features have.

    It keeps distances (Johnson and Lindenstrauss 1984).
    """
    if len(embedding) == DIMENSIONS:
        return np.array(embedding, np.float16)
    projection = np.random.default_rng(len(embedding)).standard_normal((len(embedding), DIMENSIONS))
    projected: Features = (np.array(embedding) @ projection / np.sqrt(DIMENSIONS)).astype(np.float16)
    return projected
