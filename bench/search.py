"""What a search costs: the first one of a process, one after it, one after a no. `python -m bench search`.

A workspace of invented meetings is made in the system's folder for temporary files. Embeddings are drawn from the
words' digests, so that neither making nor comparing them is measured with a network's own time.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.meetings import machine, tell
from bench.talk import talk
from volition.learning.encoder import Encoder
from volition.records.audience import ConversationKind
from volition.workspace import Workspace

ROWS: Final = 72_000
"""Of which some 50,000 are turns of meetings; the others are messages, which are not collected."""
_SEARCHES: Final = 100
_WITHIN: Final = 5
_QUERY: Final = "what did they say about the contract and the server"
_DRAWN: Final = 384


class DrawnEncoder:
    """Gives each text a vector drawn from its digest: no meaning, and no time."""

    id = "drawn"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return shape (texts, 384), float32, unit norm."""
        seeds = (int.from_bytes(sha256(text.encode()).digest()[:8]) for text in texts)
        vectors = np.stack([np.random.default_rng(seed).normal(size=_DRAWN) for seed in seeds])
        unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        return unit


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure.

    Args:
        args: `rows`, of which seven in ten are turns; none for 50,000 turns.
    """
    with tempfile.TemporaryDirectory() as folder, _drawn_encoder():
        path = Path(folder) / "workspace"
        turns = _fill(path, args.rows or ROWS)
        with Workspace.open(path) as workspace:
            workspace.features.index(progress=tell())
        with Workspace.open(path) as workspace:
            first = _seconds(lambda: workspace.features.search(_QUERY, person="asker"))
            again = sorted(_seconds(partial(workspace.features.search, query, person="asker")) for query in _queries())
            within = sorted(
                _seconds(lambda: workspace.features.search(_QUERY, person="asker", meeting="meeting-1"))
                for _ in range(_WITHIN)
            )
            someone = next(person.id for person in workspace.parties.people() if person.id != "asker")
            workspace.consent.decide(f"person:{someone}", yes=False, data=["content"], purpose=["feature/search"])
            after_no = _seconds(lambda: workspace.features.search(_QUERY, person="asker"))
    figures = {
        "turns": turns,
        "the first search, seconds": round(first, 3),
        "a search after it, seconds": round(again[len(again) // 2], 4),
        "a search after it, 99th percentile, seconds": round(again[-len(again) // 100 - 1], 4),
        "a search within a meeting after it, seconds": round(within[len(within) // 2], 4),
        "the search after somebody's no, seconds": round(after_no, 4),
        "a search after it against the first, ratio": round(again[len(again) // 2] / first, 4),
    }
    seconds = round(again[-len(again) // 100 - 1], 4)
    goal = {"name": "a search after the first, 99th percentile, seconds", "value": seconds, "at_most": 0.3}
    return {
        "bench": "search",
        "figures": figures,
        "goals": [{**goal, "met": seconds <= 0.3}],
        "machine": machine(),
    }


@contextmanager
def _drawn_encoder() -> Iterator[None]:
    """Let whoever loads the sentence encoder have the drawn one."""
    load = Encoder.load
    setattr(Encoder, "load", DrawnEncoder)  # noqa: B010 - a method gives way to what takes no time
    try:
        yield
    finally:
        setattr(Encoder, "load", load)  # noqa: B010


def _fill(folder: Path, rows: int) -> int:
    """Make a workspace in which everybody said yes; return how many turns were collected."""
    progress = tell()
    meetings: dict[str, list[str]] = {}
    for row in talk(rows):
        if row.payload["kind"] == "segment":
            cue = row.payload
            minutes, seconds = divmod(cue["start_ms"] // 1000, 60)
            start = f"{minutes:02}:{seconds:02}.000 --> {minutes:02}:{seconds:02}.900"
            meetings.setdefault(cue["meeting"], ["WEBVTT", ""]).append(f"{start}\n{cue['speaker']}: {cue['text']}\n")
    started = datetime.now(UTC) - timedelta(days=2)
    with Workspace.create(folder) as workspace:
        workspace.people.add_account("acme", "Acme")
        workspace.people.add_person("asker", account="acme", name="Asker")
        workspace.terms.accept("acme")
        workspace.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"], covers="past")
        stored = 0
        for done, (meeting, cues) in enumerate(meetings.items()):
            progress("collecting", done, len(meetings))
            path = folder.with_name(f"{meeting}.vtt")
            path.write_text("\n".join(cues), encoding="utf-8")
            collected = workspace.records.collect_webvtt(path, account="acme", started=started).stored
            stored += collected
            if collected:
                workspace.audiences.share(meeting, kind=ConversationKind.MEETING, account="acme", with_account=True)
        workspace.records.compact()
    return stored


def _queries() -> list[str]:
    """Return as many queries as are measured: some words of the talk each, so that no two are the same."""
    words = sorted({word for row in islice(talk(400), 400) for word in row.payload.get("text", "").split()})
    return [" ".join(words[(7 * number + 3 * place) % len(words)] for place in range(5)) for number in range(_SEARCHES)]


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
