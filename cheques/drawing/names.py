"""Payees and towns: some real, most made up from syllables, so that reading them is reading and not remembering."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

LISTS = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
ELIDED = re.compile(r"\bde (?=[AEÉIOU])")
TOWNS: dict[str, list[str]] = LISTS["towns"]


def pick(rng: random.Random, among: list[str]) -> str:
    return among[int(rng.random() * len(among))]


def made_up(rng: random.Random) -> str:
    """A word that looks French and is in no list: one to three syllables and an ending."""
    syllables = 1 + int(rng.random() * 2.2)
    word = "".join(pick(rng, LISTS["onsets"]) + pick(rng, LISTS["vowels"]) for _ in range(syllables))
    word += pick(rng, ["l", "r", "m", "n", "d", "t", "b", "g", "v", "ss", "ll", "nn"])
    word += (
        pick(rng, LISTS["endings"]) if rng.random() < 0.8 else pick(rng, LISTS["vowels"]) + pick(rng, LISTS["codas"])
    )
    return word[0].upper() + word[1:]


def last_name(rng: random.Random) -> str:
    """A family name; three in ten exist."""
    chance = rng.random()
    if chance < 0.3:
        return pick(rng, LISTS["last"])
    if chance < 0.36:
        return "Le " + made_up(rng)
    if chance < 0.4:
        return "D'" + made_up(rng)
    if chance < 0.46:
        return made_up(rng) + "-" + pick(rng, LISTS["last"])
    return made_up(rng)


def person(rng: random.Random) -> str:
    """Somebody as one writes a name on a cheque."""
    first, last = pick(rng, LISTS["first"]) if rng.random() < 0.6 else made_up(rng), last_name(rng)
    if rng.random() < 0.1:
        first += "-" + pick(rng, LISTS["first"])
    if rng.random() < 0.15:
        last = last.upper()
    forms = [
        *([f"{first} {last}"] * 6),
        f"{last} {first}",
        f"M. {last}",
        f"Mme {last}",
        f"Mme {first} {last}",
        f"M. {first} {last}",
        f"M. et Mme {last}",
        f"Melle {last}",
        f"{first[0]}. {last}",
    ]
    return pick(rng, forms)


def company(rng: random.Random) -> str:
    """A firm, an association or an authority."""
    form = pick(rng, LISTS["companies"])
    name: str = form.format(last=last_name(rng), made=made_up(rng), town=pick(rng, TOWNS["EUR"]))
    # As French elides and joins: d'Ambert, du Havre, au Mans.
    return ELIDED.sub("d'", name.replace(" de Le ", " du ").replace(" à Le ", " au "))


def payee(rng: random.Random) -> str:
    """Whom a cheque is made out to."""
    if rng.random() < 0.03:
        return pick(rng, ["moi-même", "Moi-même"])
    return company(rng) if rng.random() < 0.38 else person(rng)


def town(rng: random.Random, currency: str = "EUR") -> str:
    """Where a cheque is written: half the towns exist."""
    if rng.random() < 0.5:
        return pick(rng, TOWNS.get(currency, TOWNS["EUR"]))
    word = made_up(rng)
    chance = rng.random()
    if chance < 0.12:
        return "Saint-" + word
    if chance < 0.18:
        return f"{word}-sur-{made_up(rng)}" if len(word) < 8 else word
    if chance < 0.24:
        return "Le " + word
    if chance < 0.28:
        return "L'" + word if word[0] in "AEIOUÉÈÊHY" else "La " + word
    return word


def address(rng: random.Random) -> tuple[str, str, str]:
    """The account holder's printed lines: name, street, postcode and town. None of it exists."""
    place = pick(rng, TOWNS["EUR"]).upper()
    street = f"{1 + int(rng.random() * 180)} {pick(rng, LISTS['streets'])}"
    name = f"{pick(rng, ['M.', 'MME', 'M. OU MME'])} {made_up(rng)} {pick(rng, LISTS['first'])}".upper()
    return name, street, f"{1000 + int(rng.random() * 94000):05d} {place}"
