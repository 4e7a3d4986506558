"""What mails say: why they come, what is so, what can be done, and a link. In the words of the pages; plain text.

A mail never quotes a record and names nobody but its account. It speaks of what is in the ledger, so it can be checked.
"""

from collections.abc import Iterable, Sequence

from volition.server.auth import Principal
from volition.server.mail.recipients import Recipient
from volition.server.notices.announcements import Announced, TermsChanges
from volition.server.notices.outbox import Letter, MailKind
from volition.server.notices.reminders import Reminder
from volition.server.schedule import Planned
from volition.server.web import labels as words
from volition.server.web.announced import binding_of, heading_of, more_of
from volition.server.web.person.requests import RequestCard
from volition.workspace.mail_settings import MailSettings

_LISTED = 8
_LINK_DAYS = 30


class Writer:
    """Writes the mails of one service."""

    def __init__(self, site: str) -> None:
        """Name the service in every mail."""
        self._site = site

    def terms(self, to: Recipient, one: Announced, changes: TermsChanges, link: tuple[str, bool]) -> Letter:
        """Write of new terms: to a person what changes for them, to an administrator what they can do."""
        sentences = [*changes.allowed, *changes.asked]
        listed = sentences[:_LISTED]
        what = ["What it newly allows or asks:", *_items(listed)] if listed else []
        rest = more_of(changes, listed=len(listed))
        if to.administers:
            act = f"You can read them, accept them, or say no for {to.organisation}:"
        else:
            act = "Read them, and say no or yes to each use:"
        why = "and an account's administrators are told of new terms before they take effect"
        if not to.administers:
            why = "and nobody's terms change without a word to them"
        return self._letter(
            to,
            kind=MailKind.TERMS,
            about=one.terms.id,
            subject=heading_of(one, to.organisation),
            paragraphs=[
                " ".join(filter(None, [heading_of(one, to.organisation), binding_of(one, to.organisation)])),
                "\n".join(what),
                rest,
                f"{act}\n{link[0]}",
            ],
            why=why,
            is_signed=link[1],
        )

    def invitation(self, to: Recipient, title: str, terms: str, uses: Sequence[str], link: tuple[str, bool]) -> Letter:
        """Write that terms which are in force ask for somebody's yes, and that nothing is used without it."""
        whose = f"the yes of {to.organisation}" if to.administers else "your yes"
        return self._letter(
            to,
            kind=MailKind.INVITATION,
            about=terms,
            subject=f"{to.organisation}: {whose} is asked for",
            paragraphs=[
                f'The terms "{title}" are in force for {to.organisation}. They ask for {whose} to:',
                "\n".join(_items(uses)),
                "Without it none of this is done. No answer is not a yes, and any answer can be changed.",
                f"Decide here:\n{link[0]}",
            ],
            why="and these terms ask you",
            is_signed=link[1],
        )

    def received(self, to: Recipient, about: str, cards: Sequence[RequestCard], link: tuple[str, bool]) -> Letter:
        """Write that what somebody asked for was received, and how far it is."""
        told = [f"{card.title}\n{card.when}.\n{' '.join(card.detail)}" for card in cards]
        return self._letter(
            to,
            kind=MailKind.RECEIVED,
            about=about,
            subject=f"{to.organisation}: your no was received",
            paragraphs=["What you said is recorded:", *told, f"Follow it here:\n{link[0]}"],
            why="and you said no, or somebody did who was signed in as you. If that was not you, open the link and "
            "answer anew",
            is_signed=link[1],
        )

    def ending(self, to: Recipient, found: Sequence[Reminder], link: tuple[str, bool]) -> Letter:
        """Write that a yes ends soon, to what, and how it goes on; all that are of one day in one mail."""
        whose = f"the yes of {to.organisation}" if to.administers else "your yes"
        day = words.day(found[0].ending.end_us)
        items = [f"{words.purposes(one.ending.purposes)}, with {words.categories(one.ending.data)}" for one in found]
        kept = "If you say yes again before that day, it goes on without a gap."
        return self._letter(
            to,
            kind=MailKind.ENDING,
            about=f"{found[0].day} {found[0].days}",
            subject=f"{to.organisation}: {whose} ends on {day}",
            paragraphs=[
                f"On {day} (UTC) {whose} ends to:",
                "\n".join(_items(dict.fromkeys(items))),
                f"{kept} If you do nothing, it ends: from then on this counts as a no.",
                f"Say yes or no here:\n{link[0]}",
            ],
            why="and a yes that ends is not let run out without a word",
            is_signed=link[1],
        )

    def done(self, to: Recipient, about: str, card: RequestCard, link: tuple[str, bool]) -> Letter:
        """Write that what somebody asked for was done."""
        return self._letter(
            to,
            kind=MailKind.DONE,
            about=about,
            subject=f"{to.organisation}: your no was done",
            paragraphs=[f"{card.title}\n{card.when}.\n{' '.join(card.detail)}", f"See what was done:\n{link[0]}"],
            why="and you asked for this",
            is_signed=link[1],
        )

    def account_done(self, to: Recipient, about: str, model: str, link: tuple[str, bool]) -> Letter:
        """Write to an administrator that a model has forgotten what the account's no covers."""
        return self._letter(
            to,
            kind=MailKind.DONE,
            about=about,
            subject=f"{to.organisation}: the account's no was done",
            paragraphs=[
                f"The model {model} has forgotten what {to.organisation} said no to.",
                f"The account's settings:\n{link[0]}",
            ],
            why="and this was asked for the account",
            is_signed=link[1],
        )

    def due(self, to: Principal, address: str, plan: Planned, link: str) -> Letter:
        """Write to an operator that a model still owes a forgetting, and what becomes of it; never whose no it was."""
        owed = plan.owed
        since, due = words.day(owed.since_us), words.moment(owed.due_us)
        paragraphs = [
            f"The model {owed.model} has to forget {owed.rows:,} records, required since {since} and due by {due}.",
            owed.blocked,
            "A worker does it by itself. If it is not done by then, the model is stopped and its files are erased.",
            f"See what keeps it:\n{link}",
            "You get this mail because you operate this service, and a due day is near.",
            f"-- \n{self._site}",
        ]
        day = words.day(owed.due_us)
        return Letter(
            key=f"{MailKind.DUE.value} {owed.model} {owed.due_us} {to.user}",
            kind=MailKind.DUE,
            about=owed.model,
            account="",
            person=None,
            user=to.user,
            address=address,
            subject=f"{self._site}: a forgetting is due by {day}",
            body="\n\n".join(filter(None, paragraphs)) + "\n",
        )

    def _letter(  # noqa: PLR0913 - what a mail has
        self,
        to: Recipient,
        *,
        kind: MailKind,
        about: str,
        subject: str,
        paragraphs: Sequence[str],
        why: str,
        is_signed: bool,
    ) -> Letter:
        signed = f"The link lets you in without a password, for {_LINK_DAYS} days. Do not pass it on: "
        signed += "anyone who has it can answer for you."
        role = f"you administer {to.organisation} here" if to.administers else f"{to.organisation} knows you here"
        reason = f"You get this mail because {role}, {why}."
        text = "\n\n".join(filter(None, [*paragraphs, signed if is_signed else "", reason, f"-- \n{self._site}"]))
        return Letter(
            key=f"{kind.value} {about} {to.account} {to.key}",
            kind=kind,
            about=about,
            account=to.account,
            person=to.person,
            user=to.user,
            address=to.address,
            subject=subject,
            body=f"{text}\n",
        )


def trial_mail(settings: MailSettings) -> tuple[str, str]:
    """Return the subject and the text of the mail that `volition mail test` sends."""
    where = f"{settings.host}:{settings.port}"
    return "A test of Volition's mail", (
        f"This mail came by the mail server {where}, as [mail] in volition.toml says.\n\n"
        "You get it because somebody who runs the service gave your address to `volition mail test`.\n"
    )


def uses_of(purposes: Iterable[str]) -> list[str]:
    """Return what purposes are called, a line each."""
    return [words.purpose(one).title for one in purposes]


def _items(sentences: Iterable[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]
