"""What cannot be used -> a section, with a link to each task: whoever labelled it can put it right."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from backend.dashboard.figures import Figures
from backend.dashboard.i18n import field_name, number, when
from backend.dashboard.i18n import say as _
from backend.dashboard.image_reasons import reason_of_image
from backend.dashboard.view import Section, Table
from cheques.text import Fault

NAMED = 12  # tasks in a sentence
ROWS = 50  # on the page; all are in the CSV


def left_out(figures: Figures, address: Callable[[int], str]) -> Section | None:
    """address: a task's page in Label Studio. None where there is nothing to say."""
    found = figures.left_out
    titles = {
        "no image": _("Tasks without an image"),
        "unreadable": _("Images that cannot be read"),
        "waiting": _("Images that could not be fetched so far, and are tried again"),
    }
    lines = [
        listed(_("Labels that cannot be used"), [one.task for one in found.faulty if one.whole]),
        listed(
            _("Labels with a field that cannot be used; their others count"),
            [one.task for one in found.faulty if not one.whole],
        ),
        *(listed(title, [one.task for one in figures.unread if one.why == why]) for why, title in titles.items()),
        listed(_("Annotators disagree, and the latest label counts"), found.disputed),
        listed(_("Skipped by annotators"), found.skipped),
    ]
    told = [line for line in lines if line]
    if not told:
        return None
    rows = [
        (one.task, [when(one.at), field_name(field), why(fault)])
        for one in found.faulty
        for field, fault in one.faults.items()
    ]
    none = _("the task has none: import it with one")
    rows += [
        (one.task, ["–", _("Image"), none if one.why == "no image" else reason_of_image(one.reason)])
        for one in figures.unread
    ]
    head = [_("Task"), _("When"), _("What"), _("Why")]
    table = Table(head, [[str(task), *row] for task, row in rows], [address(task) for task, _row in rows], ROWS)
    words = told[1:]
    if rows:
        words.append(_("Open a task, put it right and press Update: within a minute its label leaves this list."))
    if len(rows) > ROWS:
        words.append(_("Here are the first %(n)s of %(all)s lines; the CSV has all.", n=ROWS, all=number(len(rows))))
    return Section("left-out", _("What is left out"), told[0], words, table=table if rows else None)


def listed(title: str, tasks: Iterable[int]) -> str:
    """A line that names the tasks, each once; empty where there are none."""
    each = list(dict.fromkeys(tasks))
    if not each:
        return ""
    named = ", ".join(map(str, each[:NAMED])) + (" …" if len(each) > NAMED else "")
    if len(each) == 1:
        return _("%(title)s: 1 (task %(tasks)s).", title=title, tasks=named)
    return _("%(title)s: %(n)s (tasks %(tasks)s).", title=title, n=number(len(each)), tasks=named)


def why(fault: Fault) -> str:
    """Why a field cannot be used, after its name."""
    return {
        "no_value": _("is no value of this kind of field"),
        "two_readings": _("can be read in two ways: write it out"),
        "far_date": _("lies too far from the day of the label"),
        "not_text": _("is no text: type it again"),
        "too_long": _("is longer than a reading may be"),
        "not_allowed": _("has characters that no reading can have"),
        "two_values": _("has two values: the whole label is left out until one is deleted"),
        "no_field": _("is no field of the form: rename it back, or label again"),
    }[fault]
