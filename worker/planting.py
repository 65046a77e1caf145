"""Plants known errors into the pre-labels of lessons; each is on disk before anybody can see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cheques.disk import append_line, locked
from cheques.fields import Form
from reader.reading import Reading
from store.draw import Draw
from studio.planted import RECORD, Planted, Record, chosen, plant


@dataclass(frozen=True)
class Planting:
    """Planted errors for the pre-labels of one version. share: of the lessons, 0 plants nothing."""

    draw: Draw
    form: Form
    version: str
    share: float

    def shown(self, readings: Mapping[int, Reading | None]) -> dict[int, Reading | None]:
        """The readings of some tasks as people are to see them. Raises OSError: what is not on record is not shown.

        The exam is left alone, and what was never drawn. Again makes the same errors, each with one line on record.
        """
        shown = dict(readings)
        if not self.share:
            return shown
        record = Record.of(self.draw.path.parent)
        lessons = {task: reading for task, reading in readings.items() if reading and self._is_lesson(task)}
        for task, reading in lessons.items():
            if chosen(self.draw.salt, task, self.share):
                rest = [other for known, other in lessons.items() if known != task]
                others = {name: [other.values.get(name, "") for other in rest] for name in self.form.names}
                noted = next((one for one in record.get(task) if one.version == self.version), None)
                error = noted or plant(reading, self.form, self.draw.salt, task, self.version, others)
                if error and not noted:
                    self._note(error)
                if error:
                    shown[task] = error.on(reading)
        return shown

    def _is_lesson(self, task: int) -> bool:
        place = self.draw.get(task)
        return place is not None and place.role == "lesson"

    def _note(self, error: Planted) -> None:
        folder = self.draw.path.parent
        with locked(folder / "planted.lock"):
            append_line(folder / RECORD, error.line)
