"""Who is who on the command line: what is asked, what is printed, and what becomes of sign-ins."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from volition.cli import main
from volition.errors import RefusedError
from volition.server.auth import Access, Role
from volition.workspace import Workspace

VTT = (
    "WEBVTT\n\n1\n00:00:01.000 --> 00:00:01.900\nAnn Lee: zebra\n\n2\n00:00:02.000 --> 00:00:02.900\nA. Lee: giraffe\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a workspace in which Ann was heard, whole and as a part of a name, and Bo registered."""
    with Workspace.create(tmp_path / "ws", origin="log.example/who") as workspace:
        for account in ("acme", "brill"):
            workspace.people.add_account(account, account.title())
            workspace.terms.accept(account, "granular")
        workspace.people.add_person("bo", account="acme", name="Bo Berg")
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"])
        meeting = tmp_path / "kickoff.vtt"
        meeting.write_text(VTT)
        workspace.records.collect_webvtt(meeting, account="acme", started=datetime(2024, 11, 3, 9, tzinfo=UTC))
    monkeypatch.setenv("VOLITION_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


@pytest.fixture
def volition(folder, capsys):
    """Run a command: exit code, its JSON document."""

    def call(*arguments):
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def heard(folder, name):
    with Workspace.open(folder) as workspace:
        return next(one.id for one in workspace.parties.named("acme", name) if one.is_heard)


ADD = ("person", "add", "ann", "--account", "acme", "--name", "Ann Lee")


def test_adding_somebody_who_was_heard_asks_which_and_adds_nobody_before_that_is_said(folder, volition):
    code, document = volition(*ADD)
    guest = heard(folder, "Ann Lee")
    assert code == 2
    assert f"--same-as {guest} or --apart" in document["error"]["message"]
    with Workspace.open(folder) as workspace:
        assert [one.id for one in workspace.parties.people("acme") if not one.is_heard] == ["bo"]


def test_the_same_person_is_merged_in_the_same_step(folder, volition):
    guest = heard(folder, "Ann Lee")
    code, document = volition(*ADD, "--same-as", guest)
    assert (code, document["same_as"], document["may_be"]) == (0, [guest], [])
    with Workspace.open(folder) as workspace:
        assert workspace.parties.person("ann").ids == ("ann", guest)


def test_somebody_else_stays_apart_and_is_offered_no_more(folder, volition):
    guest = heard(folder, "Ann Lee")
    code, document = volition(*ADD, "--apart")
    assert (code, document["may_be"]) == (0, [guest])
    _, listed = volition("person", "list", "--account", "acme", "--may-be")
    assert [one["person"] for one in listed["people"]] == [heard(folder, "A. Lee")]


def test_the_name_of_somebody_erased_asks_too(folder, volition):
    volition("person", "add", "cy", "--account", "acme", "--name", "Cy Clark")
    volition("erase", "--party", "person:cy")
    code, document = volition("person", "add", "cy2", "--account", "acme", "--name", "Cy Clark")
    assert code == 2
    assert "was erased" in document["error"]["message"]
    code, _ = volition("person", "add", "cy2", "--account", "acme", "--name", "Cy Clark", "--apart")
    assert code == 0


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "ids"), [("y", 2), ("n", 1)])
def test_on_a_terminal_it_is_a_question(folder, answer, ids):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "volition", *ADD]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    shown = b""
    with suppress(OSError):  # on Linux the end of a terminal is an error
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert running.wait(timeout=30) == 0
    assert "was heard in 2 records before. Is that ann?" in shown.decode()
    with Workspace.open(folder) as workspace:
        assert len(workspace.parties.person("ann").ids) == ids


def test_list_says_who_may_be_whom_and_why(folder, volition):
    volition(*ADD, "--email", "ann@acme.example", "--same-as", heard(folder, "Ann Lee"))
    _, document = volition("person", "list", "--may-be")
    [one] = document["people"]
    assert (one["person"], one["may_be"]) == (heard(folder, "A. Lee"), [{"person": "ann", "why": "part of a name"}])
    _, document = volition("person", "list", "--account", "acme", "--only", "registered")
    assert [(one["person"], one["kind"], one["identities"]) for one in document["people"]] == [
        ("ann", "user", 2),
        ("bo", "user", 1),
    ]


def test_show_says_all_that_is_known_of_a_person(folder, volition):
    guest = heard(folder, "Ann Lee")
    volition(*ADD, "--region", "DE", "--same-as", guest)
    volition("decide", "no", "--party", "person:ann", "--data", "content", "--purpose", "train")
    _, document = volition("person", "show", guest)
    assert document["person"] == "ann"
    assert [one["person"] for one in document["identities"]] == ["ann", guest]
    assert (document["region"], document["names"]) == ("DE", ["Ann Lee"])
    assert [one["answer"] for one in document["answers"]] == ["no"]
    assert main(["person", "show", "ann"]) == 0


def sign_ins(folder):
    access = Access.open(folder)
    try:
        return {who.user: (who.account, sorted(who.roles)) for who in access.users.all()}
    finally:
        access.close()


@pytest.fixture
def signed_in(folder, volition):
    """Let Ann sign in, with a session, a token and a guest's link of the time before she was registered."""
    guest = heard(folder, "Ann Lee")
    volition(*ADD, "--apart")
    access = Access.open(folder)
    access.users.add("ann", roles=[Role.PERSON, Role.ADMINISTRATOR], account="acme", person="ann")
    session = access.sessions.begin("ann")
    link = access.links.make_guest_link(person=guest, account="acme")
    access.links.find_guest(link)
    access.close()
    return guest, session, link


def test_moved_she_signs_in_to_the_other_account_and_administers_nothing_there(folder, volition, signed_in):
    assert volition("person", "move", "ann", "--to", "brill")[0] == 0
    assert sign_ins(folder)["ann"] == ("brill", ["person"])
    access = Access.open(folder)
    assert access.sessions.find(signed_in[1]) is None
    access.close()


def test_left_she_signs_in_no_more(folder, volition, signed_in):
    assert volition("person", "leave", "ann")[0] == 0
    assert "ann" not in sign_ins(folder)
    access = Access.open(folder)
    assert access.sessions.find(signed_in[1]) is None
    access.close()
    _, document = volition("export", "ann", str(folder.parent / "ann.zip"))
    assert document["person"] == "ann"


def test_a_guests_link_of_whoever_is_merged_leads_nowhere_any_more(folder, volition, signed_in):
    guest, _, link = signed_in
    assert volition("person", "merge", guest, "--into", "ann")[0] == 0
    assert list(sign_ins(folder)) == ["ann"]
    access = Access.open(folder)
    with pytest.raises(RefusedError, match="revoked"):
        access.links.find_guest(link)
    access.close()


def test_a_merge_across_accounts_is_refused_with_what_to_do(folder, volition):
    volition("person", "add", "ann", "--account", "brill", "--name", "Ann Lee")
    code, document = volition("person", "merge", heard(folder, "Ann Lee"), "--into", "ann")
    assert code == 3
    assert "volition person move" in document["error"]["message"]


def test_names_come_and_go(folder, volition):
    volition(*ADD, "--apart")
    _, document = volition("person", "alias", "ann", "Annie", "--email", "annie@acme.example")
    assert (document["names"], document["emails"]) == (["Ann Lee", "Annie"], ["annie@acme.example"])
    _, document = volition("person", "alias", "ann", "Annie", "--remove")
    assert document["names"] == ["Ann Lee"]
    _, document = volition("person", "rename", "ann", "Ann Day", "--forget-old-name")
    assert document["names"] == ["Ann Day"]
