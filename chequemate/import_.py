"""`chequemate import`: what a team has — scans, labelled cheques, the adapter of a trial — becomes a project's own."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chequemate.import_sources import SOURCE, Item, file_name, items, plain_name

if TYPE_CHECKING:
    from cheques.scans import Piece
    from cheques.settings import Settings
    from studio.client import Studio
    from studio.config import Config

# Keys of a task's data, beside SOURCE.
SCAN = "scan"  # digest of the file, page, and which cheque of how many on it
LABELLED_BY = "labelled_by"  # beside LABELLED_AT: Label Studio cannot keep either of an imported label
TASKS_A_REQUEST = 25
MOST_ON_A_PAGE = 33  # cheques: smaller ones are not cut out


@dataclass
class Import:
    """One run: what there is in the project, what becomes of each item, and the lines of the report."""

    studio: Studio
    settings: Settings
    project: int
    config: Config
    folder: Path
    console: Console
    page: int | None
    annotators: Mapping[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Of each scan that an import brought its task, and whether it is labelled. Task -1: it waits to be sent.
        self.by_scan: dict[str, tuple[int, bool]] = {}
        # The tasks that people made, by the name of their file. Only its content says whether it is the same file.
        self.by_name: dict[str, list[tuple[int, str, bool]]] = defaultdict(list)
        for task, data, labelled in self.studio.task_data(self.project):
            if isinstance(data.get(SCAN), str):
                self.by_scan[data[SCAN]] = task, labelled
            elif url := self.config.image_of(data):
                self.by_name[plain_name(file_name(url))].append((task, url, labelled))
        self.users = self.studio.users()
        self.here: bool | None = None  # does the export come from this server? Asked once
        # Files below Label Studio's document root are registered where they lie; all others are uploaded.
        root = self.settings.files_root
        self.root = root.resolve() if root and self.folder.resolve().is_relative_to(root.resolve()) else None
        self.served = False  # is the folder a local storage of the project already?

    def tell(self, item: str, became: str, *, left_out: bool = False) -> None:
        self.counts["left out" if left_out else "taken"] += 1
        sign = "[yellow]![/]" if left_out else "[green]✓[/]"
        self.console.print(sign, end=" ")
        self.console.print(f"{item}: {became}", markup=False, highlight=False, soft_wrap=True)

    def take(self, item: Item) -> None:
        """Convert, cut, upload or register one item; its tasks wait to be sent together."""
        from cheques.images import BadImage, open_image, shown_by_browsers
        from cheques.scans import pieces
        from studio.images import fetch_bytes

        try:
            if item.problem:
                raise BadImage(item.problem)
            if item.url:
                try:
                    content = fetch_bytes(item.url, self.settings, self.project)
                    open_image(content, self.settings.page)
                    if not shown_by_browsers(content):
                        raise BadImage("browsers cannot show it; give the folder with its images (--images)")
                except BadImage:
                    if item.path is None:
                        raise  # otherwise the file on this machine is taken
                else:
                    digest = hashlib.sha256(content).hexdigest()[:16]
                    if not self._is_there(item, scan := f"{digest}-1-1-1", digest, file_name(item.url)):
                        self._send(item, scan, item.url, "image where it was")
                    return

            assert item.path is not None
            with item.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
            labelled = bool(item.annotations)
            if not labelled and self.page:
                # Where every cheque of the page came in with an earlier run, nothing is decoded.
                each = range(1, MOST_ON_A_PAGE + 1)
                of = next((of for of in each if f"{digest}-{self.page}-1-{of}" in self.by_scan), 0)
                tasks = [self.by_scan.get(f"{digest}-{self.page}-{n}-{of}", (-1, False))[0] for n in range(1, of + 1)]
                if tasks and min(tasks) > 0:
                    self.counts["there already"] += 1
                    return
            # One label is one cheque: a scan that has one is not cut, and of its pages only the usual one is taken.
            found, left_out = pieces(item.path, self.settings.page if labelled else self.page, split=not labelled)
            for line in left_out:
                self.tell(item.name, f"left out: {line}", left_out=True)
            for piece in found:
                self._take_piece(item, item.path, digest, piece, alone=len(found) == 1)
        except BadImage as error:
            self.tell(item.name, f"left out: {error}", left_out=True)
        except OSError as error:
            self.tell(item.name, f"left out: {error.strerror or error}", left_out=True)

    def _take_piece(self, item: Item, path: Path, digest: str, piece: Piece, alone: bool) -> None:
        """alone: no other cheque is on this file."""
        scan = f"{digest}-{piece.page}-{piece.number}-{piece.of}"
        item = replace(item, name=item.name if piece.of == 1 else f"{item.name}, cheque {piece.number}")
        # What browsers show is there already if any task shows this very file, registered by hand or by a storage.
        if self._is_there(item, scan, digest, path.name if piece.content is None else ""):
            return

        if piece.content is not None:
            stem = path.stem if piece.page == 1 and piece.of == 1 else f"{path.stem}-{piece.page}-{piece.number}"
            url, where = self.studio.upload(self.project, safe_stem(stem) + piece.suffix, piece.content), "uploaded"
        elif self.root is None or path.resolve().parent == self.root or not path.resolve().is_relative_to(self.root):
            # Label Studio takes an upload by its suffix, which need not be the file's own.
            name = safe_stem(path.stem) + piece.suffix
            url, where = self.studio.upload(self.project, name, path.read_bytes()), "uploaded"
        else:
            if not self.served:
                assert self.settings.files_root is not None
                folder = self.folder.resolve()
                below = folder if folder != self.root else path.resolve().parent
                self.studio.serve_files(self.project, str(self.settings.files_root / below.relative_to(self.root)))
                self.served = folder != self.root  # the root itself cannot be served, each folder in it can
            url = f"/data/local-files/?d={quote(str(path.resolve().relative_to(self.root)))}"
            where = "registered"

        became = f"{piece.became}, {where}"
        before = next(self._tasks_of(path.name, digest), None)
        if before and alone:
            # Its labels stay: only what the task shows is another file.
            self.studio.change_data(before[0], **self.config.data_of(url), **{SOURCE: item.name, SCAN: scan})
            self.by_scan[scan] = before
            self.tell(item.name, f"{became}; task {before[0]} shows it now")
            if item.annotations and not before[1]:
                self._is_there(item, scan, digest, "")
            return
        self._send(item, scan, url, f"{became}; task {before[0]} shows the whole scan: delete it" if before else became)

    def _is_there(self, item: Item, scan: str, digest: str, file: str) -> bool:
        """Is it in the project, or on its way there? A label for a task without one is added."""
        if scan not in self.by_scan:
            before = next(self._tasks_of(file, digest), None) if file else None
            if before is None:
                return False
            self.by_scan[scan] = before
        task, labelled = self.by_scan[scan]
        if task < 0:
            self.tell(item.name, "left out: the same file as another one here", left_out=True)
        elif item.annotations and not labelled:
            annotations, lost = self._annotations(item)
            for one in annotations:
                self.studio.annotate(task, **one)
            if lost:
                self.studio.change_data(task, **lost)
            self.counts["labels"] += len(item.annotations)
            self.by_scan[scan] = task, True
            self.tell(item.name, f"its label is added to task {task}")
        else:
            self.counts["there already"] += 1
        return True

    def _tasks_of(self, file: str, digest: str) -> Iterator[tuple[int, bool]]:
        """Tasks that people made of this very file, and whether they are labelled. The name alone does not tell."""
        from cheques.images import BadImage
        from studio.images import fetch_bytes

        for task, url, labelled in self.by_name[plain_name(file)]:
            with suppress(BadImage):
                if hashlib.sha256(fetch_bytes(url, self.settings, self.project)).hexdigest()[:16] == digest:
                    yield task, labelled

    def _send(self, item: Item, scan: str, url: str, became: str) -> None:
        data = item.data | self.config.data_of(url) | {SOURCE: item.name, SCAN: scan}
        annotations, lost = self._annotations(item)
        self.by_scan[scan] = -1, bool(annotations)
        self.waiting.append({"data": data | lost, **({"annotations": annotations} if annotations else {})})
        self.counts["labels"] += len(annotations)
        self.tell(item.name, became + (f", {len(annotations)} label" if annotations else ""))
        if len(self.waiting) >= TASKS_A_REQUEST:
            self.flush()

    def flush(self) -> None:
        # Never twice: what was sent may have arrived although nobody said so; the next run asks what is there.
        waiting, self.waiting = self.waiting, []
        if waiting:
            self.studio.import_tasks(self.project, waiting)

    def _annotations(self, item: Item) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """As Label Studio takes them, and what it would lose: who is no user here, and when it was labelled.

        On import it keeps the annotator (a user's e-mail, or id), the lead time, skips and ground truth; the time of
        the import becomes the time of the label.
        """
        from studio.config import LABELLED_AT

        kept, by, at = list[dict[str, Any]](), list[str](), list[str]()
        for one in item.annotations:
            about = {"result": one["result"], "ground_truth": bool(one.get("ground_truth"))}
            about |= {key: one[key] for key in ("lead_time", "was_cancelled") if one.get(key)}
            who = self._who(one)
            if isinstance(who, str) and who.lower() in self.users:
                about["completed_by"] = self.users[who.lower()]
            elif isinstance(who, int):
                about["completed_by"] = who
            elif who:
                by.append(who)
                self.counts[f"by {who}"] += 1
            if one.get("created_at"):
                at.append(str(one["created_at"]))
            kept.append(about)
        lost = {LABELLED_BY: ", ".join(dict.fromkeys(by)), LABELLED_AT: max(at, default="")}
        return kept, {key: text for key, text in lost.items() if text}

    def _who(self, annotation: Mapping[str, Any]) -> str | int | None:
        """The annotator's e-mail, or id here; a number of another server unless --annotator says who that is."""
        by = annotation.get("completed_by")
        if isinstance(by, dict):
            by = by.get("email") or by.get("id")
        if by is None:
            return None
        if str(by) in self.annotators:
            return self.annotators[str(by)]
        # A folder's labels have no id by which Label Studio could tell whether they are of its users.
        if isinstance(by, int) and by in self.users.values() and "id" in annotation:
            if self.here is None:
                self.here = self.studio.has_annotation(int(annotation["id"]), str(annotation.get("created_at")))
            if self.here:
                return by
        return str(by)

    def sum_up(self) -> None:
        """Say how many there were, whose labels could not keep their annotator, and what to do next."""
        counts = self.counts
        line = f"{counts['taken']} taken, {counts['labels']} labels, {counts['left out']} left out"
        if there := counts["there already"]:
            line += f", {there} there already"
        self.console.print(line, highlight=False)
        strangers = {name.removeprefix("by "): n for name, n in counts.items() if name.startswith("by ")}
        for who, number in strangers.items():
            remedy = "invite them first" if "@" in who else f"say who that is: --annotator {who}=NAME@…"
            self.console.print(
                f"! {number} labels by {who}, no user here: they count as yours, and the task's data say "
                f"{LABELLED_BY}; {remedy}, and import into a new project",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        self.console.print(f"next: chequemate connect --project {self.project}", highlight=False)


def import_(
    project: Annotated[int, typer.Option(help="The project's number, as in its address: /projects/N.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="A folder of scans, one with images and truth.jsonl, or a JSON export of Label Studio.",
        ),
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="A folder with a LoRA adapter of the base model: it becomes version v0.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Where the images of an export lie; else beside it, or where its tasks say.")
    ] = None,
    pages: Annotated[bool, typer.Option("--pages", help="Take every page, not CHEQUEMATE_PAGE alone.")] = False,
    annotator: Annotated[
        list[str] | None, typer.Option(help="NUMBER=E-MAIL: who an annotator's number in an export is here.")
    ] = None,
) -> None:
    """Bring scans, labelled cheques and the adapter of a trial into a Label Studio project.

    What browsers cannot show is converted, several cheques on one scan are cut apart where the gaps between them are
    plain, and what is left out is said, a line each. Cut off and run again it goes on; nothing comes in twice.
    """
    from cheques.disk import lock_at
    from cheques.settings import settings
    from studio.client import Studio
    from studio.formats import read_config

    if source is None and adapter is None:
        raise typer.BadParameter("give a folder of scans, an export, or --adapter FOLDER")
    if source is not None and not source.exists():
        raise typer.BadParameter(f"{source}: no such file or folder")
    known = dict[str, str]()
    for text in annotator or ():
        number, equals, mail = text.partition("=")
        if not equals or "@" not in mail:
            raise typer.BadParameter(f"{text!r}: write it as 3=anna@bank.example", param_hint="--annotator")
        known[number.strip()] = mail.strip()
    own, console = settings(), Console()
    studio = Studio.of(own)
    config = read_config(studio.project(project).label_config)
    if adapter:
        take_adapter(adapter, project, own, console)
    if source is None:
        return
    root = source if source.is_dir() else images or source.parent
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with lock_at(own.home / "locks" / f"import-{project}"), progress:
        todo = list(items(source, images, config, console))
        row = progress.add_task("importing", total=len(todo))
        run = Import(studio, own, project, config, root, console, None if pages else own.page, known)
        try:
            for item in todo:
                run.take(item)
                progress.advance(row)
        finally:
            run.flush()
    run.sum_up()


def take_adapter(adapter: Path, project: int, own: Settings, console: Console) -> None:
    from store.database import Store
    from store.versions import Versions
    from trainer.export_import import FIRST, import_adapter, must_read

    versions = Versions(Store.of(own), project)
    if any(version.name == FIRST for version in versions.list()):
        console.print(f"{FIRST} is in project {project} already: the adapter is not taken again", highlight=False)
        return
    must_read(adapter, own)
    version = import_adapter(versions, adapter, own.model, name=FIRST)
    console.print(
        f"{adapter} is {version.name} of project {project}; it is judged on the exam before the next training",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def safe_stem(stem: str) -> str:
    return re.sub(r"[^\w.-]", "_", unicodedata.normalize("NFC", stem)) or "scan"
