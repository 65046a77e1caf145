"""Charts as inline SVG, made on the server. Points carry words for hovering; the tables beside hold the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 40
STEP, BAR, LABEL, END = 30, 18, 176, 96  # of bars: row, thickness, room for names and for what is said at the end


@dataclass(frozen=True)
class Point:
    """x, y in the data's units. low, high: an interval. told: what hovering says. hollow: drawn as a ring."""

    x: float
    y: float
    told: str
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    href: str = ""


@dataclass(frozen=True)
class Series:
    """kind: css class of the colour (a, b). joined: with a line. smooth: without dots, its intervals as one band."""

    name: str
    kind: str
    points: Sequence[Point]
    joined: bool = True
    smooth: bool = False


@dataclass(frozen=True)
class Axis:
    """name: with its unit. shown: how a tick is written. log: base-10 logarithmic."""

    name: str
    shown: Callable[[float], str]
    low: float | None = None
    high: float | None = None
    log: bool = False
    ticks: Sequence[float] = ()


def lines(title: str, series: Sequence[Series], x: Axis, y: Axis) -> Markup:
    """A line chart, with a legend where there is more than one series; empty where there is no point."""
    points = [point for one in series for point in one.points]
    if not points:
        return Markup("")
    across = Scale.of(x, [p.x for p in points], LEFT, WIDTH - RIGHT)
    heights = [end for p in points for end in (p.y, p.low, p.high) if end is not None]
    up = Scale.of(y, heights, HEIGHT - BOTTOM, TOP)
    body = [grid(across, up, x, y)]
    for one in series:
        ends = [(across(p.x), up(p.low), up(p.high)) for p in one.points if p.low is not None and p.high is not None]
        if one.smooth and len(ends) >= 2:
            edge = [f"{at:.1f} {high:.1f}" for at, _low, high in ends]
            edge += [f"{at:.1f} {low:.1f}" for at, low, _high in ends[::-1]]
            body.append(Markup('<path class="band {}" d="M{}Z"/>').format(one.kind, " L".join(edge)))
        if one.joined and len(one.points) >= 2:
            at = " L".join(f"{across(point.x):.1f} {up(point.y):.1f}" for point in one.points)
            body.append(Markup('<path class="line {}" d="M{}"/>').format(one.kind, at))
        if not one.smooth:
            body += [dot(one, point, across, up) for point in one.points]
    drawn = svg(title, Markup("").join(body), HEIGHT)
    if len(series) < 2:
        return drawn
    keys = Markup("").join(Markup('<li><i class="{}"></i>{}</li>').format(one.kind, one.name) for one in series)
    return drawn + Markup('<ul class="legend">{}</ul>').format(keys)


def bars(title: str, rows: Sequence[tuple[str, float, str]], kind: str = "a", most: float | None = None) -> Markup:
    """Horizontal bars: (name, length, what is written at its end and told on hovering)."""
    if not rows:
        return Markup("")
    longest = most or max(value for _, value, _ in rows) or 1.0
    room = WIDTH - LABEL - END
    body = []
    for number, (name, value, told) in enumerate(rows):
        short = name if len(name) <= 22 else name[:21] + "…"
        y, length = number * STEP, max(0.0, min(1.0, value / longest)) * room
        body.append(
            Markup(
                '<g class="point" tabindex="0" role="img" aria-label="{words}" data-told="{words}">'
                '<text x="{left}" y="{base}" text-anchor="end">{name}</text>'
                '<rect class="track" x="{label}" y="{y}" width="{room}" height="{bar}" rx="3"/>'
                '<rect class="bar {kind}" x="{label}" y="{y}" width="{length:.1f}" height="{bar}" rx="3"/>'
                '<text x="{end}" y="{base}">{told}</text></g>'
            ).format(
                words=f"{name}: {told}", name=short, told=told, kind=kind, length=length, room=room, bar=BAR,
                y=y, base=y + 14, label=LABEL, left=LABEL - 8, end=LABEL + room + 8,
            )
        )  # fmt: skip
    return svg(title, Markup("").join(body), len(rows) * STEP)


def svg(title: str, body: Markup, height: int) -> Markup:
    """The drawing as an element of the page."""
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="group" aria-label="{}">{}</svg>').format(
        WIDTH, height, title, body
    )


def dot(series: Series, point: Point, across: Scale, up: Scale) -> Markup:
    """A point with its interval, its words and its link."""
    x, y = across(point.x), up(point.y)
    whisker = Markup("")
    if point.low is not None and point.high is not None:
        whisker = Markup('<path class="whisker {}" d="M{:.1f} {:.1f}V{:.1f}"/>').format(
            series.kind, x, up(point.low), up(point.high)
        )
    dot = Markup('<circle class="dot {}{}" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(
        series.kind, " hollow" if point.hollow else "", x, y
    )
    # Focusable: who uses no mouse, or cannot see the chart, gets the same words.
    told = escape(point.told)
    if point.href:
        return Markup('{}<a class="point" href="{}" aria-label="{}" data-told="{}">{}</a>').format(
            whisker, point.href, told, told, dot
        )
    return Markup('{}<g class="point" tabindex="0" role="img" aria-label="{}" data-told="{}">{}</g>').format(
        whisker, told, told, dot
    )


def grid(across: Scale, up: Scale, x: Axis, y: Axis) -> Markup:
    """Grid lines, ticks and the names of both axes."""
    parts = []
    for tick in up.ticks:
        at = up(tick)
        parts.append(
            Markup('<path class="grid" d="M{} {:.1f}H{}"/><text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                LEFT, at, WIDTH - RIGHT, LEFT - 6, at + 4, y.shown(tick)
            )
        )
    for tick in across.ticks:
        parts.append(
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                across(tick), HEIGHT - BOTTOM + 17, x.shown(tick)
            )
        )
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH - RIGHT, HEIGHT - 6, x.name)
    )
    parts.append(Markup('<text class="axis" x="{}" y="{}">{}</text>').format(4, 14, y.name))
    return Markup('<g aria-hidden="true">{}</g>').format(Markup("").join(parts))


@dataclass(frozen=True)
class Scale:
    """From the data's units to pixels: a value -> its place between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], start: float, end: float) -> Scale:
        low = axis.low if axis.low is not None else min(values)
        high = axis.high if axis.high is not None else max(values)
        # A logarithmic axis has the ends and the ticks that are given: rates have their own usual steps.
        if axis.log:
            low, high = math.log10(low), math.log10(high)
            return cls(low, high if high > low else low + 1, start, end, True, tuple(axis.ticks))

        # A step of 1, 2 or 5 times a power of ten, so that about five ticks fit.
        rough = ((high - low) or abs(high) or 1.0) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
        # Without ticks of its own an axis ends at whole steps.
        if not axis.ticks:
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        high = high if high > low else low + step
        count = round((high - low) / step)
        ticks = tuple(axis.ticks) or tuple(low + step * number for number in range(count + 1))
        return cls(low, high, start, end, False, ticks)

    def __call__(self, value: float) -> float:
        # A rate of 0 has no logarithm.
        at = math.log10(max(value, 1e-12)) if self.log else value
        return self.start + (self.end - self.start) * (at - self.low) / (self.high - self.low)
