"""A whole drawn cheque: a bank's print, one person's writing, and what happened to the paper since."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from cheques.drawing import captures, covers, names, paper, strokes
from cheques.drawing import damage as damages
from cheques.drawing.amounts import BY_CODE
from cheques.drawing.banks import BANKS, BY_NAME, COUNTRIES, NATIVE, Bank, Print, Rule, print_text, printed
from cheques.drawing.content import Content, choose_content
from cheques.drawing.forms import printed_form
from cheques.drawing.hands import Hand, choose_hand, font
from cheques.drawing.handwriting import Style, freer, style, width, write
from cheques.drawing.layouts import Layout, choose_layout
from cheques.fields import UNREADABLE

Box = tuple[int, int, int, int]
PENS = (
    *((24, 34, 96), (20, 44, 130), (36, 52, 140), (14, 24, 70), (52, 70, 160)),
    *((22, 22, 26), (38, 38, 44), (12, 12, 12)),
    *((60, 26, 80), (18, 70, 56), (120, 24, 34)),
)
STAMP_INKS = ((150, 30, 40), (40, 40, 130), (60, 60, 60), (20, 100, 60))
PEN_SHARES = (20, 18, 14, 10, 8, 12, 8, 6, 1.5, 1.5, 1)
WORDS, FIGURES, SMALL = 9.2, 10.6, 8.4  # x-heights, in pixels of a cheque of native size


@dataclass(frozen=True)
class Drawn:
    """A drawn cheque: its picture (RGB), the canonical truth of its seven fields, and where each value stands."""

    image: Image.Image
    truth: dict[str, str]
    hand: str
    bank: str
    boxes: dict[str, Box]
    """(x0, y0, x1, y1) in pixels of the picture; a field that is empty has no box."""
    special: tuple[str, ...] = ()
    """What is rare about it: "erased", "disagreeing", "empty", "hidden"."""
    lines: tuple[tuple[str, Box], ...] = ()
    """Every line as written, with its box; hidden ones are left out. An amount in words has two where it is long."""
    turned: int = 0
    """Degrees clockwise by which the picture is turned: 0, 90, 180 or 270."""


def draw_cheque(
    seed: int,
    hands: str = "seen",
    size: tuple[int, int] = NATIVE,
    *,
    banks: Sequence[str] | None = None,
    layouts: str | None = None,
    hand: str | None = None,
    damage: float | None = None,
    kinds: Sequence[str] = (),
    discordant: float | None = None,
    hidden: float = 0.0,
) -> Drawn:
    """The cheque of a seed: the same arguments give the same pixels.

    `hands` is a group of hands ("seen", "unseen", "train", "kept-out", …) or one hand's name, and `hand` names one too.
    `banks` are the names to choose among (all of BANKS otherwise); `layouts` ("train", "kept-out" or "demo") gives each
    cheque a layout of its own instead. `damage` from 0 (as drawn) to 1 (a careless scan), otherwise chosen for each
    cheque; `kinds` of damage are added (see captures.KINDS; "sideways" swaps width and height).

    `discordant` is the share of cheques whose figures and words differ (2 % otherwise); the truth holds both as
    written. `hidden` is the share on which one of the two amounts is covered: nobody can read it, the truth says "?".

    Raises ValueError for unknown hands, banks, layouts and kinds.
    """
    captures.check(kinds)
    # The order in which the dice fall is a part of what a seed draws: nothing below may change places.
    rng = random.Random(seed)
    writer = choose_hand(rng, hand or hands)
    if layouts is not None and banks:
        raise ValueError("give banks or layouts, not both")
    if unknown := [name for name in banks or () if name not in BY_NAME]:
        raise ValueError(f"no bank called {unknown[0]!r}: give some of {', '.join(BY_NAME)}")
    among = [BY_NAME[name] for name in banks] if banks else BANKS
    bank = rng.choice(among) if layouts is None else choose_layout(rng, layouts)
    if isinstance(bank, Layout):
        currency = BY_CODE[bank.currency]
        content = choose_content(rng, writer, currency=currency, country=bank.country, discordant=discordant)
        content = replace(content, symbol_printed=bank.sign is not None)
    else:
        content = choose_content(rng, writer, discordant=discordant)
    level = damage if damage is not None else rng.uniform(0.1, 1)
    # Drawn in native proportions and stretched at the end, as a scan of other proportions is.
    drawing = (size[0], round(size[0] * NATIVE[1] / NATIVE[0]))
    pen = Pen(rng, writer, drawing, free=isinstance(bank, Layout))
    write_values(pen, bank, content)
    image = printed_form(rng, bank, drawing) if isinstance(bank, Layout) else printed_sheet(rng, bank, content, drawing)
    ink = rng.choices(PENS, PEN_SHARES)[0]
    image.paste(ink, mask=Image.fromarray(pen.ink))
    truth = content.truth
    covered = ""
    if hidden and rng.random() < hidden and (covered := pen.hide_an_amount(image, ink, "bilevel" in kinds)):
        truth = {**truth, covered: UNREADABLE}
    if rng.random() < 0.12:  # a stamp, mostly on the lower left, where little is written
        mask = strokes.stamp(rng, pen.scale)
        corner = int(drawing[0] * rng.uniform(0.02, 0.5)), int(drawing[1] * rng.uniform(0.5, 0.72))
        image.paste(rng.choice(STAMP_INKS), corner, mask)

    # Chosen before it is applied, so that the boxes can follow.
    history = damages.choose(rng, level, drawing)
    if "photographed" in kinds:
        history = replace(history, skew=damages.STRAIGHT)  # no scanner's edge on a table
    boxes = {name: history.moved(box, drawing) for name, box in pen.boxes.items()}
    lines = [(text, history.moved(box, drawing)) for _, text, box in pen.written]
    image = damages.apply(rng, image, history)
    if drawing != size:
        image = image.resize(size, Image.Resampling.BILINEAR)

        def shrunk(box: Box) -> Box:
            return box[0], box[1] * size[1] // drawing[1], box[2], box[3] * size[1] // drawing[1]

        boxes = {name: shrunk(box) for name, box in boxes.items()}
        lines = [(text, shrunk(box)) for text, box in lines]

    empty = any(not text for text in content.texts.values())
    rare = {"erased": content.erased, "disagreeing": content.disagreeing, "empty": empty, "hidden": covered}
    special = tuple(name for name, so in rare.items() if so)
    if not kinds:
        return Drawn(image, truth, writer.name, bank.name, boxes, special, tuple(lines))
    taken = captures.capture(rng, image, kinds)
    boxes = {name: taken.moved(box) for name, box in boxes.items()}
    lines = [(text, taken.moved(box)) for text, box in lines]
    return Drawn(taken.image, truth, writer.name, bank.name, boxes, special, tuple(lines), taken.turned)


class Pen:
    """One person writing on one cheque: keeps the way of writing, collects ink and boxes."""

    def __init__(self, rng: random.Random, hand: Hand, size: tuple[int, int], free: bool = False):
        self.rng, self.hand = rng, hand
        self.free = free
        """Further from the ruled lines, and across printed words."""
        self.scale = size[0] / NATIVE[0]
        self.ink: strokes.Ink = np.zeros((size[1], size[0]), np.uint8)
        self.boxes: dict[str, Box] = {}
        self.written: list[tuple[str, str, Box]] = []
        """Field, text and box of every line."""
        self.way = style(rng, rng.uniform(0.5, 1), xheight=self.scale)
        if free:
            self.way = freer(rng, self.way)

    def style(self, xheight: float) -> Style:
        return replace(self.way, xheight=self.way.xheight * xheight)

    def write(self, name: str, text: str, rule: Rule, how: Style, *, rise: float = 24, strength: float = 1.0) -> Box:
        """Writes on a rule, in pixels of native size; the box of what was written joins the field's box."""
        s = self.scale
        x0, x1 = round(rule.x0 * s), round(rule.x1 * s)
        y0, y1 = max(0, round((rule.y - rise) * s)), min(self.ink.shape[0], round((rule.y + 13) * s))
        baseline = (rule.y + (self.rng.uniform(-4, 3) if self.free else self.rng.uniform(-2, 1))) * s - y0
        written = write(self.rng, text, self.hand, how, (x1 - x0, y1 - y0), (2, baseline))
        ink = written.ink if strength == 1 else (written.ink * strength).astype(np.uint8)
        area = self.ink[y0:y1, x0:x1]
        np.maximum(area, ink, out=area)
        left, top, right, bottom = written.box
        box = (left + x0, top + y0, right + x0, bottom + y0)
        # Faint ink is a correction below the value, and no value itself.
        if strength == 1:
            a = self.boxes.get(name, box)
            self.boxes[name] = min(a[0], box[0]), min(a[1], box[1]), max(a[2], box[2]), max(a[3], box[3])
            self.written.append((name, text, box))
        return box

    @contextmanager
    def over_ink(self) -> Iterator[ImageDraw.ImageDraw]:
        """To draw pen lines over what is written."""
        mask = Image.fromarray(self.ink)
        yield ImageDraw.Draw(mask)
        self.ink = np.array(mask, np.uint8)

    def write_wrong(self, name: str, wrong: str, rule: Rule, how: Style) -> Rule:
        """Writes a wrong text first, and returns the rule that is left for the right one.

        Struck out at the start of the rule where there is room, otherwise rubbed out below the right text.
        """
        across = width(wrong, self.hand, how) / self.scale
        if name in ("montant_lettres", "beneficiaire") and across < 0.3 * (rule.x1 - rule.x0):
            box = self.write(name, wrong, replace(rule, x1=rule.x0 + round(across) + 12), how)
            # What is struck out is no value: a reader must not learn it.
            del self.boxes[name]
            del self.written[-1]
            with self.over_ink() as draw:
                strokes.strike(self.rng, draw, box, max(1, round(self.scale * 1.4)))
            return replace(rule, x0=round(box[2] / self.scale) + 8)
        self.write(name, wrong, rule, how, strength=self.rng.uniform(0.16, 0.34))
        return rule

    def hide_an_amount(self, image: Image.Image, ink: tuple[int, int, int], dark: bool) -> str:
        """Covers the figures or the words; returns the field's name, or nothing where only one of them is written."""
        if not {"montant_numerique", "montant_lettres"} <= set(self.boxes):
            return ""
        name = self.rng.choice(("montant_numerique", "montant_lettres"))
        covers.hide(self.rng, image, [box for field, _, box in self.written if field == name], ink, self.scale, dark)
        self.written = [line for line in self.written if line[0] != name]
        if self.boxes["devise"] == self.boxes[name]:  # the currency is not printed: it stands with the other amount
            self.boxes["devise"] = self.boxes["montant_lettres" if name == "montant_numerique" else "montant_numerique"]
        return name


def write_values(pen: Pen, bank: Bank, content: Content) -> None:
    """Everything that is written on one cheque: the five values and the signature."""
    rng = pen.rng
    if content.texts["montant_lettres"]:
        write_words(pen, bank, content)
    for name, rule, xheight in (
        ("montant_numerique", bank.figures, FIGURES),
        ("beneficiaire", bank.payee, WORDS),
        ("lieu", bank.place, SMALL),
        ("date", bank.date, SMALL),
    ):
        text, how = content.texts[name], pen.style(xheight)
        if not text:
            continue
        # People often start a little in, but never so far that the text must shrink.
        room = rule.x1 - rule.x0 - width(text, pen.hand, how) / pen.scale - 8
        if pen.free and rng.random() < 0.15:
            rule = replace(rule, x0=max(0, rule.x0 - int(12 * rng.random())))  # across what is printed before the line
        else:
            rule = replace(rule, x0=rule.x0 + int(max(0.0, min(room, 60)) * rng.random()))
        if content.erased and content.erased[0] == name:
            rule = pen.write_wrong(name, content.erased[1], rule, how)
        pen.write(name, text, rule, how)

    if content.truth["signature"] == "présente":
        x0, y0, x1, y1 = (round(edge * pen.scale) for edge in bank.signature)
        ink = strokes.signature(rng, pen.hand, names.made_up(rng), (x1 - x0, y1 - y0))
        area = pen.ink[y0:y1, x0:x1]
        np.maximum(area, ink, out=area)
        rows, columns = np.flatnonzero(ink.max(axis=1) > 60), np.flatnonzero(ink.max(axis=0) > 60)
        pen.boxes["signature"] = (x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]), y0 + int(rows[-1]))

    # The currency stands where it is printed, otherwise with one of the amounts.
    if content.symbol_printed:
        x, y = bank.symbol
        edges: tuple[float, float, float, float] = x - 14, y - 12, x + 12, y + 3
        if isinstance(bank, Layout) and (sign := bank.sign):
            wide = font(bank.typeface, max(5, round(sign.size))).getlength(sign.text)
            edges = sign.x - 2, sign.y - sign.size, sign.x + wide + 2, sign.y + 3
        left, top, right, bottom = (round(edge * pen.scale) for edge in edges)
        pen.boxes["devise"] = left, top, right, bottom
    elif box := pen.boxes.get("montant_numerique") or pen.boxes.get("montant_lettres"):
        pen.boxes["devise"] = box


def write_words(pen: Pen, bank: Bank, content: Content) -> None:
    """The amount in words on one line, or on two where it is long (one in eight breaks early)."""
    rng, how = pen.rng, pen.style(WORDS)
    first = bank.words[0]
    second = bank.words[1] if len(bank.words) > 1 else None
    text = content.texts["montant_lettres"]
    if content.erased and content.erased[0] == "montant_lettres":
        first = pen.write_wrong("montant_lettres", content.erased[1], first, how)
    needed = width(text, pen.hand, how) / pen.scale
    room = first.x1 - first.x0 - 6 + (second.x1 - second.x0 - 6 if second else 0)
    # People write narrower once they see that the line will not do.
    if needed > 0.94 * room:
        how = replace(how, stretch=how.stretch * max(0.72, 0.94 * room / needed))
        needed = width(text, pen.hand, how) / pen.scale
    start = first.x0 + int(max(0.0, min(40, first.x1 - first.x0 - needed - 10)) * rng.random())
    first = replace(first, x0=start)

    # At a space or after a hyphen, the first line holding at most its share of the letters.
    above, below = text, ""
    share = (first.x1 - first.x0 - 6) / max(1.0, needed)
    if second and (share < 1 or (rng.random() < 0.12 and len(text) > 30)):
        most = len(text) * min(share, 1) * (1 if share < 1 else rng.uniform(0.5, 0.9))
        breaks = [found.end() for found in re.finditer(r"[ -]", text) if found.end() <= most + 1]
        if breaks:
            above, below = text[: breaks[-1]].rstrip(), text[breaks[-1] :]
    box, rule = pen.write("montant_lettres", above, first, how), first
    if second and below:
        box, rule = pen.write("montant_lettres", below, second, how), second

    # The line that many draw behind the words so that nothing can be added.
    end = box[2] / pen.scale + 8
    if rng.random() < 0.35 and rule.x1 - end > 40:
        with pen.over_ink() as draw:
            strokes.filling_line(rng, draw, end * pen.scale, (rule.x1 - 4) * pen.scale, (rule.y - 3) * pen.scale)


def printed_sheet(rng: random.Random, bank: Bank, content: Content, size: tuple[int, int]) -> Image.Image:
    """Paper with its guilloche and everything that is printed, without any handwriting."""
    columns, rows = size
    scale = columns / NATIVE[0]
    strength = rng.uniform(0.08, 0.5)
    pattern = paper.pattern(rng, bank.pattern, columns, rows)
    pattern[round(257 * scale) :] //= 5  # the band of the CMC-7 line is kept clear for machines
    shade = rng.uniform(-10, 5)
    light = np.array(bank.paper, np.float32) + shade
    dark = light + strength * (np.array(bank.line, np.float32) - light)
    steps = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    palette = np.clip(light + steps * (dark - light), 0, 255).astype(np.uint8)
    sheet = Image.fromarray(pattern, "P")
    sheet.putpalette(palette.tobytes())
    image = sheet.convert("RGB")

    brand = tuple(int(0.45 * channel) for channel in bank.line)
    mask = Image.fromarray(printed(bank, size, COUNTRIES[content.currency.code]))
    draw = ImageDraw.Draw(mask)
    x, y = bank.holder
    for number, text in enumerate((*names.address(rng), f"Compte {rng.randrange(10**11):011d}")):
        print_text(draw, Print(text, x, y + 11 * number, 8), "roboto-condensed", scale)
    print_text(draw, Print(f"Chèque n° {rng.randrange(10**7):07d}", 20, 248, 8), "roboto-condensed", scale)
    if content.symbol_printed:
        symbol = content.currency.symbols[0]
        largest = 16 if len(symbol) == 1 else 9 if len(symbol) < 4 else 6.5
        print_text(draw, Print(symbol, bank.symbol[0] - 3 * len(symbol), bank.symbol[1], largest), "inter", scale)
    image.paste(brand, mask=mask)

    serial = f"{rng.randrange(10**7):07d}"
    codes = strokes.cmc7(f":{serial}: :{rng.randrange(10**12):012d}: {rng.randrange(10**11):011d}:", scale)
    image.paste((20, 20, 22), (round(rng.uniform(18, 70) * scale), round(262 * scale)), codes)
    return image
