"""A labeling configuration -> the form, and one line for each that cannot be served."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

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


def served(xml: str) -> list[tuple[str, str]]:
    return [(field.name, field.kind) for field in read_config(xml).form]


def test_numbers_and_days_are_fields_of_their_own() -> None:
    config = read_config(
        view(
            '<Number name="total_ttc" toName="image"/><Number name="articles" toName="image"/>',
            '<DateTime name="emis" toName="image" only="date"/>',
            '<DateTime name="paye" toName="image" only="date" format="%d/%m/%Y"/>',
        )
    )
    assert [(field.name, field.kind) for field in config.form] == [
        ("total_ttc", "amount"),
        ("articles", "number"),
        ("emis", "date"),
        ("paye", "date"),
    ]
    assert config.numbers == {"total_ttc", "articles"}
    assert config.dates == {"emis": "%Y-%m-%d", "paye": "%d/%m/%Y"}
    assert config.no_unknown == set(config.form.names)


@pytest.mark.parametrize(
    ("control", "why"),
    [
        ('<Rectangle name="x" toName="image"/>', "regions on the image are not read; people draw them"),
        ('<OcrLabels name="x" toName="image"><Label value="a"/></OcrLabels>', "regions on the image"),
        ('<TextArea name="x" toName="image" perRegion="true"/>', "regions that people draw; take perRegion away"),
        ('<Number name="x" toName="image" perItem="true"/>', "a value for each page; take perItem away"),
        ('<Choices name="x" toName="image" choice="multiple"><Choice value="a"/></Choices>', "several choices at once"),
        ('<Choices name="x" toName="image" value="$options"/>', "its choices come from each task"),
        ('<Choices name="x" toName="image"><Choice value="$a"/></Choices>', "its choices come from each task"),
        (
            '<Choices name="x" toName="image"><Choice value="a"><Choice value="b"/></Choice></Choices>',
            "choices within choices",
        ),
        ('<DateTime name="x" toName="image"/>', 'more or less than a day; write only="date"'),
        ('<DateTime name="x" toName="image" only="month,year"/>', "more or less than a day"),
        ('<DateTime name="x" toName="image" only="date" format="%m/%d/%Y"/>', "'%m/%d/%Y' is not understood"),
        ('<Rating name="x" toName="image"/>', "a rating is a judgement"),
        ('<Taxonomy name="x" toName="image"><Choice value="a"/></Taxonomy>', "a Taxonomy is nothing that is read"),
        ('<Text name="t" value="$t"/><TextArea name="x" toName="t"/>', "it is about t, and image is read"),
        ('<Image name="verso" value="$v"/><TextArea name="x" toName="verso"/>', "it is about verso, and image is read"),
        ('<TextArea name="x" toName="image" kind="montant"/>', "kind 'montant'; it may be amount, words"),
    ],
)
def test_a_control_that_cannot_be_served_says_why_and_the_rest_works(control: str, why: str) -> None:
    config = read_config(view('<TextArea name="lieu" toName="image"/>', control))
    (left,) = config.left
    assert (config.form.names, left.name) == (("lieu",), "x")
    assert why in left.why and "; " in left.why
    assert config.knows("x") and not config.knows("y")


@pytest.mark.parametrize(
    ("image", "data", "url"),
    [
        ('value="$image"', {"image": "/c.png"}, "/c.png"),
        ('value="$image"', {"image": ["/1.png", "/2.png"]}, "/1.png"),
        ('value="$image"', {"image": 5}, ""),
        ('value="$cheque.url"', {"cheque": {"url": "/c.png"}}, "/c.png"),
        ('value="$cheque.url"', {"cheque.url": "/c.png"}, "/c.png"),
        ('value="$cheque.url"', {"cheque": "/c.png"}, ""),
        ('value="$pages[1].url"', {"pages": [{"url": "/1.png"}, {"url": "/2.png"}]}, "/2.png"),
        ('value="$pages[1].url"', {"pages": [{"url": "/1.png"}]}, ""),
        ('valueList="$pages"', {"pages": ["/1.png", "/2.png"]}, "/1.png"),
        ('valueList="$pages" page="2"', {"pages": ["/1.png", "/2.png"]}, "/2.png"),
        ('valueList="$pages" page="2"', {"pages": ["/1.png"]}, ""),
        ('value="/data/local-files/?d=$file"', {"file": "c.png"}, "/data/local-files/?d=c.png"),
        ('value="/data/local-files/?d=$file"', {}, ""),
    ],
)
def test_the_image_is_found_where_label_studio_finds_it(image: str, data: dict[str, Any], url: str) -> None:
    config = read_config(view('<TextArea name="lieu" toName="image"/>', image=f'<Image name="image" {image}/>'))
    assert config.image_of(data) == url
    if url:
        assert config.image_of(config.data_of(url)) == url


def test_of_several_pages_the_first_is_read_or_the_chosen_one() -> None:
    repeater = (
        '<View><Repeater on="$pages" indexFlag="{{n}}"{}><Image name="p_{{n}}" value="$pages[{{n}}].url"/>'
        '<TextArea name="lieu_{{n}}" toName="p_{{n}}" maxSubmissions="1" editable="true"/></Repeater></View>'
    )
    first, second = (read_config(repeater.replace("{}", page)) for page in ("", ' page="2"'))
    assert (first.form.names, first.image_tag, first.image_key) == (("lieu_0",), "p_0", "pages[0].url")
    assert (second.form.names, second.image_tag, second.image_key) == (("lieu_1",), "p_1", "pages[1].url")
    assert first.knows("lieu_7") and not first.knows("date_7")
    assert first.doubts == (
        'p_0 (Image) shows several pages, of which page 1 is read; write page="2" on the Repeater for the second',
    )
    with pytest.raises(BadConfig, match='page="last" is no page; write page="1"'):
        read_config(repeater.replace("{}", ' page="last"'))
    inner = '<Repeater on="$lines" indexFlag="{{m}}"><TextArea name="a_{{n}}_{{m}}" toName="p_{{n}}"/></Repeater>'
    nested = read_config(repeater.replace("</Repeater>", f"{inner}</Repeater>").replace("{}", ""))
    assert nested.knows("a_0_1") and nested.knows("a_7_12") and not nested.knows("a_0_x")


def test_of_several_images_that_with_the_fields_is_read_or_the_chosen_one() -> None:
    xml = (
        '<View><Image name="verso" value="$v"/><Image name="recto" value="$r"{}/>'
        '<TextArea name="endos" toName="verso" maxSubmissions="1" editable="true"/>'
        '<TextArea name="lieu" toName="recto" maxSubmissions="1" editable="true"/></View>'
    )
    first, chosen = (read_config(xml.replace("{}", read)) for read in ("", ' read="true"'))
    assert (first.image_tag, first.form.names) == ("verso", ("endos",))
    assert (chosen.image_tag, chosen.form.names) == ("recto", ("lieu",))
    assert chosen.doubts == ('verso (Image): not read, recto is; write read="true" on the Image that is to be read',)


@pytest.mark.parametrize(
    ("control", "doubt"),
    [
        (
            '<TextArea name="lieu" toName="image"/>',
            "lieu: people can add a second text, and the label is then left out",
        ),
        ('<TextArea name="lieu" toName="image" maxSubmissions="2"/>', "people can add a second text"),
        ('<TextArea name="lieu" toName="image" maxSubmissions="1"/>', "cannot be corrected, only deleted"),
        (
            '<TextArea name="lieu" toName="image" maxSubmissions="1" editable="true" value="$ocr"/>',
            "lieu shows '$ocr' before anything is read, on blind cheques too; take value away",
        ),
        ('<Number name="total" toName="image" defaultValue="7"/>', "total shows '7' before anything is read"),
        (
            '<View visibleWhen="choice-selected"><DateTime name="date" toName="image" only="date"/></View>',
            "date: shown at times only, and learned as empty whenever it is not; show it always",
        ),
    ],
)
def test_what_will_not_work_as_one_thinks_is_said(control: str, doubt: str) -> None:
    (said,) = read_config(view(control)).doubts
    assert doubt in said and "; " in said


def test_a_prolog_may_name_an_encoding() -> None:
    xml = '<?xml version="1.0" encoding="ISO-8859-1"?>' + view('<TextArea name="lieu" toName="image"/>')
    assert served(xml) == served("\ufeff" + xml) == [("lieu", "text")]


def test_a_pdf_is_read_like_an_image() -> None:
    xml = view('<TextArea name="lieu" toName="image"/>', image='<Pdf name="image" value="$pdf"/>')
    assert read_config(xml).image_of({"pdf": "/c.pdf"}) == "/c.pdf"


@pytest.mark.parametrize("count", [200, 10_000])
def test_of_a_form_of_many_fields_the_first_are_read(count: int) -> None:
    config = read_config(view(*(f'<TextArea name="f{n}" toName="image"/>' for n in range(count))))
    assert config.form.names == tuple(f"f{n}" for n in range(40))
    assert len({left.why for left in config.left}) == 1 and "at most 40 fields are read" in config.left[0].why


def test_a_choices_of_thousands_leaves_room_for_the_others() -> None:
    many = "".join(f'<Choice value="pays {n}"/>' for n in range(5000))
    xml = view(f'<Choices name="pays" toName="image">{many}</Choices>', '<TextArea name="lieu" toName="image"/>')
    assert served(xml) == [("lieu", "text")]


BOMB = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (f'<!DOCTYPE View [<!ENTITY a "lol">{BOMB}]><View>&j;</View>', "it has a DOCTYPE, which Label Studio refuses"),
        ('<!DOCTYPE View SYSTEM "file:///etc/passwd"><View/>', "it has a DOCTYPE"),
        (view(f"<!--{'x' * 10_000_000}-->"), "10,000,056 letters, at most 500,000 are read; shorten it"),
        ("<View>" * 20_000 + "</View>" * 20_000, "more than 100 deep"),
        ("<View a='\ud800'/>", "not valid XML"),
    ],
)
def test_a_bomb_is_one_line(xml: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said) as caught:
        read_config(xml)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("nothing", "not valid XML"),
        ("<View/>", "no Image"),
        ('<View><Text name="t" value="$t"/><TextArea name="lieu" toName="t"/></View>', "no Image"),
        ('<View><Image name="i" value="http://x/c.png"/><TextArea name="lieu" toName="i"/></View>', "no Image"),
        ('<View><Text name="t" value="$t"/></View>', r"t \(Text\) cannot be read, and there is no Image; add"),
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
