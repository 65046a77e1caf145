"""A labeling configuration -> the form, and one line for each that cannot be served."""

from __future__ import annotations

import pytest

from cheques.fields import CHEQUE, Field
from studio.config import DEFAULT_CONFIG, BadConfig, kind_of_name, read_config

IMAGE = '<Image name="image" value="$image"/>'


def view(*controls: str, image: str = IMAGE) -> str:
    return f"<View>{image}{''.join(controls)}</View>"


def test_the_default_configuration_is_the_cheque_form() -> None:
    config = read_config(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    assert config.form == CHEQUE
    assert (config.image_key, config.image_tag) == ("image", "image")
    assert not config.left and not config.doubts and not config.no_unknown


def test_an_invoice_is_a_form_too() -> None:
    config = read_config(
        view(
            '<Header value="Fournisseur"/><TextArea name="fournisseur" toName="scan"/>',
            '<TextArea name="total_ttc" toName="scan"/>',
            '<TextArea name="echeance" toName="scan" kind="date"/>',
            '<Choices name="payee" toName="scan"><Choice value="oui"/><Choice value="non"/></Choices>',
            image='<Image name="scan" value="$facture"/>',
        )
    )
    assert config.image_key == "facture"
    assert config.image_tag == "scan"
    assert config.form.fields == (
        Field("fournisseur", "text", "Fournisseur"),
        Field("total_ttc", "amount"),
        Field("echeance", "date"),
        Field("payee", "choice", choices=("oui", "non")),
    )
    assert config.no_unknown == {"payee"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("montant_numerique", "amount"),
        ("montant_lettres", "words"),
        ("montant_ttc", "amount"),
        ("Total", "amount"),
        ("date", "date"),
        ("date_echeance", "date"),
        ("mandataire", "text"),
        ("lieu", "text"),
        *(
            (name, "words")
            for name in ("amount_words", "LegalAmount", "amount_in_words", "montant en lettres", "legal_amount")
        ),
        *((name, "words") for name in ("Montant (en toutes lettres)", "amountInWords", "importe_en_letras")),
        *((name, "words") for name in ("Betrag in Worten", "LegalAmount", "cantidad en letras", "Amount in words")),
        *((name, "amount") for name in ("courtesy_amount", "Somme", "importe", "Betrag", "net_amount", "montantTTC")),
        *((name, "amount") for name in ("total_general", "Summe", "monto", "montant_en_chiffres", "numeric_amount")),
        *((name, "date") for name in ("fecha", "Datum", "due_date", "Date d'émission", "échéance", "dateEcheance")),
        *((name, "date") for name in ("Fälligkeit", "fecha_de_emision", "cheque date", "invoice-date")),
        *((name, "text") for name in ("payee", "beneficiario", "Empfänger", "place", "lugar", "Ort", "lieu_et_date")),
        *((name, "text") for name in ("currency", "devise_du_montant", "amount_currency", "updated", "legal_name", "")),
    ],
)
def test_a_name_says_the_kind(name: str, kind: str) -> None:
    assert kind_of_name(name) == kind


def test_the_attribute_goes_before_the_name() -> None:
    assert read_config(view('<TextArea name="date" toName="image" kind="text"/>')).form["date"].kind == "text"


def test_an_alias_is_what_is_stored() -> None:
    xml = view('<Choices name="c" toName="image"><Choice value="Oui, signée" alias="oui"/></Choices>')
    assert read_config(xml).form["c"].choices == ("oui",)


def test_other_controls_are_left_alone_and_named() -> None:
    config = read_config(
        view(
            '<TextArea name="lieu" toName="image"/>',
            '<RectangleLabels name="zones" toName="image"><Label value="tampon"/></RectangleLabels>',
            '<Choices name="defauts" toName="image" choice="multiple"><Choice value="plié"/></Choices>',
            '<TextArea name="lu" toName="image" perRegion="true"/>',
        )
    )
    assert config.form.names == ("lieu",)
    assert tuple(map(str, config.left)) == ("zones (RectangleLabels)", "defauts (Choices)", "lu (TextArea)")


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("nothing", "not valid XML"),
        ("<View/>", "no Image"),
        ('<View><Text name="t" value="$t"/><TextArea name="lieu" toName="t"/></View>', "no Image"),
        (view(), "no TextArea or single Choices"),
        (view('<Rating name="r" toName="image"/>'), r"r \(Rating\) cannot be read"),
        (view('<TextArea name="a" toName="image" kind="montant"/>'), "kind 'montant'; it may be amount, words"),
        (view('<Choices name="c" toName="image"><Choice value="?"/></Choices>'), "Choices c has no Choice"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(xml: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said) as caught:
        read_config(xml)
    assert "\n" not in str(caught.value)
