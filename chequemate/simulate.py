"""`chequemate simulate`: annotators who know the truth, at work on the running stack over Label Studio's own API."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chequemate.output import check_places, write_file

if TYPE_CHECKING:
    from store.draw import Draw
    from store.versions import Versions
    from studio.client import Studio
    from studio.config import Config


@dataclass(frozen=True)
class Served:
    """One cheque as it came up: its task, the score by which it came, the version shown, and whether it is exam."""

    task: int
    score: float | None
    version: str
    exam: bool
    corrected: int
    seconds: float


def simulate(
    labels: Annotated[int, typer.Option(min=1, help="How many cheques to label.")] = 60,
    project: Annotated[int | None, typer.Option(help="Label Studio project; the only one served if left out.")] = None,
    truth: Annotated[Path | None, typer.Option(help="truth.jsonl; the demo's own if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Of the annotators' speed.")] = 0,
    breaks: Annotated[bool, typer.Option(help="Pause while a version is trained, to see what each one brings.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was served and learned here.")] = None,
) -> None:
    """Let simulated annotators label cheques, and watch the model learn."""
    from cheques.settings import settings
    from store.database import Store
    from store.draw import Draw
    from store.projects import settings_of
    from store.versions import Versions
    from studio.client import Studio
    from studio.formats import read_config

    check_places(json_file)
    chosen = settings()
    studio = Studio.of(chosen)
    number = project or only_project()
    config = read_config(studio.project(number).label_config)
    answers = read_truth(truth or chosen.home / "files" / "cheques" / "truth.jsonl")
    store = Store.of(chosen)
    draw, every = Draw(store, number), settings_of(store, chosen, number).retrain_every
    versions, console, chance = Versions(store, number), Console(), random.Random(seed)
    known = {version.name for version in versions.list()}
    served: list[Served] = []
    spent: dict[str, float] = {"labelling": 0.0, "waiting": 0.0}

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        row = bar.add_task("labelling", total=labels)

        def say(text: str) -> None:
            bar.update(row, description=text)

        while len(served) < labels:
            started = time.monotonic()
            if (one := label_next(studio, number, config, answers, draw, chance)) is None:
                bar.print("every cheque is labelled")
                break
            served.append(one)
            bar.update(row, advance=1, description="labelling")
            spent["labelling"] += time.monotonic() - started
            if breaks:
                spent["waiting"] += until_idle(number, every, say)
            for version in versions.list():
                if version.name not in known:
                    known.add(version.name)
                    bar.print(f"{version.name}: {told(version.mean)} on the exam, {version.decision}")

    outcome = report(versions, served)
    show(console, outcome, spent, served)
    if json_file:
        write_file(json_file, json.dumps(outcome, ensure_ascii=False, indent=1) + "\n")


def only_project() -> int:
    """The one project that is served; a usage error where there are none or several."""
    from cheques.settings import settings
    from store.projects import served

    projects = served(settings())
    if len(projects) != 1:
        known = ", ".join(map(str, projects)) or "none: run `make demo` or `chequemate connect --project N` first"
        raise typer.BadParameter(f"say which project with --project; served are {known}")
    return projects[0]


def read_truth(file: Path) -> dict[str, dict[str, str]]:
    """File name of the image -> its true values."""
    try:
        lines = [json.loads(line) for line in file.read_text().splitlines() if line]
        return {line.pop("image"): line for line in lines}
    except (OSError, ValueError, KeyError) as error:
        raise typer.BadParameter(f"{file}: {error}; give the truth of the project's images with --truth") from None


def label_next(
    studio: Studio,
    project: int,
    config: Config,
    answers: Mapping[str, Mapping[str, str]],
    draw: Draw,
    chance: random.Random,
) -> Served | None:
    """Take the next cheque as the "Label All Tasks" button does, correct what differs from the truth, submit."""
    from studio.storages import uri_at

    task = studio.next_task(project)
    if task is None:
        return None
    # The name in the truth, behind the folder of local storage and the hex digits that uploads carry.
    image = config.image_of(task["data"])
    name = (uri_at(image) or image).rsplit("/", 1)[-1].rsplit("-", 1)[-1]
    if name not in answers:
        raise typer.BadParameter(f"no truth for the image of task {task['id']}; give the right file with --truth")
    shown: Mapping[str, Any] = next(iter(task.get("predictions") or ()), {})
    result, typed = corrected(shown.get("result") or [], config, answers[name])
    # A glance at the cheque, then some seconds for each field typed: the speeds are made up, their order is not.
    seconds = 6.0 * chance.lognormvariate(0, 0.3) + 5.0 * typed * chance.lognormvariate(0, 0.2)
    studio.annotate(task["id"], result, lead_time=round(seconds, 1), parent_prediction=shown.get("id"))
    place = draw.get(task["id"])
    exam = place is not None and place.role == "exam"
    return Served(task["id"], shown.get("score"), shown.get("model_version") or "", exam, typed, round(seconds, 1))


def corrected(
    shown: list[dict[str, Any]], config: Config, truth: Mapping[str, str]
) -> tuple[list[dict[str, Any]], int]:
    """The regions that a careful annotator leaves behind, and how many fields they had to change or fill in."""
    from cheques.values import exact
    from studio.formats import region, values_of

    regions = {one["from_name"]: one for one in shown}
    before = values_of(shown, config.form).first
    right = exact(config.form, truth, before)  # equal amounts are left as they are: 12.50 for 12.500 dinars
    result, typed = [], 0
    for field in config.form:
        old = before.get(field.name)
        kept = old is not None and right[field.name]
        left = regions[field.name] if kept else region(config, field, truth.get(field.name, ""))
        typed += not kept and (old is not None or left is not None)
        if left:
            result.append({**left, "origin": "prediction" if kept else "prediction-changed" if old else "manual"})
    return result, typed


def until_idle(project: int, every: int, say: Callable[[str], None]) -> float:
    """Wait until nothing is due, trained or read for the project; the seconds it took.

    A `reconcile` alone is not waited for: it comes on a timer too, and on a busy machine one follows the other.
    """
    from worker.queue import PRELABEL, RETRAIN, connect, job_progress, labels_needed

    started, connection = time.monotonic(), connect()
    while True:
        jobs = {name: job for name in (PRELABEL, RETRAIN) if (job := job_progress(connection, name, project))}
        at_work = {name: job.get("stage") or job["status"] for name, job in jobs.items() if job["status"] != "failed"}
        if not at_work and labels_needed(connection, project, every):
            return time.monotonic() - started
        name, stage = next(iter(at_work.items()), ("reconcile", "counts the labels"))
        say(f"the worker: {name}, {stage}")
        time.sleep(0.5)


def told(mean: float | None) -> str:
    return "no score" if mean is None else f"exact match {mean:.3f}"


def report(versions: Versions, served: list[Served]) -> dict[str, Any]:
    """What the run brought, as JSON; the base's score is the one measured beside the latest version."""
    listed = list(versions.list())
    base = None
    for version in reversed(listed):
        if (file := version.path / "report" / "report.json").exists():
            base = json.loads(file.read_text()).get("base", {}).get("mean")
            break
    return {
        "labels": len(served),
        "base": {"mean": None if base is None else float(base)},
        "versions": [
            {"version": v.name, "mean": v.mean, "decision": v.decision, "seconds": round(v.seconds, 1)} for v in listed
        ],
        "served": [asdict(one) for one in served],
    }


def show(console: Console, outcome: Mapping[str, Any], spent: Mapping[str, float], served: list[Served]) -> None:
    table = Table("version", "exact match on the exam", "decision", "training", title="What was learned")
    table.add_row("base", told(outcome["base"]["mean"]), "", "")
    for v in outcome["versions"]:
        table.add_row(v["version"], told(v["mean"]), v["decision"], f"{v['seconds']:.0f} s")
    console.print(table)
    fields = sum(one.corrected for one in served)
    console.print(
        f"{len(served)} cheques, {fields} fields typed; labelling took {spent['labelling']:.0f} s of this machine, "
        f"waiting for new versions {spent['waiting']:.0f} s."
    )
