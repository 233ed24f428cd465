"""Metrics of the services: the table, and what is told of it to Prometheus."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Literal

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

#: of one metric: values by the labels' values
Values = Mapping[tuple[str, ...], float]


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of data/metrics.toml."""

    kind: Literal["counter", "gauge"]
    what: str
    labels: tuple[str, ...] = ()


@cache
def metrics() -> dict[str, Metric]:
    """The table, by name without ``polygraph_``. Raises msgspec.ValidationError when it is malformed."""
    raw = tomllib.loads(resources.files("polygraph").joinpath("data/metrics.toml").read_text("utf-8"))
    return msgspec.convert(raw, dict[str, Metric])


class _Rows(Collector):
    def __init__(self, read: Callable[[], Mapping[str, Values]]) -> None:
        self._read = read

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, values in self._read().items():
            row = metrics()[name]
            family = (CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily)(
                f"polygraph_{name}", row.what, labels=row.labels
            )
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def exposition(read: Callable[[], Mapping[str, Values]]) -> bytes:
    """What Prometheus reads. ``read`` gives values by the table's names; another name raises KeyError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(read))
    return generate_latest(registry)
