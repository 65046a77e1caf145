"""The XML of a labeling configuration -> its tags, as Label Studio's editor reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DTDForbidden
from defusedxml.ElementTree import fromstring

from cheques.values import one_line

LONGEST = 500_000  # letters: some seven thousand fields; more take seconds at each /setup
DEEPEST = 100


class BadConfig(ValueError):
    """A labeling configuration that cannot be served: one line, what is missing and what to do."""


@dataclass(frozen=True)
class Tag:
    """One tag; its attributes have lower-case names, as the editor reads them.

    choices: of Choices, what Label Studio writes into an annotation: the alias, else the value. nested: some of them
    have choices of their own. title: of a control, the Header that stands before it. hidden: it is shown at times only
    (visibleWhen). numbers: the flags of the Repeaters that it stands in, each with the number of the page that is read;
    `attributes` are as they are on that page. written: its name before that.
    """

    kind: str
    attributes: Mapping[str, str]
    choices: tuple[str, ...] = ()
    nested: bool = False
    title: str = ""
    hidden: bool = False
    numbers: tuple[tuple[str, str], ...] = ()
    written: str = ""

    @property
    def name(self) -> str:
        return self.get("name")

    @property
    def points_to(self) -> tuple[str, ...]:
        """The names of the objects that it is about."""
        names = self.get("toname")
        return tuple(names.split(",")) if names else ()

    def get(self, attribute: str) -> str:
        """An attribute; empty where the tag does not have it."""
        return self.attributes.get(attribute, "")

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


def read_tags(xml: str) -> list[Tag]:
    """The tags in their order; of what a Repeater repeats those of its first page, or of its attribute `page`.

    Raises BadConfig. Entities are never resolved: Label Studio refuses them, and a few lines of them make gigabytes.
    """
    if len(xml) > LONGEST:
        raise BadConfig(f"labeling configuration: {len(xml):,} letters, at most {LONGEST:,} are read; shorten it")
    try:
        root = fromstring(xml, forbid_dtd=True)  # Label Studio's own parser: what that takes, this takes
    except DTDForbidden:
        raise BadConfig("labeling configuration: it has a DOCTYPE, which Label Studio refuses; take it out") from None
    except (ParseError, ValueError) as error:
        reason = one_line(str(error))[:120]
        raise BadConfig(f"labeling configuration: not valid XML of Label Studio ({reason}); correct it") from None
    tags, title = [], ""
    for tag in _walk(root):
        if tag.kind == "Header" and not tag.get("value").startswith("$"):
            title = tag.get("value")
        elif tag.points_to:
            tag, title = replace(tag, title=title), ""
        tags.append(tag)
    return tags


def _walk(
    element: Element, numbers: tuple[tuple[str, str], ...] = (), hidden: bool = False, deep: int = 0
) -> Iterator[Tag]:
    if deep > DEEPEST:
        raise BadConfig(f"labeling configuration: tags stand more than {DEEPEST} deep in each other; flatten it")
    attributes = {name.lower(): _numbered(value, numbers) for name, value in element.attrib.items()}
    hidden = hidden or bool(attributes.get("visiblewhen"))
    inside = list(element.iter("Choice")) if element.tag == "Choices" else []
    choices = tuple(_numbered(one.get("alias") or one.get("value") or "", numbers) for one in inside)
    nested = any(inner.tag == "Choice" for one in inside for inner in one)
    written = element.get("name", "")
    tag = Tag(str(element.tag), attributes, choices, nested, hidden=hidden, numbers=numbers, written=written)
    yield tag
    if tag.kind == "Repeater":
        numbers = (*numbers, (attributes.get("indexflag") or "{{idx}}", str(page_of(tag) - 1)))
    for child in element:
        yield from _walk(child, numbers, hidden, deep + 1)


def _numbered(text: str, numbers: tuple[tuple[str, str], ...]) -> str:
    for flag, number in numbers:
        text = text.replace(flag, number, 1)  # the editor replaces the first one alone
    return text


def page_of(tag: Tag) -> int:
    """Which of the pages of an Image or a Repeater is read: its attribute `page`, from 1. Raises BadConfig."""
    page = tag.get("page") or "1"
    if not (page.isascii() and page.isdigit() and 0 < int(page) < 10_000):
        raise BadConfig(f'labeling configuration: page="{page[:40]}" is no page; write page="1" for the first')
    return int(page)
