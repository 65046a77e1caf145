"""Figures -> the sections of the page, each with a sentence, a chart and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from backend.dashboard.charts import Axis, Point, Series, bars, lines
from backend.dashboard.figures import Figures
from backend.dashboard.i18n import field_name, interval, number, percent, when
from backend.dashboard.i18n import say as _
from study.lead_times import REASONS
from study.quality import LEAST

NO_CHART = Markup("")


@dataclass(frozen=True)
class Table:
    """What stands behind a chart, and in the CSV.

    links: where the first cell of each row leads. shown: how many rows the page shows; all, if None.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    links: Sequence[str] = ()
    shown: int | None = None


@dataclass(frozen=True)
class Section:
    """finding: the answer in one sentence, if there is one. words: lines beside it."""

    id: str
    title: str
    finding: str = ""
    words: Sequence[str] = ()
    chart: Markup = NO_CHART
    table: Table | None = None


def time_saved(figures: Figures) -> Section:
    """What a pre-label saves, or how many cheques it still takes to say so."""
    found, savings = figures.savings.effect, figures.savings
    title = _("Time saved")
    counts = _(
        "%(blind)s blind and %(shown)s pre-labelled exam cheques compared, within each annotator.",
        blind=number(savings.blind),
        shown=number(savings.prelabel),
    )
    rows = [[_(REASONS[reason]), number(count)] for reason, count in savings.dropped.items()]
    left_out = Table([_("Left out of the comparison"), _("Annotations")], rows) if rows else None
    if not savings.verdict.enough or found is None:
        finding = _(
            "Not enough yet: %(have)s blind cheques, about %(need)s needed.",
            have=number(savings.blind),
            need=number(savings.verdict.needed),
        )
        return Section("time", title, finding, [counts], table=left_out)
    hours, unit = savings.hours, _("hours")
    assert hours is not None
    finding = _(
        "A pre-label saves %(seconds)s a cheque: %(percent)s of the time without it.",
        seconds=interval(found.seconds, 1, "s"),
        percent=interval(found.percent, 0, "%"),
    )
    words = [
        counts,
        _(
            "Extrapolated to every pre-labelled cheque: %(saved)s saved so far.",
            saved=interval(hours.saved, 1, unit),
        ),
        _(
            "The %(left)s cheques to go would take %(with)s hours with pre-labels, %(without)s without (extrapolated).",
            # `with` is a keyword of Python, so it cannot be named as an argument.
            **{"left": number(hours.left), "with": number(hours.with_, 1), "without": number(hours.without, 1)},
        ),
    ]
    arms = [(_("blind"), found.blind), (_("pre-labelled"), found.prelabel)]
    told = [(name, seconds, f"{number(seconds, 1)} s") for name, seconds in arms]
    chart = bars(_("Seconds a cheque in each arm"), told)
    table = Table([_("Arm"), _("Seconds a cheque")], [[name, number(seconds, 1)] for name, seconds in arms])
    if left_out:
        table = Table(table.head, [*table.rows, *left_out.rows])
    return Section("time", title, finding, words, chart, table)


def over_time(figures: Figures) -> Section | None:
    """Seconds a cheque in both arms; None where there are too few cheques for a line."""
    blocks = figures.savings.over_time
    if len(blocks) < 2:
        return None
    first = blocks[0].at

    def points(arm: str) -> list[Point]:
        return [
            Point((b.at - first) / 86400, getattr(b, arm), f"{when(b.at)}: {number(getattr(b, arm), 1)} s")
            for b in blocks
        ]

    series = [
        Series(_("blind"), "a", points("blind")),
        Series(_("pre-labelled"), "b", points("prelabel")),
    ]
    days = (blocks[-1].at - first) / 86400
    axis = Axis(_("days since the first"), lambda x: number(x, 0 if days > 3 else 2))
    chart = lines(_("Seconds a cheque over time"), series, axis, Axis(_("seconds"), lambda y: number(y), low=0.0))
    rows = [[when(b.at), number(b.cheques), number(b.blind, 1), number(b.prelabel, 1)] for b in blocks]
    table = Table([_("When"), _("Cheques"), _("Blind (s)"), _("Pre-labelled (s)")], rows)
    words = [_("Seconds a cheque in stretches of equally many exam cheques, all annotators brought to one pace.")]
    return Section("over-time", _("Seconds a cheque over time"), "", words, chart, table)


def acceptance(figures: Figures) -> Section:
    rates, versions = figures.savings.acceptance, figures.savings.by_version
    title = _("Acceptance by field")
    if not rates:
        return Section("acceptance", title, _("No pre-labelled cheque was annotated yet."))
    ordered = sorted(rates.items(), key=lambda one: one[1])
    worst, rate = ordered[0]
    finding = _(
        "Corrected most often: %(field)s, left as shown in %(rate)s of the cheques.",
        field=field_name(worst),
        rate=percent(rate),
    )
    chart = bars(title, [(field_name(name), rate, percent(rate, 1)) for name, rate in ordered], "b", most=1.0)
    names = list(versions)
    rows = [
        [field_name(name), percent(rate, 1), *(percent(versions[v].get(name, 0.0), 1) for v in names)]
        for name, rate in ordered
    ]
    return Section("acceptance", title, finding, (), chart, Table([_("Field"), _("All"), *names], rows))


def corrections(figures: Figures) -> Section | None:
    found = figures.savings.by_corrections
    if not found:
        return None
    title = _("Seconds by number of corrected fields")
    rows = [
        (number(fields), seconds, f"{number(seconds, 1)} s ({number(n)})") for fields, (n, seconds) in found.items()
    ]
    chart = bars(title, rows)
    table = Table(
        [_("Corrected fields"), _("Cheques"), _("Seconds a cheque")],
        [[number(fields), number(n), number(seconds, 1)] for fields, (n, seconds) in found.items()],
    )
    words = [_("Pre-labelled cheques; behind each bar the number of cheques.")]
    return Section("corrections", title, "", words, chart, table)


def annotators(figures: Figures, names: str) -> Section | None:
    """names: `off` for letters, `on` for Label Studio's numbers, `hidden` for none of it."""
    found = figures.savings.by_annotator
    if not found or names == "hidden":
        return None
    title = _("Corrections by annotator")
    rows = []
    for place, (who, (cheques, fields)) in enumerate(found.items()):
        name = _("Annotator %(name)s", name=who if names == "on" else letter(place))
        rows.append((name, fields, number(fields, 2), cheques))
    chart = bars(title, [row[:3] for row in rows])
    table = Table(
        [_("Annotator"), _("Pre-labelled cheques"), _("Corrected fields a cheque")],
        [[name, number(cheques), number(fields, 2)] for name, fields, _told, cheques in rows],
    )
    words = [_("Corrected fields a cheque. Cheques differ: more corrections are no better and no worse work.")]
    return Section("annotators", title, "", words, chart, table)


def letter(place: int) -> str:
    """A, B, … Z, AA, …"""
    return (letter(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def quality(figures: Figures) -> Section:
    """Are labels right in both arms, and how many wrong pre-labels do people let pass?"""
    blind, shown = figures.right.blind, figures.right.prelabel
    counts = figures.right.cheques
    rows = [
        [name, number(count), interval(rate, 1, "%", 100.0) if rate else _("nothing to compare with")]
        for name, rate, count in ((_("blind"), blind, counts[0]), (_("pre-labelled"), shown, counts[1]))
    ]
    head = [_("Arm"), _("Cheques with a second label"), _("Fields right")]
    words = [_("Fields right wherever a second annotation or a ground-truth label exists:")]

    waved, (of_blind, of_shown) = figures.waved, figures.waved.cheques
    if waved.rate is not None:
        finding = _("Of the wrong pre-labels, %(rate)s were waved through.", rate=interval(waved.rate, 0, "%", 100.0))
    elif waved.reader_wrong == 0 and min(waved.cheques) >= LEAST:
        finding = _(
            "The reader made no mistake on %(n)s blind cheques: nothing could be waved through.", n=number(of_blind)
        )
    else:
        finding = _(
            "Wrong pre-labels waved through: not measurable yet (%(blind)s blind and %(shown)s pre-labelled exam "
            "cheques; %(least)s of each are needed).",
            blind=number(of_blind),
            shown=number(of_shown),
            least=number(LEAST),
        )
    return Section("quality", _("Does quality hold?"), finding, words, table=Table(head, rows))


def planted(figures: Figures) -> Section | None:
    """Planted errors, where any was shown."""
    seen = figures.caught
    overall = seen.overall.estimate
    if overall is None:
        return None
    title = _("Planted errors")
    finding = _(
        "Of %(n)s planted errors, %(rate)s were corrected.",
        n=number(seen.overall.n),
        rate=interval(overall, 0, "%", 100.0),
    )
    found = [(field_name(name), share, share.estimate) for name, share in seen.by_field.items()]
    chart = bars(title, [(name, at.value, percent(at.value)) for name, _n, at in found if at], "b", most=1.0)
    rows = [
        [name, number(share.n), number(share.count), interval(at, 0, "%", 100.0) if at else "–"]
        for name, share, at in [(_("All"), seen.overall, overall), *found]
    ]
    table = Table([_("Field"), _("Planted and shown"), _("Corrected"), _("Share")], rows)
    words = [
        _("A known share of the lessons' pre-labels shows one wrong value. No planted value is trained on or counted.")
    ]
    if seen.left:
        left = ", ".join(map(str, seen.left[:20])) + (" …" if len(seen.left) > 20 else "")
        words.append(_("Left as planted in Label Studio, to be put right there: tasks %(tasks)s.", tasks=left))
    return Section("planted", title, finding, words, chart, table)
