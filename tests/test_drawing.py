"""Drawn cheques: the truth is what is written, the same seed gives the same pixels, and every hand can write."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cheques.amounts import cents_of_words, words_and_figures_agree
from cheques.dates import readings
from cheques.drawing import ALPHABET, Drawn, amounts, draw_cheque, draw_line, folder
from cheques.drawing.amounts import BY_CODE, figures, number_words, words
from cheques.drawing.banks import BANKS
from cheques.drawing.content import WRITTEN, Content, choose_content
from cheques.drawing.dates import choose_date, written
from cheques.drawing.hands import FONTS, GROUPS, HANDS, UNSEEN, choose_hand, glyph
from cheques.drawing.handwriting import PLAIN, width, write
from cheques.fields import CHEQUE
from cheques.values import canonical, canonical_values

TWO_WAYS = re.compile(r"\d\d?-\d\d?-\d\d")  # 20-05-24: the 20th, or of 2020


def contents(count: int) -> list[Content]:
    rng = random.Random(0)
    return [choose_content(rng, choose_hand(rng, "all")) for _ in range(count)]


@pytest.fixture(scope="module")
def many() -> list[Content]:
    return contents(6000)


def ink_in(drawn: Drawn, box: tuple[int, int, int, int]) -> float:
    """The share of clearly dark pixels in a box."""
    return float((np.asarray(drawn.image.convert("L").crop(box)) < 110).mean())


class TestHands:
    def test_sixty_eight_hands_of_which_sixteen_are_kept_for_the_exam(self) -> None:
        assert len(HANDS) == 68
        assert (len(GROUPS["all"]), len(UNSEEN), len(GROUPS["kept-out"])) == (38, 8, 16)
        assert {hand.name for hand in GROUPS["train"] + GROUPS["kept-out"]} == set(HANDS)
        assert not set(GROUPS["train"]) & set(GROUPS["kept-out"])

    def test_every_font_lies_beside_its_licence(self) -> None:
        for font in FONTS.glob("*.ttf"):
            licence = font.with_suffix(".LICENSE.txt").read_text(encoding="utf-8")
            assert "SIL" in licence or "Apache License" in licence
            assert font.stat().st_size < 50_000

    @pytest.mark.parametrize("name", sorted(HANDS))
    def test_every_hand_has_every_letter_of_the_alphabet(self, name: str) -> None:
        missing = [letter for letter in ALPHABET if letter != " " and not glyph(HANDS[name], 16, letter).ink.any()]
        assert missing == []

    def test_different_letters_look_different(self) -> None:
        for hand in HANDS.values():
            shapes = {glyph(hand, 22, digit).ink.tobytes() for digit in "0123456789éèêeçcàâa,."}
            assert len(shapes) == 21, hand.name

    def test_unknown_hands_are_named(self) -> None:
        with pytest.raises(ValueError, match="no hands called 'gothic'"):
            draw_line(random.Random(1), hands="gothic")


class TestWriting:
    @pytest.mark.parametrize("name", ["caveat", "great-vibes", "just-another-hand"])
    def test_a_text_takes_the_width_it_was_measured_at(self, name: str) -> None:
        measured = width("quatre-vingt-dix euros", HANDS[name], PLAIN)
        left, _, right, _ = write(
            random.Random(1), "quatre-vingt-dix euros", HANDS[name], PLAIN, (400, 40), (5, 28)
        ).box
        assert right - left == pytest.approx(measured, rel=0.12)

    def test_a_text_too_long_is_written_smaller_and_stays_inside(self) -> None:
        ink = write(random.Random(1), "neuf cent mille francs " * 3, HANDS["caveat"], PLAIN, (200, 40), (5, 28)).ink
        assert ink[:, :190].max() > 200
        assert ink[:, -1].max() == 0


class TestLines:
    def test_the_same_seed_draws_the_same_line(self) -> None:
        (first, text), (second, again) = draw_line(random.Random(3)), draw_line(random.Random(3))
        assert text == again
        assert first.tobytes() == second.tobytes()

    @pytest.mark.slow
    def test_lines_keep_to_the_alphabet_and_to_their_size(self) -> None:
        rng = random.Random(4)
        for _ in range(500):
            image, text = draw_line(rng, "all")
            assert (image.mode, image.size) == ("L", (384, 32))
            assert text == " ".join(text.split()) != ""
            assert set(text) <= set(ALPHABET)

    def test_difficulty_zero_is_dark_ink_on_even_paper(self) -> None:
        image, _ = draw_line(random.Random(5), difficulty=0)
        values = np.asarray(image)
        assert np.median(values) == 250
        assert values.min() < 60

    def test_a_text_of_ones_own_is_written(self) -> None:
        image, text = draw_line(random.Random(6), "caveat", (300, 40), 0.0, "1 234,56 €")
        assert text == "1 234,56 €"
        assert (np.asarray(image) < 128).any(axis=0).sum() > 40

    def test_a_text_too_long_loses_whole_words(self) -> None:
        whole = number_words(999_999) + " euros et " + number_words(99) + " centimes"
        _, text = draw_line(random.Random(7), "caveat", text=whole)
        assert text in whole
        assert set(text.split()) <= set(whole.split())
        assert 20 < len(text) < len(whole)

    def test_hands_without_small_letters_say_so_in_the_text(self) -> None:
        assert draw_line(random.Random(8), "permanent-marker", text="Lyon")[1] == "LYON"


class TestTexts:
    def test_figures_come_back_to_their_amount(self) -> None:
        rng = random.Random(9)
        for code, currency in BY_CODE.items():
            for cents in (100, 1234, 99_999_900, 99_999_999, 150_050):
                cents = cents if currency.cent else cents // 100 * 100
                for _ in range(40):
                    text = figures(rng, cents, currency)
                    value = canonical(CHEQUE["montant_numerique"], text, code)
                    assert Decimal(value) == Decimal(cents) / 100, (code, text)
                    assert value == amounts.canonical(cents, currency)

    def test_dates_come_back_to_their_day(self) -> None:
        rng = random.Random(10)
        for _ in range(2000):
            day = choose_date(rng)
            text = written(rng, day)
            assert day in readings(text), text
            if not TWO_WAYS.fullmatch(text):
                assert canonical(CHEQUE["date"], text) == day.isoformat(), text

    @pytest.mark.parametrize(
        ("number", "said"),
        [
            (80, "quatre-vingts"),
            (200_000, "deux cent mille"),
            (80_000, "quatre-vingt mille"),
            (1_071, "mille soixante et onze"),
            (999_999, "neuf cent quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf"),
        ],
    )
    def test_number_words(self, number: int, said: str) -> None:
        assert number_words(number) == said

    def test_swiss_words(self) -> None:
        assert number_words(272_295, nonante=True) == "deux cent septante-deux mille deux cent nonante-cinq"

    def test_an_amount_in_words_names_its_currency(self) -> None:
        rng = random.Random(11)
        assert {"euro" in words(rng, 100, BY_CODE["EUR"]) for _ in range(20)} == {True}
        assert "francs cfa" in words(rng, 250_000, BY_CODE["XOF"])


class TestContent:
    @pytest.mark.slow
    def test_the_truth_is_canonical_and_fits_the_schema(self, many: list[Content]) -> None:
        for content in many:
            assert tuple(content.truth) == CHEQUE.names
            for field in CHEQUE:
                value = content.truth[field.name]
                assert canonical(field, value, content.truth["devise"]) == value
                if field.kind == "choice":
                    assert value in field.choices
                else:
                    assert re.fullmatch(field.schema["pattern"], value), (field.name, value)

    def test_what_is_written_is_the_truth(self, many: list[Content]) -> None:
        for content in many:
            values, refused = canonical_values(CHEQUE, {**content.texts, "devise": content.truth["devise"]})
            assert all(TWO_WAYS.fullmatch(content.texts[name]) for name in refused)
            for name in set(WRITTEN) - set(refused):
                assert values[name] == content.truth[name]

    def test_words_and_figures_agree_except_where_they_are_meant_not_to(self, many: list[Content]) -> None:
        for content in many:
            agree = words_and_figures_agree(content.truth["montant_lettres"], content.truth["montant_numerique"])
            assert agree in (None, not content.disagreeing), content.truth["montant_lettres"]

    def test_the_words_name_the_currency_of_the_truth(self, many: list[Content]) -> None:
        for content in many:
            amount = cents_of_words(content.truth["montant_lettres"])
            assert amount is None or amount.currency == content.truth["devise"]

    def test_the_shares_of_what_is_special(self, many: list[Content]) -> None:
        count = len(many)
        empty = sum(any(content.truth[name] == "" for name in WRITTEN) for content in many)
        assert 0.013 < empty / count < 0.028
        assert 0.022 < sum(content.erased is not None for content in many) / count < 0.039
        assert 0.013 < sum(content.disagreeing for content in many) / count < 0.028
        assert 0.06 < sum(content.truth["signature"] == "absente" for content in many) / count < 0.10
        currencies = Counter(content.truth["devise"] for content in many)
        assert 0.7 < currencies["EUR"] / count < 0.8
        assert {"CHF", "MAD", "TND", "XOF"} <= set(currencies)

    def test_payees_are_not_learned_by_heart(self, many: list[Content]) -> None:
        assert len({content.truth["beneficiaire"] for content in many}) > 0.75 * len(many)


class TestCheque:
    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        first, second = draw_cheque(12), draw_cheque(12)
        assert first.image.tobytes() == second.image.tobytes()
        assert (first.truth, first.boxes) == (second.truth, second.boxes)
        assert draw_cheque(13).image.tobytes() != first.image.tobytes()

    @pytest.mark.parametrize("bank", [bank.name for bank in BANKS])
    def test_every_bank_shows_every_value_where_its_box_says(self, bank: str) -> None:
        drawn = draw_cheque(14, banks=[bank], hand="patrick-hand", damage=0)
        assert drawn.bank == bank
        assert set(drawn.boxes) == set(CHEQUE.names)
        for name, box in drawn.boxes.items():
            assert ink_in(drawn, box) > 0.01, (bank, name)

    def test_boxes_follow_a_skewed_cheque(self) -> None:
        for seed in range(30):
            drawn = draw_cheque(seed, damage=1.0)
            for x0, y0, x1, y1 in drawn.boxes.values():
                assert 0 <= x0 < x1 <= 640
                assert 0 <= y0 < y1 <= 288

    def test_an_empty_field_has_no_box_and_an_unsigned_cheque_no_signature(self) -> None:
        drawn = [draw_cheque(seed, damage=0) for seed in range(120)]
        unsigned = [cheque for cheque in drawn if cheque.truth["signature"] == "absente"]
        empty = [(cheque, name) for cheque in drawn for name in WRITTEN if not cheque.truth[name]]
        assert unsigned
        assert empty
        assert all("signature" not in cheque.boxes for cheque in unsigned)
        assert all(name not in cheque.boxes for cheque, name in empty)

    def test_written_lines_join_to_the_values(self) -> None:
        for seed in range(120):
            drawn = draw_cheque(seed, damage=0)
            said = {text.strip().lower() for text, _ in drawn.lines}
            words = drawn.truth["montant_lettres"]
            assert words in said or any(
                words in (f"{first} {second}", f"{first}{second}") for first in said for second in said
            )
            assert {drawn.truth[name].lower() for name in ("beneficiaire", "lieu")} - {""} <= said
            left_out = 1 if "empty" in drawn.special else 0
            assert 5 - left_out <= len(drawn.lines) <= 6

    def test_hands_keep_to_their_group(self) -> None:
        unseen = {hand.name for hand in UNSEEN}
        assert {draw_cheque(seed, "unseen", damage=0).hand for seed in range(40)} <= unseen
        assert not {draw_cheque(seed, damage=0).hand for seed in range(40)} & unseen

    @pytest.mark.parametrize("size", [(640, 288), (320, 144), (1280, 576), (448, 192)])
    def test_any_size(self, size: tuple[int, int]) -> None:
        drawn = draw_cheque(15, size=size)
        assert (drawn.image.size, drawn.image.mode) == (size, "RGB")
        assert all(x1 <= size[0] and y1 <= size[1] for _, _, x1, y1 in drawn.boxes.values())

    def test_an_unknown_bank_is_named(self) -> None:
        with pytest.raises(ValueError, match="no bank called 'Gringotts'"):
            draw_cheque(1, banks=["Gringotts"])


class TestFolder:
    def test_the_same_seed_writes_the_same_folder(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            folder.write_folder(tmp_path / name, 3, seed=5, hands="unseen")
        one, two = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
        assert [path.name for path in one] == ["c0001.png", "c0002.png", "c0003.png", "truth.jsonl"]
        assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]

    def test_truth_and_pictures_belong_together(self, tmp_path: Path) -> None:
        lines = folder.write_folder(tmp_path, 2, seed=6).read_text(encoding="utf-8").splitlines()
        second = json.loads(lines[1])
        drawn = folder.cheque(6, 2)
        assert second == {"image": "c0002.png", **drawn.truth}
        assert Image.open(tmp_path / "c0002.png").tobytes() == drawn.image.tobytes()

    def test_a_folder_left_half_done_has_no_truth(self, tmp_path: Path) -> None:
        def fall_over() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            folder.write_folder(tmp_path, 5, seed=7, on_drawn=fall_over)
        assert [path.name for path in tmp_path.iterdir()] == ["c0001.png"]

    def test_the_verb(self, tmp_path: Path) -> None:
        import typer

        from chequemate.draw import draw

        app = typer.Typer()
        app.command()(draw)
        run = CliRunner().invoke(app, [str(tmp_path / "drawn"), "--count", "2", "--seed", "8", "--hands", "unseen"])
        assert run.exit_code == 0, run.output
        assert len((tmp_path / "drawn" / "truth.jsonl").read_text(encoding="utf-8").splitlines()) == 2
        (tmp_path / "file").write_text("")
        refused = CliRunner().invoke(app, [str(tmp_path / "file"), "--count", "2"])
        assert refused.exit_code == 2
        assert "cannot write to" in refused.output
