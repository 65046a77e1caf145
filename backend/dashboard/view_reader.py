"""Figures about the reader -> a section: certified reading."""

from __future__ import annotations

from backend.dashboard.charts import Axis, Point, Series, lines
from backend.dashboard.figures import Figures
from backend.dashboard.i18n import field_name, number, percent, rate
from backend.dashboard.i18n import say as _
from backend.dashboard.view import Section, Table
from study.certified_reading import Certificate, certify, curve, least, outlook

TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)


def certified(figures: Figures, misread: float, level: float) -> Section:
    """misread: the highest rate that the lead accepts; level: the confidence of the promise."""
    graded = figures.graded
    title = _("Certified reading")
    if not len(graded.right):
        return Section("certified", title, _("The champion has not been judged on exam cheques yet."))
    confidence, right = graded.cheque()
    found = certify(confidence, right, misread, level)
    counts = _(
        "%(judged)s exam cheques were judged when the version was made, %(later)s were labelled since.",
        judged=number(found.n - graded.later),
        later=number(graded.later),
    )
    words = [counts]
    # The first of them is the exam as it is.
    later = outlook(confidence, right, misread, level)[1:]
    if better := [f"{number(o.n)}: {percent(o.share)}" for o in later if o.share > found.share]:
        words.append(_("With more exam cheques like these: %(list)s.", list=", ".join(better)))

    promise = {"level": percent(level), "misread": rate(misread)}
    if found.threshold is not None:
        finding = _(
            "With %(level)s confidence at most %(misread)s misread: %(share)s of cheques need nobody (at least "
            "%(low)s).",
            share=percent(found.share),
            low=percent(found.low),
            **promise,
        )
    else:
        if found.needed:
            more = _("about %(n)s would be needed.", n=number(found.needed))
        else:
            accepted = number(least(misread, level))
            more = _("at least %(n)s right ones among those accepted, and a surer reader.", n=accepted)
        finding = _("%(level)s confidence in at most %(misread)s misread: ", **promise) + _(
            "not measurable with %(n)s exam cheques, %(more)s", n=number(found.n), more=more
        )

    points = curve(confidence, right, level)
    series = [
        Series(_("certified"), "b", [Point(p.misread, p.certified, hover(p.misread, p.certified)) for p in points]),
        Series(_("seen on the exam"), "a", [Point(p.misread, p.seen, hover(p.misread, p.seen)) for p in points]),
    ]
    axis = Axis(_("misread at most"), lambda x: rate(x), log=True, ticks=TICKS)
    chart = lines(title, series, axis, Axis(_("read without a person"), lambda y: percent(y), low=0.0, high=1.0))
    rows = [row(_("whole cheque"), found)]
    # Each field is certified by itself, with the same promise.
    rows += [row(field_name(name), certify(*graded.field(name), misread, level)) for name in graded.fields]
    head = [_("What"), _("Needs nobody"), _("At least"), _("Confidence from"), _("Exam cheques it takes")]
    return Section("certified", title, finding, words, chart, Table(head, rows))


def hover(misread: float, share: float) -> str:
    """What hovering over a point of the curve says."""
    return _("at most %(misread)s misread: %(share)s", misread=rate(misread), share=percent(share))


def row(name: str, found: Certificate) -> list[str]:
    """A line of the table: what of a cheque, and what is certified for it."""
    if found.threshold is None:
        return [name, "–", "–", "–", number(found.needed) if found.needed else _("a surer reader")]
    return [name, percent(found.share), percent(found.low), number(found.threshold, 3), number(found.n)]
