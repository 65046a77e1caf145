"""Made-up banks: where each puts its fields, in what colours, and what is printed on its cheques.

Lengths are pixels of a cheque of 640 x 288; other sizes are scaled from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cheques.drawing.hands import font

NATIVE = (640, 288)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Rule:
    """A ruled line to write on: from x0 to x1 at a height."""

    x0: int
    x1: int
    y: int


@dataclass(frozen=True)
class Print:
    """A printed text: its left end, its baseline, and its size in pixels."""

    text: str
    x: int
    y: int
    size: float = 8.5


@dataclass(frozen=True)
class Bank:
    """One layout. `box` and `signature` are (x0, y0, x1, y1); `symbol` is where the currency stands, if printed."""

    name: str
    logo: str
    paper: Colour
    line: Colour
    """Colour of the guilloche and of the brand."""
    pattern: int
    typeface: str
    words: tuple[Rule, ...]
    """One line for the amount in words, or two."""
    payee: Rule
    box: tuple[int, int, int, int]
    place: Rule
    date: Rule
    signature: tuple[int, int, int, int]
    holder: tuple[int, int]
    symbol: tuple[int, int]
    prints: tuple[Print, ...]
    ruled: str = "line"
    """How lines to write on are printed: "line", "dots" or "band"."""
    crossing: bool = False
    extra: tuple[tuple[int, int, int, int], ...] = field(default=())
    """Rectangles printed for decoration."""

    @property
    def figures(self) -> Rule:
        """Where in the box the figures are written."""
        x0, y0, x1, y1 = self.box
        return Rule(x0 + 4, x1 - 2, round(y1 - 0.3 * (y1 - y0)))


PAYEZ = "Payez contre ce chèque non endossable sauf au profit d'une banque ou d'un établissement assimilé"
SHORT = "Payez contre ce chèque non endossable"

BANKS = (
    Bank(
        "Banque du Ponant", "disc", (236, 243, 250), (120, 165, 205), 0, "inter",
        words=(Rule(20, 620, 84), Rule(20, 452, 114)), payee=Rule(38, 452, 143), box=(476, 94, 624, 126),
        place=Rule(370, 490, 168), date=Rule(508, 632, 168), signature=(400, 176, 626, 246),
        holder=(200, 178), symbol=(464, 115),
        prints=(
            Print(PAYEZ, 20, 60, 8), Print("à", 22, 142, 10), Print("à", 361, 167), Print("le", 496, 167),
            Print("Payable en {country}", 20, 176, 8), Print("Signature", 574, 183, 7),
        ),
        crossing=True,
    ),
    Bank(
        "Crédit des Alpilles", "hills", (247, 240, 226), (205, 165, 105), 1, "source-serif-4",
        words=(Rule(20, 622, 78), Rule(20, 622, 107)), payee=Rule(50, 444, 137), box=(466, 117, 622, 149),
        place=Rule(376, 490, 176), date=Rule(508, 632, 176), signature=(404, 184, 622, 248),
        holder=(20, 196), symbol=(454, 138),
        prints=(
            Print(PAYEZ, 20, 54, 8), Print("À l'ordre de", 20, 126, 7), Print("Fait à", 350, 175, 8),
            Print("le", 496, 175, 8), Print("Payable en {country}", 226, 190, 8),
            Print("Tél. 04 00 00 00 00", 226, 202, 7),
        ),
        ruled="dots",
    ),
    Bank(
        "Caisse Rhénane", "bars", (229, 244, 232), (115, 180, 135), 2, "roboto-condensed",
        words=(Rule(24, 468, 76), Rule(24, 468, 104)), payee=Rule(24, 468, 134), box=(484, 54, 626, 88),
        place=Rule(486, 624, 119), date=Rule(486, 624, 148), signature=(414, 160, 626, 246),
        holder=(216, 182), symbol=(472, 77),
        prints=(
            Print(SHORT, 24, 51, 9), Print("à l'ordre de", 24, 114, 7.5), Print("à", 474, 118, 9),
            Print("le", 472, 147, 9), Print("Payable en {country}", 24, 176, 8.5),
            Print("signature(s)", 418, 169, 7),
        ),
        ruled="band",
    ),
    Bank(
        "Société Morvandelle", "diamond", (250, 233, 235), (215, 130, 145), 3, "inter",
        words=(Rule(84, 620, 66), Rule(20, 620, 95)), payee=Rule(46, 430, 125), box=(454, 106, 620, 140),
        place=Rule(36, 176, 170), date=Rule(200, 336, 170), signature=(420, 152, 622, 246),
        holder=(20, 206), symbol=(441, 129),
        prints=(
            Print("Payez contre", 20, 58, 8), Print("ce chèque", 20, 67, 8), Print("À", 28, 124, 10),
            Print("à", 22, 169, 9), Print("le", 184, 169, 9), Print("Payable en {country}", 210, 190, 8),
            Print("non endossable", 210, 201, 8),
        ),
    ),
    Bank(
        "Banque Tramontane", "rings", (240, 234, 248), (165, 140, 205), 4, "roboto-condensed",
        words=(Rule(22, 618, 90), Rule(22, 440, 119)), payee=Rule(22, 440, 149), box=(462, 98, 622, 130),
        place=Rule(462, 622, 158), date=Rule(476, 622, 184), signature=(440, 192, 626, 250),
        holder=(150, 192), symbol=(448, 120),
        prints=(
            Print(PAYEZ, 22, 66, 9), Print("à l'ordre de", 22, 129, 7), Print("à", 452, 157, 9),
            Print("le", 464, 183, 9), Print("Payable en {country}", 22, 190, 8.5), Print("Agence 0417", 22, 201, 8),
        ),
        crossing=True, ruled="dots",
    ),
    Bank(
        "Comptoir d'Armorique", "sail", (228, 243, 244), (95, 170, 180), 5, "inter",
        words=(Rule(20, 460, 100), Rule(20, 460, 128)), payee=Rule(20, 460, 70), box=(476, 48, 626, 84),
        place=Rule(492, 626, 112), date=Rule(492, 626, 140), signature=(430, 160, 626, 248),
        holder=(170, 180), symbol=(465, 71),
        prints=(
            Print("Payez à l'ordre de", 20, 48, 8), Print("la somme de (montant en lettres)", 20, 80, 7),
            Print("À", 480, 111, 9), Print("Le", 478, 139, 9), Print("Payable en {country}", 20, 176, 8),
            Print("Chèque non endossable", 20, 187, 7.5), Print("Signature", 434, 168, 7),
        ),
        ruled="line",
    ),
    Bank(
        "Union du Ventoux", "peak", (248, 246, 222), (190, 180, 90), 6, "source-serif-4",
        words=(Rule(20, 616, 72), Rule(20, 616, 102)), payee=Rule(20, 390, 133), box=(420, 112, 586, 144),
        place=Rule(386, 496, 171), date=Rule(512, 634, 171), signature=(420, 180, 624, 246),
        holder=(210, 184), symbol=(592, 134),
        prints=(
            Print(PAYEZ, 20, 49, 8.5), Print("à", 10, 132, 10), Print("à", 376, 170, 9), Print("le", 500, 170, 9),
            Print("Payable en {country}", 20, 172, 8), Print("Compensable à Carpentras", 20, 183, 7.5),
        ),
        extra=((0, 0, 640, 10),),
    ),
    Bank(
        "Crédit Orléanais", "flower", (243, 243, 243), (160, 165, 175), 7, "roboto-condensed",
        words=(Rule(120, 622, 74), Rule(18, 622, 103)), payee=Rule(78, 440, 133), box=(462, 114, 624, 148),
        place=Rule(30, 170, 166), date=Rule(192, 330, 166), signature=(400, 166, 624, 250),
        holder=(180, 186), symbol=(450, 136),
        prints=(
            Print("Payez contre ce chèque", 18, 66, 9), Print("non endossable", 18, 76, 8),
            Print("à l'ordre de", 18, 132, 9), Print("à", 20, 165, 9), Print("le", 177, 165, 9),
            Print("Payable en {country}", 18, 192, 8.5), Print("Signature", 586, 174, 7),
        ),
        ruled="line", crossing=True,
    ),
    Bank(
        "Banque Basque & Gasconne", "cross", (253, 238, 222), (225, 150, 95), 8, "inter",
        words=(Rule(20, 622, 80), Rule(20, 442, 109)), payee=Rule(20, 442, 140), box=(460, 88, 624, 122),
        place=Rule(472, 624, 144), date=Rule(472, 624, 170), signature=(430, 178, 626, 248),
        holder=(20, 190), symbol=(448, 111),
        prints=(
            Print(SHORT, 20, 57, 8.5), Print("à l'ordre de", 20, 119, 7), Print("À", 460, 143, 8.5),
            Print("LE", 457, 169, 8.5), Print("Payable en {country}", 240, 178, 8),
            Print("0 800 00 00 00 (appel gratuit)", 240, 189, 7),
        ),
        ruled="band",
    ),
    Bank(
        "La Banque des Deux Rives", "wave", (232, 238, 246), (90, 120, 185), 9, "source-serif-4",
        words=(Rule(20, 624, 88), Rule(20, 624, 117)), payee=Rule(40, 384, 147), box=(478, 30, 626, 62),
        place=Rule(398, 506, 150), date=Rule(520, 634, 150), signature=(420, 166, 626, 248),
        holder=(196, 178), symbol=(466, 52),
        prints=(
            Print(SHORT + " la somme de", 20, 64, 9), Print("à", 26, 146, 10), Print("à", 388, 149, 9),
            Print("le", 509, 149, 9), Print("Payable en {country}", 20, 178, 8),
            Print("12 place des Rives", 20, 189, 7.5),
        ),
    ),
)  # fmt: skip

# They lay out their cheques unlike all of BANKS, and no model that ships has ever seen one: every project meets
# cheques that its base model was not trained on.
OTHER_BANKS = (
    Bank(
        "Crédit du Vexin", "peak", (240, 246, 236), (140, 175, 110), 3, "source-serif-4",
        words=(Rule(20, 460, 100), Rule(20, 460, 128)), payee=Rule(112, 460, 68), box=(476, 88, 624, 122),
        place=Rule(346, 476, 32), date=Rule(498, 632, 32), signature=(24, 152, 250, 248),
        holder=(330, 186), symbol=(464, 109),
        prints=(
            Print("Veuillez payer à", 20, 66, 9), Print(SHORT, 20, 78, 7), Print("À", 334, 31, 9),
            Print("le", 484, 31, 9), Print("Payable en {country}", 330, 152, 8), Print("Signature", 30, 148, 7),
        ),
    ),
    Bank(
        "Banque des Calanques", "sail", (232, 244, 250), (100, 150, 200), 7, "inter",
        words=(Rule(20, 622, 120), Rule(20, 622, 149)), payee=Rule(214, 622, 84), box=(20, 54, 168, 88),
        place=Rule(36, 176, 182), date=Rule(198, 332, 182), signature=(400, 160, 626, 248),
        holder=(20, 204), symbol=(182, 76),
        prints=(
            Print("à", 204, 83, 9), Print(PAYEZ, 200, 56, 7.5), Print("à", 22, 181, 9), Print("le", 184, 181, 9),
            Print("Payable en {country}", 210, 204, 8), Print("Signature", 404, 168, 7),
        ),
        ruled="dots",
    ),
    Bank(
        "Caisse du Quercy", "bars", (248, 240, 236), (190, 140, 120), 5, "roboto-condensed",
        words=(Rule(20, 622, 152), Rule(20, 430, 181)), payee=Rule(20, 440, 72), box=(478, 92, 626, 126),
        place=Rule(36, 176, 110), date=Rule(204, 340, 110), signature=(440, 166, 626, 250),
        holder=(190, 202), symbol=(466, 113),
        prints=(
            Print("Bénéficiaire", 20, 52, 8), Print("À", 20, 109, 9), Print("LE", 184, 109, 9),
            Print("Somme en toutes lettres", 20, 130, 7.5), Print("Payable en {country}", 20, 204, 8),
            Print("Chèque non endossable", 20, 215, 7.5),
        ),
        ruled="band",
    ),
)  # fmt: skip
BY_NAME = {bank.name: bank for bank in (*BANKS, *OTHER_BANKS)}

COUNTRIES = {
    "EUR": "France",
    "CHF": "Suisse",
    "MAD": "Maroc",
    "TND": "Tunisie",
    "XOF": "Zone UMOA",
    "CAD": "Canada",
    "DZD": "Algérie",
    "USD": "France (devises)",
    "GBP": "France (devises)",
}


def banks_called(which: str) -> tuple[str, ...]:
    """The names of a group: "seen" (in the first pretraining), "unseen" or "all". ValueError for anything else."""
    groups = {"seen": BANKS, "unseen": OTHER_BANKS, "all": (*BANKS, *OTHER_BANKS)}
    if which not in groups:
        raise ValueError(f"no banks called {which!r}: give one of {', '.join(groups)}")
    return tuple(bank.name for bank in groups[which])


def print_text(draw: ImageDraw.ImageDraw, text: Print, typeface: str, scale: float) -> None:
    """Prints on a mask."""
    face = font(typeface, max(5, round(text.size * scale)))
    draw.text((text.x * scale, text.y * scale), text.text, font=face, fill=255, anchor="ls")


@lru_cache(maxsize=64)
def printed(bank: Bank, size: tuple[int, int], country: str) -> NDArray[np.uint8]:
    """What a bank prints on every cheque of a country, as ink of shape (height, width)."""
    scale = size[0] / NATIVE[0]
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    print_logo(draw, bank.logo, scale)
    print_text(draw, Print(bank.name, 52, 30, 16), bank.typeface, scale)
    for text in bank.prints:
        print_text(draw, Print(text.text.format(country=country), text.x, text.y, text.size), bank.typeface, scale)

    for rule in (*bank.words, bank.payee, bank.place, bank.date):
        x0, x1, y = round(rule.x0 * scale), round(rule.x1 * scale), round((rule.y + 2.5) * scale)
        if bank.ruled == "band":
            draw.rectangle((x0, round((rule.y - 15) * scale), x1, y + round(2 * scale)), fill=14)
        if bank.ruled == "dots":
            for x in range(x0, x1, max(3, round(3 * scale))):
                draw.point((x, y), fill=190)
        else:
            draw.line([(x0, y), (x1, y)], fill=130)

    draw.rectangle([round(edge * scale) for edge in bank.box], outline=200, width=max(1, round(scale)))
    for rectangle in bank.extra:
        draw.rectangle([round(edge * scale) for edge in rectangle], fill=90)
    draw.line([(0, 256 * scale), (size[0], 256 * scale)], fill=50)
    if bank.crossing:
        for offset in (0, 9):
            draw.line([((4 + offset) * scale, 46 * scale), ((44 + offset) * scale, 2 * scale)], fill=120)
    return np.asarray(mask)


def print_logo(draw: ImageDraw.ImageDraw, logo: str, scale: float) -> None:
    """A simple mark in the square from (18, 12) to (44, 38)."""

    def at(*points: float) -> list[float]:
        return [point * scale for point in points]

    match logo:
        case "disc":
            draw.ellipse(at(18, 12, 44, 38), fill=220)
            draw.ellipse(at(26, 16, 40, 30), fill=60)
        case "hills":
            draw.polygon(at(18, 38, 27, 18, 33, 29, 37, 23, 44, 38), fill=220)
        case "bars":
            for number in range(4):
                draw.rectangle(at(18 + 7 * number, 32 - 6 * number, 22 + 7 * number, 38), fill=220)
        case "diamond":
            draw.polygon(at(31, 11, 45, 25, 31, 39, 17, 25), fill=220)
        case "rings":
            for x in (18, 28):
                draw.ellipse(at(x, 15, x + 18, 33), outline=220, width=max(1, round(3 * scale)))
        case "sail":
            draw.polygon(at(30, 11, 30, 34, 18, 34), fill=220)
            draw.polygon(at(33, 17, 33, 34, 44, 34), fill=160)
        case "peak":
            draw.polygon(at(18, 38, 31, 14, 44, 38), fill=160)
            draw.polygon(at(26, 22, 31, 14, 36, 22), fill=255)
        case "flower":
            for x, y in ((31, 16), (24, 22), (38, 22), (27, 31), (35, 31)):
                draw.ellipse(at(x - 5, y - 5, x + 5, y + 5), fill=200)
        case "cross":
            draw.rectangle(at(28, 12, 34, 38), fill=220)
            draw.rectangle(at(18, 22, 44, 28), fill=220)
        case _:
            for y in (16, 23, 30):
                draw.arc(at(16, y - 4, 32, y + 8), 0, 180, fill=220, width=max(1, round(3 * scale)))
                draw.arc(at(30, y - 4, 46, y + 8), 180, 360, fill=220, width=max(1, round(3 * scale)))
