"""Layouts of every kind: no two alike, three groups that share nothing, and a truth that holds whatever happened."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cheques.amounts import words_and_figures_agree
from cheques.drawing import ALPHABET, Drawn, captures, draw_cheque, folder, people
from cheques.drawing.amounts import BY_CODE
from cheques.drawing.captures import KINDS
from cheques.drawing.compositions import COMPOSITIONS, HEIGHTS, WIDTHS
from cheques.drawing.content import choose_content, slipped
from cheques.drawing.form_words import COUNTRIES, FRENCH
from cheques.drawing.hands import GROUPS, HANDS
from cheques.drawing.layouts import STYLES, Layout, choose_layout, layout
from cheques.drawing.names import LISTS
from cheques.fields import CHEQUE, UNREADABLE
from cheques.values import canonical

Box = tuple[int, int, int, int]


def some(group: str, count: int = 200) -> list[Layout]:
    return [layout(group, number) for number in range(count)]


def ink_in(image: Image.Image, box: Box) -> float:
    """How much darker than the paper around it a box is, in grey steps at its darkest twentieth."""
    x0, y0, x1, y1 = box
    around = np.asarray(image.convert("L").crop((x0 - 12, y0 - 12, x1 + 12, y1 + 12)))
    return float(np.median(around) - np.percentile(np.asarray(image.convert("L").crop(box)), 5))


def apart(one: Box, other: Box, least: int) -> bool:
    """Whether two rectangles share at most `least` rows or columns."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across <= least or down <= least


class TestLayouts:
    def test_the_same_number_gives_the_same_layout_and_another_another(self) -> None:
        first = layout("train", 5)
        layout.cache_clear()
        assert layout("train", 5) == first
        assert len({one.payee for one in some("train")}) > 190

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        first, second = (draw_cheque(3, "train", layouts="train", kinds=KINDS, hidden=0.5) for _ in range(2))
        assert first.image.tobytes() == second.image.tobytes()
        assert (first.truth, first.boxes, first.lines) == (second.truth, second.boxes, second.lines)

    def test_every_composition_gives_each_field_its_room(self) -> None:
        outer = (20, 8, 628, 242)
        for composition in (one for group in COMPOSITIONS.values() for one in group):
            assert {*"hwpbldso"} <= set(composition.areas()), composition.name
            for letter, (left, top, right, bottom) in composition.areas().items():
                within = {place for row in composition.rows[top:bottom] for place in row[left:right]}
                assert within <= {letter, "."}, (composition.name, letter)
            for seed in range(20):
                rooms = composition.rectangles(random.Random(seed), outer)
                for letter, (x0, y0, x1, y1) in rooms.items():
                    assert x1 - x0 >= WIDTHS[letter], (composition.name, letter)
                    assert y1 - y0 >= HEIGHTS[letter] - 0.01, (composition.name, letter)
                assert min(room[1] for room in rooms.values()) == 8
                assert max(room[3] for room in rooms.values()) == pytest.approx(242)

    @pytest.mark.parametrize("group", list(COMPOSITIONS))
    def test_no_two_fields_share_their_room(self, group: str) -> None:
        for one in some(group):
            rules = (*one.words, one.payee, one.place, one.date)
            places = [*((rule.x0, rule.y - 16, rule.x1, rule.y + 4) for rule in rules), one.box, one.signature]
            for number, first in enumerate(places):
                for second in places[number + 1 :]:
                    assert apart(first, second, 3), (group, one.composition, first, second)
            begin, end = (one.stub[1], 640) if one.stub[0] == 0 else (0, one.stub[0])
            assert all(begin <= x0 < x1 <= end and 0 <= y0 < y1 <= 272 for x0, y0, x1, y1 in places)

    def test_layouts_are_of_every_kind(self) -> None:
        layouts = some("train", 400)
        assert {one.composition for one in layouts} == {one.name for one in COMPOSITIONS["train"]}
        assert {len(one.words) for one in layouts} == {1, 2}
        assert {one.ruled for one in layouts} == {"line", "dots", "band", "dashes", "framed", "none"}
        assert {one.frame for one in layouts} == {"line", "round", "double", "panel", "corners", "comb"}
        assert {one.country for one in layouts} >= {country.name for country in COUNTRIES[:8]}
        assert {one.stub[0] == 0 for one in layouts if one.stub[1]} == {True, False}
        printed = Counter(text.text for one in layouts for text in one.prints)
        assert set(FRENCH["words"]) <= set(printed)
        assert any("Betrag" in text for text in printed) and any("order of" in text for text in printed)

    def test_an_unknown_group_is_named(self) -> None:
        with pytest.raises(ValueError, match="no layouts called 'gothic'"):
            draw_cheque(1, layouts="gothic")
        with pytest.raises(ValueError, match="not both"):
            draw_cheque(1, layouts="train", banks=["Banque du Ponant"])


class TestGroups:
    def test_no_composition_typeface_pattern_or_colour_is_in_two_groups(self) -> None:
        maps = [{one.map for one in group} for group in COMPOSITIONS.values()]
        assert len(set.union(*maps)) == sum(map(len, maps)) == 20
        for what in ("typefaces", "textures"):
            kept = [set(getattr(style, what)) for style in STYLES.values()]
            assert len(set.union(*kept)) == sum(map(len, kept)), what
        hues = sorted(hue for style in STYLES.values() for hue in style.hues)
        assert all(before[1] <= after[0] for before, after in pairwise(hues))

    def test_training_never_has_what_sets_the_others_apart(self) -> None:
        def apart_from_training(one: Layout) -> bool:
            middle = (one.stub[1] + 640) / 2 if one.stub[0] == 0 else one.stub[0] / 2
            box_left = (one.box[0] + one.box[2]) / 2 < middle
            signed_left = (one.signature[0] + one.signature[2]) / 2 < middle
            words_last = one.words[0].y > one.date.y + 12 and one.words[0].y > one.place.y + 12
            return box_left or signed_left or words_last

        train, others = some("train", 400), [*some("kept-out"), *some("demo", 4)]
        assert not [one.composition for one in train if apart_from_training(one)]
        assert [one.composition for one in others if not apart_from_training(one)] == []

    def test_a_drawn_cheque_is_of_its_group(self) -> None:
        for group in COMPOSITIONS:
            drawn = choose_layout(random.Random(1), group)
            assert drawn.composition in {one.name for one in COMPOSITIONS[group]}
            assert {drawn.typeface, drawn.display} <= set(STYLES[group].typefaces)

    def test_the_demo_has_four_banks_of_one_country(self) -> None:
        drawn = [draw_cheque(seed, layouts="demo", damage=0) for seed in range(60)]
        assert len({cheque.bank for cheque in drawn}) == 4
        assert {layout("demo", number).country for number in range(4)} == {"France"}
        assert {layout("demo", number).composition for number in range(4)} == {one.name for one in COMPOSITIONS["demo"]}

    def test_hands_of_training_are_none_that_are_kept_out(self) -> None:
        kept = {hand.name for hand in GROUPS["kept-out"]}
        drawn = {draw_cheque(seed, "train", layouts="train", damage=0).hand for seed in range(60)}
        assert len(drawn) > 25
        assert not drawn & kept
        assert {draw_cheque(seed, "kept-out", layouts="kept-out", damage=0).hand for seed in range(20)} <= kept


class TestCheques:
    @pytest.mark.parametrize("group", list(COMPOSITIONS))
    def test_every_value_stands_where_its_box_says(self, group: str) -> None:
        for seed in range(25):
            drawn = draw_cheque(seed, "train", layouts=group, damage=0)
            written = {name for name in CHEQUE.names if drawn.truth[name] not in ("", "absente")}
            assert set(drawn.boxes) == written
            for name, box in drawn.boxes.items():
                assert 0 <= box[0] < box[2] <= 640 and 0 <= box[1] < box[3] <= 288
                assert ink_in(drawn.image, box) > 25, (seed, name)

    def test_the_truth_is_canonical(self) -> None:
        for seed in range(60):
            drawn = draw_cheque(seed, "train", layouts="train", hidden=0.3, damage=0)
            assert tuple(drawn.truth) == CHEQUE.names
            for field in CHEQUE:
                assert canonical(field, drawn.truth[field.name], drawn.truth["devise"]) == drawn.truth[field.name]

    def test_the_currency_is_that_of_the_form(self) -> None:
        for seed in range(40):
            drawn = draw_cheque(seed, "train", layouts="train", damage=0)
            form = choose_layout(_after_the_hand(seed), "train")
            assert (drawn.bank, drawn.truth["devise"]) == (form.name, form.currency)
            assert form.sign is None or drawn.boxes["devise"][0] == form.sign.x - 2

    def test_a_long_amount_stays_on_a_form_that_has_one_line_for_it(self) -> None:
        forms = {seed: choose_layout(_after_the_hand(seed), "train") for seed in range(150)}
        for seed, form in ((seed, form) for seed, form in forms.items() if len(form.words) == 1):
            drawn = draw_cheque(seed, "train", layouts="train", damage=0)
            box = drawn.boxes.get("montant_lettres")
            if box is not None:
                assert box[2] <= form.words[0].x1
                assert (box[2] - box[0]) / len(drawn.truth["montant_lettres"]) > 4, "too small to be read"

    def test_any_size(self) -> None:
        drawn = draw_cheque(15, "train", (1280, 576), layouts="train", kinds=["photographed"])
        assert (drawn.image.size, drawn.image.mode) == ((1280, 576), "RGB")
        assert max(x1 for _, _, x1, _ in drawn.boxes.values()) > 640


def _after_the_hand(seed: int) -> random.Random:
    rng = random.Random(seed)
    rng.random()  # which hand writes
    return rng


def disagree(drawn: Drawn) -> bool | None:
    agree = words_and_figures_agree(drawn.truth["montant_lettres"], drawn.truth["montant_numerique"])
    return None if agree is None else not agree


class TestDiscordant:
    def test_they_differ_and_only_they_do(self) -> None:
        drawn = [draw_cheque(seed, "train", layouts="train", discordant=0.5, damage=0) for seed in range(120)]
        for cheque in drawn:
            assert disagree(cheque) in (None, "disagreeing" in cheque.special), cheque.truth
        assert 0.35 < sum("disagreeing" in cheque.special for cheque in drawn) / 120 < 0.65

    def test_all_or_none_where_that_is_asked(self) -> None:
        rng = random.Random(1)
        always = [choose_content(rng, HANDS["caveat"], discordant=1.0) for _ in range(300)]
        assert all(content.disagreeing for content in always)
        assert all(content.truth["montant_lettres"] and content.truth["montant_numerique"] for content in always)
        assert not any(choose_content(rng, HANDS["caveat"], discordant=0.0).disagreeing for _ in range(300))

    @pytest.mark.parametrize(("code", "cents"), [("EUR", 100), ("EUR", 124_050), ("XOF", 150_000), ("TND", 99_999_999)])
    def test_a_slip_is_another_amount_of_the_currency(self, code: str, cents: int) -> None:
        rng = random.Random(2)
        slips = {slipped(rng, cents, BY_CODE[code]) for _ in range(300)}
        assert cents not in slips
        assert all(100 <= slip < 10**8 for slip in slips)
        if code == "XOF":
            assert all(slip % 100 == 0 for slip in slips)

    def test_slips_are_those_that_people_make(self) -> None:
        rng = random.Random(3)
        slips = {slipped(rng, 124_050, BY_CODE["EUR"]) for _ in range(500)}
        swapped, thousand_missing, cents_missing, other_digit, ten_times = 142_050, 24_050, 124_000, 134_050, 1_240_500
        assert {swapped, thousand_missing, cents_missing, other_digit, ten_times} <= slips


class TestHidden:
    def test_one_amount_cannot_be_read_and_the_truth_says_so(self) -> None:
        drawn = [draw_cheque(seed, "train", layouts="train", hidden=1.0, damage=0) for seed in range(60)]
        names = ("montant_numerique", "montant_lettres")
        covered = [cheque for cheque in drawn if "hidden" in cheque.special]
        assert len(covered) > 50
        for cheque in covered:
            assert sorted(cheque.truth[name] == UNREADABLE for name in names) == [False, True]
            assert not any("?" in text for text, _ in cheque.lines)
        assert {name for cheque in covered for name in names if cheque.truth[name] == UNREADABLE} == set(names)

    def test_what_is_hidden_is_no_line_to_learn_from_but_keeps_its_box(self) -> None:
        for seed in range(40):
            plain = draw_cheque(seed, "train", layouts="train", damage=0, discordant=0)
            drawn = draw_cheque(seed, "train", layouts="train", damage=0, discordant=0, hidden=1.0)
            hidden = [name for name in CHEQUE.names if drawn.truth[name] == UNREADABLE]
            for name in hidden:
                assert drawn.boxes[name] == plain.boxes[name]
                assert drawn.truth["devise"] == plain.truth["devise"]
                assert drawn.boxes.get("devise") != drawn.boxes[name]
                assert 1 <= len(plain.lines) - len(drawn.lines) <= 2

    def test_at_least_half_of_the_writing_is_gone(self) -> None:
        """Where dark ink was, there is the cover, as light or as dark as its surroundings."""
        for seed in range(40):
            plain = np.asarray(draw_cheque(seed, "train", layouts="train", damage=0, discordant=0).image, np.int16)
            drawn = draw_cheque(seed, "train", layouts="train", damage=0, discordant=0, hidden=1.0)
            for name in (name for name in CHEQUE.names if drawn.truth[name] == UNREADABLE):
                x0, y0, x1, y1 = drawn.boxes[name]
                changed = np.abs(np.asarray(drawn.image, np.int16) - plain).max(axis=2)[y0:y1, x0:x1] > 12
                assert changed.any(axis=0).mean() > 0.3, (seed, name)

    def test_in_black_and_white_what_is_hidden_is_black(self) -> None:
        for seed in range(20):
            drawn = draw_cheque(seed, "train", layouts="train", damage=0, hidden=1.0, kinds=["bilevel"])
            for name in (name for name in CHEQUE.names if drawn.truth[name] == UNREADABLE):
                x0, y0, x1, y1 = drawn.boxes[name]
                assert (np.asarray(drawn.image)[y0:y1, x0:x1] == 0).mean() > 0.1, (seed, name)

    def test_nothing_is_hidden_unless_asked_for(self) -> None:
        assert not any("hidden" in draw_cheque(seed, layouts="train", damage=0).special for seed in range(30))


class TestKinds:
    def test_upside_down_turns_picture_and_boxes(self) -> None:
        upright = draw_cheque(4, "train", layouts="train", damage=0)
        turned = draw_cheque(4, "train", layouts="train", damage=0, kinds=["upside-down"])
        assert turned.turned == 180
        assert turned.image.tobytes() == upright.image.rotate(180).tobytes()
        for name, (x0, y0, x1, y1) in upright.boxes.items():
            assert turned.boxes[name] == (640 - x1, 288 - y1, 640 - x0, 288 - y0)

    def test_sideways_swaps_width_and_height(self) -> None:
        turns = set()
        for seed in range(12):
            upright = draw_cheque(seed, "train", layouts="train", damage=0)
            turned = draw_cheque(seed, "train", layouts="train", damage=0, kinds=["sideways"])
            turns.add(turned.turned)
            assert turned.image.size == (288, 640)
            assert turned.image.tobytes() == upright.image.rotate(-turned.turned, expand=True).tobytes()
            x0, y0, x1, y1 = turned.boxes["montant_lettres"]
            box = upright.boxes["montant_lettres"]
            assert (x1 - x0, y1 - y0) == (box[3] - box[1], box[2] - box[0])
            assert turned.image.crop((x0, y0, x1, y1)).rotate(turned.turned, expand=True) == upright.image.crop(box)
        assert turns == {90, 270}

    def test_photographed_boxes_stay_on_their_values(self) -> None:
        """A black cheque with one white box, photographed: the white lies in the moved box, and fills most of it."""
        for seed in range(20):
            drawn = Image.new("RGB", (640, 288))
            drawn.paste((255, 255, 255), (400, 60, 560, 100))
            taken = captures.capture(random.Random(seed), drawn, ["photographed"])
            box = taken.moved((400, 60, 560, 100))
            paper = taken.matrix @ np.array([(0, 0, 1), (640, 288, 1)]).T
            assert (paper[:2] / paper[2]).min() >= 1
            inside = np.asarray(taken.image.convert("L").crop(box), float)
            rim = (box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8)
            around = np.asarray(taken.image.convert("L").crop(rim), float)
            bright = around > 0.5 * inside.max()
            assert bright[8:-8, 8:-8].mean() > 0.6
            bright[6:-6, 6:-6] = False
            assert not bright.any(), seed

    def test_photographed_cheques_lie_on_something(self) -> None:
        corners = [
            draw_cheque(seed, layouts="train", kinds=["photographed"]).image.getpixel((0, 0)) for seed in range(9)
        ]
        assert len(set(corners)) > 5

    def test_bilevel_is_black_and_white_and_can_be_read(self) -> None:
        for seed in range(12):
            drawn = draw_cheque(seed, "train", layouts="train", damage=0.3, kinds=["bilevel"])
            values = np.asarray(drawn.image)
            assert set(np.unique(values)) == {0, 255}
            assert 0.01 < (values == 0).mean() < 0.3
            for name, (x0, y0, x1, y1) in drawn.boxes.items():
                assert (values[y0:y1, x0:x1] == 0).mean() > 0.02, (seed, name)

    def test_jpeg_keeps_few_details(self) -> None:
        plain = draw_cheque(6, layouts="train", damage=0)
        squeezed = draw_cheque(6, layouts="train", damage=0, kinds=["jpeg"])
        difference = np.abs(np.asarray(plain.image, float) - np.asarray(squeezed.image, float)).mean()
        assert 1 < difference < 25
        assert squeezed.boxes == plain.boxes

    def test_named_banks_can_be_photographed_too(self) -> None:
        plain, taken = draw_cheque(7), draw_cheque(7, kinds=["photographed"])
        assert (taken.bank, taken.truth) == (plain.bank, plain.truth)
        assert taken.boxes != plain.boxes

    def test_an_unknown_kind_is_named(self) -> None:
        with pytest.raises(ValueError, match="no damage called 'burnt'"):
            draw_cheque(1, kinds=["burnt"])


class TestNames:
    @pytest.mark.parametrize("country", sorted({country.name for country in COUNTRIES}))
    def test_they_keep_to_the_alphabet_and_fit_their_line(self, country: str) -> None:
        rng = random.Random(country)
        for _ in range(400):
            payee, town = people.payee(rng, country), people.town(rng, country)
            assert set(payee + town) <= set(ALPHABET), (payee, town)
            assert len(payee) <= 36 and len(town) <= 20
            assert payee == " ".join(payee.split()) and town == " ".join(town.split())
            assert canonical(CHEQUE["beneficiaire"], payee) == payee
            assert canonical(CHEQUE["lieu"], town) == town

    def test_most_are_in_no_list(self) -> None:
        rng = random.Random(1)
        towns = [people.town(rng, "France") for _ in range(1000)]
        assert sum(town in LISTS["towns"]["EUR"] for town in towns) < 250
        assert len(set(towns)) > 750
        assert len({people.payee(rng, "Maroc") for _ in range(1000)}) > 930

    def test_firms_are_called_as_their_country_calls_them(self) -> None:
        rng = random.Random(2)
        for country, form in (("Suisse", "GmbH"), ("Maroc", "SARL AU"), ("Belgique", "ASBL"), ("France", "SCI")):
            assert any(form in people.firm(rng, country) for _ in range(400)), country


class TestFolder:
    def test_the_verb(self, tmp_path: Path) -> None:
        import typer

        from chequemate.draw import draw

        app = typer.Typer()
        app.command()(draw)
        wanted = ["--count", "6", "--banks", "kept-out", "--hands", "kept-out", "--discordant", "1"]
        kinds = ["--damage", "upside-down", "--damage", "bilevel"]
        run = CliRunner().invoke(app, [str(tmp_path), *wanted, *kinds])
        assert run.exit_code == 0, run.output
        lines = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(lines) == 6
        for number, line in enumerate(lines, 1):
            drawn = folder.cheque(1, number, "kept-out", "kept-out", kinds=["upside-down", "bilevel"], discordant=1.0)
            assert line == {"image": f"c{number:04d}.png", **drawn.truth}
            picture = Image.open(tmp_path / line["image"])
            assert picture.tobytes() == drawn.image.tobytes()
            assert set(np.unique(np.asarray(picture))) == {0, 255}
            assert drawn.turned == 180
            assert words_and_figures_agree(line["montant_lettres"], line["montant_numerique"]) is not True

    def test_a_share_beyond_one_is_refused(self, tmp_path: Path) -> None:
        import typer

        from chequemate.draw import draw

        app = typer.Typer()
        app.command()(draw)
        assert CliRunner().invoke(app, [str(tmp_path), "--discordant", "15"]).exit_code == 2
        assert not list(tmp_path.iterdir())
