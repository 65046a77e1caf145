"""A layout on paper: pattern, colours, logo and everything that is printed, before anybody writes on it."""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from cheques.drawing import paper, people, strokes
from cheques.drawing.banks import NATIVE, Colour, Print, Rule
from cheques.drawing.hands import font
from cheques.drawing.layouts import Layout

WHITE = (252, 252, 252)


def printed_form(rng: random.Random, layout: Layout, size: tuple[int, int]) -> Image.Image:
    """One form, with its owner and numbers, RGB of `size` (width, height)."""
    scale = size[0] / NATIVE[0]
    image = patterned_paper(rng, layout, size)
    draw = ImageDraw.Draw(image)

    def text(one: Print, typeface: str, fill: Colour) -> None:
        face = font(typeface, max(5, round(one.size * scale)))
        draw.text((one.x * scale, one.y * scale), one.text, font=face, fill=fill, anchor="ls")

    draw_border(draw, layout, size, scale)
    for rule in (*layout.words, layout.payee, layout.place, layout.date):
        draw_rule(draw, rule, layout, scale)
    draw_box(draw, layout, scale)
    draw_emblem(draw, layout, scale)
    if layout.title:
        text(layout.title, layout.display, layout.ink)
    for one in layout.prints:
        text(one, layout.typeface, layout.ink)
    if layout.sign:
        text(layout.sign, layout.typeface, layout.ink)
    begin = layout.stub[1] if layout.stub[0] == 0 else 0  # where the cheque itself begins
    if layout.crossing:
        x = begin + 6
        for offset in (0, 9):
            ends = ((x + offset) * scale, 44 * scale, (x + 38 + offset) * scale, 2 * scale)
            draw.line(ends, fill=mixed(layout.ink, layout.paper, 0.5), width=max(1, round(scale)))

    dark = (40, 40, 44)
    x, y = layout.holder
    serial, account = f"{rng.randrange(10**7):07d}", f"{rng.randrange(10**11):011d}"
    owner = (*people.owner(rng, layout.country), layout.account.format(account))
    tall = layout.holder_size
    for line, said in enumerate(owner if rng.random() < 0.8 else owner[:3]):
        text(Print(said[:34], x, y + round(1.3 * tall * line), tall), "roboto-condensed", dark)
    if at := layout.number:
        text(Print(at.text.format(serial), at.x, at.y, at.size), "roboto-condensed", dark)

    # The line for machines at the foot of the form.
    codes = f"{rng.randrange(10**12):012d}", f"{rng.randrange(10**11):011d}"
    start = begin + rng.uniform(14, 60)
    if layout.code == "cmc7":
        line_of_code = strokes.cmc7(f":{serial}: :{codes[0]}: {codes[1]}:", scale * (0.86 if layout.stub[1] else 1))
        image.paste((20, 20, 22), (round(start * scale), round(262 * scale)), line_of_code)
    elif layout.code == "digits":
        face = font("share-tech-mono", max(6, round(15 * scale)))
        said = f"<{serial}<  {codes[0]}>  {codes[1]}+"
        draw.text((start * scale, 277 * scale), said, font=face, fill=(20, 20, 22), anchor="ls")
    if layout.stub[1]:
        draw_stub(rng, draw, layout, size, scale, serial)
    return image


def patterned_paper(rng: random.Random, layout: Layout, size: tuple[int, int]) -> Image.Image:
    """The pattern in its colour, on paper that may change its colour downwards or to the right."""
    columns, rows = size
    pattern = paper.texture(rng, layout.pattern, columns, rows)
    if layout.second_pattern is not None:
        np.maximum(pattern, paper.texture(rng, layout.second_pattern, columns, rows), out=pattern)
    if layout.code != "none":
        pattern[round(257 * columns / NATIVE[0]) :] //= 5  # the band of the code line is kept clear for machines
    shade = rng.uniform(-10, 5)
    line = np.array(layout.line, np.float32)
    steps = np.linspace(0, 1, 256, dtype=np.float32)[:, None]

    def on(ground: Colour) -> Image.Image:
        light = np.array(ground, np.float32) + shade
        palette = np.clip(light + steps * layout.strength * (line - light), 0, 255).astype(np.uint8)
        sheet = Image.fromarray(pattern, "P")
        sheet.putpalette(palette.tobytes())
        return sheet.convert("RGB")

    if layout.ground == layout.paper:
        return on(layout.paper)
    return Image.composite(on(layout.ground), on(layout.paper), gradient(size, layout.sideways))


@lru_cache(maxsize=8)
def gradient(size: tuple[int, int], sideways: bool) -> Image.Image:
    """From 0 to 255, downwards or to the right; cached, since few sizes are drawn."""
    ramp = Image.linear_gradient("L")
    return (ramp.rotate(90) if sideways else ramp).resize(size, Image.Resampling.BILINEAR)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """The first colour, and `share` of the way to the other."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def draw_border(draw: ImageDraw.ImageDraw, layout: Layout, size: tuple[int, int], scale: float) -> None:
    """The frame around the form, and the line above the code line."""
    width, height = size
    thin = max(1, round(scale))
    match layout.border:
        case "line" | "double":
            for inset in (3, 6) if layout.border == "double" else (4,):
                edge = inset * scale
                draw.rectangle((edge, edge, width - edge, height - edge), outline=layout.line, width=thin)
        case "band":
            draw.rectangle((0, 0, width, 5 * scale), fill=layout.line)
        case "side":
            draw.rectangle((width - 7 * scale, 0, width, height), fill=layout.line)
    if layout.code != "none":
        draw.line((0, 256 * scale, width, 256 * scale), fill=mixed(layout.line, layout.paper, 0.6), width=thin)


def draw_rule(draw: ImageDraw.ImageDraw, rule: Rule, layout: Layout, scale: float) -> None:
    """A line to write on, in the layout's manner."""
    x0, x1, y = rule.x0 * scale, rule.x1 * scale, round((rule.y + 2.5) * scale)
    thin = max(1, round(scale))
    soft = mixed(layout.ink, layout.paper, 0.35)
    match layout.ruled:
        case "line":
            draw.line((x0, y, x1, y), fill=soft, width=thin)
        case "dots" | "dashes":
            step, dash = (3, 0) if layout.ruled == "dots" else (9, 6)
            for x in np.arange(x0, x1, step * scale).tolist():
                draw.line((x, y, x + dash * scale, y), fill=soft, width=thin)
        case "band":
            draw.rectangle((x0, y - 17 * scale, x1, y + 2 * scale), fill=mixed(layout.paper, WHITE, 0.75))
        case "framed":
            draw.rectangle((x0 - 2, y - 19 * scale, x1, y + 3 * scale), outline=soft, width=thin)


def draw_box(draw: ImageDraw.ImageDraw, layout: Layout, scale: float) -> None:
    """The box of the figures."""
    x0, y0, x1, y1 = (edge * scale for edge in layout.box)
    thin = max(1, round(scale))
    match layout.frame:
        case "line":
            draw.rectangle((x0, y0, x1, y1), outline=layout.ink, width=thin)
        case "round":
            draw.rounded_rectangle((x0, y0, x1, y1), 7 * scale, outline=layout.ink, width=thin)
        case "double":
            draw.rectangle((x0, y0, x1, y1), outline=layout.ink, width=thin)
            draw.rectangle((x0 + 3, y0 + 3, x1 - 3, y1 - 3), outline=layout.line, width=thin)
        case "panel":
            draw.rectangle((x0, y0, x1, y1), fill=mixed(layout.paper, WHITE, 0.85), outline=layout.line, width=thin)
        case "corners":
            for x, inward in ((x0, 1), (x1, -1)):
                for y, down in ((y0, 1), (y1, -1)):
                    draw.line((x, y, x + 9 * scale * inward, y), fill=layout.ink, width=thin)
                    draw.line((x, y, x, y + 9 * scale * down), fill=layout.ink, width=thin)
        case "comb":
            draw.line((x0, y0, x0, y1, x1, y1, x1, y0), fill=layout.ink, width=thin)
            for x in np.linspace(x0, x1, max(4, round((layout.box[2] - layout.box[0]) / 15)))[1:-1]:
                draw.line((x, y1 - 5 * scale, x, y1), fill=layout.ink, width=thin)


def draw_emblem(draw: ImageDraw.ImageDraw, layout: Layout, scale: float) -> None:
    """A logo in a square: one or two simple shapes."""
    left, top, size, number = layout.emblem
    rng = random.Random(number)
    x, y, side = left * scale, top * scale, size * scale
    colours = [layout.line, layout.ink, mixed(layout.line, layout.ink, 0.5)]
    for inset in (0.0, rng.uniform(0.15, 0.3))[: rng.choice((1, 2, 2))]:
        a, b, c, d = x + inset * side, y + inset * side, x + (1 - inset) * side, y + (1 - inset) * side
        fill = colours.pop(rng.randrange(len(colours)))
        middle = ((a + c) / 2, (b + d) / 2)
        match rng.randrange(8):
            case 0:
                draw.ellipse((a, b, c, d), fill=fill)
            case 1:
                draw.rounded_rectangle((a, b, c, d), side * rng.uniform(0, 0.3), fill=fill)
            case 2:
                draw.regular_polygon((*middle, (c - a) / 2), rng.randint(3, 8), rng.uniform(0, 90), fill=fill)
            case 3:
                draw.ellipse((a, b, c, d), outline=fill, width=max(2, round(side / 8)))
            case 4:
                for bar in range(4):
                    high = rng.uniform(0.3, 1)
                    start = a + bar * (c - a) / 4
                    draw.rectangle((start, d - high * (d - b), start + 0.18 * (c - a), d), fill=fill)
            case 5:
                start = rng.uniform(0, 360)
                draw.pieslice((a, b, c, d), start, start + rng.uniform(90, 270), fill=fill)
            case 6:
                points, turn = rng.randint(4, 9), rng.uniform(0, 3)
                corners = []
                for k in range(2 * points):
                    far = (c - a) / 2 * (1 if k % 2 else 0.45)
                    angle = turn + k * math.pi / points
                    corners.append((middle[0] + far * math.cos(angle), middle[1] + far * math.sin(angle)))
                draw.polygon(corners, fill=fill)
            case _:
                letter = rng.choice("ABCDFGHKLMNPRSTUVZ")
                draw.text(middle, letter, font=font("oswald", max(6, round(0.8 * (d - b)))), fill=fill, anchor="mm")


def draw_stub(
    rng: random.Random, draw: ImageDraw.ImageDraw, layout: Layout, size: tuple[int, int], scale: float, serial: str
) -> None:
    """The part that stays in the book, torn off along: ruled for notes, and empty."""
    left, right = (edge * scale for edge in layout.stub)
    torn = right if layout.stub[0] == 0 else left
    for y in np.arange(2, size[1], 6 * scale).tolist():
        draw.line((torn, y, torn, y + 3 * scale), fill=layout.ink)
    face = font(layout.typeface, max(5, round(7 * scale)))
    high = rng.uniform(24, 32)
    for line, said in enumerate((f"N° {serial}", "Date", "Ordre", "Objet", "Ancien solde", "Montant", "Nouveau solde")):
        y = (24 + high * line) * scale
        draw.text((left + 8 * scale, y), said, font=face, fill=layout.ink, anchor="ls")
        if line:
            draw.line((left + 8 * scale, y + 12 * scale, right - 8 * scale, y + 12 * scale), fill=layout.line)
