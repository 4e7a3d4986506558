"""Records each judged at its own time, against what a data engineer would write: as-of joins.

Each method gets the same question: did this person's newest decision, up to the instant of the record, say yes? Each
answers all of it, and the answers are compared. Everything is prepared before the clock starts, in the form that suits
each method best: decisions and records sorted, in its own tables or arrays; for ours, its index of stretches. The
gate's own question is stricter (unbroken from the record's instant to now) and is timed beside it, since it decides
about training sets.

Not timed for any method: reading the decisions, sorting, building the index. Only ours gives reasons.
"""

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from volition.consent.gate import PartySets, fold, judge
from volition.consent.history import NOT_BACK_US, AnswerScope, History
from volition.consent.permits import Panel, PartyRole, Permits
from volition.consent.references import PartyRef
from volition.consent.terms.model import Basis, Rule, Terms

PEOPLE: Final = 100_000
DECISIONS: Final = 1_000_000
START_US: Final = 1_780_000_000_000_000
AT_LEAST: Final = 2.0
PURPOSE, CATEGORY = "train/search", "service/usage"

Judge = Callable[[], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Decisions in order of time, and records in order of person and time, as the lake has them; times in us."""

    person: NDArray[np.int32]
    at_us: NDArray[np.int64]
    yes: NDArray[np.bool_]
    record_person: NDArray[np.int32]
    record_us: NDArray[np.int64]


def made(records: int) -> Facts:
    """Make decisions that take turns in no order, and records of people and instants at random."""
    rng = np.random.default_rng(11)
    person = rng.integers(0, PEOPLE, DECISIONS, np.int32)
    at_us = START_US + np.arange(DECISIONS, dtype=np.int64) * 1_000_000
    record_person = rng.integers(0, PEOPLE, records, np.int32)
    record_us = START_US + rng.integers(0, DECISIONS * 1_000_000, records)
    order = np.lexsort((record_us, record_person))
    return Facts(person, at_us, rng.random(DECISIONS) < 0.6, record_person[order], record_us[order])


def against_rivals(records: int, rounds: int) -> dict[str, Any]:
    """Let every method judge the same records, in turns; return seconds (median and spread) and ratios to ours."""
    facts = made(records)
    judges: dict[str, Judge] = {}
    missing = []
    for name, prepare in RIVALS.items():
        try:
            judges[name] = prepare(facts)
        except ModuleNotFoundError as error:
            missing.append(f"{name}: pip install {error.name}")
    stretches, gate = ours(facts)
    judges = {"volition, each at its own time": stretches, **judges, "volition, the gate (unbroken until now)": gate}
    expected = stretches()
    seconds: dict[str, list[float]] = {name: [] for name in judges}
    for number in range(rounds + 1):
        for name, judged in judges.items():
            gc.collect()
            start = time.perf_counter()
            answers = judged()
            taken = time.perf_counter() - start
            if number:  # the first round warms up
                seconds[name].append(taken)
            elif "gate" in name:
                assert not np.any(answers & ~expected)  # noqa: S101 - stricter: it lets nothing through that they do not
            else:
                assert np.array_equal(answers, expected), name  # noqa: S101 - or it was asked something else
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    own = medians.pop("volition, each at its own time")
    strict = medians.pop("volition, the gate (unbroken until now)")
    best = min(medians, key=lambda name: medians[name])
    return {
        "records": records,
        "decisions": DECISIONS,
        "people": PEOPLE,
        "permitted_share": float(expected.mean()),
        "seconds": {name: {"median": statistics.median(t), "spread": [min(t), max(t)]} for name, t in seconds.items()},
        "best_rival": best,
        "times_the_best": medians[best] / own,
        "times_the_best_with_the_gate": medians[best] / strict,
        "not_installed": missing,
    }


def ours(facts: Facts) -> tuple[Judge, Judge]:
    """Return our two judges: each record at its own time, and the gate as it stands at the end."""
    rule = Rule(data=("service",), purpose=("train",), basis=Basis.CONSENT, asks=("person",))
    terms = Terms(id="v", title="v", effective_us=0, acceptance="continued-use", text="prose", rules=(rule,))
    history = History()
    history.bindings.publish(terms, binds_us=0)
    history.bindings.accept("acme", "v", at_us=0)
    people = [PartyRef(f"person:{number}") for number in range(PEOPLE)]
    scopes = [
        AnswerScope(yes=yes, categories=frozenset([CATEGORY]), purposes=frozenset([PURPOSE])) for yes in (False, True)
    ]
    numbers = history.answers.numbers(people)[facts.person]
    covers = np.full(DECISIONS, NOT_BACK_US)
    history.answers.decide_all(numbers, scopes, facts.yes.astype(np.int16), facts.at_us, covers, np.arange(DECISIONS))
    permits = Permits(history, purpose=PURPOSE, at_us=START_US + DECISIONS * 1_000_000)
    panel = Panel(permits, ["acme"], np.zeros(PEOPLE, np.int32), people)
    stretches = panel.stretches(PartyRole.FIRST, CATEGORY)
    party_sets = PartySets(
        accounts=["acme"],
        people=people,
        account=np.zeros(PEOPLE, np.int32),
        offsets=np.arange(PEOPLE + 1, dtype=np.int64),
        members=np.arange(PEOPLE, dtype=np.int32),
    )
    effective_permits = fold(permits, party_sets, CATEGORY)
    return (
        lambda: stretches.at(facts.record_person, facts.record_us),
        lambda: judge(effective_permits, facts.record_person, facts.record_us) == 0,
    )


# --- the rivals, each in the form that favours it most ---


def merge_asof(facts: Facts) -> Judge:
    """Prepare pandas `merge_asof`: both sides sorted by time, records and decisions matched by person."""
    pandas = importlib.import_module("pandas")
    decisions = pandas.DataFrame({"person": facts.person, "at": facts.at_us, "yes": facts.yes})
    order = np.argsort(facts.record_us, kind="stable")
    records = pandas.DataFrame({"person": facts.record_person[order], "at": facts.record_us[order]})

    def judged() -> NDArray[np.bool_]:
        found = pandas.merge_asof(records, decisions, on="at", by="person")["yes"].to_numpy()
        return _in_order(order, np.asarray(found == True, np.bool_))  # noqa: E712 - a missing one is no yes

    return judged


def searchsorted(facts: Facts) -> Judge:
    """Prepare numpy `searchsorted` over person and time in one number; the records sorted likewise, for speed."""
    keys = (facts.person.astype(np.int64) << 42) | ((facts.at_us - START_US) // 1)
    order = np.argsort(keys)
    keys, person, yes = keys[order], facts.person[order], facts.yes[order]

    def judged() -> NDArray[np.bool_]:
        asked = (facts.record_person.astype(np.int64) << 42) | (facts.record_us - START_US)
        place = np.searchsorted(keys, asked, side="right") - 1
        found: NDArray[np.bool_] = (place >= 0) & yes[place] & (person[place] == facts.record_person)
        return found

    return judged


def join_asof(facts: Facts) -> Judge:
    """Prepare polars `join_asof`: both sides sorted by time."""
    polars = importlib.import_module("polars")
    decisions = polars.DataFrame({"person": facts.person, "at": facts.at_us, "yes": facts.yes}).set_sorted("at")
    order = np.argsort(facts.record_us, kind="stable")
    records = polars.DataFrame({"person": facts.record_person[order], "at": facts.record_us[order]}).set_sorted("at")

    def judged() -> NDArray[np.bool_]:
        found = records.join_asof(decisions, on="at", by="person", check_sortedness=False)["yes"]
        return _in_order(order, found.fill_null(value=False).to_numpy())

    return judged


def asof_join(facts: Facts) -> Judge:
    """Prepare DuckDB's ASOF join over tables of its own."""
    connection = duckdb.connect()
    decisions = {"person": facts.person, "at": facts.at_us, "yes": facts.yes}
    records = {"person": facts.record_person, "at": facts.record_us, "number": np.arange(len(facts.record_us))}
    connection.execute("SET enable_progress_bar = false")
    connection.execute("CREATE TABLE decisions AS SELECT * FROM decisions")
    connection.execute("CREATE TABLE records AS SELECT * FROM records")
    assert decisions, records  # noqa: S101 - DuckDB reads them by their names

    def judged() -> NDArray[np.bool_]:
        found = connection.sql(
            "SELECT r.number, d.yes FROM records r ASOF JOIN decisions d ON r.person = d.person AND r.at >= d.at"
        ).fetchnumpy()
        answers = np.zeros(len(facts.record_us), np.bool_)
        answers[found["number"]] = found["yes"]
        return answers

    return judged


RIVALS: Final[Mapping[str, Callable[[Facts], Judge]]] = {
    "pandas merge_asof": merge_asof,
    "DuckDB ASOF JOIN": asof_join,
    "polars join_asof": join_asof,
    "numpy searchsorted": searchsorted,
}


def _in_order(order: NDArray[np.intp], found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    answers = np.empty(len(order), np.bool_)
    answers[order] = found
    return answers


def comparisons(sizes: Mapping[int, int]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield for each number of records (and how many rounds) its name, figures and goal."""
    for records, rounds in sizes.items():
        figures = against_rivals(records, rounds)
        ratio = figures["times_the_best"]
        goal = {"name": f"{records:,} records, times the best rival", "value": ratio, "at_least": AT_LEAST}
        yield f"{records:,} records", figures, {**goal, "met": ratio >= AT_LEAST}
