"""Who may read what of the ledger: by the rule itself, and by a walk over every route and page."""

import itertools
import json
import re

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from volition.canonical import canonical_json
from volition.errors import RefusedError
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Checkpoint, Signer, checkpoint_text, sign_note
from volition.ledger.store import LOWEST, Growth
from volition.ledger.stores.memory import MemoryStore
from volition.server.app import Server
from volition.server.auth import Role
from volition.server.entry_readers import (
    UNGUESSED,
    EntryReader,
    check_hides,
    check_may_prove,
    count_unsalted,
    is_personal,
    may_read,
)
from volition.server.web.app import PAGES

pytestmark = pytest.mark.slow  # every route is asked as everybody

SAME = {"sec-fetch-site": "same-origin"}
STRANGER, FOREIGN = "a person of another account", "another account's administrator"
USERS = {STRANGER: "demo-stranger", FOREIGN: "demo-foreign", **{role: f"demo-{role}" for role in Role}}


@pytest.fixture
def server(world):
    """Serve a workspace in which everybody said something, and an account limited some of its people by name."""
    server = Server(world, is_demo=True)
    server.access.users.add("demo-foreign", roles=[Role.ADMINISTRATOR], name="Foreign", account="brill")
    with server.workspaces.borrow() as workspace:
        guest = workspace.parties.guest("acme", "Zoe Guest").id
        workspace.terms.accept("brill")
        for party in ("account:acme", "account:brill", "person:ada", "person:bo", "person:cy", f"person:{guest}"):
            workspace.consent.decide(party, yes=False, data=["content"], purpose=["train/search"])
        about = {"data": ["content"], "purpose": ["train/compose"], "people": ["ada", "bo"]}
        workspace.consent.limit("acme", group="Works council", limited=True, **about)
        workspace.consent.limit("acme", data=["content"], purpose=["train/summary"], limited=True)
        workspace.exclusions.exclude("standup", account="acme", by="ada", purpose=["train"])
        workspace.people.add_person("dan", account="acme", name="Dan Deer", region="FR")
        workspace.snapshots.create("train/compose")
        workspace.forgetting.erase("person:dan")
    yield server
    server.close()


def coming(server, who):
    """Return a client with the session of somebody, which pages and the API both take."""
    client = TestClient(server, base_url="http://centre.example", headers=SAME, raise_server_exceptions=False)
    client.cookies.set("volition", server.access.sessions.begin(USERS[who]))
    return client


def everything(server, who):
    """Yield every route and page with what it answers to somebody: each that reads, and what changes without harm."""
    client = coming(server, who)
    with server.workspaces.borrow() as workspace:
        sizes, snapshot = range(workspace.ledger.size), workspace.snapshots.ids()[0]
    left, paths = list(server.api.app.routes), []
    while left:
        route = left.pop(0)
        left += getattr(getattr(route, "original_router", None), "routes", [])
        if isinstance(route, APIRoute) and "GET" in route.methods and not route.path.endswith("/events"):
            paths.append(route.path)
    paths += [page.path for page in PAGES if page.method == "GET" and not page.path.endswith("/live")]
    there = {"seq": [*map(str, sizes)], "person": ["ada", "bo", "cy"], "account": ["acme", "brill"]}
    there |= {"snapshot": [snapshot], "version": ["2025-01"]}
    asked = "?kind=meeting&name=standup&party=account:acme&q=launch&account=acme&old=2"
    for path in paths:
        names = re.findall(r"\{(\w+)(?::path)?\}", path)
        for values in itertools.product(*(there.get(name, ["standup"]) for name in names)):
            filled = path
            for name, value in zip(names, values, strict=True):
                filled = re.sub(rf"\{{{name}(:path)?\}}", value, filled)
            answer = client.get(filled + ("" if filled == "/v1/decisions" else asked))
            assert answer.status_code != 500, filled
            yield filled, answer.text
    if who in {Role.ADMINISTRATOR, FOREIGN}:
        account = "acme" if who is Role.ADMINISTRATOR else "brill"
        limits = f"/v1/accounts/{account}/limits"
        limit = {"data": ["content"], "purpose": ["train/diagnose"], "group": "Some"}
        said = {"party": f"account:{account}", "answer": "yes", "data": ["content"], "purpose": ["train/search"]}
        people = ["ada"] if account == "acme" else ["cy"]
        for path, body in (
            (limits, {**limit, "people": people}),
            (limits, {**limit, "people": people, "limited": False}),
            (f"/v1/accounts/{account}/acceptance", {}),
            ("/v1/decisions", said),
            *([("/v1/exclusions", {"name": "standup", "account": account})] if account == "acme" else []),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 201, answer.text
            yield path, answer.text


def pseudonyms_of(server):
    with server.workspaces.borrow() as workspace:
        return {person.id: person.pseudonym for person in workspace.parties.people(None)}


@pytest.mark.slow
@pytest.mark.parametrize("who", [Role.ADMINISTRATOR, FOREIGN, STRANGER, Role.GUEST, Role.PERSON, Role.ENGINEER])
def test_no_route_and_no_page_tells_anybody_another_one_s_pseudonym(server, who):
    known = pseudonyms_of(server)
    with server.workspaces.borrow() as workspace:
        gone = {entry.body["party"][7:] for entry in workspace.entries() if entry.kind == "erasure"}
        guest = workspace.parties.guest("acme", "Zoe Guest").id
    own = {STRANGER: "cy", Role.PERSON: "ada", Role.GUEST: guest}.get(who)
    others = {pseudonym for person, pseudonym in known.items() if person != own} | gone
    assert len(others) >= 4
    told, seen = [], ""
    for path, text in everything(server, who):
        told += [path for one in others if one in text]
        seen += text
    assert told == []
    assert own is None or known[own] in seen  # the walk would have found one


@pytest.mark.slow
@pytest.mark.parametrize("who", [Role.AUDITOR, Role.OPERATOR])
def test_what_staff_read_of_the_ledger_names_nobody(server, who):
    known = pseudonyms_of(server)
    for path, text in everything(server, who):
        is_of_people = path == "/v1/people" or path.startswith(("/v1/people/", "/v1/models/"))
        assert is_of_people or [path for one in known.values() if one in text] == []


@pytest.mark.parametrize("who", [Role.AUDITOR, Role.OPERATOR])
def test_the_api_keeps_private_what_the_console_does(server, who):
    client = coming(server, who)
    with server.workspaces.borrow() as workspace:
        entries = workspace.entries()
    listed = client.get("/v1/entries?limit=500").json()["items"]
    assert len(listed) == len(entries)
    kinds = set()
    for entry, told in zip(entries, listed, strict=True):
        assert (told["seq"], told["kind"], told["leaf"]) == (entry.seq, entry.kind, entry.leaf_hash.hex())
        page = client.get(f"/console/ledger/{entry.seq}").text
        assert ("belongs to a person" in page) == (told["body"] is None) == is_personal(entry)
        if told["salt"] is None:
            kinds.add(entry.kind)
            assert entry.salt not in json.dumps(told) + page
        else:
            whole = {name: told[name] for name in ("at", "body", "kind", "salt", "seq")}
            assert merkle.leaf_hash(canonical_json(whole)).hex() == told["leaf"]
    assert kinds == {"decision", "limit", "exclusion", "region", "erasure"}


@pytest.mark.parametrize("who", [*Role, STRANGER, FOREIGN])
def test_an_entry_is_proved_to_those_who_may_read_it(server, who):
    person = {Role.PERSON: "ada", STRANGER: "cy"}.get(who)
    account = {Role.ADMINISTRATOR: "acme", FOREIGN: "brill"}.get(who)
    known = pseudonyms_of(server)
    with server.workspaces.borrow() as workspace:
        entries = workspace.entries()
        own = {f"person:{known[person]}"} if person else set()
        if who is Role.GUEST:
            own = {f"person:{known[workspace.parties.guest('acme', 'Zoe Guest').id]}"}
    client, proved = coming(server, who), set()
    for entry in entries:
        text = json.dumps(entry.body)
        is_of_account = account is not None and f'"{account}"' in text.replace("account:", "")
        is_own = entry.body.get("party") in own
        is_nobody_s = "person:" not in text and entry.kind in {"terms", "snapshot", "mapping", "collect"}
        may = who in {Role.AUDITOR, Role.OPERATOR} or is_nobody_s or is_own
        may = may or (is_of_account and "person:" not in text)
        answer = client.get(f"/v1/entries/{entry.seq}/proof")
        assert answer.status_code == (200 if may else 403), (entry.kind, text)
        proved |= {entry.kind} if may else set()
    assert proved >= {"terms", "snapshot"}
    assert "decision" in proved or who is Role.ENGINEER


def test_a_person_reads_what_they_said_under_each_of_their_identities(server):
    with server.workspaces.borrow() as workspace:
        heard = workspace.parties.guest("acme", "A. Byron").id
        entry = workspace.consent.decide(f"person:{heard}", yes=False, data=["content"], purpose=["train/diagnose"])
        workspace.people.merge(heard, into="ada")
    client = coming(server, Role.PERSON)
    [said] = [one for one in client.get("/v1/decisions").json()["items"] if one["seq"] == entry.seq]
    assert said["body"] == entry.body
    assert client.get(f"/v1/entries/{entry.seq}/proof").status_code == 200


# --- entries from before there were salts ---

SIGNER = Signer.from_seed("log.example", bytes(32))
ANN, BEN = "person:" + "a" * 32, "person:" + "b" * 32
NOBODY = EntryReader(reads_all=False, people=frozenset(), account=None)
READERS = [NOBODY, EntryReader(reads_all=False, people=frozenset({ANN}), account="acme")]
BODIES = [
    {"terms": {"id": "t"}},
    *({"party": party, "answer": answer} for party in (ANN, BEN, "account:acme") for answer in ("yes", "no")),
]


def early(pattern, later=0):
    """Return a ledger whose first entries have no salt: of each, which body it has; and then some that have one."""
    entries = [
        Entry(seq=seq, at_us=seq, kind="terms" if kind == 0 else "decision", body=BODIES[kind])
        for seq, kind in enumerate(pattern)
    ]
    store, frontier = MemoryStore(), merkle.Frontier()
    nodes = frontier.extend([entry.leaf_hash for entry in entries], lowest=LOWEST)
    checkpoint = Checkpoint(origin=SIGNER.key.name, size=len(entries), root=frontier.root())
    note = sign_note(checkpoint_text(checkpoint), SIGNER)
    leaves = tuple(entry.leaf_bytes for entry in entries)
    store.append(lambda _: Growth(leaves=leaves, nodes=tuple(nodes), checkpoint=checkpoint, note=note))
    ledger = Ledger(store, SIGNER, lambda: 0)
    for _ in range(later):
        ledger.append(NewEntry(kind="decision", body=BODIES[1]))
    return ledger


def guessed(ledger, reader, node, start, end):
    """Return what somebody finds out from a hash over entries who knows when and in which order each was made."""
    entries = [*ledger.entries(start, end)]
    unread = [entry for entry in entries if not may_read(reader, entry)]
    if not unread or len(unread) > 3 or any(entry.salt for entry in unread):
        return []  # with a salt, or many, there is nothing to try
    for bodies in itertools.product(BODIES[1:], repeat=len(unread)):
        tried = iter(bodies)
        leaves = [
            (
                entry
                if may_read(reader, entry)
                else Entry(seq=entry.seq, at_us=entry.at_us, kind="decision", body=next(tried))
            )
            for entry in entries
        ]
        if merkle.Tree(leaf.leaf_bytes for leaf in leaves).root.hex() == node:
            return list(bodies)
    return []


@pytest.mark.parametrize("reader", READERS, ids=["nobody", "a person and administrator"])
@pytest.mark.parametrize(
    "pattern", [(0, 3), (3, 0), (0, 3, 0, 0, 0), (1, 0, 3, 5, 0), (0, 0, 0, 0, 4, 0, 0), (0, 5, 0)]
)
def test_no_proof_lets_anybody_guess_an_early_entry_of_others(reader, pattern):
    ledger = early(pattern, later=4)
    size, given, refused = ledger.size, 0, 0
    asked = [(merkle.inclusion_spans(seq, size), ledger.prove_inclusion(seq, size)) for seq in range(size)]
    asked += [(merkle.consistency_spans(old, size), ledger.prove_consistency(old, size)) for old in range(size)]
    for spans, proof in asked:
        found = [guessed(ledger, reader, node.hex(), *span) for span, node in zip(spans, proof, strict=True)]
        try:
            check_hides(reader, ledger, spans)
        except RefusedError:
            refused += 1
            assert any(found)
        else:
            given += 1
            assert not any(found)
    assert given
    assert refused or all(kind in {0, 1, 5, 6} for kind in pattern)


def test_many_early_entries_under_one_hash_hide_each_other():
    for others, is_given in ((UNGUESSED - 1, False), (UNGUESSED, True)):
        ledger = early([3] * others + [0] * (32 - others), later=1)
        [span] = [(0, 32)]
        if is_given:
            check_hides(NOBODY, ledger, [span])
        else:
            with pytest.raises(RefusedError, match=r"entries 0 to 31.*guessed"):
                check_hides(NOBODY, ledger, [span])


@pytest.mark.parametrize("early_ones", [0, 1, 2, 7, 16])
def test_the_early_entries_are_counted(early_ones):
    ledger = early([0] * early_ones, later=3) if early_ones else Ledger(MemoryStore(), SIGNER, lambda: 0)
    if not early_ones:
        ledger.append(NewEntry(kind="decision", body=BODIES[1]))
    assert count_unsalted(ledger) == early_ones


def test_an_early_answer_is_proved_to_whom_it_belongs_and_to_the_auditor_but_its_neighbour_to_nobody_else():
    ledger = early([1, 3, 0, 3], later=1)  # Ann, Ben, terms, Ben
    ann, auditor = READERS[1], EntryReader(reads_all=True, people=frozenset(), account=None)
    entries, size = [*ledger.entries()], ledger.size
    for entry in entries[:4]:
        check_may_prove(auditor, ledger, entry, merkle.inclusion_spans(entry.seq, size))
    check_may_prove(ann, ledger, entries[0], merkle.inclusion_spans(0, size))
    with pytest.raises(RefusedError):
        check_may_prove(ann, ledger, entries[2], merkle.inclusion_spans(2, size))
