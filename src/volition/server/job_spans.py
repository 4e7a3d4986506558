"""A span for each background job, and one for each of its parts, under that of the request that asked for it.

Parts are the steps that a job keeps, and the stages of which it tells how far they are. A span says the kind of the job
and how it ended: neither what it is about nor what it gave.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from volition.server.correlation import Correlation, asking
from volition.server.jobs import Job, JobState

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer


class JobSpan:
    """The span of a job that a worker does, from now until `end`; without a tracer nothing is recorded."""

    def __init__(self, tracer: "Tracer | None", job: Job) -> None:
        """Begin it."""
        self._recorded: tuple[Tracer, Span] | None = None
        self._stage: tuple[str, Span] | None = None
        if tracer is not None:
            from opentelemetry.trace import SpanKind  # noqa: PLC0415 - only where it is asked for

            named: dict[str, str | int] = {
                "volition.run": job.id,
                "volition.job.kind": job.kind,
                "volition.job.attempt": job.attempts,
            }
            asked = parent_context(asking(job.trace))
            self._recorded = tracer, tracer.start_span(f"job {job.kind}", asked, SpanKind.CONSUMER, named)

    def stage(self, name: str) -> None:
        """Say in which stage the job is now; the one before it is over."""
        if self._recorded is not None and (self._stage is None or self._stage[0] != name):
            self._end_stage()
            self._stage = name, _child(*self._recorded, f"stage {name}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record a block as a step of the job."""
        if self._recorded is None:
            yield
            return
        span = _child(*self._recorded, f"step {name}")
        try:
            yield
        finally:
            self._end_stage()
            span.end()

    def end(self, state: JobState | None) -> None:
        """End it, in the state in which the job is then; none where it goes on elsewhere."""
        if self._recorded is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where it is asked for

        self._end_stage()
        _, span = self._recorded
        span.set_attribute("volition.job.state", "put back" if state is None else state.value)
        if state is JobState.FAILED:
            span.set_status(StatusCode.ERROR)
        span.end()

    def _end_stage(self) -> None:
        if self._stage is not None:
            self._stage[1].end()
            self._stage = None


def no_span(job: Job) -> JobSpan:
    """Begin a span of a job that is recorded nowhere."""
    return JobSpan(None, job)


def _child(tracer: "Tracer", span: "Span", name: str) -> "Span":
    from opentelemetry.context import Context  # noqa: PLC0415 - only where it is asked for
    from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

    return tracer.start_span(name, set_span_in_context(span, Context()))


def parent_context(ids: Correlation | None) -> "Context":
    """Return a context in which the span that some ids name is the parent; an empty one where there is none."""
    from opentelemetry import trace  # noqa: PLC0415 - only where it is asked for
    from opentelemetry.context import Context  # noqa: PLC0415

    if ids is None or not ids.parent:
        return Context()
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if ids.is_sampled else trace.TraceFlags.DEFAULT)
    parent = trace.SpanContext(int(ids.trace, 16), int(ids.parent, 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
