"""The plots of reports, as SVG to be put into a page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study.metrics import BINS
from trainer.evaluate import Scores

STRATEGY = {"random": "#9aa5b1", "uncertainty": "#d97a1d", "diverse": "#5a9a5a", "active": "#2f6fb0"}
COLOURS = ("#9aa5b1", "#2f6fb0", "#d97a1d")


def field_bars(scores: Mapping[str, Scores]) -> str:
    """Exact match of each field, a bar for each reader."""
    fields = next(iter(scores.values())).form.names
    figure, axes = new_figure("Exact match by field", height=3.6)
    width = 0.8 / len(scores)
    for place, (name, colour) in enumerate(zip(scores, COLOURS, strict=False)):
        at = np.arange(len(fields)) + (place - (len(scores) - 1) / 2) * width
        axes.barh(at, [scores[name].field_rates().get(field, 0.0) for field in fields], width, label=name, color=colour)
    axes.set_yticks(range(len(fields)), fields)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=3)
    return svg(figure)


def loss_curve(losses: Sequence[tuple[int, float]], apart: Sequence[float], best_epoch: int) -> str:
    """Loss of each step, and on the lessons kept apart after each epoch."""
    figure, axes = new_figure("Loss for each token of the answers")
    steps = [step for step, _ in losses]
    axes.plot(steps, [loss for _, loss in losses], color=COLOURS[1], linewidth=1, label="lessons")
    if len(apart) > 1:
        ends = np.linspace(0, steps[-1], len(apart))
        axes.plot(ends, apart, color=COLOURS[2], marker="o", markersize=3, label="lessons kept apart")
        axes.axvline(ends[min(best_epoch, len(ends) - 1)], color="#bbb", linewidth=1, linestyle=":")
    axes.set_xlabel("step")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def reliability(scores: Scores) -> str:
    """Of the values given a confidence, how many are right."""
    confidence, right = scores.confidences()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    filled = [b for b in range(BINS) if (bins == b).any()]
    figure, axes = new_figure("Is the confidence true?")
    axes.plot((0, 1), (0, 1), color="#bbb", linewidth=1)
    sizes = [12 + 120 * float((bins == b).mean()) for b in filled]
    x, y = [confidence[bins == b].mean() for b in filled], [right[bins == b].mean() for b in filled]
    axes.scatter(x, y, s=sizes, color=COLOURS[2])
    axes.set_xlabel("confidence")
    axes.set_ylabel("right")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    return svg(figure)


def learning_curve(progress: Mapping[str, Any]) -> str:
    """Exact match over lessons learned from: the versions with their intervals, and the curve with its band, if any.

    progress: as trainer.progress writes it.
    """
    figure, axes = new_figure("Exact match on the exam")
    if curve := progress.get("curve"):
        along = [one["labels"] for one in curve]
        axes.fill_between(
            along,
            [one["low"] for one in curve],
            [one["high"] for one in curve],
            color=COLOURS[1],
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(along, [one["value"] for one in curve], color=COLOURS[1], linewidth=1.5, label="curve, 95 %")
    for name, colour, chosen in (("base and versions", COLOURS[2], False), ("rejected", COLOURS[0], True)):
        points = [one for one in progress["points"] if (one["decision"] == "rejected") == chosen]
        if points:
            x, y = [one["labels"] for one in points], [one["mean"] for one in points]
            ends = [[one["mean"] - one["low"] for one in points], [one["high"] - one["mean"] for one in points]]
            axes.errorbar(x, y, yerr=ends, fmt="o", markersize=4, color=colour, linewidth=1, label=name)
    axes.set_xlabel("labels learned from")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return svg(figure)


def replay_curves(found: Mapping[str, Any]) -> str:
    """Learning curves of several strategies with intervals: of all cheques, and of a long tail where there is one."""
    from matplotlib.figure import Figure

    panels = {"mean": "whole mail", "tail": "long tail"} if "labels_to_match_random_tail" in found else {"mean": "exam"}
    figure = Figure(figsize=(4.2 * len(panels), 3.4), layout="constrained")
    for axes, (what, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, curve in found["curves"].items():
            at, heights = found["labels"], [point[what] for point in curve]
            axes.plot(at, heights, color=STRATEGY[name], marker="o", markersize=3, label=name)
            if curve[0][f"{what}_low"] is not None:
                lows, highs = ([point[f"{what}_{end}"] for point in curve] for end in ("low", "high"))
                axes.fill_between(at, lows, highs, color=STRATEGY[name], alpha=0.15, linewidth=0)
        axes.set_title(f"{title}, {found['seeds']} seeds", fontsize=10)
        axes.set_xlabel("labels")
        axes.set_ylabel("exact match")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return svg(figure)


def new_figure(title: str, height: float = 3.0) -> tuple[Any, Any]:
    """(figure, axes) of one small plot; height in inches."""
    # Figure itself and not pyplot, which keeps every figure of a process until it is closed.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def svg(figure: Any) -> str:
    """The <svg> element alone, without prolog and metadata, which a page has no use for."""
    written = io.StringIO()
    figure.savefig(written, format="svg")
    text = re.sub(r"<metadata>.*?</metadata>", "", written.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :]
