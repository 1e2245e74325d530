"""Prometheus metrics of one service: a registry of its own, so that two services in one process don't mix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 80)

Gauges = Mapping[str, Mapping[str, float]]
"""Values by gauge name, then by label value ("" for a gauge without labels)."""


class Metrics:
    """What is counted as it happens, and gauges that are read when somebody asks."""

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self.registry = CollectorRegistry()
        self.stages = Histogram(
            "sam2_stage_seconds",
            "Time in each stage of a request",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.requests = Counter(
            "sam2_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.registry.register(_Live(gauges))

    def observe(self, route: str, status: int, stages: Mapping[str, float]) -> None:
        self.requests.labels(route, str(status)).inc()
        for name, seconds in stages.items():
            self.stages.labels(name).observe(seconds)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)


class _Live(Collector):
    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for name, values in self._gauges().items():
            family = GaugeMetricFamily(f"sam2_{name}", name.replace("_", " "), labels=["kind"])
            for label, value in values.items():
                family.add_metric([label], value)
            yield family
