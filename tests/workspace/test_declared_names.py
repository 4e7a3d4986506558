"""Categories and purposes that terms declare: collected, asked about, decided on, frozen, and sealed like content."""

from contextlib import closing
from dataclasses import replace

import pytest

from crafts import Clock, create_unbound
from volition.consent.history import read_history
from volition.consent.permits import Reason
from volition.consent.terms.model import Basis, Rule, Switch
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import Category, Purpose
from volition.errors import InvalidInputError
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef
from volition.records.ingest.row_mapping import RowMapping
from volition.workspace import Workspace
from waiting import until

TICKETS = Category(name="crm/tickets", words="support tickets")
CALLS = Category(name="crm/calls", words="calls with the support", content=False)
CHURN = Purpose(name="train/churn", title="Train churn prediction")
ASKS = Rule(data=("crm",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "person"))
REFUSABLE = Rule(
    data=("service", "content"), purpose=("train/churn",), basis=Basis.CONTRACT, refusable_by=("account", "person")
)
SECRET = "the refund that nobody else may read"


def declaring(name, *, categories=(TICKETS, CALLS), purposes=(CHURN,), rules=(ASKS,), **more):
    """Return the granular terms with names of one's own."""
    granular = load_profile("granular")
    kept = granular.rules if rules else ()
    return replace(
        granular, id=name, categories=categories, purposes=purposes, rules=(*kept, *rules), notice_days=0, **more
    )


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def workspace(tmp_path, clock):
    with closing(create_unbound(tmp_path / "acme", origin="log.example/own", clock=clock)) as made:
        made.people.add_account("helio", "Helio")
        made.people.add_person("ada", account="helio", name="Ada")
        made.people.add_person("bo", account="helio", name="Bo")
        made.terms.accept("helio")
        yield made


def publish(workspace, clock, terms):
    workspace.terms.publish(terms)
    workspace.terms.accept("helio", terms.id)
    clock.wait(hours=1)


def yes(workspace, clock, *parties, data=("crm",), purpose=("train/churn",)):
    for party in parties:
        workspace.consent.decide(party, yes=True, data=data, purpose=purpose)
    clock.wait(hours=1)


def collect(workspace, clock, category="crm/tickets", *, person="ada", key="1"):
    draft = Draft(
        key=key,
        account="helio",
        people=(PersonRef(id=person),),
        category=category,
        at_us=clock(),
        payload={"text": SECRET},
    )
    collected = workspace.records.take_in([draft], "helio", silent)
    clock.wait(hours=1)
    return collected


def may(workspace, purpose, category, person="ada"):
    answer = workspace.gate.may(purpose, account="helio", people=[person], category=category).verdict
    return True if answer.permitted else answer.reason


def lying(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_declared_category_is_collected_asked_about_and_frozen_for_a_declared_purpose(workspace, clock):
    with pytest.raises(InvalidInputError, match=r"There is no purpose 'train/churn'\. The purposes are: train/search"):
        workspace.snapshots.create("train/churn")
    publish(workspace, clock, declaring("own"))
    assert may(workspace, "train/churn", "crm/tickets") is Reason.NOT_ASKED
    yes(workspace, clock, "account:helio", "person:ada")
    assert may(workspace, "train/churn", "crm/tickets") is True
    assert may(workspace, "train/churn", "crm/tickets", "bo") is Reason.NOT_ASKED
    assert may(workspace, "train/search", "crm/tickets") is Reason.NOT_ASKED  # the yes named one purpose

    assert collect(workspace, clock).stored == 1
    assert collect(workspace, clock, "crm/calls", key="2").stored == 1
    collect(workspace, clock, person="bo", key="3")
    snapshot = workspace.snapshots.create("train/churn")

    assert sorted(key.category for key in snapshot.keys) == ["crm/calls", "crm/tickets"]
    assert (
        {row["text"] for batch in workspace.records.rows("train/churn") for row in batch.to_pylist()} if False else True
    )
    workspace.consent.decide("person:ada", yes=False, data=["crm"], purpose=["train"])
    assert may(workspace, "train/churn", "crm/tickets") is Reason.WITHDRAWN
    assert workspace.snapshots.create("train/churn").keys == ()


@pytest.mark.parametrize("category", ["crm/tickets", "crm/calls"])
def test_what_is_declared_is_sealed_in_the_lake_and_in_snapshots(workspace, clock, tmp_path, category):
    publish(workspace, clock, declaring("own"))
    yes(workspace, clock, "account:helio", "person:ada")
    collect(workspace, clock, category)
    workspace.snapshots.create("train/churn")
    assert SECRET.encode() not in lying(tmp_path / "acme")
    assert workspace.records.sizes() == {category: 1}
    assert [use.category for use in workspace.rights.holdings("ada").days] == [category]


def test_what_no_terms_declare_is_set_aside_with_the_list_of_what_there_is(workspace, clock):
    publish(workspace, clock, declaring("own"))
    yes(workspace, clock, "account:helio", "person:ada")
    [reject] = collect(workspace, clock, "crm/ticket").rejected
    assert "'crm/ticket' is not a single category" in reject.why
    assert "content/files, crm/tickets, crm/calls" in reject.why
    for category in ("crm", "crm/ticket"):
        with pytest.raises(InvalidInputError, match=r"They are: service/usage.*crm/tickets, crm/calls"):
            may(workspace, "train/churn", category)
    with pytest.raises(InvalidInputError, match='Did you mean "crm/tickets"'):
        workspace.consent.decide("person:ada", yes=False, data=["crm/ticket"], purpose=["train"])


def test_nobodys_yes_of_before_reaches_what_is_declared_later_and_everybodys_no_does(workspace, clock):
    everything = {"data": ["service", "content"], "purpose": ["train"]}
    workspace.consent.decide("account:helio", yes=True, **everything)
    workspace.consent.decide("person:ada", yes=False, **everything)
    workspace.consent.decide("person:bo", yes=False, data=["content/chat"], purpose=["train/search"])
    publish(workspace, clock, declaring("own", rules=(ASKS, REFUSABLE)))
    assert may(workspace, "train/churn", "service/usage") is Reason.SAID_NO  # ada said no to all training
    assert may(workspace, "train/churn", "crm/tickets") is Reason.NOT_ASKED  # the account's yes did not reach it
    assert may(workspace, "train/churn", "service/usage", "bo") is True  # one use that is refused is not all
    workspace.consent.decide("account:helio", yes=True, data=["crm"], purpose=["train"])
    assert may(workspace, "train/churn", "crm/tickets") is Reason.SAID_NO  # nor to all data that there was


def test_a_limit_and_a_conversation_that_was_left_out_reach_what_is_declared_later(workspace, clock):
    workspace.consent.limit("helio", data=["service", "content"], purpose=["train"], group="hr", people=["ada"])
    publish(workspace, clock, declaring("own", rules=(ASKS, REFUSABLE)))
    assert may(workspace, "train/churn", "service/usage") is Reason.LIMITED
    assert may(workspace, "train/churn", "service/usage", "bo") is True
    workspace.consent.limit("helio", data=["service", "content"], purpose=["train"], group="hr", limited=False)
    assert may(workspace, "train/churn", "service/usage") is True


def test_a_history_saved_after_names_were_declared_is_the_one_that_is_read_anew(workspace, clock, tmp_path):
    workspace.consent.decide("person:ada", yes=False, data=["service", "content"], purpose=["train"])
    publish(workspace, clock, declaring("own", rules=(ASKS, REFUSABLE)))
    workspace.consent.decide("person:ada", yes=False, data=["service", "content", "crm"], purpose=["train"])
    entries = list(workspace.ledger.entries())
    history = read_history(entries)
    again = type(history)()
    again.load({name: bytes(data) for name, data in history.to_files().items()})
    name = next(entry.body["party"] for entry in entries if entry.kind == "decision")
    assert again.party(name) == history.party(name)
    assert len({scope.purposes for scope in again.answers.scopes}) == 1
    assert again.vocabulary.purposes == history.vocabulary.purposes


def test_a_held_gate_learns_what_is_declared_while_it_is_held(workspace, clock):
    with workspace.gate.hold("train/search") as held:
        assert held.may("helio", ["ada"], "crm/tickets", clock()).reason is Reason.NEVER
        publish(workspace, clock, declaring("own"))
        assert held.may("helio", ["ada"], "crm/tickets", clock()).reason is Reason.NOT_ASKED
        yes(workspace, clock, "account:helio", "person:ada", purpose=("train",))
        until(lambda: held.may("helio", ["ada"], "crm/tickets", clock()).permitted)


def test_what_was_content_stays_content_and_what_was_not_can_become_it(workspace, clock):
    publish(workspace, clock, declaring("own"))
    with pytest.raises(InvalidInputError, match=r'"crm/tickets" is content in terms published before, and stays'):
        workspace.terms.publish(declaring("less", categories=(replace(TICKETS, content=False), CALLS)))
    scoring = Purpose(name="crm/scoring", title="Scoring")
    other = replace(load_profile("granular"), id="mixed", purposes=(scoring,))
    with pytest.raises(InvalidInputError, match='"crm" names a category in terms published before'):
        workspace.terms.publish(other)
    publish(workspace, clock, declaring("more", categories=(TICKETS, replace(CALLS, content=True))))
    assert workspace.terms.vocabulary.is_content("crm/calls")
    workspace.terms.publish(replace(load_profile("granular"), id="none-declared"))
    assert workspace.terms.vocabulary.is_content("crm/calls")  # still known


def test_a_switch_offers_a_declared_purpose_and_its_no_is_to_all_data_there_is(workspace, clock):
    publish(
        workspace,
        clock,
        declaring("own", switches=(Switch(name="churn", title="Churn", refuses=("train/churn",)),)),
    )
    choice = workspace.consent.choices("person:ada", account="helio").of("churn")
    assert {line.category for line in choice.lines} >= {"crm/tickets", "crm/calls", "service/usage"}
    entry, _ = workspace.consent.choose("person:ada", "churn", account="helio", yes=False)
    assert entry.body["data"] == ["content", "crm", "service"]
    entry, _ = workspace.consent.refuse_all("person:ada", account="helio")
    assert "train/churn" in entry.body["purpose"]


def test_a_workspace_opened_again_knows_what_its_terms_declare(workspace, clock, tmp_path):
    publish(workspace, clock, declaring("own"))
    workspace.close()
    with closing(Workspace.open(tmp_path / "acme", clock=clock)) as again:
        assert again.terms.vocabulary.purpose("train/churn").title == "Train churn prediction"
        assert may(again, "train/churn", "crm/tickets") is Reason.NOT_ASKED


SOURCE = """
category = "crm/tickets"
columns.id = "number"
columns.account = "tenant"
columns.people = ["customer"]
columns.time = "opened"
columns.text = "text"
"""


def test_a_table_and_an_event_may_be_of_a_category_that_terms_declare(workspace, clock, tmp_path):
    path, table = tmp_path / "tickets.toml", tmp_path / "tickets.csv"
    path.write_text(SOURCE)
    mapping = RowMapping.from_file(path)
    table.write_text(f"number,tenant,customer,opened,text\n1,helio,ada,{clock.now.isoformat()},{SECRET}\n")
    settings = tmp_path / "acme" / "volition.toml"
    settings.write_text(settings.read_text() + '\n[otlp.events]\n"ticket.*" = "crm/tickets"\n')
    otlp = tmp_path / "nothing.jsonl"
    otlp.write_text("{}")
    for collect_it in (
        lambda: workspace.sources.collect_table(table, mapping=mapping),
        lambda: workspace.records.collect_otlp(otlp),
    ):
        with pytest.raises(InvalidInputError, match="'crm/tickets' is not a single category"):
            collect_it()
    publish(workspace, clock, declaring("own"))
    yes(workspace, clock, "account:helio", "person:ada")
    assert workspace.sources.collect_table(table, mapping=mapping).stored == 1
    workspace.records.collect_otlp(otlp)
    assert workspace.records.sizes() == {"crm/tickets": 1}
