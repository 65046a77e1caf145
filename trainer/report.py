"""What a judgement says: report.json for machines, report.html for people (one file, no network, pictures inside)."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment

from cheques.fields import UNREADABLE
from store.versions import WEIGHTS, Version
from study.gate import Decision
from study.metrics import at_most, measurable_from, paired_gain
from trainer import plots
from trainer.dataset import Example
from trainer.evaluate import Judged, Scores
from trainer.judgement import Contest
from trainer.model_card import write_card
from trainer.recipe import Trained

PICTURES = 12  # of hard cheques, and of regressions
PICTURE = (560, 400)  # pixels at most


def write_report(
    folder: Path, version: Version, contest: Contest, decision: Decision, trained: Trained, lessons: Sequence[Example]
) -> None:
    """Write report/report.json, report/report.html and the adapter's model card below `folder`. Raises OSError."""
    report = folder / "report"
    report.mkdir(exist_ok=True)
    size = (folder / "adapter" / WEIGHTS).stat().st_size
    content = as_json(version, contest, decision, trained, lessons) | {"adapter_bytes": size}
    (report / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    (report / "report.html").write_text(as_html(version, contest, decision, trained, size, lessons), encoding="utf-8")
    write_card(folder / "adapter", version, contest)


def as_json(
    version: Version, contest: Contest, decision: Decision, trained: Trained, lessons: Sequence[Example]
) -> dict[str, Any]:
    return {
        "decision": asdict(decision),
        **contest.as_json(),
        "training": {
            "engine": trained.engine,
            "recipe": version.recipe,
            "lessons": trained.lessons,
            "apart": len(trained.apart),
            "steps": trained.steps,
            "best_epoch": trained.best_epoch,
            "seconds": trained.seconds,
            "peak_bytes": trained.peak_bytes,
            "losses": trained.losses,
            "losses_apart": trained.stops,
            "left_out": trained.unusable,
        },
        "data": {
            "hash": version.dataset,
            "base": version.base,
            "lessons": [one.id for one in lessons],
            "exam": [judged.example.id for judged in contest.candidate.cheques],
        },
        "cheques": [
            _graded(judged, base) for judged, base in zip(contest.candidate.cheques, contest.base.cheques, strict=True)
        ],
    }


def _graded(judged: Judged, base: Judged) -> dict[str, Any]:
    """What certified reading and the learning curve are computed from: no value is in it."""
    unreadable = [name for name, value in judged.reading.values.items() if value == UNREADABLE]
    confidence = judged.reading.confidence
    return {
        "id": judged.example.id,
        "digest": judged.example.digest[:16],
        "right": judged.right,
        "base_right": base.right,
        "confidence": confidence,
        "unreadable": unreadable,
    }


def as_html(
    version: Version,
    contest: Contest,
    decision: Decision,
    trained: Trained,
    adapter_bytes: int,
    lessons: Sequence[Example],
) -> str:
    """The report as one page. It holds pictures and values of cheques: private."""
    readers = _readers(contest)
    template = Environment(autoescape=True).from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    drawn = [plots.field_bars(readers), plots.reliability(contest.candidate)] if contest.candidate.n else []
    return template.render(
        title=f"Project {version.project}: a version from {version.labels} labels",
        subtitle=f"base {version.base}, {contest.candidate.n} exam cheques, compared with {contest.rival_name}",
        promoted=decision.promote,
        verdict=verdict(decision),
        reasons=decision.reasons,
        columns=(*readers, "candidate on lessons"),
        rows=_rows(readers, contest),
        notes=_notes(contest, lessons),
        plots=[*drawn, plots.loss_curve(trained.losses, trained.stops, trained.best_epoch)]
        if trained.losses
        else drawn,
        parts=_parts(contest),
        made=_made(trained, adapter_bytes),
    )


def verdict(decision: Decision) -> str:
    """The decision in one sentence."""
    if decision.promote:
        return f"Promoted: {decision.reasons[0]}."
    if len(decision.reasons) == 1:
        return f"Rejected: {decision.reasons[0]}."
    return f"Rejected for {len(decision.reasons)} reasons:"


def _readers(contest: Contest) -> dict[str, Scores]:
    champion = {f"champion {contest.champion_name}": contest.champion} if contest.champion else {}
    return {"base": contest.base, **champion, "candidate": contest.candidate}


def _rows(readers: dict[str, Scores], contest: Contest) -> list[dict[str, Any]]:
    columns = [scores.as_json() | scores.beside() for scores in (*readers.values(), contest.lessons)]

    def row(name: str, key: str, form: str = "{:.1%}", main: bool = False) -> dict[str, Any]:
        return {"name": name, "main": main, "cells": [_cell(column[key], form) for column in columns]}

    rows = [
        row("cheques", "n", "{}"),
        row("exact match, mean", "mean", main=True),
        _gain_row("… candidate's gain (95 %)", readers, median=False),
        row("exact match, median", "median", main=True),
        _gain_row("… candidate's gain (95 %)", readers, median=True),
        row("cheques at 0 %", "hard", "{}"),
        row("letters wrong", "character_errors"),
        row("the very text people typed", "as_written"),
        row("valid JSON under the grammar", "valid_json"),
        row("AUROC of the confidence", "auroc", "{:.3f}"),
        row("calibration error", "ece"),
        row("seconds a cheque", "seconds_per_cheque", "{:.2f}"),
    ]
    for target in columns[0]["read_rate"]:
        cells = [_read_rate(column["read_rate"][target], float(target)) for column in columns]
        rows.append({"name": f"amounts read at {float(target):.1%} misread", "cells": cells})
    return rows


def _gain_row(name: str, readers: dict[str, Scores], *, median: bool) -> dict[str, Any]:
    cells = []
    for rival in list(readers.values())[:-1]:
        gain = paired_gain(readers["candidate"].rates, rival.rates, median=median)
        cells.append(f"{gain.value * 100:+.1f} ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})" if gain else "–")
    return {"name": name, "cells": [*cells, "", ""]}


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _read_rate(rate: float | None, target: float) -> str:
    return f"not measurable below {measurable_from(target):,}" if rate is None else f"{rate:.1%}"


def _notes(contest: Contest, lessons: Sequence[Example]) -> list[str]:
    n, safety = contest.candidate.n, contest.safety
    notes = [f"{n} exam cheques: too few for more than a first impression."] if n < 40 else []
    if safety.unlabelled and safety.valid_json is not None and safety.base_valid_json is not None:
        broken = round((1 - safety.valid_json) * safety.unlabelled)
        bound = at_most(broken, safety.unlabelled)
        notes.append(
            f"Decoded freely, {safety.valid_json:.1%} of {safety.unlabelled} cheques give valid JSON "
            f"(the base {safety.base_valid_json:.1%}; broken at most {bound:.1%} at 95 %)."
        )
    notes.append(f"Reloaded, the adapter reads {safety.same} of {safety.compared} values as at the end of training.")
    return [*notes, *_origins(contest, lessons)]


def _origins(contest: Contest, lessons: Sequence[Example]) -> list[str]:
    """How banks and hands that no lesson shows are read, where origins are known."""
    known = {origin for one in lessons for origin in one.origin}
    strange = [judged.rate for judged in contest.candidate.cheques if not known.issuperset(judged.example.origin)]
    if not known or not strange:
        return []
    return [f"{len(strange)} cheques of banks or hands that no lesson shows: {sum(strange) / len(strange):.1%} exact."]


def _parts(contest: Contest) -> list[dict[str, Any]]:
    hard, worse = contest.moved(), contest.regressions()
    moved = sum(after.rate > 0 for _, after in hard)
    hard = sorted(hard, key=lambda pair: -pair[1].rate)
    return [
        {
            "title": "Cheques that got worse",
            "total": len(worse),
            "says": _shown(f"{len(worse)} of {contest.candidate.n} are read worse than by {contest.rival_name}", worse),
            "before": contest.rival_name.removeprefix("the "),
            "cheques": [_pictured(before, after) for before, after in worse[:PICTURES]],
        },
        {
            "title": "Hard cheques: the base reads no field of them",
            "total": len(hard),
            "says": _shown(f"{moved} of {len(hard)} moved", hard),
            "before": "base",
            "cheques": [_pictured(before, after) for before, after in hard[:PICTURES]],
        },
    ]


def _shown(says: str, pairs: Sequence[object]) -> str:
    return f"{says}; {PICTURES} are shown." if len(pairs) > PICTURES else f"{says}."


def _pictured(before: Judged, after: Judged) -> dict[str, Any]:
    truth = after.example.values
    return {
        "id": after.example.id,
        "says": f"{sum(before.right.values())} → {sum(after.right.values())} of {len(after.right)} fields",
        "picture": _picture(after.example),
        "fields": [
            {
                "name": name,
                "truth": truth.get(name, ""),
                "before": before.reading.values.get(name, ""),
                "after": after.reading.values.get(name, ""),
                "was": before.right[name],
                "is": after.right[name],
            }
            for name in after.right
        ],
    }


def _picture(example: Example) -> str:
    image, written = example.open().copy(), io.BytesIO()
    image.thumbnail(PICTURE)
    image.save(written, "JPEG", quality=70)
    return base64.b64encode(written.getvalue()).decode()


def _made(trained: Trained, adapter_bytes: int) -> list[tuple[str, str]]:
    kept = f" and {len(trained.apart)} kept apart for early stopping and calibration" if trained.apart else ""
    made = [
        ("engine", trained.engine),
        ("lessons", f"{trained.lessons} trained on{kept}"),
        ("steps", f"{trained.steps}, best after epoch {trained.best_epoch}"),
        ("training", f"{trained.seconds / 60:.1f} minutes"),
        ("peak memory", f"{trained.peak_bytes / 2**30:.2f} GiB"),
        ("adapter", f"{adapter_bytes / 2**20:.1f} MiB"),
    ]
    return made + (
        [("left out", f"{len(trained.unusable)} cheques: no image, or the champion was trained on them")]
        if trained.unusable
        else []
    )
