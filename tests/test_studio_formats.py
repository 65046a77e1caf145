"""Readings as predictions, annotations as labels, and which label is true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cheques.fields import CHEQUE
from reader.reading import Reading
from studio.config import DEFAULT_CONFIG, read_config
from studio.formats import disagreements, label, prediction, truth

CONFIG = read_config(DEFAULT_CONFIG.read_text(encoding="utf-8"))
VALUES = {
    "montant_numerique": "1234.56",
    "montant_lettres": "mille deux cent trente-quatre euros et cinquante-six centimes",
    "date": "2024-05-03",
    "beneficiaire": "Élise d'Arc",
    "signature": "présente",
    "lieu": "",
    "devise": "?",
}
SURE = dict.fromkeys(VALUES, 0.9)


def region(name: str, *values: str, origin: str = "") -> dict[str, Any]:
    kind = ("choices", "choices") if CHEQUE[name].kind == "choice" else ("textarea", "text")
    made = {"from_name": name, "to_name": "image", "type": kind[0], "value": {kind[1]: list(values)}}
    return made | ({"origin": origin} if origin else {})


def annotation(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 5, "result": list(regions), "updated_at": "2026-01-01T10:00:00.000000Z"} | more


def task(*predictions: dict[str, Any]) -> dict[str, Any]:
    return {"id": 3, "data": {"image": "/data/upload/1/c.png"}, "predictions": list(predictions)}


def stored(number: int, *regions: dict[str, Any], version: str = "v2") -> dict[str, Any]:
    return {"id": number, "model_version": version, "result": list(regions), "score": 0.3}


def test_label_studios_own_validation_accepts_a_prediction() -> None:
    from label_studio_sdk.label_interface import LabelInterface

    made = prediction(CONFIG, Reading(VALUES, SURE), "v1", 0.9)
    assert LabelInterface(DEFAULT_CONFIG.read_text()).validate_prediction(made, return_errors=True) == []


def test_each_region_keeps_its_confidence() -> None:
    made = prediction(CONFIG, Reading(VALUES, SURE | {"date": 0.25}), "v1", 0.25)
    scores = {one["from_name"]: one["score"] for one in made["result"]}
    assert scores == {name: 0.25 if name == "date" else 0.9 for name in VALUES if name != "lieu"}
    assert (made["model_version"], made["score"]) == ("v1", 0.25)


def test_what_the_configuration_cannot_hold_is_left_out() -> None:
    xml = '<View><Image name="i" value="$i"/><Choices name="devise" toName="i"><Choice value="EUR"/></Choices></View>'
    without = read_config(xml)
    for value, regions in (("?", 0), ("XOF", 0), ("", 0), ("EUR", 1)):
        assert len(prediction(without, Reading({"devise": value}, {}), "v1", 0.5)["result"]) == regions


INVOICE = read_config(
    '<View><Image name="i" value="$facture.url"/><Number name="total" toName="i"/><Number name="articles" toName="i"/>'
    '<DateTime name="emis" toName="i" only="date"/><DateTime name="paye" toName="i" only="date" format="%d/%m/%Y"/>'
    '<Choices name="defauts" toName="i" choice="multiple"><Choice value="plié"/></Choices>'
    '<TextArea name="note" toName="i"/></View>'
)


def test_numbers_and_days_go_and_come_back_as_their_controls_store_them() -> None:
    read = {"total": "1234.50", "articles": "3", "emis": "2024-05-03", "paye": "2024-04-01", "note": ""}
    made = prediction(INVOICE, Reading(read, {}), "v1", 0.5)
    assert [(one["type"], one["value"]) for one in made["result"]] == [
        ("number", {"number": 1234.5}),
        ("number", {"number": 3}),
        ("datetime", {"datetime": "2024-05-03"}),
        ("datetime", {"datetime": "01/04/2024"}),
    ]
    sent = {"id": 3, "data": {"facture": {"url": "/f.png"}}, "predictions": [{"id": 9, **made}]}
    one = label(annotation(*made["result"], parent_prediction=9), sent, INVOICE)
    assert (one.values, one.image, one.problems) == (read, "/f.png", ())
    assert set(one.changed.values()) == {"accepted"}


@pytest.mark.parametrize("value", ["?", "2024-02-31", ""])
def test_a_number_and_a_day_hold_nothing_else(value: str) -> None:
    read = {"total": "" if value else value, "articles": "?", "emis": value, "paye": value}
    assert prediction(INVOICE, Reading(read, {}), "v1", 0.5)["result"] == []


def test_what_is_left_to_people_is_no_problem_of_a_label() -> None:
    people = {"from_name": "defauts", "to_name": "i", "type": "choices", "value": {"choices": ["plié", "taché"]}}
    assert label(annotation(people), task(), INVOICE).problems == ()


def test_a_second_text_says_how_the_form_prevents_it() -> None:
    typed = {"from_name": "note", "to_name": "i", "type": "textarea", "value": {"text": ["payé", "soldé"]}}
    (problem,) = label(annotation(typed), task(), INVOICE).problems
    assert problem.endswith('until one is deleted (maxSubmissions="1" on its TextArea allows one only)')


def test_a_blind_prediction_shows_nothing() -> None:
    assert prediction(CONFIG, Reading(VALUES, SURE), "v1", 0.1, blind=True) == {
        "model_version": "v1",
        "score": 0.1,
        "result": [],
    }


def test_a_score_that_is_no_number_is_still_json() -> None:
    made = prediction(CONFIG, Reading(VALUES, {"date": float("nan")}), "v1", float("inf"))
    assert json.loads(json.dumps(made, allow_nan=False))["score"] == 0.0


def test_a_prediction_accepted_as_it_is_gives_the_reading_back() -> None:
    made = prediction(CONFIG, Reading(VALUES, SURE), "v1", 0.9)
    one = label(annotation(*made["result"], parent_prediction=9), task({"id": 9, **made}), CONFIG)
    assert one.values == VALUES
    assert set(one.changed.values()) == {"accepted"}
    assert one.shown == VALUES
    assert (one.version, one.problems, one.usable) == ("v1", (), True)


def test_what_people_type_becomes_canonical() -> None:
    typed = annotation(
        region("montant_numerique", "1 234,56 €"),
        region("date", "3 mai 2024"),
        region("beneficiaire", "  Élise   d’Arc "),
        region("devise", "EUR"),
        lead_time=12.5,
        completed_by={"id": 4},
    )
    one = label(typed, task(), CONFIG)
    assert one.values["montant_numerique"] == "1234.56"
    assert one.values["date"] == "2024-05-03"
    assert one.values["beneficiaire"] == "Élise d'Arc"
    assert one.values["lieu"] == ""
    assert (one.seconds, one.annotator, one.image) == (12.5, 4, "/data/upload/1/c.png")


def test_accepted_corrected_and_filled_follow_from_comparing_with_what_was_shown() -> None:
    shown = stored(9, region("date", "2024-05-03"), region("lieu", "Lyon"), region("beneficiaire", "Zoé"))
    typed = annotation(
        # API clients leave out or copy origins: the values decide.
        region("date", "03/05/24", origin="prediction-changed"),
        region("lieu", "Nice", origin="prediction"),
        region("montant_numerique", "5"),
        parent_prediction=9,
    )
    one = label(typed, task(shown), CONFIG)
    assert one.changed["date"] == "accepted"
    assert one.changed["lieu"] == "corrected"
    assert one.changed["beneficiaire"] == "corrected"  # emptied
    assert one.changed["montant_numerique"] == "filled"
    assert one.changed["signature"] == "accepted"  # shown empty, left empty


def test_an_amount_left_as_it_was_shown_is_accepted_whatever_decimals_its_currency_has() -> None:
    shown = stored(9, region("montant_numerique", "12.50"), region("devise", "EUR"))
    typed = annotation(region("montant_numerique", "12.50"), region("devise", "TND"), parent_prediction=9)
    one = label(typed, task(shown), CONFIG)
    assert one.values["montant_numerique"] == "12.500" and one.changed["montant_numerique"] == "accepted"


def test_an_amount_that_the_corrected_currency_would_multiply_is_not_guessed() -> None:
    shown = stored(9, region("montant_numerique", "12.500"), region("devise", "TND"))
    typed = annotation(region("montant_numerique", "12.500"), region("devise", "EUR"), parent_prediction=9)
    assert label(typed, task(shown), CONFIG).unusable == {"montant_numerique": "two_readings"}


def test_dates_lie_around_the_day_of_the_label_and_not_around_today() -> None:
    typed = annotation(region("date", "03/05/99"), created_at="2001-02-03T10:00:00Z", updated_at="2026-01-01T10:00:00Z")
    assert label(typed, task(), CONFIG).values["date"] == "1999-05-03"
    far = annotation(region("date", "03/05/1999"))
    assert label(far, task(), CONFIG).unusable == {"date": "far_date"}


def test_a_label_of_a_hundred_thousand_letters_costs_its_field() -> None:
    typed = annotation(region("beneficiaire", "x" * 100_000), region("montant_lettres", "un " * 33_000))
    one = label(typed, task(), CONFIG)
    assert one.unusable == {"montant_lettres": "too_long", "beneficiaire": "too_long"} and one.usable
    assert max(map(len, one.values.values())) <= 1000 and max(map(len, one.problems)) < 200


def test_without_the_prediction_the_origins_tell() -> None:
    typed = annotation(
        region("date", "2024-05-03", origin="prediction"),
        region("lieu", "Nice", origin="prediction-changed"),
        region("devise", "EUR", origin="manual"),
        parent_prediction=77,
    )
    assert label(typed, task(), CONFIG).changed == {"date": "accepted", "lieu": "corrected", "devise": "filled"}


def test_the_snapshot_of_an_export_is_as_good_as_the_prediction() -> None:
    typed = annotation(region("lieu", "Nice"), prediction=stored(9, region("lieu", "Nice")), lead_time=9.0)
    assert label(typed, task() | {"predictions": [9]}, CONFIG).changed["lieu"] == "accepted"


def test_a_label_that_came_through_the_api_was_shown_nothing() -> None:
    """The server adds the snapshot of the version in service to it all the same."""
    sent = annotation(region("lieu", "Nice"), prediction=stored(9, region("lieu", "Nice")), lead_time=None)
    one = label(sent, task() | {"predictions": [9]}, CONFIG)
    assert one.imported and not one.offered and one.shown is None


def test_a_blind_cheque_is_known_by_its_version_and_by_nothing_shown() -> None:
    one = label(annotation(region("lieu", "Nice"), parent_prediction=9), task(stored(9)), CONFIG)
    assert one.shown is None
    assert one.version == "v2"
    assert one.changed == {"lieu": "filled"}


def test_no_lead_time_is_no_time() -> None:
    assert label(annotation(), task(), CONFIG).seconds is None
    assert label(annotation(lead_time=0), task(), CONFIG).seconds is None


@pytest.mark.parametrize(
    ("typed", "usable", "said"),
    [
        (region("lieu", "Nice", "Lyon"), False, "lieu has 2 values"),
        (region("montant_numerique", "beaucoup"), True, "montant_numerique is no value of kind amount"),
        (region("lieu", "Nice") | {"from_name": "ville"}, True, "ville is no field of the form"),
    ],
)
def test_bad_labels_are_counted_and_never_quoted(typed: dict[str, Any], usable: bool, said: str) -> None:
    one = label(annotation(typed), task(), CONFIG)
    assert one.usable is usable
    assert len(one.problems) == 1
    assert one.problems[0].startswith("task 3, annotation 5: " + said)
    assert not any(value in one.problems[0] for value in ("Nice", "Lyon", "beaucoup"))


def test_a_field_that_cannot_be_used_costs_itself_alone() -> None:
    one = label(annotation(region("montant_numerique", "beaucoup"), region("lieu", "Nice")), task(), CONFIG)
    assert one.unusable == {"montant_numerique": "no_value"}
    assert one.usable and one.values["lieu"] == "Nice"


@pytest.mark.parametrize("value", [{"text": 20240503}, {"text": None}, {"text": {"a": 1}}, {"text": ["a", 3]}, 7, None])
def test_what_is_no_text_costs_its_own_field_and_raises_nothing(value: Any) -> None:
    odd = {"from_name": "date", "to_name": "image", "type": "textarea", "value": value}
    one = label(annotation(odd, region("lieu", "Nice")), task(stored(9) | {"result": [odd]}), CONFIG)
    assert one.unusable == {"date": "not_text"}
    assert one.problems == ("task 3, annotation 5: date is no text; it is left out, the label's other fields count",)
    assert one.values["date"] == "" and one.values["lieu"] == "Nice"


@pytest.mark.parametrize("result", ["text", 3, {"from_name": "date"}])
def test_a_result_that_is_no_list_says_nothing_of_any_field(result: Any) -> None:
    one = label(annotation() | {"result": result}, task(), CONFIG)
    assert set(one.unusable) == set(CHEQUE.names)


def test_the_same_value_twice_is_one_value() -> None:
    assert label(annotation(region("date", "03/05/2024", "3 mai 2024")), task(), CONFIG).usable


@pytest.mark.parametrize("result", [None, "text", [None, 3, {}, {"value": 3}, {"value": {"text": None}}], [[]]])
def test_a_damaged_result_is_an_empty_label(result: Any) -> None:
    one = label(annotation() | {"result": result}, task(), CONFIG)
    assert set(one.values.values()) == {""}


def at(moment: str, **more: Any) -> Any:
    regions = [region("lieu", lieu) for lieu in [more.pop("lieu", "")] if lieu]
    return label(annotation(*regions, updated_at=f"2026-01-01T{moment}:00.000000Z", **more), task(), CONFIG)


def test_the_true_label_is_ground_truth_else_the_latest_not_cancelled() -> None:
    early, late = at("10:00", id=1), at("11:00", id=2)
    skipped, ambiguous = (
        at("12:00", id=3, was_cancelled=True),
        label(annotation(region("lieu", "a", "b"), updated_at="2026-01-01T13:00:00.000000Z"), task(), CONFIG),
    )
    assert truth([late, early, skipped, ambiguous]) is late
    assert truth([late, at("09:00", id=4, ground_truth=True)]).annotation == 4  # type: ignore[union-attr]
    assert truth([skipped, ambiguous]) is None
    assert truth([]) is None


def test_disagreement_is_between_people_not_with_oneself() -> None:
    first = at("10:00", completed_by=1, lieu="Nice")
    changed_mind = at("11:00", completed_by=1, lieu="Lyon")
    other = at("10:30", completed_by=2, lieu="Nice")
    assert disagreements([first, changed_mind]) == ()
    assert disagreements([first, other]) == ()
    assert disagreements([first, changed_mind, other]) == ("lieu",)


def test_an_imported_label_is_dated_by_the_day_on_which_it_was_made() -> None:
    typed = annotation(region("date", "03/05/09"))
    brought = task() | {"data": {"image": "/data/upload/1/c.png", "labelled_at": "2010-01-05T10:00:00Z"}}
    assert label(typed, brought, CONFIG).values["date"] == "2009-05-03"
    old = annotation(region("date", "03/05/1996"))
    assert label(old, brought, CONFIG).unusable == {} and label(old, task(), CONFIG).unusable == {"date": "far_date"}
