"""Summary: a meeting in quotes (extractive summarisation), its decisions and tasks, and prose over them.

Quotes point at their speaker and second, so nothing in them is invented. Prose is written by a language model, if one
is configured, and every sentence of it is checked against the quotes; see `prose`.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from volition.consent.references import source_id
from volition.errors import RefusedError
from volition.features.llm import Endpoint
from volition.features.prose import Prose, write_prose
from volition.features.request import TRANSCRIPT, FeatureRequest, check_feature, nothing_there, rows_of, visible_rows
from volition.learning.encoder import Encoder
from volition.learning.families.summary.minutes import Minutes, take_minutes
from volition.learning.families.summary.regression import taught_to
from volition.learning.families.summary.sentences import Moment
from volition.learning.families.summary.summary import Summary, summarize
from volition.progress import Progress, silent
from volition.records.lake import Row


def run_summarize(
    request: FeatureRequest, meeting: str, *, words: int, encoder: Encoder | None, progress: Progress
) -> Summary:
    """Summarise a meeting of the requesting person's account in quotes.

    Raises:
        RefusedError: The account's switch is off, or there is no such meeting that may be used for the person.
    """
    rows = _said_in(request, meeting, encoder=encoder, progress=progress)
    summary = summarize(request.model, rows, words=words)
    request.note(rows_of(rows, _records(summary.moments)))
    return summary


def run_minutes(request: FeatureRequest, meeting: str, *, zone: tzinfo) -> Minutes:
    """Find the decisions, tasks and open questions of a meeting of the requesting person's account.

    Args:
        request: Who asks.
        meeting: Its name.
        zone: The time zone in which "tomorrow" is read.

    Raises:
        RefusedError: The account's switch is off, or there is no such meeting that may be used for the person.
    """
    rows = _said_in(request, meeting, encoder=None, progress=silent)
    minutes = take_minutes(rows, zone=zone, taught=taught_to(request.model))
    quoted = [*minutes.decisions, *(action.moment for action in minutes.actions), *minutes.questions]
    request.note(rows_of(rows, _records(quoted)))
    return minutes


def run_prose(request: FeatureRequest, summary: Summary, endpoint: Endpoint | None) -> Prose:
    """Turn the quotes of a summary into prose, if the account's switch is on at the moment of sending.

    Args:
        request: With the permits of now: a no that came while the summary was being made counts.
        summary: Made for the same person; its moments are sent.
        endpoint: The language model that writes; none gives no prose and a note.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(request.permits, request.account, TRANSCRIPT)
    return write_prose(endpoint, summary.moments)


def _records(moments: Iterable[Moment]) -> Iterator[str]:
    """Yield the records of quotes, and of the lines that are shown before them."""
    for moment in moments:
        yield moment.record_id
        if moment.before is not None:
            yield moment.before.record_id


def _said_in(request: FeatureRequest, meeting: str, *, encoder: Encoder | None, progress: Progress) -> list[Row]:
    """Return the turns of a meeting that may be used for a summary and that the requesting person may see."""
    check_feature(request.permits, request.account, TRANSCRIPT)
    source = source_id(request.account, meeting)
    if encoder is not None:
        request.lake.embed(
            request.permits,
            encoder,
            categories=TRANSCRIPT,
            accounts=[request.account],
            source=source,
            progress=progress,
        )
    rows = [row for row in visible_rows(request, TRANSCRIPT, source=source) if row.payload.get("kind") == "segment"]
    if not rows:
        raise RefusedError(nothing_there(f"meeting {meeting!r}"))
    return rows
