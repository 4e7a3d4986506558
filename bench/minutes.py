"""Decisions and tasks of meetings against labels made by hand: precision, recall, and the weights that they give.

The labels lie in tests/learning/minutes, with the guidelines by which they were made. The classifier's weights are
fitted on the half for learning and shipped; what is printed is measured on either half. `--data DIR` adds the real
meetings; without it, only those of the demo and their German twins are read. Some meetings were labelled twice: Cohen's
kappa says how far both passes agree, line by line.

`--only weights` fits the weights anew. `--only taught` measures what corrected summaries would bring, as if each label
of the half for learning came from one, to weights that were fitted on none of them.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.meetings import machine
from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.learning.families.summary.minutes import Minutes, take_minutes
from volition.learning.families.summary.sentences import Meeting
from volition.learning.families.summary.spotting import Line, language_of, see
from volition.learning.families.summary.taught import Taught, products_of, taught_weights
from volition.learning.families.summary.weights import BIAS
from volition.records.ingest import Draft
from volition.records.ingest.webvtt import read_webvtt
from volition.records.lake import Row

HOME: Final = Path(__file__).parents[1]
LABELS: Final = HOME / "tests" / "learning" / "minutes"
SAMPLES: Final = HOME / "src" / "volition" / "cli" / "demo" / "samples"

PRECISE: Final = 0.8
COMPLETE: Final = 0.6
KINDS: Final = ("decisions", "tasks")

_LINE: Final = re.compile(r"(\d+) ([^:]+): (.*)")
_STRENGTH: Final = 4.0  # of the ridge; chosen by cross-validation over the meetings of the half for learning
_ROUNDS: Final = 3
_SEEDS: Final = 5
_T: Final = 2.776  # of Student's distribution, for a 95 % interval over five seeds
_BOUNDS: Final[Mapping[str, float]] = {"decisions": -0.6, "tasks": -0.4}  # likewise
_HARD, _HARDER = "hard to read", 0.8  # likewise: where people stumble or read out, cues mislead, and more is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A meeting with its labels: for each decision and each task, the turns that tell of it."""

    name: str
    part: str
    half: str
    rows: tuple[Row, ...]
    labels: Mapping[str, list[list[int]]]


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure precision and recall of decisions and tasks.

    Args:
        args: `data`, the folder of real data, or none to leave the real meetings out; `only`, "weights" to fit them, or
            "taught" to measure what corrected summaries would bring.

    Raises:
        InvalidInputError: The data are not there, or there is nothing of the name given with `only`.
    """
    meetings = list(read_labelled(None if args.data is None else Path(args.data).resolve() / "meetings"))
    if args.only not in {None, "weights", "taught"}:
        raise InvalidInputError(f"There is nothing called {args.only!r} here; there are: weights, taught.")
    figures: dict[str, Any] = {"meetings": len(meetings)}
    if args.only == "weights":
        learnt = [one for one in meetings if one.half == "train"]
        figures["weights"] = {kind: fit_weights(learnt, kind) for kind in KINDS}
        return {"bench": "minutes", "figures": figures, "goals": [], "machine": machine()}
    if args.only == "taught":
        figures["taught"] = teach(meetings)
        return {"bench": "minutes", "figures": figures, "goals": [], "machine": machine()}
    figures["second pass"] = {kind: second_pass(meetings, kind) for kind in KINDS}
    taken = [(one, take_minutes(one.rows)) for one in meetings]
    goals = []
    for half in ("train", "val"):
        figures[half] = {
            part: {kind: agreement(those, kind) for kind in KINDS}
            for part, those in _parts([pair for pair in taken if pair[0].half == half])
        }
    for language in ("English", "German"):
        for kind in KINDS:
            found = figures["val"][language][kind]
            goals.append(_goal(f"{kind} in {language}, precision", found["precision"], PRECISE))
            goals.append(_goal(f"{kind} in {language}, recall", found["recall"], COMPLETE))
    return {"bench": "minutes", "figures": figures, "goals": goals, "machine": machine()}


def read_labelled(folder: Path | None) -> Iterator[Labelled]:
    """Yield the labelled meetings: of the demo, their German twins, those written to learn from, and the real ones.

    The real ones are read where a folder is given.

    Raises:
        InvalidInputError: The folder lacks a meeting that has labels.
    """
    demo = json.loads((LABELS / "demo.json").read_text(encoding="utf-8"))
    for name, labels in demo.items():
        yield _labelled(name, "demo", labels, _transcript(next(SAMPLES.glob(f"*/meetings/{name}.vtt"))))
    for path in sorted(LABELS.glob("*.de.txt")):
        name = path.name.removesuffix(".de.txt")
        yield _labelled(name, "German", demo[name], _plain(name, path))
    written = json.loads((LABELS / "written.json").read_text(encoding="utf-8"))
    for path in sorted((LABELS / "written").glob("*.txt")):
        name = path.name.split(".")[0]
        yield _labelled(name, "written", {"half": "train", **written[name]}, _plain(name, path))
    if folder is None:
        return
    for name, labels in json.loads((LABELS / "meetings.json").read_text(encoding="utf-8")).items():
        path = folder / labels["half"] / f"{name}.vtt"
        if not path.is_file():
            raise InvalidInputError(f"{path} is not there. Give the folder of real data with --data DIR.")
        yield _labelled(name, "real", labels, _transcript(path))


def agreement(meetings: Sequence[tuple[Labelled, Minutes]], kind: str) -> dict[str, Any]:
    """Return precision and recall of one kind over meetings, with what they are shares of."""
    right = told = found = there = 0
    for one, minutes in meetings:
        quoted = minutes.decisions if kind == "decisions" else [action.moment for action in minutes.actions]
        turns = {moment.turn for moment in quoted}
        labels = one.labels[kind]
        told += len(turns)
        right += len(turns.intersection(turn for label in labels for turn in label))
        found += sum(not turns.isdisjoint(label) for label in labels)
        there += len(labels)
    return {
        "precision": round(right / told, 3) if told else None,
        "recall": round(found / there, 3) if there else None,
        "told": told,
        "labelled": there,
    }


def second_pass(meetings: Sequence[Labelled], kind: str) -> dict[str, Any]:
    """Return how far two passes of labels agree on which lines tell of a kind: Cohen's kappa over lines.

    Source: Cohen 1960, doi:10.1177/001316446002000104.
    """
    second = json.loads((LABELS / "second.json").read_text(encoding="utf-8"))
    read = [one for one in meetings if one.name in second and one.part != "German"]
    first_says, second_says = [], []
    for one in read:
        turns = [row.payload["turn"] for row in one.rows]
        first_says.append(np.isin(turns, [turn for label in one.labels[kind] for turn in label]))
        second_says.append(np.isin(turns, [turn for label in second[one.name][kind] for turn in label]))
    first, again = np.concatenate(first_says), np.concatenate(second_says)
    by_chance = first.mean() * again.mean() + (1 - first.mean()) * (1 - again.mean())
    kappa = ((first == again).mean() - by_chance) / (1 - by_chance)
    figures = {"first": int(first.sum()), "second": int(again.sum()), "both": int((first & again).sum())}
    return {"kappa": round(float(kappa), 3), "meetings": len(read), "lines": len(first), "told": figures}


def teach(meetings: Sequence[Labelled]) -> dict[str, Any]:
    """Measure what corrected summaries bring on the half for measuring, to weights that none of them taught.

    The weights are fitted on the meetings written to learn from. Then the labels of all others of the half for learning
    teach, as if they were what corrected summaries rest on; meetings are drawn anew for each seed, with replacement.
    """
    before = {kind: fit_weights([one for one in meetings if one.part == "written"], kind) for kind in KINDS}
    learnt = [one for one in meetings if one.half == "train" and one.part != "written"]
    measured = [one for one in meetings if one.half == "val" and one.part != "German"]
    sums = [dict(products_of(_as_corrected(one), before)) for one in learnt]
    drawn: dict[str, dict[str, list[float]]] = {}
    for seed in range(_SEEDS):
        some = np.random.default_rng(seed).integers(len(learnt), size=len(learnt))
        tables = {kind: sum(sums[one][kind] for one in some if kind in sums[one]) for kind in KINDS}
        after = {kind: taught_weights(tables[kind], before[kind]) for kind in KINDS}
        for when, weights in (("before", before), ("after", after)):
            taken = [(one, take_minutes(one.rows, taught=Taught(weights=weights))) for one in measured]
            for kind in KINDS:
                for name in ("precision", "recall"):
                    value = agreement(taken, kind)[name] or 0.0
                    drawn.setdefault(f"{kind}, {name}", {}).setdefault(when, []).append(value)
    return {
        name: {
            "before": found["before"][0],
            "after": round(mean(found["after"]), 3),
            "interval": round(_T * stdev(found["after"]) / _SEEDS**0.5, 3),
        }
        for name, found in drawn.items()
    }


def _as_corrected(one: Labelled) -> Meeting:
    told = {kind: tuple(sorted({turn for label in one.labels[kind] for turn in label})) for kind in KINDS}
    return Meeting(account="bench", name=one.name, segments=one.rows, reference="", told=told)


def fit_weights(meetings: Sequence[Labelled], kind: str) -> dict[str, int]:
    """Fit a weight in hundredths for each cue, by logistic regression with a ridge.

    A label names lines, not sentences: in each labelled line only the sentence that is likeliest so far counts as one
    that tells it (multiple instance learning).
    """
    cues: list[Mapping[str, float]] = []
    keys: list[tuple[int, int]] = []
    told: list[bool] = []
    for number, one in enumerate(meetings):
        lines = [Line(speaker=row.payload["speaker"], text=row.payload["text"]) for row in one.rows]
        turns = {turn for label in one.labels[kind] for turn in label}
        phrases = language_of(lines)
        for seen in see(lines, phrases) if phrases is not None else ():
            cues.append(seen.cues)
            keys.append((number, seen.line))
            told.append(one.rows[seen.line].payload["turn"] in turns)
    names = sorted({name for seen in cues for name in seen})
    table = np.array([[seen.get(name, 0.0) for name in names] + [1.0] for seen in cues])
    wanted = np.array(told)
    counts = np.ones(len(wanted))
    weights = _logistic(table, wanted, counts)
    for _ in range(_ROUNDS):
        scores = table @ weights
        best: dict[tuple[int, int], int] = {}
        for place in np.flatnonzero(wanted):
            key = keys[place]
            if key not in best or scores[place] > scores[best[key]]:
                best[key] = int(place)
        counts = np.array([not told[place] or best[keys[place]] == place for place in range(len(keys))], dtype=float)
        weights = _logistic(table, wanted, counts)
    weights[-1] -= _BOUNDS[kind]
    weights[:-1] -= _HARDER * np.array([name == _HARD for name in names])
    return {
        name: whole
        for name, weight in zip([*names, BIAS], weights, strict=True)
        if (whole := round(100 * float(weight)))
    }


def _logistic(
    table: NDArray[np.float64], wanted: NDArray[np.bool_], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    import scipy.optimize  # noqa: PLC0415 - of the extra `learn`

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = table @ weights
        ridge = _STRENGTH * np.append(weights[:-1], 0.0)
        value = -(counts * (wanted * scores - np.logaddexp(0, scores))).sum() + ridge @ weights / 2
        return float(value), ridge - table.T @ (counts * (wanted - 1 / (1 + np.exp(-scores))))

    found = scipy.optimize.minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)


def _parts(
    taken: Sequence[tuple[Labelled, Minutes]],
) -> Iterator[tuple[str, list[tuple[Labelled, Minutes]]]]:
    parts: Mapping[str, Callable[[str], bool]] = {
        "demo": lambda part: part == "demo",
        "real": lambda part: part == "real",
        "English": lambda part: part in {"demo", "real"},
        "German": lambda part: part == "German",
        "written": lambda part: part == "written",
    }
    for name, belongs in parts.items():
        if those := [pair for pair in taken if belongs(pair[0].part)]:
            yield name, those


def _labelled(name: str, part: str, labels: Mapping[str, Any], rows: Sequence[Row]) -> Labelled:
    return Labelled(
        name=name, part=part, half=labels["half"], rows=tuple(rows), labels={kind: labels[kind] for kind in KINDS}
    )


def _plain(name: str, path: Path) -> list[Row]:
    found = [_LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [_row(name, int(line[1]), line[2], line[3]) for line in found if line is not None]


def _transcript(path: Path) -> list[Row]:
    drafts = read_webvtt(path.read_bytes(), source=path.name, account="bench", meeting=path.stem, start_us=0)
    return [
        _row(path.stem, draft.payload["turn"], draft.payload["speaker"], draft.payload["text"])
        for draft in drafts
        if isinstance(draft, Draft)
    ]


def _row(meeting: str, turn: int, speaker: str, text: str) -> Row:
    payload = {
        "kind": "segment", "meeting": meeting, "turn": turn, "start_ms": 1000 * turn, "end_ms": 1000 * turn + 999,
        "speaker": speaker, "text": text,
    }  # fmt: skip
    return Row(
        record_id=digest(f"{meeting}/{turn}".encode())[:32],
        account="bench",
        people=(speaker,),
        category="content/transcript",
        collected_us=0,
        payload=payload,
    )


def _goal(name: str, value: float | None, at_least: float) -> dict[str, Any]:
    return {"name": name, "value": value or 0.0, "at_least": at_least, "met": (value or 0.0) >= at_least}
