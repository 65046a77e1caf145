"""Labels with every planted error taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cheques.planted import Planted
from cheques.values import as_number
from studio.formats import Change, Label


@dataclass(frozen=True)
class Checked:
    """A label as it is trained on and counted. field: that of the planted error shown, or nothing.

    caught: was the error corrected? None where nothing planted was shown for certain, or the label is a skip.
    """

    label: Label
    field: str = ""
    caught: bool | None = None


def checked(label: Label, planted: Sequence[Planted]) -> Checked:
    """The label as if nothing had been planted: a planted value that was left becomes what was read.

    A correction of the person's own stays. So training and counts are those of an honest pre-label.
    """
    for one in planted:
        value, shown = label.values.get(one.field, ""), (label.shown or {}).get(one.field, "")
        if label.shown is not None and label.version == one.version and same_value(shown, one.shown):
            told = None if label.skipped or label.ambiguous else not same_value(value, one.shown)
            return Checked(without(label, one), one.field, told)
        if label.shown is None and not label.offered and not label.imported and same_value(value, one.shown):
            # What was shown is not known any more, but people do not type such a value by chance.
            return Checked(without(label, one))
    return Checked(label)


def without(label: Label, one: Planted) -> Label:
    """The label with what was read in place of what was planted."""
    values = dict(label.values)
    if same_value(values.get(one.field, ""), one.shown):
        values[one.field] = one.read
    if label.shown is None:
        return replace(label, values=values)
    change: Change = "accepted" if same_value(values.get(one.field, ""), one.read) else "corrected"
    shown = {**label.shown, one.field: one.read}
    return replace(label, values=values, shown=shown, changed={**label.changed, one.field: change})


def same_value(one: str, other: str) -> bool:
    """Are they the same value? A label's amount has its currency's decimals, what was planted those of the reader."""
    number = as_number(one)
    return one == other or (number is not None and number == as_number(other))
