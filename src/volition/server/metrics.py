"""Metrics for Prometheus: requests by route, and the figures that an operator watches. None of them names a party."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from threading import Lock
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from volition.errors import VolitionError
from volition.server.figures import Figure

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The buckets of how long requests take, seconds: the promises of half a second and less lie on their bounds."""

FRESH_S: Final = 10.0
"""How old figures may be: to say what is owed, every training set is judged anew."""

Sources = Iterable[Callable[[], Iterable[Figure]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request that was answered.

    Attributes:
        method: Its method.
        route: The template of its path.
        status: The status of the answer.
        began_ns: When it began, nanoseconds since the Unix epoch.
        took_s: How long it took, seconds.
    """

    method: str
    route: str
    status: int
    began_ns: int
    took_s: float


class Metrics:
    """What one server counts."""

    def __init__(self, sources: Sources = (), *, fresh_s: float = FRESH_S) -> None:
        """Begin with nothing; `sources` give the figures, which are then remembered for `fresh_s`."""
        self._sources = tuple(sources)
        self._fresh_s = fresh_s
        self._reading = Lock()
        self._read: tuple[float, tuple[Figure, ...]] | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(self))
        self._requests = Counter(
            "volition_requests", "Requests that were answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "volition_request_seconds",
            "How long they took",
            ("method", "route"),
            buckets=BOUNDS_S,
            registry=self._registry,
        )
        self._waits = Histogram(
            "volition_turn_wait_seconds",
            "How long requests waited for their turn, by the kind of work",
            ("kind",),
            buckets=BOUNDS_S,
            registry=self._registry,
        )
        self._missing = Counter(
            "volition_figures_missing", "How often a source of figures could not be read", registry=self._registry
        )

    def note(self, answered: Answered) -> None:
        """Count a request."""
        self._requests.labels(answered.method, answered.route, str(answered.status)).inc()
        self._seconds.labels(answered.method, answered.route).observe(answered.took_s)

    def note_wait(self, kind: str, waited_s: float) -> None:
        """Note how long a request waited for its turn, seconds, and of which kind its work is."""
        self._waits.labels(kind).observe(waited_s)

    def figures(self) -> tuple[Figure, ...]:
        """Return the figures as they are now; those that cannot be read are missing, and counted as such."""
        with self._reading:
            now_s = time.monotonic()
            if self._read is None or now_s - self._read[0] >= self._fresh_s:
                self._read = now_s, tuple(self._all())
            return self._read[1]

    def _all(self) -> Iterator[Figure]:
        for source in self._sources:
            try:
                yield from list(source())
            except VolitionError:
                self._missing.inc()

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self._registry)


class _Figures(Collector):
    """The figures, as the client library asks for them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing beforehand: to do so, all would be read when the server starts."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, same in groupby(self._metrics.figures(), key=lambda figure: figure.name):
            figures = list(same)
            labels = [figures[0].label[0]] if figures[0].label else []
            family = GaugeMetricFamily(name, figures[0].help, labels=labels)
            for figure in figures:
                family.add_metric([figure.label[1]] if figure.label else [], figure.value)
            yield family
