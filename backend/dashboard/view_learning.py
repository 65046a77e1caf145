"""The learning curve as a section: the versions and the gate's decisions, and what more labels would bring."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from markupsafe import Markup

from backend.dashboard.charts import Axis, Point, Series, lines
from backend.dashboard.figures import Figures
from backend.dashboard.i18n import interval, number, percent, when
from backend.dashboard.i18n import say as _
from backend.dashboard.learning import Learning, Target
from backend.dashboard.status import History
from backend.dashboard.view import Section, Table
from store.versions import Version
from study.metrics import Estimate

MORE = 100  # labels, spoken of before any gain is known
NEAR_THE_TOP = 0.8  # exact match above which the axis ends at 1


def learning(figures: Figures, report_url: str) -> Section:
    """report_url: with VERSION in place of the version's name."""
    history, learnt = figures.history, figures.history.learning
    title = _("Learning curve")
    if not history.versions:
        return Section("learning", title, _("No version was trained yet: the base reads."))
    service = (
        _("%(name)s is in service since %(when)s.", name=history.champion.name, when=when(history.since))
        if history.champion
        else _("The base is in service.")
    )
    finding, words = what_more_labels_bring(learnt)
    if finding:
        words = [service, *words]
    else:
        finding = service
    words = [*side_by_side(history), *words, _("Rings are versions that the gate rejected.")]
    return Section("learning", title, finding, words, chart(title, history, report_url), table(history))


def side_by_side(history: History) -> list[str]:
    """Base, the adapter that the team brought along, and the newest version of their labels, once all are judged."""
    own, exam = history.learning.own, history.learning.exam
    brought = next((version for version in history.versions if version.brought and version.name in own), None)
    ours = next(
        (version for version in reversed(history.versions) if not version.brought and version.name in own), None
    )
    if brought is None or ours is None or "base" not in own:
        return []

    def read(name: str) -> str:
        low, high = percent(own[name].low), percent(own[name].high)
        return _("%(exact)s (%(low)s to %(high)s)", exact=percent(own[name].value, 1), low=low, high=high)

    names = ("base", brought.name, ours.name)
    said = _(
        "Side by side: the base %(base)s, your adapter %(brought_name)s %(brought)s, %(ours_name)s %(ours)s.",
        base=read("base"),
        brought_name=brought.name,
        brought=read(brought.name),
        ours_name=ours.name,
        ours=read(ours.name),
    )
    # Versions may be judged on exams of different size: then their numbers are not quite comparable.
    if len({exam[name] for name in names}) == 1:
        judged = _("All on the same %(n)s exam cheques.", n=number(exam["base"]))
    else:
        each = ", ".join(number(exam[name]) for name in names)
        judged = _("On %(each)s exam cheques, not the same ones.", each=each)
    known = [] if brought.labels else [_("What your adapter was trained on is not known: it may have seen the exam.")]
    return [said, judged, *known]


def has_report(version: Version) -> bool:
    return (version.path / "report" / "report.html").is_file()


def decision(version: Version) -> str:
    """The gate's decision, in the reader's language."""
    words = {
        "promoted": _("promoted"),
        "rejected": _("rejected"),
        "imported": _("imported"),
        "forced": _("promoted by hand"),
    }
    said = words.get(version.decision, version.decision)
    return _("%(decision)s (provisional)", decision=said) if version.provisional else said


def what_more_labels_bring(learnt: Learning) -> tuple[str, list[str]]:
    """The finding, empty while there is none, and the lines beside it."""
    expected = learnt.expected
    if expected is None:
        if learnt.lack is None:
            return "", [_("What more labels would bring is computed with the next version.")]
        what, have, needed = learnt.lack
        things = {
            "versions": _("versions of different size"),
            "exam": _("exam cheques"),
            "labels": _("labels learned from"),
        }
        lack = _(
            "What %(more)s more labels would bring: not enough yet, %(have)s of %(needed)s %(things)s.",
            more=number(MORE),
            have=number(have),
            needed=number(needed),
            things=things.get(what, what),
        )
        return "", [lack]

    points = _("points")  # Babel finds no message inside another one
    finding = _(
        "Exact match %(now)s now; %(more)s more labels bring %(gain)s.",
        now=percent(expected.now.value),
        more=number(expected.more),
        gain=interval(expected.gain, 1, points, 100.0),
    )
    note = _("The curve: every power law that fits these versions about as well, their mean and the range of them all.")
    return finding, [*(reach(target, expected.horizon) for target in expected.targets[:2]), note]


def reach(target: Target, horizon: int) -> str:
    """What it takes to reach an exact match. horizon: labels beyond which the curve says nothing."""
    if target.labels is None and target.low is not None:
        return _(
            "%(target)s takes more than %(horizon)s labels as the curve goes, %(low)s at best.",
            target=percent(target.exact),
            horizon=number(horizon),
            low=number(target.low),
        )
    if target.labels is None:
        return _(
            "%(target)s is not within reach of what these versions show (looked up to %(horizon)s labels).",
            target=percent(target.exact),
            horizon=number(horizon),
        )
    high = _("more than %(n)s", n=number(horizon)) if target.high is None else number(target.high)
    return _(
        "%(target)s takes about %(labels)s labels to learn from (%(low)s to %(high)s).",
        target=percent(target.exact),
        labels=number(target.labels),
        low=number(target.labels if target.low is None else target.low),
        high=high,
    )


def chart(title: str, history: History, report_url: str) -> Markup:
    """Each version's exact match by its labels, and the fitted curve."""
    learnt = history.learning
    points = []
    if base := learnt.own.get("base"):
        points.append(point(0, base.value, f"{_('base')}: {percent(base.value, 1)}", base))
    points += [
        replace(
            point(
                version.labels,
                version.mean,
                f"{version.name}: {percent(version.mean, 1)}, {decision(version)}",
                learnt.own.get(version.name),
            ),
            hollow=version.decision == "rejected",
            href=report_url.replace("VERSION", version.name) if has_report(version) else "",
        )
        for version in history.versions
        if version.mean is not None
    ]
    shown = [Series(_("mean exact match on the exam"), "b", points, joined=learnt.expected is None)]
    if learnt.expected:
        along = [point(labels, at.value, "", at) for labels, at in learnt.expected.along]
        shown.insert(0, Series(_("fitted curve with its range"), "a", along, smooth=True))
    # Far below 1 an axis up to 1 would flatten the curve.
    top = max((p.high or p.y for one in shown for p in one.points), default=0.0)
    up = Axis(_("exact match"), lambda y: percent(y), high=1.0 if top > NEAR_THE_TOP else None)
    return lines(title, shown, Axis(_("labels learned from"), lambda x: number(x)), up)


def point(labels: int, exact: float, told: str, at: Estimate | None) -> Point:
    """A point of the chart, with the interval of `at`."""
    return Point(labels, exact, told, at.low if at else None, at.high if at else None)


def table(history: History) -> Table:
    """The versions, newest first; below them the base, and the curve where no version is yet."""
    learnt, expected = history.learning, history.learning.expected
    fitted = dict(expected.along) if expected else {}
    brought = {version.name for version in history.versions if version.brought}

    def row(name: str, labels: int, exam: int | None, exact: float | None, rest: list[str]) -> list[str]:
        own, at = learnt.own.get(name), fitted.get(labels)
        return [
            _("base") if name == "base" else _("%(name)s (yours)", name=name) if name in brought else name,
            number(labels),
            "–" if exam is None else number(exam),
            "–" if exact is None else percent(exact, 1),
            _("%(low)s to %(high)s", low=percent(own.low), high=percent(own.high)) if own else "–",
            interval(at, 1, "%", 100.0) if at else "–",
            *rest,
        ]

    rows = []
    for version in reversed(history.versions):
        made = when(datetime.fromisoformat(version.created)) if version.created else "–"
        rest = [decision(version), made, "; ".join(version.reasons)]
        rows.append(row(version.name, version.labels, version.exam, version.mean, rest))
    if base := learnt.own.get("base"):
        rows.append(row("base", 0, learnt.exam["base"], base.value, ["–", "–", ""]))
    if expected:
        later = _("with %(n)s more", n=number(expected.more))
        rows.append(row(later, expected.labels + expected.more, None, None, ["–", "–", ""]))
    head = [_("Version"), _("Labels"), _("Exam"), _("Exact match"), _("Interval"), _("Curve")]
    return Table([*head, _("Decision"), _("Made"), _("Reasons")], rows)
