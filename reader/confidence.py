"""How far a reading can be trusted: token log-probabilities and cross-checks -> the probability that a value is right.

Log-probabilities are those of the scores after the grammar's mask, as vLLM gives them: a forced token has 0. So the
local reader and a server mean the same by a confidence.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from cheques.amounts import cents_of_words, words_and_figures_agree
from cheques.fields import CURRENCIES, EMPTY, UNREADABLE, Field, Form

FILE = "confidence.json"
FORCED = 20.0  # the margin of a token that had no rival
DISAGREEMENT = 0.5  # no amount is more certain than this where words and figures disagree: one of them is wrong
ENOUGH = 140  # values (20 cheques of 7 fields) below which nothing is fitted, and the prior stands
ENOUGH_OF_EACH = 10
VALUE = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*"((?:[^"\\]|\\.)*)"')

Evidence = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Token:
    """One token of an answer: its bytes, its log-probability, and by how much it beat the runner-up."""

    spelt: bytes
    logprob: float
    margin: float


def token_evidence(tokens: Sequence[Token]) -> dict[str, dict[str, float]]:
    """By key of the JSON that the tokens spell: what they say about its value.

    The closing quote counts with the value, since it says that nothing follows; a token may hold it and the next key.
    total, mean, low: sum, mean and lowest log-probability; margin: the smallest; length: letters.
    """
    starts = np.cumsum([0, *(len(token.spelt) for token in tokens)])
    spelt = b"".join(token.spelt for token in tokens)
    evidence = {}
    for match in VALUE.finditer(spelt):
        start, end = match.span(2)
        # The tokens that reach into the value or its closing quote, at byte `end`; the first half of a letter
        # may come as a token without bytes, and the value starts with it all the same.
        first = min(int(np.searchsorted(starts, start)), int(np.searchsorted(starts, start, "right")) - 1)
        last = int(np.searchsorted(starts, end, "right"))
        value = tokens[first:last]
        logs = [token.logprob for token in value]
        evidence[unescaped(match[1])] = {
            "total": sum(logs),
            "mean": sum(logs) / len(logs),
            "low": min(logs),
            "margin": min(token.margin for token in value),
            "length": float(len(unescaped(match[2]))),
        }
    return evidence


def unescaped(escaped: bytes) -> str:
    """The text of a JSON string, of which the quotes are left out; as it stands where it is damaged."""
    text = escaped.decode(errors="replace")
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def cross_checks(form: Form, values: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """By field, what the other fields and the calendar say about its value; empty where they say nothing."""
    checks: dict[str, dict[str, float]] = {name: {} for name in form.names}
    figures, words, currency = amount_fields(form)
    if figures and words:
        agree = words_and_figures_agree(values.get(words.name, ""), values.get(figures.name, ""))
        for field in (figures, words):
            checks[field.name] |= {"agree": float(agree is True), "disagree": float(agree is False)}
    # Words may name the currency too: `dinars` rules out euros.
    if currency and words:
        said = cents_of_words(values.get(words.name, ""))
        if said and said.may_be and values.get(currency.name):
            fit = values[currency.name] in said.may_be
            checks[currency.name] |= {"agree": float(fit), "disagree": float(not fit)}
    for field in form:
        value = values.get(field.name, "")
        checks[field.name] |= {"empty": float(value == EMPTY), "unreadable": float(value == UNREADABLE)}
        if field.kind == "date" and value not in (EMPTY, UNREADABLE):
            try:
                checks[field.name]["year"] = date.fromisoformat(value).toordinal() / 365.25
            except ValueError:
                checks[field.name]["impossible"] = 1.0
    return checks


def amount_fields(form: Form) -> tuple[Field | None, Field | None, Field | None]:
    """The fields of the courtesy amount, the legal amount and the currency; None where the form has none."""
    figures = next((field for field in form if field.kind == "amount"), None)
    words = next((field for field in form if field.kind == "words"), None)
    currency = next((f for f in form if f.kind == "choice" and f.choices and set(f.choices) <= set(CURRENCIES)), None)
    return figures, words, currency


# What the classifier sees of one value. `odds` is the log-odds of the whole value by the model's own reckoning, so with
# a weight of 1 and all others 0 the classifier is the prior.
FEATURES = ("odds", "low", "mean", "margin", "length", "agree", "disagree", "empty", "unreadable", "impossible", "far")
FAR = 5.0  # years from the middle of the other cheques' dates; farther is no more surprising


def features(evidence: Mapping[str, float], middle: float) -> list[float]:
    """FEATURES of one value. middle: of the other cheques' dates, in years."""
    whole = min(max(math.exp(evidence["total"]), 1e-4), 1 - 1e-4)
    return [
        math.log(whole / (1 - whole)),
        max(evidence["low"], -8.0),
        max(evidence["mean"], -4.0),
        min(evidence["margin"], 8.0),
        math.log1p(evidence["length"]),
        *(evidence.get(name, 0.0) for name in ("agree", "disagree", "empty", "unreadable", "impossible")),
        min(abs(evidence["year"] - middle), FAR) if "year" in evidence else 0.0,
    ]


@dataclass(frozen=True)
class Calibration:
    """A logistic regression over FEATURES, with an intercept and a weight of `odds` of its own for each field.

    mean, scale: of each feature where it was fitted. middle: the median date there, in years. values: how many
    values it was fitted on; 0 is the prior.
    """

    weights: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    intercepts: Mapping[str, float]
    slopes: Mapping[str, float]
    middle: float
    values: int
    features: tuple[str, ...] = FEATURES

    def confidence(self, form: Form, evidence: Evidence) -> dict[str, float]:
        """By field with evidence, the probability in [0, 1] that its value is right."""
        found = {}
        for name in form.names:
            if "total" in evidence.get(name, {}):
                x = (np.array(features(evidence[name], self.middle)) - self.mean) / self.scale
                z = float(x @ np.array(self.weights)) + self.intercepts.get(name, 0.0)
                z += self.slopes.get(name, 0.0) * float(x[0])
                found[name] = 1 / (1 + math.exp(-max(min(z, 30.0), -30.0)))
        figures, words, _ = amount_fields(form)
        for field in (figures, words):
            if field and field.name in found and evidence[field.name].get("disagree"):
                found[field.name] = min(found[field.name], DISAGREEMENT)
        return found

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration | None:
        """What was stored, or None where the file is missing, damaged, or of other features than today's."""
        try:
            stored = json.loads(path.read_text())
            tuples = {name: tuple(stored[name]) for name in ("weights", "mean", "scale", "features")}
            calibration = cls(**(stored | tuples))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return calibration if calibration.features == FEATURES else None


# Without labels: what the model itself says of the whole value, less where a cross-check contradicts it.
PRIOR = Calibration(
    weights=(1.0, 0.0, 0.0, 0.0, 0.0, 0.5, -1.5, 0.0, 0.0, -3.0, 0.0),
    mean=(0.0,) * len(FEATURES),
    scale=(1.0,) * len(FEATURES),
    intercepts={},
    slopes={},
    middle=0.0,
    values=0,
)


def fit(form: Form, evidence: Sequence[Evidence], right: Sequence[Mapping[str, bool]]) -> Calibration:
    """The calibration that these readings teach: evidence of each, and which of its fields were right (if known).

    Returns PRIOR where they are too few (ENOUGH values, ENOUGH_OF_EACH of either kind) to teach anything.
    """
    rows = [
        (name, reading[name], int(truth[name]))
        for reading, truth in zip(evidence, right, strict=True)
        for name in form.names
        if "total" in reading.get(name, {}) and name in truth
    ]
    outcomes = np.array([outcome for _, _, outcome in rows])
    if len(rows) < ENOUGH or min(outcomes.sum(), len(rows) - outcomes.sum()) < ENOUGH_OF_EACH:
        return PRIOR

    from sklearn.linear_model import LogisticRegression

    years = [of["year"] for _, of, _ in rows if "year" in of]
    middle = float(np.median(years)) if years else 0.0
    x = np.array([features(of, middle) for _, of, _ in rows])
    # A feature that never varies must not be divided by zero.
    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-3)
    x = (x - mean) / scale
    # A column for each field gives its intercept; the same times the odds gives its slope.
    own = np.array([[name == of for of in form.names] for name, _, _ in rows], float)
    model = LogisticRegression(C=1.0, max_iter=2000).fit(np.hstack([x, own, own * x[:, :1]]), outcomes)
    weights, intercept = model.coef_[0], float(model.intercept_[0])
    fields, kinds = len(form.names), len(FEATURES)
    return Calibration(
        weights=rounded(weights[:kinds]),
        mean=rounded(mean),
        scale=rounded(scale),
        intercepts=dict(zip(form.names, rounded(weights[kinds : kinds + fields] + intercept), strict=True)),
        slopes=dict(zip(form.names, rounded(weights[kinds + fields :]), strict=True)),
        middle=middle,
        values=len(rows),
    )


def rounded(numbers: Any) -> tuple[float, ...]:
    """As a calibration stores them."""
    return tuple(round(float(number), 6) for number in numbers)
