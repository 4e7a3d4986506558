"""Features: models at work for one person, over what that person may see.

Each asks the gate anew for what it reads, and is refused with reasons where a switch is off. None works with a model
that should have forgotten by now. They are for the users of an account: a guest reads the meetings that they were in,
and nothing else.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial
from typing import Final

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
from volition.features.search_cache import SearchCache, State
from volition.features.summary import run_minutes, run_prose, run_summarize
from volition.learning.audit.rivals import rival_wins
from volition.learning.families.compose.composer import SHOWN, Completion, Composer, Reply
from volition.learning.families.diagnose.diagnosis import Diagnosed
from volition.learning.families.recommend.recommender import Suggestion
from volition.learning.families.search.narrowing import EVERYTHING, Narrowing
from volition.learning.families.search.ranking import Found
from volition.learning.families.summary.minutes import Minutes
from volition.learning.families.summary.summary import Summary
from volition.progress import Progress, silent
from volition.records.audience import CATEGORY, ConversationKind, is_open, participant
from volition.records.ingest import PersonRef
from volition.records.ingest.intake import OTHER, Collected
from volition.records.ingest.messages import mentioned, written_message
from volition.records.ingest.used import member, read_summary, searched, sent_message
from volition.records.lake import Row
from volition.transparency.access_log import FEATURE
from volition.workspace.accesses import Accesses
from volition.workspace.audiences import Audiences
from volition.workspace.gate import GateQuestions
from volition.workspace.models import Models
from volition.workspace.opened import Opened
from volition.workspace.records import Records

_INDEXED_AT_ONCE: Final = 256  # lines: some seconds of computing, and one file


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

    def search(  # noqa: PLR0913 - who asks for what, and how
        self,
        query: str,
        *,
        person: str,
        meeting: str | None = None,
        narrowing: Narrowing = EVERYTHING,
        limit: int = 10,
        waits: bool = True,
        progress: Progress = silent,
    ) -> Found:
        """Search what a person may see: meetings, chats and files together, or the part that is asked for.

        A meeting may be named alone, instead of in `narrowing`.

        What is not indexed yet is indexed first. Where the search does not wait for that, what is ready is searched,
        and it says how much is not.

        Raises:
            RefusedError: The account's switch is off, or the person is of no account.
            InvalidInputError: The person is not known, or the query is empty.
        """
        asking = self._asking(person, family="search")
        return run_search(
            asking,
            query,
            encoder=self._opened.encoder(),
            limit=limit,
            narrowing=narrowing if meeting is None else replace(narrowing, meeting=meeting),
            waits=waits,
            progress=progress,
        )

    def index(self, *, progress: Progress = silent) -> int:
        """Make ready for search what is not: compute the embeddings that are missing, of what search may show.

        Each piece is computed under the permits of its moment and kept when it is done, so that searches find it at
        once, a no takes effect in between, and whoever goes on after a kill goes on from there. An index narrows what
        a search looks at and permits nothing: each search asks the gate.

        Returns:
            How many lines were indexed; none where the encoder is not installed.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        encoder = self._opened.encoder()
        if encoder is None:
            return 0
        waiting, done = self.unindexed(), 0
        progress("indexing for search", 0, waiting)
        permits = self._gate.permits("feature/search")
        while piece := self._opened.lake.embed(
            permits, encoder, categories=CONTENT, most=_INDEXED_AT_ONCE, progress=silent
        ):
            done += piece
            progress("indexing for search", done, max(waiting, done))
            permits = self._gate.permits("feature/search")
        return done

    def unindexed(self) -> int:
        """Count the lines that search may show and that are not indexed yet; none where the encoder is missing."""
        if not self._opened.has_encoder:
            return 0
        return self._opened.lake.count_underived(self._gate.permits("feature/search"), categories=CONTENT)

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

    def note_search(self, hits: int, *, person: str) -> Collected:
        """Record that a person searched on a page and was shown so many hits: usage, like an opened hit.

        Raises:
            RefusedError: The person is of no account.
        """
        known, account = self._member(person)
        event = searched(known.pseudonym, account=account, hits=hits, at_us=self._opened.now_us)
        return self._records.take_in([event], account, silent, waits=True)

    def note_summary(self, spoken: Iterable[str], shown: Iterable[str], *, tasks: int, person: str) -> Collected | None:
        """Record that a person read a summary on a page: how long the meeting is, how long the summary, how many tasks.

        Args:
            spoken: What was said, as far as that person may read it; only its words are counted.
            shown: The lines of the summary, likewise.
            tasks: How many tasks it names.
            person: Who reads.

        Returns:
            What came of it; none where words cannot be counted.

        Raises:
            RefusedError: The person is of no account.
        """
        known, account = self._member(person)
        at_us = self._opened.now_us
        event = read_summary(known.pseudonym, account=account, spoken=spoken, shown=shown, tasks=tasks, at_us=at_us)
        return None if event is None else self._records.take_in([event], account, silent, waits=True)

    def note_message(self, text: str, *, taken: int, pressed: int, person: str) -> Collected | None:
        """Record that a person sent a message while suggestions were shown: how much of it came from them.

        Args:
            text: The message; only its characters are counted.
            taken: How many of them came from suggestions.
            pressed: With how many keys or clicks those were taken.
            person: Who wrote it.

        Returns:
            What came of it; none where these counts cannot be.

        Raises:
            RefusedError: The person is of no account.
        """
        known, account = self._member(person)
        counts = {"letters": len(text), "taken": taken, "pressed": pressed}
        event = sent_message(known.pseudonym, account=account, **counts, at_us=self._opened.now_us)
        return None if event is None else self._records.take_in([event], account, silent, waits=True)

    def note_member(self, *, person: str, language: object, roles: Iterable[object]) -> Collected | None:
        """Record which language and roles an identity provider has for a person, so that fairness can be measured.

        Args:
            person: Who it is.
            language: As the provider has it (the claim `locale`); anything but a text is none.
            roles: Likewise (the claim `roles`).

        Returns:
            What came of it; none where the provider has neither.

        Raises:
            RefusedError: The person is of no account.
        """
        known, account = self._member(person)
        at_us = self._opened.now_us
        event = member(
            PersonRef(pseudonym=known.pseudonym),
            account=account,
            language=language,
            roles=roles,
            key=f"{known.pseudonym}:{at_us}",
            at_us=at_us,
        )
        return None if event is None else self._records.take_in([event], account, silent, waits=True)

    def summarize(self, meeting: str, *, person: str, words: int = 110, progress: Progress = silent) -> Summary:
        """Summarise a meeting in quotes. Raises RefusedError where the account's switch is off."""
        asking = self._asking(person, family="summary")
        return run_summarize(asking, meeting, words=words, encoder=self._opened.encoder(), progress=progress)

    def minutes(self, meeting: str, *, person: str, zone: tzinfo = UTC) -> Minutes:
        """Find what a meeting decided, gave out and left open, with days as they are in a time zone.

        Raises:
            RefusedError: The switch is off.
        """
        return run_minutes(self._asking(person, family="summary"), meeting, zone=zone)

    def prose(self, summary: Summary, *, person: str) -> Prose:
        """Have the end point write a person's summary in prose. Raises RefusedError where the switch is off."""
        return run_prose(self._asking(person, family="summary"), summary, self.endpoint())

    def asking_for_summary(self, person: str) -> FeatureRequest:
        """Return a person's request for summaries, under the permits of now. Raises RefusedError for a guest."""
        return self._asking(person, family="summary")

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
            personal=self._is_personal(asking.account),
            limit=limit,
        )

    def recommends_by_use(self, person: str) -> bool:
        """Return whether a person is recommended things by what they use, and not simply what most people use.

        The audit chose for their account, by what did better there; so it is until a model was measured.
        """
        return self._is_personal(self._member(person)[1])

    def _is_personal(self, account: str) -> bool:
        return not rival_wins(self._models.working_findings("recommend"), account)

    def diagnose(self, person: str, *, session: str | None = None, limit: int = 10) -> Diagnosed:
        """Foretell how a person's own sessions end, and why. Raises RefusedError where the account's switch is off."""
        return run_diagnose(self._asking(person, family="diagnose"), session=session, limit=limit)

    def complete(self, text: str, *, person: str, limit: int = SHOWN, channel: str = "") -> tuple[Completion, ...]:
        """Suggest how a message goes on. Raises RefusedError where its writer or their account said no."""
        return run_complete(self._writing(person, channel), self._opened_composer(), text, limit=limit)

    def can_complete(self, person: str) -> bool:
        """Return whether a composer is at work that learned from a person's account.

        Where none is, nothing that is typed would be answered, so nothing needs to be sent.

        Raises:
            RefusedError: The person is a guest.
        """
        account, composer = self._member(person)[1], self._opened_composer()
        return composer is not None and composer.knows(account)

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
        return run_edit(self._writing(person, channel), self._opened_composer(), text, how=how)

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
            state=self._state(account),  # before the permits' instant
            permits=self._gate.permits(f"feature/{family}"),
            model=self._models.working(family),
            search_cache=self._search_cache,
            note=partial(self._note_use, f"feature/{family}"),
        )

    def _state(self, account: str) -> State:
        """Return what lies in the lake of an account's content, and what was said since where that bears on it.

        What was heard in a recording is judged as that, too, when it is read: an answer about audio alone is heard by
        reading again.
        """
        state = self._opened.lake.state(account, CONTENT)
        heard = any(self._opened.lake.state(account, ("content/audio", "content/video")))
        return (*state, (str(self._opened.ledger.size),)) if heard else state

    def _note_use(self, purpose: str, rows: Iterable[Row]) -> None:
        used = [(row.people[0], row.category) for row in rows]
        self._opened.uses.note(purpose, used, at_us=self._opened.now_us)
        if self._opened.reader is not None:  # somebody besides the one for whom the feature works sees them
            for whose in dict.fromkeys(pseudonym for pseudonym, _ in used):
                of = [category for pseudonym, category in used if pseudonym == whose]
                self._accesses.note(None, FEATURE, [f"person:{whose}"], records=len(of), categories=of)
