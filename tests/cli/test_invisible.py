"""Characters that are not seen: left out where they would turn a sentence around, written out at a terminal."""

import json
from email.policy import SMTP

import pytest

from volition.cli import main, output
from volition.consent.invisible import without_turning, written_out
from volition.server.mail.smtp import message_of
from volition.server.notices.outbox import QueuedMail
from volition.workspace import Workspace

TURNED = "Acme\u202e dtL\u2066"


def test_what_turns_is_left_out_and_what_is_not_seen_is_written_out():
    assert without_turning(TURNED) == "Acme dtL"
    assert written_out(TURNED) == r"Acme\u202e dtL\u2066"
    assert written_out("a\u200bb\u3164c\ufeff\x1b\U000e0041\n") == "a\\u200bb\\u3164c\\ufeff\\x1b\\U000e0041\n"
    for text in ("Zoë Müller", "שלום", "日本語", "👍🏽", "a\nb", ""):
        assert without_turning(text) == written_out(text) == text


@pytest.mark.parametrize("as_json", [False, True])
def test_a_terminal_shows_them_as_they_are_written_and_json_says_the_same(as_json, tmp_path, capsys):
    with Workspace.create(tmp_path / "w", origin="log.example/names") as workspace:
        workspace.people.add_account("acme", TURNED)
        workspace.people.add_person("ada", account="acme", name=TURNED)
    assert main(["person", "list", "--workspace", str(tmp_path / "w"), *(["--json"] if as_json else [])]) == 0
    out = capsys.readouterr().out
    assert not {"\u202e", "\u2066"} & set(out)
    assert r"Acme\u202e dtL\u2066" in out
    if as_json:
        assert json.loads(out)["people"][0]["name"] == TURNED


def test_an_error_shows_them_as_they_are_written(capsys):
    output.fail(f"There is no model {TURNED}.", kind="invalid-input", as_json=False)
    assert "\u202e" not in capsys.readouterr().err


def test_a_mail_leaves_out_what_turns():
    subject, body = f"{TURNED}: your no", f"{TURNED} says\n"
    mail = QueuedMail(
        id=1, message_id="<1@x.example>", address="a@b.example", subject=subject, body=body, queued_us=0, tries=0
    )
    message = message_of(mail, "x@y.example")
    assert message["Subject"] == "Acme dtL: your no"
    assert "\u202e" not in message.get_content()
    assert message.as_bytes(policy=SMTP)
