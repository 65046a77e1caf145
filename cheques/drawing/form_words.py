"""What forms print beside their fields, by language, and the countries whose forms are drawn.

Only what the printed fonts have: no Arabic, which half of a Maghreb form is printed in.
"""

from __future__ import annotations

from dataclasses import dataclass

Words = dict[str, tuple[str, ...]]

FRENCH: Words = {
    "words": (
        "Payez contre ce chèque",
        "Payez contre ce chèque non endossable",
        "Payez contre ce chèque la somme de",
        "Payez contre ce chèque non endossable sauf au profit d'une banque ou d'un organisme assimilé",
        "Veuillez payer contre ce chèque",
        "Veuillez payer la somme de",
        "Somme en toutes lettres",
        "Montant en toutes lettres",
        "Montant en lettres",
        "La somme de",
        "PAYEZ CONTRE CE CHÈQUE",
    ),
    "payee": ("à l'ordre de", "À l'ordre de", "À", "à", "Ordre", "Bénéficiaire", "Payez à l'ordre de", "Au profit de"),
    "place": ("à", "À", "A", "Fait à", "Lieu", "Lieu d'émission"),
    "date": ("le", "Le", "LE", "Date", "Date d'émission", "Le (jj/mm/aaaa)"),
    "signature": (
        "Signature",
        "Signature(s)",
        "Signature du tireur",
        "Signature du titulaire",
        "SIGNATURE",
        "Visa",
        "",
    ),
    "box": ("", "", "", "B.P.", "Montant", "Montant en chiffres", "Somme"),
    "payable": ("Payable en {country}", "Payable à vue", "Chèque payable en {country}", "Compensable à {town}"),
    "number": ("Chèque n° {0}", "N° {0}", "Chq {0}", "Série A n° {0}", "n° {0}"),
    "account": ("Compte {0}", "Compte n° {0}", "RIB {0}", "Cpte {0}"),
    "bank": ("Banque {0}", "Crédit {0}", "Société {0}", "Caisse {0}", "Comptoir {0}", "Union {0}", "{0} Banque"),
}
ENGLISH: Words = {
    "words": ("The sum of", "Pay", "Amount in words", "Pay against this cheque"),
    "payee": ("Pay to the order of", "To the order of", "Payee"),
    "place": ("At", "Place"),
    "date": ("Date", "On"),
    "signature": ("Signature", "Authorised signature", ""),
    "box": ("", "Amount", ""),
    "payable": ("Payable in {country}",),
    "number": ("Cheque no. {0}", "No. {0}"),
    "account": ("Account {0}",),
    "bank": ("{0} Bank", "Bank of {0}"),
}
GERMAN: Words = {
    "words": ("Zahlen Sie gegen diesen Check", "Betrag in Worten", "Die Summe von"),
    "payee": ("an", "an die Order von", "Zugunsten von"),
    "place": ("Ort", "in"),
    "date": ("Datum", "den"),
    "signature": ("Unterschrift", ""),
    "box": ("Betrag", ""),
    "payable": ("Zahlbar in {town}",),
    "number": ("Check Nr. {0}", "Nr. {0}"),
    "account": ("Konto {0}",),
    "bank": ("Bank {0}", "{0}er Kantonalbank"),
}
FLEMISH: Words = {
    "words": ("Betaal tegen deze cheque", "Bedrag voluit", "De som van"),
    "payee": ("aan", "aan de order van", "Begunstigde"),
    "place": ("te", "Plaats"),
    "date": ("Datum", "op"),
    "signature": ("Handtekening", ""),
    "box": ("Bedrag", ""),
    "payable": ("Betaalbaar te {town}",),
    "number": ("Cheque nr. {0}",),
    "account": ("Rekening {0}",),
    "bank": ("Bank {0}", "Kas {0}"),
}
ITALIAN: Words = {
    "words": ("Pagate contro questo assegno", "Importo in lettere", "La somma di"),
    "payee": ("a", "all'ordine di", "Beneficiario"),
    "place": ("Luogo", "a"),
    "date": ("Data", "il"),
    "signature": ("Firma", ""),
    "box": ("Importo", ""),
    "payable": ("Pagabile a {town}",),
    "number": ("Assegno n. {0}",),
    "account": ("Conto {0}",),
    "bank": ("Banca {0}", "Cassa {0}"),
}


@dataclass(frozen=True)
class Country:
    """Where a form is from. `second` are the languages that may stand beside its French."""

    name: str
    currency: str
    share: float
    """How many of a hundred layouts."""
    signs: tuple[str, ...]
    """How its forms print the currency, if they do."""
    second: tuple[Words, ...] = ()
    bilingual: float = 0.0
    """Share of its layouts in two languages."""


EURO = ("€", "€", "€", "EUR", "Euros", "EUROS")
COUNTRIES = (
    Country("France", "EUR", 56, EURO, (ENGLISH,), 0.06),
    Country("Belgique", "EUR", 8, EURO, (FLEMISH, FLEMISH, GERMAN), 0.75),
    Country("Luxembourg", "EUR", 4, EURO, (GERMAN, ENGLISH), 0.5),
    Country("Monaco", "EUR", 2, EURO, (ENGLISH, ITALIAN), 0.2),
    Country("Suisse", "CHF", 8, ("CHF", "Fr.", "SFr."), (GERMAN, GERMAN, ITALIAN), 0.7),
    Country("Maroc", "MAD", 6, ("DH", "MAD", "Dhs", "B.P.DH"), (ENGLISH,), 0.1),
    Country("Tunisie", "TND", 5, ("DT", "TND", "B.P.DT"), (ENGLISH,), 0.1),
    Country("Zone UMOA", "XOF", 6, ("F CFA", "FCFA", "XOF", "B.P.F. CFA"), (ENGLISH,), 0.1),
    Country("Algérie", "DZD", 2, ("DA", "DZD", "B.P.DA"), (ENGLISH,), 0.1),
    Country("Canada", "CAD", 1.5, ("$ CAN", "CAD"), (ENGLISH,), 0.9),
    Country("France (devises)", "USD", 0.8, ("USD", "$"), (ENGLISH,), 0.5),
    Country("France (devises)", "GBP", 0.7, ("GBP", "£"), (ENGLISH,), 0.5),
)
