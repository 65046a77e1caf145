"""Plants known errors into the pre-labels of lessons; each is on disk before anybody can see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cheques.fields import Form
from cheques.planted import chosen, plant
from reader.reading import Reading
from store.draw import Draw
from store.planted import PlantedRecord, note_planted


@dataclass(frozen=True)
class Planting:
    """Planted errors for the pre-labels of one version. share: of the lessons, 0 plants nothing."""

    draw: Draw
    form: Form
    version: str
    share: float

    def shown(self, readings: Mapping[int, Reading | None]) -> dict[int, Reading | None]:
        """The readings of some tasks as people are to see them. Raises StoreError: what is not on record is not shown.

        The exam is left alone, and what was never drawn. Again makes the same errors, each once on record.
        """
        shown = dict(readings)
        if not self.share:
            return shown
        record, planted = PlantedRecord.of(self.draw.store, self.draw.project), []
        places = {task: self.draw.get(task) for task in readings}
        lessons = {
            task: reading
            for task, reading in readings.items()
            if reading and (place := places[task]) and place.role == "lesson"
        }
        for task, reading in lessons.items():
            if chosen(self.draw.salt, task, self.share):
                rest = [other for known, other in lessons.items() if known != task]
                others = {name: [other.values.get(name, "") for other in rest] for name in self.form.names}
                error = next((one for one in record.get(task) if one.version == self.version), None)
                if error is None:
                    values, confidence = reading.values, reading.confidence
                    error = plant(self.form, values, confidence, self.draw.salt, task, self.version, others)
                    planted += [error] if error else []
                if error:
                    # Its confidences unchanged: they must not give the error away.
                    shown[task] = replace(reading, values={**reading.values, error.field: error.shown})
        note_planted(self.draw.store, self.draw.project, planted)
        return shown
