"""Planted errors: plausible, on record before anybody sees them, and never in what is trained on or counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.arms import work_of
from cheques.amounts import cents_of_words
from cheques.fields import CHEQUE
from cheques.planted import Planted, chosen, plant
from cheques.values import canonical
from reader.reading import Reading
from store.database import Store
from store.draw import Draw
from store.planted import PlantedRecord, note_planted
from studio.formats import Label
from studio.planted import checked
from study.quality import Share, caught
from tests.backend_parts import drawn, noise
from tests.worker_parts import CONFIG, FakeStudio
from worker.labelled_examples import labelled
from worker.planting import Planting

READ = {
    "montant_numerique": "1234.56",
    "montant_lettres": "mille deux cent trente-quatre euros et cinquante-six centimes",
    "date": "2024-05-03",
    "beneficiaire": "Claire Dubois",
    "signature": "présente",
    "lieu": "Lyon",
    "devise": "EUR",
}
OTHERS = {"beneficiaire": ["Jean Martin", "Zoé Petit", "Ali Benali"], "lieu": ["Lyon", "", "?"]}
READING = Reading(READ, dict.fromkeys(READ, 0.99))


def planted_in(field: str) -> list[str]:
    """What is planted in one field, over many cheques that read the same."""
    reading = replace(READING, values={field: READ[field]})
    errors = [plant(CHEQUE, reading.values, reading.confidence, "salt", task, "v1", OTHERS) for task in range(300)]
    return [error.shown for error in errors if error]


def test_an_amount_has_one_other_digit() -> None:
    for wrong in planted_in("montant_numerique"):
        assert len(wrong) == len(READ["montant_numerique"]) and wrong[0] != "0"
        assert sum(a != b for a, b in zip(wrong, READ["montant_numerique"], strict=True)) == 1


def test_an_amount_in_words_is_still_one_and_another() -> None:
    found = planted_in("montant_lettres")
    assert len(set(found)) > 5
    assert all(cents_of_words(wrong) not in (None, cents_of_words(READ["montant_lettres"])) for wrong in found)


def test_a_doubtful_reading_carries_none_for_the_error_might_be_the_truth() -> None:
    doubtful = replace(READING, confidence=dict.fromkeys(READ, 0.9))
    assert not any(
        plant(CHEQUE, doubtful.values, doubtful.confidence, "salt", task, "v1", OTHERS) for task in range(50)
    )


def test_a_date_moves_within_its_month() -> None:
    found = set(planted_in("date"))
    assert READ["date"] not in found and {one[:8] for one in found} == {"2024-05-"}


def test_a_payee_is_one_of_another_cheque_and_what_has_too_few_others_is_left_alone() -> None:
    assert set(planted_in("beneficiaire")) == set(OTHERS["beneficiaire"])
    assert planted_in("lieu") == []


def test_a_choice_is_another_choice() -> None:
    assert set(planted_in("signature")) == {"absente"}
    assert "EUR" not in planted_in("devise") and len(set(planted_in("devise"))) > 3


def test_every_planted_value_is_a_canonical_one_of_its_field_and_every_field_has_its_turn() -> None:
    errors = [plant(CHEQUE, READING.values, READING.confidence, "salt", task, "v1", OTHERS) for task in range(400)]
    assert {error.field for error in errors if error} == set(READ) - {"lieu"}
    for error in errors:
        assert error and error.read == READ[error.field] != error.shown
        assert canonical(CHEQUE[error.field], error.shown) == error.shown


def test_nothing_is_planted_where_nothing_was_read() -> None:
    assert plant(CHEQUE, {"date": "?", "lieu": ""}, {}, "salt", 1, "v1", OTHERS) is None


def test_again_it_is_the_same_error_and_confidences_do_not_tell(tmp_path: Path) -> None:
    error = plant(CHEQUE, READING.values, READING.confidence, "salt", 7, "v1", OTHERS)
    assert error and error == plant(CHEQUE, READING.values, READING.confidence, "salt", 7, "v1", OTHERS)
    draw = drawn(tmp_path, range(1, 41))
    task = next(int(place.task) for place in draw.places() if place.role == "lesson")
    shown = Planting(draw, CHEQUE, "v1", 1.0).shown({task: READING})[task]
    (error,) = PlantedRecord.of(Store(tmp_path), 7).get(task)
    assert shown and shown.confidence == READING.confidence
    assert shown.values == READ | {error.field: error.shown} != READ


def test_the_share_is_the_one_that_was_asked_for() -> None:
    picked = {task for task in range(5000) if chosen("salt", task, 0.1)}
    assert 430 <= len(picked) <= 570
    assert picked <= {task for task in range(5000) if chosen("salt", task, 0.2)}
    assert picked != {task for task in range(5000) if chosen("other", task, 0.1)}


ERROR = Planted("4", "v1", "date", "2024-05-03", "2024-05-08")


def label(date: str, task: int = 4, **more: Any) -> Label:
    shown = READ | {"date": "2024-05-08"}
    base = Label(
        task=task, annotation=task, image="", values=READ | {"date": date}, updated_at="2026-03-01T10:00:00Z",
        seconds=20.0, annotator=1, changed=dict.fromkeys(READ, "accepted"), shown=shown, version="v1", offered=True,
    )  # fmt: skip
    return replace(base, **more)


def test_what_was_left_is_set_back_to_what_was_read() -> None:
    seen = checked(label("2024-05-08"), [ERROR])
    assert (seen.field, seen.caught) == ("date", False)
    assert seen.label.values == READ == seen.label.shown
    assert seen.label.changed["date"] == "accepted"


def test_an_error_planted_in_dinars_is_known_again_whatever_its_decimals() -> None:
    """The reader wrote 12.50, the label of a cheque in dinars says 12.500."""
    values = READ | {"montant_numerique": "18.500", "devise": "TND"}
    error = Planted("4", "v1", "montant_numerique", "12.50", "18.50")
    seen = checked(label(READ["date"], values=values, shown=values), [error])
    assert (seen.field, seen.caught) == ("montant_numerique", False)
    assert seen.label.values["montant_numerique"] == "12.50"
    assert checked(label(READ["date"], values=values | {"montant_numerique": "12.500"}, shown=values), [error]).caught


@pytest.mark.parametrize(("given", "change"), [("2024-05-03", "accepted"), ("2023-05-03", "corrected")])
def test_what_was_corrected_stands_and_counts_against_what_was_read(given: str, change: str) -> None:
    seen = checked(label(given, changed={"date": "corrected"}), [ERROR])
    assert (seen.field, seen.caught) == ("date", True)
    assert seen.label.values["date"] == given
    assert seen.label.changed["date"] == change


@pytest.mark.parametrize(
    "other",
    [
        {"version": "v2"},  # the error stood in another version's prediction
        {"shown": READ},  # a live answer of this version came before the planted one
        {"shown": None, "imported": True},
        {"shown": None},  # a blind cheque: the annotator wrote what stands there
    ],
)
def test_who_was_not_shown_it_keeps_every_word(other: dict[str, Any]) -> None:
    given = label("2024-05-08", **other)
    assert checked(given, [ERROR]).label == given
    assert checked(given, [ERROR]).caught is None


def test_what_nobody_knows_to_have_been_shown_is_not_learned() -> None:
    seen = checked(label("2024-05-08", shown=None, version="", offered=False, lost=True), [ERROR])
    assert seen.label.values == READ
    assert seen.caught is None


def test_a_skip_is_neither_seen_nor_overlooked() -> None:
    assert checked(label("2024-05-08", skipped=True), [ERROR]).caught is None


def test_the_share_that_was_caught_has_an_exact_interval() -> None:
    record = PlantedRecord(replace(ERROR, task=str(task)) for task in range(20))
    found = caught(
        work_of([label("2024-05-08" if task < 4 else "2024-05-03", task) for task in range(20)], None, record)
    )
    assert (found.overall.count, found.overall.n) == (16, 20)
    estimate = found.by_field["date"].estimate
    assert estimate is not None
    # Clopper and Pearson's interval of 16 in 20.
    assert (round(estimate.low, 3), round(estimate.high, 3)) == (0.563, 0.943)
    assert found.left == (0, 1, 2, 3)
    assert Share(0, 0).estimate is None
    assert Share(5, 5).estimate and Share(5, 5).estimate.high == 1.0  # type: ignore[union-attr]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    return drawn(tmp_path, range(1, 41))


def readings(numbers: Sequence[int]) -> dict[int, Reading | None]:
    return {number: replace(READING, values=READ | {"beneficiaire": f"Payee {number}"}) for number in numbers}


def test_the_exam_is_left_alone_and_every_error_is_on_record_before_it_is_shown(draw: Draw, tmp_path: Path) -> None:
    given = readings(range(1, 61)) | {3: None}
    shown = Planting(draw, CHEQUE, "v1", 1.0).shown(given)
    lessons = {int(place.task) for place in draw.places() if place.role == "lesson"} - {3}
    differing = {task for task in given if shown[task] != given[task]}
    assert differing == lessons
    record = PlantedRecord.of(Store(tmp_path), 7)
    for task in differing:
        (error,) = record.get(task)
        reading = given[task]
        assert reading and shown[task] == replace(reading, values={**reading.values, error.field: error.shown})


def test_after_a_kill_the_same_errors_are_made_without_a_second_row(draw: Draw, tmp_path: Path) -> None:
    def noted() -> dict[int, int]:
        record = PlantedRecord.of(Store(tmp_path), 7)
        return {task: len(record.get(task)) for task in range(1, 41) if task in record}

    first = Planting(draw, CHEQUE, "v1", 0.5).shown(readings(range(1, 41)))
    before = noted()
    assert Planting(draw, CHEQUE, "v1", 0.5).shown(readings(range(1, 41))) == first
    assert noted() == before and set(before.values()) == {1}
    Planting(draw, CHEQUE, "v2", 0.5).shown(readings(range(1, 41)))
    assert noted() == dict.fromkeys(before, 2)


def test_off_nothing_is_planted(draw: Draw, tmp_path: Path) -> None:
    given = readings(range(1, 41))
    assert Planting(draw, CHEQUE, "v1", 0.0).shown(given) == given
    record = PlantedRecord.of(Store(tmp_path), 7)
    assert not any(task in record for task in given)


def test_no_planted_value_is_a_lesson(draw: Draw, tmp_path: Path) -> None:
    studio = FakeStudio()
    task = next(int(place.task) for place in draw.places() if place.role == "lesson")
    studio.add_tasks([task])
    error = Planted(str(task), "v1", "lieu", "Lyon", "Dijon")
    note_planted(Store(tmp_path), 7, [error])
    names = dict.fromkeys(CONFIG.form.names, "")
    studio.annotate(task, values=names | {"lieu": "Dijon"}, shown=names | {"lieu": "Dijon"}, version="v1", offered=True)
    (lesson,) = labelled(studio, 7, CONFIG, draw, lambda _: noise(task)).lessons  # type: ignore[arg-type]
    assert lesson.values["lieu"] == "Lyon"
