"""What was collected cannot be changed: a dishonest operator is refused a snapshot, or found out from the evidence.

And a participant is shown what was recorded about them.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator import START_US, keys_file, world_in
from volition.consent.gate import Subject
from volition.consent.references import source_id
from volition.errors import InvalidInputError, ProofError
from volition.ledger.entry import Entry, NewEntry
from volition.records.commitment import CollectedBatch, commit_batch, people_key, read_collected, salt_of
from volition.records.commitment import write_collected as written
from volition.transparency.collected import prove_collected
from volition.transparency.evidence import verify_evidence
from volition.transparency.verify.collected import NO_MORE, logged_before, verify_collected
from volition.transparency.verify.collected import check_collected as check

ADA = {"account": "acme", "people": ("ada", "bo")}


@pytest.fixture
def world(tmp_path):
    with world_in(tmp_path) as made:
        made.everyone_says("yes")
        yield made


def fill(world):
    """Collect two batches, of several people and two kinds."""
    for number in range(2):
        world.lake.append(
            [world.record(f"{number}{part}", people=people) for part, people in enumerate([("ada", "bo"), ("cy",)])]
            + [world.record(f"{number}used", "brill", ("bo",), category="service/usage")]
        )


def evidence(world):
    """Freeze a snapshot; return its keys, its file, the log up to and with its entry, and that entry's number."""
    snapshot = world.freeze()
    entries = list(world.ledger.entries())
    return snapshot.keys, (snapshot.folder / "collected.parquet").read_bytes(), entries, entries[-1].seq


def check_collected(keys, data, entries, seq, **more):
    """Check a snapshot of such rows."""
    return check(keys_file(keys), data, logged_before(entries, seq), **more)


def batches_in(data):
    return list(read_collected(data))


# --- records changed in the lake, before the snapshot is taken ---


def test_what_is_as_it_was_collected_holds(world):
    fill(world)
    keys, data, entries, seq = evidence(world)
    found = check_collected(keys, data, entries, seq, said={"batches": 2, "before": 0})
    assert found == f"{len(keys)} rows are as they were collected, in 2 batches"


def rewrite(world, column, change):
    """Change a column of the lake's files, as somebody could who has them."""
    for path in sorted((world.folder / "lake" / "records").rglob("*.parquet")):
        table = pq.ParquetFile(path).read()
        values = pa.array([change(value) for value in table[column].to_pylist()], table.schema.field(column).type)
        pq.write_table(table.set_column(table.schema.names.index(column), column, values), path)


def in_index(world, sql, *values):
    with closing(sqlite3.connect(world.folder / "lake" / "index.db")) as index, index:
        index.execute(sql, values)


LIES = {
    "collected later": lambda world: rewrite(world, "collected_us", lambda at_us: at_us + 1),
    "collected earlier": lambda world: rewrite(world, "collected_us", lambda at_us: at_us - 86_400_000_000),
    "another conversation": lambda world: rewrite(world, "source", lambda source: source and source_id("acme", "x")),
    "no conversation": lambda world: rewrite(world, "source", lambda _: ""),
    "without whoever said no": lambda world: in_index(world, "UPDATE circles SET people = '[0]'"),
    "another category": lambda world: in_index(world, "UPDATE files SET category = 'content/files'"),
    "another account": lambda world: in_index(world, "UPDATE accounts SET account = 'brill'"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_record_changed_in_the_lake_gets_into_no_snapshot(world, lie):
    category = "service/usage" if lie == "another account" else "content/chat"  # the content of another does not open
    world.lake.append([world.record(0, people=("ada", "bo"), category=category)])
    LIES[lie](world)
    world.lake._index._known.clear()
    assert len(world.rows()) == 1
    with pytest.raises(ProofError, match="is not as it was collected: its account, people, category, conversation"):
        world.freeze()


# --- the evidence itself made up ---

FORGED = {
    "collected_us": START_US - 1,
    "people": ("0" * 32,),
    "category": "content/files",
    "account": "brill",
    "conversation": "",
    "record_id": "0" * 32,
}


@pytest.mark.parametrize("field", FORGED)
def test_a_row_that_differs_from_what_was_collected_is_named(world, field):
    fill(world)
    keys, data, entries, seq = evidence(world)
    place = next(place for place, key in enumerate(keys) if key.category == "content/chat")
    forged = [*keys]
    forged[place] = replace(keys[place], **{field: FORGED[field]})
    with pytest.raises(ProofError, match=f"Row {forged[place].record_id} is not as it was collected"):
        check_collected(forged, data, entries, seq)


def test_the_order_of_the_people_counts(world):
    world.lake.append([world.record(0, people=("ada", "bo"))])
    [key], data, entries, seq = evidence(world)
    with pytest.raises(ProofError, match="is not as it was collected"):
        check_collected([replace(key, people=key.people[::-1])], data, entries, seq)


def forged_batch(keys):
    """Return a batch that fits some rows, made after the fact, and what its entry would have to say."""
    key = b"x" * 32
    body, leaves = commit_batch(keys, key)
    order = sorted(one.record_id for one in keys)
    batch = CollectedBatch(
        entry=0,
        people_key=people_key(key),
        rows=range(len(keys)),
        indexes=[order.index(one.record_id) for one in keys],
        salts=b"".join(salt_of(key, one.record_id) for one in keys),
        leaves=leaves,
    )
    return batch, body


def test_leaves_made_after_the_fact_need_an_entry_from_before_the_snapshot(world):
    fill(world)
    keys, _, entries, seq = evidence(world)
    forged = [replace(key, collected_us=key.collected_us - 1) for key in keys]
    batch, body = forged_batch(forged)
    for entry in entries:
        what = "commits to" if entry.kind == "collect" else "is no entry about what was collected"
        with pytest.raises(ProofError, match=what):
            check_collected(forged, written([replace(batch, entry=entry.seq)]), entries, seq)
    entries += world.ledger.append(NewEntry(kind="collect", body=body))
    data = written([replace(batch, entry=entries[-1].seq)])
    with pytest.raises(ProofError, match="from before the snapshot"):
        check_collected(forged, data, entries, seq)
    check_collected(forged, data, entries, seq + 2)  # nothing else is wrong with it


def test_a_row_cannot_be_left_out_named_twice_or_stand_for_another(world):
    fill(world)
    keys, data, entries, seq = evidence(world)
    first, second = batches_in(data)
    short = replace(first, rows=first.rows[1:], indexes=first.indexes[1:], salts=first.salts[16:])
    for batches, why in (
        ([second], "does not say what was collected"),
        ([short, second], "does not say what was collected"),
        ([second, first], "not in the order"),
        ([first, first, second], "not in the order"),
        ([replace(first, rows=[*first.rows[:-1], first.rows[0]]), second], "names a row twice"),
        ([replace(first, rows=[*first.rows[:-1], len(keys)]), second], "not there"),
        ([first, replace(second, rows=first.rows)], "names a row twice"),
        ([replace(first, leaves=first.leaves[:-32]), second], "commits to"),
        ([replace(first, indexes=first.indexes[::-1]), second], "is not as it was collected"),
        ([replace(first, indexes=[-1, *first.indexes[1:]]), second], "no record of it"),
        ([replace(first, indexes=[99, *first.indexes[1:]]), second], "no record of it"),
        ([replace(first, people_key=bytes(32)), second], "is not as it was collected"),
        ([replace(first, salts=bytes(len(first.salts))), second], "is not as it was collected"),
    ):
        with pytest.raises(ProofError, match=why):
            check_collected(keys, written(batches), entries, seq)


def test_one_record_is_not_two_rows(world):
    world.lake.append([world.record(0)])
    [key], data, entries, seq = evidence(world)
    [batch] = batches_in(data)
    twice = replace(batch, rows=[0, 1], indexes=[*batch.indexes] * 2, salts=batch.salts * 2)
    with pytest.raises(ProofError, match="said to be one record"):
        check_collected([key, key], written([twice]), entries, seq)


def test_the_manifest_counts_what_there_is(world):
    fill(world)
    keys, data, entries, seq = evidence(world)
    for said in ({"batches": 1, "before": 0}, {"batches": 2, "before": 1}, {"batches": 2}):
        with pytest.raises(ProofError, match="manifest counts"):
            check_collected(keys, data, entries, seq, said=said)


# --- what is said to be older ---


def older(entries):
    """Return entries as a log of an earlier version has them, whose salts begin nowhere."""
    return [Entry(seq=one.seq, at_us=one.at_us, kind=one.kind, body=one.body) for one in entries]


def before(keys, places):
    return CollectedBatch(entry=None, people_key=b"", rows=places, indexes=[], salts=b"", leaves=b"")


def test_a_new_log_knows_no_rows_from_before_it_said_what_was_collected(world):
    fill(world)
    keys, _, entries, seq = evidence(world)
    with pytest.raises(ProofError, match="after the log began to have them"):
        check_collected(keys, written([before(keys, range(len(keys)))]), entries, seq)
    with pytest.raises(ProofError, match="does not show what was collected"):
        check_collected(keys, None, entries, seq)


def test_in_an_older_log_what_was_collected_later_is_not_older(world):
    early = world.record("early", at_us=START_US)
    fill(world)
    world.lake.append([early])
    keys, data, entries, seq = evidence(world)
    entries = older(entries)
    first, second, third = batches_in(data)
    place = next(place for place, key in enumerate(keys) if key.record_id == early.record_id)
    assert third.rows == [place]
    found = check_collected(keys, written([before(keys, [place]), first, second]), entries, seq)
    assert found.endswith("of 1 it is not known: they are older than such entries")
    late = max(range(len(keys)), key=lambda place: keys[place].collected_us)
    rest = replace(second, rows=second.rows[:-1], indexes=second.indexes[:-1], salts=second.salts[:-16])
    assert second.rows[-1] == late
    with pytest.raises(ProofError, match="after the log began to have them"):
        check_collected(keys, written([before(keys, [place, late]), first, rest]), entries, seq)
    with pytest.raises(ProofError, match="does not show what was collected"):
        check_collected(keys, None, entries, seq)


def test_a_snapshot_of_an_old_log_verifies_and_says_what_is_not_known(world):
    fill(world)
    keys, _, entries, _ = evidence(world)
    entries = older(one for one in entries if one.kind != "collect")
    found = check_collected(keys, None, entries, len(entries))
    assert found == f"of {len(keys)} rows it is not known what was collected: they are older than such entries"


def test_what_is_old_ends_where_salts_begin(world):
    fill(world)
    keys, _, entries, _ = evidence(world)
    entries = [*older(one for one in entries if one.kind != "collect")]
    salted = [Entry(seq=one.seq, at_us=one.at_us, kind=one.kind, body=one.body, salt="0" * 32) for one in entries]
    data = written([before(keys, range(len(keys)))])
    check_collected(keys, data, [*entries[:-1], salted[-1]], len(entries))
    with pytest.raises(ProofError, match="after the log began to have them"):
        check_collected(keys, data, [entries[0], *salted[1:]], len(entries))


# --- what a person is shown ---


def subject(world, *people):
    first, *merged = [world.people[one] for one in people]
    return Subject(pseudonym=first, at_us=2**60, merged=tuple(merged))


def shown(proof):
    return [json.loads(one["leaf"]) for batch in proof["batches"] for one in batch["leaves"]]


def test_a_person_is_shown_what_was_recorded_about_them(world):
    fill(world)
    proof = prove_collected(world.ledger, world.lake, subject(world, "acme-bo"))
    verified = verify_collected(json.loads(json.dumps(proof)), world.ledger._key)
    assert verified.holds
    assert verify_evidence(proof, world.ledger._key) == verified
    [found] = verified.checks
    assert found.name == "what was collected"
    assert found.detail.startswith(f"2 records concern {world.people['acme-bo']}, collected from 20")
    assert verified.claimed == (NO_MORE,)
    assert verify_evidence(proof, world.ledger._key, people=proof["pseudonyms"]).holds
    assert not verify_evidence(proof, world.ledger._key, people=["0" * 32]).holds
    rows = {row.record_id: row for row in world.rows() if world.people["acme-bo"] in row.people}
    assert {leaf[1]: leaf[2:3] + leaf[4:] for leaf in shown(proof)} == {
        record: [row.account, row.category, row.collected_us, row.conversation] for record, row in rows.items()
    }


def test_a_proof_says_the_pseudonym_of_nobody_else(world):
    fill(world)
    text = json.dumps(prove_collected(world.ledger, world.lake, subject(world, "acme-bo")))
    assert world.people["acme-bo"] in text
    assert not [name for name, pseudonym in world.people.items() if pseudonym in text and name != "acme-bo"]


def test_a_proof_may_be_about_one_record_or_conversation_or_several_identities(world):
    fill(world)
    world.lake.append([world.record("other", people=("ada",), channel="random")])
    ada = subject(world, "acme-ada")
    [other] = [row for row in world.rows() if row.payload.get("channel") == "random"]
    one = prove_collected(world.ledger, world.lake, ada, record=other.record_id)
    same = prove_collected(world.ledger, world.lake, ada, conversation=other.conversation)
    assert one == same
    assert [leaf[1] for leaf in shown(one)] == [other.record_id]
    both = prove_collected(world.ledger, world.lake, subject(world, "acme-ada", "acme-cy"))
    assert verify_collected(both, world.ledger._key).holds
    assert len(shown(both)) == 5
    with pytest.raises(InvalidInputError, match="No such record"):
        prove_collected(world.ledger, world.lake, ada, record="0" * 32)
    with pytest.raises(InvalidInputError, match="No such record"):
        prove_collected(world.ledger, world.lake, subject(world, "brill-ada"))


def test_what_is_left_of_a_batch_is_still_shown_when_others_are_erased(world):
    fill(world)
    world.lake.erase_person(world.people["acme-cy"])
    world.lake.erase_person(world.people["brill-bo"])
    proof = prove_collected(world.ledger, world.lake, subject(world, "acme-bo"))
    assert verify_collected(proof, world.ledger._key).holds
    assert len(shown(proof)) == 2


def mutations(value):
    """Yield a JSON value with one thing changed, in every place."""
    match value:
        case dict():
            yield value | {"more": 1}
            for name, inner in value.items():
                yield {other: one for other, one in value.items() if other != name}
                yield from (value | {name: changed} for changed in mutations(inner))
        case list():
            yield value[:-1]
            yield [*value, *value[-1:]]
            yield value[::-1]
            for place, inner in enumerate(value):
                yield from ([*value[:place], changed, *value[place + 1 :]] for changed in mutations(inner))
        case str():
            yield value.upper()
            yield value + " "
            for place in range(0, len(value), max(1, len(value) // 9)):
                yield value[:place] + ("0" if value[place] != "0" else "1") + value[place + 1 :]
        case int():
            yield from (value + 1, value - 1, float(value), str(value))


def test_no_changed_proof_holds_but_one_that_shows_less(world):
    fill(world)
    world.lake.append([world.record("last", people=("ada", "cy"))])
    proof = prove_collected(world.ledger, world.lake, subject(world, "acme-ada", "acme-cy"))
    changed = [one for one in mutations(proof) if canonical(one) != canonical(proof)]
    assert len(changed) > 500
    holding = [one for one in changed if verify_collected(one, world.ledger._key).holds]
    assert len(holding) == 3
    assert all(said(one) < said(proof) for one in holding)


def said(proof):
    """Return all that a proof shows: each leaf, and each person's token in a batch."""
    tokens = {(batch["entry"], *token) for batch in proof["batches"] for token in batch["tokens"].items()}
    return tokens | {canonical(leaf) for leaf in shown(proof)}


def canonical(value):
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("proof", [None, [], "", {}, {"format": "volition/collected-proof/1"}])
def test_what_is_no_proof_does_not_hold(world, proof):
    assert not verify_collected(proof, world.ledger._key).holds


def test_a_leaf_of_somebody_else_is_not_theirs(world):
    fill(world)
    mine = prove_collected(world.ledger, world.lake, subject(world, "acme-ada"))
    theirs = prove_collected(world.ledger, world.lake, subject(world, "acme-cy"))
    mixed = mine | {"batches": [batch | {"tokens": mine["batches"][0]["tokens"]} for batch in theirs["batches"]]}
    [found] = verify_collected(mixed, world.ledger._key).checks
    assert "is not shown to concern the person" in found.detail
