"""How good the families are, with training and without, on real data where there is some: `bench quality --data DIR`.

Search and summary train on the meetings in DIR/meetings/train and are measured on those in DIR/meetings/val, or in the
folder of `--report`. The composer learns from the first 80 % of the chat in DIR/chat and is measured on the rest;
recommendations are measured on the same communities, split by time; diagnosis on sessions that are simulated. Nothing
is chosen by looking at what is measured on: settings were chosen by cross-validation within what is trained on.

The folder of `--report` holds transcripts, with their gold file beside it; or Slack exports, which the composer and
recommendations are then measured on; or folders of both, `meetings` and `chat`. What it does not hold is left out.
Whatever is missing is told before anything is measured.

With `--only FAMILY` one of them is measured alone. The first run computes sentence embeddings, some minutes; with
`--cache DIR`, or in the system's folder for temporary files, they are kept for the next.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.meetings import CachedEncoder, check_meetings, default_cache, machine, read_meetings, tell
from bench.quality.compose import check_chat, compose_quality
from bench.quality.diagnose import diagnose_quality
from bench.quality.recommend import recommend_quality
from bench.quality.search import search_quality
from bench.quality.summary import summary_quality
from bench.quality.topics import embedded, topics_quality
from volition.errors import InvalidInputError
from volition.learning.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILIES: Final = {
    "search": "meetings",
    "summary": "meetings",
    "topics": "meetings",
    "compose": "chat",
    "recommend": "chat",
    "diagnose": "",
}
"""What can be measured, by name, and what kind of data it is measured on; diagnosis makes its own."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the quality of every family.

    Args:
        args: `data`, the folder of real data; `report`, the folder to measure on, or none for the meetings in val and
            the chat of `data`; `only`, one family, or none for all; `cache`, a folder for embeddings, or none for one
            among the temporary files.

    Raises:
        InvalidInputError: No data was named, or it is not there.
        EncoderMissingError: The sentence encoder is not installed.
    """
    if args.only is not None and args.only not in FAMILIES:
        raise InvalidInputError(f"there is no family {args.only!r} to measure; there are: {', '.join(FAMILIES)}")
    if args.data is None:
        raise InvalidInputError("This benchmark needs real data. Name its folder with --data DIR.")
    data = Path(args.data).resolve()
    meetings = data / "meetings"
    reports = find_reports(data, Path(args.report).resolve() if args.report else None)
    chosen = check_folders(meetings / "train", reports, only=args.only)
    report, chat = reports.get("meetings", meetings), reports.get("chat", data)
    progress = tell()

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
    found = {name: measures[name]() for name in chosen}
    return {
        "bench": "quality",
        "figures": {name: figures for name, (figures, _) in found.items()},
        "goals": [goal for _, goals in found.values() for goal in goals],
        "machine": machine(),
    }


def find_reports(data: Path, report: Path | None) -> dict[str, Path]:
    """Return the folders that are measured on: "meetings", "chat", or both.

    Raises:
        InvalidInputError: The folder to measure on is not there, or holds neither.
    """
    if report is None:
        return {"meetings": data / "meetings" / "val", "chat": data / "chat"}
    found = {kind: report / kind for kind in ("meetings", "chat") if (report / kind).is_dir()}
    for kind, pattern in (("meetings", "*.vtt"), ("chat", "*.zip")):
        if not found.get(kind) and next(report.glob(pattern), None) is not None:
            found[kind] = report
    if not found:
        msg = f"{report} holds no transcript (*.vtt), no Slack export (*.zip), and no folder of either to measure on."
        raise InvalidInputError(msg)
    return found


def check_folders(train: Path, reports: Mapping[str, Path], *, only: str | None) -> list[str]:
    """Return the families to measure, once all that they need is there: looking takes no time, measuring minutes.

    Args:
        train: The meetings to learn from.
        reports: What is measured on, of `find_reports`.
        only: One family, or none for all of which there is something to measure on.

    Raises:
        InvalidInputError: Something is missing; the message says what.
    """
    wanted = [only] if only is not None else [name for name, kind in FAMILIES.items() if not kind or kind in reports]
    for name in wanted:
        kind = FAMILIES[name]
        if kind and kind not in reports:
            raise InvalidInputError(f"The folder of --report holds no {kind}, so {name} cannot be measured on it.")
        if kind == "meetings":
            check_meetings(reports[kind])
            if name != "topics":
                check_meetings(train)
        elif kind == "chat":
            exports = check_chat(reports[kind])
            lost = [one for one in exports if not one.with_name(f"{one.stem}.conversations.jsonl").is_file()]
            if name == "recommend" and lost:
                raise InvalidInputError(f"{lost[0]} has no {lost[0].stem}.conversations.jsonl beside it.")
    return wanted
