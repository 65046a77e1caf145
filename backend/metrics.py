"""What Prometheus may ask of the backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import redis
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.queue import QUEUES, labels_key, queues

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """What this process has counted, and what is looked up when Prometheus asks."""

    def __init__(self, connection: redis.Redis, champions: Callable[[], dict[int, str]]) -> None:
        self._registry = CollectorRegistry()
        self.seconds = Histogram(
            "chequemate_request_seconds", "time to answer", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.answered = Counter(
            "chequemate_cheques", "cheques answered, by how", ["project", "how"], registry=self._registry
        )
        self.events = Counter(
            "chequemate_webhook_events", "events of Label Studio", ["project", "action"], registry=self._registry
        )
        self._registry.register(_LookedUp(connection, champions))

    def add(self, collector: Collector) -> None:
        """Let another part of the backend answer too."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


class _LookedUp(Collector):
    """Queue lengths, labels waiting and champions, each time Prometheus asks."""

    def __init__(self, connection: redis.Redis, champions: Callable[[], dict[int, str]]) -> None:
        self._connection = connection
        self._champions = champions

    def describe(self) -> Iterator[Metric]:
        # Without this the registry would collect, and ask Redis, at registration.
        yield from ()

    def collect(self) -> Iterator[Metric]:
        champions = self._champions()
        champion = GaugeMetricFamily("chequemate_champion", "the version in service", labels=["project", "version"])
        for project, version in champions.items():
            champion.add_metric([str(project), version], 1)
        yield champion
        up = GaugeMetricFamily("chequemate_redis_up", "does Redis answer?")
        length = GaugeMetricFamily("chequemate_queue_length", "jobs that wait or run", labels=["queue", "state"])
        waiting = GaugeMetricFamily("chequemate_labels_waiting", "labels since the last count", labels=["project"])
        try:
            for queue in queues(self._connection, QUEUES):
                length.add_metric([queue.name, "queued"], queue.count)
                length.add_metric([queue.name, "started"], self._connection.zcard(queue.started_job_registry.key))
                length.add_metric([queue.name, "failed"], self._connection.zcard(queue.failed_job_registry.key))
            for project in champions:
                waiting.add_metric([str(project)], self._connection.scard(labels_key(project)))
            up.add_metric([], 1)
        except redis.RedisError:
            # The other metrics are given all the same.
            up.add_metric([], 0)
        yield from (up, length, waiting)
