"""The composer at work: completions, replies, edits and drafts for somebody who writes, gated as they type.

What somebody types is a chat message of theirs, before it is sent. So the gate is asked about such a message: whether
it may be used for `feature/compose` says whether the feature may look at it at all. Nothing that is typed is kept; what
is drafted or rewritten is sent to the end point, where one is configured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from volition.canonical import us_to_text
from volition.consent.gate import Record, decide
from volition.consent.parties import Person
from volition.consent.permits import Permits
from volition.errors import InvalidInputError, RefusedError
from volition.features.drafts import Written, draft, rewrite
from volition.features.edits import EDITS
from volition.features.llm import Endpoint
from volition.learning.families.adapter.family import AdapterFamily
from volition.learning.families.compose.composer import Completion, Composer, Reply
from volition.learning.families.model import Model
from volition.records.lake import Lake, Row, source_id

CHAT: Final = ("content/chat",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Who writes, where, and when.

    Attributes:
        person: Who writes.
        account: Their account.
        permits: The permits of `feature/compose`, now.
    """

    person: Person
    account: str
    permits: Permits


class ComposerCache:
    """The composer at work, opened once and not anew at each key."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._composer: Composer | None = None

    def of(self, model: Model | None) -> Composer | None:
        """Return the composer of the model at work; none if no model is."""
        if model is not self._model:
            self._model, self._composer = None, None  # should what follows fail, nothing old answers
            self._model, self._composer = model, None if model is None else Composer(model)
        return self._composer


def run_complete(writing: Writing, composer: Composer | None, text: str, *, limit: int) -> tuple[Completion, ...]:
    """Suggest how a message goes on.

    Args:
        writing: Who writes.
        composer: The model at work; without one nothing is suggested.
        text: What was typed so far.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no; with what would change it.
    """
    check_writing(writing)
    return () if composer is None else composer.complete(writing.account, text, limit=limit)


def run_replies(  # noqa: PLR0913 - a message's name has two parts
    writing: Writing, lake: Lake, composer: Composer | None, channel: str, ts: str, *, limit: int
) -> tuple[Reply, ...]:
    """Suggest short replies to a message that the writer may see.

    Args:
        writing: Who wants to reply.
        lake: Read through the gate only.
        composer: The model at work; without one nothing is suggested.
        channel: The channel's name.
        ts: The message's own time stamp, as the chat writes it.
        limit: Most suggestions.

    Raises:
        RefusedError: The feature is off, or somebody whom the message concerns has declined it.
        InvalidInputError: There is no such message.
    """
    check_writing(writing)
    source = source_id(writing.account, channel)
    found = [row.payload for row in _visible(writing, lake, source) if row.payload.get("kind") == "message"]
    message = next((payload for payload in found if payload.get("ts") == ts), None)
    if message is None:
        told = lake.reasons(writing.permits, categories=CHAT, source=source)
        reasons = {reason.value: total for reason, total in told.get(CHAT[0], {}).items() if reason}
        if reasons:
            listed = ", ".join(f"{total} {reason}" for reason, total in sorted(reasons.items()))
            msg = f"No message {ts!r} of {channel!r} may be used to suggest replies. Of that channel's: {listed}."
            raise RefusedError(msg)
        msg = f"The account {writing.account} has no message {ts!r} in {channel!r}. `volition search` shows both."
        raise InvalidInputError(msg)
    return () if composer is None else composer.replies(writing.account, str(message.get("text", "")), limit=limit)


def run_go_on(
    writing: Writing, open_family: Callable[[], AdapterFamily], model: Model | None, text: str, *, tokens: int
) -> str:
    """Write on where somebody stopped, by the adapter at work.

    Args:
        writing: Who writes.
        open_family: Gives the family, with its base.
        model: The adapter at work; none if none is.
        text: What was typed so far.
        tokens: The most tokens to add.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no.
        InvalidInputError: No adapter is at work.
    """
    check_writing(writing)
    if model is None:
        msg = "No adapter is at work, so nobody writes on. `volition train adapter` trains one."
        raise InvalidInputError(msg)
    return open_family().go_on(model, text, tokens=tokens)


def run_edit(writing: Writing, text: str, *, how: str) -> str:
    """Edit a message by rule: one of `edits.EDITS`.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no.
        InvalidInputError: There is no such edit.
    """
    check_writing(writing)
    if how not in EDITS:
        msg = f"There is no edit {how!r}. The edits are: {', '.join(EDITS)}."
        raise InvalidInputError(msg)
    return EDITS[how](text)


def run_draft(writing: Writing, endpoint: Endpoint | None, about: str) -> Written:
    """Draft a message for a person, of what they type. Raises as `drafts.draft` does, and `check_writing`."""
    check_writing(writing)
    return draft(endpoint, about)


def run_rewrite(writing: Writing, endpoint: Endpoint | None, text: str, *, tone: str) -> Written:
    """Rewrite what a person types in another tone. Raises as `drafts.rewrite` does, and `check_writing`."""
    check_writing(writing)
    return rewrite(endpoint, text, tone)


def _visible(writing: Writing, lake: Lake, source: str) -> list[Row]:
    """Return the permitted messages of a channel that the writer may see."""
    rows = lake.rows(writing.permits, categories=CHAT, accounts=[writing.account], source=source)
    return [row for row in rows if not row.payload.get("private") or writing.person.pseudonym in row.people]


def check_writing(writing: Writing) -> None:
    """Refuse to look at what somebody types unless a message of theirs may be used for the feature.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    permits = writing.permits
    record = Record(
        account=writing.account,
        people=(f"person:{writing.person.pseudonym}",),
        category=CHAT[0],
        collected_us=permits.at_us,
    )
    verdict = decide(permits, record)
    if not verdict.permitted:
        reason = "" if verdict.reason is None else verdict.reason.value
        of = f"the account {writing.account}" if verdict.party.startswith("account:") else writing.person.id
        msg = f"{permits.purpose} is off for {of} ({reason}) at {us_to_text(permits.at_us)}. {verdict.remedy}"
        raise RefusedError(msg)
