"""How good the families are, with training and without, on real data where there is some: `bench quality --data DIR`.

Search and summary train on the meetings in DIR/meetings/train and are measured on those in DIR/meetings/val, or in the
folder of `--report`. The composer learns from the first 80 % of the chat in DIR/chat and is measured on the rest;
recommendations are measured on the same communities, split by time; diagnosis on sessions that are simulated. Nothing
is chosen by looking at what is measured on: settings were chosen by cross-validation within what is trained on.

With `--only FAMILY` one of them is measured alone. The first run computes sentence embeddings, some minutes; with
`--cache DIR`, or in the system's folder for temporary files, they are kept for the next.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.meetings import CachedEncoder, default_cache, machine, read_meetings, tell
from bench.quality.compose import compose_quality
from bench.quality.diagnose import diagnose_quality
from bench.quality.recommend import recommend_quality
from bench.quality.search import search_quality
from bench.quality.summary import summary_quality
from bench.quality.topics import embedded, topics_quality
from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the quality of every family.

    Args:
        args: `data`, the folder of real data; `report`, the folder of meetings to measure on, or none for those in val;
            `only`, one family, or none for all; `cache`, a folder for embeddings, or none for one among the temporary
            files.

    Raises:
        InvalidInputError: No data was named, or it is not there.
        EncoderMissingError: The sentence encoder is not installed.
    """
    if args.data is None:
        raise InvalidInputError("This benchmark needs real data. Name its folder with --data DIR.")
    meetings = Path(args.data).resolve() / "meetings"
    report = Path(args.report).resolve() if args.report else meetings / "val"
    progress = tell()
    chat = meetings.with_name("chat")

    def encoder() -> CachedEncoder:
        return CachedEncoder(Encoder.load(), Path(args.cache) if args.cache else default_cache())

    measures: dict[str, Callable[[], tuple[Mapping[str, Any], list[dict[str, Any]]]]] = {
        "search": lambda: search_quality(meetings / "train", report, encoder(), progress),
        "summary": lambda: summary_quality(meetings / "train", report, encoder(), progress),
        "topics": lambda: (topics_quality(read_meetings(report), embedded(encoder()), progress), []),
        "compose": lambda: compose_quality(chat, progress),
        "recommend": lambda: recommend_quality(chat, progress),
        "diagnose": lambda: diagnose_quality(progress),
    }
    if args.only is not None and args.only not in measures:
        raise InvalidInputError(f"there is no family {args.only!r} to measure; there are: {', '.join(measures)}")
    found = {name: measure() for name, measure in measures.items() if args.only in {None, name}}
    return {
        "bench": "quality",
        "figures": {name: figures for name, (figures, _) in found.items()},
        "goals": [goal for _, goals in found.values() for goal in goals],
        "machine": machine(),
    }
