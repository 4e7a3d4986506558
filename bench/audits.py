"""What the privacy and poisoning audits find, and what they cost. `python -m bench audits --json`.

Four parts. *Planted*: a family that keeps everything must be seen through, one that answers by chance must not, and a
planted poisoner must come out on top. *Families*: what the attack finds of each family on invented customers large
enough to tell one in a hundred. *Demo*: the same on the demo's customers, who are few. *Cost*: seconds of each audit
beside those of one training, on the same rows.

With `--rows N` the invented customers have N people (default 400); the attack resolves 0.1 % from 1,000 people on.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.meetings import machine, tell
from bench.planted import Bigrams, Diary, Noise, chat, couples, crafts, crowd, searcher, searching, use
from volition.cli.demo.story import run_demo
from volition.learning.audit.canary import measure_canaries
from volition.learning.audit.finding import Finding
from volition.learning.audit.membership_inference import attack, measure_attack, tpr_with_interval
from volition.learning.audit.poisoning import measure_poisoning
from volition.learning.families.family import Family, NoParts
from volition.learning.families.installed import BUILT_IN
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.search.family import SearchFamily
from volition.learning.registry import at_work
from volition.progress import Progress, silent
from volition.records.lake import Row
from volition.workspace import Workspace

PEOPLE: Final = 400
PLANTED_PEOPLE: Final = 1000
POISONER: Final = 5
EXACT: Final = 0.99
CHANCE: Final = 3.0
"""How many times the false-positive rate the rate of true positives against noise may be, by chance."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the audits.

    Args:
        args: `rows`, how many people the invented customers have; none for the default.
    """
    progress = tell()
    planted, goals = _planted(progress)
    people = args.rows or PEOPLE
    figures: dict[str, Any] = {
        "people": people,
        "planted": planted,
        "attack on families": _families(people, progress),
        "attack on the demo's families": _demo(progress),
        "cost": _cost(people, progress),
    }
    return {"bench": "audits", "figures": figures, "goals": goals, "machine": machine()}


def _planted(progress: Progress) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    leaky = measure_attack(Diary(), crowd(PLANTED_PEOPLE), bound=None, progress=progress)
    noise = measure_attack(Noise(), crowd(PLANTED_PEOPLE), bound=None, progress=progress)
    kept = measure_canaries(Bigrams(k=1), chat(), bound=None, progress=progress)
    guarded = measure_canaries(Bigrams(k=5), chat(), bound=None, progress=progress)
    _, clicks = measure_poisoning(SearchFamily(None), searching(poisoner=POISONER), bound=None, progress=progress)
    _, stuffing = measure_poisoning(RecommendFamily(), couples("acme", stuffers=1), bound=None, progress=progress)
    figures = {
        "a family that keeps everything": _all(leaky),
        "a family that answers by chance": _all(noise),
        "canaries, bigrams of one person": _all(kept),
        "canaries, bigrams of five people": _all(guarded),
        "clicks on what does not answer": _first(clicks),
        "stuffed items": _first(stuffing),
    }
    on_top = [
        _worst(clicks) == f"person:{searcher('helio', POISONER)}",
        _worst(stuffing) == "person:acme-stuffer-0",
    ]
    goals = [
        _at_least("TPR at 0.1 % FPR, a family that keeps everything", leaky[0].value, EXACT),
        _at_most("TPR at 1 % FPR, a family that answers by chance", noise[1].value, CHANCE * 0.01),
        _at_least("exposure in bits, written by one, bigrams of one person", kept[0].value, 6.0),
        _at_most("exposure in bits, written by one, bigrams of five people", guarded[0].value, 3.0),
        _at_least("planted poisoners that come out on top, of two", float(sum(on_top)), 2.0),
    ]
    return figures, goals


def _families(people: int, progress: Progress) -> dict[str, Any]:
    """Attack each family on the invented customers, and recommend once more with something unique about a quarter."""
    figures = {}
    for name, (family, rows) in _worlds(people).items():
        figures[name] = _attacked(family, rows, progress)
    shared = _worlds(people)["recommend"][1]
    owners = sorted({row.people[0] for row in shared})
    unique = [use("account-0", person, f"private/{person}") for person in owners[::4] if person.startswith("account-0")]
    figures["recommend, a private item for some"] = _attacked(RecommendFamily(), [*shared, *unique], progress)
    return figures


def _demo(progress: Progress) -> dict[str, Any]:
    """Attack each family on what its model at work in the demo learned from."""
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder) / "demo", show=lambda _step: None, progress=progress)
        with Workspace.open(Path(folder) / "demo" / "workspace") as workspace:
            figures = {}
            for name in BUILT_IN:
                working = at_work(workspace.models.states(), name)
                if working is not None:
                    rows = workspace.snapshots.open(working.snapshot).rows(workspace.parties)
                    figures[name] = _attacked(workspace.models.family(name), rows, progress)
            return figures


def _attacked(family: Family, rows: Sequence[Row], progress: Progress) -> dict[str, Any]:
    trials = attack(family, rows, progress=progress)
    people = len(trials.people)
    told: dict[str, Any] = {"people": people}
    for name, rate in (("0.1 %", 0.001), ("1 %", 0.01), ("10 %", 0.1)):
        if people * rate < 1:
            told[f"TPR at {name} FPR"] = f"not measured: with {people} others the smallest rate is 1/{people}"
        else:
            value, low, high = tpr_with_interval(trials, rate)
            told[f"TPR at {name} FPR"] = {"mean": value, "low": low, "high": high}
    return told


def _worlds(people: int) -> dict[str, tuple[Family, list[Row]]]:
    """Return invented customers of so many people for each family that is measured."""
    accounts = max(1, people // 100)
    uses = [
        row
        for number in range(accounts)
        for row in crafts(f"account-{number}", people=people // accounts, items=200, each=12, seed=number)
    ]
    searches = [
        row
        for number in range(accounts)
        for row in searching(f"account-{number}", meetings=6, people=people // accounts, queries=1, seed=number)
    ]
    return {"recommend": (RecommendFamily(), uses), "search, words alone": (SearchFamily(None), searches)}


def _cost(people: int, progress: Progress) -> dict[str, Any]:
    figures = {}
    for name, (family, rows) in _worlds(people).items():
        training = _seconds(partial(family.fit, rows, parts=NoParts(), progress=silent))
        told = {"rows": len(rows), "training, seconds": round(training, 3)}
        for audit, measure in (("attack", measure_attack), ("poisoning", measure_poisoning)):
            seconds = _seconds(partial(measure, family, rows, bound=None, progress=progress))
            told[f"{audit}, trainings"] = round(seconds / training, 1)
        figures[name] = told
    family, rows = Bigrams(k=5), chat(people)
    training = _seconds(lambda: family.fit(rows, parts=NoParts(), progress=silent))
    seconds = _seconds(lambda: measure_canaries(family, rows, bound=None, progress=progress))
    figures["bigrams"] = {
        "rows": len(rows),
        "training, seconds": round(training, 3),
        "canary, trainings": round(seconds / training, 1),
    }
    return figures


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _all(findings: Sequence[Finding]) -> dict[str, Any]:
    return {finding.metric: _told(finding) for finding in findings}


def _told(finding: Finding) -> Any:  # noqa: ANN401 - a figure with its interval, or why there is none
    if finding.value is None:
        return finding.how
    return {"mean": finding.value, "low": finding.low, "high": finding.high}


def _first(finding: Finding) -> dict[str, Any]:
    return {"z of the worst": finding.value, "worst": _worst(finding), "left out": finding.detail.get("left_out")}


def _worst(finding: Finding) -> str | None:
    parties = finding.detail.get("parties", ())
    return parties[0]["party"] if parties else None


def _at_least(name: str, value: float | None, bound: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_least": bound, "met": value is not None and value >= bound}


def _at_most(name: str, value: float | None, bound: float) -> dict[str, Any]:
    return {"name": name, "value": value, "at_most": bound, "met": value is not None and value <= bound}
