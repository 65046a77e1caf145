"""What the confidence is worth: AUROC, calibration error and read rate on drawn cheques, with and without its parts.

`python -m research.bench.confidence [--fit N] [--test N] [--model M] [--write] [--json FILE]` reads drawn cheques, half
of them in hands that the model never saw; fits on the first N, judges on others, whose seeds are used nowhere else.
`--write` stores the calibration in the model's folder, as the base's; with `--test 0` that is all it does.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Images
from PIL.Image import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE
from cheques.settings import Settings
from cheques.values import exact
from reader.confidence import FILE, PRIOR, Calibration, features, fit
from reader.local.local_reader import LocalReader
from reader.reading import Reading
from research.bench.parts import arguments, tell
from study.metrics import auroc, calibration_error, read_rate

FIRST_SEED = 7_000_000
AMOUNT = ("montant_numerique", "montant_lettres")


@dataclass(frozen=True)
class Sample:
    """Readings of drawn cheques: which fields were right, and whether a second look said the same."""

    readings: list[Reading]
    right: list[dict[str, bool]]
    same: list[dict[str, bool]]

    def __getitem__(self, part: slice) -> Sample:
        return Sample(self.readings[part], self.right[part], self.same[part])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--fit", type=int, default=600)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    reader = LocalReader(Settings(model=given.model, threads=given.threads, _env_file=None))
    sample, seconds = read(reader, given.fit + given.test, second_view=given.test > 0)
    lessons, exam = sample[: given.fit], sample[given.fit :]
    calibration = fit(CHEQUE, [reading.evidence for reading in lessons.readings], lessons.right)
    if given.write:
        calibration.save(Path(given.model) / FILE)
    if not given.test:
        return
    found = {
        "exact": float(np.mean([hit for right in exam.right for hit in right.values()])),
        "fitted_on_values": calibration.values,
        "prior": scores(exam, by(PRIOR, exam)),
        "fitted": scores(exam, by(calibration, exam)),
        "mean_log_probability_alone": scores(exam, of_columns(lessons, exam, ["mean"])),
        "whole_log_probability_alone": scores(exam, of_columns(lessons, exam, ["odds"])),
        "without_second_view": scores(exam, of_columns(lessons, exam, None)),
        "with_second_view": scores(exam, of_columns(lessons, exam, None, second_view=True)),
        "seconds": seconds,
    }
    tell(found, given.json)


def read(reader: LocalReader, count: int, second_view: bool) -> tuple[Sample, dict[str, float]]:
    """Cheques in seen and unseen hands by turns, each read once, or twice."""
    drawn = [draw_cheque(FIRST_SEED + n, hands="unseen" if n % 2 else "seen") for n in range(count)]
    started = time.process_time()
    readings = reader.read([one.image for one in drawn], CHEQUE)
    first = time.process_time()
    again = reader.read([other_view(one.image) for one in drawn], CHEQUE) if second_view else readings
    seconds = {"first_view": (first - started) / count, "second_view": (time.process_time() - first) / count}
    right = [exact(CHEQUE, one.truth, reading.values) for one, reading in zip(drawn, readings, strict=True)]
    same = [exact(CHEQUE, a.values, b.values) for a, b in zip(readings, again, strict=True)]
    return Sample(readings, right, same), seconds


def other_view(image: Image) -> Image:
    """The same cheque a little smaller and off the patches' grid."""
    width, height = image.size
    page = Images.new("RGB", image.size, "white")
    page.paste(image.resize((round(width * 0.97), round(height * 0.97)), Images.Resampling.BICUBIC), (7, 5))
    return page


def by(calibration: Calibration, sample: Sample) -> list[dict[str, float]]:
    return [calibration.confidence(CHEQUE, reading.evidence) for reading in sample.readings]


def of_columns(
    lessons: Sample, exam: Sample, columns: Sequence[str] | None, second_view: bool = False
) -> list[dict[str, float]]:
    """Confidences of a logistic regression for each field on some of the features, and on the second view."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found: list[dict[str, float]] = [{} for _ in exam.readings]
    for name in CHEQUE.names:
        x, y = _rows(lessons, name, columns, second_view)
        asked, _ = _rows(exam, name, columns, second_view)
        if 0 < sum(y) < len(y):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000)).fit(x, y)
            probabilities = model.predict_proba(asked)[:, 1]
        else:
            probabilities = np.full(len(asked), np.mean(y))
        for row, probability in zip(found, probabilities, strict=True):
            row[name] = float(probability)
    return found


def _rows(sample: Sample, name: str, columns: Sequence[str] | None, second_view: bool) -> tuple[Any, list[bool]]:
    from reader.confidence import FEATURES

    kept = [n for n, feature in enumerate(FEATURES) if columns is None or feature in columns]
    x = np.array([features(reading.evidence[name], middle=2020.0) for reading in sample.readings])[:, kept]
    if second_view:
        x = np.hstack([x, np.array([[same[name]] for same in sample.same], float)])
    return x, [right[name] for right in sample.right]


def scores(sample: Sample, confidences: list[dict[str, float]]) -> dict[str, float | None]:
    """AUROC and calibration error over all values; read rate of the amounts, both of which must be right."""
    pairs = [(c[f], hit) for c, right in zip(confidences, sample.right, strict=True) for f, hit in right.items()]
    confidence, right = np.array([c for c, _ in pairs]), np.array([hit for _, hit in pairs])
    amounts = np.array([min(c[name] for name in AMOUNT) for c in confidences])
    both = np.array([all(right[name] for name in AMOUNT) for right in sample.right])
    return {
        "auroc": auroc(confidence, right),
        "ece": calibration_error(confidence, right),
        "read_rate_at_1_percent": read_rate(amounts, both, 0.01),
        "read_rate_at_0.1_percent": read_rate(amounts, both, 0.001),
    }


if __name__ == "__main__":
    main()
