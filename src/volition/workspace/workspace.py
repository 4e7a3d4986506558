"""The workspace itself: one folder, opened, and handed to one object for each group of use cases.

A group knows the opened folder and the groups that its constructor names, and no others. It is loaded and made when it
is first asked for: most work needs few of them, and some load packages that take seconds.
"""

# ruff: noqa: PLC0415 - a group is imported when it is asked for

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from volition import canonical
from volition.canonical import us_to_text
from volition.consent.history import History
from volition.consent.parties import Parties
from volition.consent.terms.terms_file import load_profile
from volition.errors import BackendError, InvalidInputError
from volition.files import keep_private
from volition.learning.audit.defaults import bounds_text
from volition.learning.registry import ModelState, at_work
from volition.ledger.entry import Entry
from volition.ledger.log import Ledger
from volition.ledger.signing import VerifierKey
from volition.transparency.access_log import Reader
from volition.workspace.erasing import Erased, Erasing, OpenSignIns, no_sign_ins
from volition.workspace.making import end_making, make_folder
from volition.workspace.opened import Opened
from volition.workspace.settings import PUBLIC_ITEMS, SETTINGS

if TYPE_CHECKING:
    from volition.consent.terms.model import Terms
    from volition.features.search_cache import SearchCache
    from volition.learning.encoder import Encoder
    from volition.workspace.accesses import Accesses
    from volition.workspace.audiences import Audiences
    from volition.workspace.consent import Consent
    from volition.workspace.documents import Documents
    from volition.workspace.exclusions import ConversationExclusions
    from volition.workspace.features import Features
    from volition.workspace.forgetting import Forgetting
    from volition.workspace.gate import GateQuestions
    from volition.workspace.mail_settings import MailSettings
    from volition.workspace.models import Models
    from volition.workspace.people import People
    from volition.workspace.permit_tables import PermitTables
    from volition.workspace.proofs import Proofs
    from volition.workspace.public_log import PublicLog
    from volition.workspace.recordings import Recordings
    from volition.workspace.records import Records
    from volition.workspace.retraining import Retraining
    from volition.workspace.rights import Rights
    from volition.workspace.schedule_settings import ScheduleSettings
    from volition.workspace.snapshots import Snapshots
    from volition.workspace.sources import Sources
    from volition.workspace.summaries import Summaries
    from volition.workspace.terms import PublishedTerms
    from volition.workspace.weigh import Weighing


class Workspace:
    """A folder with everything in it. Open it with `with`, or close it."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], int] = canonical.now_us,
        open_sign_ins: OpenSignIns = no_sign_ins,
        reader: Reader | None = None,
        carry_over: bool = True,
    ) -> None:
        """Open the workspace in `folder`; `Workspace.create` makes one.

        From then on nobody but this process's user can enter the folder, nor read what the process writes
        (`files.keep_private`).

        Args:
            folder: Where it lies.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.
            open_sign_ins: Opens where people sign in, which an erasure concerns, too; the server and the commands say.
            reader: Who sees what features show here, beside the one whom they are asked for, as at the command line: it
                is written down with the rest of who looked (`accesses`). None where nobody else does.
            carry_over: Whether a ledger of an earlier version is carried over to this one, with a copy kept beside it.

        Raises:
            InvalidInputError: There is no workspace in the folder, or its settings cannot be read.
            BackendError: A file of it cannot be opened, or its engine is not installed.
            ProofError: The ledger was changed by somebody else than this software.
        """
        if folder.is_dir():
            keep_private(folder)
        self._opened = Opened(folder, clock=clock, reader=reader, carry_over=carry_over)
        self._open_sign_ins = open_sign_ins

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Callable[[], int] = canonical.now_us,
        open_sign_ins: OpenSignIns = no_sign_ins,
        reader: Reader | None = None,
        carry_over: bool = True,
    ) -> Self:
        """Open the workspace in `folder`. Takes and raises what the constructor does."""
        return cls(folder, clock=clock, open_sign_ins=open_sign_ins, reader=reader, carry_over=carry_over)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        origin: str = "volition.local/workspace",
        profile: str | None = "granular",
        clock: Callable[[], int] = canonical.now_us,
        public_items: Sequence[str] = PUBLIC_ITEMS,
    ) -> Self:
        """Make a workspace and publish its first terms.

        Killed half-way, it is called again: it begins anew, or goes on where the workspace was there already.

        Args:
            folder: A folder that is empty or not there.
            origin: Name of its log, such as "log.example/volition".
            profile: The shipped terms to publish at once; none to publish none.
            clock: Gives the present instant.
            public_items: Kinds of items whose names every user of an account may be recommended; see the settings.

        Raises:
            InvalidInputError: The folder holds something already, the origin names no log, or there is no such profile.
            BackendError: The folder cannot be written.
        """
        if not origin or any(character.isspace() or character in '+"\\' for character in origin):
            msg = f"{origin!r} cannot name a log: no spaces, quotes or plus. Take something like log.example/volition."
            raise InvalidInputError(msg)
        first_terms = None if profile is None else load_profile(profile)
        text = SETTINGS.format(origin=origin, bounds=bounds_text(), public_items=json.dumps([*public_items]))
        try:
            make_folder(folder, text)
        except OSError as error:
            msg = f"No workspace could be made in {folder}: {error}. Mend that, then make it again."
            raise BackendError(msg) from error
        workspace = cls(folder, clock=clock)
        try:
            _end_making(workspace, origin, first_terms)
        except BaseException:
            workspace.close()
            raise
        return workspace

    def close(self) -> None:
        """Close every file."""
        if "_search_cache" in self.__dict__:
            self._search_cache.clear()
        self._opened.close()

    def __enter__(self) -> Self:
        """Open for a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        self.close()

    # --- the groups, each made when it is first asked for ---

    @cached_property
    def terms(self) -> "PublishedTerms":
        """Publish terms, accept them, read them."""
        from volition.workspace.terms import PublishedTerms

        return PublishedTerms(self._opened)

    @cached_property
    def people(self) -> "People":
        """Add accounts and people."""
        from volition.workspace.people import People

        return People(self._opened)

    @cached_property
    def gate(self) -> "GateQuestions":
        """Ask whether something may be used."""
        from volition.workspace.gate import GateQuestions

        return GateQuestions(self._opened)

    @cached_property
    def permit_tables(self) -> "PermitTables":
        """Write permits out as tables that others read."""
        from volition.workspace.permit_tables import PermitTables

        return PermitTables(self._opened, self.accesses)

    @cached_property
    def consent(self) -> "Consent":
        """Say yes and no, and read what stands."""
        from volition.workspace.consent import Consent

        return Consent(self._opened, self.gate)

    @cached_property
    def audiences(self) -> "Audiences":
        """Open conversations to people or to the account, and close them."""
        from volition.workspace.audiences import Audiences

        return Audiences(self._opened)

    @cached_property
    def exclusions(self) -> "ConversationExclusions":
        """Leave one conversation out of some uses, or take it back in."""
        from volition.workspace.exclusions import ConversationExclusions

        return ConversationExclusions(self._opened)

    @cached_property
    def records(self) -> "Records":
        """Collect records, and stream what may be used."""
        from volition.workspace.records import Records

        return Records(self._opened, self.gate, self.audiences)

    @cached_property
    def sources(self) -> "Sources":
        """Collect tables, rows and events of one's own."""
        from volition.workspace.sources import Sources

        return Sources(self._opened, self.audiences, self.records)

    @cached_property
    def recordings(self) -> "Recordings":
        """Collect recordings of meetings, and say whether their sound is kept."""
        from volition.workspace.recordings import Recordings

        return Recordings(self._opened, self.gate, self.audiences, self.records)

    @cached_property
    def snapshots(self) -> "Snapshots":
        """Freeze training sets, and open them."""
        from volition.workspace.snapshots import Snapshots

        return Snapshots(self._opened, self.gate, self.records)

    @cached_property
    def models(self) -> "Models":
        """Train, audit and release models."""
        from volition.workspace.models import Models
        from volition.workspace.training import OwnTrainings

        trainings = OwnTrainings(self._opened, self.gate, self.records, self.snapshots)
        return Models(self._opened, self.gate, self.snapshots, trainings)

    @cached_property
    def retraining(self) -> "Retraining":
        """Train models again, and compare."""
        from volition.workspace.retraining import Retraining

        return Retraining(self._opened, self.snapshots, self.models)

    @cached_property
    def features(self) -> "Features":
        """Run features for a person."""
        from volition.workspace.features import Features

        return Features(
            self._opened, self.gate, self.audiences, self.records, self.models, self._search_cache, self.accesses
        )

    @cached_property
    def summaries(self) -> "Summaries":
        """Have a language model write summaries; correct them and send them."""
        from volition.workspace.summaries import Summaries

        return Summaries(self._opened, self.audiences, self.records, self.features, self.accesses)

    @cached_property
    def weigh(self) -> "Weighing":
        """What a choice gives and costs, before it is made."""
        from volition.workspace.weigh import Weighing

        return Weighing(self._opened, self.gate, self.snapshots, self.models)

    @cached_property
    def forgetting(self) -> "Forgetting":
        """Erase parties, and make models forget."""
        from volition.workspace.forgetting import Forgetting

        return Forgetting(self._opened, self.gate, self.snapshots, self.models, self._erasing)

    @cached_property
    def rights(self) -> "Rights":
        """What a person may ask for: what is held, all of it to take away, how far their requests are."""
        from volition.workspace.rights import Rights

        return Rights(self._opened, self.gate, self.consent, self.snapshots, self.models, self.accesses)

    @cached_property
    def accesses(self) -> "Accesses":
        """Who looked at whose data."""
        from volition.workspace.accesses import Accesses

        return Accesses(self._opened)

    @cached_property
    def proofs(self) -> "Proofs":
        """Evidence that anyone checks offline."""
        from volition.workspace.proofs import Proofs

        return Proofs(self._opened, self.consent, self.snapshots, self.log)

    @cached_property
    def log(self) -> "PublicLog":
        """Publish the log, prove single entries, ask witnesses."""
        from volition.workspace.public_log import PublicLog

        return PublicLog(self._opened)

    @cached_property
    def documents(self) -> "Documents":
        """A release or a snapshot in the forms that others expect."""
        from volition.workspace.documents import Documents

        return Documents(self._opened, self.models, self.snapshots)

    @cached_property
    def _search_cache(self) -> "SearchCache":
        from volition.features.search_cache import SearchCache

        return SearchCache(self._opened.lake)

    @cached_property
    def _erasing(self) -> Erasing:
        return Erasing(self._opened, self._open_sign_ins, self._drop_caches)

    def _drop_caches(self) -> None:
        self._search_cache.clear()

    # --- the workspace itself ---

    @property
    def folder(self) -> Path:
        """Where the workspace lies."""
        return self._opened.folder

    @property
    def origin(self) -> str:
        """The name of its log."""
        return self._opened.origin

    @property
    def due_days(self) -> int:
        """Days from a no to the day on which every model must have forgotten."""
        return self._opened.due_days

    @property
    def lease_ms(self) -> int:
        """For how many milliseconds a process may answer from memory."""
        return self._opened.lease_ms

    @property
    def ledger(self) -> Ledger:
        """The append-only log."""
        return self._opened.ledger

    @property
    def parties(self) -> Parties:
        """The directory of accounts and people, to look them up in."""
        return self._opened.parties

    @property
    def verifier(self) -> VerifierKey:
        """The public key with which anyone checks this workspace's evidence."""
        return self._opened.verifier

    @property
    def now_us(self) -> int:
        """The present instant, never before the ledger's last entry."""
        return self._opened.now_us

    def entries(self) -> Sequence[Entry]:
        """Return every ledger entry, oldest first."""
        return self._opened.entries()

    def history(self) -> History:
        """Return what the gate must know, up to the ledger's head."""
        return self._opened.history()

    def party(self, text: str) -> str:
        """Return a party as the ledger names it, from "account:ID" or "person:ID".

        Raises:
            InvalidInputError: The text names no party that is known.
        """
        return self._opened.party(text)

    def party_name(self, party: str) -> str:
        """Return a party of the ledger in a form for people: "account:ID", "person:ID", or the bare pseudonym."""
        return self._opened.party_name(party)

    @property
    def mail(self) -> "MailSettings | None":
        """The mail server that people are told by; none where no mail is sent."""
        return self._opened.settings.mail

    @property
    def tables_elsewhere(self) -> tuple[str, ...]:
        """The tables elsewhere, by the names of the settings, from which an erasure takes rows."""
        return tuple(self._opened.settings.tables)

    @property
    def schedule(self) -> "ScheduleSettings":
        """What a server or worker does by itself, and when."""
        return self._opened.settings.schedule

    def encoder(self) -> "Encoder | None":
        """Return the sentence encoder, or none if its package is missing: then features work without and say so."""
        return self._opened.encoder()

    def check_in_place(self) -> None:
        """Check that every store that this workspace has made still lies where it did when it was opened.

        An open file can be read and written after it was taken away, and is gone when it is closed.

        Raises:
            DamagedError: One was taken away, or replaced.
        """
        self._opened.check_in_place()

    def lost_files(self) -> list[str]:
        """Return the stores that were made and are lost, and the files of the lake that are gone."""
        missing = [path.as_posix() for path in self._opened.parties.stores.missing()]
        return [*missing, *(path.as_posix() for path in self._opened.lake.lost_files())]

    @property
    def erasures_are_finished(self) -> bool:
        """Whether no erasure was killed half-way."""
        return self._erasing.is_finished

    def finish_erasures(self, *, tables: bool = True) -> Erased:
        """Finish the erasures that were killed half-way, if any were; return what that removed.

        Args:
            tables: Whether tables elsewhere are walked now, which may take long; otherwise they wait for a forgetting.

        Raises:
            ConflictError: All is erased, but another process reads: old bytes are wiped when it is closed.
        """
        return Erased() if self._erasing.is_finished else self._erasing.finish(tables=tables)

    def status(self) -> dict[str, Any]:
        """Return what there is, as a JSON object: ledger, parties, terms, records, snapshots, models, what is owed."""
        models = self._opened.models()
        families = {state.family for state in models.values() if state.forgotten_us is None}
        at_work_ids = {state.id for family in families if (state := at_work(models, family)) is not None}
        history = self._opened.history()
        return {
            "origin": self._opened.origin,
            "key": self.verifier.to_text(),
            "ledger": {"size": history.size, "last": us_to_text(history.last_us) if history.size else None},
            "terms": [terms.id for terms in self.terms.published()],
            "accounts": [account.id for account in self._opened.parties.accounts()],
            "people": len(self._opened.parties.people()),
            "records": self._opened.lake.size(),
            "small_files": self._opened.lake.small_files(),
            "snapshots": self.snapshots.ids(),
            "models": [
                {
                    "id": state.id,
                    "family": state.family,
                    "snapshot": state.snapshot,
                    "state": _state_name(state, state.id in at_work_ids),
                }
                for state in models.values()
            ],
            "families_missing": {
                name: why
                for name in sorted(families | self._opened.settings.families.keys())
                if (why := self.models.blocked(name))
            },
            "owed": [owed.to_json() for owed in self.models.owed()],
            "ending": [ending.to_json() for ending in self.consent.ending()],
            "witnesses": self.log.witnesses(),
            "encoder": "there" if self._opened.has_encoder else "missing: search and summary work without it",
        }


def _end_making(workspace: Workspace, origin: str, first_terms: "Terms | None") -> None:
    """End the making of a workspace, which may have been begun by one that was killed."""
    if workspace.origin != origin:
        msg = f"The making of {workspace.origin} was killed in {workspace.folder}. End that, or take another folder."
        raise InvalidInputError(msg)
    if first_terms is not None and not workspace.terms.published():
        workspace.terms.publish(first_terms)
    end_making(workspace.folder)


def _state_name(state: ModelState, working: bool) -> str:  # noqa: FBT001 - a fact, not an option
    if state.forgotten_us is not None:
        return "forgotten"
    if working:
        return "at work"
    return "trained" if state.released_us is None else "superseded"
