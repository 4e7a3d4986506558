"""From the ledger's entries, terms that come into force, and yeses that end soon, to mails: who is to be told.

A `notice` gives mails of new terms; a person's no, that it was received; a `forgetting`, that a no was done, once every
model has forgotten; terms that come into force for an account, invitations to those whose yes they ask for and who have
not answered; a yes that ends soon, reminders to whoever said it; a forgetting whose due day is near, a warning to the
operators. What an erased person asked for is told by no mail: their address went with them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from volition.consent.choices import PartyAnswer
from volition.consent.endings import Ending
from volition.consent.permits import Say
from volition.errors import VolitionError
from volition.ledger.entry import Entry
from volition.server.mail.letters import Writer, uses_of
from volition.server.mail.recipients import Recipient, Recipients
from volition.server.notices.announcements import announced_to, changes_for, region_of
from volition.server.notices.outbox import Letter
from volition.server.notices.reminders import Reminder, reminders
from volition.server.schedule import planned
from volition.server.web.person.requests import request_card
from volition.transparency.data_requests import DataRequest, RequestKind
from volition.workspace import Workspace

_PERSON = "person:"
_ACCOUNT = "account:"


class Occasions:
    """Writes the mails that some entries, and some time, give rise to."""

    def __init__(self, workspace: Workspace, recipients: Recipients, writer: Writer) -> None:
        """Ask `workspace` what is so now, and write to `recipients`."""
        self._workspace = workspace
        self._recipients = recipients
        self._writer = writer

    def of_entries(self, entries: Sequence[Entry]) -> Iterator[Letter]:
        """Yield the mails that entries give rise to."""
        refused: dict[str, list[int]] = defaultdict(list)
        for entry in entries:
            if entry.kind == "notice":
                yield from self._of_notice(entry)
            elif entry.kind == "forgetting":
                yield from self._of_forgetting(entry)
            elif entry.kind == "decision" and entry.body["answer"] == "no" and "namesake" not in entry.body:
                refused[entry.body["party"]].append(entry.seq)
        for party, seqs in refused.items():
            if party.startswith(_PERSON):
                yield from self._of_refusals(party, seqs)

    def of_time(self, start_us: int, end_us: int) -> Iterator[Letter]:
        """Yield invitations where terms came into force between two instants, the first not included."""
        bindings = self._workspace.history().bindings
        for account in bindings.accounts():
            if not self._workspace.parties.has_account(account):
                continue
            steps = [terms for at_us, terms in bindings.terms_of(account) if start_us < at_us <= end_us]
            if not steps:
                continue
            for to in self._recipients.of(account):
                uses = self._asked(to)
                if uses:
                    link = self._recipients.link(to, "/account" if to.administers else "/settings")
                    yield self._writer.invitation(to, steps[-1].title, steps[-1].id, uses, link)

    def of_endings(self) -> Iterator[Letter]:
        """Yield the reminders that are due now: of all that ends for somebody on one day, one mail."""
        together: dict[tuple[str, str, int], list[Reminder]] = defaultdict(list)
        recipients: dict[str, Recipient] = {}
        for one in reminders(self._workspace):
            for to in self._who_said(one.ending):
                recipients[to.key] = to
                together[to.key, one.day, one.days].append(one)
        for (key, _, _), found in together.items():
            to = recipients[key]
            link = self._recipients.link(to, "/account" if to.administers else "/settings")
            yield self._writer.ending(to, found, link)

    def of_due(self) -> Iterator[Letter]:
        """Yield the warnings to operators of forgettings whose due day is near: of each, one mail to each of them."""
        soon = [plan for plan in planned(self._workspace) if plan.is_soon_due]
        for to, address in self._recipients.operators() if soon else ():
            for plan in soon:
                yield self._writer.due(to, address, plan, self._recipients.page("/console/forgettings"))

    def _who_said(self, ending: Ending) -> Iterator[Recipient]:
        """Yield who can say a yes anew: the person whose it is, or the account's administrators."""
        if ending.party.startswith(_ACCOUNT):
            if self._workspace.parties.has_account(ending.account):
                yield from self._recipients.administrators(ending.account)
            return
        to = self._recipients.person(ending.party.removeprefix(_PERSON))
        if to is not None:
            yield to

    def _asked(self, to: Recipient) -> list[str]:
        """Return for what somebody's yes is asked for, and was never answered."""
        party = f"{_ACCOUNT}{to.account}" if to.administers else f"{_PERSON}{to.person}"
        found = self._workspace.consent.choices(party, account=to.account)
        return uses_of(
            dict.fromkeys(
                line.purpose
                for choice in found.choices
                for line in choice.lines
                if line.say is Say.ASKED and line.answer is PartyAnswer.NOTHING
            )
        )

    def _of_notice(self, entry: Entry) -> Iterator[Letter]:
        account, workspace = entry.body["account"], self._workspace
        history, now_us = workspace.history(), workspace.now_us
        announced = announced_to(history, account, now_us=now_us)
        one = next((found for found in announced if found.terms.id == entry.body["terms"]), None)
        if one is None:  # other terms have replaced it meanwhile
            return
        for to in self._recipients.of(account):
            party = f"{_ACCOUNT}{account}" if to.administers else workspace.party(f"{_PERSON}{to.person}")
            changes = changes_for(one, region_of(history, party, account))
            path = "/account/terms" if to.administers else f"/terms/{one.terms.id}"
            yield self._writer.terms(to, one, changes, self._recipients.link(to, path))

    def _of_refusals(self, party: str, seqs: Sequence[int]) -> Iterator[Letter]:
        to = self._recipients.person(party.removeprefix(_PERSON))
        if to is None:
            return
        standing = [one for one in self._requests(party) if one.seq in seqs and one.until_us is None]
        if standing:  # what was undone at once is no request
            found = self._workspace.consent.choices(f"{_PERSON}{to.person}", account=to.account)
            cards = [request_card(one, self._workspace.now_us, found) for one in reversed(standing)]
            yield self._writer.received(to, str(seqs[0]), cards, self._recipients.link(to, "/requests"))

    def _of_forgetting(self, entry: Entry) -> Iterator[Letter]:
        model = entry.body["model"]
        for party in entry.body["parties"]:
            if party.startswith(_ACCOUNT):
                account = party.removeprefix(_ACCOUNT)
                if self._workspace.parties.has_account(account):
                    for to in self._recipients.administrators(account):
                        yield self._writer.account_done(
                            to, str(entry.seq), model, self._recipients.link(to, "/account")
                        )
                continue
            recipient = self._recipients.person(party.removeprefix(_PERSON))
            if recipient is None:
                continue
            for one in self._requests(party):
                if one.is_done and any(each.model == model for each in one.models) and self._is_own(one.seq):
                    found = self._workspace.consent.choices(f"{_PERSON}{recipient.person}", account=recipient.account)
                    card = request_card(one, self._workspace.now_us, found)
                    link = self._recipients.link(recipient, "/requests")
                    yield self._writer.done(recipient, str(one.seq), card, link)

    def _requests(self, party: str) -> list[DataRequest]:
        try:
            return [one for one in self._workspace.rights.requests(party) if one.kind is RequestKind.REFUSAL]
        except VolitionError:  # a training set cannot be opened: the page says so, and no mail tells half of it
            return []

    def _is_own(self, seq: int) -> bool:
        """Say whether a no was the person's own, and not taken over from somebody who may be the same."""
        [entry] = self._workspace.ledger.entries(seq, seq + 1)
        return "namesake" not in entry.body
