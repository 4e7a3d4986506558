"""Traces and metrics reach a real receiver by OTLP over HTTP, and say nothing of a person."""

import gzip
import os
import subprocess
import sys
import threading
from contextlib import closing, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from volition.errors import InvalidInputError
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.jobs import Jobs
from volition.server.otel import from_environment
from volition.server.worker import Worker

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector():
    """Take OTLP as a collector does; yield what came."""
    came = SimpleNamespace(traces=[], metrics=[], headers=[], raw=b"")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            came.headers.append(dict(self.headers))
            came.raw += body
            if self.path == "/v1/traces":
                came.traces.append(ExportTraceServiceRequest.FromString(body))
            elif self.path == "/v1/metrics":
                came.metrics.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    receiving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=receiving.serve_forever, daemon=True)
    thread.start()
    came.url = f"http://127.0.0.1:{receiving.server_port}"
    yield came
    receiving.shutdown()
    receiving.server_close()
    thread.join()


@pytest.fixture
def environment(monkeypatch, collector):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "privacy-centre")


def ask(world):
    server = Server(world, has_worker=False)
    _, secret = server.access.tokens.issue("demo-operator", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
    client = TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})
    parent = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    answers = [client.get("/v1/models/Kanarienvogel/findings?q=Kanarienvogel", headers=parent), client.get("/sign-in")]
    server.close()
    return answers


def spans_of(collector):
    """Return what came, by name."""
    return {
        span.name: span
        for request in collector.traces
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def said_of(span):
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_spans_have_the_ids_of_their_requests_and_their_clients_as_parents(world, environment, collector):
    first, second = ask(world)
    spans = spans_of(collector)
    model, page = spans["GET /v1/models/{model}/findings"], spans["GET /sign-in"]
    assert (model.trace_id.hex(), model.parent_span_id.hex()) == (TRACE, SPAN)
    assert first.headers["traceresponse"].split("-")[1:3] == [model.trace_id.hex(), model.span_id.hex()]
    assert second.headers["traceresponse"].split("-")[1:3] == [page.trace_id.hex(), page.span_id.hex()]
    assert page.parent_span_id == b""
    assert model.end_time_unix_nano >= model.start_time_unix_nano > 0
    told = said_of(model)
    assert told.pop("volition.request_id") == first.headers["x-request-id"]
    assert told == {
        "http.request.method": "GET",
        "http.route": "/v1/models/{model}/findings",
        "http.response.status_code": 400,
    }
    assert b"Kanarienvogel" not in collector.raw
    assert {headers["x-tenant"] for headers in collector.headers} == {"acme"}


def test_a_job_has_a_span_below_the_request_that_asked_for_it_and_one_for_each_part(world, environment, collector):
    """It is another process that does the job, as `volition worker` does."""
    server = Server(world, has_worker=False)
    _, secret = server.access.tokens.issue("demo-engineer", name="t", roles=[Role.ENGINEER], scopes=list(Scope))
    client = TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})
    asked = client.post("/v1/runs", json={"family": "recommend"}, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    server.jobs.start("dream", "Kanarienvogel", by="schedule")
    server.close()

    def train(_, run):
        run.step("snapshot", lambda: run.progress("reading", 1, 2) or "one")
        run.progress("learning", 1, 2)
        run.progress("learning", 2, 2)
        return "Kanarienvogel"

    otel = from_environment(os.environ, only=["traces"])
    with closing(Jobs(world)) as jobs:
        worker = Worker(jobs, SimpleNamespace(borrow=nullcontext), kinds={"train": train}, spans=otel.job_span)
        assert worker.do_next()
        assert worker.do_next()
    otel.close()
    spans = spans_of(collector)
    job, dream = spans["job train"], spans["job dream"]
    request = asked.headers["traceresponse"].split("-")[2]
    assert (job.trace_id.hex(), job.parent_span_id.hex()) == (TRACE, request)
    assert request == spans["POST /v1/runs"].span_id.hex()
    for part in ("step snapshot", "stage reading", "stage learning"):
        assert (spans[part].trace_id, spans[part].parent_span_id) == (job.trace_id, job.span_id)
        assert job.start_time_unix_nano <= spans[part].start_time_unix_nano
        assert spans[part].end_time_unix_nano <= job.end_time_unix_nano
    assert said_of(job) == {
        "volition.run": asked.json()["run"],
        "volition.job.kind": "train",
        "volition.job.attempt": 1,
        "volition.job.state": "done",
    }
    assert dream.parent_span_id == b""
    assert (said_of(dream)["volition.job.state"], dream.status.code) == ("failed", 2)
    assert b"Kanarienvogel" not in collector.raw


def test_metrics_have_requests_by_route_and_what_an_operator_watches(world, environment, collector):
    ask(world)
    found = {
        metric.name: metric
        for request in collector.metrics
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    [resource, *_] = [one.resource for request in collector.metrics for one in request.resource_metrics]
    assert "privacy-centre" in {one.value.string_value for one in resource.attributes}
    points = found["http.server.request.duration"].histogram.data_points
    assert {one.count for one in points} == {1}
    assert found["volition_ledger_entries"].gauge.data_points[0].as_double > 0
    states = {one.attributes[0].value.string_value for one in found["volition_jobs"].gauge.data_points}
    assert {"waiting", "failed"} <= states
    assert "volition_forgetting_days_left" not in found  # nothing is owed, so nothing is said


def test_a_signal_that_is_not_wanted_is_not_sent(world, environment, collector, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    ask(world)
    assert collector.traces == []
    assert collector.metrics


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"},
    ],
)
def test_nothing_is_sent_where_nobody_asks_for_it(environment):
    assert from_environment(environment) is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, 'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc", and only "http/protobuf"'),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, 'OTEL_TRACES_EXPORTER is "zipkin", and only "otlp" and "none"'),
    ],
)
def test_what_is_not_spoken_is_refused_at_the_start(more, said):
    with pytest.raises(InvalidInputError, match=said):
        from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **more})


@pytest.mark.slow
def test_without_the_sdk_the_start_says_what_to_install():
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from volition.server.otel import from_environment\n"
        "from volition.errors import MissingExtraError\n"
        "try: from_environment({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'})\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'volition[otel]'" in done.stdout
