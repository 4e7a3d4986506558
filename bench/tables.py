"""Tables of others, gated where they lie, against a hand-written as-of join in DuckDB: `python -m bench tables`.

Both get the same rows, in memory, which name people by text, and give the permitted rows as an Arrow table. DuckDB has
the decisions as a table of its own, ordered by time; it answers a simpler question (the newest decision of each person
before the row said yes), gives no reasons, and knows no accounts. Ours is measured twice: when it first meets the names
(cold), and once it knows them, as for every later batch and table (warm). They take turns; a ratio compares two
measurements of the same round.

Looking names up in a workspace's directory is not measured: here a dictionary does it.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.meetings import machine
from volition.consent.gate.asked import Asked
from volition.consent.gate.interned import Folded, InternedGate
from volition.consent.history import NOT_BACK_US, AnswerScope, History
from volition.consent.names import UNKNOWN_ACCOUNT, Unnamed
from volition.consent.permits import Permits, Reason
from volition.consent.references import ConversationRef, PartyRef
from volition.consent.terms.model import Basis, Rule, Terms
from volition.records.foreign.forms import permitted
from volition.records.foreign.mapping import TableMapping

PEOPLE: Final = 100_000
DECISIONS: Final = 1_000_000
SIZES: Final = {1_000_000: 5, 10_000_000: 3}
GOALS: Final = {"one person": 1.0, "2 to 11 people": 2.0}
PURPOSE, CATEGORY = "train/search", "service/usage"
_START_US: Final = 1_780_000_000_000_000
_END_US: Final = _START_US + DECISIONS * 1_000_000
_MAPPING: Final = TableMapping(people="people", time="collected_at", account_column="account", category=CATEGORY)

_ONE: Final = (
    "SELECT r.* FROM rows r ASOF JOIN decisions d ON r.people = d.person AND r.collected_at >= d.said WHERE d.yes"
)
_SEVERAL: Final = """
    SELECT r.* FROM rows r WHERE number NOT IN (
        SELECT m.number FROM (SELECT number, collected_at, unnest(people) AS person FROM rows) m
        ASOF LEFT JOIN decisions d ON m.person = d.person AND m.collected_at >= d.said WHERE d.yes IS NOT TRUE)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """Who said what when, by number of the person, oldest first."""

    names: list[str]
    person: NDArray[np.int64]
    yes: NDArray[np.bool_]
    said_us: NDArray[np.int64]


class Directory:
    """Who there is, as `consent.names.Names` says it."""

    generation = 0

    def __init__(self, names: Sequence[str]) -> None:
        self._parties = {name: PartyRef(f"person:{number:032x}") for number, name in enumerate(names)}

    def account(self, name: str | None) -> str | Unnamed:
        """Return the account that there is."""
        return name if name == "acme" else Unnamed(reason=Reason.UNKNOWN_PARTY, party=UNKNOWN_ACCOUNT)

    def person(self, name: str | None) -> PartyRef | Unnamed:
        """Return whoever goes by a name."""
        found = self._parties.get(name or "")
        return found or Unnamed(reason=Reason.UNKNOWN_PARTY, party=PartyRef(f"person:{name}"))

    def expect(self, names: Sequence[str | None]) -> None:
        """Look nobody up before."""
        del names

    def conversation(self, account: str, name: str | None) -> ConversationRef | None:
        """Return a conversation by its name."""
        del account
        return None if name is None else ConversationRef(name)


class _Judge:
    """Judges as a workspace does, at one instant."""

    def __init__(self, permits: Permits, directory: Any) -> None:  # noqa: ANN401 - in place of `Names`
        self._permits = permits
        self._gate = InternedGate(permits, directory)

    def judge(self, asked: Asked) -> NDArray[np.int8]:
        self._gate.learn([], at_us=_END_US)
        return self._gate.judge(asked)

    def fold(self, asked: Asked) -> tuple[Folded, int, int]:
        return self._gate.fold(asked), _END_US, self._permits.good_until_us()


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure tables of 1 and 10 million rows, or of `args.rows`, in memory (1.3 GB for the largest)."""
    sizes = {args.rows: 3} if args.rows else SIZES
    facts = make_facts()
    figures, goals = {}, []
    for rows, rounds in sizes.items():
        for people, at_least in GOALS.items():
            found = _measured(facts, make_rows(facts, rows, several=people != "one person"), rounds)
            name = f"{rows:,} rows, {people}"
            figures[name] = found
            ratio = found["times DuckDB, CPU"]["median"]
            goals.append(
                {"name": f"{name}, times DuckDB (CPU)", "value": ratio, "at_least": at_least, "met": ratio >= at_least}
            )
    return {"bench": "tables", "figures": figures, "goals": goals, "machine": machine()}


def make_facts() -> Facts:
    """Return a million random answers of 100,000 people."""
    rng = np.random.default_rng(20)
    return Facts(
        names=[f"user-{number}@example.org" for number in range(PEOPLE)],
        person=rng.integers(0, PEOPLE, DECISIONS),
        yes=rng.random(DECISIONS) < 0.8,
        said_us=_START_US + np.arange(DECISIONS) * 1_000_000,
    )


def make_rows(facts: Facts, rows: int, *, several: bool) -> pa.Table:
    """Return rows of random people and times: of one person, or of 2 to 11."""
    rng = np.random.default_rng(rows)
    lengths = rng.integers(2, 12, rows) if several else np.ones(rows, np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    people = pa.array(facts.names).take(pa.array(rng.integers(0, PEOPLE, int(ends[-1]))))
    return pa.table(
        {
            "number": np.arange(rows),
            "account": pa.repeat(pa.scalar("acme"), rows),
            "people": pa.ListArray.from_arrays(pa.array(ends, pa.int32()), people) if several else people,
            "collected_at": _times(_START_US + rng.integers(0, DECISIONS * 1_000_000, rows)),
            "amount": rng.random(rows),
        }
    )


def _times(instants_us: NDArray[np.int64]) -> pa.Array:
    return pa.array(instants_us).cast(pa.timestamp("us", tz="UTC"))


def make_permits(facts: Facts) -> Permits:
    """Return the permits after all answers."""
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("everyone",))
    terms = Terms(id="v", title="v", effective_us=0, acceptance="continued-use", text="prose", rules=(rule,))
    history = History()
    history.bindings.publish(terms, binds_us=0)
    history.bindings.accept("acme", "v", at_us=0)
    scopes = [
        AnswerScope(yes=yes, categories=frozenset([CATEGORY]), purposes=frozenset([PURPOSE])) for yes in (False, True)
    ]
    numbers = history.answers.numbers([f"person:{number:032x}" for number in range(PEOPLE)])
    history.answers.decide_all(
        numbers[facts.person],
        scopes,
        facts.yes.astype(np.int16),
        facts.said_us,
        np.full(DECISIONS, NOT_BACK_US),
        np.arange(DECISIONS),
    )
    return Permits(history, purpose=PURPOSE, at_us=_END_US)


def _duckdb(facts: Facts, table: pa.Table) -> Callable[[], pa.Table]:
    connection = duckdb.connect()
    people = pa.array(facts.names).take(pa.array(facts.person))
    decisions = pa.table({"person": people, "yes": facts.yes, "said": _times(facts.said_us)})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("given", decisions)
    connection.execute("CREATE TABLE decisions AS SELECT * FROM given ORDER BY said")
    connection.register("rows", table)
    sql = _SEVERAL if pa.types.is_list(table.schema.field("people").type) else _ONE
    return lambda: connection.sql(sql).to_arrow_table()


def _measured(facts: Facts, table: pa.Table, rounds: int) -> dict[str, Any]:
    judge, rival = _Judge(make_permits(facts), Directory(facts.names)), _duckdb(facts, table)

    def ours() -> pa.Table:
        return permitted(table, _MAPPING, judge).rows

    cold = _timed(ours)
    taken: dict[str, list[tuple[float, float, int]]] = {"volition": [], "DuckDB": []}
    for _ in range(rounds):
        for name, way in (("volition", ours), ("DuckDB", rival)):
            taken[name].append(_timed(way))
    assert taken["volition"][0][2] <= taken["DuckDB"][0][2]  # noqa: S101 - stricter: unbroken from the row until now
    figures: dict[str, Any] = {"rounds": rounds, "cold": {"CPU s": cold[0], "s": cold[1]}}
    for name, found in taken.items():
        figures[name] = {
            "CPU s": _spread([cpu_s for cpu_s, _, _ in found]),
            "s": _spread([wall_s for _, wall_s, _ in found]),
            "rows out": found[0][2],
        }
    pairs = list(zip(taken["volition"], taken["DuckDB"], strict=True))
    figures["times DuckDB, CPU"] = _spread([other[0] / own[0] for own, other in pairs])
    figures["times DuckDB, wall"] = _spread([other[1] / own[1] for own, other in pairs])
    figures["times DuckDB when cold, CPU"] = statistics.median(other[0] for _, other in pairs) / cold[0]
    return figures


def _timed(way: Callable[[], pa.Table]) -> tuple[float, float, int]:
    gc.collect()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    rows = way().num_rows
    return time.process_time() - cpu_s, time.perf_counter() - wall_s, rows


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}
