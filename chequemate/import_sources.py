"""What there is to import, one Item each: scans in a folder, cheques with their truth, the tasks of an export."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from rich.console import Console

if TYPE_CHECKING:
    from studio.config import Config

SOURCE = "source"  # key of a task's data: which file it was made of


@dataclass(frozen=True)
class Item:
    """One file, or one task of an export. name: as reports say it. url: where its image is already, if it is there.

    data: what else the task held.
    """

    name: str
    path: Path | None = None
    url: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


def items(source: Path, images: Path | None, config: Config, console: Console) -> Iterator[Item]:
    """All of a folder or an export; what of a label fits no field is left out, and said. Raises BadExport.

    images: where the images of an export lie, if not beside it.
    """
    if source.is_file():
        yield from of_export(source, images, config, console)
    elif (source / "truth.jsonl").is_file():
        yield from of_truth(source, config, console)
    else:
        for path in sorted(source.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
            if path.is_file() and not hidden:
                yield Item(str(path.relative_to(source)), path)


def of_truth(folder: Path, config: Config, console: Console) -> Iterator[Item]:
    """A line is {"image": "c0001.png", field: text, …}, and may have `annotator`, `lead_time` and `created_at`."""
    text = (folder / "truth.jsonl").read_text(encoding="utf-8-sig")  # Windows editors put a BOM before it
    named, unknown = set[str](), Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"truth.jsonl:{number}"
        try:
            truth = json.loads(line)
        except ValueError:
            yield Item(place, problem="no JSON; write one object a line")
            continue
        if not isinstance(truth, dict) or not isinstance(truth.get("image"), str):
            yield Item(place, problem='no "image"; write {"image": "c0001.png", field: text, …}')
            continue
        result = list[dict[str, Any]]()
        for name, value in truth.items():
            if name in ("image", "annotator", "lead_time", "created_at"):
                continue
            if name not in config.form.names:
                unknown[name] += 1
            elif not isinstance(value, str):
                console.print(f"! {place}: {name} is no text, and left out; put it in quotes", markup=False)
            elif value:
                one = next(one for one in config.form if one.name == name)
                if one.kind == "choice" and value not in (*one.choices, *(() if name in config.no_unknown else ("?",))):
                    console.print(f"! {place}: {name} has no such choice in the project; left out", markup=False)
                    continue
                kind, key = ("choices", "choices") if one.kind == "choice" else ("textarea", "text")
                about = {"id": name, "from_name": name, "to_name": config.image_tag, "type": kind}
                result.append(about | {"value": {key: [value]}})
        named.add(truth["image"])
        about = {"result": result, "completed_by": truth.get("annotator"), "created_at": truth.get("created_at")}
        if isinstance(truth.get("lead_time"), int | float):
            about["lead_time"] = truth["lead_time"]
        path = folder / truth["image"]
        problem = "" if path.is_file() else "no such file"
        yield Item(truth["image"], path, annotations=[about] if result else [], problem=problem)
    if unknown:
        fields = ", ".join(sorted(unknown))
        console.print(f"! {fields}: no fields of the project's form; left out", markup=False, soft_wrap=True)
    # What has no line in the truth is a cheque without a label.
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in named and path.name[0] != "." and path.name != "truth.jsonl":
            yield Item(path.name, path)


def of_export(path: Path, images: Path | None, config: Config, console: Console) -> Iterator[Item]:
    from studio.config import HINT
    from studio.export import read_tasks

    beside = images or path.parent
    files = {plain_name(one.name): one for one in sorted(beside.rglob("*")) if one.is_file() and one != path}
    unknown = Counter[str]()
    for task in read_tasks(path):
        data = task.get("data") or {}
        # An export of another project may hold its image under another key.
        url = config.image_of(data) or next((u for u in data.values() if isinstance(u, str) and "/" in u), "")
        name = f"task {task.get('id')}"
        annotations = list[dict[str, Any]]()
        for one in task.get("annotations") or ():
            result = [region for region in one.get("result") or () if isinstance(region, dict)]
            # The image's tag may have another name in the form here.
            fitting = [r | {"to_name": config.image_tag} for r in result if r.get("from_name") in config.form.names]
            unknown.update(str(r.get("from_name")) for r in result if r.get("from_name") not in config.form.names)
            annotations.append(one | {"result": fitting})
        file = file_name(url) if isinstance(url, str) else ""
        # Uploads carry eight hex digits of Label Studio's own before the name that people know.
        short = re.sub(r"^[0-9a-f]{8}-", "", file)
        local = files.get(plain_name(file)) or files.get(plain_name(short))
        rest = {key: value for key, value in data.items() if value is not url and key != HINT}
        # A folder that somebody names goes before what this Label Studio has under the same address.
        url = "" if images and local else str(url)
        problem = "" if url or local else "the task has no image"
        yield Item(str(data.get(SOURCE) or name), local, url, annotations, rest, problem)
    if unknown:
        fields = ", ".join(sorted(unknown))
        console.print(f"! {fields}: no fields of the project's form; left out", markup=False, soft_wrap=True)


def file_name(url: str) -> str:
    """The name of the file behind a task's address: of an upload, of local storage, of a bucket."""
    parts = urlsplit(url)
    path = parse_qs(parts.query).get("d", [parts.path])[0] if "local-files" in parts.path else unquote(parts.path)
    return path.rpartition("/")[2]


def plain_name(name: str) -> str:
    """What is left of a name whatever wrote it: Label Studio drops accents, spaces and signs of an upload's."""
    ascii_only = unicodedata.normalize("NFKD", re.sub(r"^[0-9a-f]{8}-", "", name)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]", "", ascii_only.lower())
