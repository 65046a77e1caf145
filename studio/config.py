"""A labeling configuration of Label Studio -> the Form that it asks for, and what of it is left to people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from cheques.fields import UNREADABLE, Field, Form, Kind
from cheques.values import canonical_or_text, plain
from studio.tags import VARIABLE, BadConfig, Tag, data_of, numbered, page_of, read_tags, value_of

__all__ = ["BadConfig", "Config", "Left", "by_reason", "kind_of_name", "read_config"]

HINT = "verifier"  # the key of task data that names the doubtful fields
LABELLED_AT = "labelled_at"  # the key that says when an imported label was made
DEFAULT_CONFIG = Path(__file__).with_name("labeling_config.xml")

# The words of a name that say a field's kind, the first kind that fits: an amount in words names an amount as well.
NAMED: dict[Kind, str] = {
    "words": "lettres words letras worten buchstaben legalamount",
    "date": "date fecha datum echeance vencimiento falligkeit",
    "amount": "montant amount total somme sum courtesy importe monto cantidad betrag summe",
}
# What these name has more to say than its kind, or is something else: the currency of an amount, a place with a date.
NOT_NAMED = "devise currency moneda divisa wahrung lieu ville place city lugar ort"

DRAWN = ("Rectangle", "Polygon", "Ellipse", "KeyPoint", "Brush", "Bitmask", "Vector", "MagicWand", "VideoRectangle")

MOST_FIELDS = 40  # two hundred took a small reader seven minutes a cheque
MOST_LETTERS = 4000  # of names and choices: all of them stand in the question


@dataclass(frozen=True)
class Left:
    """A control that is left to people. why: the reason and, after the last "; ", what to do about it."""

    name: str
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True)
class Config:
    """What a labeling configuration asks for.

    image_key: where task data holds the image's URL: "image", "cheque.url", or text with a "$variable" in it.
    image_tag: the name of the Image that is read, to which regions point.
    page: which one of a list of images is read, from 1.
    numbers: the fields that are Number controls. dates: those that are DateTime controls, each with the format in
    which it stores a day. no_unknown: fields that hold no "?", so that an unreadable one cannot be written down.
    several: fields to which people may add a second text, so that nobody knows which one is meant.
    left: the controls that are left to people. repeated: regular expressions of the names that Repeaters make, page by
    page. doubts: what will not work as one might think, each "what; what to do about it".
    hints: it has a place for what the annotator should look at, <Header value="$verifier"/>.
    """

    form: Form
    image_key: str
    image_tag: str
    page: int = 1
    numbers: frozenset[str] = frozenset()
    dates: Mapping[str, str] = field(default_factory=dict)
    no_unknown: frozenset[str] = frozenset()
    several: frozenset[str] = frozenset()
    left: tuple[Left, ...] = ()
    repeated: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()
    hints: bool = False

    def image_of(self, data: Mapping[str, Any]) -> str:
        """The URL of a task's image; empty where its data holds none."""
        found = value_of(self._expression, data)
        if isinstance(found, list):
            found = found[self.page - 1] if len(found) >= self.page else ""
        return found if isinstance(found, str) else ""

    def data_of(self, url: str) -> dict[str, Any]:
        """The data of a task with this image, of the shape that Label Studio's import asks for."""
        return data_of(self._expression, url if self.page == 1 else [""] * (self.page - 1) + [url])

    @property
    def _expression(self) -> str:
        return self.image_key if "$" in self.image_key else f"${self.image_key}"

    def knows(self, name: str) -> bool:
        """Is it a control of the configuration, even one that is left to people?"""
        if name in self.form.names or any(name == one.name for one in self.left):
            return True
        return any(re.fullmatch(pattern, name) for pattern in self.repeated)


@lru_cache(maxsize=64)
def read_config(xml: str) -> Config:
    """The form that a labeling configuration asks for: an Image, and the controls that point to it and can be read.

    Those are TextArea, Number, DateTime and Choices; all others are left to people. The kind of a TextArea is its
    attribute `kind`, else what its name says, else text. Of several Images that with read="true" is read, else the
    first that a field points to; of several pages the first, or that of the attribute `page`. Raises BadConfig.
    """
    tags = read_tags(xml)
    objects = {tag.name: tag for tag in tags if tag.name and not tag.points_to and tag.source}
    images = {
        name: tag
        for name, tag in objects.items()
        if tag.kind in ("Image", "Pdf")
        # A list of pages is one variable; the URL of one image may have text around it.
        and (VARIABLE.fullmatch(tag.source) if tag.get("valuelist") else len(VARIABLE.findall(tag.source)) == 1)
    }
    if not images:
        shown = f"{listed(objects.values())} cannot be read, and there is " if objects else ""
        raise BadConfig(f'labeling configuration: {shown}no Image; add <Image name="image" value="$image"/>')
    controls = [(tag, field_of(tag)) for tag in tags if tag.name and tag.points_to and tag.kind != "Filter"]
    chosen = [name for name, tag in images.items() if tag.get("read") == "true"]
    asked = [name for tag, one in controls if isinstance(one, Field) for name in tag.points_to if name in images]
    image = images[next(iter([*chosen, *asked, *images]))]

    read: list[tuple[Tag, Field]] = []
    left: list[Left] = []
    room = MOST_LETTERS
    for tag, one in controls:
        if isinstance(one, Field) and image.name not in tag.points_to:
            one = f"it is about {' and '.join(tag.points_to)}, and {image.name} is read; let it point to {image.name}"
        if isinstance(one, Field):
            letters = len(f"{one.name} {'/'.join(one.choices)}")
            if len(read) == MOST_FIELDS or letters > room:
                most = f"{MOST_FIELDS} fields are read, of {MOST_LETTERS:,} letters of names and choices in all"
                one = f"at most {most}; move up what matters most, or shorten it"
        if isinstance(one, Field):
            read.append((tag, one))
            room -= letters
        else:
            left.append(Left(tag.name, tag.kind, one))
    if not read:
        seen = "".join(f"; {names} cannot be read: {why}" for names, why in by_reason(left)[:3])
        raise BadConfig(f"labeling configuration: no TextArea or single Choices points to the Image{seen}; add one")
    try:
        form = Form(tuple(one for _, one in read))
    except ValueError as error:
        raise BadConfig(f"labeling configuration: {error}") from None
    fields = [tag for tag, _ in read]
    return Config(
        form,
        image.source[1:] if VARIABLE.fullmatch(image.source) else image.source,
        image.name,
        page_of(image),
        numbers=frozenset(tag.name for tag in fields if tag.kind == "Number"),
        dates={tag.name: tag.day_format for tag in fields if tag.kind == "DateTime"},
        no_unknown=frozenset(tag.name for tag in fields if tag.kind != "TextArea" and UNREADABLE not in tag.choices),
        several=frozenset(tag.name for tag in fields if tag.kind == "TextArea" and tag.get("maxsubmissions") != "1"),
        left=tuple(left),
        repeated=frozenset(
            numbered(re.escape(tag.written), tuple((re.escape(flag), r"\d+") for flag, _ in tag.numbers))
            for tag, _ in controls
            if tag.numbers
        ),
        doubts=tuple(doubts_of(fields, image, list(images.values()))),
        hints=any(tag.get("value") == f"${HINT}" for tag in tags),
    )


def field_of(tag: Tag) -> Field | str:
    """The field that a control asks for, or why it is left to people and what to do about it."""
    if tag.get("perregion") == "true":
        return "it belongs to regions that people draw; take perRegion away where it is about the whole image"
    if tag.get("peritem") == "true":
        return "it has a value for each page; take perItem away where it is about the document"
    asked: str = tag.get("kind") or kind_of_name(tag.name)
    kinds = [kind for kind in get_args(Kind) if kind != "choice"]
    match tag.kind:
        case "TextArea":
            if asked not in kinds:
                return f"it has kind {asked[:40]!r}; it may be {', '.join(kinds)}"
            return Field(tag.name, asked, tag.title)  # type: ignore[arg-type]
        case "Number":
            return Field(tag.name, "amount" if asked == "amount" else "number", tag.title)
        case "DateTime":
            day = Field(tag.name, "date", tag.title)
            probe = date(2024, 5, 3)  # on which day and month can be mixed up
            if tag.get("only") != "date":
                return 'it asks for more or less than a day; write only="date"'
            if canonical_or_text(day, probe.strftime(tag.day_format)) != probe.isoformat():
                return f"a day in its format {tag.get('format')[:40]!r} is not understood; take the format away"
            return day
        case "Choices":
            if tag.get("choice") == "multiple":
                return 'several choices at once are not read; make it one Choices for each, or choice="single"'
            if tag.get("allownested") == "true" or tag.nested:
                return "choices within choices are not read; list them side by side"
            if tag.get("value") or any(choice.startswith("$") for choice in tag.choices):
                return "its choices come from each task; write them into the form if they are always the same"
            stored = dict.fromkeys(choice for choice in tag.choices if choice not in ("", UNREADABLE))
            if not stored:
                return f"Choices {tag.name} has no Choice; add some"
            return Field(tag.name, "choice", tag.title, tuple(stored))
        case "Rating":
            return "a rating is a judgement, nothing that is written there; people give it"
    if tag.kind.endswith("Labels") or tag.kind in DRAWN:
        return "regions on the image are not read; people draw them"
    return f"a {tag.kind} is nothing that is read; ask with a TextArea or Choices what should be"


def doubts_of(fields: list[Tag], image: Tag, images: list[Tag]) -> Iterable[str]:
    """What will not work as one might think, each "what; what to do about it"."""
    if image.numbers or image.get("valuelist"):
        where = "the Repeater" if image.numbers else image.name
        page = int(image.numbers[0][1]) + 1 if image.numbers else page_of(image)
        yield f'{image} shows several pages, of which page {page} is read; write page="2" on {where} for the second'
    others = [one for one in images if one is not image]
    if others:
        what = f"{listed(others)}: not read, {image.name} is"
        yield f'{what}; write read="true" on the Image that is to be read'
    for tag in fields:
        attribute = {"TextArea": "value", "Number": "defaultValue"}.get(tag.kind, "")
        if preset := tag.get(attribute.lower()):
            what = f"{tag.name} shows {preset[:40]!r} before anything is read, on blind cheques too"
            yield f"{what}; take {attribute} away"
    texts = [tag for tag in fields if tag.kind == "TextArea"]
    if open_ended := [tag.name for tag in texts if tag.get("maxsubmissions") != "1"]:
        what = f"{listed(open_ended)}: people can add a second text, and the label is then left out"
        yield f'{what}; write maxSubmissions="1" and editable="true" on each TextArea'
    if fixed := [tag.name for tag in texts if tag.get("editable") != "true" and tag.name not in open_ended]:
        yield f'{listed(fixed)}: what is read cannot be corrected, only deleted; write editable="true" on each TextArea'
    if hidden := [tag.name for tag in fields if tag.hidden]:
        what = f"{listed(hidden)}: shown at times only, and learned as empty whenever it is not"
        yield f"{what}; show it always (without visibleWhen)"


def listed(things: Iterable[object], most: int = 6) -> str:
    """On one line: some of them, and how many there are."""
    names = list(map(str, things))
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])}, … ({len(names)} in all)"


def by_reason(left: Iterable[Left]) -> list[tuple[str, str]]:
    """The controls that share a reason, on one line; and the reason."""
    whys: dict[str, list[Left]] = {}
    for one in left:
        whys.setdefault(one.why, []).append(one)
    return [(listed(those), why) for why, those in whys.items()]


def kind_of_name(name: str) -> Kind:
    """What a field's name says about its kind: `date_echeance` is a date, `montant_ttc` an amount; else text."""
    bare = plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    said = set(re.findall(r"[a-z]+", re.sub(r"legal[\W_]*amount", "legalamount", bare)))
    if said & set(NOT_NAMED.split()):
        return "text"
    return next((kind for kind, words in NAMED.items() if said & set(words.split())), "text")
