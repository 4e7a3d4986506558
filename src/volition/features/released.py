"""Features: released models at work, gated again.

A feature reads the lake for its own purpose (`feature/search`, not `train/search`): a yes to training is no yes to the
feature, and the other way round. What it returns is what the asking person may see: records of the person's own
account, and of a private conversation only to those who took part.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.gate import remedy
from volition.consent.parties import Person
from volition.consent.permits import PartyRole, Permits, Refusal
from volition.errors import InvalidInputError, RefusedError
from volition.features.llm import Endpoint
from volition.features.prose import Prose, write_prose
from volition.features.search_cache import SearchCache, State
from volition.learning.encoder import Encoder
from volition.learning.families.diagnose.diagnosis import Diagnosed, diagnose
from volition.learning.families.diagnose.sessions import SOURCES
from volition.learning.families.model import Model
from volition.learning.families.recommend.recommender import Suggestion, recommend
from volition.learning.families.recommend.spec import SPEC as RECOMMEND
from volition.learning.families.search.features import Index
from volition.learning.families.search.lines import CLICK, opening
from volition.learning.families.search.ranking import Found, search_in
from volition.learning.families.search.spec import SPEC as SEARCH
from volition.learning.families.summary.minutes import Minutes, take_minutes
from volition.learning.families.summary.summary import Summary, summarize
from volition.progress import Progress, silent
from volition.records.ingest import PERSON_ITEM, Draft, PersonRef
from volition.records.lake import Lake, Row, source_id

CONTENT: Final = SEARCH.reads
SERVICE: Final = RECOMMEND.reads

Note = Callable[[Iterable[Row]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, where, and when: what every feature needs.

    Attributes:
        person: The asking person.
        account: The person's account.
        lake: Read through the gate only.
        state: What lay in the lake of the account's content, read before the instant of the permits.
        permits: The permits of the feature's purpose, now.
        model: The family's model at work; none if none was released, then the feature runs untrained.
        search cache: What was opened for search, and is judged again.
        note: Told which rows an answer is made of, before it is handed out; see `uses`.
    """

    person: Person
    account: str
    lake: Lake
    state: State
    permits: Permits
    model: Model | None
    search_cache: SearchCache
    note: Note = lambda _: None


def run_search(  # noqa: PLR0913 - who asks for what, and how
    asking: Asking,
    query: str,
    *,
    encoder: Encoder | None,
    limit: int,
    meeting: str | None = None,
    progress: Progress,
) -> Found:
    """Search the meetings, chats and files that the asking person may see, or one meeting.

    Raises:
        RefusedError: The account's switch for this feature is off, with the reason and what would change it.
        InvalidInputError: The query is empty.
    """
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what to look for.")
    indexes = _documents(asking, encoder, meeting, progress)
    if meeting is not None and not indexes:
        # Whether it is not there or may not be used is not told: that, too, is for those who may see it.
        return Found(hits=(), note=f"There is nothing to search in {meeting!r}: no such meeting may be used.")
    found = search_in(asking.model, query, indexes, encoder=encoder, limit=limit)
    lines = (line.row for index in indexes for line in index.document.lines)
    asking.note(_named(lines, (hit.record_id for hit in found.hits)))
    return found


def opened_hit(  # noqa: PLR0913 - who opened what, when
    asking: Asking, query: str, record: str, *, encoder: Encoder | None, at_us: int, progress: Progress
) -> Draft:
    """Return the event that the asking person opened a hit, as telemetry would bring it in.

    Raises:
        RefusedError: The account's switch for this feature is off.
        InvalidInputError: The query is empty, or a search by this person could not have found the record.
    """
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what was looked for.")
    lines = (line for index in _documents(asking, encoder, None, progress) for line in index.document.lines)
    line = next((line for line in lines if line.row.record_id == record), None)
    if line is None:
        msg = f"A search by {asking.person.id} finds no record {record!r}. Name one of the hits by its record_id."
        raise InvalidInputError(msg)
    pseudonym = asking.person.pseudonym
    return Draft(
        key=f"{CLICK}:{digest(canonical_json([pseudonym, query, record, at_us]))}",
        account=asking.account,
        people=(PersonRef(pseudonym=pseudonym),),
        category=SERVICE[0],
        at_us=at_us,
        payload={"kind": "event", "name": CLICK, "attributes": opening(line, query.strip()), "body": None},
    )


def _documents(asking: Asking, encoder: Encoder | None, meeting: str | None, progress: Progress) -> list[Index]:
    check_feature(asking.permits, asking.account, CONTENT)
    return asking.search_cache.documents(
        asking.permits,
        account=asking.account,
        pseudonym=asking.person.pseudonym,
        categories=CONTENT,
        state=asking.state,
        encoder=encoder,
        meeting=meeting,
        progress=progress,
    )


def run_summarize(asking: Asking, meeting: str, *, words: int, encoder: Encoder | None, progress: Progress) -> Summary:
    """Summarise a meeting of the asking person's account in quotes.

    Raises:
        RefusedError: The account's switch is off, or nobody in the meeting has left it usable.
        InvalidInputError: There is no such meeting.
    """
    rows = _said_in(asking, meeting, encoder=encoder, progress=progress)
    summary = summarize(asking.model, rows, words=words)
    asking.note(_named(rows, (moment.record_id for moment in summary.moments)))
    return summary


def run_minutes(asking: Asking, meeting: str) -> Minutes:
    """Find the decisions, tasks and open questions of a meeting of the asking person's account.

    Raises:
        RefusedError: The account's switch is off, or nobody in the meeting has left it usable.
        InvalidInputError: There is no such meeting.
    """
    rows = _said_in(asking, meeting, encoder=None, progress=silent)
    minutes = take_minutes(rows)
    quoted = [*minutes.decisions, *(action.moment for action in minutes.actions), *minutes.questions]
    asking.note(_named(rows, (moment.record_id for moment in quoted)))
    return minutes


def run_prose(asking: Asking, summary: Summary, endpoint: Endpoint | None) -> Prose:
    """Have the quotes of a summary told in prose, where the account's switch is on in the moment of sending.

    Args:
        asking: With the permits of now: a no that came while the summary was made counts.
        summary: Of what the same person asked for; its moments are sent.
        endpoint: Whose model writes; none gives no prose and a note.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(asking.permits, asking.account, ("content/transcript",))
    return write_prose(endpoint, summary.moments)


def run_recommend(
    asking: Asking, *, train: Permits, find: Callable[[str, str], Person | None], limit: int
) -> tuple[Suggestion, ...]:
    """Recommend what the asking person may like to open next.

    A colleague is suggested, or named as a reason, only if their own usage could be used for recommendations and for
    training them: whoever said no to either, and whoever cannot be told for sure, is not shown to anybody.

    Args:
        asking: Who asks.
        train: The permits of `train/recommend`, now.
        find: Finds whom an account knows by an id that its sources use; none if nobody, or several.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(asking.permits, asking.account, SERVICE)

    def hidden(item: str) -> bool:
        if not item.startswith(PERSON_ITEM):
            return False
        named = find(asking.account, item.removeprefix(PERSON_ITEM).strip())
        if named is None or named.pseudonym == asking.person.pseudonym:
            return True
        party = f"person:{named.pseudonym}"
        answers = [
            permits.of(asking.account, party, PartyRole.FIRST, SERVICE[0]) for permits in (asking.permits, train)
        ]
        return any(isinstance(answer, Refusal) for answer in answers)

    own = [row for row in _visible(asking, SERVICE) if row.people[0] == asking.person.pseudonym]
    asking.note(own)
    return recommend(asking.model, own, account=asking.account, limit=limit, hidden=hidden)


def run_diagnose(asking: Asking, *, session: str | None, limit: int) -> Diagnosed:
    """Foretell how the asking person's own sessions end: nobody sees those of somebody else, not even of a colleague.

    Raises:
        RefusedError: The account's switch for this feature is off.
        InvalidInputError: The person has no such session.
    """
    check_feature(asking.permits, asking.account, SOURCES)
    own = [row for row in _visible(asking, SOURCES) if row.people[0] == asking.person.pseudonym]
    asking.note(own)
    found = diagnose(asking.model, own, at_us=asking.permits.at_us, session=session, limit=limit)
    if session is not None and not found.sessions:
        msg = f"{asking.person.id} has no session {session!r} that may be looked at. Without an id, all are listed."
        raise InvalidInputError(msg)
    return found


def check_feature(permits: Permits, account: str, categories: Sequence[str]) -> None:
    """Refuse a feature that an account has not allowed for any of the categories it reads.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    party = f"account:{account}"
    answers = [permits.of(account, party, PartyRole.ACCOUNT, category) for category in categories]
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    if len(refusals) == len(answers):
        reason = refusals[0].reason
        msg = (
            f"{permits.purpose} is off for the account {account} ({reason.value}) at {us_to_text(permits.at_us)}. "
            f"{remedy(reason, party, since_us=0)}"
        )
        raise RefusedError(msg)


def _said_in(asking: Asking, meeting: str, *, encoder: Encoder | None, progress: Progress) -> list[Row]:
    """Return what may be used of a meeting for a summary, and is there for the asking person to see."""
    category = ("content/transcript",)
    check_feature(asking.permits, asking.account, category)
    source = source_id(asking.account, meeting)
    if encoder is not None:
        asking.lake.embed(
            asking.permits, encoder, categories=category, accounts=[asking.account], source=source, progress=progress
        )
    rows = [row for row in _visible(asking, category, source=source) if row.payload.get("kind") == "segment"]
    if not rows:
        told = asking.lake.reasons(asking.permits, categories=category, source=source)
        if not told:
            msg = f"The account {asking.account} has no meeting {meeting!r}. `volition status` counts what is there."
            raise InvalidInputError(msg)
        reasons = ", ".join(f"{total} {reason.value}" for reason, total in told[category[0]].items() if reason)
        msg = f"No part of the meeting {meeting!r} may be used for a summary: {reasons}."
        raise RefusedError(msg)
    return rows


def _named(rows: Iterable[Row], records: Iterable[str]) -> list[Row]:
    """Return the rows of some records, each once."""
    wanted = set(records)
    return [row for row in rows if row.record_id in wanted]


def _visible(asking: Asking, categories: Sequence[str], *, source: str | None = None) -> list[Row]:
    """Return the permitted rows that the asking person may see, in canonical order."""
    rows = asking.lake.rows(asking.permits, categories=categories, accounts=[asking.account], source=source)
    seen = [row for row in rows if row.is_for(asking.person.pseudonym)]
    return sorted(seen, key=lambda row: (row.collected_us, row.record_id))
