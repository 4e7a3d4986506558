"""Features: released models at work, gated again.

A feature reads the lake for its own purpose (`feature/search`, not `train/search`): a yes to training is no yes to the
feature, and the other way round. What it returns is what the asking person may see: records of the person's own
account, and of a private conversation only to those who took part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from volition.canonical import us_to_text
from volition.drafts import Written, draft, rewrite
from volition.encoder import Encoder
from volition.endpoint import Endpoint
from volition.errors import InvalidInputError, RefusedError
from volition.families import Model, silent
from volition.families.recommend import Suggestion, recommend
from volition.families.search import Found, search
from volition.families.summary import Summary, summarize
from volition.families.summary_minutes import Minutes, take_minutes
from volition.gate import Record, decide, remedy
from volition.lake import Lake, Row, source_id
from volition.parties import Person
from volition.permits import Permits, Refusal, Role
from volition.prose import Prose, write_prose

CONTENT: Final = ("content/chat", "content/files", "content/transcript")
SERVICE: Final = ("service/usage",)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, where, and when: what every feature needs.

    Attributes:
        person: The asking person.
        account: The person's account.
        lake: Read through the gate only.
        permits: The permits of the feature's purpose, now.
        model: The family's model at work; none if none was released, then the feature runs untrained.
    """

    person: Person
    account: str
    lake: Lake
    permits: Permits
    model: Model | None


def run_search(asking: Asking, query: str, *, encoder: Encoder | None, limit: int, progress: Progress) -> Found:
    """Search the meetings and chats that the asking person may see.

    Raises:
        RefusedError: The account's switch for this feature is off, with the reason and what would change it.
        InvalidInputError: The query is empty.
    """
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what to look for.")
    check_feature(asking.permits, asking.account, CONTENT)
    if encoder is not None:
        asking.lake.embed(asking.permits, encoder, categories=CONTENT, accounts=[asking.account], progress=progress)
    rows = [row for row in _visible(asking, CONTENT) if row.payload.get("kind") in ("segment", "message")]
    return search(asking.model, query, rows, encoder=encoder, limit=limit)


def run_summarize(asking: Asking, meeting: str, *, words: int, encoder: Encoder | None, progress: Progress) -> Summary:
    """Summarise a meeting of the asking person's account in quotes.

    Raises:
        RefusedError: The account's switch is off, or nobody in the meeting has left it usable.
        InvalidInputError: There is no such meeting.
    """
    rows = _said_in(asking, meeting, encoder=encoder, progress=progress)
    return summarize(asking.model, rows, words=words)


def run_minutes(asking: Asking, meeting: str) -> Minutes:
    """Find the decisions, tasks and open questions of a meeting of the asking person's account.

    Raises:
        RefusedError: The account's switch is off, or nobody in the meeting has left it usable.
        InvalidInputError: There is no such meeting.
    """
    return take_minutes(_said_in(asking, meeting, encoder=None, progress=silent))


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


def run_draft(asking: Asking, endpoint: Endpoint | None, about: str) -> Written:
    """Draft a message for a person, of what they type. Raises as `drafts.draft` does, and `check_typed`."""
    check_typed(asking)
    return draft(endpoint, about)


def run_rewrite(asking: Asking, endpoint: Endpoint | None, text: str, *, tone: str) -> Written:
    """Rewrite what a person types in another tone. Raises as `drafts.rewrite` does, and `check_typed`."""
    check_typed(asking)
    return rewrite(endpoint, text, tone)


def check_typed(asking: Asking) -> None:
    """Refuse to send what a person types unless a message of theirs, written now, may be used for the feature.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    permits = asking.permits
    people = (f"person:{asking.person.pseudonym}",)
    typed = Record(account=asking.account, people=people, category="content/chat", collected_us=permits.at_us)
    verdict = decide(permits, typed)
    if not verdict.permitted:
        reason = "" if verdict.reason is None else verdict.reason.value
        when = us_to_text(permits.at_us)
        msg = f"{permits.purpose} is off for {asking.person.id} ({reason}) at {when}. {verdict.remedy}"
        raise RefusedError(msg)


def run_recommend(asking: Asking, *, limit: int) -> tuple[Suggestion, ...]:
    """Recommend what the asking person may like to open next.

    Raises:
        RefusedError: The account's switch for this feature is off.
    """
    check_feature(asking.permits, asking.account, SERVICE)
    own = [row for row in _visible(asking, SERVICE) if row.people[0] == asking.person.pseudonym]
    return recommend(asking.model, own, account=asking.account, limit=limit)


def check_feature(permits: Permits, account: str, categories: Sequence[str]) -> None:
    """Refuse a feature that an account has not allowed for any of the categories it reads.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    party = f"account:{account}"
    answers = [permits.of(account, party, Role.ACCOUNT, category) for category in categories]
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


def _visible(asking: Asking, categories: Sequence[str], *, source: str | None = None) -> list[Row]:
    """Return the permitted rows that the asking person may see, in canonical order."""
    rows = asking.lake.rows(asking.permits, categories=categories, accounts=[asking.account], source=source)
    seen = [row for row in rows if not row.payload.get("private") or asking.person.pseudonym in row.people]
    return sorted(seen, key=lambda row: (row.collected_us, row.record_id))
