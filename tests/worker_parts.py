"""Stand-ins for the worker's tests: a Label Studio in memory, and a backend that reads at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reader.reading import Reading
from store.marks import Unread
from studio.client import Labels, Project, StoredPrediction, StudioError, Task
from studio.config import DEFAULT_CONFIG, Config, read_config
from studio.formats import Label

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class FakeStudio:
    """What of Label Studio the jobs use, and a count of the writes that they make."""

    tasks_: dict[int, Task] = field(default_factory=dict)
    labels_: dict[int, list[Label]] = field(default_factory=dict)
    about: Project = field(default_factory=lambda: Project(7, "Chèques", XML, "Chequemate", "", True, 1, 0, 0, 0))
    writes: list[str] = field(default_factory=list)
    writes_until_killed: int = 10**9
    away: bool = False
    next_id: int = 100_000

    def add_tasks(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.tasks_[number] = Task(number, f"/image/{number}", False)

    def annotate(self, task: int, changed: str = "2026-01-01T00:00:00Z", **about: Any) -> None:
        values = dict.fromkeys(CONFIG.form.names, "") | {"montant_numerique": "12.50", "devise": "EUR"}
        label = Label(task, 1000 + task, self.tasks_[task].image, values, changed)
        self.labels_[task] = [replace(label, **about)]
        self.tasks_[task] = replace(self.tasks_[task], labelled=True)
        self.about = replace(self.about, labels=len(self.labels_))

    def now(self) -> datetime:
        """A while after all that was labelled so far."""
        latest = max((label.updated_at for labels in self.labels_.values() for label in labels), default="2026-01-01")
        return datetime.fromisoformat(latest).replace(tzinfo=UTC) + timedelta(hours=1)

    def project(self, project: int) -> Project:
        self._asked()
        return self.about

    def tasks(
        self, project: int, config: Config, *, labels: Labels = "any", stored: bool = False, after: int = 0
    ) -> Iterator[Task]:
        self._asked()
        wanted = {"any": range(9), "none": range(1), "one": range(1, 2), "some": range(1, 9)}[labels]
        for number, task in sorted(self.tasks_.items()):
            if number > after and len(self.labels_.get(number, ())) in wanted:
                yield task if stored else replace(task, stored=())

    def changed_tasks(self, project: int, config: Config, since: str = "") -> Iterator[tuple[int, tuple[Label, ...]]]:
        self._asked()
        for task, labels in sorted(self.labels_.items()):
            # As in Label Studio a task changes a moment after its label: the latest always comes again.
            if not since or any(label.updated_at >= since for label in labels):
                yield task, tuple(labels)

    def import_predictions(self, project: int, predictions: Iterable[dict[str, Any]]) -> int:
        count = 0
        for one in predictions:
            self._write("import")
            self.next_id += 1
            stored = StoredPrediction(self.next_id, one["model_version"], one["score"], not one["result"])
            task = self.tasks_[one["task"]]
            self.tasks_[task.id] = replace(task, stored=(*task.stored, stored))
            count += 1
        return count

    def patch_score(self, prediction: int, score: float) -> None:
        self._write("patch")
        for task in self.tasks_.values():
            if any(stored.id == prediction for stored in task.stored):
                moved = tuple(replace(s, score=score) if s.id == prediction else s for s in task.stored)
                self.tasks_[task.id] = replace(task, stored=moved)
                return

    def rewrite_prediction(self, prediction: int, result: list[dict[str, Any]], score: float) -> None:
        self.patch_score(prediction, score)
        self.writes[-1] = "rewrite"
        for task in self.tasks_.values():
            stored = tuple(replace(s, empty=not result) if s.id == prediction else s for s in task.stored)
            self.tasks_[task.id] = replace(task, stored=stored)

    def set_hint(self, task: int, hint: str) -> None:
        self._write("hint")
        self.tasks_[task] = replace(self.tasks_[task], hint=hint)

    def serve(self, project: int, version: str) -> None:
        self._write("serve")
        self.about = replace(self.about, model_version=version, sampling="Uncertainty sampling", shows_predictions=True)

    def queue(self) -> list[int]:
        """What "Label All Tasks" would serve, by uncertainty sampling."""
        shown = self.about.model_version
        scores = {
            task.id: stored.score
            for task in self.tasks_.values()
            for stored in task.stored
            if not task.labelled and stored.version == shown
        }
        return sorted(scores, key=lambda task: (scores[task], task))

    def _asked(self) -> None:
        if self.away:
            raise StudioError("Label Studio does not answer at http://127.0.0.1:8080: start it")

    def _write(self, what: str) -> None:
        if len(self.writes) >= self.writes_until_killed:
            raise Killed
        self.writes.append(what)


@dataclass
class FakeBackend:
    """Reads a task with a confidence that hangs on its number; some not at all, some not for the time being."""

    version: str = "base"
    unreadable: frozenset[int] = frozenset()
    away: frozenset[int] = frozenset()
    asked: list[int] = field(default_factory=list)
    embeddings: dict[int, tuple[float, ...]] = field(default_factory=dict)
    flat: bool = False  # all equally uncertain
    unread: dict[int, Unread] = field(default_factory=dict)

    def read(self, tasks: Sequence[Task], version: str) -> dict[int, Reading | None]:
        from worker.backend_client import VersionChanged

        if version != self.version:
            raise VersionChanged(f"{self.version} is in service, no longer {version}")
        self.asked += [task.id for task in tasks]
        self.unread = {task: one for task, one in self.unread.items() if task not in {asked.id for asked in tasks}}
        for task in tasks:
            if task.id in self.unreadable | self.away:
                self.unread[task.id] = Unread.of(task.id, task.image, "why", task.id in self.away)
        return {
            task.id: None if task.id in self.unreadable else self._reading(task.id)
            for task in tasks
            if task.id not in self.away
        }

    def _reading(self, task: int) -> Reading:
        score = 0.5 if self.flat else own_score(task)
        return replace(reading(task, score), embedding=self.embeddings.get(task, ()))


def own_score(task: int) -> float:
    return (task * 37 % 100) / 100


def reading(task: int, score: float) -> Reading:
    confidence = dict.fromkeys(CONFIG.form.names, 1.0) | {"lieu": score}
    return Reading(dict.fromkeys(CONFIG.form.names, "") | {"lieu": f"Ville {task}"}, confidence)
