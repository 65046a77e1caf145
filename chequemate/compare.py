"""`chequemate compare`: several models or versions side by side on the same cheques."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chequemate.evaluate import not_learned
from chequemate.output import bars, check_places, warn, write_file

if TYPE_CHECKING:
    from rich.progress import Progress

    from cheques.settings import Settings
    from reader.reading import Adapter
    from study.metrics import Estimate
    from trainer.compare import Entry
    from trainer.dataset import Example
    from trainer.recipe import LoraRecipe

console = Console()


def compare(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL…", help="Folders, hub names, base or versions; with --train MODEL@rank=4."),
    ],
    data: Annotated[Path, typer.Option(help="Images and truth.jsonl.")],
    train: Annotated[bool, typer.Option(help="Train each on four fifths first, judge on the rest.")] = False,
    project: Annotated[str, typer.Option(help="The project of versions that are named.")] = "local",
    price_hour: Annotated[float | None, typer.Option(min=0.0, help="What this machine costs an hour.")] = None,
    price_api: Annotated[float | None, typer.Option(min=0.0, help="What an external API costs a cheque.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the comparison there.")] = None,
) -> None:
    """Read the same cheques with several models: exact match, JSON, time, memory, cost, and which one is enough."""
    from chequemate.train import split
    from cheques.fields import CHEQUE
    from cheques.settings import settings
    from trainer.compare import enough, gains_on_first
    from trainer.dataset import DataError, read_folder

    check_places(json_file)
    if train:
        for model in models:
            recipe_asked(model, settings())  # a slip in the last is said before the first is trained
        lessons, exam = split(data, None, "compare", settings())
        if not lessons or not exam:
            raise DataError(f"{data}: too few cheques to train on some and judge on others: give 40 or more")
    else:
        exam, problems = read_folder(data, CHEQUE)
        lessons = []
        warn(problems)
        for model in models:
            exam = not_learned(exam, named_model(model, project, settings())[1], data)
    with bars() as progress:
        entries = [entry_of(model, lessons, exam, project, settings(), progress) for model in models]
    chosen, gains = enough(entries), gains_on_first(entries)
    console.print(comparison_table(entries, gains, chosen, price_hour, price_api))
    console.print(
        f"enough: {chosen.name}, the quickest that is not worse beyond chance on {len(exam)} cheques"
        if chosen
        else f"{len(exam)} cheques: too few to say which one is enough",
        soft_wrap=True,
    )
    if json_file:
        rows = [
            entry.as_json(price_hour) | {"gain_on_first": gain and asdict(gain)}
            for entry, gain in zip(entries, gains, strict=True)
        ]
        content = {
            "n": len(exam),
            "models": rows,
            "enough": chosen and chosen.name,
            "api_cost_per_thousand": None if price_api is None else price_api * 1000,
        }
        write_file(json_file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def comparison_table(
    entries: list[Entry],
    gains: list[Estimate | None],
    chosen: Entry | None,
    price_hour: float | None,
    price_api: float | None,
) -> Table:
    """A column for each contestant, so that its name can be read whole."""
    table = Table("", *(("★ " if entry is chosen else "") + entry.name for entry in entries))
    scores = [entry.scores.as_json() for entry in entries]
    table.add_row("exact match", *(f"{one['mean']:.1%}" for one in scores))
    table.add_row("  95 % interval", *(interval_text("{:.1f} to {:.1f} %", entry.exact_match) for entry in entries))
    table.add_row("  median", *(f"{one['median']:.1%}" for one in scores))
    table.add_row(
        "  against the first", *("–" if gain is None else f"{gain.value * 100:+.1f} points" for gain in gains)
    )
    table.add_row("  95 % interval", *(interval_text("{:+.1f} to {:+.1f}", gain) for gain in gains))
    table.add_row("valid JSON, free", *("–" if e.free_json is None else f"{e.free_json:.1%}" for e in entries))
    table.add_row("seconds a cheque", *(f"{entry.seconds:.2f}" for entry in entries))
    table.add_row("memory", *(f"{entry.memory / 2**30:.2f} GiB" for entry in entries))
    if any(entry.minutes_of_training for entry in entries):
        table.add_row("minutes of training", *(f"{entry.minutes_of_training or 0:.1f}" for entry in entries))
    if price_hour is not None:
        table.add_row("cost of 1,000 cheques", *(f"{entry.cost(price_hour):.2f}" for entry in entries))
    if price_api is not None:
        table.add_row("  by an external API", *(f"{price_api * 1000:.2f}" for _ in entries))
    return table


def interval_text(form: str, interval: Estimate | None) -> str:
    return "–" if interval is None else form.format(interval.low * 100, interval.high * 100)


def entry_of(
    model: str, lessons: list[Example], exam: list[Example], project: str, settings: Settings, progress: Progress
) -> Entry:
    """What one contestant is worth on the exam; where there are lessons, it is trained on them first."""
    from cheques.fields import CHEQUE
    from reader.open_reader import reader_here
    from reader.reading import Adapter
    from trainer.compare import Entry
    from trainer.evaluate import evaluate, valid_json
    from trainer.lora import held_bytes

    adapter: Adapter | None
    minutes: float | None = None
    if lessons:
        from reader.gpu_lock import card_here
        from trainer.dataset import dataset_hash
        from trainer.lora import release
        from trainer.training import train

        settings, recipe = recipe_asked(model, settings)
        # A folder of its own, found again by what is trained: a comparison that was killed goes on there, and it never
        # promotes anything.
        out = settings.home / "comparisons" / dataset_hash(lessons, CHEQUE, recipe, settings.model)
        row = progress.add_task(f"training {model}")
        with card_here(settings):
            trained = train(
                lessons,
                CHEQUE,
                recipe,
                settings.model,
                out,
                device=settings.device,
                reads_elsewhere=settings.reader_url is not None,
                progress=lambda step, steps, loss, left: progress.update(row, completed=step, total=steps),
            )
            release()
        held_bytes()  # forget the peak of the training: what reading needs is counted from here
        adapter, minutes = Adapter(f"compare/{out.name}", out / "adapter"), trained.seconds / 60
    else:
        settings, adapter = named_model(model, project, settings)

    task = progress.add_task(f"reading with {model}", total=len(exam))
    with reader_here(settings) as reader:
        reader.read([exam[0].open()], CHEQUE, adapter)  # loading and compiling happen once, and are not timed
        scores = evaluate(
            reader, CHEQUE, adapter, exam, on_read=lambda done, total: progress.update(task, completed=done)
        )
        free, _ = valid_json(reader, CHEQUE, adapter, [one.open for one in exam], seconds=60)
        return Entry(model, scores, free, held_bytes(), minutes)


def named_model(model: str, project: str, settings: Settings) -> tuple[Settings, Adapter | None]:
    """A version of the project, the base, or another model. Raises VersionError."""
    from store.database import Store
    from store.versions import Versions

    if model == "base":
        return settings, None
    if re.fullmatch(r"v\d+", model):
        return settings, Versions(Store.of(settings), project).get(model).adapter
    return settings.model_copy(update={"model": model}), None


def recipe_asked(model: str, settings: Settings) -> tuple[Settings, LoraRecipe]:
    """What `MODEL@rank=8,epochs=3` asks for. Raises typer.BadParameter."""
    from trainer.presets import recipe_here

    name, _, wishes = model.partition("@")
    settings = settings.model_copy(update={"model": settings.model if name == "base" else name})
    recipe = recipe_here(settings)
    wished: dict[str, Any] = {}
    try:
        for wish in filter(None, wishes.split(",")):
            key, _, value = wish.partition("=")
            if key not in vars(recipe):
                raise typer.BadParameter(f"{model}: no {key} in a recipe; it has {', '.join(vars(recipe))}")
            # As the recipe has it: whole numbers stay whole, and 1e-4 is understood.
            wished[key] = type(getattr(recipe, key))(float(value))
        return settings, replace(recipe, **wished)
    except ValueError as error:
        raise typer.BadParameter(f"{model}: {error}; give numbers, such as rank=8") from None
