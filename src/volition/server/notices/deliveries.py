"""Deliveries: by account and version, to how many people the notice was shown and mailed. Counts; nobody is named."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from volition.canonical import us_to_text
from volition.server.notices.outbox import MailState, Outbox
from volition.server.notices.shown import ShownNotices
from volition.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How far the notice of one version has come in one account.

    Attributes:
        account: The account.
        terms: The version.
        published_us: When it was published.
        people: How many people the account has.
        shown: To how many of them a page with the notice was sent.
        administrators: To how many administrators.
        first_us: When a page with it was sent first; none if none was.
        last_us: When it was sent to somebody for the first time, last; none likewise.
        mailed: How many mails the mail server took.
        waiting: How many mails are still to be sent.
        refused: How many it refused, or could not be delivered in five days.
    """

    account: str
    terms: str
    published_us: int
    people: int
    shown: int
    administrators: int
    first_us: int | None
    last_us: int | None
    mailed: int
    waiting: int
    refused: int

    @property
    def sentence(self) -> str:
        """What is so, such as "Shown to 12 of 40 people; mailed to 31, 2 refused." Only what was delivered is told."""
        people = "1 person" if self.people == 1 else f"{self.people:,} people"
        if self.shown:
            text = f"Shown to {self.shown:,} of {people}"
        else:
            text = f"Not shown to anyone yet, of {people}" if self.people else "The account has no people here"
        if self.administrators:
            named = "1 administrator" if self.administrators == 1 else f"{self.administrators:,} administrators"
            text += f", and to {named}" if self.shown else f"; shown to {named}"
        mails = [f"mailed to {self.mailed:,}"] if self.mailed else []
        mails += [f"{self.waiting:,} to be sent"] if self.waiting else []
        mails += [f"{self.refused:,} refused"] if self.refused else []
        if mails and not self.mailed:
            mails[0] = f"of the mails, {mails[0]}"
        return f"{text}; {', '.join(mails)}." if mails else f"{text}."

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object with instants as text."""
        return {
            "account": self.account,
            "terms": self.terms,
            "published": us_to_text(self.published_us),
            "people": self.people,
            "shown": self.shown,
            "shown_to_administrators": self.administrators,
            "first_shown": None if self.first_us is None else us_to_text(self.first_us),
            "last_shown": None if self.last_us is None else us_to_text(self.last_us),
            "mailed": self.mailed,
            "mails_waiting": self.waiting,
            "mails_refused": self.refused,
            "sentence": self.sentence,
        }


def deliveries(
    workspace: Workspace, shown_notices: ShownNotices, outbox: Outbox, accounts: Iterable[str] | None = None
) -> tuple[Delivery, ...]:
    """Return how far each notice has come, by account, the newest version first; of some accounts, or of all."""
    bindings = workspace.history().bindings
    shown, mailed = shown_notices.counts(), outbox.of_terms()
    found = []
    for account in sorted(bindings.accounts() if accounts is None else accounts):
        people = len(workspace.parties.people(account))
        for at_us, terms in reversed(bindings.noticed(account)):
            seen, administrators, first_us, last_us = shown.get((account, terms.id), (0, 0, None, None))
            mails = mailed.get((account, terms.id), {})
            found.append(
                Delivery(
                    account=account,
                    terms=terms.id,
                    published_us=at_us,
                    people=people,
                    shown=seen,
                    administrators=administrators,
                    first_us=first_us,
                    last_us=last_us,
                    mailed=mails.get(MailState.SENT, 0),
                    waiting=mails.get(MailState.WAITING, 0),
                    refused=mails.get(MailState.REFUSED, 0) + mails.get(MailState.GIVEN_UP, 0),
                )
            )
    return tuple(found)
