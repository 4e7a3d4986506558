"""The transcript: the lines of a meeting that the gate lets through for a summary, and that whoever asks may read."""

from collections.abc import Iterable

from volition.consent.references import source_id
from volition.errors import RefusedError
from volition.features.request import TRANSCRIPT, FeatureRequest, check_feature, nothing_there, visible_rows
from volition.features.written.claims import Line
from volition.learning.families.summary.sentences import in_turn
from volition.records.lake import Row


def said_in(request: FeatureRequest, meeting: str) -> list[Row]:
    """Return the turns of a meeting that may be used for a summary and that the requesting person may read, in order.

    Raises:
        RefusedError: The account's switch is off, or there is no such meeting that may be used for the person.
    """
    check_feature(request.permits, request.account, TRANSCRIPT)
    rows = visible_rows(request, TRANSCRIPT, source=source_id(request.account, meeting))
    said = in_turn(row for row in rows if row.payload.get("kind") == "segment" and row.payload["text"].strip())
    if not said:
        raise RefusedError(nothing_there(f"meeting {meeting!r}"))
    return list(said)


def lines_of(rows: Iterable[Row]) -> list[Line]:
    """Return turns as the lines that a model is shown, numbered from 1."""
    return [
        Line(
            number=number,
            record_id=row.record_id,
            turn=int(row.payload["turn"]),
            start_ms=int(row.payload["start_ms"]),
            speaker=str(row.payload["speaker"]),
            text=row.payload["text"],
        )
        for number, row in enumerate(rows, start=1)
    ]
