"""`volition.client` against a real server: what it gives, what it sends again, and that it fails closed."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from volition.client import ApiError, AsyncClient, Client, Question, UnreachableError, Verdict, calls
from volition.client.calls import Retries
from volition.client.holding import Holding
from volition.server.auth import Role, Scope

ASK = {"account": "acme", "people": ["ada"], "category": "content/chat", "conversation": ""}
PURPOSE = "feature/search"
MS = 1_000_000
pytestmark = pytest.mark.slow


@pytest.fixture
def token(served):
    """Let everyone have said yes; return what issues a token of a role."""
    with served.workspaces.borrow() as workspace:
        for party in ("account:acme", "person:ada", "person:bo"):
            workspace.consent.decide(
                party, yes=True, data=["content", "service"], purpose=["feature", "train"], covers="past"
            )

    def issue(role, *scopes):
        user = "demo-stranger" if role == "stranger" else f"demo-{role}"
        held = [Role.PERSON if role == "stranger" else Role(role)]
        return served.access.tokens.issue(user, name="t", roles=held, scopes=scopes or list(Scope))[1]

    return issue


class Lossy(httpx.BaseTransport):
    """The network, which loses the answers to the first requests that are sent by it."""

    def __init__(self, loses):
        self.inner, self.loses, self.sent = httpx.HTTPTransport(), loses, []

    def handle_request(self, request):
        self.sent.append(request)
        answer = self.inner.handle_request(request)
        answer.read()
        if len(self.sent) <= self.loses:
            raise httpx.ReadError("the answer was lost")
        return answer

    def close(self):
        self.inner.close()


def test_what_it_gives(served, token):
    with Client(served.url, token=token(Role.OPERATOR)) as client:
        assert client.may(PURPOSE, **ASK)
        mixed = [Question(**ASK), Question(**ASK | {"people": ["nobody"]})]
        assert [one.reason for one in client.may_many(PURPOSE, mixed)] == [None, "unknown-party"]
        seq = client.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE]).seq
        refused = client.may(PURPOSE, **ASK)
        assert (refused.permitted, refused.reason, bool(refused)) == (False, "withdrawn", False)
        permits = {(one.purpose, one.category): one for one in client.permits("ada")}
        assert not permits[PURPOSE, "content/chat"].allowed
        assert permits["feature/summary", "content/transcript"].allowed
        [*changes] = client.changes(str(seq), wait_s=0)
        assert [(one.seq, one.kind) for one in changes] == [(seq, "decision")]
        assert [*client.changes(changes[-1].cursor, wait_s=0)] == []
    with Client(served.url, token=token(Role.PERSON)) as own:
        assert seq in [one.seq for one in own.decisions()]
        before = own.settings()
        [switch] = [one for one in before.settings if "train/compose" in one.purposes]
        assert switch.answer == "yes"
        after = own.answer(switch.switch, yes=False)
        assert next(one for one in after.settings if one.switch == switch.switch).answer == "no"
        assert all(one.answer == "no" for one in own.answer(None, yes=False).settings if one.has_say)


def test_accounts_people_and_their_answers_are_taken_in_part_by_part_and_once(served, token, monkeypatch):
    monkeypatch.setattr(calls, "MOST_IMPORTED", 2)
    people = [{"person": f"eck-{number}", "account": "eck", "name": f"Eve {number}"} for number in range(5)]
    people[3]["account"] = "nowhere"
    said = {"account": "eck", "answer": "no", "data": ["content"], "purpose": ["train"], "said": "2025-01-01T00:00:00Z"}
    answers = [{**said, "party": f"Eve {number}"} for number in range(5)]
    with Client(served.url, token=token(Role.OPERATOR)) as client:
        assert client.import_accounts([{"account": "eck", "name": "Eck"}]).new == 1
        for new, known in ((4, 0), (0, 4)):
            told = client.import_people(people)
            assert (told.new, told.known, told.set_aside, [one.line for one in told.rows]) == (new, known, 1, [4])
            told = client.import_decisions(answers, source="crm")
            assert (told.new, told.known, [one.line for one in told.rows]) == (new, known, [4])
        assert client.import_people([]).new == 0
        assert client.import_people([{"person": "eck-9"}], dry_run=True).dry_run

    async def import_again():
        async with AsyncClient(served.url, token=token(Role.OPERATOR)) as client:
            return await client.import_people(people), await client.import_decisions(answers, source="crm")

    assert [one.known for one in asyncio.run(import_again())] == [4, 4]
    for role in (Role.ADMINISTRATOR, "stranger"):
        with Client(served.url, token=token(role)) as client, pytest.raises(ApiError) as refused:
            client.import_people(people)
        assert refused.value.status == 403


def test_a_failure_has_the_servers_identifier_and_is_not_taken_for_a_refusal(served, token):
    with Client(served.url, token=token(Role.PERSON)) as client:
        for call in (lambda: client.may(PURPOSE, **ASK), lambda: client.permits("bo"), lambda: client.permits("zed")):
            with pytest.raises(ApiError) as caught:
                call()
            assert (caught.value.status, caught.value.type) == (403, "urn:volition:problem:forbidden")
    with Client(served.url, token="vol_none") as client, pytest.raises(ApiError) as caught:
        client.settings()
    assert caught.value.type == "urn:volition:problem:unauthorized"


def test_a_write_whose_answer_was_lost_is_sent_again_and_done_once(served, token):
    network = Lossy(loses=2)
    with served.workspaces.borrow() as workspace:
        size = workspace.ledger.size
    with Client(served.url, token=token(Role.OPERATOR), transport=network) as client:
        seq = client.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE]).seq
    assert len(network.sent) == 3
    assert len({one.headers["idempotency-key"] for one in network.sent}) == 1
    with served.workspaces.borrow() as workspace:
        assert [one.seq for one in workspace.ledger.entries(size) if one.kind == "decision"] == [seq]


def test_what_is_held_is_not_asked_again_and_a_no_is_heard_once_it_is_acknowledged(served, token):
    network = Lossy(loses=0)
    with Client(served.url, token=token(Role.ENGINEER), transport=network) as client:
        for _ in range(200):
            assert client.may(PURPOSE, **ASK)
        assert len(network.sent) < 200
        stopping, late = threading.Event(), []
        acknowledged = threading.Event()

        def ask():
            while not stopping.is_set():
                began_after = acknowledged.is_set()
                if client.may(PURPOSE, **ASK) and began_after:
                    late.append(1)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        with served.workspaces.borrow() as workspace:  # as another process does it: straight into the ledger
            for _ in range(3):
                workspace.consent.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE])
                acknowledged.set()
                assert not client.may(PURPOSE, **ASK)
                acknowledged.clear()
                workspace.consent.decide("person:ada", yes=True, data=["content"], purpose=[PURPOSE], covers="past")
        stopping.set()
        asking.join()
    assert late == []


def test_without_a_server_everything_is_refused_and_a_write_says_that_nothing_was_heard():
    with Client("http://127.0.0.1:9", token="vol_x", patience_s=0.2, may_patience_s=0.2) as client:
        assert client.may(PURPOSE, **ASK) == Verdict(permitted=False, reason="stale")
        assert [one.reason for one in client.may_many(PURPOSE, [Question(**ASK)] * 2)] == ["stale"] * 2
        with pytest.raises(UnreachableError):
            client.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE])


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"permitted": "true"}', b'{"permitted": null}', b"[true]"])
def test_what_answers_something_else_permits_nothing(body):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))  # the network, at its worst
    with Client("https://x.example", token="vol_x", may_patience_s=0.1, transport=transport) as client:
        assert client.may(PURPOSE, **ASK) == Verdict(permitted=False, reason="stale")


@pytest.mark.parametrize("url", ["http://privacy.example", "ftp://x", "privacy.example", "https://x/?a=b"])
def test_a_token_never_crosses_the_network_in_the_clear(url):
    with pytest.raises(ValueError, match=r"address|clear"):
        Client(url, token="vol_x")


def test_both_clients_have_the_same_methods_with_the_same_arguments(served, token):
    def methods(kind):
        found = {name.replace("aclose", "close"): one for name, one in vars(kind).items() if not name.startswith("_")}
        return {name: [*inspect.signature(one).parameters] for name, one in found.items()}

    assert methods(Client) == methods(AsyncClient)

    async def use():
        async with AsyncClient(served.url, token=token(Role.OPERATOR)) as client:
            assert await client.may(PURPOSE, **ASK)
            assert await client.may(PURPOSE, **ASK)
            seq = (await client.decide("person:ada", yes=False, data=["content"], purpose=[PURPOSE])).seq
            assert not await client.may(PURPOSE, **ASK)
            assert [one.seq async for one in client.changes(str(seq), wait_s=0)] == [seq]
            assert len(await client.permits("ada")) > 10
        async with AsyncClient("http://127.0.0.1:9", token="vol_x", may_patience_s=0.1) as nowhere:
            assert (await nowhere.may(PURPOSE, **ASK)).reason == "stale"

    with ThreadPoolExecutor(1) as threads:  # a browser's tests may have a loop in this one
        threads.submit(lambda: asyncio.run(use())).result()


class Hands:
    """A clock that is set by hand."""

    now = 0

    def __call__(self):
        return self.now


def test_an_answer_is_held_from_before_it_was_asked_for_and_no_longer():
    clock = Hands()
    holding, question = Holding(clock_ns=clock), Question(**ASK)
    verdict = Verdict(permitted=True, good_for_ms=80)
    sent_ns = holding.sending_ns()
    clock.now += 50 * MS  # on the way
    holding.keep(PURPOSE, question, verdict, sent_ns=sent_ns)
    clock.now = 80 * MS - 1
    assert holding.find(PURPOSE, question) == verdict
    assert holding.find("feature/summary", question) is None
    assert holding.find(PURPOSE, Question(**ASK | {"people": ["bo"]})) is None
    clock.now += 1
    assert holding.find(PURPOSE, question) is None
    holding.keep(PURPOSE, question, verdict, sent_ns=0)
    assert holding.find(PURPOSE, question) is None, "it came too late to be held at all"


def test_a_request_is_tried_for_as_long_as_there_is_patience_and_waits_as_it_is_told():
    clock = Hands()
    retries = Retries(patience_s=10, clock=clock)
    busy = ApiError(type="x", status=503, title="", detail="", retry_after_s=3)
    assert retries.pause_s(busy) == 3
    assert retries.pause_s(UnreachableError("lost")) < 1
    under_way = ApiError(type="x", status=409, title="", detail="")
    assert retries.pause_s(under_way) > 0, "the try that was lost may still be answered"
    clock.now = 8
    with pytest.raises(ApiError):
        retries.pause_s(busy)
    with pytest.raises(ApiError):
        Retries(patience_s=10, clock=clock).pause_s(under_way)
