"""Compositions: which field stands where on a form, as small maps, and the rectangles that a map gives.

A map is read like a form. Each letter is a field, and a field fills the rectangle of its letters: h the bank's name,
w the first line of the amount in words, m its second line, p the payee, b the box of the figures, l the place, d the
date, s the signature, o the account's owner, n small print; a point is left empty. Columns are as wide, and rows as
high, as the dice say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

Rectangle = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of a cheque of native size."""

WIDTHS = {"h": 150, "w": 320, "m": 250, "p": 250, "b": 150, "l": 112, "d": 112, "s": 150, "o": 150, "n": 60}
HEIGHTS = {"h": 26, "w": 26, "m": 26, "p": 26, "b": 29, "l": 25, "d": 25, "s": 46, "o": 40, "n": 14}


@dataclass(frozen=True)
class Composition:
    """A map: rows of letters, all of the same length."""

    name: str
    map: str

    @cached_property
    def rows(self) -> tuple[str, ...]:
        return tuple(self.map.split())

    def areas(self) -> dict[str, tuple[int, int, int, int]]:
        """For each letter first and last column and first and last row, the ends not included."""
        found: dict[str, tuple[int, int, int, int]] = {}
        for y, row in enumerate(self.rows):
            for x, letter in enumerate(row):
                if letter != ".":
                    x0, y0, x1, y1 = found.get(letter, (x, y, x + 1, y + 1))
                    found[letter] = (min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1))
        return found

    def on_one_line(self) -> Composition:
        """Without the second line of the words, where that line has a row of its own."""
        return Composition(self.name, "\n".join(row for row in self.rows if set(row) != {"m"}))

    def rectangles(self, rng: random.Random, outer: Rectangle) -> dict[str, Rectangle]:
        """Where the fields stand within `outer`: every field has the room it needs, and no two share any."""
        areas = self.areas()
        columns = len(self.rows[0])
        heights = [0.0] * len(self.rows)
        # Fields of one row first: what they are given counts for those that span several.
        for letter, (_, y0, _, y1) in sorted(areas.items(), key=lambda area: area[1][3] - area[1][1]):
            missing = HEIGHTS[letter] - sum(heights[y0:y1])
            for y in range(y0, y1):
                heights[y] += max(0.0, missing) / (y1 - y0)
        spare = outer[3] - outer[1] - sum(heights)
        shares = [rng.uniform(0.1, 1) for _ in heights]
        heights = [height + spare * share / sum(shares) for height, share in zip(heights, shares, strict=True)]
        lines = [outer[1] + sum(heights[:y]) for y in range(len(heights) + 1)]

        across = outer[2] - outer[0]
        # As uneven as the dice say, and more even until every field has its room.
        for swing in (0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):
            inner = [outer[0] + across * (x + swing * rng.uniform(-0.5, 0.5)) / columns for x in range(1, columns)]
            edges = [outer[0], *inner, outer[2]]
            if all(edges[x1] - edges[x0] >= WIDTHS[letter] for letter, (x0, _, x1, _) in areas.items()):
                break
        return {letter: (edges[x0], lines[y0], edges[x1], lines[y1]) for letter, (x0, y0, x1, y1) in areas.items()}


def read_maps(maps: str) -> tuple[Composition, ...]:
    """Maps that stand side by side, each below its name."""
    blocks = [block.splitlines() for block in maps.strip().split("\n\n")]
    found = []
    for names, *rows in blocks:
        for column, name in enumerate(names.split()):
            found.append(Composition(name, "\n".join(row.split()[column] for row in rows if row.strip())))
    return tuple(found)


# In training the box stands on the right, the signature too, and the words come before the place and the date.
TRAIN = read_maps("""
classic  rows     column   on-top   payee    middle
hhhhhh   hhhhhh   hhhhhh   hhhhbb   hhhhhh   hhhhhh
wwwwww   wwwwww   wwwwbb   wwwwww   ppppbb   wwwwww
mmmmbb   mmmmmm   mmmmll   mmmmmm   wwwwww   mmmmmm
pppp..   ppppbb   ppppdd   pppppp   mmmmmm   pppbb.
nnlldd   nnlldd   nn.sss   nnlldd   oolldd   oolldd
ooosss   oo.sss   oo.sss   ooosss   oo.sss   oo.sss

stacked  owner    beside   last     level    side
hhhhbb   hhhooo   hhhhhh   hhhhhh   hhhhbb   hhhhhh
wwwwll   wwwwww   ppppdd   wwwwww   pppppp   wwwwww
mmmmdd   mmmmbb   wwwwll   mmmmmm   wwwwww   mmmmbb
ppppss   ppppbb   mmmmbb   pppppp   mmmmmm   pppp..
oo..ss   nnlldd   nn.sss   llddbb   oolldd   llddss
nn..ss   n..sss   ooosss   ooosss   oo.sss   ooo.ss
""")

# Each of these lacks something that all of TRAIN share: the box or the signature is on the left, or the words are last.
KEPT_OUT = read_maps("""
left     left-box   signed   words-last  mirror   bottom
hhhhhh   hhhhhh     hhlldd   hhhhhh      hhhhhh   bbhhhh
bbpppp   wwwwww     ppppbb   ppppbb      wwwwww   lldd..
wwwwww   bbmmmm     wwwwww   lldd..      mmmmmm   pppppp
mmmmmm   .ppppp     mmmmmm   wwwwww      bbpppp   wwwwww
lldd..   nnlldd     sssooo   mmmmmm      sslldd   mmmmmm
ooosss   ooosss     sss.nn   ooosss      ssoo.n   ooosss
""")

# Place, date and box share the first row, before the words and the payee: nowhere else do they.
DEMO = read_maps("""
counter  ledger
hhhhhh   oohhhh
llddbb   llddbb
pppppp   wwwwww
wwwwww   mmmmmm
mmmmmm   ppppss
ooosss   nnn.ss
""")
COMPOSITIONS = {"train": TRAIN, "kept-out": KEPT_OUT, "demo": DEMO}
