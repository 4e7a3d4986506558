"""Random lives of people, against a plain account of who is who: nothing that either identity refused is permitted."""

import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from random import Random

import pytest

from volition.canonical import datetime_to_us
from volition.consent.identity import Handle, Identities
from volition.errors import VolitionError
from volition.progress import silent
from volition.records.ingest import Draft, PersonRef
from volition.workspace import Workspace

STARTED_US = datetime_to_us(datetime(2024, 11, 3, 9, tzinfo=UTC))
ACCOUNTS = ("acme", "brill")
NAMES = ("Ann Lee", "Bo Berg", "Cy Clark")
PURPOSES = ("train/search", "feature/search")
LIVES, STEPS, CHECKED_EVERY = 12, 60, 10


def drawn(random):
    """Return one step: what is done, and with what."""
    who, other, name, account = random.randrange(8), random.randrange(8), random.choice(NAMES), random.choice(ACCOUNTS)
    what = random.choices(
        ["collect", "decide", "merge", "add", "alias", "rename", "move", "leave"], weights=[6, 5, 4, 2, 1, 1, 1, 1]
    )[0]
    return what, {
        "collect": (account, name),
        "decide": (who, random.random() < 0.4, random.choice(PURPOSES)),
        "merge": (who, other),
        "add": (account, name),
        "alias": (who, name),
        "rename": (who, name, random.random() < 0.5),
        "move": (who, account),
        "leave": (who,),
    }[what]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random") / "ws"
    with Workspace.create(folder, origin="log.example/random") as workspace:
        for account in ACCOUNTS:
            workspace.people.add_account(account, account.title())
            workspace.terms.accept(account, "granular")
            about = {"data": ["content"], "purpose": ["train", "feature"]}
            workspace.consent.decide(f"account:{account}", yes=True, covers="past", **about)
    return folder


class Life:
    """A workspace, and what a plain reader remembers: which pseudonyms are one person, and what each refuses."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.one = {}  # pseudonym -> the pseudonyms of the same person, a set that they share
        self.refuses = {}  # pseudonym -> purposes
        self.number = 0

    def chosen(self, number):
        people = self.workspace.parties.people()
        return people[number % len(people)] if people else None

    def known(self):
        """Take in who was made since, alone and without an answer."""
        for person in self.workspace.parties.people():
            for pseudonym in person.pseudonyms:
                self.one.setdefault(pseudonym, {pseudonym})
                self.refuses.setdefault(pseudonym, set())

    def do(self, what, *arguments):
        self.number += 1
        self.known()
        with suppress(VolitionError):  # what is refused has changed nothing, which `check` sees
            getattr(self, what)(*arguments)
        self.known()

    def add(self, account, name):
        self.workspace.people.add_person(f"p{self.number}", account=account, name=name)

    def collect(self, account, name):
        draft = Draft(
            key=str(self.number),
            account=account,
            people=(PersonRef(name=name),),
            category="content/transcript",
            at_us=STARTED_US + self.number,
            payload={"kind": "segment", "text": str(self.number), "meeting": f"m{self.number}", "speaker": name},
        )
        self.workspace.records.take_in(iter([draft]), account, silent)

    def decide(self, who, yes, purpose):
        person = self.chosen(who)
        if person is None:
            return
        about = {"data": ["content"], "purpose": [purpose], "covers": "past" if yes else None}
        self.workspace.consent.decide(f"person:{person.id}", yes=yes, **about)
        for pseudonym in self.one[person.pseudonym]:
            (self.refuses[pseudonym].discard if yes else self.refuses[pseudonym].add)(purpose)

    def merge(self, gone, kept):
        one, other = self.chosen(gone), self.chosen(kept)
        if one is None or other is None:
            return
        self.workspace.people.merge(one.id, into=other.id)
        whole = self.one[one.pseudonym] | self.one[other.pseudonym]
        refused = set().union(*(self.refuses[pseudonym] for pseudonym in whole))
        for pseudonym in whole:
            self.one[pseudonym], self.refuses[pseudonym] = whole, set(refused)

    def alias(self, who, name):
        if (person := self.chosen(who)) is not None:
            self.workspace.people.alias(person.id, aliases=[name])

    def rename(self, who, name, forget_old):
        if (person := self.chosen(who)) is not None:
            self.workspace.people.rename(person.id, name, forget_old=forget_old)

    def move(self, who, account):
        if (person := self.chosen(who)) is not None:
            self.workspace.people.move(person.id, to=account)

    def leave(self, who):
        if (person := self.chosen(who)) is not None:
            self.workspace.people.leave(person.id)

    def check(self):
        parties = self.workspace.parties
        for person in parties.people():
            assert set(person.pseudonyms) == self.one[person.pseudonym]
            assert all(parties.person(one) == person for one in person.ids)
        for purpose in PURPOSES:
            rows = self.workspace.records.rows(purpose, categories=["content/transcript"])
            for batch in rows:
                for people, payload in zip(batch["people"].to_pylist(), batch["payload"].to_pylist(), strict=True):
                    # A feature asks whoever spoke, training everybody.
                    for one in people if purpose.startswith("train") else people[:1]:
                        refused = self.refuses.get(one.removeprefix("person:"), set())
                        assert purpose not in refused, (purpose, people, json.loads(payload))

    def check_certain(self):
        """Whoever alone goes by a name in an account, of which they are, is meant by it for certain."""
        for account in ACCOUNTS:
            for name in NAMES:
                named = self.workspace.parties.named(account, name)
                if len(named) == 1 and named[0].account == account and not named[0].has_left(account):
                    found = Identities(self.workspace.parties).resolve(account, Handle(name=name)).people
                    assert named[0].pseudonym in found
                    if not named[0].is_heard:
                        assert found == (named[0].pseudonym,)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 3 + LIVES))
def test_whatever_happens_to_people_nothing_that_an_identity_of_theirs_refused_is_permitted(template, tmp_path, seed):
    random = Random(seed)
    folder = shutil.copytree(template, tmp_path / "ws")
    with Workspace.open(folder) as workspace:
        life = Life(workspace)
        for number in range(STEPS):
            what, arguments = drawn(random)
            life.do(what, *arguments)
            if number % CHECKED_EVERY == CHECKED_EVERY - 1:
                life.check()
        life.check_certain()
        assert any(len(one) > 1 for one in life.one.values()), "nobody was merged"
    with Workspace.open(folder) as workspace:  # and so it stays
        life.workspace = workspace
        life.check()


# --- who may have spoken ---

ANN, ZOE = "Ann Lee", "Annie Lee"  # the second is another name until somebody says that it is Ann's, too
ADDRESS = "ann@acme.example"
SPOKEN, ACTS, RUNS = "feature/search", 22, 10


class Doubt:
    """One registered person and one or two heard who may be her; what each has refused last, by their own words."""

    def __init__(self, workspace, random):
        self.workspace, self.random = workspace, random
        self.last = {}  # pseudonym -> "yes", "no" or nothing yet
        self.one = {}  # pseudonym -> those of the same person
        self.number = 0

    def people(self):
        return self.workspace.parties.people("acme")

    def known(self):
        for person in self.people():
            for pseudonym in person.pseudonyms:
                self.one.setdefault(pseudonym, {pseudonym})
                self.last.setdefault(pseudonym, None)

    def act(self):
        self.number += 1
        what = self.random.choices(
            ["collect", "surely", "register", "say", "undo", "alias", "merge"], weights=[4, 2, 2, 8, 2, 1, 1]
        )[0]
        with suppress(VolitionError):
            getattr(self, what)()
        self.known()

    def take_in(self, **handle):
        draft = Draft(
            key=str(self.number),
            account="acme",
            people=(PersonRef(**handle),),
            category="content/transcript",
            at_us=STARTED_US + self.number,
            payload={"kind": "segment", "text": str(self.number), "meeting": f"m{self.number}", "speaker": ANN},
        )
        self.workspace.records.take_in(iter([draft]), "acme", silent)

    def collect(self):
        self.take_in(name=self.random.choice([ANN, ZOE, f"{ANN} (Guest)"]))

    def surely(self):
        self.take_in(name=ANN, email=ADDRESS)

    def register(self):
        self.workspace.people.add_person("ann", account="acme", name=ANN, emails=[ADDRESS])

    def alias(self):
        self.workspace.people.alias("ann", aliases=[self.random.choice([ZOE, ANN])])

    def merge(self):
        gone = self.random.choice([one for one in self.people() if one.is_heard] or [None])
        if gone is None or all(one.id != "ann" for one in self.people()):
            return
        kept = self.workspace.parties.person("ann")
        refused = [self.refuses(one) for one in (gone, kept)]
        self.workspace.people.merge(gone.id, into="ann")
        whole = set().union(*(self.one[pseudonym] for pseudonym in (*gone.pseudonyms, *kept.pseudonyms)))
        for pseudonym in whole:
            self.one[pseudonym] = whole
            if any(refused):
                self.last[pseudonym] = "no"

    def refuses(self, person):
        return any(self.last[pseudonym] == "no" for pseudonym in person.pseudonyms)

    def say(self):
        person = self.random.choice(self.people() or [None])
        if person is None:
            return
        yes = self.random.random() < 0.5
        about = {"data": ["content"], "purpose": [SPOKEN], "covers": "past" if yes else None}
        before = {pseudonym: self.last[pseudonym] for pseudonym in self.one[person.pseudonym]}
        self.workspace.consent.decide(f"person:{person.id}", yes=yes, **about)
        for pseudonym in before:
            self.last[pseudonym] = "yes" if yes else "no"

    def undo(self):
        person = self.random.choice(self.people() or [None])
        if person is None:
            return
        before = {pseudonym: self.last[pseudonym] for pseudonym in self.one[person.pseudonym]}
        no, _ = self.workspace.consent.refuse_all(f"person:{person.id}", account="acme")
        for pseudonym in before:
            self.last[pseudonym] = "no"
        self.workspace.consent.undo_refusal(f"person:{person.id}", account="acme", seq=no.seq)
        stands = self.workspace.history().party(f"person:{person.pseudonym}").decisions[-1]
        if stands.yes:
            self.last |= before

    def say_yes(self, person):
        self.workspace.consent.decide(f"person:{person}", yes=True, covers="past", data=["content"], purpose=[SPOKEN])
        self.last |= dict.fromkeys(self.workspace.parties.person(person).pseudonyms, "yes")

    def check(self):
        """No record is permitted of which anybody who surely or possibly spoke has refused last."""
        used = set()
        for batch in self.workspace.records.rows(SPOKEN, categories=["content/transcript"]):
            for people in batch["people"].to_pylist():
                pseudonyms = [one.removeprefix("person:") for one in people]
                used.add(tuple(pseudonyms))
                refused = [one for one in pseudonyms if self.last.get(one) == "no"]
                assert not refused, (people, refused)
        return used


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_no_record_is_used_that_somebody_who_may_have_spoken_refuses_and_ones_yes_frees_what_is_surely_theirs(
    template, tmp_path, seed
):
    random = Random(seed)
    with Workspace.open(shutil.copytree(template, tmp_path / "ws")) as workspace:
        doubt = Doubt(workspace, random)
        for _ in range(ACTS):
            doubt.act()
            doubt.check()
        if any(one.id == "ann" for one in doubt.people()):
            doubt.say_yes("ann")
            surely = Identities(workspace.parties).resolve("acme", Handle(name=ANN, email=ADDRESS)).people
            doubt.surely()
            assert len(surely) > 1 or surely in doubt.check(), "her yes frees what is surely hers"
        for person in doubt.people():
            doubt.say_yes(person.id)
        used = sum(batch.num_rows for batch in workspace.records.rows(SPOKEN, categories=["content/transcript"]))
        held = sum(workspace.records.stock().categories.values())
        assert used == held, "where all have said yes nothing is left against anybody"
