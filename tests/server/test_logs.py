"""The log says what an operator needs and nothing about a person, at any level, in errors and tracebacks, too."""

import io
import json
import logging
import re
import sqlite3
import sys
import threading

import pytest
from starlette.testclient import TestClient

from volition.errors import BackendError, DamagedError, InvalidInputError
from volition.server.app import Server
from volition.server.auth import Role, Scope
from volition.server.correlation import during_run
from volition.server.jobs import JobState
from volition.server.logs import set_up_logging
from volition.server.repeating import Repeating
from volition.server.settings import LOG_FORMS, LOG_LEVELS, LogSettings
from volition.server.worker import Worker
from volition.workspace.pool import Workspaces
from waiting import until

CANARY = "Kanarienvogel"
PASSWORD = f"correct horse {CANARY} staple"
_log = logging.getLogger("volition.test")


@pytest.fixture
def log():
    """Return a function that sets the log up and returns where it writes; afterwards all is as it was."""
    root, hooks = logging.getLogger(), (threading.excepthook, sys.unraisablehook)
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", "volition", "uvicorn")}

    def set_up(form="json", level="debug", **more):
        stream = io.StringIO()
        set_up_logging(LogSettings(form=form, level=level, **more), stream=stream)
        return stream

    yield set_up
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    threading.excepthook, sys.unraisablehook = hooks


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def raised(error, cause=None):
    try:
        raise error from cause
    except type(error) as caught:
        return caught


# --- what a line has ---


def test_a_line_is_one_json_object_with_its_time_level_place_and_run(log):
    stream = log()
    with during_run("run-1"):
        _log.warning("The job %s failed\nbadly", "run-1")
    [line] = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    message = "The job run-1 failed badly"
    assert line == {"level": "warning", "logger": "volition.test", "message": message, "run_id": "run-1"}


def test_for_people_a_line_is_text(log):
    stream = log(form="text")
    _log.error("Nothing works", exc_info=raised(RuntimeError("x")))
    first, error, place = stream.getvalue().splitlines()
    assert first.endswith("ERROR volition.test: Nothing works")
    assert error.startswith("    RuntimeError (tests/server/test_logs.py:")
    assert place.endswith(" raised")


def test_the_level_holds_back_what_lies_below_it(log):
    stream = log(level="error")
    _log.warning("not this")
    _log.error("this")
    assert [line["message"] for line in lines(stream)] == ["this"]


def test_an_error_has_its_class_its_causes_and_its_places_without_its_words(log):
    stream = log()
    cause = raised(sqlite3.IntegrityError(CANARY))
    _log.error("It failed: %s", InvalidInputError(CANARY), exc_info=raised(BackendError(CANARY), cause))
    [line] = lines(stream)
    assert line["message"] == "It failed: InvalidInputError"
    assert [one.partition(" (")[0] for one in line["error"] if "(" in one] == ["BackendError", "IntegrityError"]
    assert CANARY not in stream.getvalue()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DamagedError("lake/3.parquet is damaged"), "DamagedError: lake/3.parquet is damaged"),
        (OSError(28, "No space", CANARY), "OSError ENOSPC"),
        (KeyError(CANARY), "KeyError"),
    ],
)
def test_of_errors_that_name_files_alone_the_words_are_kept(log, error, told):
    stream = log()
    _log.warning("%s", error)
    assert [line["message"] for line in lines(stream)] == [told]


def test_what_other_packages_say_is_left_out_but_its_place_is_told(log):
    stream = log()
    logging.getLogger("httpx2").info("GET /people/%s", CANARY)  # below what is written of others
    logging.getLogger("asyncio").error("Task of %s", CANARY, exc_info=raised(ValueError(CANARY)))
    [line] = lines(stream)
    assert line["message"].startswith("a message of another package, left out (test_logs.py:")
    assert CANARY not in stream.getvalue()


def test_a_line_that_cannot_be_written_does_not_print_what_it_was_to_hold(log, capsys):
    stream = log()
    _log.error("%d", CANARY)
    assert stream.getvalue().startswith("A line of volition.test could not be written (test_logs.py:")
    assert CANARY not in stream.getvalue() + "".join(capsys.readouterr())


def test_a_thread_that_ends_by_a_fault_is_logged(log, capsys):
    def fail():
        raise RuntimeError(CANARY)

    stream = log()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert lines(stream)[0]["error"][0].startswith("RuntimeError")
    assert CANARY not in stream.getvalue() + "".join(capsys.readouterr())


# --- the whole road ---


def walk(server, monkeypatch):
    """Go every way on which names, addresses, texts, passwords and tokens come in, and let things fail on each."""
    access = server.access
    with server.workspaces.borrow() as workspace:
        workspace.people.add_person(
            CANARY.lower(), account="acme", name=CANARY, aliases=[f"{CANARY} K"], emails=[f"{CANARY}@acme.example"]
        )
    access.users.add(CANARY, roles=[Role.PERSON], name=CANARY, account="acme", person=CANARY.lower(), password=PASSWORD)
    link = access.links.make_guest_link(person=CANARY.lower(), account="acme")
    _, token = access.tokens.issue("demo-operator", name=CANARY, roles=[Role.OPERATOR], scopes=list(Scope))
    secrets = [CANARY, CANARY.lower(), PASSWORD, token, link]
    page = TestClient(
        server,
        base_url="http://centre.example",
        headers={"sec-fetch-site": "same-origin", "x-request-id": CANARY},
        raise_server_exceptions=False,
    )
    for password in (f"wrong {CANARY}", PASSWORD):
        page.post("/sign-in", data={"user": CANARY, "password": password, "next": f"/{CANARY}"})
    secrets += list(page.cookies.values())
    assert page.get("/settings").status_code == 200
    for path in (f"/search?q={CANARY}", f"/{CANARY}", f"/guest/{link}", f"/guest/{CANARY}", f"/meetings/{CANARY}"):
        page.get(path)
    api = TestClient(server, base_url="http://api.example", raise_server_exceptions=False)
    for bearer in (token, CANARY):
        api.headers["authorization"] = f"Bearer {bearer}"
        api.get(f"/v1/people/{CANARY}")
        api.post("/v1/may", json={"purpose": CANARY, "account": CANARY, "people": [CANARY], "category": CANARY})
        api.post("/v1/decisions", json={"party": f"person:{CANARY}", "answer": CANARY})
        api.post("/v1/logs", content=CANARY, headers={"content-type": "application/json"})

    def broken(*_, **__):
        raise RuntimeError(CANARY) from KeyError(CANARY)

    with monkeypatch.context() as patch:
        patch.setattr(Workspaces, "borrow", broken)
        api.headers["authorization"] = f"Bearer {token}"
        assert page.get("/settings").status_code == 500
        assert api.get("/v1/models").status_code == 500
    return secrets


def do_a_job_that_fails(server):
    def work(_, __):
        raise RuntimeError(CANARY)

    worker = Worker(server.jobs, server.workspaces, kinds={"train": work})
    run = server.jobs.start("train", CANARY.lower(), by=CANARY).id
    assert worker.do_next()
    assert server.jobs.job(run).state is JobState.FAILED


def repeat_what_fails():
    tried = []

    def work():
        tried.append(1)
        raise InvalidInputError(CANARY) if len(tried) == 1 else RuntimeError(CANARY)

    repeating = Repeating("mails", work)
    until(lambda: tried)
    repeating.close()


@pytest.mark.slow
@pytest.mark.parametrize("form", LOG_FORMS)
def test_no_line_at_any_level_has_a_name_an_address_a_text_a_password_or_a_token(world, log, monkeypatch, form, capfd):
    for level in LOG_LEVELS[:1]:  # the lowest writes all that the others write
        stream = log(form, level, has_requests=True)
        (world / "server.toml").write_text("[log]\nrequests = true\n")
        server = Server(world, has_worker=False)
        try:
            secrets = walk(server, monkeypatch)
            do_a_job_that_fails(server)
            repeat_what_fails()
        finally:
            server.close()
        written = stream.getvalue()
        for wanted in (
            "/sign-in",
            "/v1/models",
            "GET /settings failed",
            "GET /v1/models failed",
            "The job ",
            "mails: ",
        ):
            assert wanted in written, wanted
        assert "RuntimeError" in written
        everything = written + "".join(capfd.readouterr())
        assert [secret for secret in secrets if secret in everything] == []


def test_the_levels_are_from_the_most_to_the_least():
    numbers = [logging.getLevelNamesMapping()[level.upper()] for level in LOG_LEVELS]
    assert numbers == sorted(numbers)
