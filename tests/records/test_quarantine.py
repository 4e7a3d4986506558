"""Erasure and the quarantine: what was set aside and names somebody who is erased goes, and the rest stays."""

import base64
import json
import zipfile
from datetime import UTC, datetime

import pytest

from volition.consent.parties import Person
from volition.records.lake.mentions import Mentions
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
WORDS = "Quetzalcoatlus"


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws", origin="log.example/aside") as made:
        for account in ("acme", "brill"):
            made.people.add_account(account, account.title())
            made.terms.accept(account)
        made.people.add_person("u-ann", account="acme", name="Ann Lée", aliases=["annie"], emails=["ann@acme.example"])
        made.people.add_person("u-bo", account="acme", name="Bo Berg", emails=["bo@acme.example"])
        yield made


def aside(workspace):
    """Return what is set aside, opened: (source, where, raw)."""
    found = []
    for path in sorted((workspace.folder / "lake" / "quarantine").glob("*.jsonl")):
        for text in path.read_bytes().splitlines():
            line = json.loads(text)
            raw = line.get("raw")
            if raw is None:
                sealed = bytes.fromhex(line["sealed_raw"])
                raw = workspace.parties.open_sealed(line["account"], b"quarantine", sealed).decode()
            found.append((line["source"], line["where"], raw))
    return found


def file(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def webvtt(workspace, tmp_path):
    text = "WEBVTT\n\n00:01.000 --> 00:04.000\nBo Berg: Good morning.\n"
    for name in ("Ann Lee", "Bo Berg"):
        text += f"\n00:09.000 --> 00:02.000\n<v {name}>{WORDS} of {name.split()[0]}\n"
    return workspace.records.collect_webvtt(file(tmp_path, "m.vtt", text), account="acme", started=MONDAY)


def slack(workspace, tmp_path):
    users = [
        {"id": "U0ANN", "profile": {"real_name": "Somebody", "email": "ann@acme.example"}},
        {"id": "U0BO", "profile": {"real_name": "Bo Berg", "email": "bo@acme.example"}},
    ]
    messages = [{"type": "message", "user": user, "ts": "no time", "text": WORDS} for user in ("U0ANN", "U0BO")]
    path = tmp_path / "slack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", json.dumps(users))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "general", "members": ["U0ANN", "U0BO"]}]))
        archive.writestr("general/2026-01-05.json", json.dumps(messages))
    return workspace.records.collect_slack(path, account="acme")


def event(person, account="acme", **more):
    attributes = [
        {"key": key, "value": {"stringValue": value}} for key, value in {"volition.account": account, **more}.items()
    ]
    resource = {"attributes": [{"key": "enduser.id", "value": {"stringValue": person}}]}
    record = {"attributes": attributes, "timeUnixNano": "1"}
    return {"resource": resource, "scopeLogs": [{"logRecords": [record]}]}


def otlp(workspace, tmp_path):
    text = json.dumps({"resourceLogs": [event(person, note=WORDS) for person in ("u-ann", "u-bo")]})
    return workspace.records.collect_otlp(file(tmp_path, "e.jsonl", text))


def zoom_chat(workspace, tmp_path):
    ahead = datetime(2099, 1, 5, 9, tzinfo=UTC)  # a start that was mistyped: the future
    text = "".join(f"09:00:0{n} From {who} to Everyone:\n\t{WORDS}\n" for n, who in enumerate(("Ann Lee", "Bo Berg")))
    return workspace.records.collect_zoom_chat(file(tmp_path, "c.txt", text), account="acme", started=ahead)


def files(workspace, tmp_path):
    collected = None
    for author in ("u-ann", "u-bo"):
        path = file(tmp_path, f"{author[2:]}s.md", f"{WORDS} is a pterosaur.")
        ahead = datetime(2099, 1, 5, 9, tzinfo=UTC)
        collected = workspace.records.collect_file(path, account="acme", author=author, written=ahead)
    return collected


@pytest.mark.parametrize("way_in", [webvtt, slack, otlp, zoom_chat, files])
@pytest.mark.parametrize("who", ["u-ann", "u-bo"])
def test_an_erasure_takes_what_was_set_aside_of_the_person_and_leaves_the_rest(workspace, tmp_path, way_in, who):
    way_in(workspace, tmp_path)
    before = aside(workspace)
    assert len(before) == 2
    erased = workspace.forgetting.erase(f"person:{who}")
    assert erased.set_aside == 1
    [left] = aside(workspace)
    assert left in before
    assert WORDS in left[2]
    other = "u-bo" if who == "u-ann" else "u-ann"
    assert workspace.forgetting.erase(f"person:{other}").set_aside == 1
    assert aside(workspace) == []


def test_a_file_of_which_nothing_is_left_is_gone_and_one_of_others_is_not_written_anew(workspace, tmp_path):
    folder = workspace.folder / "lake" / "quarantine"
    slack(workspace, tmp_path)
    [both] = folder.glob("*.jsonl")
    workspace.forgetting.erase("person:u-ann")
    [rest] = folder.glob("*.jsonl")
    assert rest != both
    written = rest.stat().st_mtime_ns
    workspace.people.add_person("u-cy", account="acme", name="Cy Cole")
    assert workspace.forgetting.erase("person:u-cy").set_aside == 0
    assert (list(folder.glob("*.jsonl")), rest.stat().st_mtime_ns) == ([rest], written)


def test_input_of_an_account_that_nobody_knows_is_searched_too(workspace, tmp_path):
    lines = [event("u-ann", account="nobody"), event("u-bo", account="nobody")]
    for line in lines:
        line["scopeLogs"][0]["logRecords"][0]["attributes"] += event("", **{"volition.category": "service/usage"})[
            "scopeLogs"
        ][0]["logRecords"][0]["attributes"][1:]
        line["scopeLogs"][0]["logRecords"][0]["timeUnixNano"] = "1767603600000000000"
    collected = workspace.records.collect_otlp(file(tmp_path, "e.jsonl", json.dumps({"resourceLogs": lines})))
    assert len(collected.rejected) == 2
    assert workspace.forgetting.erase("person:u-ann").set_aside == 1
    assert len(aside(workspace)) == 1


def quarantined(workspace, account, *raws):
    lake = workspace.records._opened.lake
    return lake.quarantine(account, [{"source": "s", "where": "w", "why": "y", "raw": raw} for raw in raws])


def test_of_another_account_only_an_address_surely_means_the_person(workspace):
    quarantined(workspace, "brill", "Ann Lee said so", "mail to ANN@acme.example", "u-ann")
    assert workspace.forgetting.erase("person:u-ann").set_aside == 1
    assert [raw for _, _, raw in aside(workspace)] == ["Ann Lee said so", "u-ann"]


def test_lines_of_earlier_versions_that_do_not_say_whose_they_are_are_opened_by_whichever_key_fits(workspace):
    path = quarantined(workspace, "brill", "Ann Lee", "ann+slack@acme.example", "nobody")
    lines = [json.loads(text) for text in path.read_bytes().splitlines()]
    for line in lines:
        del line["account"]
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert workspace.forgetting.erase("person:u-ann").set_aside == 1
    assert workspace.forgetting.erase("account:brill").set_aside == 2


def test_what_nobody_can_read_goes_with_any_erasure(workspace):
    path = quarantined(workspace, "acme", "somebody else's", "and another's")
    whole, cut = path.read_bytes().splitlines()
    sealed = json.loads(whole)
    sealed["sealed_raw"] = sealed["sealed_raw"][:-2] + "00"
    path.write_bytes(json.dumps(sealed).encode() + b"\n" + cut[:-7] + b"\n" + cut + b"\n")
    assert workspace.forgetting.erase("person:u-ann").set_aside == 2
    assert [raw for _, _, raw in aside(workspace)] == ["and another's"]


def test_an_erased_account_leaves_nothing_set_aside_and_another_keeps_all(workspace):
    quarantined(workspace, "acme", "one", "two")
    quarantined(workspace, "brill", "acme is a customer of ours")
    quarantined(workspace, None, '{"volition.account": "acme"}', '{"volition.account": "acmeville"}')
    assert workspace.forgetting.erase("account:acme").set_aside == 3
    left = sorted(raw for _, _, raw in aside(workspace))
    assert left == ["acme is a customer of ours", '{"volition.account": "acmeville"}']


ANN = Person(
    id="orchard-ann",
    account="acme",
    name="Ann Lée",
    aliases=("U0ANN", "李安"),
    emails=("ann.lee@acme.example",),
    pseudonym="0" * 31 + "a",
)


@pytest.mark.parametrize(
    "text",
    [
        "ANN LÉE: hello",
        "Lee, Ann (Guest)",
        "Ann M. Lee",
        json.dumps({"text": "Ann Lée"}),
        json.dumps({"inner": json.dumps({"text": "Ann Lée"})}),
        repr({"text": "it's Ann Lée"}),
        "<v Ann&nbsp;L&eacute;e>hello",
        "from=ann.lee%40acme.example&x=1",
        "mailto:Ann.Lee+zoom@acme.example, or",
        "<@U0ANN>",
        "u0ann\n",
        "用户李安说",
        json.dumps({"text": "用户李安说"}),
        "person orchard-ann",
        "Ann Lée".encode("utf-16-le").decode("latin-1"),
        "Ann L\\xe9e",
        base64.b64encode(b"\n\x0corchard-ann\x12\x02hi").decode(),
        base64.b64encode(b"aorchard-annb" + b"\0" * 9).decode(),
        base64.b64encode("Ann Lée, hello".encode()).decode(),
        "the pseudonym " + "0" * 31 + "A",
    ],
)
def test_a_text_names_somebody_however_it_is_written_and_encoded(text):
    assert Mentions(ANN).found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ann",
        "Lee said that Bo, Cy, Dee and Ann were late",
        "U0ANNA",
        "joann.lee@acme.example",
        "orchard-anna",
        "{}",
    ],
)
def test_a_text_that_names_somebody_else_is_left(text):
    assert not Mentions(ANN).found_in(text)


def test_only_an_address_counts_where_asked():
    mentions = Mentions(ANN, by_address_only=True)
    assert not mentions.found_in("Ann Lée, U0ANN, orchard-ann")
    assert mentions.found_in("Ann Lée <ann.lee@acme.example>")
