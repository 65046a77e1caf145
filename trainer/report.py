"""What a judgement says: report.json for machines, report.html for people (one file, no network, pictures inside)."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
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
    """What report.json holds. Certified reading and the learning curve use `cheques`, in which there is no value."""
    pairs = zip(contest.candidate.cheques, contest.base.cheques, strict=True)
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
            {
                "id": judged.example.id,
                "digest": judged.example.digest[:16],
                "right": judged.right,
                "base_right": base.right,
                "confidence": judged.reading.confidence,
                "unreadable": [name for name, value in judged.reading.values.items() if value == UNREADABLE],
            }
            for judged, base in pairs
        ],
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
    champion = {f"champion {contest.champion_name}": contest.champion} if contest.champion else {}
    readers = {"base": contest.base, **champion, "candidate": contest.candidate}

    drawn = [plots.field_bars(readers), plots.reliability(contest.candidate)] if contest.candidate.n else []
    if trained.losses:  # none of an adapter that was trained elsewhere
        drawn.append(plots.loss_curve(trained.losses, trained.stops, trained.best_epoch))

    hard, worse = contest.moved(), contest.regressions()
    moved = f"{sum(after.rate > 0 for _, after in hard)} of {len(hard)} moved"
    got_worse = f"{len(worse)} of {contest.candidate.n} are read worse than by {contest.rival_name}"
    hard = sorted(hard, key=lambda pair: -pair[1].rate)

    apart = f" and {len(trained.apart)} kept apart for early stopping and calibration" if trained.apart else ""
    made = [
        ("engine", trained.engine),
        ("lessons", f"{trained.lessons} trained on{apart}"),
        ("steps", f"{trained.steps}, best after epoch {trained.best_epoch}"),
        ("training", f"{trained.seconds / 60:.1f} minutes"),
        ("peak memory", f"{trained.peak_bytes / 2**30:.2f} GiB"),
        ("adapter", f"{adapter_bytes / 2**20:.1f} MiB"),
    ]
    if trained.unusable:
        made.append(("left out", f"{len(trained.unusable)} cheques: no image, or the champion was trained on them"))

    template = Environment(autoescape=True).from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.render(
        title=f"Project {version.project}: a version from {version.labels} labels",
        subtitle=f"base {version.base}, {contest.candidate.n} exam cheques, compared with {contest.rival_name}",
        promoted=decision.promote,
        verdict=verdict(decision),
        reasons=decision.reasons,
        columns=(*readers, "candidate on lessons"),
        rows=score_rows(readers, contest.lessons),
        notes=notes(contest, lessons),
        plots=drawn,
        parts=[
            pictured("Cheques that got worse", got_worse, contest.rival_name.removeprefix("the "), worse),
            pictured("Hard cheques: the base reads no field of them", moved, "base", hard),
        ],
        made=made,
    )


def verdict(decision: Decision) -> str:
    """The decision in one sentence."""
    if decision.promote:
        return f"Promoted: {decision.reasons[0]}."
    if len(decision.reasons) == 1:
        return f"Rejected: {decision.reasons[0]}."
    return f"Rejected for {len(decision.reasons)} reasons:"


def score_rows(readers: Mapping[str, Scores], lessons: Scores) -> list[dict[str, Any]]:
    """The rows of the table of scores. readers: on the exam, the candidate last; lessons: the candidate's on these."""
    columns = [scores.as_json() | scores.beside() for scores in (*readers.values(), lessons)]

    def row(name: str, key: str, form: str = "{:.1%}", main: bool = False) -> dict[str, Any]:
        cells = ["–" if column[key] is None else form.format(column[key]) for column in columns]
        return {"name": name, "main": main, "cells": cells}

    def gain_row(*, median: bool) -> dict[str, Any]:
        cells = []
        for rival in list(readers.values())[:-1]:
            gain = paired_gain(readers["candidate"].rates, rival.rates, median=median)
            cells.append(f"{gain.value * 100:+.1f} ({gain.low * 100:+.1f} to {gain.high * 100:+.1f})" if gain else "–")
        return {"name": "… candidate's gain (95 %)", "cells": [*cells, "", ""]}

    rows = [
        row("cheques", "n", "{}"),
        row("exact match, mean", "mean", main=True),
        gain_row(median=False),
        row("exact match, median", "median", main=True),
        gain_row(median=True),
        row("cheques at 0 %", "hard", "{}"),
        row("letters wrong", "character_errors"),
        row("the very text people typed", "as_written"),
        row("valid JSON under the grammar", "valid_json"),
        row("AUROC of the confidence", "auroc", "{:.3f}"),
        row("calibration error", "ece"),
        row("seconds a cheque", "seconds_per_cheque", "{:.2f}"),
    ]
    for target in columns[0]["read_rate"]:
        rates = [column["read_rate"][target] for column in columns]
        unknown = f"not measurable below {measurable_from(float(target)):,}"
        cells = [unknown if rate is None else f"{rate:.1%}" for rate in rates]
        rows.append({"name": f"amounts read at {float(target):.1%} misread", "cells": cells})
    return rows


def notes(contest: Contest, lessons: Sequence[Example]) -> list[str]:
    """What the table does not say, a sentence each."""
    n, safety = contest.candidate.n, contest.safety
    said = [f"{n} exam cheques: too few for more than a first impression."] if n < 40 else []
    if safety.unlabelled and safety.valid_json is not None and safety.base_valid_json is not None:
        broken = round((1 - safety.valid_json) * safety.unlabelled)
        bound = at_most(broken, safety.unlabelled)
        said.append(
            f"Decoded freely, {safety.valid_json:.1%} of {safety.unlabelled} cheques give valid JSON "
            f"(the base {safety.base_valid_json:.1%}; broken at most {bound:.1%} at 95 %)."
        )
    said.append(f"Reloaded, the adapter reads {safety.same} of {safety.compared} values as at the end of training.")

    known = {origin for one in lessons for origin in one.origin}
    strange = [judged.rate for judged in contest.candidate.cheques if not known.issuperset(judged.example.origin)]
    if known and strange:
        mean = sum(strange) / len(strange)
        said.append(f"{len(strange)} cheques of banks or hands that no lesson shows: {mean:.1%} exact.")
    return said


def pictured(title: str, says: str, rival: str, pairs: Sequence[tuple[Judged, Judged]]) -> dict[str, Any]:
    """A part of the page that shows the first PICTURES cheques: their pictures, and each field before and after."""
    cheques = []
    for before, after in pairs[:PICTURES]:
        image, written = after.example.open().copy(), io.BytesIO()
        image.thumbnail(PICTURE)
        image.save(written, "JPEG", quality=70)
        fields = [
            {
                "name": name,
                "truth": after.example.values.get(name, ""),
                "before": before.reading.values.get(name, ""),
                "after": after.reading.values.get(name, ""),
                "was": before.right[name],
                "is": after.right[name],
            }
            for name in after.right
        ]
        cheques.append(
            {
                "id": after.example.id,
                "says": f"{sum(before.right.values())} → {sum(after.right.values())} of {len(after.right)} fields",
                "picture": base64.b64encode(written.getvalue()).decode(),
                "fields": fields,
            }
        )
    shown = f"; {PICTURES} are shown" if len(pairs) > PICTURES else ""
    return {"title": title, "total": len(pairs), "says": f"{says}{shown}.", "before": rival, "cheques": cheques}
