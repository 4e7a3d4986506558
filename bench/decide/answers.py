"""How fast the gate decides about one record, with reason and evidence, and about many; against policy engines.

One at a time: `Gate.may` is asked about people and categories in random order, each question in strings of its own, as
a request brings them; every pair has been asked about once before, and the cost of that first time is reported
separately. Random order over so many people is the worst case for a processor's caches, so the same is measured with a
thousand of them.

Many at once: `judge` on columns of records of all people, one category.

The rivals get some of the same questions in turn, round by round in the same process, in the forms that
`bench/decide/rivals.py` describes; all their answers are compared with the gate's after the clock has stopped. A ratio
is that of one round, and the median of the ratios is held to the goal. Rates are by the processor time of the process,
of which one thread runs: a second is a second of one core, whatever else runs on the machine. Wall-clock rates are
reported, too.
"""

import argparse
import gc
import os
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.compile import DECISIONS_OF_A_PERSON, PEOPLE_OF_AN_ACCOUNT, PURPOSE, START_US, made
from bench.decide.rivals import BATCH, Form, Question, find_forms, versions
from bench.ledger.appends import spread
from bench.meetings import machine
from volition.consent.gate import EffectivePermits, Gate, PartySets, Verdict, fold, judge
from volition.consent.history import BEGINNING_US
from volition.consent.permits import NO_PERMIT_US, REASON_CODES, Permits, Reason
from volition.consent.references import PartyRef
from volition.consent.terms.model import CATEGORIES

PEOPLE: Final = 100_000
FEW_PEOPLE: Final = 1_000
ROUNDS: Final = 7
QUESTIONS: Final = 200_000
RIVAL_QUESTIONS: Final = 10_000
RECORDS: Final = 10_000_000
BATCH_CATEGORY: Final = "content/chat"

ONE_GOAL: Final = 500_000
RATIO_GOAL: Final = 30
MANY_GOAL: Final = 50_000_000

NOT_TIMED: Final = {
    "look-up": "The rivals are given from when until when a yes counts and whether somebody objects; ours finds it.",
    "evidence": "The rivals give a yes or no, Cedar the policy's name with it; ours the reason, on whom it hangs, what "
    "would change it, and the numbers of the ledger entries it rests on.",
    "question": "The rivals' requests are built before the clock starts; where a form says so, input objects as well.",
    "date": "effaced knows no date of collection: that comparison is made for it after the clock.",
    "many at once": f"Cedar takes several requests in a call ({BATCH} were the fastest). Casbin's batch call asks one "
    "by one; Rego and effaced have none.",
}

_OBJECTIONS: Final = {REASON_CODES[reason] for reason in (Reason.SAID_NO, Reason.WITHDRAWN)}

_Answer = TypeVar("_Answer")


class Facts:
    """People, one party set each, with everything they decided; and their effective permits, as columns."""

    def __init__(self, people: int) -> None:
        """Make decisions of so many people, ten each."""
        self.history, self.people = made(people * DECISIONS_OF_A_PERSON)
        self.now_us = self.history.last_us
        self.last_account = max(self.people // PEOPLE_OF_AN_ACCOUNT, 1) - 1
        self.permits = Permits(self.history, purpose=PURPOSE, at_us=self.now_us)
        everybody = np.arange(self.people, dtype=np.int32)
        party_sets = PartySets(
            accounts=[f"a{number}" for number in range(self.last_account + 1)],
            people=[_party(number) for number in range(self.people)],
            account=np.minimum(everybody // PEOPLE_OF_AN_ACCOUNT, self.last_account).astype(np.int32),
            offsets=np.arange(self.people + 1, dtype=np.int64),
            members=everybody,
        )
        start = time.process_time()
        self.effective_permits = {category: fold(self.permits, party_sets, category) for category in CATEGORIES}
        self.fold_s = (time.process_time() - start) / len(CATEGORIES)

    def account(self, person: int) -> str:
        """Return the account of a person, in a string of its own."""
        return f"a{min(person // PEOPLE_OF_AN_ACCOUNT, self.last_account)}"

    def asked(self, rng: np.random.Generator, count: int, people: int) -> "Asked":
        """Draw questions about so many of the people."""
        return Asked(
            self,
            rng.integers(0, people, count),
            rng.integers(0, len(CATEGORIES), count),
            rng.integers(START_US, self.now_us, count),
        )


class Asked:
    """Questions in random order, in the gate's form and in the rivals'."""

    def __init__(
        self, facts: Facts, person: NDArray[np.int64], category: NDArray[np.int64], collected_us: NDArray[np.int64]
    ) -> None:
        """Write the questions out."""
        self._facts = facts
        self._columns = person, category, collected_us
        names = list(CATEGORIES)
        self.ours = [
            (facts.account(who), (_party(who),), names[what], when)
            for who, what, when in zip(person.tolist(), category.tolist(), collected_us.tolist(), strict=True)
        ]

    def with_facts(self, count: int) -> list[Question]:
        """Return the first of the questions with their facts."""
        person, _, _ = self._columns
        questions = []
        for (_, (party,), name, when), who in zip(self.ours[:count], person, strict=False):
            effective_permits = self._facts.effective_permits[name]
            objected = int(effective_permits.reason[who]) in _OBJECTIONS
            questions.append(
                Question(
                    person=party,
                    category=name,
                    collected_us=when,
                    from_us=BEGINNING_US if objected else int(effective_permits.since_us[who]),
                    until_us=NO_PERMIT_US,
                    objected=objected,
                )
            )
        return questions

    def judged(self) -> NDArray[np.bool_]:
        """Return what `judge` says to each question."""
        person, category, collected_us = self._columns
        permitted = np.zeros(len(person), np.bool_)
        for number, name in enumerate(CATEGORIES):
            rows = np.flatnonzero(category == number)
            permitted[rows] = judge(self._facts.effective_permits[name], person[rows], collected_us[rows]) == 0
        return permitted


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure; `--rows` says how many people there are."""
    load = [os.getloadavg()[0]]
    forms, missing = find_forms()
    print("making people and their decisions", file=sys.stderr)
    facts = Facts(args.rows or PEOPLE)
    one = one_at_a_time(facts, forms)
    print("many at once", file=sys.stderr)
    many = many_at_once(facts)
    load.append(os.getloadavg()[0])
    wrong, best = one["wrong answers"], one["against the best rival, one at a time"]
    ratio = best and best["ours is so many times as fast"]["median"]
    batches = [rates for form, rates in zip(forms, one["rivals"].values(), strict=True) if form.many]
    per_second = one["ours"]["decisions a second"]["median"]
    many_per_second = many["numpy, decisions a second"]["median"]
    goals: list[dict[str, Any]] = [
        _at_least("decisions a second, one at a time", per_second, ONE_GOAL),
        _at_least(
            f"times the best of {_names(forms)}" if forms else "times a rival, none installed", ratio, RATIO_GOAL
        ),
        _at_least("decisions a second, many at once", many_per_second, MANY_GOAL),
        {"name": "answers that differ", "value": wrong, "at_most": 0, "met": wrong == 0},
    ]
    figures = {
        "people": facts.people,
        "categories": len(CATEGORIES),
        "one at a time": one,
        "many at once": many,
        "times the best rival's batch call": many_per_second
        / max(rates["decisions a second"]["median"] for rates in batches)
        if batches
        else None,
        "rivals' versions": versions(forms),
        "not installed": missing,
        "not timed": NOT_TIMED,
        "load of the machine, before and after": load,
    }
    return {"bench": "decide", "figures": figures, "goals": goals, "machine": machine()}


def one_at_a_time(facts: Facts, forms: Sequence[Form]) -> dict[str, Any]:
    """Let the gate and the rivals take turns."""
    rng = np.random.default_rng(11)
    gate = Gate(facts.permits)
    print("asking the gate about everybody once", file=sys.stderr)
    before_mb = _memory_mb()
    first = _ask_everybody(gate, facts)
    remembered_mb = _memory_mb() - before_mb
    rates: dict[str, list[float]] = {name: [] for name in ["ours", "few", *(form.name for form in forms)]}
    wall, asked_ns = [], []
    reasons: Counter[str] = Counter()
    wrong = 0
    for number in range(ROUNDS + 1):
        print(f"round {number} of {ROUNDS}", file=sys.stderr)
        asked = facts.asked(rng, QUESTIONS, facts.people)
        few = facts.asked(rng, QUESTIONS, min(FEW_PEOPLE, facts.people))
        verdicts, rate, by_the_wall = _asked_of_gate(gate, asked, facts.now_us)
        few_rate = _asked_of_gate(gate, few, facts.now_us)[1]
        permitted = [verdict.permitted for verdict in verdicts]
        wrong += int((np.array(permitted) != asked.judged()).sum())
        given = asked.with_facts(RIVAL_QUESTIONS)
        round_rates = {"ours": rate, "few": few_rate}
        for form in forms:
            round_rates[form.name], answers = _asked_of_rival(form, given)
            wrong += sum(answer != ours for answer, ours in zip(answers, permitted, strict=False))
        if number:  # the first round warms up
            for name, found in round_rates.items():
                rates[name].append(found)
            wall.append(by_the_wall)
            reasons.update("permitted" if verdict.reason is None else verdict.reason.value for verdict in verdicts)
            asked_ns += _each_ns(gate, facts.asked(rng, QUESTIONS // 10, facts.people), facts.now_us)
    return {
        "rounds": ROUNDS,
        "questions a round, ours": QUESTIONS,
        "questions a round, each rival": RIVAL_QUESTIONS,
        "ours": {
            "decisions a second": spread(rates["ours"]),
            "decisions a second by the wall's clock": spread(wall),
            f"decisions a second about {FEW_PEOPLE:,} people": spread(rates["few"]),
            "mean ns": 1e9 / spread(rates["ours"])["median"],
            "one alone, median ns, the clock's call included": float(np.median(asked_ns)),
            "one alone, p99 ns, the clock's call included": float(np.quantile(asked_ns, 0.99)),
            "asked for the first time, us": first,
            "remembered answers, MB": remembered_mb,
            "answers": {reason: count / sum(reasons.values()) for reason, count in reasons.most_common()},
        },
        "rivals": {
            form.name: {
                "decisions a second": spread(rates[form.name]),
                "ours is so many times as fast": _ratio(rates["ours"], rates[form.name]),
            }
            for form in forms
        },
        "against the best rival, one at a time": _against_the_best(rates, forms),
        "wrong answers": wrong,
    }


def _against_the_best(rates: Mapping[str, Sequence[float]], forms: Sequence[Form]) -> dict[str, Any] | None:
    """Compare with the fastest rival that is asked one question at a time; none if no rival is installed."""
    singles = {form.name: rates[form.name] for form in forms if not form.many}
    best = max(singles, key=lambda name: statistics.median(singles[name]), default=None)
    if best is None:
        return None
    return {
        "it is": best,
        "ours is so many times as fast": _ratio(rates["ours"], rates[best]),
        f"likewise, ours asked about {FEW_PEOPLE:,} people": _ratio(rates["few"], rates[best]),
    }


def many_at_once(facts: Facts) -> dict[str, Any]:
    """Judge columns of records of all people, in numpy's form and in Arrow's."""
    rng = np.random.default_rng(13)
    effective_permits = facts.effective_permits[BATCH_CATEGORY]
    party_set = rng.integers(0, facts.people, RECORDS, np.int32)
    collected_us = rng.integers(START_US, facts.now_us, RECORDS)
    columns = pa.table({"circle": party_set, "collected_us": collected_us})
    by_numpy, by_arrow, wall = [], [], []
    for number in range(ROUNDS + 1):
        codes, cpu_s, wall_s = _clocked(lambda: judge(effective_permits, party_set, collected_us))
        arrow_codes, arrow_s, _ = _clocked(lambda: _judge_arrow(effective_permits, columns))
        assert np.array_equal(codes, arrow_codes.to_numpy())  # noqa: S101 - or the figure would be of something else
        if number:
            by_numpy.append(RECORDS / cpu_s)
            by_arrow.append(RECORDS / arrow_s)
            wall.append(RECORDS / wall_s)
    return {
        "records": RECORDS,
        "circles": facts.people,
        "permitted": float((codes == 0).mean()),
        "permits folded, s a category": facts.fold_s,
        "numpy, decisions a second": spread(by_numpy),
        "numpy, decisions a second by the wall's clock": spread(wall),
        "Arrow, decisions a second": spread(by_arrow),
    }


def _judge_arrow(effective_permits: EffectivePermits, columns: pa.Table) -> pa.Array:
    party_set, collected_us = (columns[name].chunk(0).to_numpy() for name in ("circle", "collected_us"))  # no copy
    return pa.array(judge(effective_permits, party_set, collected_us))


def _ask_everybody(gate: Gate, facts: Facts) -> dict[str, float]:
    """Ask about every person and category; return microseconds for each, by category."""
    taken = []
    for category in CATEGORIES:
        gc.collect()
        start = time.process_time()
        for person in range(facts.people):
            gate.may(facts.account(person), (_party(person),), category, facts.now_us, at_us=facts.now_us)
        taken.append((time.process_time() - start) / facts.people * 1e6)
        gc.freeze()  # what stays is not looked through again and again; ours is large, and the rivals would pay for it
    return spread(taken)


def _asked_of_gate(gate: Gate, asked: Asked, now_us: int) -> tuple[list[Verdict], float, float]:
    may, questions = gate.may, asked.ours

    def ask() -> list[Verdict]:
        return [
            may(account, people, category, collected_us, at_us=now_us)
            for account, people, category, collected_us in questions
        ]

    verdicts, cpu_s, wall_s = _clocked(ask)
    return verdicts, len(questions) / cpu_s, len(questions) / wall_s


def _asked_of_rival(form: Form, given: Sequence[Question]) -> tuple[float, list[bool]]:
    ask, prepared = form.ask, form.prepare(given)
    found, cpu_s, _ = _clocked(lambda: [ask(one) for one in prepared])
    answers = [bool(answer) for batch in found for answer in batch] if form.many else [bool(one) for one in found]
    if not form.asks_the_date:
        answers = [
            answer and question.from_us <= question.collected_us
            for answer, question in zip(answers, given, strict=True)
        ]
    assert len(answers) == len(given)  # noqa: S101 - or the rate would be of fewer
    return len(given) / cpu_s, answers


def _each_ns(gate: Gate, asked: Asked, now_us: int) -> list[int]:
    """Ask one by one, and clock each."""
    clock, may = time.perf_counter_ns, gate.may
    taken = []
    for account, people, category, collected_us in asked.ours:
        start = clock()
        may(account, people, category, collected_us, at_us=now_us)
        taken.append(clock() - start)
    return taken


def _clocked(work: Callable[[], _Answer]) -> tuple[_Answer, float, float]:
    """Return what work gives, the seconds of processor time it took, and those on the wall."""
    gc.collect()
    gc.freeze()  # the questions of this round, ours and the rivals', stay out of the collector's way
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return answer, time.process_time() - cpu, time.perf_counter() - wall


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return how many times as fast ours is, over the rounds."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return {
        "median": round(statistics.median(ratios), 1),
        "lowest": round(min(ratios), 1),
        "highest": round(max(ratios), 1),
    }


def _party(person: int) -> PartyRef:
    return PartyRef(f"person:{person:016x}")


def _names(forms: Sequence[Form]) -> str:
    return ", ".join(dict.fromkeys(form.package for form in forms))


def _at_least(name: str, value: float | None, bound: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_least": bound, "met": value is not None and value >= bound}


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
