"""Who and where, by country: people, firms, towns, streets and banks, composed from parts more often than listed.

Parts give a hundred thousand names; a list of a few hundred would be learned by heart instead of read.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from cheques.drawing.names import LISTS, TOWNS, made_up

Parts = tuple[tuple[str, ...], ...]
"""One of each tuple, one after the other, makes a word."""
INNER = re.compile(r"(?<=[a-zà-ÿ])[A-Z]")
LONGEST_PAYEE, LONGEST_TOWN = 36, 20  # letters: more would have to be written very small


@dataclass(frozen=True)
class Culture:
    """How names are made in one part of the world. `homes` are towns that exist."""

    last: Parts
    first: Parts
    town: Parts
    forms: tuple[str, ...]
    """Of firms: {last}, {made}, {trade} and {town} stand for themselves."""
    homes: tuple[str, ...]


SMALL = ("SARL {last}", "{trade} {last}", "{trade} {made}", "Ets {last}", "{last} & Fils", "{last} Frères")
CIVIL = ("Mairie de {town}", "Commune de {town}", "Assoc. {made}", "École de {town}", "Mutuelle {made}", "Dr {last}")
TRADES = (
    *("Transports", "Menuiserie", "Plomberie", "Électricité", "Garage", "Pharmacie", "Boucherie", "Librairie"),
    *("Imprimerie", "Carrosserie", "Maçonnerie", "Peintures", "Optique", "Ambulances", "Auto-école", "Fleurs"),
    *("Quincaillerie", "Serrurerie", "Toitures", "Domaine", "Cabinet", "Laboratoire", "Boulangerie", "Hôtel"),
    *("Clinique", "Chauffage", "Meubles", "Piscines", "Traiteur", "Coiffure", "Assurances", "Bois", "Café"),
    *("Papeterie", "Voyages", "Ateliers", "Jardins", "Pompes funèbres", "Centre équestre", "Camping"),
)
SAINTS = ("Martin", "Pierre", "Aubin", "Léger", "Rémy", "Julien", "Maur", "Cyr", "Germain", "Ouen", "Brice")

FRENCH = Culture(
    last=(),  # made from syllables: see made_up
    first=(
        ("Mar", "Jul", "Luc", "Cél", "Ad", "Em", "Val", "Aur", "Clém", "Flor", "Gabr", "Hon", "Mat", "Oct", "Rém"),
        ("ine", "ien", "ette", "ie", "an", "el", "ane", "ise", "y", "ot", "élie", "ence", "orine", "a", "in", "ée"),
    ),
    town=(),
    forms=(
        *SMALL, *SMALL, *CIVIL, *CIVIL,
        *("SAS {made}", "SASU {made}", "EURL {last}", "SCI {made}", "SCI du {made}", "SNC {last}", "SELARL {last}"),
        *("GAEC {made}", "EARL {last}", "SCP {last}", "S.A. {made}", "{made} SA", "Selas {made}", "CUMA {made}"),
        *("Trésorerie de {town}", "Lycée {last}", "Collège {last}", "O.G.E.C. {made}", "Comité des fêtes {town}"),
        *("Syndic. copro. {made}", "Régie des eaux {town}", "Notaire {last}", "Me {last}", "Coop. scolaire {town}"),
        *("Club de judo {town}", "Amicale {made}", "Résidence {made}", "CSE {made}", "Centre {made}", "{made}.com"),
    ),
    homes=tuple(TOWNS["EUR"]),
)  # fmt: skip
MAGHREB = Culture(
    last=(
        ("", "", "Ben ", "El ", "Ben", "Aït ", "Bou", "Bel", "Ould "),
        ("Ham", "Khal", "Mans", "Rach", "Zer", "Tah", "Sal", "Nac", "Dj", "Ghar", "Chaf", "Lahl", "Mek", "Am", "Sef"),
        ("ani", "aoui", "idi", "ouri", "ane", "oud", "our", "if", "iri", "ouni", "ali", "ech", "ati", "imi"),
    ),
    first=(
        ("Am", "Has", "Kar", "Sam", "Nad", "Lat", "Rach", "Yous", "Sal", "Mer", "Hich", "Zin", "Fou"),
        ("ina", "im", "ir", "ia", "ifa", "id", "sef", "ma", "iem", "am", "eb", "ad", "ouane"),
    ),
    town=(
        ("Sidi ", "Aïn ", "Beni ", "El ", "Oued ", "Bir ", "Ksar ", "", ""),
        ("Ham", "Kal", "Mel", "Tar", "Zag", "Sef", "Bou", "Teb", "Rah", "Men"),
        ("oud", "ara", "ane", "our", "ala", "iffa", "ida", "zel", "rane", "ssa"),
    ),
    forms=(
        *SMALL, *CIVIL, *("Sté {made}", "STE {made} SARL", "{made} SARL AU", "S.A. {made}", "SUARL {made}"),
        *("SPA {made}", "Société {last}", "{made} Négoce", "Cabinet {last}", "Café {made}", "{made} Import Export"),
    ),
    homes=(*TOWNS["MAD"], *TOWNS["TND"], *TOWNS["DZD"]),
)  # fmt: skip
AFRICAN = Culture(
    last=(
        ("Di", "Ka", "Tra", "Sa", "Kou", "Ndi", "Mba", "Oué", "Ki", "Ko", "Fo", "Nda", "Zon", "Tou", "Sé", "Ba"),
        ("lla", "ba", "mba", "nga", "ssou", "di", "ko", "ra", "ta", "dou", "ma", "ya"),
        ("né", "o", "ré", "", "", "ko", "goh", "ssi", "té", "ngo"),
    ),
    first=(
        ("A", "Ma", "Fa", "Ous", "Se", "Kof", "Bou", "Aï", "Dja", "Mo", "Ya"),
        ("ma", "ssa", "fi", "ba", "dou", "ta", "mi", "né", "kou", "di"),
        ("", "", "ta", "ou", "ne"),
    ),
    town=(
        ("Ba", "Kou", "Sé", "Dia", "Ga", "Ti", "Lo", "Zi", "Nio", "Bo", "Ka"),
        ("ma", "ri", "la", "nga", "ssa", "gou", "no", "ba"),
        ("dougou", "koro", "bougou", "ville", "ko", "na", "ré", "kro", "la"),
    ),
    forms=(
        *SMALL, *CIVIL, *("GIE {made}", "Ets {last} & Frères", "{made} SA", "SAU {made}", "Société {made}"),
        *("{made} BTP", "Pharmacie {last}", "ONG {made}", "{made} Négoce", "Coop. {made}"),
    ),
    homes=tuple(TOWNS["XOF"]),
)  # fmt: skip
GERMAN = Culture(
    last=(
        (
            "Ober",
            "Nieder",
            "Berg",
            "Feld",
            "Stein",
            "Brun",
            "Zim",
            "Gru",
            "Stau",
            "Bach",
            "Kess",
            "Rie",
            "Schin",
            "Lüt",
        ),
        ("mann", "ler", "er", "acher", "egger", "inger", "li", "mer", "thaler", "wyler", "hofer"),
    ),
    first=(("Hans", "Rolf", "Ur", "Wer", "Kurt", "Ann", "Mar", "Bea", "Rue"), ("", "a", "s", "ner", "li", "ta", "di")),
    town=(
        ("Ober", "Wil", "Bruns", "Egg", "Rap", "Lauf", "Mün", "Wal", "Sig", "Die", "Bett", "Ess"),
        ("wil", "ikon", "ingen", "bach", "dorf", "ens", "berg", "au", "lach", "ange", "feld"),
    ),
    forms=(
        *SMALL,
        *("{made} AG", "{last} GmbH", "{made} Sàrl", "{made} SA", "{trade} {last} Sàrl", "Fondation {made}"),
    ),
    homes=(*TOWNS["CHF"], "Luxembourg", "Diekirch", "Berne", "Bâle"),
)
FLEMISH = Culture(
    last=(
        ("Van ", "Van den ", "De ", "Van der ", "Ver", "", ""),
        ("Bae", "Cool", "Dhon", "Goos", "Hae", "Jans", "Lam", "Mer", "Pee", "Wil", "Schep", "Bree"),
        ("ssens", "ck", "man", "straete", "t", "kens", "hout", "voort", "broeck", "mans"),
    ),
    first=(("Jo", "Pie", "Wou", "Lie", "An", "Els", "Ma", "Dir", "Koen"), ("ris", "ter", "ke", "n", "ve", "rten", "")),
    town=(
        ("Zot", "Was", "Ger", "Bor", "Lok", "Hee", "Wev", "Mar", "Sint-Jans"),
        ("gem", "beek", "hove", "zele", "ingen", "loo", "kerke", "broek"),
    ),
    forms=(
        *SMALL, *CIVIL, *("{made} SPRL", "SPRL {last}", "{made} SRL", "{made} BV", "{last} NV", "ASBL {made}"),
        *("{made} S.A.", "S.C.R.L. {made}", "Notaire {last}", "{trade} {last} S.C."),
    ),
    homes=("Bruxelles", "Liège", "Namur", "Mons", "Gand", "Anvers", "Charleroi", "Arlon", "Tournai", "Louvain"),
)  # fmt: skip
ITALIAN = Culture(
    last=(
        ("Bell", "Bern", "Cas", "Ferr", "Gal", "Lomb", "Mar", "Pell", "Ross", "Sant", "Tor", "Zan"),
        ("ini", "asconi", "oni", "elli", "etti", "ari", "aro", "otti", "azzi", "ucci"),
    ),
    first=(("Giul", "Mar", "Lu", "Fran", "Ele", "Pao"), ("ia", "io", "ca", "co", "na", "la", "lo")),
    town=(("Lu", "Men", "Bell", "Lo", "Chia", "Asc"), ("gano", "drisio", "inzona", "carno", "sso", "ona", "aggio")),
    forms=(*SMALL, *("{made} SA", "{last} Sagl", "Studio {last}", "Fratelli {last}")),
    homes=("Lugano", "Bellinzone", "Locarno", "Monaco", "Menton"),
)
WHO = {
    "Belgique": (FLEMISH, FRENCH),
    "Luxembourg": (GERMAN, FRENCH),
    "Monaco": (ITALIAN, FRENCH),
    "Suisse": (GERMAN, FRENCH, ITALIAN),
    "Maroc": (MAGHREB,),
    "Tunisie": (MAGHREB,),
    "Algérie": (MAGHREB,),
    "Zone UMOA": (AFRICAN, AFRICAN, MAGHREB),
    "Canada": (FRENCH,),
}
"""Who lives where; elsewhere most names are French."""
ABROAD = (FRENCH, FRENCH, FRENCH, FRENCH, FRENCH, MAGHREB, AFRICAN, GERMAN, FLEMISH, ITALIAN)


def culture(rng: random.Random, country: str) -> Culture:
    """Where a person of this country is from."""
    if country in WHO and rng.random() < 0.8:
        return rng.choice(WHO[country])
    return rng.choice(ABROAD)


def composed(rng: random.Random, parts: Parts) -> str:
    """A word of one part after the other, or one of French syllables where there are no parts."""
    if not parts:
        return made_up(rng)
    word = "".join(rng.choice(part) for part in parts)
    word = INNER.sub(lambda capital: capital.group().lower(), word)
    return word[0].upper() + word[1:]


def last_name(rng: random.Random, where: Culture) -> str:
    """A family name; one fifth of the French ones exist."""
    if where is FRENCH and rng.random() < 0.2:
        name: str = rng.choice(LISTS["last"])
        return name
    word = composed(rng, where.last)
    chance = rng.random()
    if where is FRENCH and chance < 0.16:
        return rng.choice(("Le ", "De ", "Du ", "De la ", "Des ", "D'")) + word
    return f"{word}-{composed(rng, where.last)}" if chance > 0.94 and len(word) < 9 else word


def first_name(rng: random.Random, where: Culture) -> str:
    """A first name; about a third exist."""
    if rng.random() < 0.35:
        name: str = rng.choice(LISTS["first"])
        return name
    name = composed(rng, where.first)
    return f"{name}-{composed(rng, where.first)}" if rng.random() < 0.08 else name


def person(rng: random.Random, country: str) -> str:
    """Somebody as one writes a name on a cheque."""
    where = culture(rng, country)
    first, last = first_name(rng, where), last_name(rng, where)
    if rng.random() < 0.2:
        last = last.upper()
    form = rng.choice(
        (
            *("{first} {last}", "{first} {last}", "{first} {last}", "{last} {first}", "M. {last}", "Mme {last}"),
            *("Mme {first} {last}", "M. {first} {last}", "M. et Mme {last}", "Mlle {last}", "{initial}. {last}"),
            *("Monsieur {last}", "Madame {last}", "Mr {first} {last}", "M. ou Mme {last}", "{last} {initial}."),
        )
    )
    return form.format(first=first, last=last, initial=first[0])


def firm(rng: random.Random, country: str) -> str:
    """A firm, an association or an authority."""
    where = culture(rng, country)
    parts = {"last": last_name(rng, where), "made": composed(rng, where.last).strip(), "trade": rng.choice(TRADES)}
    name = rng.choice(where.forms).format(**parts, town=town(rng, country))
    # French joins the article: `Mairie du Havre`, not `de Le Havre`.
    for full, short in ((" de Le ", " du "), (" de Les ", " des "), (" à Le ", " au ")):
        name = name.replace(full, short)
    if rng.random() < 0.05:
        initials = "".join(rng.choice("ABCDEFGILMNOPRSTUV") for _ in range(rng.randint(3, 5)))
        return initials if rng.random() < 0.5 else ".".join(initials) + "."
    return name.upper() if rng.random() < 0.1 else name


def payee(rng: random.Random, country: str) -> str:
    """Whom a cheque is made out to."""
    if rng.random() < 0.02:
        return rng.choice(("moi-même", "Moi-même", "nous-mêmes"))
    while True:
        name = firm(rng, country) if rng.random() < 0.45 else person(rng, country)
        if len(name) <= LONGEST_PAYEE:
            return name


def town(rng: random.Random, country: str) -> str:
    """Where somebody lives or writes a cheque: a fifth of the towns exist."""
    while True:
        where = culture(rng, country)
        name = rng.choice(where.homes) if rng.random() < 0.2 else french_town(rng) if not where.town else ""
        name = name or composed(rng, where.town)
        if len(name) <= LONGEST_TOWN:
            return name


def french_town(rng: random.Random) -> str:
    """A town in the manner of those of France."""
    word = made_up(rng)
    vowel = word[0] in "AEIOUÉÈÊHYÂÎÔ"
    form = rng.choice(
        (
            *("{word}", "{word}", "{word}", "{word}", "{word}", "{word}"),
            *("Saint-{saint}", "Saint-{saint}-de-{word}", "{word}-sur-{other}", "{word}-le-{other}", "Villers-{word}"),
            *("Château-{word}", "{word}-les-Bains", "Mont-{word}", "L'{word}" if vowel else "La {word}", "Le {word}"),
            *("Les {word}s", "{word} Cedex", "{word}-lès-{other}", "Bourg-{word}", "Port-{word}", "{word}-en-{other}"),
        )
    )
    return form.format(word=word, other=made_up(rng), saint=rng.choice(SAINTS))


def street(rng: random.Random) -> str:
    """A made-up street."""
    way = rng.choice(("rue", "avenue", "place", "impasse", "quai", "allée", "chemin", "bd", "route", "rue du Dr"))
    return f"{way} {made_up(rng)}" if rng.random() < 0.8 else f"{way} de {town(rng, 'France')}"


def bank(rng: random.Random, forms: tuple[str, ...]) -> str:
    """A bank that does not exist."""
    form, name = rng.choice(forms), made_up(rng)
    chance = rng.random()
    if chance < 0.2:
        name += f" & {made_up(rng)}"
    elif chance < 0.4 and form.startswith(("Banque ", "Crédit ", "Société ", "Caisse ", "Comptoir ", "Union ")):
        name = rng.choice(("du Val ", "des Monts ", "de la Baie ", "du Pays ")) + name
    title = form.format(name)
    return title.upper() if rng.random() < 0.2 else title


def owner(rng: random.Random, country: str) -> tuple[str, str, str]:
    """The account owner's printed lines: name, street, postcode and town. None of it exists."""
    name = firm(rng, country) if rng.random() < 0.25 else person(rng, country)
    digits = 5 if country in ("France", "Maroc", "Algérie", "Monaco") else 4
    return (
        name.upper(),
        f"{rng.randint(1, 190)} {street(rng)}",
        f"{rng.randrange(10**digits):0{digits}d} {town(rng, country)}",
    )
