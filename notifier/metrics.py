"""Metrics: one row each, used for counting and for scrapes.

Every process counts in its own :class:`Tally`; the workers add theirs to the store once a second, and the API
shows the sum, so that one scrape of any API process covers all workers on all machines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVarTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from notifier.core.delivery.endpoint import EndpointStatus
from notifier.core.delivery.outcome import OutcomeKind
from notifier.core.events.event import EventType
from notifier.core.model.observation import Call

Labels = TypeVarTuple("Labels")
Figures: TypeAlias = Mapping[tuple[str, ...], float]
"""The values of one metric by its labels."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
LONG_SECONDS: Final = (*SECONDS, 60.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
SEPARATOR: Final = "|"
SUM: Final = "sum"
INFINITE: Final = "+Inf"

METRICS: Final[dict[str, Metric]] = {}
"""Every metric by its name, in the order in which they are shown."""


class Metric(ABC):
    """A metric with its name, description and labels.

    Creating one registers it.

    Raises:
        ValueError: The name is taken.
    """

    def __init__(self, name: str, description: str, *labels: str) -> None:
        if name in METRICS:
            raise ValueError(f"there is already a metric {name}")
        self.name = name
        self.description = description
        self.labels = labels
        METRICS[name] = self

    def read(self, counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
        """Return this metric's values by their labels.

        Args:
            counts: The values of all metrics, by series.
        """
        # A label's value may contain the separator, because it can be a text from X.
        return {
            tuple(labels): value
            for series, value in counts.items()
            for name, *labels in [series.split(SEPARATOR, max(len(self.labels), 1))]
            if name == self.name
        }

    @abstractmethod
    def family(self, figures: Figures) -> Family:
        """Return the metric as a family of the Prometheus client."""


class _Labelled(Metric, Generic[*Labels]):
    """One value for each combination of labels. The type parameters are the types of the labels."""

    def series(self, *labels: *Labels) -> str:
        """Return the name of the value with these labels."""
        return _series(self, *labels)


class Counter(_Labelled[*Labels]):
    """A value that only grows."""

    def family(self, figures: Figures) -> Family:
        """Return the metric as a family of the Prometheus client."""
        return _filled(CounterMetricFamily(self.name, self.description, labels=self.labels), figures)


class Gauge(_Labelled[*Labels]):
    """A value that goes up and down, measured at each scrape."""

    def family(self, figures: Figures) -> Family:
        """Return the metric as a family of the Prometheus client."""
        return _filled(GaugeMetricFamily(self.name, self.description, labels=self.labels), figures)


class Durations(NamedTuple):
    """The number of durations, and their sum in seconds."""

    number: int
    seconds: float


class Histogram(Metric):
    """The distribution of durations; ``bounds`` are the upper bounds of its buckets, in seconds."""

    def __init__(self, name: str, description: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, description)
        self.bounds = bounds
        self.sum_series = SEPARATOR.join((name, SUM))
        self._buckets = [SEPARATOR.join((name, bound)) for bound in (*map(str, bounds), INFINITE)]

    def bucket_of(self, seconds: float) -> str:
        """Return the series of the bucket that a duration falls into."""
        return self._buckets[bisect_left(self.bounds, seconds)]

    def total(self, counts: Mapping[str, float]) -> Durations:
        """Return all durations together; ``counts`` holds the values of all metrics, by series."""
        figures = self.read(counts)
        seconds = figures.pop((SUM,), 0.0)
        return Durations(int(sum(figures.values())), seconds)

    def family(self, figures: Figures) -> Family:
        """Return the metric as a family of the Prometheus client, with cumulative buckets."""
        total, buckets = 0.0, []
        for bound in (*map(str, self.bounds), INFINITE):
            total += figures.get((bound,), 0)
            buckets.append((bound, total))
        return HistogramMetricFamily(
            self.name, self.description, buckets=buckets, sum_value=figures.get((SUM,), 0)
        )


OBSERVATIONS = Counter[Call, str](
    "notifier_observations_total", "Questions to X, by call and result.", "source", "result"
)
UNKNOWN_STATES = Counter[str](
    "notifier_unknown_states_total", "Sightings of Spaces in an unknown state, by state.", "state"
)
EVENTS = Counter[EventType]("notifier_events_total", "Events committed.", "type")
ATTEMPTS = Counter[OutcomeKind]("notifier_attempts_total", "Delivery attempts.", "outcome")
ATTEMPT_SECONDS = Histogram("notifier_attempt_seconds", "Duration of an attempt.", SECONDS)
DETECT_TO_DELIVERED_SECONDS = Histogram(
    "notifier_detect_to_delivered_seconds", "From the commit of an event to its delivery.", LONG_SECONDS
)
DETECTION_LAG_SECONDS = Histogram(
    "notifier_detection_lag_seconds", "From X's time of a change to its observation.", LONG_SECONDS
)
DELIVERIES_PENDING = Gauge[()]("notifier_deliveries_pending", "Deliveries due or in flight.")
OLDEST_DUE_SECONDS = Gauge[()]("notifier_oldest_due_seconds", "Age of the longest waiting delivery.")
X_REQUESTS_REMAINING = Gauge[Call](
    "notifier_x_requests_remaining", "Requests left in X's rate window.", "bucket"
)
X_COST_USD = Counter[()]("notifier_x_cost_usd_total", "US dollars that X has billed, by our count.")
ENDPOINTS = Gauge[EndpointStatus]("notifier_endpoints", "Endpoints.", "status")


class Tally:
    """What this process has counted since its last report."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, float] = defaultdict(float)

    def count(self, counter: Counter[*Labels], *labels: *Labels, by: float = 1) -> None:
        """Add to a counter."""
        self._counts[counter.series(*labels)] += by

    def observe(self, histogram: Histogram, seconds: float) -> None:
        """Add a duration to a histogram."""
        self._counts[histogram.bucket_of(seconds)] += 1
        self._counts[histogram.sum_series] += seconds

    def take(self) -> dict[str, float]:
        """Return what was counted, by series, and reset it."""
        counts, self._counts = dict(self._counts), defaultdict(float)
        return counts

    def give_back(self, counts: Mapping[str, float]) -> None:
        """Add back counts that could not be reported."""
        for series, count in counts.items():
            self._counts[series] += count


def render(counts: Mapping[str, float], gauges: Mapping[str, float]) -> bytes:
    """Return all metrics in Prometheus' text format; both arguments hold values by series."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot({**counts, **gauges}))
    return generate_latest(registry)


class _Snapshot(Collector):
    """The values of one scrape."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def collect(self) -> Iterable[Family]:
        return [metric.family(metric.read(self._values)) for metric in METRICS.values()]


@cache
def _series(metric: Metric, *labels: object) -> str:
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}")
    return SEPARATOR.join((metric.name, *map(str, labels)))


def _filled(family: CounterMetricFamily | GaugeMetricFamily, figures: Figures) -> Family:
    for labels, value in sorted(figures.items()):
        family.add_metric(labels, value)
    return family
