"""Holdings: what is held of one person, what it was used for, and an export of all of it (access and portability).

For the person themself, or for the employee who answers their data subject access request (GDPR Articles 15 and 20), so
nobody's consent is asked for. What somebody else said is never in it, even if it was said to this person: of such a
record only its existence, category and instant are shown, and no word of it. Other people are counted, not named.

The export is a zip, written record by record, so it may be larger than memory:

    README.txt          what the archive holds, in plain words
    about.json          who this is, when it was written, and at which checkpoint of the ledger
    records.json        what the person said, wrote or did, as a JSON array; records.parquet is the same as a table
    concerning.json     others' records that concern them, without content; concerning.parquet likewise
    decisions.json      their decisions and signals, as the ledger has them
    uses.json           uses by features (counted by day), and the training sets that they were in
    accesses.json       who looked at their data
"""

import json
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from volition.canonical import us_to_datetime, us_to_text
from volition.consent.gate import Gate, Subject
from volition.consent.permits import Reason
from volition.consent.references import Pseudonym, person_ref, source_id
from volition.errors import DamagedError, ProofError
from volition.records.lake import HeldRecord, Lake, Row
from volition.records.snapshot import Snapshot
from volition.transparency.usage import UsageCount

SPOKEN: Final = ("content/chat", "content/transcript")
"""The categories of what is said among people, in a meeting or a conversation."""

_ROWS: Final = 1024
_README: Final = """\
What {origin} holds of {person}, as of {at}.

records.json, records.parquet        {own:,} records of what you said, wrote or did. "payload" is what was collected;
                                     "others" is how many other people the record concerns.
concerning.json, concerning.parquet  {concerning:,} records of what others said or did that concern you, such as your
                                     name in a message, or what was said in a meeting while you were there. The words
                                     are theirs, so they are not in here.
decisions.json                       every yes and no of yours, with its number in the ledger.
uses.json                            how often features used your records, by day, and every training set you are in.
accesses.json                        who looked at your data and for what, and each feature's use, the newest first.
about.json                           under which names you are known, and your pseudonyms in the ledger.
{may_be}
Times are UTC. Numbers that were computed from your records (for search) are kept beside them; they are left out, since
they say nothing that the records do not say. Uses by features are counted, record by record; who asked is not kept.
"""

_MAY_BE: Final = """
{count:,} who were heard in meetings may be you, or somebody else of a similar name. Their records are not in here:
nothing but their name says whose they are. Your no counts for them, too; ask the operator if they are you.
"""

_PLACE: Final = [
    pa.field("record_id", pa.string(), nullable=False),
    pa.field("account", pa.string(), nullable=False),
    pa.field("category", pa.string(), nullable=False),
    pa.field("collected_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("others", pa.int32(), nullable=False),
]
CONCERNING: Final = pa.schema(_PLACE)
"""The columns of `concerning.parquet`; `others` is how many people a record concerns besides this one."""

OWN: Final = pa.schema([*_PLACE, pa.field("payload", pa.string(), nullable=False)])
"""The columns of `records.parquet`: the same, and what was collected, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """How many records of one category and one day (UTC) are held of a person.

    Attributes:
        day: The day, as ISO 8601 writes it.
        category: A leaf of `terms.CATEGORIES`.
        own: Records of what the person said, wrote or did.
        concerning: Records of what others did that concern the person.
    """

    day: str
    category: str
    own: int
    concerning: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """A training set that a person is in.

    Attributes:
        snapshot: The snapshot.
        purpose: The purpose that it was frozen for.
        at_us: When, microseconds since the Unix epoch, UTC.
        rows: How many of its rows concern the person; none where it is damaged, or gone, so that it is not known.
    """

    snapshot: str
    purpose: str
    at_us: int
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What is held of a person.

    Attributes:
        at_us: The instant of asking, microseconds since the Unix epoch, UTC.
        days: Counts by day and category, the newest day first.
        uses: Uses by features, the newest day first.
        training_sets: The training sets that the person is in, the newest first.
        may_be: How many who were heard in meetings may be the person; their records are not counted here.
    """

    at_us: int
    days: tuple[DayCount, ...]
    uses: tuple[UsageCount, ...]
    training_sets: tuple[TrainingSet, ...]
    may_be: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the holdings as a JSON object with instants as text."""
        return {
            "at": us_to_text(self.at_us),
            "days": [
                {"day": day.day, "category": day.category, "own": day.own, "concerning": day.concerning}
                for day in self.days
            ],
            **uses_json(self.uses, self.training_sets),
            "may_be": self.may_be,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """How many records an export holds: the person's own, and others' that concern them."""

    own: int
    concerning: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeStatus:
    """Whether a person's lines in one place may be used for one purpose.

    Attributes:
        purpose: A leaf of `terms.PURPOSES`.
        lines: How many of the person's lines may be used for it.
        reason: Why the newest of the others may not, where that is up to the person or the account. None if all may,
            and where it is somebody else who has not allowed it: what they said is theirs.
    """

    purpose: str
    lines: int
    reason: Reason | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A meeting or conversation that a person was in.

    Attributes:
        name: What it is called; empty if the person said nothing in it, since the name then is only in others' records.
        category: Its category, a leaf of `terms.CATEGORIES`.
        account: The account that it belongs to.
        first_us: When the first record was collected that concerns the person, microseconds since the epoch, UTC.
        last_us: When the last one was.
        lines: How many lines the person said or wrote.
        others: How many lines of others concern the person.
        statuses: Whether the person's lines may be used, for each purpose that is not forbidden for all of them.
    """

    name: str
    category: str
    account: str
    first_us: int
    last_us: int
    lines: int
    others: int
    statuses: tuple[PurposeStatus, ...]


def places_of(
    lake: Lake, subject: Subject, *, account: str, gates: Mapping[str, tuple[Gate, Sequence[str]]]
) -> tuple[Place, ...]:
    """Return the meetings and conversations of an account that a person was in, the newest first.

    Args:
        lake: Where the records lie.
        subject: The person.
        account: The account.
        gates: By purpose, its gate and the categories that it has a use for.
    """
    said: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in lake.own_rows(subject, categories=SPOKEN):
        name = row.payload.get("meeting") or row.payload.get("channel")
        if row.account == account and isinstance(name, str):
            said[row.category, source_id(account, name)].append(row)
    held: dict[tuple[str, str], list[HeldRecord]] = defaultdict(list)
    for one in lake.held(subject, categories=SPOKEN):
        if one.account == account and one.source:
            held[one.category, one.source].append(one)
    places = []
    for (category, source), records in held.items():
        own = sorted(said[category, source], key=lambda row: (row.collected_us, row.record_id))
        instants = [one.collected_us for one in records]
        places.append(
            Place(
                name=str(own[0].payload.get("meeting") or own[0].payload.get("channel")) if own else "",
                category=category,
                account=account,
                first_us=min(instants),
                last_us=max(instants),
                lines=len(own),
                others=sum(not one.is_own for one in records),
                statuses=tuple(_statuses(own, category, gates)),
            )
        )
    return tuple(sorted(places, key=lambda place: (place.first_us, place.name), reverse=True))


def _statuses(
    rows: Sequence[Row], category: str, gates: Mapping[str, tuple[Gate, Sequence[str]]]
) -> Iterator[PurposeStatus]:
    for purpose, (gate, reads) in gates.items():
        if not rows or category not in reads:
            continue
        verdicts = [
            gate.may(
                row.account,
                tuple(person_ref(Pseudonym(one)) for one in row.people),
                category,
                row.collected_us,
                conversation=row.conversation,
            )
            for row in rows
        ]
        refused = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if not verdict.permitted]
        if len(refused) == len(rows) and {verdict.reason for _, verdict in refused} == {Reason.NEVER}:
            continue
        own = [one.reason for row, one in refused if one.party in {f"account:{row.account}", f"person:{row.people[0]}"}]
        yield PurposeStatus(purpose=purpose, lines=len(rows) - len(refused), reason=own[-1] if own else None)


def uses_json(uses: Iterable[UsageCount], training_sets: Iterable[TrainingSet]) -> dict[str, Any]:
    """Return what a person's records were used for as a JSON object."""
    return {
        "features": [
            {"day": used.day, "purpose": used.purpose, "category": used.category, "times": used.times} for used in uses
        ],
        "training_sets": [
            {"snapshot": one.snapshot, "purpose": one.purpose, "at": us_to_text(one.at_us), "rows": one.rows}
            for one in training_sets
        ],
    }


def count_days(lake: Lake, subject: Subject) -> tuple[DayCount, ...]:
    """Count what is held of a person by day and category, the newest day first; nothing is shown."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for held in lake.held(subject):
        day = us_to_datetime(held.collected_us).date().isoformat()
        counts[day, held.category][0 if held.is_own else 1] += 1
    days = [
        DayCount(day=day, category=category, own=own, concerning=others)
        for (day, category), (own, others) in counts.items()
    ]
    days.sort(key=lambda one: one.category)
    return tuple(sorted(days, key=lambda one: one.day, reverse=True))


def training_sets_of(
    pseudonyms: Collection[str], frozen: Iterable[TrainingSet], open_snapshot: Callable[[str], Snapshot]
) -> tuple[TrainingSet, ...]:
    """Return which of some training sets a person is in, or may be in, under any pseudonym; the newest first.

    Args:
        pseudonyms: The person, under each of their identities.
        frozen: Every training set, as the ledger has it.
        open_snapshot: Opens one. Whether the person is in one that is damaged, or gone, is not known, and it is told.
    """
    known = frozenset(pseudonyms)
    found = []
    for one in frozen:
        try:
            rows = sum(not known.isdisjoint(key.people) for key in open_snapshot(one.snapshot).keys)
        except (ProofError, DamagedError):
            found.append(one)
        else:
            found += [replace(one, rows=rows)] if rows else []
    return tuple(sorted(found, key=lambda one: one.at_us, reverse=True))


def write_export(  # noqa: PLR0913 - what an export is made of
    sink: IO[bytes],
    *,
    lake: Lake,
    subject: Subject,
    about: Mapping[str, Any],
    decisions: Sequence[Mapping[str, Any]],
    uses: Mapping[str, Any],
    accesses: Sequence[Mapping[str, Any]],
) -> Exported:
    """Write all that is held of a person as a zip.

    Args:
        sink: The file to write, seekable.
        lake: Where the records lie.
        subject: The person, and the instant of asking.
        about: Facts about the person: at least `origin`, `person` and `at`.
        decisions: Their ledger entries, as JSON objects.
        uses: From `uses_json`.
        accesses: Who looked, as JSON objects.

    Raises:
        BackendError: A file of the lake cannot be read.
        OSError: The sink cannot be written.
    """
    with _Zip(sink, at_us=subject.at_us) as archive:
        own = archive.table("records", OWN, (_own(row, subject) for row in lake.own_rows(subject)))
        others = (held for held in lake.held(subject) if not held.is_own)
        concerning = archive.table("concerning", CONCERNING, map(_concerning, others))
        archive.text("decisions.json", _pretty(decisions))
        archive.text("uses.json", _pretty(uses))
        archive.text("accesses.json", _pretty(accesses))
        archive.text("about.json", _pretty({**about, "records": own, "concerning": concerning}))
        named = {name: about[name] for name in ("origin", "person", "at")}
        named["may_be"] = _MAY_BE.format(count=about["may_be"]) if about.get("may_be") else ""
        archive.text("README.txt", _README.format(**named, own=own, concerning=concerning))
    return Exported(own=own, concerning=concerning)


def _own(row: Row, subject: Subject) -> dict[str, Any]:
    others = sum(f"person:{one}" not in subject.parties for one in row.people)
    return {**_place(row, others=others), "payload": row.payload}


def _concerning(held: HeldRecord) -> dict[str, Any]:
    return _place(held, others=held.others)


def _place(held: Row | HeldRecord, *, others: int) -> dict[str, Any]:
    return {
        "record_id": held.record_id,
        "account": held.account,
        "category": held.category,
        "collected_at": held.collected_us,
        "others": others,
    }


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


class _Zip:
    """A zip that is being written, one file after the other."""

    def __init__(self, sink: IO[bytes], *, at_us: int) -> None:
        self._archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED)
        self._time = us_to_datetime(at_us).timetuple()[:6]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def _entry(self, name: str) -> IO[bytes]:
        entry = zipfile.ZipInfo(name, self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        return self._archive.open(entry, "w", force_zip64=True)

    def text(self, name: str, text: str) -> None:
        with self._entry(name) as file:
            file.write(text.encode())

    def table(self, name: str, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> int:
        """Write rows as a JSON array and as a Parquet file, read once; return how many there were."""
        total = 0
        # A zip takes one file at a time, so the table waits in an unnamed file that nobody else can open.
        with tempfile.TemporaryFile() as aside:
            with pq.ParquetWriter(aside, schema, compression="zstd") as table, self._entry(f"{name}.json") as file:
                file.write(b"[")
                left = iter(rows)
                while batch := list(islice(left, _ROWS)):
                    table.write_batch(_batch(batch, schema))
                    for row in batch:
                        written = {**row, "collected_at": us_to_text(row["collected_at"])}
                        file.write(b",\n" if total else b"\n")
                        file.write(json.dumps(written, ensure_ascii=False).encode())
                        total += 1
                file.write(b"\n]\n")
            aside.seek(0)
            with self._entry(f"{name}.parquet") as file:
                for piece in pieces(aside):
                    file.write(piece)
        return total


def _batch(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = {name: [row[name] for row in rows] for name in schema.names}
    if "payload" in columns:
        columns["payload"] = [json.dumps(payload, ensure_ascii=False) for payload in columns["payload"]]
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def pieces(file: IO[bytes], *, size: int = 1 << 18) -> Iterator[bytes]:
    """Yield a file from its current position to its end, piece by piece."""
    read: Callable[[], bytes] = lambda: file.read(size)  # noqa: E731 - what `iter` takes
    return iter(read, b"")
