"""Compose: completions, suggested replies, edits and drafts while somebody types, gated at every call (autocomplete).

What somebody types is a chat message of theirs that has not been sent yet. So the gate is asked about such a message:
whether it may be used for `feature/compose` decides whether the feature may look at it at all. Nothing that is typed is
kept; what is drafted or rewritten is sent to the end point, if one is configured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from volition.canonical import us_to_text
from volition.consent.gate import Record, decide
from volition.consent.parties import Person
from volition.consent.permits import Permits
from volition.consent.references import ConversationRef, person_ref, source_id
from volition.errors import InvalidInputError, RefusedError
from volition.features.drafts import GeneratedText, draft, rewrite
from volition.features.edits import EDITS
from volition.features.llm import Endpoint
from volition.features.request import nothing_there
from volition.features.spelling import spelling
from volition.learning.families.adapter.family import AdapterFamily
from volition.learning.families.compose.composer import Completion, Composer, Reply
from volition.learning.families.model import Model
from volition.records.audience import Audience
from volition.records.lake import Lake, Row

CHAT: Final = ("content/chat",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeRequest:
    """Who writes, where, and when.

    Attributes:
        person: Who writes.
        account: Their account.
        audience: What they may read of it.
        permits: The permits of `feature/compose`, now.
        conversation: In which channel, as entries of the ledger name it; empty for none.
    """

    person: Person
    account: str
    audience: Audience
    permits: Permits
    conversation: ConversationRef | None


class ComposerCache:
    """The composer at work, opened once and not again at every keystroke."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._composer: Composer | None = None

    def of(self, model: Model | None) -> Composer | None:
        """Return the composer of the model at work; none if no model is."""
        if model is not self._model:
            self._model, self._composer = None, None  # if the next line fails, the old composer must not answer
            self._model, self._composer = model, None if model is None else Composer(model)
        return self._composer


def run_complete(
    request: ComposeRequest, composer: Composer | None, text: str, *, limit: int
) -> tuple[Completion, ...]:
    """Suggest how a message continues.

    Args:
        request: Who writes.
        composer: The model at work; without one nothing is suggested.
        text: What has been typed so far.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no; with what would change it.
    """
    check_writing(request)
    return () if composer is None else composer.complete(request.account, text, limit=limit)


def run_replies(  # noqa: PLR0913 - a message's name has two parts
    request: ComposeRequest, lake: Lake, composer: Composer | None, channel: str, ts: str, *, limit: int
) -> tuple[Reply, ...]:
    """Suggest short replies to a message that the writer may see.

    Args:
        request: Who wants to reply.
        lake: Read through the gate only.
        composer: The model at work; without one nothing is suggested.
        channel: The channel's name.
        ts: The message's own time stamp, as the chat writes it.
        limit: Most suggestions.

    Raises:
        RefusedError: The account's switch for this feature is off, the person said no, or there is no such message
            that may be used for them.
    """
    check_writing(request)
    source = source_id(request.account, channel)
    found = [row.payload for row in _visible(request, lake, source) if row.payload.get("kind") == "message"]
    message = next((payload for payload in found if payload.get("ts") == ts), None)
    if message is None:
        raise RefusedError(nothing_there(f"message {ts!r} in {channel!r}"))
    return () if composer is None else composer.replies(request.account, str(message.get("text", "")), limit=limit)


def run_go_on(
    request: ComposeRequest, open_family: Callable[[], AdapterFamily], model: Model | None, text: str, *, tokens: int
) -> str:
    """Continue a text with the adapter at work: it may write what nobody said.

    Args:
        request: Who writes.
        open_family: Opens the adapter family with its base model.
        model: The adapter at work; none if none is.
        text: What has been typed so far.
        tokens: The most tokens to add.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no.
        InvalidInputError: No adapter is at work.
    """
    check_writing(request)
    if model is None:
        msg = "No adapter is at work, so no text can be continued. `volition train adapter` trains one."
        raise InvalidInputError(msg)
    return open_family().go_on(model, text, tokens=tokens)


def run_edit(request: ComposeRequest, composer: Composer | None, text: str, *, how: str) -> str:
    """Edit a message by rule: one of `edits.EDITS`; mistyped words are mended where there is a dictionary.

    What enough people of the account write is a word, whatever a dictionary knows.

    Raises:
        RefusedError: The account's switch for this feature is off, or the person said no.
        InvalidInputError: There is no such edit.
    """
    check_writing(request)
    if how not in EDITS:
        msg = f"There is no edit {how!r}. The edits are: {', '.join(EDITS)}."
        raise InvalidInputError(msg)
    known = spelling()
    if known is None:
        return EDITS[how](text)

    def is_word(word: str) -> bool:
        return composer is not None and composer.holds(request.account, word)

    return EDITS[how](text, partial(known.mend, is_word=is_word))


def run_draft(request: ComposeRequest, endpoint: Endpoint | None, about: str) -> GeneratedText:
    """Draft a message from what a person types. Raises as `drafts.draft` and `check_writing` do."""
    check_writing(request)
    return draft(endpoint, about)


def run_rewrite(request: ComposeRequest, endpoint: Endpoint | None, text: str, *, tone: str) -> GeneratedText:
    """Rewrite what a person types in another tone. Raises as `drafts.rewrite` and `check_writing` do."""
    check_writing(request)
    return rewrite(endpoint, text, tone)


def _visible(request: ComposeRequest, lake: Lake, source: str) -> list[Row]:
    """Return the permitted messages of a channel that the writer may see."""
    rows = lake.rows(request.permits, categories=CHAT, accounts=[request.account], source=source)
    return [row for row in rows if request.audience.admits(row)]


def check_writing(request: ComposeRequest) -> None:
    """Refuse to look at what somebody types unless a message of theirs may be used for the feature.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    permits = request.permits
    record = Record(
        account=request.account,
        people=(person_ref(request.person.pseudonym),),
        category=CHAT[0],
        collected_us=permits.at_us,
        conversation=request.conversation,
    )
    verdict = decide(permits, record)
    if not verdict.permitted:
        reason = "" if verdict.reason is None else verdict.reason.value
        of = f"the account {request.account}" if verdict.party.startswith("account:") else request.person.id
        msg = f"{permits.purpose} is off for {of} ({reason}) at {us_to_text(permits.at_us)}. {verdict.remedy}"
        raise RefusedError(msg)
