"""The page's figures as Prometheus metrics: labels, corrections, seconds, versions, training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import redis
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.dashboard.figures import FigureCache, Figures
from backend.dashboard.status import loop_of
from cheques.settings import Settings
from cheques.text import FAULTS
from store.marks import Why
from store.projects import served
from worker.queue import RETRAIN


class Measures(Collector):
    """What is known at the moment of asking; no scrape waits for Label Studio."""

    def __init__(self, settings: Settings, desk: FigureCache, connection: redis.Redis) -> None:
        self._settings = settings
        self._desk = desk
        self._redis = connection

    def describe(self) -> Iterator[Metric]:
        # Without this the registry would collect at registration.
        yield from ()

    def collect(self) -> Iterator[Metric]:
        projects = served(self._settings)
        found = {project: self._desk.figures(project, 0.0) for project in projects}
        yield from measured(found)
        training = gauge("training_share", "how much of a training is done; absent while none runs", "project")
        for project in projects:
            for job in loop_of(self._redis, self._settings, project).jobs:
                if job.name == RETRAIN and job.status == "started":
                    training.add_metric([str(project)], job.share)
        yield training


def measured(found: dict[int, Figures]) -> Iterator[Metric]:
    """By project. The time saved is given only once the trial has enough cheques."""
    labels = gauge("labels", "labelled cheques", "project")
    exam = gauge("trial_cheques", "exam cheques compared, after cleaning", "project", "arm")
    corrected = gauge("corrected_labels", "labels with a corrected field", "project")
    accepted = gauge("acceptance", "share of pre-labels left as shown", "project", "field")
    worked = gauge("annotation_seconds", "annotation time on record, idle tabs at their cap", "project")
    saved = gauge("saved_seconds", "seconds saved a cheque: mean and ends of the 95 % interval", "project", "end")
    dropped = gauge("dropped_annotations", "annotations left out of the comparison", "project", "reason")
    planted = gauge("planted_errors", "planted errors shown to people", "project", "outcome")
    unusable = gauge("unusable_labels", "labels that cannot be used as they are, by why", "project", "reason")
    unread = gauge("unreadable_images", "tasks whose cheque cannot be read, by why", "project", "reason")
    skipped = gauge("skipped_cheques", "cheques that every annotator skipped", "project")
    disputed = gauge("disputed_cheques", "cheques on which annotators disagree", "project")
    versions = gauge("versions", "trained versions", "project", "decision")
    exact = gauge("exact_match", "mean exact match on the exam", "project", "version")
    for project, figures in found.items():
        name, savings = str(project), figures.savings
        labels.add_metric([name], figures.labels)
        corrected.add_metric([name], figures.corrected)
        exam.add_metric([name, "blind"], savings.blind)
        exam.add_metric([name, "prelabel"], savings.prelabel)
        for field, rate in savings.acceptance.items():
            accepted.add_metric([name, field], rate)
        for reason, count in savings.dropped.items():
            dropped.add_metric([name, reason], count)
        seen = figures.caught.overall
        planted.add_metric([name, "corrected"], seen.count)
        planted.add_metric([name, "left"], seen.n - seen.count)
        faults = Counter(str(fault) for one in figures.left_out.faulty for fault in {*one.faults.values()})
        # Zeros too: an alert on growth needs the value before the first one.
        for fault in FAULTS:
            unusable.add_metric([name, fault], faults[fault])
        reasons = Counter(one.why for one in figures.unread)
        for why in get_args(Why):
            unread.add_metric([name, why.replace(" ", "_")], reasons[why])
        skipped.add_metric([name], len(figures.left_out.skipped))
        disputed.add_metric([name], len(figures.left_out.disputed))
        if savings.hours:
            worked.add_metric([name], 3600 * savings.hours.worked)
        if savings.effect and savings.verdict.enough:
            seconds = savings.effect.seconds
            for end, value in (("mean", seconds.value), ("low", seconds.low), ("high", seconds.high)):
                saved.add_metric([name, end], value)
        decisions = [version.decision for version in figures.history.versions]
        for decision in sorted(set(decisions)):
            versions.add_metric([name, decision], decisions.count(decision))
        for version in figures.history.versions:
            if version.mean is not None:
                exact.add_metric([name, version.name], version.mean)
    yield from (labels, exam, corrected, accepted, worked, saved, dropped, planted, versions, exact)
    yield from (unusable, unread, skipped, disputed)


def gauge(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    """A metric of Chequemate, without samples so far."""
    return GaugeMetricFamily(f"chequemate_{name}", help, labels=labels)
