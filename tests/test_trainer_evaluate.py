"""Scores say what people would count by hand, and nothing that so few cheques cannot carry."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cheques.fields import CHEQUE
from reader.reading import Reading, Unreadable
from store.draw import pixels_digest
from study import metrics
from tests.trainer_parts import FakeReader, cheques
from trainer.dataset import DataError, dataset_hash, kept_apart, openable, read_folder
from trainer.evaluate import evaluate, valid_json
from trainer.recipe import LoraRecipe


def wrong_date(_: str, truth: dict[str, str]) -> dict[str, str]:
    return truth | {"date": "1999-01-01"}


def test_a_reader_that_misses_one_field_scores_six_of_seven() -> None:
    exam = cheques(10)
    scores = evaluate(FakeReader(exam, wrong_date), CHEQUE, None, exam).as_json()
    assert set(scores) == {
        *("n", "mean", "median", "fields", "valid_json", "hard", "ece", "auroc", "read_rate", "seconds_per_cheque")
    }
    assert scores["n"] == 10
    assert scores["mean"] == scores["median"] == pytest.approx(6 / 7)
    assert scores["fields"]["date"] == 0 and scores["fields"]["lieu"] == 1
    assert scores["hard"] == 0 and scores["valid_json"] == 1 and scores["auroc"] == 1
    assert scores["read_rate"] == {"0.01": None, "0.001": None}


def test_a_field_of_which_the_truth_is_not_known_is_left_out_of_every_count() -> None:
    exam = cheques(4)
    exam[0] = replace(exam[0], values={**exam[0].values, "date": "", "lieu": ""}, unknown=frozenset(("date", "lieu")))
    scores = evaluate(FakeReader(cheques(4), wrong_date), CHEQUE, None, exam)
    assert "date" not in scores.cheques[0].right and scores.cheques[0].rate == 1
    assert scores.mean == pytest.approx((1 + 3 * 6 / 7) / 4)
    assert scores.as_json()["fields"]["date"] == 0 and scores.as_json()["fields"]["lieu"] == 1
    assert len(scores.confidences()[0]) == 4 * 7 - 2
    assert np.isnan(scores.right[0]).sum() == 2 and not np.isnan(scores.right[1:]).any()


def test_people_and_model_may_write_a_value_in_two_ways() -> None:
    exam = cheques(1)
    scores = evaluate(FakeReader(exam, lambda _, t: t | {"date": "3 mai 2024", "devise": "€"}), CHEQUE, None, exam)
    assert scores.mean == 1
    assert scores.beside()["as_written"] == pytest.approx(5 / 7)


def test_cheques_of_which_nothing_is_read_are_hard() -> None:
    exam = cheques(3)
    nothing = evaluate(FakeReader(exam, lambda _, t: dict.fromkeys(t, "9.99")), CHEQUE, None, exam)
    assert nothing.hard == ["c0", "c1", "c2"]
    assert nothing.mean == 0


def test_a_cheque_that_the_reader_refuses_is_read_wrong_and_its_neighbours_as_ever() -> None:
    exam = cheques(5)

    class Refusing(FakeReader):
        def read(self, images: Any, *rest: Any, **more: Any) -> list[Reading]:
            if any(pixels_digest(image) == exam[2].digest for image in images):
                raise Unreadable("this cheque is too long")
            return super().read(images, *rest, **more)

    scores = evaluate(Refusing(exam), CHEQUE, None, exam)
    assert [cheque.right["date"] for cheque in scores.cheques] == [True, True, False, True, True]
    assert scores.cheques[2].reading.notes == ("this cheque is too long",) and scores.valid_json == 0.8


def test_no_exam_gives_nulls() -> None:
    scores = evaluate(FakeReader([]), CHEQUE, None, []).as_json()
    assert (scores["n"], scores["mean"], scores["auroc"], scores["seconds_per_cheque"]) == (0, None, None, None)


def test_invalid_json_is_counted_in_free_decoding_only() -> None:
    seen = cheques(4)
    reader = FakeReader(seen, lambda _, t: t | {"lieu": "no json"} if t["montant_numerique"] == "1.00" else t)
    assert valid_json(reader, CHEQUE, None, [one.open for one in seen]) == (0.75, 4)
    assert evaluate(reader, CHEQUE, None, seen).valid_json == 1


def test_what_holds_a_question_mark_is_never_taken_without_a_person() -> None:
    exam = cheques(300)
    assert evaluate(FakeReader(exam), CHEQUE, None, exam).read_rate(0.01) == 1
    unsure = FakeReader(exam, lambda _, t: t | {"montant_numerique": "?"})
    assert evaluate(unsure, CHEQUE, None, exam).read_rate(0.01) == 0


def test_read_rate_accepts_as_far_as_the_misread_rate_allows() -> None:
    confidence = np.linspace(1, 0.5, 1000)
    right = np.ones(1000, bool)
    right[[500, 600, 700, 701, 702, 703, 704, 705]] = False
    assert metrics.read_rate(confidence, right, 0.01) == 1
    right[700:] = False
    assert metrics.read_rate(confidence, right, 0.01) == pytest.approx(0.705, abs=0.002)
    assert metrics.read_rate(confidence, right, 0.001) is None


def test_auroc_and_calibration_of_known_cases() -> None:
    right = np.array([True, True, False, False])
    assert metrics.auroc(np.array([0.9, 0.4, 0.4, 0.1]), right) == pytest.approx(0.875)
    assert metrics.auroc(np.array([0.9, 0.4]), right[:2]) is None
    assert metrics.calibration_error(np.array([1.0, 1.0, 1.0, 1.0]), right) == pytest.approx(0.5)
    assert metrics.calibration_error(np.array([0.5] * 4), right) == pytest.approx(0)


def test_a_rate_of_zero_has_an_upper_bound() -> None:
    assert metrics.at_most(0, 299) == pytest.approx(0.01, abs=0.0001)
    assert metrics.at_most(5, 5) == 1


def test_a_gain_is_judged_cheque_by_cheque() -> None:
    dice = np.random.default_rng(0)
    hard = dice.random(200)
    gain = metrics.paired_gain(hard + 0.05, hard)
    assert gain and gain.value == pytest.approx(0.05) and gain.low == pytest.approx(0.05)
    noise = metrics.paired_gain(dice.random(200), dice.random(200))
    assert noise and noise.low < 0 < noise.high
    assert metrics.paired_gain(hard[:1], hard[:1]) is None


def folder_of(tmp_path: Path, *lines: object) -> Path:
    cheques(1)[0].open().save(tmp_path / "c.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    written = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    (tmp_path / "truth.jsonl").write_text("\n".join(written), encoding="utf-8")
    return tmp_path


def test_a_folder_is_read_and_its_bad_lines_are_named(tmp_path: Path) -> None:
    good = {"image": "c.png", "montant_numerique": "1 234,56 €", "devise": "€"}
    folder = folder_of(
        tmp_path,
        good,
        "{half",
        {"montant_numerique": "1"},
        good | {"montant_numerique": "douze"},
        good | {"montant_numerique": 12.5},
        good | {"image": "none.png"},
        good | {"image": "broken.png"},
        {"image": "c.png", "iban": "?"},
    )
    examples, problems = read_folder(folder, CHEQUE)
    assert [one.values["montant_numerique"] for one in examples] == ["1234.56", ""]
    assert [one.unknown for one in examples] == [frozenset(), {"montant_numerique"}]
    assert examples[0].values["devise"] == "EUR" and examples[0].values["lieu"] == ""
    reasons = [
        "no JSON",
        'no "image"',
        "n'est pas un montant",
        "is no text",
        "none.png",
        "not a PNG",
        "none of the form's fields",
    ]
    assert len(problems) == len(reasons)
    for number, (problem, reason) in enumerate(zip(problems, reasons, strict=True), 2):
        assert f"truth.jsonl:{number}: " in problem and reason in problem and "\n" not in problem


def test_a_folder_without_anything_usable_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"truth\.jsonl is missing: give a folder"):
        read_folder(tmp_path, CHEQUE)
    with pytest.raises(DataError, match=r"truth\.jsonl:1: no JSON"):
        read_folder(folder_of(tmp_path, "nothing"), CHEQUE)


def test_images_that_do_not_open_are_set_apart(tmp_path: Path) -> None:
    good = {"image": "c.png", "lieu": "Lyon"}
    examples, _ = read_folder(folder_of(tmp_path, good, good), CHEQUE)
    (tmp_path / "c.png").unlink()
    assert openable([*examples, *cheques(1)])[0][0].id == "c0"
    assert len(openable(examples)[1]) == 2


def test_the_hash_knows_a_data_set_by_what_matters() -> None:
    some, recipe = cheques(5), LoraRecipe()
    known = dataset_hash(some, CHEQUE, recipe, "base")
    assert dataset_hash(some[::-1], CHEQUE, recipe, "base") == known
    others = [
        dataset_hash(some[:4], CHEQUE, recipe, "base"),
        dataset_hash(some, CHEQUE, LoraRecipe(rank=8), "base"),
        dataset_hash(some, CHEQUE, recipe, "other"),
        dataset_hash([*some[:4], *cheques(1, first=9)], CHEQUE, recipe, "base"),
    ]
    assert len({known, *others}) == 5


def test_a_fifth_of_the_lessons_is_kept_apart_and_a_lesson_stays_on_its_side() -> None:
    learn, apart = kept_apart(cheques(40), 0.2, seed=1)
    assert len(apart) == 8 and len(learn) == 32
    _, more_apart = kept_apart(cheques(60), 0.2, seed=1)
    kept = {one.id for one in apart} & {one.id for one in more_apart}
    assert len(kept) >= 4
    assert kept_apart(cheques(19), 0.2, seed=1)[1] == []
