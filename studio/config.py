"""A labeling configuration of Label Studio -> the Form that it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from cheques.fields import UNREADABLE, Field, Form, Kind
from cheques.values import one_line, plain

HINT = "verifier"  # the key of task data that names the doubtful fields
DEFAULT_CONFIG = Path(__file__).with_name("labeling_config.xml")

# The words of a name that say a field's kind, the first kind that fits: an amount in words names an amount as well.
NAMED: dict[Kind, str] = {
    "words": "lettres words letras worten buchstaben legalamount",
    "date": "date fecha datum echeance vencimiento falligkeit",
    "amount": "montant amount total somme sum courtesy importe monto cantidad betrag summe",
}
# What these name has more to say than its kind, or is something else: the currency of an amount, a place with a date.
NOT_NAMED = "devise currency moneda divisa wahrung lieu ville place city lugar ort"


class BadConfig(ValueError):
    """A labeling configuration that cannot be served: one line, what is missing and what to do."""


@dataclass(frozen=True)
class Config:
    """What a labeling configuration asks for.

    image_key: the key of task data that holds the image's URL. image_tag: the Image's name, to which regions point.
    ignored: controls that are neither filled nor learned (boxes, ratings, several choices at once, …).
    no_unknown: choice fields that offer no "?", so that an unreadable one cannot be written down.
    hints: it has a place for what the annotator should look at, <Header value="$verifier"/>.
    """

    form: Form
    image_key: str
    image_tag: str
    ignored: tuple[str, ...] = ()
    no_unknown: frozenset[str] = frozenset()
    hints: bool = False


@cache
def read_config(xml: str) -> Config:
    """The form that a labeling configuration asks for: its Image, and every TextArea and Choices that points to it.

    The kind of a TextArea is its attribute `kind`, else what its name says, else text. Raises BadConfig.
    """
    from label_studio_sdk.label_interface import LabelInterface

    try:
        parsed = LabelInterface(xml)
        controls, objects, tree = list(parsed.controls), list(parsed.objects), parsed._tree
    except Exception as error:  # lxml, KeyError, pydantic, …: the sdk raises whatever its parser does
        reason = one_line(str(error))[:120]
        raise BadConfig(f"labeling configuration: not valid XML of Label Studio ({reason}); correct it") from None
    images = {o.name: o for o in objects if o.tag == "Image" and _is_one_image(o)}
    if not images:
        raise BadConfig('labeling configuration: no Image; add <Image name="image" value="$image"/>')
    titles = _titles(tree)
    fields: list[Field] = []
    ignored: list[str] = []
    image = next((name for c in controls for name in c.to_name if name in images and _is_field(c)), "")
    for control in controls:
        if image not in control.to_name or not _is_field(control):
            ignored.append(f"{control.name} ({control.tag})")
        else:
            fields.append(_field(control, titles.get(control.name, "")))
    if not fields:
        seen = f"; {', '.join(ignored)} cannot be read" if ignored else ""
        raise BadConfig(f"labeling configuration: no TextArea or single Choices points to the Image{seen}; add one")
    no_unknown = {c.name for c in controls if c.tag == "Choices" and UNREADABLE not in _choices(c)}
    try:
        form = Form(tuple(fields))
    except ValueError as error:
        raise BadConfig(f"labeling configuration: {error}") from None
    hints = any(tag.attrib.get("value") == f"${HINT}" for tag in tree.iter())
    return Config(form, images[image].value_name, image, tuple(ignored), frozenset(no_unknown & set(form.names)), hints)


def _is_one_image(tag: Any) -> bool:
    return not tag.is_image_list and re.fullmatch(r"\w[\w.]*", tag.value_name or "") is not None


def _is_field(control: Any) -> bool:
    if control.attr.get("perRegion") == "true":
        return False
    return bool(control.tag == "TextArea" or (control.tag == "Choices" and control.attr.get("choice") != "multiple"))


def _field(control: Any, title: str) -> Field:
    if control.tag == "Choices":
        choices = tuple(choice for choice in _choices(control) if choice != UNREADABLE)
        if not choices:
            raise BadConfig(f"labeling configuration: Choices {control.name} has no Choice; add some")
        return Field(control.name, "choice", title, choices)
    kinds = [kind for kind in get_args(Kind) if kind != "choice"]
    kind = control.attr.get("kind") or kind_of_name(control.name)
    if kind not in kinds:
        raise BadConfig(f"labeling configuration: {control.name} has kind {kind!r}; it may be {', '.join(kinds)}")
    return Field(control.name, kind, title)


def _choices(control: Any) -> list[str]:
    return [str(choice) for choice in control.labels or ()]


def kind_of_name(name: str) -> Kind:
    """What a field's name says about its kind: `date_echeance` is a date, `montant_ttc` an amount; else text."""
    bare = plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    said = set(re.findall(r"[a-z]+", re.sub(r"legal[\W_]*amount", "legalamount", bare)))
    if said & set(NOT_NAMED.split()):
        return "text"
    return next((kind for kind, words in NAMED.items() if said & set(words.split())), "text")


def _titles(tree: Any) -> dict[str, str]:
    """Each control's title: the Header that stands before it, as the annotator sees it."""
    titles, header = {}, ""
    for tag in tree.iter():
        if tag.tag == "Header" and not tag.attrib.get("value", "").startswith("$"):
            header = tag.attrib.get("value", "")
        elif tag.attrib.get("toName"):
            titles[tag.attrib.get("name", "")], header = header, ""
    return titles
