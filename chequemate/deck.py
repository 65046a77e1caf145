"""Slides -> a PowerPoint file: a title, some lines, a native chart, speaker's notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION
from pptx.enum.text import PP_ALIGN
from pptx.util import Inches, Pt

COLOURS = ("1B5FB4", "B4530A")
INK, SOFT = "1A2330", "55606E"


@dataclass(frozen=True)
class Chart:
    """Clustered columns, or a line: one value for each category in each series. most: the axis' upper end."""

    title: str
    categories: Sequence[str]
    series: Sequence[tuple[str, Sequence[float]]]
    form: str = "0"
    line: bool = False
    most: float | None = None


@dataclass(frozen=True)
class Slide:
    """lines: at most six, each at most two lines long. notes: what the speaker says."""

    title: str
    lines: Sequence[str]
    notes: str
    chart: Chart | None = None


def write(deck: Sequence[Slide], path: Path) -> None:
    """As a PowerPoint file, 16 to 9. Raises OSError."""
    show = Presentation()
    show.slide_width, show.slide_height = Inches(13.333), Inches(7.5)
    for number, slide in enumerate(deck, 1):
        page = show.slides.add_slide(show.slide_layouts[5])  # a title and nothing else

        title = page.shapes.title
        title.left, title.top, title.width, title.height = Inches(0.6), Inches(0.4), Inches(12.1), Inches(0.9)
        title.text = slide.title
        style(title.text_frame.paragraphs[0], 34, INK, bold=True)
        rule = page.shapes.add_shape(1, Inches(0.7), Inches(1.3), Inches(11.9), Inches(0.04))
        rule.fill.solid()
        rule.fill.fore_color.rgb = RGBColor.from_string(COLOURS[0])
        rule.line.fill.background()

        if slide.chart:
            add_text(page, (0.6, 1.6, 6.1, 5.2), slide.lines, 19, INK, after=12)
            add_chart(page, slide.chart)
        else:
            add_text(page, (0.6, 1.6, 12.1, 5.2), slide.lines, 24, INK, after=18)
        add_text(page, (0.6, 6.95, 12.1, 0.35), [f"Chequemate · {number}/{len(deck)}"], 11, SOFT)
        page.notes_slide.notes_text_frame.text = slide.notes
    show.save(str(path))


def add_text(
    page: Any, box: tuple[float, float, float, float], lines: Sequence[str], size: int, colour: str, after: int = 0
) -> None:
    """A paragraph for each line. box: left, top, width, height in inches; size, after: points."""
    frame = page.shapes.add_textbox(*map(Inches, box)).text_frame
    frame.word_wrap = True
    for place, line in enumerate(lines):
        paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
        paragraph.text, paragraph.space_after = line, Pt(after)
        style(paragraph, size, colour)


def add_chart(page: Any, wanted: Chart) -> None:
    """A chart of PowerPoint's own, right of the lines: its numbers can be looked up and edited there."""
    data = CategoryChartData(number_format=wanted.form)
    data.categories = list(wanted.categories)
    for name, values in wanted.series:
        data.add_series(name, list(values))
    kind = XL_CHART_TYPE.LINE_MARKERS if wanted.line else XL_CHART_TYPE.COLUMN_CLUSTERED
    chart = page.shapes.add_chart(kind, Inches(6.9), Inches(1.6), Inches(5.9), Inches(5.1), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = wanted.title
    style(chart.chart_title.text_frame.paragraphs[0], 16, INK)
    chart.font.size = Pt(12)
    chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = 0, wanted.most
    chart.value_axis.major_gridlines.format.line.color.rgb = RGBColor.from_string("D5DBE3")
    alone = len(wanted.series) == 1
    chart.has_legend = not alone
    if not alone:
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    plot = chart.plots[0]
    plot.has_data_labels = alone  # side by side they would cover each other
    if alone:
        labels = plot.data_labels
        labels.number_format, labels.number_format_is_linked = wanted.form, False
        labels.position = XL_LABEL_POSITION.ABOVE if wanted.line else XL_LABEL_POSITION.OUTSIDE_END
    # The last series is what the slide is about, so it has the first colour.
    for colour, series in zip(reversed(COLOURS[: len(wanted.series)]), plot.series, strict=True):
        drawn = series.format.line if wanted.line else series.format.fill
        if not wanted.line:
            drawn.solid()
        (drawn.color if wanted.line else drawn.fore_color).rgb = RGBColor.from_string(colour)


def style(paragraph: Any, size: int, colour: str, bold: bool = False) -> None:
    paragraph.alignment = PP_ALIGN.LEFT
    paragraph.font.size, paragraph.font.bold, paragraph.font.color.rgb = Pt(size), bold, RGBColor.from_string(colour)
