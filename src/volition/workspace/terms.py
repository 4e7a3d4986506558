"""Terms: versions are published, and an account accepts them.

What newly allows something is announced, and binds only after its notice period. A text that was published is kept by
its digest, so that nobody can change it unseen.
"""

from collections.abc import Sequence
from typing import Final

from volition import canonical
from volition.canonical import us_to_text
from volition.consent.terms.model import Terms
from volition.consent.terms.terms_file import PROFILES, load_profile
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import BackendError, ConflictError, InvalidInputError, ProofError
from volition.files import write_file
from volition.ledger.entry import Entry, NewEntry
from volition.workspace.opened import Opened, read_bytes

_TEXTS: Final = "terms"


class PublishedTerms:
    """What was published, and who accepted it."""

    def __init__(self, opened: Opened) -> None:
        """Take the opened folder."""
        self._opened = opened

    def publish(self, terms: Terms) -> Entry:
        """Publish a terms version. What newly allows something is announced and binds only after its notice period.

        It is judged against everything that binds an account or will bind it, not against what was published last.

        Raises:
            ConflictError: A version with this id was published before.
            InvalidInputError: It declares a name otherwise than a version before: another kind, or content as none.
        """
        history = self._opened.history()
        history.vocabulary.check_joined([*terms.categories, *terms.purposes])
        published = history.bindings.published()
        if any(known.id == terms.id for known in published):
            msg = f"Terms {terms.id!r} were published before and cannot be changed. Give the new version a new id."
            raise ConflictError(msg)
        now_us = self._opened.now_us
        binds_us = history.bindings.earliest_us(terms, binds_us=max(terms.effective_us, now_us), at_us=now_us)
        notices = [
            NewEntry(kind="notice", body={"account": account, "terms": terms.id, "ends": us_to_text(binds_us)})
            for account in history.bindings.accounts()
        ]
        if terms.text:
            self._keep_text(terms)
        body = {"terms": terms.to_json(), "binds": us_to_text(binds_us)}
        return self._opened.ledger.append(NewEntry(kind="terms", body=body), *notices)[0]

    def _keep_text(self, terms: Terms) -> None:
        path = self._opened.folder / _TEXTS / f"{terms.text_digest}.md"
        try:
            path.parent.mkdir(exist_ok=True)
            write_file(path, terms.text.encode())
        except OSError as error:
            msg = f"The text of {terms.id} could not be kept in {path}: {error}. Free space, then publish again."
            raise BackendError(msg) from error
        self._opened.parties.stores.note(path)

    def text(self, terms: Terms) -> str:
        """Return a published version's text, Markdown; empty where it is not kept here.

        The ledger has its digest. An earlier version of this software kept no texts; those of the shipped profiles are
        known all the same.

        Raises:
            ProofError: It was changed after it was published.
            BackendError: It was lost.
        """
        path = self._opened.folder / _TEXTS / f"{terms.text_digest}.md"
        self._opened.parties.stores.check(path)
        if not path.exists():
            shipped = (load_profile(name) for name in PROFILES)
            return next((one.text for one in shipped if one.text_digest == terms.text_digest), "")
        data = read_bytes(path)
        if canonical.digest(data) != terms.text_digest:
            raise ProofError(f"{path} is not the text that was published as {terms.id}. Restore it from a copy.")
        return data.decode()

    @property
    def vocabulary(self) -> Vocabulary:
        """What can be named: the built-in names, and what any published version declares."""
        return self._opened.history().vocabulary

    def published(self) -> Sequence[Terms]:
        """Return every published version, oldest first."""
        return self._opened.history().bindings.published()

    def accept(self, account: str, terms_id: str | None = None) -> Entry:
        """Let an account accept a published version; by default the newest.

        Raises:
            InvalidInputError: The account or the version is not known, or the account is bound by a newer one.
        """
        self._opened.parties.account(account)
        published = [terms.id for terms in self.published()]
        if not published:
            raise InvalidInputError("No terms were published yet. Publish some with `volition terms publish FILE`.")
        chosen = published[-1] if terms_id is None else terms_id
        if chosen not in published:
            msg = f"No terms {chosen!r} were published. There are: {', '.join(published)}."
            raise InvalidInputError(msg)
        bound = [
            terms.id
            for start_us, terms in self._opened.history().bindings.terms_of(account)
            if start_us <= self._opened.now_us
        ]
        if bound and published.index(chosen) < published.index(bound[-1]):
            msg = (
                f"The account {account} is bound by {bound[-1]!r}, which is newer than {chosen!r}. Accept a newer one."
            )
            raise InvalidInputError(msg)
        return self._opened.ledger.append(NewEntry(kind="acceptance", body={"account": account, "terms": chosen}))[0]
