"""Payees and towns: some real, most made up from syllables, so that reading them is reading and not remembering."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

LISTS = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
_ELIDED = re.compile(r"\bde (?=[AEÉIOU])")
TOWNS: dict[str, list[str]] = LISTS["towns"]


def _pick(rng: random.Random, among: list[str]) -> str:
    return among[int(rng.random() * len(among))]


def made_up(rng: random.Random) -> str:
    """A word that looks French and is in no list: one to three syllables and an ending."""
    syllables = 1 + int(rng.random() * 2.2)
    word = "".join(_pick(rng, LISTS["onsets"]) + _pick(rng, LISTS["vowels"]) for _ in range(syllables))
    word += _pick(rng, ["l", "r", "m", "n", "d", "t", "b", "g", "v", "ss", "ll", "nn"])
    word += (
        _pick(rng, LISTS["endings"]) if rng.random() < 0.8 else _pick(rng, LISTS["vowels"]) + _pick(rng, LISTS["codas"])
    )
    return word[0].upper() + word[1:]


def last_name(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.3:
        return _pick(rng, LISTS["last"])
    if chance < 0.36:
        return "Le " + made_up(rng)
    if chance < 0.4:
        return "D'" + made_up(rng)
    if chance < 0.46:
        return made_up(rng) + "-" + _pick(rng, LISTS["last"])
    return made_up(rng)


def person(rng: random.Random) -> str:
    first, last = _pick(rng, LISTS["first"]) if rng.random() < 0.6 else made_up(rng), last_name(rng)
    if rng.random() < 0.1:
        first += "-" + _pick(rng, LISTS["first"])
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
    return _pick(rng, forms)


def company(rng: random.Random) -> str:
    form = _pick(rng, LISTS["companies"])
    name: str = form.format(last=last_name(rng), made=made_up(rng), town=_pick(rng, TOWNS["EUR"]))
    return _ELIDED.sub("d'", name.replace(" de Le ", " du ").replace(" à Le ", " au "))


def payee(rng: random.Random) -> str:
    """Whom a cheque is made out to."""
    if rng.random() < 0.03:
        return _pick(rng, ["moi-même", "Moi-même"])
    return company(rng) if rng.random() < 0.38 else person(rng)


def town(rng: random.Random, currency: str = "EUR") -> str:
    """Where a cheque is written: half the towns exist."""
    if rng.random() < 0.5:
        return _pick(rng, TOWNS.get(currency, TOWNS["EUR"]))
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
    place = _pick(rng, TOWNS["EUR"]).upper()
    street = f"{1 + int(rng.random() * 180)} {_pick(rng, LISTS['streets'])}"
    return (f"{_pick(rng, ['M.', 'MME', 'M. OU MME'])} {person_name(rng)}", street, f"{postcode(rng)} {place}")


def person_name(rng: random.Random) -> str:
    return f"{made_up(rng)} {_pick(rng, LISTS['first'])}".upper()


def postcode(rng: random.Random) -> str:
    return f"{1000 + int(rng.random() * 94000):05d}"
