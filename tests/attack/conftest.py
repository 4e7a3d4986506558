"""Two tenants that mirror one another, behind one server: what tests of attacks share.

`besieged` is made once for each file of tests. Names of the second tenant are as long as those of nobody, so that an
answer about the one can be compared with an answer about the other.
"""

import json
import shutil
import zipfile
from datetime import UTC, datetime

import pytest
from besieged import TENANTS, Besieged

from volition import canonical
from volition.server.auth import Access, Role
from volition.transparency.access_log import Reader
from volition.workspace import Workspace

_TALK = "WEBVTT\n\n00:01.000 --> 00:04.000\n{0}: The launch of {1} moves to Friday.\n\n00:05.000 --> 00:09.000\n"
_TALK += "{2}: Then our order moves as well.\n"


def _tenant(workspace, folder, account):
    """Give an account two people, a guest, a meeting of one of them, a channel, answers, an exclusion, and a limit."""
    names = {one: f"{one.capitalize()} of {account}" for one in ("ann", "bob")}
    workspace.people.add_account(account, f"{account.capitalize()} Ltd")
    for one, name in names.items():
        workspace.people.add_person(f"{account}-{one}", account=account, name=name, emails=[f"{one}@{account}.example"])
    workspace.terms.accept(account)
    talk = folder / f"{account}-talk.vtt"
    talk.write_text(_TALK.format(names["ann"], account, f"Zoe of {account}"))
    workspace.records.collect_webvtt(talk, account=account, started=datetime(2025, 6, 2, 9, tzinfo=UTC))
    user = {"id": "U1", "name": "ann", "real_name": names["ann"], "profile": {"email": f"ann@{account}.example"}}
    said = {"type": "message", "user": "U1", "text": f"the printer of {account} is broken", "ts": "1748854800.000100"}
    with zipfile.ZipFile(folder / f"{account}.zip", "w") as export:
        for name, told in (("users", [user]), ("channels", [{"id": "C1", "name": f"{account}-general"}])):
            export.writestr(f"{name}.json", json.dumps(told))
        export.writestr(f"{account}-general/2025-06-02.json", json.dumps([said]))
    workspace.records.collect_slack(folder / f"{account}.zip", account=account)
    guest = workspace.parties.guest(account, f"Zoe of {account}").id
    for party in (f"account:{account}", f"person:{account}-ann", f"person:{account}-bob", f"person:{guest}"):
        workspace.consent.decide(
            party, yes=True, data=["content", "service"], purpose=["train", "feature"], covers="past"
        )
    workspace.exclusions.exclude(f"{account}-talk", account=account, by=f"{account}-ann", purpose=["train"])
    workspace.accesses.note(Reader(who="olga", role="operator"), "holdings", [f"{account}-ann", guest], records=1)
    return guest


@pytest.fixture(scope="session")
def stronghold(tmp_path_factory):
    """Make the workspace once for a test run; whoever changes it copies it."""
    folder = tmp_path_factory.mktemp("attack") / "workspace"
    begun_us = canonical.now_us() - 2 * 86_400_000_000  # so that the day of the first accesses is over
    with Workspace.create(folder, origin="log.example/attack", clock=lambda: begun_us) as workspace:
        guests = {account: _tenant(workspace, folder.parent, account) for account in TENANTS}
    with Workspace(folder) as workspace:
        workspace.accesses.close_days()
        workspace.snapshots.create("train/search")
    access = Access.open(folder)
    for role in Role:
        account = "acme" if role in {Role.PERSON, Role.GUEST, Role.ADMINISTRATOR} else None
        person = {Role.PERSON: "acme-ann", Role.GUEST: guests["acme"]}.get(role)
        access.users.add(f"the-{role}", roles=[role], name=f"Some {role}", account=account, person=person)
    access.users.add("the-stranger", roles=[Role.PERSON], name="Some stranger", account="brill", person="brill-ann")
    access.close()
    return folder


@pytest.fixture(scope="module")
def besieged(stronghold, tmp_path_factory):
    """Serve a copy of it for a file of tests."""
    one = Besieged(shutil.copytree(stronghold, tmp_path_factory.mktemp("besieged") / "workspace"))
    yield one
    one.server.close()
