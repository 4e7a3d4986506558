"""The whole road over real data: from five customers' decisions to models, and back. `python -m bench road`.

Each step runs in a process of its own, so that its peak memory (the process's high-water mark of resident memory) is
its own; seconds count from when the workspace is open. Nothing is judged by time: the goals are promises.

With `--cache DIR` the workspace stays, and a run that was interrupted goes on with the step it was in.
"""

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from bench.customers import COLLECTED, FIRST_DAY, Customer, find_customers
from bench.meetings import machine
from volition.canonical import datetime_to_us, now_us
from volition.errors import InvalidInputError, RefusedError
from volition.learning.release import Override
from volition.progress import Progress
from volition.records.audience import ConversationKind
from volition.records.ingest.intake import Collected
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.workspace import Workspace

Notes = dict[str, Any]
"""What one step tells the later ones: ids, JSON only."""

Figures = dict[str, Any]

FAMILIES: Final = ("search", "recommend", "summary")
"""Those that meetings and chat teach something; there are more."""

PUBLIC_ITEMS: Final = ("feature", "conversation")
"""Kinds of items whose names everybody of an account may know; the chat is public."""

WITHDRAWS: Final = "parliament"
"""The account that says yes, and no once the models are at work."""

_REPORT_EVERY_S: Final = 20.0
_STATE: Final = "state.json"


# --- the steps -----------------------------------------------------------------------------------------------------


def add_accounts(workspace: Workspace, customers: Sequence[Customer], notes: Notes, progress: Progress) -> Figures:
    """Accounts accept the terms, and everyone whom they know beforehand is added."""
    for done, customer in enumerate(customers):
        progress("adding accounts and people", done, len(customers))
        workspace.people.add_account(customer.id, customer.name, region=customer.region)
        workspace.terms.accept(customer.id)
        for member in customer.people:
            workspace.people.add_person(
                member.id, account=customer.id, name=member.name, aliases=member.aliases, emails=member.emails
            )
    notes["people"] = sum(len(customer.people) for customer in customers)
    return {"rows": len(customers) + notes["people"], "of": "accounts and people"}


def decide(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Accounts and people decide: most say yes, to the past as well; some no, some nothing."""
    data, purpose = ["content", "service"], ["train", "feature"]
    answers: Counter[str] = Counter()
    for done, customer in enumerate(customers):
        progress("deciding", done, len(customers))
        workspace.consent.decide(f"account:{customer.id}", yes=True, data=data, purpose=purpose, covers=customer.covers)
        for member in customer.people:
            answers[member.answer] += 1
            if member.answer == "silent":
                continue
            covers = "past" if member.answer == "yes" else None
            workspace.consent.decide(
                f"person:{member.id}", yes=member.answer != "no", data=data, purpose=purpose, covers=covers
            )
    decided = len(customers) + answers.total() - answers["silent"]
    return {"rows": decided, "of": "decisions", "answers": dict(sorted(answers.items()))}


def collect_transcripts(
    workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress
) -> Figures:
    """Collect every meeting's transcript."""
    outcomes = []
    meetings = [(customer.id, meeting) for customer in customers for meeting in customer.meetings]
    for done, (account, meeting) in enumerate(meetings):
        progress("collecting transcripts", done, len(meetings))
        outcomes.append(
            workspace.records.collect_webvtt(
                meeting.path, account=account, started=meeting.started, meeting=meeting.name
            )
        )
        if outcomes[-1].stored:  # this product's customers open their meetings to their account
            workspace.audiences.share(meeting.name, kind=ConversationKind.MEETING, account=account, with_account=True)
    return _collected(outcomes, "cues") | {"meetings": len(meetings)}


def collect_summaries(
    workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress
) -> Figures:
    """Collect the edited summaries of the meetings."""
    there = [(customer.id, customer.summaries) for customer in customers if customer.summaries]
    outcomes = [
        workspace.records.collect_summaries(path, account=account, progress=progress) for account, path in there
    ]
    return _collected(outcomes, "summaries")


def collect_chat(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Collect the chat exports."""
    there = [(customer.id, customer.chat) for customer in customers if customer.chat]
    outcomes = [workspace.records.collect_slack(path, account=account, progress=progress) for account, path in there]
    return _collected(outcomes, "messages")


def collect_usage(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Collect the usage events."""
    return _collected(
        [workspace.records.collect_otlp(customer.usage, progress=progress) for customer in customers], "events"
    )


def _collected(outcomes: Sequence[Collected], of: str) -> Figures:
    not_kept: Counter[str] = Counter()
    for outcome in outcomes:
        not_kept.update(outcome.not_kept)
    stored, known = sum(outcome.stored for outcome in outcomes), sum(outcome.known for outcome in outcomes)
    rejected = sum(len(outcome.rejected) for outcome in outcomes)
    return {
        "rows": stored + known + not_kept.total() + rejected,
        "of": of,
        "stored": stored,
        "known": known,
        "not_kept": dict(sorted(not_kept.items())),
        "rejected": rejected,
    }


def embed(workspace: Workspace, _customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Derive the sentence embeddings of all content that search may learn from, once for each record."""
    return {"rows": workspace.records.embed("train/search", progress=progress), "of": "embeddings"}


def snapshot_for(family: str) -> "Step":
    """Freeze the training set of a family."""

    def step(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, progress: Progress) -> Figures:
        frozen = workspace.snapshots.create(workspace.models.family(family).purpose, progress=progress)
        notes[f"snapshot {family}"] = frozen.id
        told = frozen.manifest["rows"]
        dropped: Counter[str] = Counter()
        for tally in told.values():
            dropped.update(tally["dropped"])
        return {
            "rows": sum(tally["read"] for tally in told.values()),
            "of": "records read",
            "kept": sum(tally["kept"] for tally in told.values()),
            "dropped": dict(sorted(dropped.items())),
            "people": frozen.manifest["people"]["size"],
        }

    return step


def train(family: str) -> "Step":
    """Train a family's model from its snapshot."""

    def step(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, progress: Progress) -> Figures:
        trained = workspace.models.train(family, notes[f"snapshot {family}"], progress=progress)
        notes[f"model {family}"] = trained.id
        return {"rows": trained.record["rows"], "of": "rows learned from"}

    return step


def audit(family: str) -> "Step":
    """Measure what training gives: five-fold cross-validation with a bootstrap interval."""

    def step(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, progress: Progress) -> Figures:
        findings = workspace.models.audit(notes[f"model {family}"], progress=progress)
        benefit = next(finding for finding in findings if finding.audit == "benefit")
        told = benefit.to_json() | dict(benefit.detail)
        names = ("metric", "trained", "untrained", "value", "low", "high")
        return {"rows": benefit.units, "of": "units measured", **{name: told.get(name) for name in names}}

    return step


def release(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, _progress: Progress) -> Figures:
    """Release every model; where one misses a bound, by name."""
    for family in FAMILIES:
        model = notes[f"model {family}"]
        try:
            workspace.models.release(model)
        except RefusedError:
            workspace.models.release(model, override=Override(by="The benchmark", why="Nobody uses it."))
    return {"rows": len(FAMILIES), "of": "models"}


def use_search(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Search once in every account; an account's first search derives the embeddings that training did not need."""
    hits = [
        len(
            workspace.features.search(
                "what did we decide about the schedule", person=customer.busiest, progress=progress
            ).hits
        )
        for customer in customers
    ]
    return {"rows": len(hits), "of": "searches", "hits": sum(hits)}


def use_summary(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, progress: Progress) -> Figures:
    """Summarise the first meeting of every account that somebody may have summarised."""
    made = refused = 0
    for customer in customers:
        if not customer.meetings:
            continue
        try:
            workspace.features.summarize(customer.meetings[0].name, person=customer.busiest, progress=progress)
            made += 1
        except RefusedError:
            refused += 1
    return {"rows": made + refused, "of": "meetings", "refused": refused}


def use_recommend(workspace: Workspace, customers: Sequence[Customer], _notes: Notes, _progress: Progress) -> Figures:
    """Recommend something to the busiest person of every account."""
    made = [len(workspace.features.recommend(customer.busiest)) for customer in customers]
    return {"rows": len(made), "of": "people", "suggestions": sum(made)}


def withdraw(workspace: Workspace, customers: Sequence[Customer], notes: Notes, _progress: Progress) -> Figures:
    """One account and one person of another take their yes to training back."""
    parties = [f"account:{customer.id}" for customer in customers if customer.id == WITHDRAWS]
    parties += [f"person:{customer.busiest}" for customer in customers if customer.chat][:1]
    for party in parties:
        workspace.consent.decide(party, yes=False, data=["content", "service"], purpose=["train"])
    notes["withdrew"] = parties
    return {"rows": len(parties), "of": "decisions"}


def owed(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, _progress: Progress) -> Figures:
    """Name every model that learned from them, with the rows that it must forget."""
    found = workspace.models.owed()
    notes["owed"] = [one.to_json() for one in found]
    return {"rows": sum(one.rows for one in found), "of": "rows owed", "models": len(found)}


def forget(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, progress: Progress) -> Figures:
    """Make, audit and release the models that never saw them; erase the old ones."""
    done = workspace.forgetting.forget(progress=progress)
    notes["forgotten"] = {one.model: one.successor for one in done}
    return {
        "rows": sum(one.rows for one in done),
        "of": "rows forgotten",
        "models": len(done),
        "still_owed": len(workspace.models.owed()),
    }


def prove(workspace: Workspace, _customers: Sequence[Customer], _notes: Notes, _progress: Progress) -> Figures:
    """Write the evidence bundle."""
    bundle = _bundle(workspace)
    entries = workspace.proofs.bundle(bundle)
    return {"rows": entries, "of": "ledger entries", "bytes": bundle.stat().st_size}


def verify(workspace: Workspace, _customers: Sequence[Customer], _notes: Notes, _progress: Progress) -> Figures:
    """Check the bundle with the public key alone, replaying the ledger for every row."""
    told = verify_bundle(_bundle(workspace), workspace.verifier)
    models = [state for state in workspace.models.states().values() if state.forgotten_us is None]
    rows = sum(len(workspace.snapshots.open(state.snapshot).keys) for state in models)
    return {"rows": rows, "of": "rows replayed", "checks": len(told.checks), "holds": told.holds}


def prove_person(workspace: Workspace, _customers: Sequence[Customer], notes: Notes, _progress: Progress) -> Figures:
    """Prove of the person who withdrew in which models they are, and check it."""
    people = [party.removeprefix("person:") for party in notes["withdrew"] if party.startswith("person:")]
    proofs = [proof for person in people for proof in workspace.proofs.person(person)]
    told = {proof["model"]: verify_person(proof, workspace.verifier) for proof in proofs}
    present = {proof["model"]: proof["present"] for proof in proofs}
    working = [state.id for state in workspace.models.states().values() if state.forgotten_us is None]
    return {
        "rows": len(proofs),
        "of": "proofs",
        "holds": all(result.holds for result in told.values()),
        "present_in_models_at_work": sum(present.get(model, False) for model in working),
    }


def _bundle(workspace: Workspace) -> Path:
    return workspace.folder.with_name("evidence.zip")


Step = Callable[[Workspace, Sequence[Customer], Notes, Progress], Figures]

STEPS: Final[dict[str, Step]] = {
    "add accounts and people": add_accounts,
    "decide": decide,
    "collect transcripts": collect_transcripts,
    "collect summaries": collect_summaries,
    "collect chat": collect_chat,
    "collect usage": collect_usage,
    "embed": embed,
    **{f"snapshot for {family}": snapshot_for(family) for family in FAMILIES},
    **{f"train {family}": train(family) for family in FAMILIES},
    **{f"audit {family}": audit(family) for family in FAMILIES},
    "release": release,
    "search": use_search,
    "summarize": use_summary,
    "recommend": use_recommend,
    "withdraw": withdraw,
    "owed": owed,
    "forget": forget,
    "prove": prove,
    "verify": verify,
    "prove a person's absence": prove_person,
}

EARLY: Final = ("add accounts and people", "decide")
"""Steps on the first day; at the others everything has happened."""


# --- running and measuring them ------------------------------------------------------------------------------------


def clock(step: str, started_us: int) -> Callable[[], int]:
    """Return the clock of a step: the first day, or the day of collection, and what has passed since the run began."""
    origin_us = datetime_to_us(FIRST_DAY if step in EARLY else COLLECTED)
    return lambda: origin_us + now_us() - started_us


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Walk the road over the real data in `args.data`.

    Args:
        args: `data`; `cache`, a folder in which the run is kept and resumed, or none; `meetings`, how many meetings to
            take, or none for all.

    Returns:
        Figures of every step, and the promises as goals.

    Raises:
        InvalidInputError: No data is named, or there is none.
    """
    if not args.data:
        raise InvalidInputError("The road needs real data: --data DIR, with the folders meetings and chat.")
    data = Path(args.data).resolve()
    limit: int | None = getattr(args, "meetings", None)
    cache: str | None = getattr(args, "cache", None)
    keep: AbstractContextManager[str] = (
        nullcontext(str(Path(cache) / "road")) if cache else tempfile.TemporaryDirectory(prefix="volition-road-")
    )
    with keep as place:
        folder = Path(place)
        state = _state(folder, {"data": str(data), "meetings": limit})
        customers = find_customers(data, folder / "exports", meetings=limit)
        for number, name in enumerate(STEPS, start=1):
            if name not in state["steps"]:
                _tell(f"step {number} of {len(STEPS)}: {name}")
                if name == next(iter(STEPS)):
                    shutil.rmtree(folder / "workspace", ignore_errors=True)
                resumed = state["begun"] == name
                _write_state(folder, state | {"begun": name})
                figures, state["notes"] = _in_a_process(name, folder, customers, state["notes"], state["started_us"])
                # What an interrupted run had done of this step is not in these seconds.
                state["steps"][name] = figures | ({"resumed": True} if resumed else {})
                _write_state(folder, state)
            _tell(f"   {_in_words(state['steps'][name])}")
    steps = state["steps"]
    return {
        "bench": "road",
        "figures": {
            "meetings": sum(len(customer.meetings) for customer in customers),
            "people": state["notes"]["people"],
            "steps": steps,
            "seconds": round(sum(step["seconds"] for step in steps.values()), 2),
            "peak_mb": max(step["peak_mb"] for step in steps.values()),
        },
        "goals": [
            _goal("evidence verifies", int(steps["verify"]["holds"]), at_least=1),
            _goal("forgettings still owed after forgetting", steps["forget"]["still_owed"], at_most=0),
            _goal("proofs of a person verify", int(steps["prove a person's absence"]["holds"]), at_least=1),
            _goal(
                "models at work that learned from who withdrew",
                steps["prove a person's absence"]["present_in_models_at_work"],
                at_most=0,
            ),
        ],
        "machine": machine(),
    }


def _goal(name: str, value: int, *, at_least: int | None = None, at_most: int | None = None) -> dict[str, Any]:
    if at_least is not None:
        return {"name": name, "value": value, "at_least": at_least, "met": value >= at_least}
    return {"name": name, "value": value, "at_most": at_most, "met": at_most is not None and value <= at_most}


def _state(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Return how far an earlier run of the same question came, or a fresh beginning."""
    path = folder / _STATE
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_bytes())
        if state["asked"] == asked:
            _tell(f"going on in {folder}: {len(state['steps'])} of {len(STEPS)} steps are done")
            return state
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return {"asked": asked, "started_us": now_us(), "notes": {}, "begun": None, "steps": {}}


def _write_state(folder: Path, state: dict[str, Any]) -> None:
    aside = folder / f"{_STATE}.part"
    aside.write_text(json.dumps(state), "utf-8")
    aside.replace(folder / _STATE)


def _in_a_process(
    name: str, folder: Path, customers: Sequence[Customer], notes: Notes, started_us: int
) -> tuple[Figures, Notes]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, name, folder, customers, notes, started_us))
    process.start()
    there.close()
    try:
        told = here.recv()
    except EOFError:
        told = "it was killed"
    finally:
        process.join()
    if isinstance(told, str):
        msg = f"The step {name!r} failed:\n{told}"
        raise RuntimeError(msg)  # noqa: TRY004 - a text is how the other process tells a failure
    figures, notes = told
    return figures, notes


def _child(  # noqa: PLR0913, PLR0917 - all that another process must be told
    answer: Connection, name: str, folder: Path, customers: Sequence[Customer], notes: Notes, started_us: int
) -> None:
    try:
        place, now = folder / "workspace", clock(name, started_us)
        if not place.exists():
            Workspace.create(place, origin="bench.example/road", clock=now, public_items=PUBLIC_ITEMS).close()
        with Workspace.open(place, clock=now) as workspace:
            open_mb = peak_mb()
            start = time.perf_counter()
            figures = STEPS[name](workspace, customers, notes, _reporter())
            seconds = time.perf_counter() - start
        figures |= {"seconds": round(seconds, 3), "peak_mb": peak_mb(), "open_mb": open_mb}
        if figures["rows"] and seconds > 0:
            figures["rows_per_second"] = round(figures["rows"] / seconds, 1)
        answer.send((figures, notes))
    except BaseException:  # noqa: BLE001 - whatever it was, the parent must hear of it
        answer.send(traceback.format_exc())


def peak_mb() -> float:
    """Return the most memory that this process has had resident, in MB (10^6 bytes).

    From /proc: a child's `ru_maxrss` starts from its parent's, this figure does not.
    """
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return float("nan")


def _reporter() -> Progress:
    """Return a progress that tells a line on standard error now and then."""
    told = time.monotonic()

    def report(stage: str, done: int, total: int, _loss: float | None = None, /) -> None:
        nonlocal told
        if time.monotonic() - told > _REPORT_EVERY_S:
            told = time.monotonic()
            _tell(f"   {stage}: {done:,}" + (f" of {total:,}" if total else ""))

    return report


def _in_words(figures: Figures) -> str:
    rate = f", {figures['rows_per_second']:,.0f} a second" if "rows_per_second" in figures else ""
    return f"{figures['rows']:,} {figures['of']} in {figures['seconds']:.1f} s{rate}; peak {figures['peak_mb']:.0f} MB"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
