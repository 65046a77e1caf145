"""The model card that goes with an adapter: numbers and no pictures, so that the folder can be published as it is."""

from __future__ import annotations

from pathlib import Path

from store.versions import Version
from study.metrics import percent
from trainer.judgement import Contest

CARD = """---
library_name: peft
base_model: {base}
pipeline_tag: image-text-to-text
language: fr
tags:
- lora
- cheques
- document-understanding
---

# An adapter that reads cheques

Trained by Chequemate from {labels} labelled cheques, to answer with JSON of these fields: {fields}.

| on {n} exam cheques | base | this adapter |
|---|---|---|
{rows}

Judged {verdict}. Exact match compares canonical values (`1234.56`, `2024-05-03`).

## Limits

Measured on the cheques of one project; other banks, hands and scanners will score otherwise. A reading is a suggestion
for a person: whoever takes amounts without one measures the misread rate first.

## Training

LoRA of rank {rank} on {layers}, learning rate {rate:g}, {minutes:.1f} minutes; lessons and exam drawn apart, training
from the base. Data set {dataset}.
"""


def write_card(adapter: Path, version: Version, contest: Contest) -> None:
    """Write adapter/README.md. Raises OSError."""
    base, candidate = contest.base.as_json(), contest.candidate.as_json()
    rows = [("exact match, mean", base["mean"], candidate["mean"])]
    rows += [("exact match, median", base["median"], candidate["median"])]
    rows += [(name, base["fields"].get(name), rate) for name, rate in candidate["fields"].items()]
    towers = [name for name in ("vision", "language") if version.recipe.get(name)]
    card = CARD.format(
        base=version.base,
        labels=version.labels,
        fields=", ".join(contest.candidate.form.names),
        n=candidate["n"],
        rows="\n".join(f"| {name} | {percent(before)} | {percent(after)} |" for name, before, after in rows),
        verdict="provisionally: too few cheques" if version.provisional else "by the gate on these cheques",
        rank=version.recipe.get("rank"),
        layers=" and ".join(towers),
        rate=version.recipe.get("learning_rate", 0),
        minutes=version.seconds / 60,
        dataset=version.dataset,
    )
    (adapter / "README.md").write_text(card, encoding="utf-8")
