"""The expressions by which tags take their value from a task's data, as Label Studio's editor resolves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# The editor knows "$image", "$cheque.url", "$pages[0].url", and all of them inside of text ("/data/$file").
VARIABLE = re.compile(r"\$([\w\[\].{}]+)", re.ASCII)
STEP = re.compile(r"[^.\[\]]+")


def value_of(expression: str, data: Mapping[str, Any]) -> Any:
    """What an attribute such as "$cheque.url" is for a task; None where its data holds no such thing."""
    if whole := VARIABLE.fullmatch(expression):
        return _at(whole[1], data)
    found = {variable: _at(variable, data) for variable in VARIABLE.findall(expression)}
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


def _at(path: str, data: Any) -> Any:
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
