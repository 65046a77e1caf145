"""Layouts of every kind: a form that no other cheque has, made from its group and a number.

A layout of "train" may be trained on. Those of "kept-out" and "demo" are composed, coloured and set in type unlike any
of "train" and unlike each other: nothing is ever trained on them.
"""

from __future__ import annotations

import colorsys
import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from cheques.drawing import people
from cheques.drawing.banks import NATIVE, Bank, Colour, Print, Rule
from cheques.drawing.compositions import COMPOSITIONS, Composition, Rectangle
from cheques.drawing.form_words import COUNTRIES, FRENCH, Words
from cheques.drawing.hands import font

GROUPS = tuple(COMPOSITIONS)
DEMO_BANKS = 4  # few, as in a real project: what one cheque of a bank teaches helps with the next
NUMBERS = {"train": 10**9, "kept-out": 10**6, "demo": DEMO_BANKS}

Frame = Literal["line", "round", "double", "panel", "corners", "comb"]


@dataclass(frozen=True)
class PrintStyle:
    """What a group has to itself: typefaces, paper patterns (see cheques.drawing.paper), and hues from 0 to 1."""

    typefaces: tuple[str, ...]
    textures: tuple[int, ...]
    hues: tuple[tuple[float, float], ...]
    rich: bool = False
    """Strong colours on strong paper."""


STYLES = {
    "train": PrintStyle(
        ("inter", "roboto-condensed", "source-serif-4", "lato", "libre-baskerville", "barlow-condensed"),
        tuple(range(20)),
        ((0.0, 0.07), (0.13, 0.70), (0.88, 1.0)),
    ),
    "kept-out": PrintStyle(("cormorant-garamond", "courier-prime"), (20, 21, 22), ((0.72, 0.85),), rich=True),
    "demo": PrintStyle(("oswald", "pt-sans-narrow"), (23, 24), ((0.08, 0.12),)),
}


@dataclass(frozen=True)
class Layout(Bank):
    """A bank's form, made by `layout`. Beyond a bank of BANKS it says how it looks in every detail."""

    group: str = "train"
    composition: str = ""
    country: str = "France"
    currency: str = "EUR"
    sign: Print | None = None
    """The printed currency, if there is one."""
    title: Print | None = None
    display: str = "inter"
    """The typeface of the bank's name."""
    emblem: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Left, top and size of the logo, and the number that it is drawn from."""
    ground: Colour = (255, 255, 255)
    """The paper's second colour, at the bottom or on the right."""
    sideways: bool = False
    """The paper's colour changes to the right, not downwards."""
    second_pattern: int | None = None
    strength: float = 0.3
    """How dark the pattern is."""
    ink: Colour = (60, 60, 60)
    """Colour of the printed words."""
    frame: Frame = "line"
    indent: int = 4
    """Pixels from the box's left edge to where one begins to write."""
    number: Print | None = None
    """The cheque's number, which stands for {0}."""
    account: str = "Compte {0}"
    holder_size: float = 8
    code: Literal["cmc7", "digits", "none"] = "cmc7"
    stub: tuple[int, int] = (0, 0)
    """Left and right edge of the part that should stay in the book and was torn off with the cheque, if it was."""
    border: Literal["", "line", "double", "band", "side"] = ""

    @property
    def figures(self) -> Rule:
        x0, y0, x1, y1 = self.box
        return Rule(x0 + self.indent, x1 - 2, round(y1 - 0.3 * (y1 - y0)))


@lru_cache(maxsize=32)
def layout(group: str, number: int) -> Layout:
    """The layout of a number: the same for the same group and number. ValueError for an unknown group."""
    if group not in COMPOSITIONS:
        raise ValueError(f"no layouts called {group!r}: give one of {', '.join(GROUPS)}")
    rng = random.Random(f"layout {group} {number}")
    # The demo's few banks differ in composition too, each as often as another.
    among = COMPOSITIONS[group]
    composition = among[number % len(among)] if group == "demo" else rng.choice(among)
    if rng.random() < 0.15:
        composition = composition.on_one_line()
    return Typesetter(rng, group, composition).set()


def choose_layout(rng: random.Random, group: str) -> Layout:
    """One of a group's layouts. ValueError for an unknown group."""
    return layout(group, rng.randrange(NUMBERS.get(group, 1)))


class Typesetter:
    """Sets one form: keeps the dice, the languages and the typeface, collects what is printed."""

    def __init__(self, rng: random.Random, group: str, composition: Composition):
        self.rng, self.group, self.composition = rng, group, composition
        self.style = STYLES[group]
        # A demo is one project's mail: banks of one country.
        self.country = rng.choices(COUNTRIES, [country.share for country in COUNTRIES])[0]
        if group == "demo":
            self.country = COUNTRIES[0]
        self.town = people.town(rng, self.country.name)
        self.typeface, self.display = rng.choice(self.style.typefaces), rng.choice(self.style.typefaces)
        self.size = rng.uniform(7.2, 9.2)
        self.prints: list[Print] = []
        self.second: Words | None = None
        if self.country.second and rng.random() < self.country.bilingual:
            self.second = rng.choice(self.country.second)

    def said(self, key: str, *, short: bool = False) -> str:
        """One of the printed words for a field, in one or two languages."""
        choices = FRENCH[key]
        if short:
            choices = tuple(text for text in choices if len(text) < 16) or choices
        text = self.rng.choice(choices)
        if self.second and self.rng.random() < 0.85:
            other = self.rng.choice(self.second[key])
            joint = self.rng.choice((" / ", " - ", " / "))
            swapped = self.rng.random() < 0.25
            parts = [part for part in ((other, text) if swapped else (text, other)) if part]
            text = joint.join(dict.fromkeys(parts))
        # {0} stays, for the number that each cheque has of its own.
        return text.format("{0}", country=self.country.name, town=self.town)

    def length(self, text: str, size: float, typeface: str = "") -> float:
        """Pixels that a printed text takes, at native size."""
        return font(typeface or self.typeface, max(5, round(size))).getlength(text)

    def fitting(self, text: str, size: float, room: float, typeface: str = "") -> float:
        """The size at which a text fits the room, at most `size`."""
        return min(size, max(4.5, size * room / max(1.0, self.length(text, size, typeface))))

    def set(self) -> Layout:
        """The whole form, field by field."""
        rng = self.rng
        left, right = rng.randint(12, 24), NATIVE[0] - rng.randint(10, 22)
        stub = 0, 0
        if rng.random() < 0.18:
            wide = rng.randint(84, 112)
            stub = (0, wide) if rng.random() < 0.7 else (NATIVE[0] - wide, NATIVE[0])
            left, right = (left + wide, right) if stub[0] == 0 else (left, right - wide)
        code: Literal["cmc7", "digits", "none"] = rng.choices(("cmc7", "digits", "none"), (80, 12, 8))[0]
        if self.group == "kept-out":
            code = "digits"
        bottom = 242 if code != "none" else 268
        rooms = self.composition.rectangles(rng, (left, rng.uniform(6, 12), right, bottom))

        words = [self.rule(rooms["w"], "words", lead=0.2)]
        if "m" in rooms:
            words.append(self.rule(rooms["m"], "", lead=0))
        payee = self.rule(rooms["p"], "payee", lead=0.6)
        place = self.rule(rooms["l"], "place", lead=0.85, short=True)
        date = self.rule(rooms["d"], "date", lead=0.85, short=True)
        box, indent, sign = self.box(rooms["b"])
        signature = self.signature(rooms["s"])
        holder = round(rooms["o"][0]) + rng.randint(0, 12), round(rooms["o"][1]) + 9
        name = people.bank(rng, rng.choice((FRENCH, self.second or FRENCH))["bank"])
        title, emblem = self.head(rooms["h"], name)

        if "n" in rooms:
            x0, y0, x1, y1 = rooms["n"]
            lines = [self.said("payable"), f"Tél. {rng.randint(1, 9):02d} {rng.randint(0, 99):02d} 00 00 00"]
            lines += [self.town, "Chèque non endossable", f"Agence {rng.randint(1, 9999):04d}"]
            rng.shuffle(lines)
            for line, text in enumerate(lines[: max(1, int((y1 - y0 - 4) / 10))]):
                size = self.fitting(text, 7.5, x1 - x0 - 4)
                self.prints.append(Print(text, round(x0), round(y0 + 9 + 10 * line), size))

        # The cheque's number stands below everything, or at the top right where nothing else does.
        text = self.said("number")
        long = self.length(text.format("0000000"), 8)
        end = title.x + self.length(title.text, title.size, self.display)
        if set(self.composition.rows[0]) == {"h"} and end < right - long and rng.random() < 0.5:
            number = Print(text, round(right - long), 16, 8)
        else:
            number = Print(text, round(rng.choice((left, (left + right) / 2, right - long))), round(bottom + 9), 8)

        base = Layout(
            name, "", (0, 0, 0), (0, 0, 0), rng.choice(self.style.textures), self.typeface,
            words=tuple(words), payee=payee, box=box, place=place, date=date, signature=signature, holder=holder,
            symbol=(sign.x + 10, sign.y) if sign else (0, 0), prints=tuple(self.prints),
            ruled=rng.choices(("line", "dots", "band", "dashes", "framed", "none"), (38, 20, 14, 10, 10, 8))[0],
            crossing=rng.random() < 0.35,
            group=self.group, composition=self.composition.name, country=self.country.name,
            currency=self.country.currency, sign=sign, title=title, display=self.display,
            emblem=emblem, indent=indent, number=number, account=self.said("account"),
            frame=rng.choice(("line", "line", "round", "double", "panel", "panel", "corners", "comb")),
            holder_size=rng.uniform(6.8, 8.6), code=code, stub=stub,
            border=rng.choices(("", "line", "double", "band", "side"), (60, 12, 8, 12, 8))[0],
        )  # fmt: skip
        return coloured(rng, base, self.style)

    def rule(self, room: Rectangle, key: str, *, lead: float, short: bool = False) -> Rule:
        """The rule at the foot of a room, its printed words before it (in `lead` of all cases), above or below."""
        x0, y0, x1, y1 = room
        y = round(y1 - self.rng.uniform(6, 8.5))
        end = round(x1 - self.rng.uniform(2, 10))
        text = self.said(key, short=short) if key else ""
        size = self.size * self.rng.uniform(0.9, 1.15)
        if not text:
            return Rule(round(x0), end, y)
        if self.rng.random() < lead and self.length(text, size) < 0.34 * (x1 - x0):
            self.prints.append(Print(text, round(x0), y + 1, size))
            return Rule(round(x0 + self.length(text, size)) + 4, end, y)
        size = self.fitting(text, 0.82 * size, 0.9 * (x1 - x0))
        above = key == "words" or self.rng.random() < 0.75
        # Above the writing where the room is high enough, otherwise at its upper edge, where tall letters cross it.
        self.prints.append(Print(text, round(x0), max(round(y0 + size), y - 19) if above else y + 9, size))
        return Rule(round(x0), end, y)

    def box(self, room: Rectangle) -> tuple[tuple[int, int, int, int], int, Print | None]:
        """The box of the figures, from where in it one writes, and the printed currency beside or inside it."""
        rng = self.rng
        x0, y0, x1, y1 = room
        text = rng.choice(self.country.signs) if rng.random() < 0.8 else ""
        size = rng.uniform(11, 15) if len(text) == 1 else rng.uniform(7.5, 10) if len(text) < 4 else 6.5
        beside = self.length(text, size) + 5 if text else 0.0
        where = rng.choices(("left", "right", "inside"), (60, 20, 20))[0] if text else ""
        label = self.said("box")
        above = 7 if label and y1 - y0 > 35 else 0
        tall = min(rng.uniform(25, 37), y1 - y0 - 3 - above)
        outside = beside if where in ("left", "right") else 0.0
        wide = min(rng.uniform(122, 190) + (beside if where == "inside" else 0), x1 - x0 - 6 - outside)
        spare = x1 - x0 - 3 - outside - wide
        start = x0 + 3 + (outside if where == "left" else 0) + spare * rng.choice((0.0, 0.5, 1.0, 1.0))
        top = y0 + above + 1 + (y1 - y0 - 2 - above - tall) * rng.random()
        box = round(start), round(top), round(start + wide), round(top + tall)
        if above:
            self.prints.append(Print(label, box[0], box[1] - 2, self.fitting(label, 6.5, wide)))
        if not text:
            return box, 4, None
        x = {"left": start - beside, "right": start + wide + 3, "inside": start + 4}[where]
        sign = Print(text, round(x), round(top + tall * 0.5 + size * 0.35), size)
        return box, round(beside) + 5 if where == "inside" else 4, sign

    def signature(self, room: Rectangle) -> tuple[int, int, int, int]:
        rng = self.rng
        x0, y0, x1, y1 = room
        wide = min(x1 - x0 - 4, rng.uniform(150, 230))
        left = x0 + (x1 - x0 - wide) * rng.choice((0.0, 0.5, 1.0, 1.0))
        label = self.said("signature")
        if label:
            size = self.fitting(label, 0.85 * self.size, wide)
            at = rng.choice((left, left + wide - self.length(label, size) - 2))
            self.prints.append(Print(label, round(at), round(y0 + size + 1), size))
        return round(left), round(y0 + 4), round(left + wide), round(y1 - 2)

    def head(self, room: Rectangle, name: str) -> tuple[Print, tuple[int, int, int, int]]:
        """The bank's name and its logo, with a second line below where there is room."""
        rng = self.rng
        x0, y0, x1, y1 = room
        side = round(min(y1 - y0 - 2, rng.uniform(18, 36)))
        size = self.fitting(name, rng.uniform(11, 19), x1 - x0 - side - 14, self.display)
        long = side + 8 + self.length(name, size, self.display)
        start = x0 + max(0.0, x1 - x0 - long - 4) * rng.choices((0.0, 0.5, 1.0), (70, 15, 15))[0]
        middle = (y0 + y1) / 2
        emblem = round(start), round(middle - side / 2), side, rng.randrange(10**6)
        below = rng.choice((f"Agence de {self.town}", f"{rng.randint(1, 90)} {people.street(rng)}", "", ""))
        lift = 4 if below and y1 - y0 > 32 else 0
        title = Print(name, round(start + side + 7), round(middle + 0.35 * size - lift), size)
        if lift:
            self.prints.append(Print(below, title.x, title.y + 10, self.fitting(below, 7, x1 - title.x)))
        return title, emblem


def coloured(rng: random.Random, plain: Layout, style: PrintStyle) -> Layout:
    """The layout in its colours: paper, the pattern's lines, and the printed words."""
    low, high = rng.choices(style.hues, [high - low for low, high in style.hues])[0]
    hue = rng.uniform(low, high)
    # The pattern and the print are of the same hue or of another one of the group's.
    other = hue if rng.random() < 0.5 else rng.uniform(*rng.choice(style.hues))

    def colour(hue: float, lightness: float, saturation: float) -> Colour:
        red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
        return round(255 * red), round(255 * green), round(255 * blue)

    strong = rng.uniform(0.5, 0.9) if style.rich else rng.uniform(0.1, 0.7)
    light = rng.uniform(0.84, 0.9) if style.rich else rng.uniform(0.89, 0.97)
    paper = colour(hue, light, strong)
    ground = paper if rng.random() < 0.45 else colour(other, rng.uniform(light - 0.02, 0.97), strong)
    return replace(
        plain,
        paper=paper,
        ground=ground,
        sideways=rng.random() < 0.4,
        line=colour(other, rng.uniform(0.5, 0.68), rng.uniform(0.3, 0.7)),
        second_pattern=rng.choice(style.textures) if rng.random() < 0.3 else None,
        strength=rng.uniform(0.3, 0.6) if style.rich else rng.uniform(0.05, 0.5),
        ink=colour(other, rng.uniform(0.12, 0.36), rng.uniform(0.1, 0.8)) if rng.random() < 0.7 else (40, 40, 44),
    )
