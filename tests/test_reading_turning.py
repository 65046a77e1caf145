"""Turned scans: read the other way round where the reader is unsure, once more at most; the surer reading counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from cheques.drawing import draw_cheque
from cheques.fields import CHEQUE, Form
from cheques.settings import Settings
from cheques.values import exact
from reader.open_reader import open_reader
from reader.reading import Adapter, Reading
from reader.turning import SURE, TurningReader

RED, BLUE = (255, 0, 0), (0, 0, 255)


class Upright:
    """Sure of pictures whose first pixel is red, the surer the redder; counts what it looks at."""

    def __init__(self) -> None:
        self.looks: list[int] = []

    def read(
        self, images: Sequence[Image.Image], form: Form, adapter: Adapter | None = None, *, constrained: bool = True
    ) -> list[Reading]:
        self.looks.append(len(images))
        readings = []
        for image in images:
            red = image.getpixel((0, 0))[0] / 255  # type: ignore[index]
            evidence = {"lieu": {"total": 4 * SURE * 3 * (1 - red), "length": 4.0}}
            readings.append(Reading({"lieu": f"{red:.1f}"}, {"lieu": red}, evidence=evidence))
        return readings

    def close(self) -> None:
        self.looks.append(-1)


def picture(size: tuple[int, int], red: tuple[int, int] | None, shade: int = 255) -> Image.Image:
    image = Image.new("RGB", size, BLUE)
    if red:
        image.putpixel(red, (shade, 0, 0))
    return image


def test_what_is_sure_is_looked_at_once_and_what_lies_upside_down_twice() -> None:
    inner = Upright()
    upright, turned = picture((8, 4), (0, 0)), picture((8, 4), (7, 3))
    first, second = TurningReader(inner).read([upright, turned], CHEQUE)
    assert inner.looks == [2, 1]
    assert (first.values, first.notes) == ({"lieu": "1.0"}, ())
    assert (second.values, second.notes) == ({"lieu": "1.0"}, ("turned by 180 degrees",))


def test_the_surer_reading_counts_and_is_the_first_where_neither_is_surer() -> None:
    reader = TurningReader(Upright())
    (doubtful,) = reader.read([picture((8, 4), (0, 0), 120)], CHEQUE)
    (blank,) = reader.read([picture((8, 4), None)], CHEQUE)
    assert doubtful.values == {"lieu": "0.5"} and not doubtful.notes
    assert blank.values == {"lieu": "0.0"} and not blank.notes


@pytest.mark.parametrize(("red", "degrees"), [((3, 0), 90), ((0, 8), 270)])
def test_a_scan_on_its_side_is_read_turned(red: tuple[int, int], degrees: int) -> None:
    (reading,) = TurningReader(Upright()).read([picture((4, 9), red)], CHEQUE)
    assert reading.values == {"lieu": "1.0"} and reading.notes == (f"turned by {degrees} degrees",)


def test_a_photo_on_end_may_show_a_cheque_that_lies_as_it_should() -> None:
    inner = Upright()
    (reading,) = TurningReader(inner).read([picture((3, 4), (0, 0))], CHEQUE)
    assert not reading.notes and inner.looks == [1]


def test_free_answers_are_not_turned_and_closing_closes() -> None:
    inner = Upright()
    reader = TurningReader(inner)
    reader.read([picture((8, 4), None)], CHEQUE, constrained=False)
    reader.close()
    assert inner.looks == [1, -1]


@pytest.mark.slow
def test_the_small_model_reads_turned_scans_as_it_reads_them_upright(one_thread: None) -> None:
    drawn = [draw_cheque(seed, "unseen", damage=0.3) for seed in range(6)]
    reader = open_reader(Settings(_env_file=None, device="cpu"))  # type: ignore[call-arg]

    def right(degrees: int) -> float:
        readings = reader.read([one.image.rotate(degrees, expand=True) for one in drawn], CHEQUE)
        return float(
            np.mean(
                [[*exact(CHEQUE, one.truth, read.values).values()] for one, read in zip(drawn, readings, strict=True)]
            )
        )

    upright = right(0)
    assert upright > 0.6 and right(180) == right(90) == right(270) == upright
    reader.close()
