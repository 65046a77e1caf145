"""Which exam cheques two people label: a share of each half, so that quality can be compared."""

from __future__ import annotations

from trainer.draw import Place

FINE = 2**24  # parts of [0, 1) within which u is another random number, of 24 bits


def wants_second(place: Place | None, share: float) -> bool:
    """Is this cheque of the share of the exam that a second annotator labels?

    By u alone, and by those of its digits that decide neither arm nor turn: blind and pre-labelled cheques alike, early
    and late ones. A larger share holds the smaller one. Cheques labelled before the draw are in no arm and stay out.
    """
    return place is not None and place.arm is not None and (place.u * FINE) % 1 < share
