"""Whether the log has only grown since a checkpoint that somebody kept: over the API, in words, with a proof."""

import json

import pytest
from starlette.testclient import TestClient

from volition.canonical import canonical_json
from volition.ledger import merkle
from volition.ledger.signing import Checkpoint, Signer, checkpoint_text, open_note, parse_checkpoint, sign_note
from volition.server.app import Server
from volition.server.auth import Role
from volition.workspace import Workspace

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def server(world):
    server = Server(world, is_demo=True)
    yield server
    server.close()


def coming(server, role=Role.PERSON):
    client = TestClient(server, base_url="http://centre.example", headers=SAME, follow_redirects=False)
    client.cookies.set("volition", server.access.sessions.begin(f"demo-{role}"))
    return client


def asked(server, text, role=Role.PERSON):
    answer = coming(server, role).post("/v1/consistency", json={"checkpoint": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(server):
    """Return the checkpoint of now, after which the log grows by one answer."""
    with server.workspaces.borrow() as workspace:
        note = workspace.ledger.checkpoint()
        workspace.consent.decide("person:bo", yes=False, data=["content"], purpose=["train/search"])
    return note


@pytest.mark.parametrize("role", list(Role))
def test_who_kept_a_checkpoint_is_told_that_the_log_has_only_grown_and_given_the_proof(server, role):
    note = kept(server)
    told = asked(server, note, role)
    with server.workspaces.borrow() as workspace:
        key, size = workspace.verifier, workspace.ledger.size
    assert (told["holds"], told["old"], told["new"]) == (True, size - 1, size)
    assert f"its {size - 1:,} entries are still the first ones, unchanged, and 1 entry was added" in told["detail"]
    proof = told["proof"]
    assert proof["old"] == note
    old, new = (parse_checkpoint(open_note(proof[one], key).text) for one in ("old", "new"))
    nodes = [bytes.fromhex(node) for node in proof["proof"]]
    merkle.verify_consistency(old.size, new.size, nodes, old.root, new.root)


def test_a_checkpoint_of_now_says_that_nothing_changed(server):
    with server.workspaces.borrow() as workspace:
        note = workspace.ledger.checkpoint()
    told = asked(server, note)
    assert (told["holds"], told["old"], told["proof"]["proof"]) == (True, told["new"], [])
    assert "none of them was changed" in told["detail"]


def test_a_receipt_is_enough_and_so_is_a_bundle_with_several_checkpoints(server):
    note = kept(server)
    client = coming(server)
    body = {"party": "person:ada", "answer": "no", "data": ["content"], "purpose": ["train"]}
    seq = client.post("/v1/decisions", json=body).json()["seq"]
    receipt = client.get(f"/receipts/{seq}")
    assert receipt.status_code == 200
    kept(server)
    told = asked(server, receipt.text)
    assert (told["holds"], told["old"]) == (True, told["new"] - 1)
    both = asked(server, json.dumps([receipt.json(), {"old": [{"checkpoint": note}]}]))
    assert both["proof"] == told["proof"]
    assert "the newest of your 2 checkpoints" in both["detail"]


def test_what_a_form_does_to_a_text_is_undone(server):
    note = kept(server)
    assert asked(server, "\r\n  " + note.replace("\n", "\r\n") + "\r\n")["holds"]


def forked(folder, **changes):
    """Return a checkpoint that the log's own key signed of another history: only the operator could."""
    with Workspace(folder) as workspace:
        head = workspace.ledger.head
        signer = workspace._opened.signer
    fields = {"origin": head.origin, "size": head.size, "root": head.root, **changes}
    return sign_note(checkpoint_text(Checkpoint(**fields)), signer)


def test_a_log_that_was_cut_changed_or_is_another_one_is_told_apart(server, world):
    with server.workspaces.borrow() as workspace:
        size = workspace.ledger.size
    for note, says in (
        (forked(world, size=size + 1), f"counts {size + 1:,} entries, and there are {size:,} now"),
        (forked(world, root=bytes(32)), f"Its first {size:,} entries are not those"),
        (forked(world, size=size - 1), f"Its first {size - 1:,} entries are not those"),
    ):
        told = asked(server, note)
        assert (told["holds"], told["proof"]) == (False, None)
        assert says in told["detail"]
        assert "evidence" in told["detail"]
        both = asked(server, json.dumps([kept(server), note]))
        size += 1
        assert not both["holds"]  # one that fits excuses no other


def test_a_checkpoint_that_this_log_did_not_sign_shows_nothing(server):
    note = kept(server)
    other = Signer.from_seed("log.example/pages", bytes(32))
    text = checkpoint_text(Checkpoint(origin="log.example/pages", size=3, root=bytes(32)))
    _, size, *_ = note.split("\n")
    for wrong in (sign_note(text, other), note.replace(f"\n{size}\n", f"\n{size}0\n"), note[:-6] + "AAAA=\n"):
        told = asked(server, wrong)
        assert (told["holds"], told["old"], told["proof"]) == (False, None, None)
        assert "not signed with the key of this log" in told["detail"]


@pytest.mark.parametrize("text", ["x", "{}", "[1, null]", "log.example/pages\n3\nabc\n", "[" * 100_000, "\N{EM DASH}"])
def test_a_text_without_a_checkpoint_is_the_caller_s_mistake(server, text):
    answer = coming(server).post("/v1/consistency", json={"checkpoint": text})
    assert (answer.status_code, "no checkpoint in this text" in answer.text) == (400, True)


def test_a_hundred_checkpoints_at_once_are_enough(server):
    notes = [f"a\n{number}\nb\n\n\N{EM DASH} c d\n" for number in range(101)]
    answer = coming(server).post("/v1/consistency", json={"checkpoint": json.dumps(notes)})
    assert (answer.status_code, "at most 100" in answer.text) == (400, True)


@pytest.mark.parametrize("role", [Role.PERSON, Role.GUEST])
def test_the_page_says_it_in_words_and_gives_the_file(server, role):
    note, client = kept(server), coming(server, role)
    assert '<a href="/receipts/consistency">' in client.get("/receipts").text
    page = client.post("/receipts/consistency", data={"checkpoint": note.replace("\n", "\r\n")}).text
    assert "has only grown since your checkpoint" in page
    file = client.post("/receipts/consistency/file", data={"checkpoint": note.replace("\n", "\r\n")})
    assert file.json() == asked(server, note, role)["proof"]
    name = file.headers["content-disposition"].rpartition("'")[2]
    assert f"volition verify {name} --key" in page
    assert canonical_json(file.json())


def test_the_page_gives_no_file_where_the_log_has_not_grown(server, world):
    note, client = forked(world, root=bytes(32)), coming(server)
    page = client.post("/receipts/consistency", data={"checkpoint": note}).text
    assert 'role="alert"' in page
    assert "/receipts/consistency/file" not in page
    refused = client.post("/receipts/consistency/file", data={"checkpoint": note})
    assert (refused.status_code, "are not those that" in refused.text) == (400, True)


def test_a_page_tells_a_person_how_the_ledger_names_them(server):
    with server.workspaces.borrow() as workspace:
        heard = workspace.parties.guest("acme", "Ada B.").id
        workspace.people.merge(heard, into="ada")
        pseudonyms = workspace.parties.person("ada").pseudonyms
        zoe = workspace.parties.guest("acme", "Zoe Guest").pseudonym
    page = coming(server).get("/receipts").text
    assert len(pseudonyms) == 2
    for pseudonym in pseudonyms:
        assert f'<code class="key">{pseudonym}</code>' in page
        assert f"--person {pseudonym}" in page
    for path in ("/guest", "/receipts"):
        assert zoe in coming(server, Role.GUEST).get(path).text
