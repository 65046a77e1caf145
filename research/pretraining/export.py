"""The shipped folder: weights in bf16, processor, model card; each file written beside and moved, never in place."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from research.pretraining import model as small
from research.pretraining.checkpoint import Progress

SCORES = "pretraining.json"
WEIGHTS = "model.safetensors"


def better(folder: Path, scores: dict[str, float]) -> bool:
    """Do these scores on the fixed sets exceed those of what the folder holds?"""
    before = _facts(folder).get("scores")
    return before is None or merit(scores) > merit(before)


def seen(folder: Path) -> tuple[int, float]:
    """Cheques and seconds of training that the folder's model has behind it, as it says itself; (0, 0) without."""
    facts = _facts(folder)
    return facts.get("samples", 0), float(facts.get("seconds", 0.0))


def _facts(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / SCORES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def merit(scores: dict[str, float]) -> float:
    return sum(score for name, score in scores.items() if name.endswith("_exact"))


def export(folder: Path, model: Any, progress: Progress, scores: dict[str, float]) -> None:
    """Replaces the folder's model. Weights go last, then the scores: a kill between leaves a whole model."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        written = Path(beside)
        small.save_frame(written)
        _save_weights(written / WEIGHTS, {name: w.to(torch.bfloat16) for name, w in model.state_dict().items()})
        samples, seconds = progress.before
        facts = {"stage": progress.stage, "samples": samples + progress.samples}
        facts |= {"seconds": round(seconds + progress.seconds)}
        facts |= {"parameters": small.parameters(model), "scores": {n: round(v, 4) for n, v in scores.items()}}
        (written / "README.md").write_text(card(facts), encoding="utf-8")
        (written / SCORES).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        files = sorted(written.iterdir(), key=lambda file: (file.name == SCORES, file.name == WEIGHTS))
        for file in files:
            file.chmod(0o644)
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            file.replace(folder / file.name)


def _save_weights(path: Path, weights: dict[str, Any]) -> None:
    """Without the output embedding, which is the input embedding."""
    from safetensors.torch import save_file

    kept = {name: w.detach().cpu().contiguous() for name, w in weights.items() if name != "lm_head.weight"}
    save_file(kept, path, metadata={"format": "pt"})


def card(facts: dict[str, Any]) -> str:
    """The model card, in the format of model hubs."""
    scores = facts["scores"]
    lines = "\n".join(
        f"| {title} | {scores.get(f'seen_{key}', float('nan')):.3f} | {scores.get(f'unseen_{key}', float('nan')):.3f} |"
        for title, key in ROWS
    )
    return CARD.format(lines=lines, millions=facts["parameters"] / 1e6, **facts)


ROWS = (
    ("mean of the seven fields", "exact"),
    ("montant_numerique", "montant_numerique"),
    ("montant_lettres", "montant_lettres"),
    ("date", "date"),
    ("beneficiaire", "beneficiaire"),
    ("signature", "signature"),
    ("lieu", "lieu"),
    ("devise", "devise"),
)

CARD = """\
---
license: apache-2.0
language: fr
pipeline_tag: image-text-to-text
---
# The small reader of Chequemate

**For demonstration and tests, not for production.** It has only ever seen drawn cheques.

- **What it is.** A Qwen3-VL of {millions:.1f} million parameters (the classes of transformers, built from a
  configuration; no weights of anybody else), with a byte-level tokenizer of its own. It answers one picture of a
  cheque with the JSON of seven fields.
- **Data.** Nothing but what `cheques/drawing` draws: made-up banks, names and amounts, in 30 handwriting fonts under
  open licences. Eight more hands, the `unseen`, are never trained on. No real cheque, no person's data.
- **Steps.** The vision tower learns to spell single lines (connectionist temporal classification, the alignment given
  away at the start); the whole model then says single lines; then it reads whole cheques at 640 x 288 pixels while the
  tower goes on spelling in place. Last stage: {stage}, {samples} samples in {seconds} seconds of training. Muon and
  AdamW, bf16 with fp32 masters. Again: `chequemate pretrain --minutes M`.
- **Scores** on 64 fixed drawn cheques of either kind that training never saw (exact match of canonical values, each
  field given the true fields before it). The best checkpoint was chosen on them; what it reads of others is in the
  README of the repository:

| field | seen hands | unseen hands |
|---|---|---|
{lines}

- **Limits.** Drawn handwriting is not handwriting: expect little on real cheques before fine-tuning. Cheques are read
  at about 184,000 pixels; it knows French amounts and the currencies of the form, and no other form without training.
"""
