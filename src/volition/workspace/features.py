"""Features: models at work for one person, over what that person may see.

Each asks the gate anew for what it reads, and is refused with reasons where a switch is off. None works with a model
that should have forgotten by now. They are for the users of an account: a guest reads the meetings that they were in,
and nothing else.
"""

import os
from collections.abc import Iterable
from functools import partial

from volition.consent.gate import Subject
from volition.consent.parties import Person
from volition.consent.references import source_id
from volition.errors import InvalidInputError, RefusedError
from volition.features.compose import (
    ComposerCache,
    ComposeRequest,
    run_complete,
    run_draft,
    run_edit,
    run_go_on,
    run_replies,
    run_rewrite,
)
from volition.features.conversations import SHOWN_BY, Conversation, conversations
from volition.features.diagnose import run_diagnose
from volition.features.drafts import GeneratedText
from volition.features.llm import Endpoint
from volition.features.prose import Prose
from volition.features.recommend import run_recommend
from volition.features.request import CONTENT, FeatureRequest
from volition.features.search import opened_hit, run_search
from volition.features.search_cache import SearchCache
from volition.features.summary import run_minutes, run_prose, run_summarize
from volition.learning.families.compose.composer import SHOWN, Completion, Composer, Reply
from volition.learning.families.diagnose.diagnosis import Diagnosed
from volition.learning.families.recommend.recommender import Suggestion
from volition.learning.families.search.ranking import Found
from volition.learning.families.summary.minutes import Minutes
from volition.learning.families.summary.summary import Summary
from volition.progress import Progress, silent
from volition.records.audience import CATEGORY, ConversationKind, is_open, participant
from volition.records.ingest.intake import OTHER, Collected
from volition.records.ingest.messages import mentioned, written_message
from volition.records.lake import Row
from volition.transparency.access_log import FEATURE
from volition.workspace.accesses import Accesses
from volition.workspace.audiences import Audiences
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.records import Records


class Features:
    """Runs features for one person."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a group that features need
        self,
        opened: Opened,
        gate: GateQuestions,
        audiences: Audiences,
        records: Records,
        models: Models,
        search_cache: SearchCache,
        accesses: Accesses,
    ) -> None:
        """Take the opened folder, the gate, who may read what, records, models, search's cache, and who looked."""
        self._opened = opened
        self._gate = gate
        self._audiences = audiences
        self._records = records
        self._models = models
        self._search_cache = search_cache
        self._accesses = accesses
        self._composer = ComposerCache()

    def endpoint(self) -> Endpoint | None:
        """Return the configured end point, or none. Raises InvalidInputError where its key is not to be had."""
        return None if self._opened.settings.endpoint is None else self._opened.settings.endpoint.connect(os.environ)

    def search(
        self, query: str, *, person: str, meeting: str | None = None, limit: int = 10, progress: Progress = silent
    ) -> Found:
        """Search what a person may see: meetings, chats and files together, or within one meeting.

        Raises:
            RefusedError: The account's switch is off, or the person is of no account.
            InvalidInputError: The person is not known, or the query is empty.
        """
        asking = self._asking(person, family="search")
        return run_search(
            asking, query, encoder=self._opened.encoder(), limit=limit, meeting=meeting, progress=progress
        )

    def opened(self, query: str, record: str, *, person: str, progress: Progress = silent) -> Collected:
        """Record that a person opened a hit of a search, so that search learns from its own use.

        It becomes a record of `service/usage` and is collected like any other: gated, and learnt from only where that
        person and the account let usage train search.

        Args:
            query: What was looked for.
            record: The hit's `record_id`.
            person: Who opened it.
            progress: Called with how far long work has come.

        Raises:
            RefusedError: The account's switch is off, or the person is of no account.
            InvalidInputError: A search by this person could not have found the record, or the query is empty.
        """
        asking = self._asking(person, family="search")
        event = opened_hit(
            asking, query, record, encoder=self._opened.encoder(), at_us=self._opened.now_us, progress=progress
        )
        return self._records.take_in([event], asking.account, progress)

    def summarize(self, meeting: str, *, person: str, words: int = 110, progress: Progress = silent) -> Summary:
        """Summarise a meeting in quotes. Raises RefusedError where the account's switch is off."""
        asking = self._asking(person, family="summary")
        return run_summarize(asking, meeting, words=words, encoder=self._opened.encoder(), progress=progress)

    def minutes(self, meeting: str, *, person: str) -> Minutes:
        """Find what a meeting decided, gave out and left open. Raises RefusedError where the switch is off."""
        return run_minutes(self._asking(person, family="summary"), meeting)

    def prose(self, summary: Summary, *, person: str) -> Prose:
        """Have the end point write a person's summary in prose. Raises RefusedError where the switch is off."""
        return run_prose(self._asking(person, family="summary"), summary, self.endpoint())

    def draft(self, about: str, *, person: str, channel: str = "") -> GeneratedText:
        """Draft a message for a person. Raises RefusedError where their words may not be used for it."""
        return run_draft(self._writing(person, channel), self.endpoint(), about)

    def rewrite(self, text: str, *, person: str, tone: str, channel: str = "") -> GeneratedText:
        """Rewrite a person's message. Raises RefusedError where their words may not be used, or it would change."""
        return run_rewrite(self._writing(person, channel), self.endpoint(), text, tone=tone)

    def recommend(self, person: str, *, limit: int = 10) -> tuple[Suggestion, ...]:
        """Recommend what a person may like to open next. Raises RefusedError where the account's switch is off."""
        asking = self._asking(person, family="recommend")
        return run_recommend(
            asking,
            train=self._gate.permits("train/recommend"),
            find=self._opened.parties.find_person,
            public=self._opened.settings.public_items,
            limit=limit,
        )

    def diagnose(self, person: str, *, session: str | None = None, limit: int = 10) -> Diagnosed:
        """Foretell how a person's own sessions end, and why. Raises RefusedError where the account's switch is off."""
        return run_diagnose(self._asking(person, family="diagnose"), session=session, limit=limit)

    def complete(self, text: str, *, person: str, limit: int = SHOWN, channel: str = "") -> tuple[Completion, ...]:
        """Suggest how a message goes on. Raises RefusedError where its writer or their account said no."""
        return run_complete(self._writing(person, channel), self._opened_composer(), text, limit=limit)

    def can_complete(self) -> bool:
        """Return whether a composer is at work; where none is, nothing that is typed would be answered."""
        return self._models.working("compose") is not None

    def replies(self, channel: str, ts: str, *, person: str, limit: int = SHOWN) -> tuple[Reply, ...]:
        """Suggest short replies to a chat message.

        Raises:
            RefusedError: The writer or their account said no; or there is no such message that may be used for the
                writer, for whatever reason.
        """
        writing = self._writing(person, channel)
        return run_replies(writing, self._opened.lake, self._opened_composer(), channel, ts, limit=limit)

    def go_on(self, text: str, *, person: str, tokens: int = 24, channel: str = "") -> str:
        """Write on where a person stopped, by the adapter at work; it may invent.

        Raises:
            RefusedError: The writer or their account said no.
            InvalidInputError: No adapter is at work.
        """
        writing, model = self._writing(person, channel), self._models.working("adapter")
        return run_go_on(writing, self._models.adapter_family, model, text, tokens=tokens)

    def edit(self, text: str, *, person: str, how: str, channel: str = "") -> str:
        """Edit a message by rule (see `edits`). Raises RefusedError where its writer or their account said no."""
        return run_edit(self._writing(person, channel), text, how=how)

    def conversations(
        self, kind: ConversationKind, *, person: str, name: str | None = None
    ) -> tuple[Conversation, ...]:
        """Return the meetings, channels or files that a person may read, the latest first, or the one of a name.

        A guest gets the meetings that they were in, of whatever account.

        Raises:
            RefusedError: A guest asks for channels or files.
        """
        known = self._opened.parties.person(person)
        if known.is_guest and kind is ConversationKind.MEETING:
            return self._attended(known, name)
        known, account = self._member(person)
        shown_by = [self._gate.permits(purpose) for purpose in SHOWN_BY[kind]]
        reader = participant(known, account, self._opened.now_us)
        audience = self._audiences.of(known, account)
        return conversations(self._opened.lake, reader, audience, kind, shown_by=shown_by, name=name)

    def _attended(self, guest: Person, name: str | None) -> tuple[Conversation, ...]:
        """Return the meetings that a guest was in; no AI has a part in it, so no purpose shows them more."""
        lake, kind, now_us = self._opened.lake, ConversationKind.MEETING, self._opened.now_us
        asking = Subject(pseudonym=guest.pseudonym, at_us=now_us, merged=guest.pseudonyms[1:])
        held = lake.held(asking, categories=[CATEGORY[kind]])
        found = [
            one
            for account in sorted({record.account for record in held})
            for one in conversations(
                lake,
                participant(guest, account, now_us),
                self._audiences.of(guest, account),
                kind,
                shown_by=(),
                name=name,
            )
        ]
        return tuple(sorted(found, key=lambda one: (-one.last_us, one.name)))

    def send(self, text: str, *, channel: str, person: str, form: str) -> Collected:
        """Collect a message that a person writes in a conversation that they may read.

        Args:
            text: The message.
            channel: The conversation.
            person: Who writes.
            form: Names the form that was filled in: the same form with the same text is stored once.

        Raises:
            RefusedError: The person is of no account.
            InvalidInputError: There is no such conversation for them, or the message has no words, or too many.
        """
        known, account = self._member(person)
        found = self.conversations(ConversationKind.CHANNEL, person=person, name=channel)
        if not found:
            raise InvalidInputError(f"There is no conversation {channel!r} that you may read, so nothing can be sent.")
        named = [one.pseudonym for one in mentioned(text, partial(self._opened.parties.find_person, account))]
        opened = is_open(self._opened.history(), account, ConversationKind.CHANNEL, channel)
        members = () if opened and not found[0].is_private else found[0].members
        draft = written_message(
            text,
            account=account,
            channel=channel,
            author=known.name or known.id,
            people=tuple(dict.fromkeys([known.pseudonym, *named, *members])),
            mentions=[one for one in dict.fromkeys(named) if one not in {known.pseudonym, *members}],
            private=bool(members),
            form=form,
            at_us=self._opened.now_us,
        )
        sent = self._records.take_in([draft], account, silent)
        sent.known += sent.not_kept.pop(OTHER, 0)  # the key has the form and the text: what differs is when it came
        return sent

    def _writing(self, person: str, channel: str) -> ComposeRequest:
        """Return who writes, and in which channel; empty for what is written in none."""
        known, account = self._member(person)
        source = source_id(account, channel) if channel else ""
        return ComposeRequest(
            person=known,
            account=account,
            audience=self._audiences.of(known, account),
            permits=self._gate.permits("feature/compose"),
            conversation=self._opened.parties.conversation_ref(account, source),
        )

    def _opened_composer(self) -> Composer | None:
        return self._composer.of(self._models.working("compose"))

    def _member(self, person: str) -> tuple[Person, str]:
        """Return a person and their account. Raises RefusedError for a guest."""
        known = self._opened.parties.person(person)
        if known.account is None or known.is_guest:
            msg = f"{person} is a guest. A guest sees the meetings that they were in, and what is held of them."
            raise RefusedError(msg)
        return known, known.account

    def _asking(self, person: str, *, family: str) -> FeatureRequest:
        known, account = self._member(person)
        return FeatureRequest(
            person=known,
            account=account,
            audience=self._audiences.of(known, account),
            lake=self._opened.lake,
            state=self._opened.lake.state(account, CONTENT),  # before the permits' instant
            permits=self._gate.permits(f"feature/{family}"),
            model=self._models.working(family),
            search_cache=self._search_cache,
            note=partial(self._note_use, f"feature/{family}"),
        )

    def _note_use(self, purpose: str, rows: Iterable[Row]) -> None:
        used = [(row.people[0], row.category) for row in rows]
        self._opened.uses.note(purpose, used, at_us=self._opened.now_us)
        if self._opened.reader is not None:  # somebody besides the one for whom the feature works sees them
            for whose in dict.fromkeys(pseudonym for pseudonym, _ in used):
                of = [category for pseudonym, category in used if pseudonym == whose]
                self._accesses.note(None, FEATURE, [f"person:{whose}"], records=len(of), categories=of)
