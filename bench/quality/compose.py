"""Quality of the composer on real chat: keystrokes saved, how often it is right, and what k costs.

The chat of each community is an account of its own. It goes the whole way into a workspace where everybody says yes,
and comes out of a snapshot, gated and scrubbed. The model learns from the first 80 % of each account by time; the last
20 % is typed again. `volition.learning.families.compose.keystrokes` says exactly how typing is counted; its source is
Trnka and McCoy 2008, "Evaluating Word Prediction: Framing Keystroke Savings" (ACL 2008, short papers).

The composer's settings were chosen within the first 80 %: on its last quarters, each after what came before it.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.learning.families.compose.composer import SHOWN, Composer
from volition.learning.families.compose.counts import ORDER
from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.compose.keystrokes import Completes, Typed, type_messages
from volition.learning.families.compose.model import lay_out, read_model
from volition.learning.families.compose.replies import WINDOW_US
from volition.learning.families.compose.words import MARKS, short_reply, tokens
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.progress import Progress, silent
from volition.records.lake import Row
from volition.workspace import Workspace

Figures = dict[str, Any]

KS: Final = (1, 2, 5, 10)
CHOSEN: Final = 5
SHARE: Final = 0.8  # learned from; the rest is typed again
MESSAGES: Final = 2000  # typed again of all that is held out, chosen by a hash: typing takes its time
RESAMPLES: Final = 2000

LEAST: Final = 25.0  # keystrokes saved, in percent, at k = 5


def compose_quality(data: Path, progress: Progress) -> tuple[Figures, list[dict[str, Any]]]:
    """Learn from the first part of each community's chat and type the last part again.

    Args:
        data: Folder of Slack exports, one zip a community.
        progress: Told how far it has come.

    Returns:
        Figures, in percent, with 95 % intervals by a bootstrap over people, and the goals with whether they are met.

    Raises:
        InvalidInputError: There is no export in the folder.
    """
    rows = read_chat(data, progress)
    known, heldout = split_by_time(rows)
    typed = sorted(heldout, key=lambda row: digest(row.record_id.encode()))[:MESSAGES]
    models = {k: ComposeFamily(k=k).fit(known, parts=NoParts(), progress=silent) for k in KS}
    systems: dict[str, tuple[Completes | None, int]] = {f"k = {k}": (Composer(models[k]), SHOWN) for k in KS}
    systems |= {
        f"k = {CHOSEN}, one suggestion": (Composer(models[CHOSEN]), 1),
        f"k = {CHOSEN}, word frequency alone": (Composer(_words_alone(models[CHOSEN])), SHOWN),
        "untrained": (None, SHOWN),
    }
    table: Figures = {}
    for done, (name, (composer, limit)) in enumerate(systems.items()):
        progress("typing", done, len(systems))
        table[name] = _typing(composer, typed, limit)
    progress("typing", len(systems), len(systems))
    saved = table[f"k = {CHOSEN}"]["keystrokes saved"]["mean"]
    figures = {
        "learned from": {"messages": len(known), "people": len({row.people[0] for row in known})},
        "typed": {"messages": len(typed), "of": len(heldout), "people": len({row.people[0] for row in typed})},
        "suggestions shown": SHOWN,
        "systems": table,
        "what k costs": {f"k = {k}": _held(models[k], typed) for k in KS},
        "replies": _replies(Composer(models[CHOSEN]), heldout, known),
        "milliseconds a completion": _latency(Composer(models[CHOSEN]), typed),
    }
    goals = [{"name": f"compose: % of keystrokes saved, k = {CHOSEN}", "value": saved, "at_least": LEAST}]
    return figures, [goal | {"met": goal["value"] >= goal["at_least"]} for goal in goals]


def read_chat(folder: Path, progress: Progress) -> list[Row]:
    """Let every community's people say yes, and return what a snapshot for the composer holds.

    Raises:
        InvalidInputError: There is no export in the folder.
    """
    exports = check_chat(folder)
    with tempfile.TemporaryDirectory() as place, Workspace.create(Path(place) / "workspace") as workspace:
        for done, export in enumerate(exports):
            progress("collecting chat", done, len(exports))
            account = export.stem
            workspace.people.add_account(account, account)
            workspace.terms.accept(account)
            workspace.records.collect_slack(export, account=account)
            for party in (f"account:{account}", *(f"person:{one.id}" for one in workspace.parties.people(account))):
                workspace.consent.decide(
                    party, yes=True, data=["content/chat"], purpose=["train/compose"], covers="past"
                )
        return workspace.snapshots.create("train/compose", progress=progress).rows(workspace.parties)


def check_chat(folder: Path) -> list[Path]:
    """Return the exports in a folder.

    Raises:
        InvalidInputError: There is none.
    """
    exports = sorted(folder.glob("*.zip"))
    if not exports:
        raise InvalidInputError(f"{folder} holds no Slack export (*.zip). Name the folder above it with --data DIR.")
    return exports


def split_by_time(rows: Sequence[Row], share: float = SHARE) -> tuple[list[Row], list[Row]]:
    """Return the first part of each account's rows by time, and the rest."""
    by_account: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.collected_us, row.record_id)):
        by_account[row.account].append(row)
    known: list[Row] = []
    rest: list[Row] = []
    for theirs in by_account.values():
        cut = int(len(theirs) * share)
        known += theirs[:cut]
        rest += theirs[cut:]
    return known, rest


def _typing(composer: Completes | None, rows: Sequence[Row], limit: int) -> Figures:
    people: dict[tuple[str, str], Typed] = defaultdict(Typed)
    for row in rows:
        people[row.account, row.people[0]] += type_messages(composer, row.account, [row.payload["text"]], limit=limit)
    counts = np.array([[one.plain, one.pressed, one.shown, one.first_right, one.any_right] for one in people.values()])
    draws = np.random.default_rng(20260101).integers(0, len(counts), size=(RESAMPLES, len(counts)))
    plain, pressed, shown, first, some = counts[draws].sum(axis=1).T
    whole = counts.sum(axis=0)
    return {
        "keystrokes saved": _estimate(1 - whole[1] / whole[0], 1 - pressed / plain),
        **(
            {
                "precision of the first": _estimate(whole[3] / whole[2], first / shown),
                "precision of any shown": _estimate(whole[4] / whole[2], some / shown),
                "keystrokes at which some are shown": round(100 * float(whole[2] / whole[1]), 1),
            }
            if whole[2]
            else {}
        ),
    }


def _estimate(value: float, draws: "np.ndarray[Any, np.dtype[np.float64]]") -> dict[str, float]:
    low, high = np.percentile(100 * draws, [2.5, 97.5])
    return {"mean": round(100 * float(value), 2), "low": round(float(low), 2), "high": round(float(high), 2)}


def _words_alone(model: Model) -> Model:
    """Return a model that knows how many people wrote each word, and nothing of what stands before it."""
    learned = {}
    for account, known in read_model(model).items():
        none = np.zeros(0, dtype=np.int64)
        table = replace(
            known.table,
            people=(known.table.people[0], *[none] * (ORDER - 1)),
            prefix=(none,) * (ORDER - 1),
            last=(none,) * (ORDER - 1),
        )
        learned[account] = replace(known, table=table)
    return lay_out(learned, k=int(model.settings["k"]))


def _held(model: Model, rows: Sequence[Row]) -> Figures:
    """Tell how much a model holds, and how many of the words that are typed it knows."""
    learned = read_model(model)
    known = {account: set(one.table.tokens) for account, one in learned.items()}
    words = [(row.account, token) for row in rows for token in tokens(row.payload["text"]) if token not in MARKS]
    return {
        "words": sum(len(one.table.tokens) for one in learned.values()),
        "n-grams": sum(len(level) for one in learned.values() for level in one.table.people),
        "replies": sum(len(one.answers.people) for one in learned.values()),
        "% of typed words known": round(
            100 * sum(word in known.get(account, ()) for account, word in words) / len(words), 1
        ),
        "bytes": sum(map(len, model.files().values())),
    }


def _replies(composer: Composer, heldout: Sequence[Row], known: Sequence[Row]) -> Figures:
    """Tell how often one of three suggested replies is what was replied, over held-out short replies to somebody."""
    by_place: dict[tuple[str, Any], list[Row]] = defaultdict(list)
    for row in sorted([*known[-50:], *heldout], key=lambda row: row.collected_us):
        by_place[row.account, row.payload["channel"]].append(row)
    hits = frequent = total = known_total = 0
    for there in by_place.values():
        for before, row in pairwise(there):
            reply = short_reply(row.payload["text"])
            if reply is None or before.people[0] == row.people[0] or row.collected_us - before.collected_us > WINDOW_US:
                continue
            total += 1
            every = {_plain(one.text) for one in composer.replies(row.account, "", limit=10_000)}
            known_total += _plain(reply) in every
            hits += _plain(reply) in {_plain(one.text) for one in composer.replies(row.account, before.payload["text"])}
            frequent += _plain(reply) in {_plain(one.text) for one in composer.replies(row.account, "")}
    return {
        "short replies": total,
        "% that a model may suggest": round(100 * known_total / max(total, 1), 1),
        "% in the first three": round(100 * hits / max(total, 1), 1),
        "% in the three most frequent": round(100 * frequent / max(total, 1), 1),
    }


def _plain(reply: str) -> str:
    return "".join(character for character in reply.casefold() if character.isalnum())


def _latency(composer: Composer, rows: Sequence[Row]) -> Mapping[str, float]:
    """Time completions at one place in each message, each in a context of its own."""
    times = []
    for row in rows:
        text = row.payload["text"][: int(digest(row.record_id.encode())[:6], 16) % (len(row.payload["text"]) + 1)]
        began = time.perf_counter()
        composer.complete(row.account, text)
        times.append(1000 * (time.perf_counter() - began))
    return {name: round(float(np.percentile(times, share)), 3) for name, share in (("p50", 50), ("p99", 99))}
