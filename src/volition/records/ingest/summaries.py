"""Edited summaries of meetings, as JSON lines with `meeting` and `text`: what people wrote after the meeting.

A summary is derived data: it concerns everyone whom its meeting concerns, and is collected as of the meeting's end, so
it is never freer than the transcript it came from.
"""

from collections.abc import Callable, Iterator

from volition.canonical import digest
from volition.records.ingest import Draft, PersonRef, Reject, load_json, raw_text

_MEETING = Callable[[str], tuple[tuple[str, ...], int] | None]


def read_summaries(data: bytes, *, source: str, account: str, meeting_of: _MEETING) -> Iterator[Draft | Reject]:
    """Read edited summaries.

    Args:
        data: JSON lines, UTF-8.
        source: Name of the file, for messages.
        account: Whose meetings they are.
        meeting_of: Gives the pseudonyms of a meeting's people and the instant of its last part; none if unknown.
    """
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = load_json(line)
            name, text = value["meeting"].strip(), value["text"].strip()
            f"{name}{text}".encode()  # half a surrogate pair could be stored nowhere
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            why = f'this is no summary ({error}); write {{"meeting": ..., "text": ...}}'
            yield Reject(source=source, where=f"line {number}", why=why, raw=raw_text(line))
            continue
        meeting = meeting_of(name)
        if meeting is None:
            why = f"the meeting {name!r} was not collected; collect its transcript first"
            yield Reject(source=source, where=f"line {number}", why=why, raw=raw_text(line))
            continue
        people, ended_us = meeting
        yield Draft(
            key=f"summary:{name}:{digest(text.encode())[:16]}",
            account=account,
            people=tuple(PersonRef(pseudonym=pseudonym) for pseudonym in people),
            category="content/transcript",
            at_us=ended_us,
            payload={"kind": "summary", "meeting": name, "text": text},
        )
