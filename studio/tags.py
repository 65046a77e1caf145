"""A labeling configuration as Label Studio's editor reads it: its tags, and their values from a task's data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DTDForbidden
from defusedxml.ElementTree import fromstring

from cheques.values import one_line

LONGEST = 500_000  # letters: some seven thousand fields; more take seconds at each /setup
DEEPEST = 100

# The editor knows "$image", "$cheque.url", "$pages[0].url", and all of them inside of text ("/data/$file").
VARIABLE = re.compile(r"\$([\w\[\].{}]+)", re.ASCII)
STEP = re.compile(r"[^.\[\]]+")


class BadConfig(ValueError):
    """A labeling configuration that cannot be served: one line, what is missing and what to do."""


@dataclass(frozen=True)
class Tag:
    """One tag; its attributes have lower-case names, as the editor reads them.

    choices: of Choices, what Label Studio writes into an annotation: the alias, else the value. nested: some of them
    have choices of their own. title: of a control, the Header before it. hidden: it is shown at times only
    (visibleWhen). numbers: the flags of the Repeaters around it, each with the number of the page that is read;
    `attributes` are as they are on that page. written: its name in the XML, with the flags.
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
    def source(self) -> str:
        """The expression that says where its value is in a task's data."""
        return self.get("valuelist") or self.get("value")

    @property
    def day_format(self) -> str:
        """Of a DateTime: how it stores a day."""
        return self.get("format") or "%Y-%m-%d"

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
    """The tags in their order; within a Repeater those of its first page, or of the page in its attribute `page`.

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
    for tag in walk(root):
        if tag.kind == "Header" and not tag.get("value").startswith("$"):
            title = tag.get("value")
        elif tag.points_to:
            tag, title = replace(tag, title=title), ""
        tags.append(tag)
    return tags


def walk(
    element: Element, numbers: tuple[tuple[str, str], ...] = (), hidden: bool = False, deep: int = 0
) -> Iterator[Tag]:
    """The element's tag, then those inside it. numbers, hidden: as in Tag, of what is around it."""
    if deep > DEEPEST:
        raise BadConfig(f"labeling configuration: tags stand more than {DEEPEST} deep in each other; flatten it")
    attributes = {name.lower(): numbered(value, numbers) for name, value in element.attrib.items()}
    hidden = hidden or bool(attributes.get("visiblewhen"))
    inside = list(element.iter("Choice")) if element.tag == "Choices" else []
    choices = tuple(numbered(one.get("alias") or one.get("value") or "", numbers) for one in inside)
    nested = any(inner.tag == "Choice" for one in inside for inner in one)
    written = element.get("name", "")
    tag = Tag(str(element.tag), attributes, choices, nested, hidden=hidden, numbers=numbers, written=written)
    yield tag
    if tag.kind == "Repeater":
        numbers = (*numbers, (attributes.get("indexflag") or "{{idx}}", str(page_of(tag) - 1)))
    for child in element:
        yield from walk(child, numbers, hidden, deep + 1)


def numbered(text: str, numbers: tuple[tuple[str, str], ...]) -> str:
    """An attribute as it is on the page that is read."""
    for flag, number in numbers:
        text = text.replace(flag, number, 1)  # the editor replaces the first one alone
    return text


def page_of(tag: Tag) -> int:
    """Which of the pages of an Image or a Repeater is read: its attribute `page`, from 1. Raises BadConfig."""
    page = tag.get("page") or "1"
    if not (page.isascii() and page.isdigit() and 0 < int(page) < 10_000):
        raise BadConfig(f'labeling configuration: page="{page[:40]}" is no page; write page="1" for the first')
    return int(page)


def value_of(expression: str, data: Mapping[str, Any]) -> Any:
    """What an attribute such as "$cheque.url" is for a task; None where its data holds no such thing."""
    if whole := VARIABLE.fullmatch(expression):
        return at_path(whole[1], data)
    found = {variable: at_path(variable, data) for variable in VARIABLE.findall(expression)}
    if any(one is None for one in found.values()):
        return None
    return VARIABLE.sub(lambda match: str(found[match[1]]), expression)


def data_of(expression: str, value: Any) -> dict[str, Any]:
    """Task data for which the expression gives `value`, of the shape that Label Studio's import asks for.

    Of text around a variable the variable alone is stored: "/data/$file" and "/data/c.png" make {"file": "c.png"}.
    Raises ValueError where that is no way to write `value`.
    """
    variables = list(VARIABLE.finditer(expression))
    if len(variables) != 1:
        raise ValueError(f"{expression} is made of {len(variables)} variables")
    before, after = expression[: variables[0].start()], expression[variables[0].end() :]
    if before or after:
        if not (isinstance(value, str) and value.startswith(before) and value.endswith(after)):
            raise ValueError(f"{expression} cannot stand for another beginning or end")
        value = value[len(before) : len(value) - len(after)]
    for step in reversed(STEP.findall(variables[0][1])):
        value = [""] * int(step) + [value] if step.isdigit() and len(step) < 5 else {step: value}
    return dict(value)


def at_path(path: str, data: Any) -> Any:
    """What a path such as "pages[0].url" leads to; None where nothing is there."""
    if isinstance(data, Mapping) and path in data:  # a key may hold a dot: the column of a CSV file
        return data[path]
    for step in STEP.findall(path):
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data
