"""Mails by a real mail server: what they say, to whom they go, and that none is lost or sent twice."""

import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from mail_server import MailServer
from starlette.testclient import TestClient

from volition.cli import main
from volition.consent.terms.terms_file import load_profile, read_terms
from volition.errors import InvalidInputError
from volition.server.app import Server
from volition.server.auth import Access, Role
from volition.server.mail.courier import Courier
from volition.server.notices.outbox import GIVEN_UP_US, Letter, MailKind, MailState, Outbox
from volition.server.settings import ServerSettings
from volition.workspace import Workspace
from volition.workspace.mail_settings import MailSettings, is_address
from volition.workspace.pool import Workspaces
from waiting import until

URL = "https://privacy.acme.example"
TERMS = b"""
id = "looser"
title = "Looser terms"
effective = 2024-01-01T00:00:00Z
acceptance = "%s"
text = "looser.md"

[[rule]]
data = "service"
purpose = ["train", "advertising"]
basis = "contract"
refusable_by = ["account", "person"]

[[rule]]
data = "content"
purpose = "train/summary"
basis = "consent"
asks = ["account", "everyone"]

[[switch]]
name = "training"
title = "Training"
off = { refuses = ["train"] }
"""


@pytest.fixture
def mail_server():
    found = MailServer(refused={"bo@acme.example"}).start()
    yield found
    found.stop()


@pytest.fixture
def folder(tmp_path, mail_server):
    path = tmp_path / "ws"
    with Workspace.create(path, origin="log.example/mail") as workspace:
        for account, name in (("acme", "Acme Ltd"), ("brill", "Brill AG")):
            workspace.people.add_account(account, name)
            workspace.terms.accept(account)
        workspace.people.add_person("ada", account="acme", name="Ada Byron", emails=["ada@acme.example"])
        workspace.people.add_person("bo", account="acme", name="Bo Berg", emails=["bo@acme.example"])
        workspace.people.add_person("mute", account="acme", name="Mu Te")
        workspace.people.add_person("cy", account="brill", name="Cy Clark", emails=["cy@brill.example"])
    settings = path / "volition.toml"
    settings.write_text(
        settings.read_text() + f'\n[mail]\nhost = "127.0.0.1"\nport = {mail_server.port}\nsecurity = "none"\n'
        'from = "Acme privacy <privacy@acme.example>"\n'
    )
    (path / "server.toml").write_text(f'[site]\nname = "Acme privacy centre"\nurl = "{URL}"\n')
    access = Access.open(path)
    access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    access.users.add("root@acme.example", roles=[Role.ADMINISTRATOR], account="acme")
    access.close()
    return path


class Centre:
    """A courier of its own over a folder, without a wait before answers are told of."""

    def __init__(self, folder, clock=None):
        self.access = Access.open(folder) if clock is None else Access.open(folder, clock=clock)
        self.outbox = Outbox(self.access.database)
        self.workspaces = Workspaces(folder)
        with self.workspaces.borrow() as workspace:
            self.settings = workspace.mail
        self.courier = Courier(
            self.settings,
            folder=folder,
            access=self.access,
            outbox=self.outbox,
            workspaces=self.workspaces,
            server=ServerSettings(site="Acme privacy centre", url=URL),
            settle_us=0,
        )
        until(lambda: self.outbox.cursor is not None)

    def close(self):
        self.courier.close()
        self.access.close()
        self.workspaces.close()


@pytest.fixture
def centre(folder):
    found = Centre(folder)
    yield found
    found.close()


def publish(folder, acceptance=b"continued-use"):
    (folder.parent / "looser.toml").write_bytes(TERMS % acceptance)
    (folder.parent / "looser.md").write_text("# Looser\n")
    with Workspace.open(folder) as workspace:
        workspace.terms.publish(read_terms(folder.parent / "looser.toml"))


def text_of(mail):
    return " ".join(mail.get_content().split())


def link_in(mail):
    [link] = re.findall(r"https://\S+", mail.get_content())
    return link


@pytest.mark.slow
def test_new_terms_reach_whoever_has_an_address_and_a_refusal_is_kept(folder, centre, mail_server, capsys):
    publish(folder)
    until(lambda: centre.outbox.counts()[MailState.WAITING] == 0 and len(mail_server.taken) == 3)

    told = dict(mail_server.taken)
    assert set(told) == {"ada@acme.example", "root@acme.example", "cy@brill.example"}
    assert centre.outbox.counts()[MailState.REFUSED] == 1
    ada = told["ada@acme.example"]
    assert ada["subject"].startswith("New terms for Acme Ltd take effect on")
    assert ada["from"] == "Acme privacy <privacy@acme.example>"
    assert ada["auto-submitted"] == "auto-generated"
    assert ada.get_content_type() == "text/plain"
    assert "Newly allowed: all service data for advertising" in text_of(ada)
    assert "You get this mail because Acme Ltd knows you here" in text_of(ada)
    assert link_in(ada) == f"{URL}/terms/looser"
    assert not re.search("Bo Berg|Brill|Cy Clark|Mu Te", str(ada))
    root = told["root@acme.example"]
    assert "accept them, or say no for Acme Ltd" in text_of(root)
    assert link_in(root) == f"{URL}/account/terms"
    assert "Acme Ltd" not in str(told["cy@brill.example"])

    assert main(["terms", "deliveries", "--account", "acme", "--workspace", str(folder)]) == 0
    assert "mailed to 2, 1 refused" in " ".join(capsys.readouterr().out.split())
    assert main(["mail", "status", "--workspace", str(folder)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "550 5.1.1 no mailbox the address here" in said
    assert "bo@acme" not in said
    kept = centre.access.database.rows("SELECT DISTINCT body FROM mails WHERE state = 'sent'")
    assert kept == [("",)]


@pytest.mark.slow
def test_somebody_without_a_sign_in_comes_in_by_the_link(folder, mail_server):
    server = Server(folder)
    until(lambda: server.outbox.cursor is not None)
    publish(folder)
    server.close()
    found = Centre(folder)
    until(lambda: len(mail_server.taken) == 3)
    found.close()
    cy = dict(mail_server.taken)["cy@brill.example"]
    assert "The link lets you in without a password, for 30 days." in text_of(cy)
    path = urlsplit(link_in(cy)).path

    server = Server(folder)
    client = TestClient(server, base_url="https://centre.example")
    client.post(path, headers={"sec-fetch-site": "same-origin"})
    assert "New terms for Brill AG take effect on" in client.get("/guest").text
    server.close()


@pytest.mark.slow
def test_a_no_is_told_once_it_was_received_and_an_undone_one_is_not(folder, centre, mail_server):
    with Workspace.open(folder) as workspace:
        workspace.consent.decide("person:ada", yes=False, data=["service"], purpose=["train/search"])
        workspace.consent.decide("person:ada", yes=False, data=["service"], purpose=["train/recommend"])
        seq = workspace.ledger.size - 1
    until(lambda: any("was received" in mail["subject"] for _, mail in mail_server.taken))
    until(lambda: centre.outbox.cursor == seq + 1)
    received = [(to, mail) for to, mail in mail_server.taken if "was received" in mail["subject"]]
    assert {to for to, _ in received} == {"ada@acme.example"}
    text = " ".join(text_of(mail) for _, mail in received)
    assert "search" in text
    assert "No model had learned from this data." in text
    assert link_in(received[0][1]) == f"{URL}/requests"


@pytest.mark.slow
def test_an_invitation_comes_when_terms_that_ask_come_into_force(folder, centre, mail_server):
    publish(folder, b"explicit")
    with Workspace.open(folder) as workspace:
        workspace.terms.accept("acme", "looser")
    until(lambda: sum("is asked for" in mail["subject"] for _, mail in mail_server.taken) == 2)
    told = {to: mail for to, mail in mail_server.taken if "is asked for" in mail["subject"]}
    assert set(told) == {"ada@acme.example", "root@acme.example"}
    ada = told["ada@acme.example"]
    assert ada["subject"] == "Acme Ltd: your yes is asked for"
    assert "No answer is not a yes" in text_of(ada)
    assert link_in(ada) == f"{URL}/settings"
    assert told["root@acme.example"]["subject"] == "Acme Ltd: the yes of Acme Ltd is asked for"


@pytest.mark.slow
def test_while_the_mail_server_is_away_mails_wait_and_then_each_comes_once(folder, centre, mail_server, capsys):
    mail_server.stop()
    publish(folder)
    until(lambda: centre.outbox.counts()[MailState.WAITING] == 4)
    until(lambda: (centre.access.database.state("mail trouble") or b"") != b"")
    assert main(["mail", "status", "--workspace", str(folder)]) == 0
    assert "was not reached" in " ".join(capsys.readouterr().out.split())
    mail_server.start()
    until(lambda: len(mail_server.taken) == 3)
    until(lambda: centre.outbox.counts()[MailState.WAITING] == 0)
    assert len({mail["message-id"] for _, mail in mail_server.taken}) == 3
    assert centre.access.database.state("mail trouble") == b""


SERVED = """
import sys
from pathlib import Path
from volition.server.app import Server
import time
server = Server(Path(sys.argv[1]))
time.sleep(600)
"""


@pytest.mark.slow
def test_killed_between_two_mails_none_is_lost_and_none_comes_twice(folder, mail_server):
    access = Access.open(folder)
    outbox = Outbox(access.database)
    letters = [letter(f"mail {number}", f"p{number}@acme.example") for number in range(4)]
    before = outbox.queue(letters, cursor=0, domain="acme.example")
    running = []
    mail_server.on_data = lambda number: running[-1].send_signal(signal.SIGSTOP) if number == 2 else None
    running.append(subprocess.Popen([sys.executable, "-c", SERVED, str(folder)]))
    until(lambda: len(mail_server.taken) == 2)
    running[-1].kill()
    running[-1].wait()
    middle = mail_server.taken[1][1]["message-id"]

    mail_server.on_data = None
    running.append(subprocess.Popen([sys.executable, "-c", SERVED, str(folder)]))
    until(lambda: outbox.counts()[MailState.WAITING] == 0)
    running[-1].kill()
    running[-1].wait()

    ids = [mail["message-id"] for _, mail in mail_server.taken]
    assert len(set(ids)) == before
    # Only the mail in whose very middle it was killed may come again, and it is the same mail.
    assert [one for one in set(ids) if ids.count(one) > 1] in ([], [middle])
    access.close()


def letter(key, address, **more):
    about = {"account": "acme", "person": None, "user": None, "subject": "Subject", "body": "Text\n", "about": "x"}
    return Letter(key=key, kind=MailKind.TERMS, address=address, **(about | more))


@pytest.fixture
def now():
    return [10**15]


@pytest.fixture
def outbox(tmp_path, now):
    access = Access(tmp_path / "web.db", clock=lambda: now[0])
    yield Outbox(access.database)
    access.close()


def test_a_mail_is_queued_once_whatever_is_killed(outbox):
    assert outbox.queue([letter("a", "x@y.example"), letter("b", "x@y.example")], cursor=3, domain="z.example") == 2
    assert outbox.queue([letter("a", "x@y.example")], cursor=4, domain="z.example") == 0
    assert outbox.cursor == 4
    ids = [mail.message_id for mail in outbox.due(most=9)]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"<[0-9a-f]{32}@z\.example>", one) for one in ids)


def test_what_cannot_be_delivered_is_tried_later_and_later_and_given_up(outbox, now):
    outbox.queue([letter("a", "x@y.example")], cursor=1, domain="z.example")
    began, waits = now[0], []
    while outbox.counts()[MailState.WAITING]:
        [mail] = outbox.due(most=9)
        outbox.postpone(mail, "451 later")
        assert outbox.counts()[MailState.GIVEN_UP] or outbox.due(most=9) == []
        before = now[0]
        while outbox.counts()[MailState.WAITING] and not outbox.due(most=9):
            now[0] += 60_000_000
        waits.append(now[0] - before)
    assert waits[:-1] == sorted(waits[:-1])
    assert GIVEN_UP_US <= now[0] - began < 2 * GIVEN_UP_US
    assert outbox.not_delivered(most=9) == [("terms", MailState.GIVEN_UP, "451 later", len(waits))]


def test_erasing_takes_the_mails_of_the_person(folder, mail_server):
    mail_server.stop()
    access = Access.open(folder)
    outbox = Outbox(access.database)
    outbox.queue(
        [
            letter("a", "ada@acme.example", person="ada", body="Dear Ada\n"),
            letter("b", "old@acme.example", person="ada"),
            letter("c", "bo@acme.example", person="bo"),
        ],
        cursor=0,
        domain="acme.example",
    )
    access.close()
    assert main(["erase", "--party", "person:ada", "--workspace", str(folder)]) == 0
    access = Access.open(folder)
    assert [mail.address for mail in Outbox(access.database).due(most=9)] == ["bo@acme.example"]
    access.close()
    kept = b"".join(path.read_bytes() for path in folder.glob("web.db*"))
    assert b"ada@acme.example" not in kept
    assert b"Dear Ada" not in kept


@pytest.mark.slow
def test_one_mail_to_try_it(folder, mail_server, capsys):
    assert main(["mail", "test", "somebody@else.example", "--workspace", str(folder)]) == 0
    assert [to for to, _ in mail_server.taken] == ["somebody@else.example"]
    assert "took a mail" in capsys.readouterr().out
    assert main(["mail", "test", "bo@acme.example", "--workspace", str(folder)]) != 0
    assert "550" in capsys.readouterr().err
    assert main(["mail", "test", "no address", "--workspace", str(folder)]) != 0
    assert "no address that mail can be sent to" in capsys.readouterr().err
    mail_server.stop()
    assert main(["mail", "test", "somebody@else.example", "--workspace", str(folder)]) != 0
    assert "was not reached" in capsys.readouterr().err


def test_without_mail_set_up_none_is_sent_and_none_is_claimed(tmp_path, capsys):
    with Workspace.create(tmp_path / "ws", origin="log.example/none") as workspace:
        assert workspace.mail is None
    assert main(["mail", "status", "--workspace", str(tmp_path / "ws")]) == 0
    assert "No mail is sent" in capsys.readouterr().out
    assert main(["mail", "test", "a@b.example", "--workspace", str(tmp_path / "ws")]) != 0
    assert "has no [mail]" in capsys.readouterr().err


def test_mails_need_an_address_of_the_pages(folder):
    (folder / "server.toml").unlink()
    with pytest.raises(InvalidInputError, match="url under \\[site\\]"):
        Server(folder)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('host = "a.example"', '"from" is missing'),
        ('host = "a.example"\nfrom = "nobody"', "must be a mail address"),
        ('host = "a.example"\nfrom = "a@b.example"\nsecurity = "none"', "would travel unencrypted"),
        ('host = "a.example"\nfrom = "a@b.example"\nsecurity = "ssl"', 'no way to encrypt "ssl"'),
        ('host = "a.example"\nfrom = "a@b.example"\nport = 0', "from 1 to 65535"),
        ('host = "a.example"\nfrom = "a@b.example"\nuser = "u"', "go together"),
        ('host = "a.example"\nfrom = "a@b.example"\npassword_env = "P"', "go together"),
        ('host = "a.example"\nfrom = "a@b.example"\npassword = "secret"', "password"),
        ('host = " "\nfrom = "a@b.example"', '"host" is empty'),
        (
            'host = "a.example"\nfrom = "a@b.example"\nuser = "u"\npassword_env = "P"\npassword_file = "f"',
            "two places",
        ),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_line(tmp_path, table, fault):
    Workspace.create(tmp_path / "ws", origin="log.example/x").close()
    settings = tmp_path / "ws" / "volition.toml"
    text = settings.read_text()
    settings.write_text(f"{text}\n[mail]\n{table}\n")
    with pytest.raises(InvalidInputError, match=re.escape(fault)) as refused:
        Workspace.open(tmp_path / "ws")
    found = re.match(r".*volition\.toml:(\d+): ", str(refused.value))
    assert found, str(refused.value)
    assert text.count("\n") < int(found[1]) <= text.count("\n") + 2 + table.count("\n") + 1


def test_a_password_comes_from_a_file_of_ones_own_or_a_variable(tmp_path):
    base = {"host": "a.example", "from": "a@b.example", "user": "u"}
    by_file = MailSettings.from_toml(base | {"password_file": "mail.secret"})
    with pytest.raises(InvalidInputError, match="cannot be read"):
        by_file.password(tmp_path, {})
    secret = tmp_path / "mail.secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    with pytest.raises(InvalidInputError, match="chmod 600"):
        by_file.password(tmp_path, {})
    secret.chmod(0o600)
    assert by_file.password(tmp_path, {}) == "s3cret"
    by_variable = MailSettings.from_toml(base | {"password_env": "MAIL"})
    with pytest.raises(InvalidInputError, match="MAIL"):
        by_variable.password(tmp_path, {})
    assert by_variable.password(tmp_path, {"MAIL": "p"}) == "p"
    assert (by_variable.port, by_variable.security) == (587, "starttls")


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b", "a b@c", "a@b\r\nBcc: x@y", "a@b,c@d", "<a@b>", "a@b@c", "a@b\n"]
)
def test_what_is_no_single_address_is_never_sent_to(text):
    assert not is_address(text)


@pytest.mark.slow
def test_the_shipped_profiles_can_be_written_of(folder, centre, mail_server):
    with Workspace.open(folder) as workspace:
        workspace.terms.publish(load_profile("2023-07-27"))
    until(lambda: len(mail_server.taken) >= 3)
    assert all("2023" in text_of(mail) for _, mail in mail_server.taken)
