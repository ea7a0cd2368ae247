"""Logs and metrics.

Every process counts into a :class:`Tally` of its own; the workers add theirs to the store once a second, and
the API shows the sum, so that one scrape of any API process covers all workers on all machines.
"""

from __future__ import annotations

import json
import logging
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
LONG_SECONDS: Final = (*SECONDS, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)


class MetricKind(StrEnum):
    """How a metric is shown."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: its kind, help text, labels in order, and a histogram's bounds in seconds."""

    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


METRICS: Final[Mapping[str, Definition]] = {
    "notifier_observations_total": Definition(
        MetricKind.COUNTER, "Questions to X, by call and result.", ("source", "result")
    ),
    "notifier_unknown_states_total": Definition(
        MetricKind.COUNTER, "Sightings of Spaces in a state that we do not know, by X's word.", ("state",)
    ),
    "notifier_events_total": Definition(MetricKind.COUNTER, "Events committed.", ("type",)),
    "notifier_attempts_total": Definition(MetricKind.COUNTER, "Attempts at deliveries.", ("outcome",)),
    "notifier_attempt_seconds": Definition(MetricKind.HISTOGRAM, "How long an attempt took.", (), SECONDS),
    "notifier_detect_to_delivered_seconds": Definition(
        MetricKind.HISTOGRAM, "From the commit of an event to its delivery.", (), LONG_SECONDS
    ),
    "notifier_detection_lag_seconds": Definition(
        MetricKind.HISTOGRAM, "From when X says that it happened to when it was seen.", (), LONG_SECONDS
    ),
    "notifier_deliveries_pending": Definition(MetricKind.GAUGE, "Deliveries due or under way."),
    "notifier_oldest_due_seconds": Definition(MetricKind.GAUGE, "Age of the delivery that waits longest."),
    "notifier_x_requests_remaining": Definition(
        MetricKind.GAUGE, "Requests that X still grants in the window.", ("bucket",)
    ),
    "notifier_x_cost_usd_total": Definition(MetricKind.COUNTER, "US dollars that X has billed, as we count."),
    "notifier_endpoints": Definition(MetricKind.GAUGE, "Endpoints.", ("status",)),
}


class Tally:
    """What this process has counted since it last handed it over."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, float] = defaultdict(float)

    def count(self, metric: str, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        self._counts[_series(metric, labels)] += by

    def observe(self, metric: str, seconds: float) -> None:
        """Add a value to a histogram."""
        bounds = METRICS[metric].bounds
        place = bisect_left(bounds, seconds)
        self._counts[_series(metric, (str(bounds[place]) if place < len(bounds) else "+Inf",))] += 1
        self._counts[_series(metric, ("sum",))] += seconds

    def take(self) -> dict[str, float]:
        """Hand over what was counted and begin anew."""
        counts, self._counts = dict(self._counts), defaultdict(float)
        return counts

    def give_back(self, counts: Mapping[str, float]) -> None:
        """Take back what could not be handed over."""
        for series, count in counts.items():
            self._counts[series] += count


@cache
def _series(metric: str, labels: tuple[str, ...]) -> str:
    return "|".join((metric, *labels))


def render(counts: Mapping[str, float], gauges: Mapping[str, float]) -> bytes:
    """Write all metrics in Prometheus' text format; the names of series are those of :class:`Tally`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot({**counts, **gauges}))
    return generate_latest(registry)


class _Snapshot(Collector):
    """The figures of one scrape."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        self._by_metric: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        for series, figure in figures.items():
            metric, *labels = series.split("|")
            self._by_metric[metric][tuple(labels)] = figure

    def collect(self) -> Iterable[Metric]:
        for name, definition in METRICS.items():
            figures = self._by_metric.get(name, {})
            if definition.kind is MetricKind.HISTOGRAM:
                yield _histogram(name, definition, figures)
                continue
            family = GaugeMetricFamily if definition.kind is MetricKind.GAUGE else CounterMetricFamily
            metric = family(name, definition.help, labels=definition.labels)
            for labels, figure in sorted(figures.items()):
                metric.add_metric(labels, figure)
            yield metric


def _histogram(
    name: str, definition: Definition, figures: Mapping[tuple[str, ...], float]
) -> HistogramMetricFamily:
    total, buckets = 0.0, []
    for bound in (*map(str, definition.bounds), "+Inf"):
        total += figures.get((bound,), 0)
        buckets.append((bound, total))
    return HistogramMetricFamily(name, definition.help, buckets=buckets, sum_value=figures.get(("sum",), 0))


def configure_logging(log_format: str, level: str) -> None:
    """Set up structlog and the standard library's loggers to write lines to standard error.

    Args:
        log_format: ``console`` for people, ``json`` for machines.
        level: The lowest level shown, by its standard name.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Python's own traceback, in both formats: the renderer for people would print the variables of every
        # frame, and secrets are among them.
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_to_json)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # arq tells of every job and aiohttp of every request; our own lines say what matters of both.
    for noisy in ("arq", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


ENCODER: Final = json.JSONEncoder(default=repr)
"""One for all lines: json.dumps with a default would make a new one for each."""


def _to_json(line: object, **_options: object) -> str:
    return ENCODER.encode(line)
