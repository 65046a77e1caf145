"""`chequemate evaluate`: how well a version reads a folder of cheques whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chequemate.output import bars, check_places, warn, write_file
from chequemate.read import adapter_named

if TYPE_CHECKING:
    from reader.reading import Adapter
    from trainer.dataset import Example

console = Console()


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Images and truth.jsonl.")],
    version: Annotated[str, typer.Option(help="A version's name, or base; the champion otherwise.")] = "",
    project: Annotated[str, typer.Option(help="The project the version belongs to.")] = "local",
    free: Annotated[bool, typer.Option(help="Decode without the grammar.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores there.")] = None,
) -> None:
    """Read a folder with images and truth.jsonl, and score the readings."""
    from cheques.fields import CHEQUE
    from cheques.settings import settings
    from reader.open_reader import reader_here
    from trainer.dataset import read_folder
    from trainer.evaluate import evaluate as judge

    check_places(json_file)
    examples, problems = read_folder(folder, CHEQUE)
    warn(problems)
    adapter = adapter_named(settings(), project, version)
    examples = not_learned(examples, adapter, folder)
    with reader_here(settings()) as reader, bars() as progress:
        task = progress.add_task(f"reading with {adapter.name if adapter else 'the base'}", total=len(examples))
        scores = judge(
            reader,
            CHEQUE,
            adapter,
            examples,
            constrained=not free,
            on_read=lambda done, total: progress.update(task, completed=done),
        )
    content = scores.as_json()
    console.print(scores_table(content))
    if json_file:
        write_file(json_file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def not_learned(examples: list[Example], adapter: Adapter | None, folder: Path) -> list[Example]:
    """Those that the adapter was not trained on: it knows the others by heart. Raises DataError where none is left."""
    from store.versions import learned
    from trainer.dataset import DataError

    known = learned(adapter)
    kept = [one for one in examples if one.digest not in known]
    name = adapter.name if adapter else "the base"
    if not kept:
        raise DataError(f"{folder}: {name} was trained on every cheque in it; take others")
    if len(kept) < len(examples):
        warn([f"{len(examples) - len(kept)} of {len(examples)} cheques, which {name} was trained on"])
    return kept


def scores_table(scores: dict[str, Any], title: str = "") -> Table:
    """Scores for people; a dash where there are too few cheques for a number."""
    from study.metrics import percent

    table = Table("", "", title=title, show_header=False)
    table.add_row("cheques", str(scores["n"]))
    table.add_row("exact match, mean of the cheques", percent(scores["mean"]))
    table.add_row("exact match, median", percent(scores["median"]))
    for name, rate in scores["fields"].items():
        table.add_row(f"  {name}", percent(rate))
    table.add_row("cheques without any field right", str(scores["hard"]))
    table.add_row("valid JSON", percent(scores["valid_json"]))
    table.add_row("calibration error", percent(scores["ece"]))
    table.add_row("AUROC of the confidence", "–" if scores["auroc"] is None else f"{scores['auroc']:.3f}")
    for target, rate in scores["read_rate"].items():
        table.add_row(f"amounts read at {float(target):.1%} misread", percent(rate))
    if scores["seconds_per_cheque"] is not None:
        table.add_row("seconds a cheque", f"{scores['seconds_per_cheque']:.2f}")
    return table
