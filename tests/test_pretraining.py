"""Pretraining: the tokenizer spells what must be read, the quick tower is the real one, a resume is exact."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cheques.drawing import Drawn, draw_cheque, draw_line  # noqa: E402
from cheques.drawing.hands import GROUPS  # noqa: E402
from cheques.fields import CHEQUE  # noqa: E402
from reader.prompt import answer, conversation, question  # noqa: E402
from research.pretraining import ctc, forward, model, run, samples, supervision, targets, vision  # noqa: E402
from research.pretraining import tokenizer as tok  # noqa: E402
from research.pretraining.letters import BLANK, NUMBER  # noqa: E402
from research.pretraining.lines import PAGE, pixels  # noqa: E402
from research.pretraining.samples import EXAM, Cheques, Lines  # noqa: E402

TRUTH = {
    "montant_numerique": "1234.56",
    "montant_lettres": "mille deux cent quatre-vingt-quinze euros et cinquante-six centimes",
    "date": "2024-05-03",
    "beneficiaire": "Société Dupœl (Frères)",
    "signature": "présente",
    "lieu": "Saint-Étienne",
    "devise": "EUR",
}


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def pieces(text: str) -> list[str]:
    tokenizer = tok.core()
    return [tokenizer.decode([token]) for token in targets.numbers(text)]


# The tokenizer


def test_an_answer_is_short_and_comes_back_as_it_was() -> None:
    text = answer(CHEQUE, TRUTH)
    numbers = targets.numbers(text)
    assert tok.core().decode(numbers, skip_special_tokens=False) == text
    assert len(numbers) < 80


def test_keys_are_single_tokens() -> None:
    assert pieces('{"montant_numerique": "", "montant_lettres": "') == [
        '{"montant_numerique": "',
        '", "montant_lettres": "',
    ]
    assert len(targets.numbers(question(CHEQUE))) < 50


def test_digits_and_letters_stand_alone_and_number_words_do_not() -> None:
    assert pieces("1234.56") == list("1234.56")
    assert pieces("Dupré") == list("Dupré")
    assert pieces("quatre-vingt-dix-sept mille") == ["quatre", "-vingt", "-dix", "-sept", " mille"]


def test_any_text_survives() -> None:
    for text in ("\x00\t«Ünïcødé» — 日本 🙂", 'a "b" \\ {"c": "d"}', ""):
        assert tok.core().decode(targets.numbers(text)) == text


def test_the_shipped_tokenizer_is_the_one_that_is_trained_with() -> None:
    from tokenizers import Tokenizer

    from cheques.settings import MODELS

    shipped = Tokenizer.from_file(str(MODELS / "small" / "tokenizer.json"))
    assert shipped.get_vocab() == tok.core().get_vocab()


# The quick forward is the real one


def test_the_quick_forward_equals_transformers_on_whole_cheques() -> None:
    from PIL import Image

    small = model.build(seed=1).eval()
    small.model.language_model.config._attn_implementation = "eager"
    processor = model.processor()
    batch = Cheques(2, first=EXAM)(0)
    text = [processor.apply_chat_template(conversation(CHEQUE, truth)) for truth in batch["truths"]]
    images = [Image.fromarray(image) for image in batch["images"]]
    inputs = processor(text=text, images=images, return_tensors="pt", padding=True, padding_side="right")
    with torch.no_grad():
        real = small(**inputs).logits
        cut = vision.patches(pixels(batch["images"], small.model.visual.pos_embed.weight))
        where = vision.places(PAGE, torch.zeros(2, 2, dtype=torch.long))
        last, deep = vision.encode(small.model.visual, cut, where, PAGE)
        tokens = torch.from_numpy(batch["tokens"])
        text = (torch.tensor(targets.before()), tokens)
        quick, _ = forward.scores(small, vision.merge(last, small.model.visual.merger), deep, where, PAGE, text)
    start = len(targets.before()) + 180
    shared = min(tokens.shape[1], real.shape[1] - start)
    asked = tokens[:, :shared] != targets.numbers(tok.PAD)[0]
    assert torch.equal(inputs["input_ids"][:, start : start + shared][asked], tokens[:, :shared][asked])
    assert (real[:, start - 1 : start - 1 + shared] - quick[:, :shared])[asked].abs().max() < 1e-4


def test_blocks_laid_out_in_rows_are_where_they_were() -> None:
    where = vision.places((4, 6), torch.zeros(1, 2, dtype=torch.long))
    states = (where[..., 0] * 10 + where[..., 1])[..., None].float()
    assert vision.in_rows(states, where, (4, 6))[0, 3, 5, 0] == 35
    assert vision.in_rows(states[:, :1], where[:, :1], (4, 6))[0, 3, 5, 0] == 0


# What is trained on


def test_the_same_number_gives_the_same_batch() -> None:
    for draw in (Lines(3, rows=64, spoken=True), Cheques(2, keep=96)):
        one, two = draw(5), draw(5)
        assert np.array_equal(one["images"], two["images"]) and np.array_equal(one["tokens"], two["tokens"])
        assert not np.array_equal(one["tokens"], draw(6)["tokens"])


def test_training_never_draws_an_exam_seed_nor_an_unseen_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str]] = []
    groups: set[str | None] = set()

    def recorded(seed: int, hands: str, *, layouts: str | None, **more: Any) -> Drawn:
        drawn.append((seed, hands))
        groups.add(layouts)
        return draw_cheque(EXAM + seed, hands, layouts=layouts, **more)

    monkeypatch.setattr(samples, "draw_cheque", recorded)
    hands: set[str] = set()
    monkeypatch.setattr(
        samples, "draw_line", lambda rng, hand, *rest, **more: hands.add(hand) or draw_line(rng, hand, *rest, **more)
    )
    for stage in run.stages("cpu", fixed=0):
        for number in range(4):
            stage.draw(number)
        assert stage.draw.first + 10**7 * stage.draw.size < EXAM
    assert drawn and all(seed < EXAM and which == "train" for seed, which in drawn)
    assert groups == {None, "train"}
    assert hands <= {hand.name for hand in GROUPS["train"]}
    assert not hands & {hand.name for hand in GROUPS["kept-out"]}


def test_one_varied_cheque_in_seven_has_amounts_that_differ_or_cannot_be_read() -> None:
    drawn = [samples.varied_cheque(seed, "train") for seed in range(400)]
    special = sum("disagreeing" in cheque.special or "hidden" in cheque.special for cheque in drawn)
    assert special / 400 > 0.11
    assert {cheque.image.size for cheque in drawn} == {(640, 288)}
    assert {cheque.turned for cheque in drawn} == {0, 180}


def test_points_of_an_upside_down_cheque_run_from_right_to_left() -> None:
    plain = draw_cheque(EXAM + 1, layouts="train", damage=0)
    turned = draw_cheque(EXAM + 1, layouts="train", damage=0, kinds=["upside-down"])
    for name, (_, script) in samples._scripts(turned).items():
        before = samples._scripts(plain)[name][1]
        assert script is not None and before is not None
        expected = [(640 - x, 288 - y) for x, y in before.points]
        assert np.allclose(script.points, expected), name


def test_kept_blocks_hold_all_that_is_written() -> None:
    for seed in range(5):
        cheque = draw_cheque(EXAM + seed)
        kept = samples._kept(random.Random(0), cheque, 96)
        assert len(kept) == 96 and (np.diff(kept) > 0).all()
        for _, (x0, y0, x1, y1) in cheque.lines:
            assert (y0 + y1) // 2 // 32 * 20 + (x0 + x1) // 2 // 32 in kept


def test_owners_name_the_field_of_every_answered_token() -> None:
    tokens, owners = targets.whole(TRUTH)
    said = [token for token, owner in zip(tokens, owners, strict=True) if owner == CHEQUE.names.index("lieu")]
    assert tok.core().decode(said) == 'Saint-Étienne", "devise": "'
    first = [token for token, owner in zip(tokens, owners, strict=True) if owner == 0]
    assert tok.core().decode(first) == '{"montant_numerique": "1234.56", "montant_lettres": "'


def test_each_token_points_at_the_ink_that_says_it() -> None:
    script = supervision.Script.along("3 mai 24", range(8), 7.0)
    xs = [x for x, _ in supervision.value_points("date", "2024-05-03", script)]
    assert xs == [6, 6, 6, 7, -1, 2, 3, -1, 0, 0]
    script = supervision.Script.along("#1 234,50 €", range(11), 7.0)
    xs = [x for x, _ in supervision.value_points("montant_numerique", "1234.50", script)]
    assert xs == [1, 3, 4, 5, -1, 7, 8]
    tokens, owners = targets.single("montant_lettres", "cent vingt-deux")
    script = supervision.Script.along("Cent vingt-deux", range(15), 7.0)
    points = supervision.of_tokens(
        tokens, owners, {1: supervision.value_points("montant_lettres", "cent vingt-deux", script)}
    )
    assert [x for x, _ in points.tolist() if x >= 0] == [0, 5, 11]


def test_a_date_that_says_something_else_points_nowhere() -> None:
    script = supervision.Script.along("4/5/2024", range(8), 7.0)
    assert set(supervision.value_points("date", "2024-05-03", script)) == {supervision.NOWHERE}


def test_attention_goes_astray_where_it_does_not_look() -> None:
    where = vision.places((2, 8), torch.zeros(1, 2, dtype=torch.long))
    looks = torch.tensor([[[[0.7, 0.1, 0.1, 0.1]]]])
    here, there, nowhere = (torch.tensor([[[x, 16.0]]]) for x in (16.0, 112.0, -1.0))
    assert forward.astray(looks, where, here) == pytest.approx(-np.log(0.7), abs=1e-6)
    assert forward.astray(looks, where, there) == pytest.approx(-np.log(0.1), abs=1e-6)
    assert forward.astray(looks, where, nowhere) == 0


# The throw-away head


def test_decoding_drops_blanks_and_repetitions() -> None:
    spoken = [BLANK, NUMBER["a"], NUMBER["a"], BLANK, NUMBER["a"], NUMBER["b"], BLANK, BLANK]
    scores = torch.nn.functional.one_hot(torch.tensor([spoken]), len(NUMBER) + 1).float()
    assert ctc.decode(scores) == ["aab"]
    assert ctc.decode(scores, torch.tensor([4])) == ["a"]
    assert ctc.errors(["aab"], ["ab"]) == 0.5


def test_the_given_alignment_spells_the_line() -> None:
    image, text = draw_line(random.Random(3), "patrick-hand", (384, 32), 0.0, text="cent trente euros")
    aligned = supervision.frames(384, text, supervision.found(np.asarray(image), text, "patrick-hand"))
    letters = {number: letter for letter, number in NUMBER.items()}
    assert "".join(letters[n] for n in aligned if n > 0) == text
