"""One draw decides for good what is exam and what is a lesson, whoever asks, however often, and whatever is killed."""

import io
import multiprocessing
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cheques.drawing import draw_cheque
from cheques.drawing.banks import BANKS
from store.database import Store
from store.draw import Draw, Place, Shares, turns

FORK = multiprocessing.get_context("fork")


def cheque(number: int) -> Image.Image:
    """Any picture: the draw looks at pixels only."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (36, 80, 3)).astype(np.uint8))


def saved_again(image: Image.Image, quality: int = 70, size: tuple[int, int] | None = None) -> Image.Image:
    written = io.BytesIO()
    (image.resize(size) if size else image).save(written, "JPEG", quality=quality)
    return Image.open(written).convert("RGB")


def test_a_fifth_is_exam_and_half_of_it_blind(tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path), 7, salt="s")
    places = [draw.place(number, cheque(number)) for number in range(500)]
    counts = Counter((place.role, place.arm) for place in places)
    assert counts["exam", "blind"] == pytest.approx(50, abs=25)
    assert counts["exam", "prelabel"] == pytest.approx(50, abs=25)
    assert counts["lesson", None] == 500 - counts["exam", "blind"] - counts["exam", "prelabel"]


def test_what_was_drawn_stays_and_a_lost_record_is_made_again_from_the_images(store: Store) -> None:
    first = [Draw(store, "a", salt="s").place(n, cheque(n)) for n in range(20)]
    assert [Draw(store, "a").place(n, cheque(n + 500)) for n in range(20)] == first
    assert [Draw(store, "b", salt="s").place(n, cheque(n)) for n in range(20)] == first
    assert [Draw(store, "c", salt="other").place(n, cheque(n)).u for n in range(20)] != [p.u for p in first]


def test_a_change_of_shares_moves_nobody(store: Store) -> None:
    before = [Draw(store, 7).place(n, cheque(n)) for n in range(50)]
    draw = Draw(store, 7, shares=Shares(blind=0, exam=0.9))
    assert [draw.place(n, cheque(n)) for n in range(50)] == before
    later = [draw.place(n, cheque(n)) for n in range(50, 100)]
    assert sum(place.role == "exam" for place in later) > 35
    assert not any(place.arm == "blind" for place in later)


def test_cheques_labelled_before_have_no_arm(tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path), 7)
    places = [draw.place(n, cheque(n), labelled=True) for n in range(200)]
    assert {place.arm for place in places} == {None}
    assert sum(place.role == "exam" for place in places) == pytest.approx(40, abs=22)


def test_the_same_scan_saved_again_shares_its_place(tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path), 7)
    for number in range(6):
        scan = draw_cheque(number).image
        first = draw.place(f"{number}", scan)
        again = [saved_again(scan), saved_again(scan, 90, (800, 360)), saved_again(scan, 90, (400, 180)), scan]
        for turn, image in enumerate(again):
            twin = draw.place(f"{number}-{turn}", image)
            assert (twin.u, twin.role) == (first.u, first.role)


def test_other_cheques_of_the_same_bank_do_not(tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path), 7)
    for bank in BANKS:
        places = [draw.place(f"{bank.name} {n}", draw_cheque(n, banks=[bank.name]).image) for n in range(8)]
        assert len({place.u for place in places}) == 8


def test_several_processes_draw_together(store: Store) -> None:
    running = [FORK.Process(target=draw_some, args=(store,)) for _ in range(3)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    places = Draw(store, 7).places()
    assert len(places) == 40 and len({place.task for place in places}) == 40


def draw_some(store: Store) -> None:
    draw = Draw(store, 7)
    for number in range(40):
        draw.place(number, cheque(number))


def test_an_open_draw_sees_what_another_process_drew(store: Store) -> None:
    mine, other = Draw(store, 7), Draw(store, 7)
    assert mine.get(1) is None
    assert mine.get(1) == other.get(1) is None
    place = other.place(1, cheque(1))
    assert mine.get(1) == place


def test_of_near_duplicates_drawn_at_the_same_moment_one_comes_first(store: Store) -> None:
    scan = draw_cheque(1).image
    images = [scan, saved_again(scan), saved_again(scan, 90, (800, 360))]
    with ThreadPoolExecutor(3) as pool:
        draws = [Draw(store, 7) for _ in images]
        places = list(pool.map(lambda one: one[0].place(one[1], images[one[1]]), zip(draws, range(3), strict=True)))
    assert len({place.digest for place in places}) == 3 and len({place.u for place in places}) == 1


def test_a_twin_is_found_among_thousands(tmp_path: Path) -> None:
    draw = Draw(Store(tmp_path), 7)
    dice = np.random.default_rng(0)
    first = draw.place("first", cheque(0))
    for number in range(5_000):
        draw._near.add(Place(str(number), 0.5, "lesson", None, str(number), dice.bytes(128).hex(), 0.2, 0.1))
    again = draw.place("again", saved_again(cheque(0)))
    other = draw.place("other", cheque(1))
    assert again.u == first.u and again.digest != first.digest
    assert other.u not in (first.u, 0.5)


def test_exam_cheques_come_every_second_time_then_every_fifth() -> None:
    served = turns([f"exam {n}" for n in range(6)], list(range(100)), exam_labelled=37)
    assert served[:6] == [0, "exam 0", 1, "exam 1", 2, "exam 2"]
    assert served[6:16] == [3, 4, 5, 6, "exam 3", 7, 8, 9, 10, "exam 4"]
    assert len(served) == 106


def test_when_one_kind_runs_out_the_other_goes_on() -> None:
    assert turns(["a", "b", "c"], [1], 0) == [1, "a", "b", "c"]
    assert turns([], [1, 2], 0) == [1, 2]
    assert turns([], [], 99) == []


def test_the_arms_of_the_exam_are_served_side_by_side() -> None:
    places = [Place(str(n), n / 1000, "exam", "blind" if n < 100 else "prelabel", "", "", 0.2, 0.1) for n in range(200)]
    served = [place.arm for place in sorted(places, key=lambda place: place.turn)]
    for first in range(0, 200, 20):
        assert 9 <= served[first : first + 20].count("blind") <= 11


def test_an_exam_without_a_blind_arm_keeps_its_order() -> None:
    places = [Place(str(n), n / 1000, "exam", "prelabel", "", "", 0.2, 0.0) for n in range(200)]
    assert sorted(places, key=lambda place: place.turn) == places


def test_an_order_made_anew_after_every_label_still_serves_the_exam() -> None:
    """New tasks bring a new order within the minute: what was served before it counts."""
    for exam_labelled, lessons_labelled, share in ((0, 0, 1 / 2), (40, 40, 1 / 5)):
        exam, lessons, came = exam_labelled, lessons_labelled, 0
        for _ in range(60):
            first = turns(["exam"] * 100, ["lesson"] * 100, exam, lessons)[0]
            exam, lessons, came = exam + (first == "exam"), lessons + (first == "lesson"), came + (first == "exam")
        assert abs(came / 60 - share) < 0.02
