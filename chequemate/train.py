"""`chequemate train`: a folder of cheques with their truth becomes a version, without Label Studio."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import TaskID

from chequemate.output import bars, check_places, warn, write_file

if TYPE_CHECKING:
    from cheques.settings import Settings
    from trainer.dataset import Example

console = Console()


def train(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Images and truth.jsonl.")],
    exam: Annotated[Path | None, typer.Option(help="Judge on this folder, not on a fifth of DIR.")] = None,
    project: Annotated[str, typer.Option(help="Where the version goes.")] = "local",
    epochs: Annotated[int | None, typer.Option(min=1, help="Times that each lesson is seen at most.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Rank of the adapter.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0.0, help="Step size.")] = None,
    drawn: Annotated[float | None, typer.Option(min=0.0, max=0.9, help="Share of drawn cheques mixed in.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the order, the augmentation and the drawn cheques.")] = None,
    log: Annotated[Path | None, typer.Option(help="TensorBoard log of the training, below this folder.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there, for machines.")] = None,
) -> None:
    """Train on a folder with images and truth.jsonl: the version is judged, and serves if the gate lets it."""
    from cheques.fields import CHEQUE
    from cheques.settings import settings
    from reader.open_reader import open_reader
    from store.database import Store
    from store.versions import Versions
    from trainer.judgement import Step
    from trainer.presets import recipe_here
    from trainer.retrain import retrain

    check_places(json_file)
    chosen = {"epochs": epochs, "rank": rank, "learning_rate": learning_rate, "drawn": drawn, "seed": seed}
    wishes: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    own = settings().model_copy(update={"training_log": log or settings().training_log})
    recipe = replace(recipe_here(own), **wishes)
    versions = Versions(Store.of(own), project)  # refuses a bad name before a folder is made for it
    lessons, judged = split(folder, exam, project, own)
    console.print(f"{len(lessons)} lessons, {len(judged)} exam cheques, base {own.model}", highlight=False)
    known = {version.name for version in versions.list()}
    with bars() as progress:
        stages: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            if step.stage not in stages:
                stages[step.stage] = progress.add_task(step.stage, total=step.total or None)
            loss = f" (loss {step.loss:.3f})" if step.loss is not None else ""
            row, total = stages[step.stage], step.total or None
            progress.update(row, description=step.stage + loss, completed=step.done, total=total)

        images = [one.open for one in judged]
        version = retrain(lessons, judged, images, CHEQUE, versions, lambda: open_reader(own), recipe, own, show)
    if version.name in known:
        console.print(f"{version.name} was made of these very lessons before: nothing was trained")
    colour = "green" if version.decision == "promoted" else "yellow"
    console.print(f"{version.name} {version.decision}: {'; '.join(version.reasons)}", style=colour, soft_wrap=True)
    folder_of_report = version.path / "report"
    console.print(f"report: {folder_of_report / 'report.html'}", soft_wrap=True, highlight=False)
    if json_file:
        file = folder_of_report / "report.json"
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        head = {"version": version.name, "labels": version.labels, "mean": version.mean, "decision": version.decision}
        # The report's own `decision` is the gate's, with its reasons.
        content = head | {"gate": content.pop("decision", None)} | content
        write_file(json_file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def split(folder: Path, exam: Path | None, project: str, settings: Settings) -> tuple[list[Example], list[Example]]:
    """Lessons and exam: by the project's one draw (labelled before, so a fifth is exam), or as the caller says."""
    from cheques.fields import CHEQUE
    from cheques.images import fingerprint
    from store.database import Store
    from store.draw import Draw, is_one_of
    from trainer.dataset import read_folder

    examples, problems = read_folder(folder, CHEQUE)
    warn(problems)
    if exam:
        judged, problems = read_folder(exam, CHEQUE)
        # By what they look like: the same cheque may lie in both folders under two names, or saved anew.
        looks = [fingerprint(one.open()) for one in judged]
        seen = {one.id for one in examples if is_one_of(fingerprint(one.open()), looks)}
        warn(problems + [f"{id} is in {exam} too: what is judged is never trained on" for id in sorted(seen)])
        return [one for one in examples if one.id not in seen], judged
    draw = Draw(Store.of(settings), project)
    places = [draw.place(one.digest[:16], one.open(), labelled=True) for one in examples]
    sides = list(zip(examples, places, strict=True))
    return [one for one, at in sides if at.role == "lesson"], [one for one, at in sides if at.role == "exam"]
