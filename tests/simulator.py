"""A small world for tests: real parties, a real ledger, a real lake in a folder, and a clock that we set."""

import hashlib
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import us_to_text
from volition.consent.history import read_history
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.consent.references import source_id
from volition.consent.terms.model import CATEGORIES, Basis, Rule, Terms
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.records.engines.arrow import ArrowEngine
from volition.records.freeze import freeze
from volition.records.ingest import Draft as Piece
from volition.records.ingest import PersonRef
from volition.records.lake import Lake, NewRecord, record_id
from volition.records.snapshot import KEYS_SCHEMA

DAY_US = 24 * 60 * 60 * 1_000_000
START_US = 20_000 * DAY_US  # a day in 2024
ADA = PersonRef(name="Ada Byron")
SIGNER = Signer.from_seed("log.example/world", bytes(range(32)))

TERMS = Terms(
    id="v1",
    title="v1",
    effective_us=0,
    acceptance="continued-use",
    text="prose",
    rules=(
        Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone")),
        Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("account",), refusable_by=("person",)),
        Rule(
            data=("content", "service"),
            purpose=("feature",),
            basis=Basis.CONSENT,
            asks=("account",),
            refusable_by=("person",),
        ),
    ),
)


class Clock:
    """A clock that goes one second further each time it is asked, and can be set."""

    def __init__(self, now_us=START_US):
        self.now_us = now_us

    def __call__(self):
        self.now_us += 1_000_000
        return self.now_us


class HashEncoder:
    """Embeds a text as the unit vector that its words' hashes add up to: small, and the same everywhere."""

    id = "hash"

    def __init__(self):
        self.texts = []

    def encode(self, texts):
        self.texts += texts
        vectors = np.zeros((len(texts), 384), np.float32)
        for row, text in enumerate(texts):
            for word in [text, *text.split()]:
                vectors[row, int(hashlib.sha256(word.encode()).hexdigest()[:8], 16) % 384] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class World:
    """Two accounts with three people each, who have accepted the terms and said nothing yet."""

    accounts = ("acme", "brill")
    names = ("Ada Byron", "Bo Berg", "Cy Clark")

    def __init__(self, folder, *, terms=TERMS, parties=None, engine=None):
        self.folder = folder
        self.clock = Clock()
        self.ledger = Ledger(MemoryStore(), SIGNER, clock=self.clock)
        self.parties = Parties.create(folder) if parties is None else parties
        self.ledger.append(NewEntry(kind="terms", body={"terms": terms.to_json(), "binds": us_to_text(self.clock())}))
        self.people = {}
        for account in self.accounts:
            if parties is None:
                self.parties.add_account(account, account.title())
                for name in self.names:
                    person = f"{account}-{name.split()[0].lower()}"
                    self.parties.add_person(person, account=account, name=name)
            self.ledger.append(NewEntry(kind="acceptance", body={"account": account, "terms": terms.id}))
        self.people = {person.id: person.pseudonym for person in self.parties.people()}
        self.lake = Lake(folder / "lake", self.parties, engine or ArrowEngine(), self.ledger)

    def close(self):
        self.lake.close()
        self.parties.close()

    def party(self, name):
        """Return a party as the ledger has it: an account by its id, a person by theirs."""
        return f"account:{name}" if name in self.accounts else f"person:{self.people[name]}"

    def say(self, name, answer, *, data=("content", "service"), purpose=("train", "feature"), covers="past"):
        body = {"party": self.party(name), "answer": answer, "data": list(data), "purpose": list(purpose)}
        return self.ledger.append(
            NewEntry(kind="decision", body={**body, "covers": covers if answer == "yes" else None})
        )

    def everyone_says(self, answer, **about):
        for name in (*self.accounts, *self.people):
            self.say(name, answer, **about)

    def erase(self, name):
        self.ledger.append(NewEntry(kind="erasure", body={"party": self.party(name)}))

    def history(self):
        return read_history(self.ledger.entries())

    def permits(self, purpose="train/search", *, at_us=None):
        return Permits(self.history(), purpose=purpose, at_us=self.clock() if at_us is None else at_us)

    def record(self, key, account="acme", people=("ada",), *, at_us=None, category="content/chat", text="", **payload):
        """Return a record of an account's people, named by their first names."""
        channel = payload.pop("channel", "general")
        return NewRecord(
            record_id=record_id(account, str(key)),
            account=account,
            people=tuple(self.people.get(f"{account}-{person}", person) for person in people),
            category=category,
            collected_us=self.clock() if at_us is None else at_us,
            source=source_id(account, channel) if category.startswith("content/") else "",
            payload={"kind": "message", "channel": channel, "text": text or f"words of {key}", **payload}
            if category.startswith("content/")
            else {"kind": "event", "name": "opened", "attributes": {"volition.item": f"document/{key}"}, **payload},
        )

    def rows(self, purpose="train/search", *, categories=CATEGORIES, **which):
        return list(self.lake.rows(self.permits(purpose), categories=categories, **which))

    def freeze(self, purpose="train/search", *, folder=None, permits=None, **what):
        permits = permits or self.permits(purpose)
        size = what.pop("ledger_size", self.ledger.size)
        snapshot = freeze(
            folder or self.folder / "snapshots",
            lake=self.lake,
            parties=self.parties,
            permits=permits,
            checkpoint=self.ledger.checkpoint(size),
            categories=what.pop("categories", CATEGORIES),
            collected_until_us=what.pop("collected_until_us", permits.at_us),
            progress=what.pop("progress", silent),
            **what,
        )
        body = {"snapshot": snapshot.id, "purpose": purpose, "at": snapshot.manifest["at"], "manifest": snapshot.digest}
        self.ledger.append(NewEntry(kind="snapshot", body=body))
        return snapshot


@contextmanager
def world_in(folder, **how):
    """Make a world and close it afterwards."""
    made = World(folder, **how)
    try:
        yield made
    finally:
        made.close()


def keys_file(keys):
    """Return the bytes of the `keys.parquet` that a snapshot of such rows would have."""
    table = pa.table({name: [getattr(key, name) for key in keys] for name in KEYS_SCHEMA.names}, schema=KEYS_SCHEMA)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def silent(stage, done, total, loss=None):
    """Report progress to nobody."""


def bytes_in(folder, *, but=()):
    """Return the bytes of every file in a folder, however deep."""
    return b"\0".join(
        path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in but
    )


def piece(key, *, account="acme", people=(ADA,), category="content/chat", at_us=START_US, **payload):
    """Return a draft as a way in would yield it."""
    return Piece(
        key=str(key),
        account=account,
        people=tuple(people),
        category=category,
        at_us=at_us,
        payload={"kind": "message", "channel": "general", "text": f"words of {key}", **payload},
    )
