"""A yes that ends: whoever said it is reminded some days before, by mail and webhook, once, and not after an answer."""

import json
import re

import pytest
from mail_server import MailServer
from starlette.testclient import TestClient
from test_webhooks import hooked

from volition import canonical
from volition.canonical import us_to_text
from volition.consent.terms.terms_file import read_terms
from volition.errors import InvalidInputError
from volition.server.app import Server
from volition.server.auth import Access, Role
from volition.server.mail.courier import Courier
from volition.server.notices.outbox import MailState, Outbox
from volition.server.settings import ServerSettings
from volition.server.web import labels as words
from volition.workspace import Workspace
from volition.workspace.pool import Workspaces
from waiting import until

DAY_US = 86_400_000_000
BEGAN_US = 1_700_000_000_000_000 // DAY_US * DAY_US + DAY_US // 2  # noon
ENDS_US = (BEGAN_US // DAY_US + 100) * DAY_US
TERMS = b"""
id = "asked"
title = "Asked"
effective = 2020-01-01T00:00:00Z
acceptance = "explicit"
text = "asked.md"

[[rule]]
data = "service"
purpose = "train"
basis = "consent"
asks = ["account", "person"]

[[switch]]
name = "training"
title = "Training"
off = { refuses = ["train"] }
"""


@pytest.fixture
def mail_server():
    found = MailServer().start()
    yield found
    found.stop()


@pytest.fixture
def folder(tmp_path, mail_server):
    path = tmp_path / "ws"
    (tmp_path / "asked.toml").write_bytes(TERMS)
    (tmp_path / "asked.md").write_text("# Asked\n")
    with Workspace.create(path, origin="log.example/ends", clock=lambda: BEGAN_US) as workspace:
        workspace.people.add_account("acme", "Acme Ltd")
        workspace.people.add_person("ada", account="acme", name="Ada Byron", emails=["ada@acme.example"])
        workspace.people.add_person("bo", account="acme", name="Bo Berg", emails=["bo@acme.example"])
        workspace.people.add_person("mute", account="acme", name="Mu Te")
        workspace.terms.publish(read_terms(tmp_path / "asked.toml"))
        workspace.terms.accept("acme", "asked")
    settings = path / "volition.toml"
    settings.write_text(
        settings.read_text() + f'\n[mail]\nhost = "127.0.0.1"\nport = {mail_server.port}\nsecurity = "none"\n'
        'from = "privacy@acme.example"\n'
    )
    access = Access.open(path)
    access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    access.users.add("root@acme.example", roles=[Role.ADMINISTRATOR], account="acme")
    access.close()
    return path


def say(folder, party, *, at_us=BEGAN_US, ends_us=ENDS_US, yes=True):
    with Workspace.open(folder, clock=lambda: at_us) as workspace:
        ends = us_to_text(ends_us) if yes else None
        workspace.consent.decide(party, yes=yes, data=["service"], purpose=["train/search"], until=ends)


def mails_on(folder, day, mail_server):
    """Run a courier of its own at noon of a day (0 is that of the yes) until nothing waits; return what came."""
    now_us = BEGAN_US + int(day * DAY_US)
    before = len(mail_server.taken)
    access = Access.open(folder, clock=lambda: now_us)
    outbox, workspaces = Outbox(access.database), Workspaces(folder, clock=lambda: now_us)
    with workspaces.borrow() as workspace:
        settings, size = workspace.mail, workspace.ledger.size
    courier = Courier(
        settings,
        folder=folder,
        access=access,
        outbox=outbox,
        workspaces=workspaces,
        server=ServerSettings(site="Centre", url="https://privacy.acme.example"),
        settle_us=0,
    )
    try:
        until(lambda: outbox.cursor == size and int(access.database.state("mail reminded") or 0) >= now_us)
        if mail_server.is_up:
            until(lambda: not outbox.counts()[MailState.WAITING])
    finally:
        courier.close()
        access.close()
        workspaces.close()
    return {to: mail for to, mail in mail_server.taken[before:] if "ends on" in mail["subject"]}


@pytest.mark.slow
def test_a_person_is_reminded_thirty_and_seven_days_before_and_once_whatever_restarts(folder, mail_server):
    say(folder, "person:ada")
    say(folder, "person:mute")
    assert mails_on(folder, 69, mail_server) == {}
    first = mails_on(folder, 70, mail_server)
    assert list(first) == ["ada@acme.example"]
    assert re.fullmatch(r"Acme Ltd: your yes ends on \d+ \w+ 20\d\d", first["ada@acme.example"]["subject"])
    text = " ".join(first["ada@acme.example"].get_content().split())
    assert "training search, with all service data" in text
    assert "If you do nothing, it ends: from then on this counts as a no." in text
    assert "https://privacy.acme.example/settings" in text
    assert [mails_on(folder, day, mail_server) for day in (70, 71, 92)] == [{}, {}, {}]
    assert list(mails_on(folder, 93, mail_server)) == ["ada@acme.example"]
    assert [mails_on(folder, day, mail_server) for day in (94, 99, 101)] == [{}, {}, {}]


@pytest.mark.slow
def test_after_a_pause_only_the_last_reminder_is_given_and_none_after_the_end(folder, mail_server):
    say(folder, "person:ada")
    say(folder, "person:bo", ends_us=ENDS_US - 30 * DAY_US)
    mails_on(folder, 0, mail_server)
    told = mails_on(folder, 95, mail_server)
    assert list(told) == ["ada@acme.example"]


@pytest.mark.slow
def test_a_yes_said_anew_or_taken_back_has_no_reminder(folder, mail_server):
    say(folder, "person:ada")
    say(folder, "person:bo")
    say(folder, "person:ada", at_us=BEGAN_US + 60 * DAY_US, ends_us=ENDS_US + 300 * DAY_US)
    say(folder, "person:bo", at_us=BEGAN_US + 60 * DAY_US, yes=False)
    assert mails_on(folder, 70, mail_server) == {}
    assert mails_on(folder, 93, mail_server) == {}


@pytest.mark.slow
def test_a_yes_said_with_less_time_than_that_is_not_reminded_of_at_once(folder, mail_server):
    say(folder, "person:ada", ends_us=BEGAN_US + 20 * DAY_US)
    assert mails_on(folder, 0, mail_server) == {}
    assert list(mails_on(folder, 13, mail_server)) == ["ada@acme.example"]


@pytest.mark.slow
def test_a_reminder_that_waits_is_not_sent_once_the_yes_is_said_anew(folder, mail_server):
    say(folder, "person:ada")
    mail_server.stop()
    mails_on(folder, 70, mail_server)
    say(folder, "person:ada", at_us=BEGAN_US + 70 * DAY_US, ends_us=ENDS_US + 300 * DAY_US)
    mail_server.start()
    assert mails_on(folder, 70.5, mail_server) == {}


@pytest.mark.slow
def test_an_account_s_administrators_are_reminded_of_its_yes(folder, mail_server):
    say(folder, "account:acme")
    told = mails_on(folder, 70, mail_server)
    assert list(told) == ["root@acme.example"]
    mail = told["root@acme.example"]
    assert mail["subject"].startswith("Acme Ltd: the yes of Acme Ltd ends on")
    assert "https://privacy.acme.example/account" in mail.get_content()


@pytest.mark.slow
def test_the_days_are_a_setting(folder, mail_server):
    settings = folder / "volition.toml"
    before = settings.read_text()
    settings.write_text(before + "remind_days = [3, 50]\n")
    say(folder, "person:ada")
    assert [len(mails_on(folder, day, mail_server)) for day in (30, 50, 70, 93, 97)] == [0, 1, 0, 0, 1]
    settings.write_text(before + "remind_days = []\n")
    say(folder, "person:bo", at_us=BEGAN_US + 98 * DAY_US, ends_us=ENDS_US + 100 * DAY_US)
    assert mails_on(folder, 193, mail_server) == {}


@pytest.mark.parametrize("days", ["30", "[0]", "[366]", '["7"]', "[true]", "[1.5]"])
def test_days_that_make_no_sense_are_refused(folder, days):
    settings = folder / "volition.toml"
    settings.write_text(settings.read_text() + f"remind_days = {days}\n")
    with pytest.raises(InvalidInputError, match="remind_days"):
        Workspace.open(folder)


@pytest.mark.slow
def test_a_webhook_is_told_once_of_each_reminder(folder):
    settings = folder / "volition.toml"
    settings.write_text(settings.read_text().partition("[mail]")[0])
    now_us = canonical.now_us()
    ends_us = now_us + 20 * DAY_US
    say(folder, "person:ada", at_us=now_us - 60 * DAY_US, ends_us=ends_us)
    with hooked(folder, kind="ending", failing=True) as (_, heard):
        until(lambda: len(heard) == 2)
        say(folder, "person:bo", at_us=now_us - 59 * DAY_US, ends_us=now_us + 29 * DAY_US)
        restarted = Server(folder)
        until(lambda: len(heard) == 3)
        restarted.close()
    ids = [headers["webhook-id"] for headers, _ in heard]
    assert ids[0] == ids[1] != ids[2]
    told, of_bo = json.loads(heard[0][1]), json.loads(heard[2][1])
    assert told["type"] == "ending"
    assert told["data"]["party"].startswith("person:")
    assert (told["data"]["days"], told["data"]["until"]) == (30, us_to_text(ends_us))
    assert of_bo["data"]["until"] == us_to_text(now_us + 29 * DAY_US)


def opened(folder, user, path):
    settings = folder / "volition.toml"
    settings.write_text(settings.read_text().partition("[mail]")[0])
    server = Server(folder)
    client = TestClient(server, base_url="http://centre.example")
    client.cookies.set("volition", server.access.sessions.begin(user))
    page = client.get(path).text
    server.close()
    return " ".join(re.findall(r'A yes that ends soon">(.*?)</section>', page, re.DOTALL)), page


@pytest.mark.parametrize(
    ("user", "party", "path", "whose"),
    [
        ("ada", "person:ada", "/settings", "Your"),
        ("root@acme.example", "account:acme", "/account", "The account&#39;s"),
    ],
)
def test_a_page_says_on_top_that_a_yes_ends_soon_until_it_is_said_anew(folder, user, party, path, whose):
    now_us = canonical.now_us()
    say(folder, party, at_us=now_us - 60 * DAY_US, ends_us=now_us + 20 * DAY_US)
    told, page = opened(folder, user, path)
    assert f"<p>{whose} yes to Training ends on {words.day(now_us + 20 * DAY_US)} (UTC)." in told
    goes_on = f"<li>The yes that ends on {words.day(now_us + 20 * DAY_US)} then goes on after that day.</li>"
    assert page.count(goes_on) == 1
    say(folder, party, at_us=now_us, ends_us=now_us + 40 * DAY_US)
    assert opened(folder, user, path)[0] == ""
    say(folder, party, at_us=now_us, yes=False)
    told, page = opened(folder, user, path)
    assert told == ""
    assert "then goes on after" not in page
