"""Each request has ids, taken from its client where they are valid, and is counted by its route; who may see the figures."""

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from test_logs import lines, log  # noqa: F401 - a fixture

from volition.errors import BackendError
from volition.server.app import Server
from volition.server.auth import STAFF, Role, Scope
from volition.server.correlation import correlated
from volition.server.figures import Figure
from volition.server.metrics import Metrics

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def server(world):
    server = Server(world, has_worker=False)
    yield server
    server.close()


def asking(server, role=Role.OPERATOR, user=None, scopes=tuple(Scope)):
    _, secret = server.access.tokens.issue(user or f"demo-{role}", name="t", roles=[role], scopes=list(scopes))
    return TestClient(server, base_url="http://api.example", headers={"authorization": f"Bearer {secret}"})


def visiting(server, role):
    client = TestClient(server, base_url="http://centre.example", headers={"sec-fetch-site": "same-origin"})
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def figures(text):
    return {
        (one.name, *sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


# --- ids ---


def test_a_request_goes_on_with_its_clients_trace_and_says_so(server):
    answer = TestClient(server).get("/healthz", headers={"traceparent": PARENT, "x-request-id": "0F3a-77c1beef"})
    assert answer.headers["x-request-id"] == "0F3a-77c1beef"
    version, trace, span, flags = answer.headers["traceresponse"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert re.fullmatch(r"[0-9a-f]{16}", span)
    assert span != SPAN


@pytest.mark.parametrize("path", ["/sign-in", "/nowhere", "/v1/models", "/v1/nowhere", "/static/app.css"])
def test_every_answer_has_ids_of_its_own(server, path):
    client = TestClient(server)
    first, second = client.get(path).headers, client.get(path).headers
    assert first["x-request-id"] != second["x-request-id"]
    assert first["traceresponse"] != second["traceresponse"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hello",
        PARENT.upper().encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"{PARENT}-more".encode(),
        f"00-{TRACE}-{SPAN}".encode(),
        b"\xff" * 55,
        b"0" * 100_000,
    ],
)
def test_what_is_no_traceparent_begins_a_new_trace(value):
    ids = correlated([(b"traceparent", value)])
    assert ids.parent == ""
    assert ids.trace != TRACE


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known():
    ids = correlated([(b"traceparent", f"01-{TRACE}-{SPAN}-00-more".encode())])
    assert (ids.trace, ids.parent, ids.is_sampled) == (TRACE, SPAN, False)


@pytest.mark.parametrize("value", [b"ada@acme.example", b"Ada Byron", b"short", b"f" * 65, b"\xff\x00\n"])
def test_a_request_id_that_could_be_somebodys_name_is_not_taken(value):
    assert re.fullmatch(r"[0-9a-f]{32}", correlated([(b"x-request-id", value)]).request)


def test_the_line_of_a_request_has_its_ids_and_its_route_and_not_its_path(world, log):  # noqa: F811
    (world / "server.toml").write_text("[log]\nrequests = true\n")
    stream = log(level="info")
    server = Server(world, has_worker=False)
    asking(server).get("/v1/models/secret-name/findings", headers={"traceparent": PARENT})
    server.close()
    [line] = [one for one in lines(stream) if one["logger"] == "volition.server.observing"]
    assert (line["route"], line["status"], line["trace_id"]) == ("/v1/models/{model}/findings", 400, TRACE)
    assert line["seconds"] >= 0
    assert "secret-name" not in json.dumps(line)


def test_without_the_setting_a_request_has_no_line(server, log):  # noqa: F811
    stream = log(level="info")
    asking(server).get("/v1/models")
    assert stream.getvalue() == ""


# --- figures ---


def test_figures_are_for_staff_alone_since_a_count_that_grows_dates_a_decision(server):
    assert TestClient(server).get("/metrics").status_code == 401
    for role in (Role.PERSON, Role.ADMINISTRATOR):
        assert asking(server, role).get("/metrics").status_code == 403
    assert asking(server, Role.PERSON, "demo-stranger").get("/metrics").status_code == 403
    assert visiting(server, Role.GUEST).get("/metrics").status_code == 403
    assert asking(server, scopes=[Scope.MAY]).get("/metrics").status_code == 403
    for role in STAFF:
        assert asking(server, role).get("/metrics").status_code == 200


def test_requests_are_counted_by_method_route_and_status_pages_and_api_alike(server):
    client = asking(server)
    client.get("/v1/models/a-b/findings")
    client.get("/v1/models/c-d/findings")
    visiting(server, Role.PERSON).get("/settings")
    for path in ("/nowhere", "/v1/nowhere", "/static/nowhere", "/static/app.css"):
        TestClient(server).get(path)
    found = figures(client.get("/metrics").text)

    def count(route, status, name="volition_requests_total"):
        return found.get((name, ("method", "GET"), ("route", route), ("status", status)))

    assert count("/v1/models/{model}/findings", "400") == 2
    assert count("/settings", "200") == 1
    assert count("(none)", "404") == 2
    assert (count("/static", "200"), count("/static", "404")) == (1, 1)
    assert found["volition_request_seconds_count", ("method", "GET"), ("route", "/v1/models/{model}/findings")] == 2


def test_a_method_that_is_none_makes_no_figure_of_its_own(server):
    TestClient(server).request("BREW", "/v1/models")
    text = asking(server).get("/metrics").text
    assert "BREW" not in text
    assert 'method="(other)"' in text


def test_what_is_owed_and_what_waits_has_figures(server):
    server.jobs.start("train", "search", by="engineer")
    found = figures(asking(server).get("/metrics").text)
    with server.workspaces.borrow() as workspace:
        assert found["volition_ledger_entries",] == workspace.ledger.size > 0
    assert found["volition_jobs", ("state", "waiting")] == 1
    assert found["volition_jobs", ("state", "running")] == 0
    assert found["volition_job_longest_wait_seconds",] > 0
    assert found["volition_worker_alive",] == 0
    assert found["volition_forgettings_owed",] == found["volition_forgettings_overdue",] == 0
    assert found["volition_mails", ("state", "waiting")] == 0
    assert found["volition_telemetry_buffered_records",] == 0
    assert {"volition_forgetting_due_timestamp_seconds", "volition_lake_small_files"} <= {name for name, *_ in found}


def test_figures_that_cannot_be_read_are_missing_and_never_nought(server):
    def broken():
        raise BackendError("lost")

    metrics = Metrics([broken, lambda: [Figure(name="volition_other", help="h", value=3)]], fresh_s=0)
    assert [one.name for one in metrics.figures()] == ["volition_other"]
    assert figures(metrics.text().decode())["volition_figures_missing_total",] >= 1


def test_figures_are_remembered_for_a_while():
    asked = []

    def counted():
        asked.append(1)
        return [Figure(name="volition_asked", help="h", value=len(asked))]

    metrics = Metrics([counted], fresh_s=3600)
    assert metrics.text() == metrics.text()
    assert len(asked) == 1


def test_readiness_says_nothing_that_grows(server):
    assert TestClient(server).get("/readyz").json() == {"status": "ok"}
