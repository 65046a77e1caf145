"""`chequemate train`: a folder of cheques with their truth becomes a version, without Label Studio."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from chequemate.output import bars, check_places, warn, write_file

if TYPE_CHECKING:
    from cheques.settings import Settings
    from store.versions import Version
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
    chosen: dict[str, Any] = {
        "epochs": epochs,
        "rank": rank,
        "learning_rate": learning_rate,
        "drawn": drawn,
        "seed": seed,
    }
    own = settings().model_copy(update={"training_log": log or settings().training_log})
    recipe = replace(recipe_here(own), **{name: value for name, value in chosen.items() if value is not None})
    versions = Versions(Store.of(own), project)  # which refuses what is no project, before a folder is made for it
    lessons, judged = split(folder, exam, project, own)
    console.print(f"{len(lessons)} lessons, {len(judged)} exam cheques, base {own.model}", highlight=False)
    known = {version.name for version in versions.list()}
    with bars() as progress:
        stages: dict[str, object] = {}

        def show(step: Step) -> None:
            if step.stage not in stages:
                stages[step.stage] = progress.add_task(step.stage, total=step.total or None)
            loss = f" (loss {step.loss:.3f})" if step.loss is not None else ""
            progress.update(
                stages[step.stage],  # type: ignore[arg-type]
                description=step.stage + loss,
                completed=step.done,
                total=step.total or None,
            )

        version = retrain(
            lessons,
            judged,
            [one.open for one in judged],
            CHEQUE,
            versions,
            lambda: open_reader(own),
            recipe,
            own,
            show,
        )
    if version.name in known:
        console.print(f"{version.name} was made of these very lessons before: nothing was trained")
    _tell(version)
    if json_file:
        write_file(json_file, _report(version))


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
        looks = [fingerprint(one.open()) for one in judged]
        seen = {one.id for one in examples if is_one_of(fingerprint(one.open()), looks)}
        warn(problems + [f"{id} is in {exam} too: what is judged is never trained on" for id in sorted(seen)])
        return [one for one in examples if one.id not in seen], judged
    draw = Draw(Store.of(settings), project)
    places = [draw.place(one.digest[:16], one.open(), labelled=True) for one in examples]
    sides = list(zip(examples, places, strict=True))
    return [one for one, at in sides if at.role == "lesson"], [one for one, at in sides if at.role == "exam"]


def _report(version: Version) -> str:
    report = version.path / "report" / "report.json"
    content = json.loads(report.read_text(encoding="utf-8")) if report.is_file() else {}
    head = {"version": version.name, "labels": version.labels, "mean": version.mean, "decision": version.decision}
    return json.dumps(head | {"gate": content.pop("decision", None)} | content, indent=1, ensure_ascii=False) + "\n"


def _tell(version: Version) -> None:
    colour = "green" if version.decision == "promoted" else "yellow"
    console.print(f"{version.name} {version.decision}: {'; '.join(version.reasons)}", style=colour, soft_wrap=True)
    console.print(f"report: {version.path / 'report' / 'report.html'}", soft_wrap=True, highlight=False)
