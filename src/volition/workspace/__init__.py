"""The workspace: one folder, and one function per use case. No printing, no HTTP; back ends are chosen here alone.

volition.toml     settings, for people to edit
master.key        wraps every other key (mode 0600): back it up apart from the rest
signing.key       signs the log's checkpoints and the releases (mode 0600)
ledger.db         the append-only log
parties.db        accounts and people: names, pseudonyms, keys; the part that can be destroyed
terms/            the texts that were published, by their digests
lake/             records
uses.db           how often features used whose records, counted by day
history/          what the gate knows of a long ledger, read once; it may be deleted
leases/           which processes answer from memory
snapshots/ models/ releases/ runs/

>>> workspace = Workspace.open(Path("acme"))                                     # doctest: +SKIP
>>> workspace.decide("account:helio", yes=True, data=["content"], purpose=["train"])  # doctest: +SKIP
>>> snapshot = workspace.snapshot("train/search")                                # doctest: +SKIP
>>> trained = workspace.train("search", snapshot.id)                             # doctest: +SKIP
"""

import json
import logging
import os
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

from volition import canonical
from volition.audit import Finding
from volition.audit.bounds import Bound, read_bounds
from volition.audit.groups import regions_on_record
from volition.audit.marginal import Effect
from volition.audit.run import DEFAULT_BOUNDS, bounds_text, run_audits
from volition.batch import judge_batch
from volition.canonical import canonical_json, datetime_to_us, text_to_us, us_to_text
from volition.card import card_for_people, card_markdown
from volition.choices import Choices, choices, saying, undoing
from volition.collect import PersonRef, keep_private
from volition.collect.files import read_file
from volition.collect.intake import Collected, Piece, take_in
from volition.collect.otlp import read_message, read_otlp
from volition.collect.quarantine import SetAside, read_quarantine
from volition.collect.slack import read_slack
from volition.collect.spans import spans_as_logs
from volition.collect.summaries import read_summaries
from volition.collect.webvtt import read_webvtt
from volition.collect.written import mentioned, written_message
from volition.collect.zoom import read_zoom_event
from volition.composing import (
    OpenedOnce,
    Writing,
    run_complete,
    run_draft,
    run_edit,
    run_go_on,
    run_replies,
    run_rewrite,
)
from volition.conversations import SHOWN_BY, Conversation, Kind, conversations
from volition.drafts import Written
from volition.encoder import Encoder, EncoderMissingError
from volition.endpoint import Endpoint, EndpointSettings
from volition.engines.arrow import ArrowEngine
from volition.engines.duckdb import DuckDBEngine
from volition.engines.spark import Gathering, Part, SparkEngine
from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError, RefusedError
from volition.families import Family, Model, Progress, silent
from volition.families.adapter import AdapterFamily
from volition.families.adapter_recipe import Recipe
from volition.families.compose import ComposeFamily
from volition.families.composer import SHOWN, Completion, Composer, Reply
from volition.families.diagnose import Diagnosed, DiagnoseFamily
from volition.families.recommend import Recommend, Suggestion
from volition.families.search import Found, SearchFamily
from volition.families.summary import Summary, SummaryFamily
from volition.families.summary_minutes import Minutes
from volition.features import (
    CONTENT,
    READS,
    Asking,
    opened_hit,
    run_diagnose,
    run_minutes,
    run_prose,
    run_recommend,
    run_search,
    run_summarize,
)
from volition.files import PART, sweep, write_file
from volition.forget import Owed, erase_retired, forget_rows, owed_by
from volition.gate import Engine, Explanation, Gate, Participant, Record, Subject, Verdict, decide, explain
from volition.history import History, extend_history, find_history, keep_history
from volition.holdings import Exported, Holdings, Place, count_days, lessons_of, places_of, uses_json, write_export
from volition.lake import Compacted, Lake, Row, bucket_of
from volition.lease import LENGTH_MS, LONGEST_MS, Held, Leases
from volition.ledger import Draft, Entry, Ledger
from volition.limits import EVERYTHING, Group, appended_together, limiting, limits_of, people_named, reversing
from volition.parties import Account, Parties, Person, read_secret, write_secret
from volition.permits import NO_PERMIT_US, Permit, Permits, Refusal, Use
from volition.prose import Prose
from volition.prove import prove_person, write_bundle
from volition.receipt import PROOFS_FORMAT, write_receipt
from volition.regions import check_region
from volition.release import (
    ModelState,
    Override,
    at_work,
    check_bounds,
    check_fresh,
    check_releasable,
    missed_bounds,
    models_in,
    read_card,
    settle_releases,
    write_release,
)
from volition.requests import Request, requests_of
from volition.shelf import Shelf
from volition.signing import Signer, VerifierKey
from volition.snapshot import Snapshot, freeze
from volition.stores.sqlite import SqliteStore
from volition.stream import BATCH_ROWS, Rows, judged
from volition.terms import CATEGORIES, PROFILES, PURPOSES, Terms, leaves, load_profile
from volition.terms_diff import newly_allows
from volition.traces import Trace, trace
from volition.train import FolderParts, Trained, keep, train
from volition.uses import Uses
from volition.weigh import Known, Party, Weighed, measure_own_data, tells_of_few, to_show, weigh

FAMILIES: Final = ("search", "recommend", "summary", "compose", "diagnose", "adapter")

LEARNS_FROM: Final = {
    "train/search": ("content/chat", "content/files", "content/transcript", "service/usage"),
    "train/recommend": ("service/usage",),
    "train/summary": ("content/transcript",),
    "train/compose": ("content/chat",),
    "train/diagnose": ("service/diagnostics", "service/telemetry"),
}
"""What a purpose has a use for; a snapshot reads nothing else, even where the terms would let it."""

_USES: Final = {
    **LEARNS_FROM,
    **READS,
    "feature/compose": ("content/chat",),
    "feature/diagnose": LEARNS_FROM["train/diagnose"],
}
"""What a purpose has a use for, of what is held of a person; the others could use anything that the terms let them."""

_WITHOUT_EMBEDDINGS: Final = ("train/compose",)
"""Purposes that learn from content, but from its words alone: no embedding is derived for them."""

ENGINES: Final[Mapping[str, Callable[[], Engine]]] = {
    "arrow": ArrowEngine,
    "duckdb": DuckDBEngine,
    "spark": SparkEngine,
}
"""What can run the gate over the lake, by the setting's name; the first is the default."""

_LONG_TO_READ: Final = 20_000  # entries: about a second
_CHOSEN: Final = 4096  # parties whose choices are remembered
_DAY_US: Final = 24 * 60 * 60 * 1_000_000
_SETTINGS_FILE: Final = "volition.toml"
_LEASES: Final = "leases"
_TEXTS: Final = "terms"
_SETTINGS: Final = """\
# A Volition workspace.

# The log's name: it is the origin of every checkpoint and stays for ever. No spaces, no plus.
origin = "{origin}"

# Days from a no to the day on which every model must have forgotten.
due_days = 30

# What runs the gate over the lake: "arrow", "duckdb", or "spark" (pip install 'volition[spark]', and Java 17).
engine = "arrow"

# For how many milliseconds a process may answer from memory; while one does, a no takes that long to be acknowledged.
lease_ms = 100

# A language model behind an OpenAI-compatible API, for prose, drafts and tone. What people said, where they permitted
# the feature, is sent to this host. The key stands in the variable that key_env names, never here.
# [endpoint]
# url = "http://127.0.0.1:11434/v1"
# model = "llama3.2"
# key_env = "LLM_KEY"
# timeout_s = 60

# The language model whose adapters are trained: a folder (pip install 'volition[train]'; docs/adapter.md).
# [adapter]
# base = "models/SmolLM2-135M"

# What a model's audits must show before it is released, unless somebody overrides by name: volition release --help
{bounds}"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """May this be used? The verdict, and every party's part in it."""

    verdict: Verdict
    parties: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A forgetting that was done.

    Attributes:
        model: The model that was retired.
        successor: The model that never saw the parties; none if nothing was left to learn from, none was needed, or
            it misses a bound.
        parties: Who was forgotten.
        rows: How many rows.
        waits: The model that never saw the parties where it misses a bound: it is made and audited, and works only
            once somebody answers for its release.
    """

    model: str
    successor: str | None
    parties: tuple[str, ...]
    rows: int
    waits: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """How much lies in the lake: records by category, records by account, and how many small files there are."""

    categories: Mapping[str, int]
    accounts: Mapping[str, int]
    small_files: int


class Workspace:
    """A folder with everything in it. Open it with `with`, or close it."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> None:
        """Open the workspace in `folder`; `Workspace.create` makes one.

        Args:
            folder: Where it lies.
            clock: Gives the present instant in microseconds since the Unix epoch, UTC.

        Raises:
            InvalidInputError: There is no workspace in the folder, or its settings cannot be read.
            BackendError: A file of it cannot be opened, or its engine is not installed.
            ProofError: The ledger was changed by somebody else than this software.
        """
        self.folder = folder
        settings = _read_settings(folder)
        self.origin: str = settings["origin"]
        self.due_days: int = settings["due_days"]
        self.bounds: Mapping[str, Bound] = settings["audit"]
        engine = ENGINES[settings["engine"]]()  # first: what may be missing is missed before anything is open
        self._clock = clock
        self._signer = Signer.from_seed(self.origin, read_secret(folder / "signing.key"))
        self.parties = Parties.open(folder)
        self._store = SqliteStore(folder / "ledger.db")
        self.lease_ms: int = settings["lease_ms"]
        self._leases = Leases(folder / _LEASES)
        self.ledger = Ledger(self._store, self._signer, clock=clock, settle=self._leases.settle)
        self._lake = Lake(folder / "lake", self.parties, engine)
        kept = find_history(folder / "history", self.ledger, self._signer.key)
        self._history = History() if kept is None else kept
        self._kept_size = self._history.size
        self._uses = Uses(folder / "uses.db")
        self._judges: dict[str, tuple[Permits, int]] = {}  # by purpose, and up to which entry they know the ledger
        # What each party could choose: as long as nothing was written to the ledger and no terms begin to bind.
        self._chosen: dict[tuple[str, str], tuple[int, int, Choices | None]] = {}
        self._shelf = Shelf(self._lake)
        self._endpoint: EndpointSettings | None = settings["endpoint"]
        self._recipe: Recipe | None = settings["adapter"]
        self._adapter: AdapterFamily | None = None
        self._encoder: Encoder | None = None
        self._encoder_sought = False
        self._composing = OpenedOnce()

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        origin: str = "volition.local/workspace",
        profile: str | None = "granular",
        clock: Callable[[], int] = canonical.now_us,
    ) -> Self:
        """Make a workspace and publish its first terms.

        Args:
            folder: A folder that is empty or not there.
            origin: Name of its log, such as "log.example/volition".
            profile: The shipped terms to publish at once; none to publish none.
            clock: Gives the present instant.

        Raises:
            InvalidInputError: The folder holds something already, the origin names no log, or there is no such profile.
        """
        if folder.exists() and any(folder.iterdir()):
            msg = f"{folder} is not empty. Name a new folder for the workspace."
            raise InvalidInputError(msg)
        if not origin or any(character.isspace() or character in '+"\\' for character in origin):
            msg = f"{origin!r} cannot name a log: no spaces, quotes or plus. Take something like log.example/volition."
            raise InvalidInputError(msg)
        first_terms = None if profile is None else load_profile(profile)
        folder.mkdir(parents=True, exist_ok=True)
        write_secret(folder / "signing.key")
        Parties.create(folder).close()
        SqliteStore.create(folder / "ledger.db").close()
        for name in ("snapshots", "models", "releases", "runs"):
            (folder / name).mkdir()
        # The settings come last: a folder without them is no workspace, so a killed `create` is seen as such.
        write_file(folder / _SETTINGS_FILE, _SETTINGS.format(origin=origin, bounds=bounds_text()).encode())
        workspace = cls(folder, clock=clock)
        if first_terms is not None:
            workspace.publish_terms(first_terms)
        return workspace

    @classmethod
    def open(cls, folder: Path, *, clock: Callable[[], int] = canonical.now_us) -> Self:
        """Open the workspace in `folder`. Raises as the constructor does."""
        return cls(folder, clock=clock)

    def close(self) -> None:
        """Close every file."""
        self._shelf.clear()
        self._lake.close()
        self._uses.close()
        self.parties.close()
        self._store.close()

    def __enter__(self) -> Self:
        """Open for a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        self.close()

    # --- what is known now ---

    @property
    def now_us(self) -> int:
        """The present instant, never before the ledger's last entry."""
        return max(self._clock(), self.history().last_us)

    @property
    def verifier(self) -> VerifierKey:
        """The public key with which anyone checks this workspace's evidence."""
        return self._signer.key

    def entries(self) -> Sequence[Entry]:
        """Return every ledger entry, oldest first."""
        return list(self.ledger.entries())

    def history(self) -> History:
        """Return what the gate must know, up to the ledger's head; once it was long to read, it is kept."""
        if self.ledger.size == self._history.size:  # the head is read and verified; what lies below it was before
            return self._history
        for entry in self.ledger.entries(self._history.size):
            extend_history(self._history, entry)
        if self._history.size - self._kept_size >= max(_LONG_TO_READ, self._kept_size // 4):
            root = self.ledger.root(self._history.size)
            try:
                keep_history(self.folder / "history", self._history, root=root, signer=self._signer)
            except OSError:  # it is only kept to save time: the ledger has everything
                _log.warning("The history could not be kept in %s; it will be read anew.", self.folder / "history")
            self._kept_size = self._history.size
        return self._history

    def permits(self, purpose: str, *, at_us: int | None = None) -> Permits:
        """Return the permits of a purpose now, or as they stood at an instant.

        Raises:
            InvalidInputError: There is no such purpose.
        """
        _check_purpose(purpose)
        history = self.history()
        return Permits(history, purpose=purpose, at_us=self.now_us if at_us is None else at_us)

    def hold(self, purpose: str) -> Held:
        """Hold the gate of a purpose in memory, to answer many questions; a no waits until it is known here.

        Raises:
            InvalidInputError: There is no such purpose.
            ConflictError: Somebody blocks the leases.
            BackendError: The workspace cannot be written.
        """
        _check_purpose(purpose)
        return Held(
            self.folder / _LEASES,
            self.ledger,
            purpose=purpose,
            history=find_history(self.folder / "history", self.ledger, self._signer.key),
            length_ms=self.lease_ms,
            clock=self._clock,
        )

    def models(self) -> dict[str, ModelState]:
        """Return every model that was ever trained, by id, oldest first."""
        return models_in(self.history().doings)

    # --- terms ---

    def publish_terms(self, terms: Terms) -> Entry:
        """Publish a terms version. What newly allows something is announced and binds only after its notice period.

        Raises:
            ConflictError: A version with this id was published before.
        """
        history = self.history()
        published = history.published()
        if any(known.id == terms.id for known in published):
            msg = f"Terms {terms.id!r} were published before and cannot be changed. Give the new version a new id."
            raise ConflictError(msg)
        now_us = self.now_us
        binds_us = max(terms.effective_us, now_us)
        bound = history.accounts()
        loosens = bool(published) and newly_allows(published[-1], terms)
        if loosens:
            binds_us = max(binds_us, now_us + terms.notice_days * _DAY_US)
        notices = [
            Draft(kind="notice", body={"account": account, "terms": terms.id, "ends": us_to_text(binds_us)})
            for account in bound
        ]
        if terms.text:
            self._keep_text(terms)
        body = {"terms": terms.to_json(), "binds": us_to_text(binds_us)}
        return self.ledger.append(Draft(kind="terms", body=body), *notices)[0]

    def _keep_text(self, terms: Terms) -> None:
        path = self.folder / _TEXTS / f"{terms.text_digest}.md"
        try:
            path.parent.mkdir(exist_ok=True)
            write_file(path, terms.text.encode())
        except OSError as error:
            msg = f"The text of {terms.id} could not be kept in {path}: {error}. Free space, then publish again."
            raise BackendError(msg) from error

    def terms_text(self, terms: Terms) -> str:
        """Return a published version's text, Markdown; empty where it is not kept here.

        The ledger has its digest. An earlier version of this software kept no texts; those of the shipped profiles are
        known all the same.

        Raises:
            ProofError: It was changed after it was published.
        """
        path = self.folder / _TEXTS / f"{terms.text_digest}.md"
        if not path.exists():
            shipped = (load_profile(name) for name in PROFILES)
            return next((one.text for one in shipped if one.text_digest == terms.text_digest), "")
        data = _read_file(path)
        if canonical.digest(data) != terms.text_digest:
            raise ProofError(f"{path} is not the text that was published as {terms.id}. Restore it from a copy.")
        return data.decode()

    def terms(self) -> Sequence[Terms]:
        """Return every published version, oldest first."""
        return self.history().published()

    def accept(self, account: str, terms_id: str | None = None) -> Entry:
        """Let an account accept a published version; by default the newest.

        Raises:
            InvalidInputError: The account or the version is not known, or the account is bound by a newer one.
        """
        self.parties.account(account)
        published = [terms.id for terms in self.terms()]
        if not published:
            raise InvalidInputError("No terms were published yet. Publish some with `volition terms publish FILE`.")
        chosen = published[-1] if terms_id is None else terms_id
        if chosen not in published:
            msg = f"No terms {chosen!r} were published. There are: {', '.join(published)}."
            raise InvalidInputError(msg)
        bound = [terms.id for start_us, terms in self.history().terms_of(account) if start_us <= self.now_us]
        if bound and published.index(chosen) < published.index(bound[-1]):
            msg = (
                f"The account {account} is bound by {bound[-1]!r}, which is newer than {chosen!r}. Accept a newer one."
            )
            raise InvalidInputError(msg)
        return self.ledger.append(Draft(kind="acceptance", body={"account": account, "terms": chosen}))[0]

    # --- parties and their decisions ---

    def add_account(self, account: str, name: str, *, region: str | None = None) -> Account:
        """Add an account; its region (ISO 3166, such as "DE") chooses among the terms' rules."""
        if region is not None:
            check_region(region)  # first: an entry of the log stays for ever
        added = self.parties.add_account(account, name)
        if region is not None:
            self._locate(f"account:{account}", region)
        return added

    def add_person(  # noqa: PLR0913 - the handles by which sources name a person
        self,
        person: str,
        *,
        account: str | None = None,
        name: str | None = None,
        aliases: Sequence[str] = (),
        emails: Sequence[str] = (),
        region: str | None = None,
    ) -> Person:
        """Add a person; without an account it is a guest. The region, if known, overrides the account's."""
        if region is not None:
            check_region(region)
        added = self.parties.add_person(person, account=account, name=name, aliases=aliases, emails=emails)
        if region is not None:
            self._locate(f"person:{added.pseudonym}", region)
        return added

    def _locate(self, party: str, region: str) -> None:
        self.ledger.append(Draft(kind="region", body={"party": party, "region": region}))

    def decide(
        self,
        party: str,
        *,
        yes: bool,
        data: Sequence[str],
        purpose: Sequence[str],
        covers: str | None = None,
    ) -> Entry:
        """Record a party's yes or no. Once this returns, every later answer knows it.

        Args:
            party: "account:ID" or "person:ID".
            yes: Whether it is a yes.
            data: Categories; a name covers all below it.
            purpose: Purposes, likewise.
            covers: How far a yes reaches back: "past", or an instant as text; none: from now on.

        Raises:
            InvalidInputError: The party, a category or a purpose is not known, or `covers` makes no sense.
        """
        leaves(data, CATEGORIES)
        leaves(purpose, PURPOSES)
        if covers is not None:
            if not yes:
                raise InvalidInputError("A no covers everything from now on; `covers` goes with a yes only.")
            if covers != "past":
                covers_us = text_to_us(covers)
                if covers_us > self.now_us:
                    msg = f"A yes cannot cover only from {covers} on: that lies in the future. Decide then."
                    raise InvalidInputError(msg)
                covers = us_to_text(covers_us)
        body = {
            "party": self.party(party),
            "answer": "yes" if yes else "no",
            "data": sorted(set(data)),
            "purpose": sorted(set(purpose)),
            "covers": covers,
        }
        return self.ledger.append(Draft(kind="decision", body=body))[0]

    def choices(self, party: str, *, account: str, at_us: int | None = None) -> Choices:
        """Return what a party ("account:ID" or "person:ID") can choose about an account's data, now or as it stood."""
        account = self.parties.account(account).id
        history, ledger_name = self.history(), self.party(party)
        if at_us is not None:
            return choices(history, account=account, party=ledger_name, at_us=at_us)
        now_us = max(self._clock(), history.last_us)
        size, until_us, known = self._chosen.get((ledger_name, account), (-1, 0, None))
        if known is not None and size == history.size and now_us < until_us:
            return known
        permits_of = cache(self._permits_now(history, now_us))

        def permit_of(use: Use) -> Permit | Refusal:
            return permits_of(use.purpose).of(use.account, use.party, use.role, use.category)

        found = choices(history, account=account, party=ledger_name, at_us=now_us, permit_of=permit_of)
        binding_us = history.next_binding_us(after_us=now_us)
        if len(self._chosen) >= _CHOSEN:
            self._chosen.clear()
        self._chosen[ledger_name, account] = history.size, NO_PERMIT_US if binding_us is None else binding_us, found
        return found

    def choose(
        self, party: str, switch: str, *, account: str, yes: bool, covers: str | None = None
    ) -> tuple[Entry, bool]:
        """Answer a switch of the terms with yes or no; `covers` as with `decide`.

        Returns:
            The entry, and whether `undo_choice` would change anything.

        Raises:
            InvalidInputError: The terms have no such switch, or give the party no say in it.
        """
        before = self.choices(party, account=account).of(switch)
        if before is None or not before.has_say:
            msg = f"There is no switch {switch!r} on which {party} has a say. Open the settings anew."
            raise InvalidInputError(msg)
        said = saying(before, yes=yes, covers=covers)
        entry = self.decide(party, yes=said.yes, data=said.data, purpose=said.purpose, covers=said.covers)
        after = self.choices(party, account=account).of(switch)
        return entry, after is not None and bool(undoing(before, after))

    def undo_choice(self, party: str, switch: str, *, account: str, seq: int) -> list[Entry]:
        """Say what makes a switch stand as it did before an answer of this party, told by its ledger entry's number.

        Raises:
            InvalidInputError: That entry is no answer of this party, or the terms have no such switch.
        """
        [answer, *_] = [*self.ledger.entries(seq, seq + 1)] if 0 <= seq < self.history().size else [None]
        if answer is None or answer.kind != "decision" or answer.body["party"] != self.party(party):
            raise InvalidInputError(f"Entry {seq} is no answer of {party}, so it cannot be undone.")
        before = self.choices(party, account=account, at_us=answer.at_us - 1).of(switch)
        now = self.choices(party, account=account).of(switch)
        if before is None or now is None:
            raise InvalidInputError(f"There is no switch {switch!r} any more. Open the settings anew.")
        return [
            self.decide(party, yes=said.yes, data=said.data, purpose=said.purpose, covers=said.covers)
            for said in undoing(before, now)
        ]

    def limit(  # noqa: PLR0913 - whom, what, and which way
        self,
        account: str,
        *,
        switch: str | None = None,
        data: Sequence[str] = (),
        purpose: Sequence[str] = (),
        group: str = "",
        people: Sequence[str] = (),
        limited: bool = True,
    ) -> list[Entry]:
        """Limit the use of an account's data, or lift a limit. Once this returns, every later answer knows it.

        Args:
            account: Id of the account.
            switch: A switch of its terms, all that its no speaks of; or else:
            data: categories, a name covers all below it, and
            purpose: purposes, likewise.
            group: Name of a group of its people; empty for the lock of the whole account.
            people: Whom of the group, by id or any name that they go by in the account; nobody for the lock, and to
                lift the limit of all of the group.
            limited: Whether to limit or to lift.

        Raises:
            InvalidInputError: Something named is not known or makes no sense, or there is no such limit to lift.
        """
        account = self.parties.account(account).id
        if switch is not None:
            choice = self.choices(f"account:{account}", account=account).of(switch)
            if choice is None or not choice.has_say:
                raise InvalidInputError(f"There is no switch {switch!r} on which {account} has a say.")
            data, purpose = EVERYTHING, choice.purposes
        uses = set(product(leaves(data, CATEGORIES), leaves(purpose, PURPOSES)))
        if not uses:
            raise InvalidInputError("Name what to limit: a switch, or data and purposes.")
        if not limited and not any(one.name == group and uses.intersection(one.uses) for one in self.limits(account)):
            raise InvalidInputError(f"{group or 'The lock'} limits nothing of this, so there is nothing to lift.")
        named = [f"person:{one.pseudonym}" for one in people_named(self.parties, account, people)]
        drafts = limiting(account, group=group, people=named, data=data, purpose=purpose, limited=limited)
        return list(self.ledger.append(*drafts))

    def limits(self, account: str) -> tuple[Group, ...]:
        """Return the limits of an account that stand now: its lock first, then its groups by name."""
        return limits_of(self.history(), account=self.parties.account(account).id, at_us=self.now_us)

    def undo_limit(self, account: str, switch: str, *, seq: int) -> list[Entry]:
        """Make an account's limits stand as they did before some were set or lifted, told by the first entry's number.

        What the account itself allowed by the switch before it was locked reaches as far back again as it did.

        Raises:
            InvalidInputError: That entry is no limit of this account.
        """
        done = appended_together(self.ledger.entries(seq) if 0 <= seq < self.history().size else (), account)
        party = f"account:{account}"
        before = self.choices(party, account=account, at_us=done[0].at_us - 1).of(switch)
        entries = [*self.ledger.append(*reversing(self.history(), done))]
        now = self.choices(party, account=account).of(switch)
        if entries and before is not None and now is not None and done[0].body["group"] == "":
            entries += [
                self.decide(party, yes=said.yes, data=said.data, purpose=said.purpose, covers=said.covers)
                for said in undoing(before, now)
            ]
        return entries

    def signal(self, person: str, name: str = "gpc") -> Entry | None:
        """Record a standing signal (Global Privacy Control) of a person, once.

        Returns:
            The entry, or none if it was recorded before.
        """
        party = self.party(f"person:{person}")
        if any(known == name for _, known, _ in self.history().party(party).signals):
            self._leases.wait()  # whoever recorded it may have been killed before it was acknowledged
            return None
        return self.ledger.append(Draft(kind="signal", body={"party": party, "signal": name}))[0]

    def party(self, text: str) -> str:
        """Return a party as the ledger names it, from "account:ID" or "person:ID".

        Raises:
            InvalidInputError: The text names no party that is known.
        """
        kind, _, name = text.partition(":")
        if kind == "account" and name:
            return f"account:{self.parties.account(name).id}"
        if kind == "person" and name:
            return f"person:{self.parties.person(name).pseudonym}"
        msg = f"{text!r} is no party. Write account:ID or person:ID."
        raise InvalidInputError(msg)

    def party_name(self, party: str) -> str:
        """Return a party of the ledger in a form for people: "account:ID", "person:ID", or the bare pseudonym."""
        kind, _, name = party.partition(":")
        if kind == "person":
            person = self.parties.person_by_pseudonym(name)
            return party if person is None else f"person:{person.id}"
        return party

    def may(  # noqa: PLR0913 - a record, or what would make one
        self,
        purpose: str,
        *,
        record: str | None = None,
        account: str | None = None,
        people: Sequence[str] = (),
        category: str | None = None,
        collected: datetime | None = None,
        at: datetime | None = None,
    ) -> Answer:
        """Answer whether something may be used for a purpose, now or at an instant, and why.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            record: Id of a record in the lake; or else:
            account: The account, with
            people: the ids of its people, the first one first,
            category: the category, and
            collected: when it would have been collected (by default at the instant asked about).
            at: The instant asked about; by default now.

        Raises:
            InvalidInputError: Something named is not known, or too little is named.
        """
        at_us = self.now_us if at is None else datetime_to_us(at)
        permits = self.permits(purpose, at_us=at_us)
        if record is not None:
            question = self._lake.key_of(record)
        else:
            if account is None or category is None or not people:
                raise InvalidInputError("Name a record, or an account, its people and a category.")
            if category not in CATEGORIES:
                msg = f"{category!r} is not a single category. They are: {', '.join(CATEGORIES)}."
                raise InvalidInputError(msg)
            question = Record(
                account=self.parties.account(account).id,
                people=tuple(self.party(f"person:{person}") for person in people),
                category=category,
                collected_us=at_us if collected is None else datetime_to_us(collected),
            )
        return Answer(
            verdict=decide(permits, question),
            parties=tuple(explain(self.history(), question, purpose=purpose, at_us=at_us)),
        )

    def judge(self, purpose: str, questions: Any) -> Any:  # noqa: ANN401 - Arrow has no types
        """Answer many questions at once, now: an Arrow record batch in, another out; see `batch.judge_batch`.

        Raises:
            InvalidInputError: There is no such purpose, or a question makes no sense.
        """
        _check_purpose(purpose)
        return judge_batch(self._permits_now(self.history(), self.now_us)(purpose), questions)

    def _permits_now(self, history: History, at_us: int) -> Callable[[str], Permits]:
        """Return what gives a purpose's permits at the ledger's head: those that judged before, moved on to it."""

        def permits_of(purpose: str) -> Permits:
            permits, size = self._judges.pop(purpose, (None, 0))  # if it fails half-way, they are made anew
            if permits is None or permits.at_us > at_us:
                permits = Permits(history, purpose=purpose, at_us=at_us)
            elif size < history.size or permits.at_us < at_us:
                permits.learn(self.ledger.entries(size, history.size) if size < history.size else (), at_us=at_us)
            self._judges[purpose] = permits, history.size
            return permits

        return permits_of

    def erase(self, party: str) -> int:
        """Erase an account or a person for good: the ledger's entry, the keys, the records in the lake.

        Models that learned from it owe a forgetting from then on. Killed half-way, the next `erase` or `forget`
        finishes it; the gate refuses from the ledger's entry on.

        Returns:
            How many records were removed from the lake.

        Raises:
            InvalidInputError: The party is not known.
            ConflictError: All is erased, but another process reads: old bytes are wiped when it is closed.
        """
        ledger_name = self.party(party)
        if self.history().party(ledger_name).erased_us is None:
            self.ledger.append(Draft(kind="erasure", body={"party": ledger_name}))
        else:
            self._leases.wait()  # whoever began it may have been killed before it was acknowledged
        return self._finish_erasures()

    def _finish_erasures(self) -> int:
        """Erase whom the ledger says to be erased and whose key is still there: now, or when it was killed then."""
        removed = 0
        self._shelf.clear()
        for party in [entry.body["party"] for entry in self.history().doings if entry.kind == "erasure"]:
            kind, _, name = party.partition(":")
            if kind == "account" and name not in self.parties.erased_accounts():
                removed += self._lake.erase_account(name)
                self.parties.destroy_account_key(name)
            elif kind == "person" and (person := self.parties.person_by_pseudonym(name)) is not None:
                removed += self._lake.erase_person(name)
                self._uses.erase(name)
                self.parties.destroy_person(person.id)
        return removed

    # --- what is held of a person, and what they asked for ---

    def holdings(self, person: str) -> Holdings:
        """Return what is held of a person and what it was used for. Whoever calls answers for who asks.

        Raises:
            InvalidInputError: The person is not known.
            RefusedError: The person was erased.
        """
        subject = Subject(pseudonym=self.parties.person(person).pseudonym, at_us=self.now_us)
        frozen = [entry for entry in self.history().doings if entry.kind == "snapshot"]
        snapshots = ((entry.at_us, self.open_snapshot(entry.body["snapshot"])) for entry in frozen)
        return Holdings(
            at_us=subject.at_us,
            days=count_days(self._lake, subject),
            uses=self._uses.of(subject.pseudonym),
            lessons=lessons_of(subject.pseudonym, snapshots),
        )

    def places(self, person: str, *, account: str) -> tuple[Place, ...]:
        """Return the meetings and conversations of an account that a person was in, and how their lines stand now.

        Raises as `holdings` does.
        """
        subject = Subject(pseudonym=self.parties.person(person).pseudonym, at_us=self.now_us)
        gates = {one: (Gate(self.permits(one)), _USES.get(one, CATEGORIES)) for one in PURPOSES}
        return places_of(self._lake, subject, account=account, gates=gates)

    def export(self, person: str, sink: IO[bytes]) -> Exported:
        """Write all that is held of a person as a zip of JSON and Parquet; see `holdings`. Raises as `holdings` does.

        Args:
            person: Whose records.
            sink: Where to; it can be sought in.
        """
        known, found = self.parties.person(person), self.holdings(person)
        about = {
            "origin": self.origin,
            "person": known.id,
            "account": known.account,
            "name": known.name,
            "aliases": list(known.aliases),
            "emails": list(known.emails),
            "pseudonym": known.pseudonym,
            "at": us_to_text(found.at_us),
            "checkpoint": self.ledger.checkpoint(),
        }
        return write_export(
            sink,
            lake=self._lake,
            subject=Subject(pseudonym=known.pseudonym, at_us=found.at_us),
            about=about,
            decisions=[
                {"seq": entry.seq, "at": us_to_text(entry.at_us), "kind": entry.kind, **entry.body}
                for entry in reversed(self.answers(person))
            ],
            uses=uses_json(found.uses, found.lessons),
        )

    def requests(self, party: str) -> tuple[Request, ...]:
        """Return what a person asked for and how far it is, the newest first.

        Args:
            party: As the ledger names them, "person:PSEUDONYM": an erased person has no other name.
        """
        return requests_of(
            party,
            history=self.history(),
            models=self.models().values(),
            owed=self.owed(),
            open_snapshot=self.open_snapshot,
        )

    # --- ways in ---

    def collect_webvtt(  # noqa: PLR0913 - what a transcript does not say about itself
        self,
        path: Path,
        *,
        account: str,
        started: datetime,
        meeting: str | None = None,
        participants: Sequence[str] = (),
        private: bool = False,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a meeting's transcript.

        Args:
            path: The WebVTT file.
            account: Whose meeting it was.
            started: When it started; a transcript's times count from there.
            meeting: Its name; by default the file's.
            participants: Names of people who were there, whether or not they spoke.
            private: Whether features show it to those alone who were there, and not to everybody of the account.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: The file is no WebVTT, or the account is not known.
        """
        pieces = read_webvtt(
            _read_file(path),
            source=path.name,
            account=self.parties.account(account).id,
            meeting=meeting or path.stem,
            start_us=datetime_to_us(started),
            participants=[PersonRef(name=name) for name in participants],
        )
        return self._take_in(map(keep_private, pieces) if private else pieces, account, progress)

    def collect_file(  # noqa: PLR0913 - what a file does not say about itself
        self,
        path: Path,
        *,
        account: str,
        author: str,
        written: datetime,
        people: Sequence[str] = (),
        name: str | None = None,
        shared: bool = False,
        progress: Progress = silent,
    ) -> Collected:
        """Collect a file of plain text or Markdown, passage by passage.

        Args:
            path: The file, UTF-8.
            account: Whose file it is.
            author: The name (or id, alias or address) of who wrote it.
            written: When it was written last.
            people: Likewise, who else it concerns: with whom it was shared, who is spoken of. Each one's yes counts.
            name: What it is called; by default as the file is.
            shared: Whether features show it to everybody of the account, and not to these people alone.
            progress: Told how far it has come.

        Raises:
            InvalidInputError: The file is no text or has no words, or the account is not known.
        """
        pieces = read_file(
            _read_file(path),
            source=name or path.name,
            account=self.parties.account(account).id,
            people=[PersonRef(name=one) for one in (author, *people)],
            author=author,
            written_us=datetime_to_us(written),
            shared=shared,
        )
        return self._take_in(pieces, account, progress)

    def collect_summaries(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect edited summaries of meetings that were collected before: JSON lines with `meeting` and `text`.

        A summary is derived data: it concerns everyone whom its meeting concerns.
        """
        account = self.parties.account(account).id
        pieces = read_summaries(
            _read_file(path),
            source=path.name,
            account=account,
            meeting_of=lambda name: self._lake.meeting(account, name),
        )
        return self._take_in(pieces, account, progress)

    def collect_slack(self, path: Path, *, account: str, progress: Progress = silent) -> Collected:
        """Collect a Slack export (zip)."""
        pieces = read_slack(path, account=self.parties.account(account).id)
        return self._take_in(pieces, account, progress)

    def collect_otlp(self, path: Path, *, account: str | None = None, progress: Progress = silent) -> Collected:
        """Collect OTLP logs (JSON lines or protobuf); each record names its account unless `account` is given."""
        if account is not None:
            self.parties.account(account)
        return self._take_in(read_otlp(path, account=account), account, progress)

    def collect_otlp_request(
        self, data: bytes, *, encoding: Literal["json", "protobuf"], signal: Literal["logs", "traces"], source: str
    ) -> Collected:
        """Collect the body of one OTLP/HTTP request, unpacked; each record names its account.

        Raises:
            InvalidInputError: It cannot be parsed; nothing was stored.
        """
        logs = data if signal == "logs" else spans_as_logs(data, encoding=encoding, source=source)
        return self._take_in(read_message(logs, encoding=encoding, source=source), None, silent)

    def collect_zoom_event(self, told: Mapping[str, Any], *, account: str) -> Collected:
        """Collect one event that Zoom's webhook told of an account's meetings; a repeated one is stored once."""
        return self._take_in(read_zoom_event(told, account=self.parties.account(account).id), account, silent)

    def _take_in(self, pieces: Iterable[Piece], account: str | None, progress: Progress) -> Collected:
        return take_in(
            pieces,
            account=account,
            parties=self.parties,
            lake=self._lake,
            history=self.history(),
            now_us=self.now_us,
            progress=progress,
        )

    def rows(self, purpose: str, *, categories: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS) -> Rows:
        """Return what may be used for a purpose as a stream of batches, each judged when it is handed out.

        Whoever says no while it is read is in no later batch. Nothing is frozen, so what learns from it cannot be
        released: `snapshot` is for that.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            batch_rows: How many rows a batch has at most.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        _check_purpose(purpose)
        chosen = tuple(_learns_from(purpose) if categories is None else leaves(categories, CATEGORIES))
        return Rows(
            partial(self._batches, purpose, chosen, batch_rows),
            partial(_reopened_batches, self.folder.absolute(), purpose, chosen, batch_rows),
        )

    def _batches(
        self, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
    ) -> Iterator[Any]:
        permits = self.permits(purpose)
        seen = self._history.size

        def news() -> tuple[list[Entry], int]:
            nonlocal seen
            now_us = self.now_us
            entries = list(self.ledger.entries(seen, self._history.size))
            seen += len(entries)
            return entries, now_us

        accounts = None
        if shares > 1:
            accounts = [one.id for one in self.parties.accounts() if bucket_of(one.id) % shares == share]
        found = self._lake.rows(permits, categories=categories, accounts=accounts)
        yield from judged(found, Gate(self.permits(purpose)), news, batch_rows=batch_rows)

    def stock(self) -> Stock:
        """Count what lies in the lake, whether or not anything may use it."""
        return Stock(categories=self._lake.size(), accounts=self._lake.accounts(), small_files=self._lake.small_files())

    def set_aside(self) -> list[SetAside]:
        """Return what collecting has set aside: from where, and why; never what it held."""
        return list(read_quarantine(self.folder / "lake" / "quarantine"))

    # --- snapshots, models, releases ---

    def snapshot(self, purpose: str, *, until: datetime | None = None, progress: Progress = silent) -> Snapshot:
        """Freeze what may be used for a purpose now.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            until: Leave out what was collected later.
            progress: Told how far it has come.

        Raises:
            BackendError: The disk is full or cannot be written; no snapshot appears.
        """
        permits = self.permits(purpose)
        until_us = permits.at_us if until is None else min(permits.at_us, datetime_to_us(until))
        return self._freeze(permits, until_us, None, progress)

    def embed(self, purpose: str, *, progress: Progress = silent) -> int:
        """Derive the missing sentence embeddings of what may be used for a purpose; a snapshot does so by itself.

        It is long work, done once for each record: interrupted, it is called again and goes on where it stopped.

        Returns:
            How many embeddings were computed; none where the encoder is missing.

        Raises:
            BackendError: The disk is full or cannot be written.
        """
        return self._embed(self.permits(purpose), progress)

    def compact(self, *, progress: Progress = silent) -> Compacted:
        """Make large files of the many small ones that collecting leaves in the lake; readers go on meanwhile.

        Killed, it keeps what it has done, and is called again.

        Raises:
            BackendError: The disk is full or cannot be written; every record is where it was.
        """
        return self._lake.compact(progress)

    def _embed(self, permits: Permits, progress: Progress) -> int:
        content = [name for name in _learns_from(permits.purpose) if name.startswith("content/")]
        encoder = self.encoder() if content and permits.purpose not in _WITHOUT_EMBEDDINGS else None
        return 0 if encoder is None else self._lake.embed(permits, encoder, categories=content, progress=progress)

    def _freeze(self, permits: Permits, until_us: int, within: Snapshot | None, progress: Progress) -> Snapshot:
        categories = _learns_from(permits.purpose)
        has_content = any(name.startswith("content/") for name in categories)
        encoder = self.encoder() if has_content and permits.purpose not in _WITHOUT_EMBEDDINGS else None
        self._embed(permits, progress)
        snapshot = freeze(
            self.folder / "snapshots",
            lake=self._lake,
            parties=self.parties,
            permits=permits,
            checkpoint=self.ledger.checkpoint(self._history.size),
            categories=categories,
            collected_until_us=until_us,
            within=within,
            encoder_id=None if encoder is None else encoder.id,
            progress=progress,
        )
        body = {
            "snapshot": snapshot.id,
            "purpose": snapshot.purpose,
            "at": snapshot.manifest["at"],
            "manifest": snapshot.digest,
        }
        self.ledger.append(Draft(kind="snapshot", body=body))
        return snapshot

    def parts(
        self, purpose: str, *, categories: Sequence[str] | None = None, root: str | None = None
    ) -> Sequence[Part]:
        """Return what one job on a Spark cluster is to judge: the lake's files with their standings, at this instant.

        `engines.spark.permitted_frame` makes a DataFrame of it. See docs/spark.md: no snapshot is frozen, so training
        does not accept it.

        Args:
            purpose: A leaf of `terms.PURPOSES`.
            categories: Leaves of `terms.CATEGORIES`; by default what the purpose has a use for.
            root: Where Spark's executors find the lake's folder, such as "s3a://bucket/lake"; by default where it is.

        Raises:
            InvalidInputError: There is no such purpose or category.
        """
        chosen = _learns_from(purpose) if categories is None else leaves(categories, CATEGORIES)
        permits = self.permits(purpose)
        folder = (self.folder / "lake").absolute()

        def place(file: str) -> str:
            path = Path(file).absolute()
            return str(path) if root is None else f"{root.rstrip('/')}/{path.relative_to(folder).as_posix()}"

        found = []
        for category in sorted(chosen):
            gathering = Gathering(category, place=place)
            with closing(Lake(folder, self.parties, gathering)) as lake:
                lake.reasons(permits, categories=[category])
            found += gathering.parts
        return found

    def open_snapshot(self, snapshot: str) -> Snapshot:
        """Open a snapshot by its id.

        Raises:
            InvalidInputError: The ledger names no such snapshot.
            ProofError: It is not the one that the ledger names.
        """
        named = [
            entry.body["manifest"]
            for entry in self.history().doings
            if entry.kind == "snapshot" and entry.body["snapshot"] == snapshot
        ]
        if not named:
            msg = f"There is no snapshot {snapshot!r}. `volition status` lists those there are."
            raise InvalidInputError(msg)
        opened = Snapshot.open(self.folder / "snapshots" / snapshot)
        if opened.digest != named[-1]:
            msg = f"Snapshot {snapshot} is not the one that the ledger names. Do not train from it."
            raise ProofError(msg)
        return opened

    def snapshots(self) -> list[str]:
        """Return the ids of every snapshot that the ledger names, oldest first."""
        return [entry.body["snapshot"] for entry in self.history().doings if entry.kind == "snapshot"]

    def train(self, family: str, snapshot: str | None = None, *, progress: Progress = silent) -> Trained:
        """Train a model from a snapshot; by default from a new one.

        Killed, it is called again with the same snapshot and goes on where it stopped. A no that comes while it learns
        is asked about again when it has learnt: then there is no model, and the next forgetting erases what was made.

        Raises:
            InvalidInputError: There is no such family or snapshot, or it holds too little to learn from.
            RefusedError: Somebody in the snapshot has said no since it was frozen.
        """
        learner = self.family(family)
        frozen = self.snapshot(learner.purpose, progress=progress) if snapshot is None else self.open_snapshot(snapshot)
        self._check_fresh(frozen)
        trained = train(
            learner,
            frozen,
            parties=self.parties,
            models=self.folder / "models",
            runs=self.folder / "runs",
            progress=progress,
        )
        self._check_fresh(frozen)
        if trained.id not in self.models():
            self.ledger.append(self._model_draft(trained, frozen))
        return trained

    @staticmethod
    def _model_draft(trained: Trained, snapshot: Snapshot) -> Draft:
        body = {
            "model": trained.id,
            "family": trained.model.family,
            "snapshot": snapshot.id,
            "digest": trained.model.digest,
        }
        return Draft(kind="model", body=body)

    def open_model(self, model: str) -> Trained:
        """Open a trained model by its id.

        Raises:
            RefusedError: It was forgotten.
        """
        state = self.models().get(model)
        if state is not None and state.forgotten_us is not None:
            successor = f" {state.successor} took its place." if state.successor else ""
            msg = f"Model {model} was forgotten at {us_to_text(state.forgotten_us)} and is erased.{successor}"
            raise RefusedError(msg)
        return Trained.open(self.folder / "models" / model)

    def audit(self, model: str, *, progress: Progress = silent) -> list[Finding]:
        """Audit a model and keep the findings for its release.

        Raises:
            RefusedError: It was forgotten, or somebody that it learned from has said no since.
        """
        trained = self.open_model(model)
        snapshot = self.open_snapshot(trained.record["snapshot"])
        self._check_fresh(snapshot)
        return self._audit(trained, snapshot, progress)

    def _check_fresh(self, snapshot: Snapshot) -> None:
        instead = f"Take a new one with `volition snapshot {snapshot.purpose}`."
        check_fresh(snapshot, self.permits(snapshot.purpose), what=f"Snapshot {snapshot.id}", instead=instead)

    def _audit(self, trained: Trained, snapshot: Snapshot, progress: Progress) -> list[Finding]:
        rows = snapshot.rows(self.parties)
        run = self.folder / "runs" / f"audit-{trained.model.family}-{snapshot.id}"
        findings = run_audits(
            self.family(trained.model.family),
            rows,
            regions=regions_on_record(self.history(), rows, at_us=self.now_us),
            bounds=self.bounds,
            progress=progress,
            parts=FolderParts(run),
        )
        data = canonical_json([finding.to_json() for finding in findings])
        try:
            write_file(trained.folder / "findings.json", data)
        except OSError as error:
            msg = f"The findings could not be kept in {trained.folder}: {error}. Free space, then audit again."
            raise BackendError(msg) from error
        shutil.rmtree(run, ignore_errors=True)
        return findings

    def findings(self, trained: Trained) -> list[Finding]:
        """Return what the audits found of a model; nothing if it was not audited.

        Raises:
            InvalidInputError: What was kept cannot be read, or an earlier version kept it.
        """
        return self._findings(trained.id)

    def _findings(self, model: str) -> list[Finding]:
        path = self.folder / "models" / model / "findings.json"
        try:
            return [Finding.from_json(value) for value in json.loads(path.read_bytes())] if path.exists() else []
        except (ValueError, TypeError, InvalidInputError) as error:
            msg = f"{path} cannot be read: {error} Audit again: `volition audit {model}`."
            raise InvalidInputError(msg) from error

    def card(self, model: str) -> dict[str, Any]:
        """Return the card of a model's release; it stays readable once the model was forgotten.

        Raises:
            InvalidInputError: There is no such model, or it was never released.
            ProofError: It is not the card that the ledger names.
        """
        models = self.models()
        settle_releases(self.folder / "releases", models)
        return read_card(self.folder / "releases", models.get(model), model)

    def card_for(self, person: str, model: str) -> dict[str, Any]:
        """Return a card as a person may read it: without other customers' names and figures. Raises as `card` does."""
        account = self.parties.person(person).account
        return card_for_people(self.card(model), withheld=lambda found: tells_of_few(found, account))

    def release(self, model: str, *, override: Override | None = None) -> Entry:
        """Put a model to work, with a signed card.

        Args:
            model: Its id.
            override: Who answers for a release beyond the bounds of [audit] in the settings, and why; that stays in
                the ledger. It reaches no further: what is stale or was not audited is not released.

        Raises:
            RefusedError: It is stale, was not audited, or misses a bound for which nobody answers.
            InvalidInputError: Somebody answers, and no bound is missed.
        """
        trained = self.open_model(model)
        snapshot = self.open_snapshot(trained.record["snapshot"])
        check_releasable(trained, snapshot, self.permits(snapshot.purpose), self.findings(trained))
        check_bounds(trained, self.findings(trained), self.bounds, override)
        entry = self.ledger.append(self._release_draft(trained, snapshot, override))[0]
        settle_releases(self.folder / "releases", self.models())
        return entry

    def release_file(self, model: str, name: Literal["card.json", "card.md", "attestation.json"]) -> bytes:
        """Return a file of a model's newest release, as the ledger names it.

        Raises:
            InvalidInputError: The model was never released, or was forgotten.
            ProofError: The file is not the one that was released.
        """
        state = self.models().get(model)
        if state is None or state.released_us is None or state.forgotten_us is not None:
            msg = f"Model {model!r} has no card: it was never released, or was forgotten. See the list of models."
            raise InvalidInputError(msg)
        settle_releases(self.folder / "releases", {model: state})
        files = {each: _read_file(self.folder / "releases" / model / each) for each in ("card.json", name)}
        told = json.loads(files["card.json"])
        whole = canonical.digest(files["card.json"]) == state.card
        if name == "attestation.json":
            whole = whole and canonical.digest(files[name]) == state.attestation
        if not whole or (name == "card.md" and files[name] != card_markdown(told).encode()):
            msg = f"{name} of model {model} is not the one that was released. Restore it from a copy."
            raise ProofError(msg)
        return files[name]

    def _release_draft(self, trained: Trained, snapshot: Snapshot, override: Override | None = None) -> Draft:
        bound = {
            terms.id
            for account in snapshot.manifest["accounts"]
            for start_us, terms in self.history().terms_of(account)[-1:]
            if start_us <= self.now_us
        }
        named = write_release(
            self.folder / "releases",
            trained=trained,
            snapshot=snapshot,
            findings=self.findings(trained),
            required=[audit for audit, asked in self.bounds.items() if asked.required],
            override=override,
            terms=sorted(bound),
            checkpoint=self.ledger.checkpoint(),
            signer=self._signer,
            at_us=self.now_us,
        )
        return Draft(kind="release", body={"model": trained.id, **named})

    def families(self) -> dict[str, str]:
        """Return what can be trained here, and for which purpose each learns; adapters need a base that is named."""
        learns = {name: f"train/{name}" for name in FAMILIES if name != "adapter"}
        return learns if self._recipe is None else learns | {"adapter": AdapterFamily.purpose}

    def family(self, name: str) -> Family:
        """Return a family by its name.

        Raises:
            InvalidInputError: There is no such family.
        """
        match name:
            case "search":
                return SearchFamily(self.encoder())
            case "recommend":
                return Recommend()
            case "summary":
                return SummaryFamily()
            case "compose":
                return ComposeFamily()
            case "diagnose":
                return DiagnoseFamily()
            case "adapter":
                return self._adapter_family()
        msg = f"There is no family {name!r}. The families are: {', '.join(FAMILIES)}."
        raise InvalidInputError(msg)

    def _adapter_family(self) -> AdapterFamily:
        if self._recipe is None:
            msg = (
                f"No base model is named for adapters. Name one in {self.folder / _SETTINGS_FILE}: [adapter] base = ..."
            )
            raise InvalidInputError(msg)
        if self._adapter is None:  # loading the base takes seconds
            secret = self.parties.derived_secret("adapter")
            self._adapter = AdapterFamily(self._recipe, folder=self.folder, secret=secret)
        return self._adapter

    def encoder(self) -> Encoder | None:
        """Return the sentence encoder, or none if its package is missing: then features work without and say so."""
        if not self._encoder_sought:
            self._encoder_sought = True
            try:
                self._encoder = Encoder.load()
            except EncoderMissingError:
                self._encoder = None
        return self._encoder

    def endpoint(self) -> Endpoint | None:
        """Return the configured end point, or none. Raises InvalidInputError where its key is not to be had."""
        return None if self._endpoint is None else self._endpoint.connect(os.environ)

    # --- features ---

    def search(
        self, query: str, *, person: str, meeting: str | None = None, limit: int = 10, progress: Progress = silent
    ) -> Found:
        """Search what a person may see: meetings, chats and files together, or within one meeting.

        Raises:
            RefusedError: The account's switch is off, or the person is of no account.
            InvalidInputError: The person is not known, or the query is empty.
        """
        asking = self._asking(person, family="search")
        return run_search(asking, query, encoder=self.encoder(), limit=limit, meeting=meeting, progress=progress)

    def opened(self, query: str, record: str, *, person: str, progress: Progress = silent) -> Collected:
        """Record that a person opened a hit of a search, so that search learns from its own use.

        It becomes a record of `service/usage` and is collected like any other: gated, and learnt from only where that
        person and the account let usage train search.

        Args:
            query: What was looked for.
            record: The hit's `record_id`.
            person: Who opened it.
            progress: Told how far long work has come.

        Raises:
            RefusedError: The account's switch is off, or the person is of no account.
            InvalidInputError: A search by this person could not have found the record, or the query is empty.
        """
        asking = self._asking(person, family="search")
        event = opened_hit(asking, query, record, encoder=self.encoder(), at_us=self.now_us, progress=progress)
        return self._take_in([event], asking.account, progress)

    def summarize(self, meeting: str, *, person: str, words: int = 110, progress: Progress = silent) -> Summary:
        """Summarise a meeting in quotes. Raises RefusedError where the account's switch is off."""
        asking = self._asking(person, family="summary")
        return run_summarize(asking, meeting, words=words, encoder=self.encoder(), progress=progress)

    def minutes(self, meeting: str, *, person: str) -> Minutes:
        """Find what a meeting decided, gave out and left open. Raises RefusedError where the switch is off."""
        return run_minutes(self._asking(person, family="summary"), meeting)

    def prose(self, summary: Summary, *, person: str) -> Prose:
        """Have a person's summary told in prose by the end point. Raises RefusedError where the switch is off."""
        return run_prose(self._asking(person, family="summary"), summary, self.endpoint())

    def draft(self, about: str, *, person: str) -> Written:
        """Draft a message for a person. Raises RefusedError where their words may not be used for it."""
        return run_draft(self._writing(person), self.endpoint(), about)

    def rewrite(self, text: str, *, person: str, tone: str) -> Written:
        """Rewrite a person's message. Raises RefusedError where their words may not be used, or it would change."""
        return run_rewrite(self._writing(person), self.endpoint(), text, tone=tone)

    def recommend(self, person: str, *, limit: int = 10) -> tuple[Suggestion, ...]:
        """Recommend what a person may like to open next. Raises RefusedError where the account's switch is off."""
        asking = self._asking(person, family="recommend")
        return run_recommend(asking, train=self.permits("train/recommend"), find=self.parties.find_person, limit=limit)

    def diagnose(self, person: str, *, session: str | None = None, limit: int = 10) -> Diagnosed:
        """Foretell how a person's own sessions end, and why. Raises RefusedError where the account's switch is off."""
        return run_diagnose(self._asking(person, family="diagnose"), session=session, limit=limit)

    def complete(self, text: str, *, person: str, limit: int = SHOWN) -> tuple[Completion, ...]:
        """Suggest how a message goes on. Raises RefusedError where its writer or their account said no."""
        return run_complete(self._writing(person), self._composer(), text, limit=limit)

    def replies(self, channel: str, ts: str, *, person: str, limit: int = SHOWN) -> tuple[Reply, ...]:
        """Suggest short replies to a chat message. Raises RefusedError where somebody concerned said no."""
        writing = self._writing(person)
        return run_replies(writing, self._lake, self._composer(), channel, ts, limit=limit)

    def go_on(self, text: str, *, person: str, tokens: int = 24) -> str:
        """Write on where a person stopped, by the adapter at work; it may invent.

        Raises:
            RefusedError: The writer or their account said no.
            InvalidInputError: No adapter is at work.
        """
        writing, model = self._writing(person), self._model_at_work("adapter")
        return run_go_on(writing, self._adapter_family, model, text, tokens=tokens)

    def edit(self, text: str, *, person: str, how: str) -> str:
        """Edit a message by rule (see `edits`). Raises RefusedError where its writer or their account said no."""
        return run_edit(self._writing(person), text, how=how)

    def conversations(self, kind: Kind, *, person: str, name: str | None = None) -> tuple[Conversation, ...]:
        """Return the meetings or channels that a person may read, the latest first, or the one of a name.

        Raises:
            RefusedError: The person is of no account.
        """
        known, account = self._member(person)
        shown_by = [self.permits(purpose) for purpose in SHOWN_BY[kind]]
        reader = Participant(pseudonym=known.pseudonym, account=account, at_us=self.now_us)
        return conversations(self._lake, reader, kind, shown_by=shown_by, name=name)

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
        found = self.conversations(Kind.CHANNEL, person=person, name=channel)
        if not found:
            raise InvalidInputError(f"There is no conversation {channel!r} that you may read, so nothing can be sent.")
        named = [one.pseudonym for one in mentioned(text, partial(self.parties.find_person, account))]
        draft = written_message(
            text,
            account=account,
            channel=channel,
            author=known.name or known.id,
            people=tuple(dict.fromkeys([known.pseudonym, *named, *found[0].circle])),
            private=bool(found[0].circle),
            form=form,
            at_us=self.now_us,
        )
        return self._take_in([draft], account, silent)

    def _writing(self, person: str) -> Writing:
        known, account = self._member(person)
        return Writing(person=known, account=account, permits=self.permits("feature/compose"))

    def _composer(self) -> Composer | None:
        return self._composing.composer(
            self.history().size,
            self.now_us,
            find=partial(self._at_work, "compose"),
            open_model=lambda model: self.open_model(model).model,
        )

    def _member(self, person: str) -> tuple[Person, str]:
        """Return a person and their account. Raises RefusedError for a guest."""
        known = self.parties.person(person)
        if known.account is None:
            msg = f"{person} is a guest of no account, so there is nothing that they may see."
            raise RefusedError(msg)
        return known, known.account

    def _asking(self, person: str, *, family: str) -> Asking:
        known, account = self._member(person)
        return Asking(
            person=known,
            account=account,
            lake=self._lake,
            state=self._lake.state(account, CONTENT),  # before the permits' instant
            permits=self.permits(f"feature/{family}"),
            model=self._model_at_work(family),
            shelf=self._shelf,
            note=partial(self._note_use, f"feature/{family}"),
        )

    def _note_use(self, purpose: str, rows: Iterable[Row]) -> None:
        self._uses.note(purpose, [(row.people[0], row.category) for row in rows], at_us=self.now_us)

    def _model_at_work(self, family: str) -> Model | None:
        model = self._at_work(family)
        return None if model is None else self.open_model(model).model

    def _at_work(self, family: str) -> str | None:
        """Return the id of the family's model at work; one that should have forgotten by now works no more."""
        state = at_work(self.models(), family)
        if state is None:
            return None
        owed = self._owed_by(state)
        if owed is not None and owed.due_us < self.now_us:
            return None
        return state.id

    # --- weighing ---

    def weigh(
        self, party: str, *, purpose: Sequence[str] | None = None, measure: bool = False, progress: Progress = silent
    ) -> Weighed:
        """Say what a yes gives a party, what it costs, what a no turns off, and what withdrawing later does.

        Args:
            party: "account:ID" or "person:ID". Whoever calls answers for who asks: a person is shown their own figures.
            purpose: For which purposes, by default for all; a name covers all below it.
            measure: Whether to measure now what the party's own data is worth: it takes as long as an audit.
            progress: Told how far that has come.

        Raises:
            InvalidInputError: The party or a purpose is not known.
        """
        history, at_us = self.history(), self.now_us
        ledger_name = self.party(party)
        kind, _, name = party.partition(":")
        account = name if kind == "account" else self.parties.person(name).account
        who = Party(name=party, ledger_name=ledger_name, account=account)
        chosen = PURPOSES if purpose is None else leaves(purpose, PURPOSES)
        models = [self._known(state) for state in self.models().values() if state.forgotten_us is None]
        if measure:
            shown = [model for one in chosen for model in to_show(models, one)]
            models = [
                replace(model, effect=self._own_data(who, model, progress)) if model in shown else model
                for model in models
            ]
        return weigh(
            who,
            history=history,
            at_us=at_us,
            purposes={one: READS.get(one, _learns_from(one)) for one in chosen},
            models=models,
            due_days=self.due_days,
        )

    def _known(self, state: ModelState) -> Known:
        working = at_work(self.models(), state.family)
        try:
            findings = self._findings(state.id)  # without opening the model, which is read nowhere here
        except InvalidInputError:  # an earlier version's: as if it had not been audited
            findings = []
        return Known(
            state=state,
            at_work=working is not None and working.id == state.id,
            snapshot=self.open_snapshot(state.snapshot),
            findings=findings,
        )

    def _own_data(self, party: Party, model: Known, progress: Progress) -> tuple[Effect, Effect] | str:
        try:
            self._check_fresh(model.snapshot)
        except RefusedError:  # whose no it was, and of how many rows, is not for this party to know
            return "Not all that it learned from may be used any more. Ask again once it has forgotten."
        return measure_own_data(
            party,
            model,
            family=self.family(model.state.family),
            rows=model.snapshot.rows(self.parties),
            history=self.history(),
            at_us=self.now_us,
            progress=progress,
        )

    # --- forgetting ---

    def owed(self) -> list[Owed]:
        """Return every forgetting that a model owes now, the earliest due first."""
        found = [self._owed_by(model) for model in self.models().values() if model.forgotten_us is None]
        return sorted((owed for owed in found if owed is not None), key=lambda owed: (owed.due_us, owed.model))

    def _owed_by(self, model: ModelState) -> Owed | None:
        snapshot = self.open_snapshot(model.snapshot)
        return owed_by(model, snapshot, self.history(), at_us=self.now_us, due_days=self.due_days)

    def forget(self, *, progress: Progress = silent) -> list[Forgotten]:
        """Do every forgetting that is owed: make the models that never saw the parties, release them, erase the old.

        A model that is not at work has no successor; it is erased. What a killed forgetting or erasing has left is
        finished, too.
        """
        self._finish_erasures()
        done = []
        for owed in self.owed():
            state = self.models()[owed.model]
            working = at_work(self.models(), state.family)
            is_at_work = working is not None and working.id == state.id
            drafts, made = self._successor(state, progress) if is_at_work else ([], None)
            successor = made if any(draft.kind == "release" for draft in drafts) else None
            body = {"model": state.id, "successor": successor, "parties": sorted(owed.parties)}
            self.ledger.append(*drafts, Draft(kind="forgetting", body=body))
            done.append(
                Forgotten(
                    model=state.id,
                    successor=successor,
                    parties=tuple(sorted(owed.parties)),
                    rows=owed.rows,
                    waits=None if successor else made,
                )
            )
        settle_releases(self.folder / "releases", self.models())
        self._erase_retired()
        return done

    def _successor(self, state: ModelState, progress: Progress) -> tuple[list[Draft], str | None]:
        """Make and audit the model without the refused rows; return the drafts that record and release it.

        A model that misses a bound is recorded and not released: forgetting waits for nobody, and works without.
        """
        old = self.open_model(state.id)
        before = self.open_snapshot(state.snapshot)
        permits = self.permits(before.purpose)
        after = self._freeze(permits, text_to_us(before.manifest["collected_until"]), before, progress)
        family = self.family(state.family)
        try:
            model = forget_rows(family, old.model, before, after, parties=self.parties, progress=progress)
        except InvalidInputError:  # too little is left to learn from: the model retires without a successor
            return [], None
        trained = keep(model, after, models=self.folder / "models")
        self._audit(trained, after, progress)
        check_releasable(trained, after, self.permits(after.purpose), self.findings(trained))
        drafts = [self._model_draft(trained, after)]
        if not missed_bounds(self.findings(trained), self.bounds):
            drafts.append(self._release_draft(trained, after))
        return drafts, trained.id

    def _erase_retired(self) -> list[str]:
        """Erase retired models, and the content of every snapshot that nothing may learn from any more.

        That is told by what lies in the folders, so that what a killed process never told the ledger is found as well.
        A snapshot that a model still has to forget from is kept until it has.
        """
        for name in ("snapshots", "models"):
            sweep(self.folder / name)
        models = self.models()
        needed = {model.snapshot for model in models.values() if model.forgotten_us is None}
        frozen = (self.folder / "snapshots").iterdir()
        found = [Snapshot.open(path) for path in sorted(frozen) if path.suffix != PART and path.name not in needed]
        return erase_retired(
            models,
            [snapshot for snapshot in found if snapshot.stale(self.permits(snapshot.purpose))],
            folder=self.folder / "models",
            runs=self.folder / "runs",
        )

    # --- proofs ---

    def prove(self, path: Path) -> int:
        """Write the evidence bundle; return how many ledger entries it holds. `prove.verify_bundle` checks it."""
        return write_bundle(
            path, ledger=self.ledger, snapshots=self.folder / "snapshots", releases=self.folder / "releases"
        )

    def traces(self, person: str) -> list[Trace]:
        """Return what every model that was ever trained learned from a person, oldest first."""
        history, at_us, models = self.history(), self.now_us, self.models()
        party = self.party(f"person:{person}")
        forgot = {entry.body["model"]: entry.body["parties"] for entry in history.doings if entry.kind == "forgetting"}
        return [
            trace(
                state,
                self.open_snapshot(state.snapshot),
                party,
                history,
                at_us=at_us,
                due_days=self.due_days,
                at_work=at_work(models, state.family) == state,
                forgot=forgot.get(state.id, ()),
            )
            for state in models.values()
        ]

    def answers(self, person: str, *, before: int | None = None, limit: int | None = None) -> list[Entry]:
        """Return the entries in which a person said something, the newest first: decisions and signals.

        Args:
            person: Their id.
            before: Only entries with a lower number than this; none for all.
            limit: How many at most; none for all.
        """
        known = self.history().party(self.party(f"person:{person}"))
        numbers = {decision.seq for decision in known.decisions} | {seq for _, _, seq in known.signals}
        chosen = sorted((seq for seq in numbers if before is None or seq < before), reverse=True)[:limit]
        return [entry for seq in chosen for entry in self.ledger.entries(seq, seq + 1)]

    def receipt(self, person: str, seq: int) -> dict[str, Any]:
        """Return the receipt for an answer of a person, told by its ledger entry's number; `verify_receipt` checks it.

        Raises:
            InvalidInputError: That entry is no answer of this person.
        """
        known = self.parties.person(person)
        [entry, *_] = [*self.answers(person, before=seq + 1, limit=1), None]
        if entry is None or entry.seq != seq:
            raise InvalidInputError(f"Entry {seq} is no answer of {person}, so there is no receipt for it.")
        bound = [] if known.account is None else self.history().terms_of(known.account)
        binding = [terms.id for start_us, terms in bound if start_us <= entry.at_us]
        return write_receipt(self.ledger, entry, terms_seq=self.history().terms_seq(binding[-1]) if binding else None)

    def prove_person(self, person: str, *, model: str | None = None) -> list[dict[str, Any]]:
        """Prove for each model (or one) whether it learned from a person; forgotten models included."""
        pseudonym = self.parties.person(person).pseudonym
        models = self.models()
        if model is not None and model not in models:
            msg = f"There is no model {model!r}. `volition status` lists them."
            raise InvalidInputError(msg)
        return [
            prove_person(self.ledger, self.open_snapshot(state.snapshot), model=state.id, pseudonym=pseudonym)
            for state in models.values()
            if model is None or state.id == model
        ]

    def evidence(self, person: str, *, model: str | None = None) -> dict[str, Any]:
        """Return a person's proof bundle: of each model (or one) whether it learned from them; and every receipt."""
        return {
            "format": PROOFS_FORMAT,
            "proofs": self.prove_person(person, model=model),
            "receipts": [self.receipt(person, entry.seq) for entry in reversed(self.answers(person))],
        }

    def status(self) -> dict[str, Any]:
        """Return what there is, as a JSON object: ledger, parties, terms, records, snapshots, models, what is owed."""
        models = self.models()
        at_work_ids = {state.id for family in FAMILIES if (state := at_work(models, family)) is not None}
        history = self.history()
        return {
            "origin": self.origin,
            "key": self.verifier.to_text(),
            "ledger": {"size": history.size, "last": us_to_text(history.last_us) if history.size else None},
            "terms": [terms.id for terms in self.terms()],
            "accounts": [account.id for account in self.parties.accounts()],
            "people": len(self.parties.people()),
            "records": self._lake.size(),
            "small_files": self._lake.small_files(),
            "snapshots": self.snapshots(),
            "models": [
                {
                    "id": state.id,
                    "family": state.family,
                    "snapshot": state.snapshot,
                    "state": _state_name(state, state.id in at_work_ids),
                }
                for state in models.values()
            ],
            "owed": [owed.to_json() for owed in self.owed()],
            "encoder": "there" if self.encoder() is not None else "missing: search and summary work without it",
        }


def _reopened_batches(  # noqa: PLR0913, PLR0917 - bound one after the other
    folder: Path, purpose: str, categories: Sequence[str], batch_rows: int, share: int, shares: int
) -> Iterator[Any]:
    """Yield one share of a workspace's rows, in a process of its own."""
    with Workspace.open(folder) as workspace:
        yield from workspace.rows(purpose, categories=categories, batch_rows=batch_rows).share(share, shares)


def find_workspace(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds a workspace.

    Raises:
        InvalidInputError: None does.
    """
    for folder in (start, *start.parents):
        if (folder / _SETTINGS_FILE).exists():
            return folder
    msg = f"There is no workspace in {start} or above. Make one with `volition init FOLDER`, or name it: --workspace."
    raise InvalidInputError(msg)


def _learns_from(purpose: str) -> Sequence[str]:
    return LEARNS_FROM.get(purpose, CATEGORIES)


def _state_name(state: ModelState, working: bool) -> str:  # noqa: FBT001 - told by the caller, not chosen
    if state.forgotten_us is not None:
        return "forgotten"
    if working:
        return "at work"
    return "trained" if state.released_us is None else "superseded"


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        msg = f"There is no purpose {purpose!r}. The purposes are: {', '.join(PURPOSES)}."
        raise InvalidInputError(msg)


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / _SETTINGS_FILE
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"There is no workspace in {folder}. Make one with `volition init {folder}`."
        raise InvalidInputError(msg) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read: {error}."
        raise InvalidInputError(msg) from error
    for key, kind in (("origin", str), ("due_days", int)):
        if not isinstance(settings.get(key), kind):
            msg = f"{path} needs a key {key!r} ({kind.__name__}). See the comments in a new workspace's file."
            raise InvalidInputError(msg)
    unknown = sorted(settings.keys() - {"origin", "due_days", "engine", "lease_ms", "audit", "endpoint", "adapter"})
    if unknown:
        keys = "origin, due_days, engine, lease_ms, audit, endpoint and adapter"
        msg = f"{path} has the unknown key {unknown[0]!r}. The keys are {keys}."
        raise InvalidInputError(msg)
    engine = settings.setdefault("engine", next(iter(ENGINES)))
    if not isinstance(engine, str) or engine not in ENGINES:
        msg = f"{path} names the engine {engine!r}. The engines are: {', '.join(ENGINES)}."
        raise InvalidInputError(msg)
    lease_ms = settings.setdefault("lease_ms", LENGTH_MS)
    if type(lease_ms) is not int or not 1 <= lease_ms <= LONGEST_MS:
        msg = f"{path} sets lease_ms to {lease_ms!r}. A lease takes 1 to {LONGEST_MS} milliseconds."
        raise InvalidInputError(msg)
    settings["audit"] = read_bounds(settings.get("audit", {}), DEFAULT_BOUNDS, where=str(path))
    adapter = settings.get("adapter")
    settings["adapter"] = None if adapter is None else Recipe.from_toml(adapter, where=str(path))
    table = settings.get("endpoint")
    settings["endpoint"] = None if table is None else EndpointSettings.from_toml(table, where=str(path))
    return settings


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}. Check the path."
        raise InvalidInputError(msg) from error
