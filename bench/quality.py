"""How good the families are, with training and without, on real data where there is some: `bench quality --data DIR`.

Search and summary train on the meetings in DIR/meetings/train and are measured on those in DIR/meetings/val, or in the
folder of `--report`. The composer learns from the first 80 % of the chat in DIR/chat and is measured on the rest;
recommendations are measured on the same communities, split by time; diagnosis on sessions that are simulated. Nothing
is chosen by looking at what is measured on: settings were chosen by cross-validation within what is trained on.

The first run computes sentence embeddings, some minutes; with `--cache DIR`, or in the system's folder for temporary
files, they are kept for the next.
"""

import argparse
from pathlib import Path
from typing import Any

from bench.meetings import CachedEncoder, default_cache, machine, tell
from bench.quality_compose import compose_quality
from bench.quality_diagnose import diagnose_quality
from bench.quality_recommend import recommend_quality
from bench.quality_search import search_quality
from bench.quality_summary import summary_quality
from volition.encoder import Encoder
from volition.errors import InvalidInputError


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the quality of every family.

    Args:
        args: `data`, the folder of real data; `report`, the folder of meetings to measure on, or none for those in val;
            `cache`, a folder for embeddings, or none for one among the temporary files.

    Raises:
        InvalidInputError: No data was named, or it is not there.
        EncoderMissingError: The sentence encoder is not installed.
    """
    if args.data is None:
        raise InvalidInputError("This benchmark needs real data. Name its folder with --data DIR.")
    meetings = Path(args.data).resolve() / "meetings"
    report = Path(args.report).resolve() if args.report else meetings / "val"
    encoder = CachedEncoder(Encoder.load(), Path(args.cache) if args.cache else default_cache())
    progress = tell()
    search_figures, search_goals = search_quality(meetings / "train", report, encoder, progress)
    summary_figures, summary_goals = summary_quality(meetings / "train", report, encoder, progress)
    chat = meetings.with_name("chat")
    compose_figures, compose_goals = compose_quality(chat, progress)
    recommend_figures, recommend_goals = recommend_quality(chat, progress)
    diagnose_figures, diagnose_goals = diagnose_quality(progress)
    return {
        "bench": "quality",
        "figures": {
            "search": search_figures,
            "summary": summary_figures,
            "compose": compose_figures,
            "recommend": recommend_figures,
            "diagnose": diagnose_figures,
        },
        "goals": [*search_goals, *summary_goals, *compose_goals, *recommend_goals, *diagnose_goals],
        "machine": machine(),
    }
