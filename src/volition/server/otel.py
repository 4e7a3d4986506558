"""OpenTelemetry: traces and metrics sent to a collector by OTLP, where the environment names one.

    OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.acme.example:4318 volition serve

The SDK's own variables say where to, how often, with which headers, and what is sampled. It speaks OTLP over HTTP. A
request's span says the method, the route's template and the status: no path, no query, no address, no user. Those of
background jobs are `job_spans`.
"""

import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from volition.errors import InvalidInputError, MissingExtraError
from volition.server.correlation import REQUEST, Correlation
from volition.server.figures import Figure
from volition.server.job_spans import JobSpan, parent_context
from volition.server.jobs import Job
from volition.server.metrics import Answered

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import Tracer

_NAME: Final = "volition"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOL: Final = "http/protobuf"
_SERVER_FAULT: Final = 500


class Otel:
    """What is sent; close it, so that nothing waits any more."""

    def __init__(self, *, has_traces: bool, has_metrics: bool) -> None:
        """Begin to send.

        Raises:
            MissingExtraError: The SDK is not installed.
        """
        os.environ.setdefault("OTEL_SERVICE_NAME", _NAME)
        self._tracer: Tracer | None = None
        self._meter: Meter | None = None
        self._closing: list[Callable[[], None]] = []
        try:
            if has_traces:
                self._begin_traces()
            if has_metrics:
                self._begin_metrics()
        except ModuleNotFoundError as error:
            msg = f"{_ENDPOINT} is set, and sending there needs the OpenTelemetry SDK: pip install 'volition[otel]'"
            raise MissingExtraError(msg, name=error.name) from error

    def _begin_traces(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only where it is asked for
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider(id_generator=_id_generator(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer(_NAME, version(_NAME))
        self._closing.append(provider.shutdown)

    def _begin_metrics(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - only where it is asked for
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

        provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], shutdown_on_exit=False)
        self._meter = provider.get_meter(_NAME, version(_NAME))
        self._seconds = self._meter.create_histogram(
            "http.server.request.duration", unit="s", description="How long requests took"
        )
        self._closing.append(provider.shutdown)

    def watch(self, figures: Callable[[], Iterable[Figure]]) -> None:
        """Send figures, too, read anew each time."""
        if self._meter is not None:
            names = {figure.name: figure.help for figure in figures()}
            for name, said in names.items():
                self._meter.create_observable_gauge(name, [_observed(figures, name)], description=said)

    def note(self, answered: Answered, ids: Correlation) -> None:
        """Record a request that was answered."""
        name = f"{answered.method} {answered.route}"
        attributes: dict[str, Any] = {
            "http.request.method": answered.method,
            "http.route": answered.route,
            "http.response.status_code": answered.status,
        }
        if self._meter is not None:
            self._seconds.record(answered.took_s, attributes)
        if self._tracer is not None:
            from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - only where it is installed

            named = {**attributes, "volition.request_id": ids.request}
            token = REQUEST.set(ids)  # where the span takes its ids from
            try:
                span = self._tracer.start_span(
                    name, parent_context(ids), SpanKind.SERVER, named, start_time=answered.began_ns
                )
            finally:
                REQUEST.reset(token)
            if answered.status >= _SERVER_FAULT:
                span.set_status(StatusCode.ERROR)
            span.end(answered.began_ns + round(answered.took_s * 1e9))

    def job_span(self, job: Job) -> JobSpan:
        """Begin the span of a job."""
        return JobSpan(self._tracer, job)

    def close(self) -> None:
        """Send what waits, and stop."""
        for close in self._closing:
            close()


def signals(environment: Mapping[str, str]) -> frozenset[str]:
    """Return what is to be sent, of "traces" and "metrics", as the environment says.

    Raises:
        InvalidInputError: It asks for a protocol that is not spoken.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return frozenset()
    return frozenset(signal for signal in ("traces", "metrics") if _is_sent(signal.upper(), environment))


def from_environment(environment: Mapping[str, str], *, only: Collection[str] = ("traces", "metrics")) -> Otel | None:
    """Return what sends where the environment says; none where it names no collector.

    Args:
        environment: The variables.
        only: What there is to send here.

    Raises:
        InvalidInputError: It asks for a protocol that is not spoken.
        MissingExtraError: The SDK is not installed.
    """
    sent = signals(environment).intersection(only)
    return Otel(has_traces="traces" in sent, has_metrics="metrics" in sent) if sent else None


def _is_sent(signal: str, environment: Mapping[str, str]) -> bool:
    own = f"OTEL_EXPORTER_OTLP_{signal}"
    if not (environment.get(_ENDPOINT) or environment.get(f"{own}_ENDPOINT")):
        return False
    exporter = environment.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if exporter == "none":
        return False
    if exporter != "otlp":
        msg = f'OTEL_{signal}_EXPORTER is "{exporter}", and only "otlp" and "none" are known.'
        raise InvalidInputError(msg)
    for name in (f"{own}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if protocol := environment.get(name):
            if protocol != _PROTOCOL:
                msg = (
                    f'{name} is "{protocol}", and only "{_PROTOCOL}" is spoken. Collectors listen for it on port 4318.'
                )
                raise InvalidInputError(msg)
            break
    return True


def _id_generator() -> "IdGenerator":
    """Return what gives a span the ids that its request has already: in the log, and in the answer."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - only where it is asked for

    class OfRequest(RandomIdGenerator):
        def generate_span_id(self) -> int:
            ids = REQUEST.get()
            return super().generate_span_id() if ids is None else int(ids.span, 16)

        def generate_trace_id(self) -> int:
            ids = REQUEST.get()
            return super().generate_trace_id() if ids is None else int(ids.trace, 16)

    return OfRequest()


def _observed(
    figures: Callable[[], Iterable[Figure]], name: str
) -> "Callable[[CallbackOptions], Iterable[Observation]]":
    def observe(_: "CallbackOptions") -> "Iterable[Observation]":
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - only where it is asked for

        for figure in figures():
            if figure.name == name and not math.isnan(figure.value):
                yield Observation(float(figure.value), dict([figure.label] if figure.label else []))

    return observe
