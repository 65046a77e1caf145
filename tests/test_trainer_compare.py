"""Which model is enough, and which one does not fit, known before it costs anything."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cheques.fields import CHEQUE
from cheques.settings import MODELS
from study.metrics import Estimate
from tests.trainer_parts import FakeReader, cheques
from trainer.compare import Entry, enough, gains_on_first
from trainer.evaluate import evaluate
from trainer.presets import check_fits, recipe_for
from trainer.recipe import LoraRecipe, TrainingError

EXAM = cheques(60)
LARGEST = "Qwen/Qwen2.5-VL-32B-Instruct"


def entry(name: str, wrong_every: int, seconds: float) -> Entry:
    """A contestant that misses the date of every so many cheques."""

    def err(_: str, truth: dict[str, str]) -> dict[str, str]:
        number = int(float(truth["montant_numerique"]))
        return truth | ({"date": ""} if number % wrong_every == 0 else {})

    scores = replace(evaluate(FakeReader(EXAM, err), CHEQUE, None, EXAM), seconds=seconds * len(EXAM))
    return Entry(name, scores, 1.0, 2**30)


def test_the_quickest_that_is_not_worse_beyond_chance_is_enough() -> None:
    large, small, tiny = entry("32B", 60, 4.0), entry("7B", 30, 1.0), entry("small", 2, 0.1)
    assert enough([large, small, tiny]) == small
    assert enough([large]) == large


def test_a_thousand_cheques_cost_their_hours() -> None:
    assert entry("7B", 30, 3.6).cost(price_an_hour=2.0) == pytest.approx(2.0)
    assert entry("7B", 30, 3.6).as_json(None)["cost_per_thousand"] is None


def test_gains_are_told_against_the_first() -> None:
    first, same, better = gains_on_first([entry("a", 1, 1), entry("b", 1, 1), entry("c", 99, 1)])
    assert first is None
    assert same == Estimate(0, 0, 0)
    assert better and (better.value, better.low, better.high) == pytest.approx((1 / 7, 1 / 7, 1 / 7))


def test_exact_match_has_its_interval_and_a_handful_of_cheques_decides_nothing() -> None:
    whole = entry("7B", 3, 1.0)
    interval = whole.exact_match
    assert interval and interval.value == pytest.approx(1 - 1 / 21)
    assert 0.9 < interval.low < interval.value < interval.high < 1
    few = replace(whole, scores=evaluate(FakeReader(EXAM), CHEQUE, None, EXAM[:9]))
    assert few.exact_match is None and enough([few, few]) is None and gains_on_first([few, few]) == [None, None]


def test_the_small_model_has_a_recipe_of_its_own() -> None:
    assert recipe_for(str(MODELS / "small")) == LoraRecipe()
    assert recipe_for("Qwen/Qwen2.5-VL-7B-Instruct").learning_rate < LoraRecipe().learning_rate


@pytest.mark.parametrize(
    "model, card, four_bit",
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 24, False),
        (LARGEST, 48, True),
        ("Qwen/Qwen3-VL-32B-Instruct", 80, False),
        ("Qwen/Qwen3-VL-8B-Instruct", 12, True),
    ],
)
def test_a_large_model_takes_four_bits_where_sixteen_do_not_fit_and_a_server_reads(
    model: str, card: float, four_bit: bool
) -> None:
    recipe = recipe_for(model, card, reads_elsewhere=True)
    assert recipe.four_bit is four_bit
    check_fits(model, recipe, card, reads_elsewhere=True)
    assert recipe_for(model, card).four_bit is False  # the reader of this process could not open it


def test_what_does_not_fit_says_so_before_it_is_downloaded() -> None:
    with pytest.raises(TrainingError, match="to train and the card has 24: take a smaller model or a card of 30 GiB"):
        check_fits(LARGEST, recipe_for(LARGEST, 24, True), 24, True)
    with pytest.raises(
        TrainingError, match="take a smaller model, a card of 70 GiB or more or a vLLM server with CHEQ"
    ):
        check_fits(LARGEST, recipe_for(LARGEST, 48), 48)
    with pytest.raises(TrainingError, match="or a 4-bit recipe"):
        check_fits(LARGEST, LoraRecipe(), 48, True)
    check_fits("somebody/unknown", LoraRecipe(), 1)


def test_what_is_trained_in_four_bits_must_fit_in_sixteen_to_be_read_with_here() -> None:
    with pytest.raises(
        TrainingError, match="needs about 65 GiB to read with and the card has 48: take a smaller model, a"
    ):
        check_fits(LARGEST, LoraRecipe(four_bit=True), 48)
    check_fits(LARGEST, LoraRecipe(four_bit=True), 65)
    check_fits(LARGEST, LoraRecipe(four_bit=True), 48, reads_elsewhere=True)


def test_the_weights_of_a_folder_are_weighed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"hidden_size": 4096}}))
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(20 * 2**30)  # a hole, not 20 GiB
    assert recipe_for(str(tmp_path), 24, reads_elsewhere=True).four_bit is True
    assert recipe_for(str(tmp_path), 25, reads_elsewhere=True).four_bit is False
