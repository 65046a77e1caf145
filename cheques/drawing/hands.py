"""The hands that drawn cheques are written in: one open-licence font each, kept as grey glyphs ready to be pasted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

FONTS = Path(__file__).parent / "fonts"
MASTERS = (16, 22, 32)
"""X-heights, in pixels, at which glyphs are kept; writing is scaled down from the next larger one."""


@dataclass(frozen=True)
class Hand:
    """One handwriting. `joined` hands keep their letters together; `capitals` hands have no small letters."""

    name: str
    joined: bool = False
    capitals: bool = False
    width: float = 1.0
    """Horizontal stretch that brings the hand to an everyday width."""
    figures: float = 1.0
    """Size of the digits against that of the letters, where the font's own are too tall or too low."""


@dataclass(frozen=True)
class Glyph:
    """Ink of one character: grey values (rows, columns), and where it stands from the pen's point on the baseline."""

    ink: NDArray[np.uint8]
    left: int
    top: int
    advance: float


SEEN = (
    Hand("alex-brush", joined=True, figures=0.9),
    Hand("annie-use-your-telescope", width=1.12),
    Hand("arizonia", joined=True, width=0.92),
    Hand("bad-script"),
    Hand("caveat"),
    Hand("coming-soon"),
    Hand("cookie", joined=True, width=1.1),
    Hand("crafty-girls"),
    Hand("delius"),
    Hand("give-you-glory"),
    Hand("gloria-hallelujah"),
    Hand("great-vibes", joined=True),
    Hand("handlee"),
    Hand("indie-flower"),
    Hand("italianno", joined=True, width=0.95),
    Hand("just-another-hand", width=1.6),
    Hand("mr-dafoe", joined=True, width=0.92),
    Hand("neucha"),
    Hand("norican", joined=True, width=1.1),
    Hand("parisienne", joined=True, width=0.92),
    Hand("permanent-marker", capitals=True, width=0.95),
    Hand("playwrite-fr-trad", joined=True, width=0.95, figures=0.72),
    Hand("qwigley", joined=True, width=1.05),
    Hand("rouge-script", joined=True),
    Hand("sacramento", joined=True, width=0.95, figures=0.72),
    Hand("shadows-into-light", width=1.25),
    Hand("square-peg", figures=0.8),
    Hand("sue-ellen-francisco", width=1.25),
    Hand("twinkle-star"),
    Hand("yellowtail", joined=True, width=1.1),
)
UNSEEN = (
    Hand("allura", joined=True, width=0.95),
    Hand("architects-daughter"),
    Hand("damion", joined=True, width=0.95),
    Hand("kalam"),
    Hand("marck-script", joined=True, width=0.95),
    Hand("patrick-hand"),
    Hand("playwrite-fr-moderne", joined=True, width=0.95, figures=0.72),
    Hand("satisfy", joined=True),
)
MORE = (
    Hand("birthstone", joined=True, width=1.12, figures=0.9),
    Hand("caveat-brush"),
    Hand("cedarville-cursive", width=0.85),
    Hand("corinthia", joined=True, width=0.88, figures=0.75),
    Hand("covered-by-your-grace", width=1.15),
    Hand("dancing-script", joined=True, width=0.82, figures=0.8),
    Hand("delicious-handrawn", width=1.15),
    Hand("ephesis", joined=True, width=0.88, figures=0.85),
    Hand("gochi-hand"),
    Hand("grand-hotel", joined=True, width=1.05),
    Hand("kaushan-script", joined=True),
    Hand("licorice", joined=True),
    Hand("mansalva", width=0.8),
    Hand("ms-madi", joined=True, width=0.95, figures=0.85),
    Hand("oooh-baby", joined=True, width=0.85, figures=0.85),
    Hand("pinyon-script", joined=True, width=0.8),
    Hand("playpen-sans", width=0.95),
    Hand("rochester", joined=True),
    Hand("schoolbell"),
    Hand("short-stack", width=0.88),
    Hand("sriracha", width=0.95),
    Hand("swanky-and-moo-moo", width=0.75, figures=0.9),
)
"""Hands that layouts of every kind are trained in, besides those of SEEN."""
KEPT_OUT = (
    Hand("courgette"),
    Hand("itim", width=0.92),
    Hand("montecarlo", joined=True, width=0.92, figures=0.85),
    Hand("reenie-beanie", width=1.05),
    Hand("shantell-sans", width=0.88),
    Hand("tangerine", joined=True, width=0.95),
    Hand("the-girl-next-door", width=1.12),
    Hand("whisper", joined=True, width=0.82, figures=0.78),
)
"""Hands that nothing is ever trained in, besides those of UNSEEN."""
HANDS = {hand.name: hand for hand in SEEN + UNSEEN + MORE + KEPT_OUT}
# "seen", "unseen" and "all" never grow: the same seed gives the same cheque.
GROUPS = {
    "seen": SEEN,
    "unseen": UNSEEN,
    "all": SEEN + UNSEEN,
    "train": SEEN + MORE,
    "kept-out": UNSEEN + KEPT_OUT,
}


def hands_called(which: str) -> tuple[Hand, ...]:
    """The hands of a group (see GROUPS) or the one hand of that name. ValueError for anything else."""
    if which in GROUPS:
        return GROUPS[which]
    if which in HANDS:
        return (HANDS[which],)
    raise ValueError(f"no hands called {which!r}: give one of {', '.join([*GROUPS, *sorted(HANDS)])}")


def choose_hand(rng: random.Random, which: str) -> Hand:
    """One of the hands of a group, each as often as another."""
    hands: Sequence[Hand] = hands_called(which)
    return hands[int(rng.random() * len(hands))]


@lru_cache(maxsize=512)
def face(name: str, xheight: int) -> ImageFont.FreeTypeFont:
    """A hand's font at the size that gives its small x this height (basic layout: the same on every machine)."""
    return font(name, max(4, round(xheight * 100 / xheight_per_100(name))))


@lru_cache(maxsize=1024)
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A bundled font at a size in pixels an em."""
    # Raqm would kern and join where it is installed: other pixels on other machines.
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def xheight_per_100(name: str) -> float:
    """Pixels of a small x where the font's size is 100."""
    return -font(name, 200).getbbox("x", anchor="ls")[1] / 2


@lru_cache(maxsize=40_000)
def glyph(hand: Hand, xheight: int, character: str) -> Glyph:
    """The ink of a character in a hand at a master size."""
    size = xheight * hand.figures if character.isdigit() else xheight
    drawn = face(hand.name, round(size))
    left, top, right, bottom = (int(edge) for edge in drawn.getbbox(character, anchor="ls"))
    advance = drawn.getlength(character)
    # A space has no ink.
    if right <= left or bottom <= top:
        return Glyph(np.zeros((0, 0), np.uint8), 0, 0, advance)
    mask, (offset_x, offset_y) = drawn.getmask2(character, mode="L", anchor="ls")
    ink = np.asarray(mask, dtype=np.uint8).reshape(mask.size[1], mask.size[0])
    # Script fonts tuck commas under the letter before by kerning, which the basic layout lacks: give them room.
    room = 0.12 * xheight if character in ",." else 0.0
    return Glyph(ink, int(offset_x) + round(room), int(offset_y), advance + 2 * room)
