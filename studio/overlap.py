"""Asks Label Studio to give some tasks to a second annotator, by its own means: a task's `overlap`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from studio.client import TASKS_A_PAGE, Studio

ANNOTATORS = 2


def ask_second(studio: Studio, project: int, wanted: Callable[[int], bool]) -> int:
    """See to it that each wanted task is served until two people have labelled it; how many were asked for now.

    The project's own "annotations per task" stays 1: above that Label Studio serves begun tasks before uncertain ones.
    Who has labelled a task is not given it again. What was asked for is not taken back. Raises StudioError.
    """
    asked = 0
    for task in studio._pages(project, [], TASKS_A_PAGE, "task_only"):
        number, people = int(task["id"]), int(task.get("overlap") or 1)
        if people < ANNOTATORS and int(task.get("total_annotations") or 0) < ANNOTATORS and wanted(number):
            # A task that one person has done counts as done until it is said that it is not.
            studio._call(partial(studio._sdk.tasks.update, str(number), overlap=ANNOTATORS, is_labeled=False))
            asked += 1
    return asked
