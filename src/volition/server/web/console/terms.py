"""Terms that were published, and how far the notice of each has come, for the operator: counts, and no names."""

from dataclasses import dataclass
from typing import Final

from volition.server.auth import Role
from volition.server.notices.deliveries import Delivery, deliveries
from volition.server.notices.outbox import MailState
from volition.server.reading import NOBODY
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Nav, Pages, Visit

pages = Pages()

PATH: Final = "/console/terms"
_ANSWERS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLine:
    """The notice of one version in one account: how far it has come, in a sentence."""

    terms: str
    account: str
    published_us: int
    delivered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndeliveredLine:
    """A mail that was not delivered: about what, its state, how often it was tried, and the mail server's answer."""

    kind: str
    state: str
    tries: int
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleTermsPage:
    """Published terms and their notices.

    Attributes:
        title: The page's heading.
        lead: What is here, in a sentence.
        mail: Whether mail is sent, and what became of it, in a sentence.
        notices: The notices, the newest first.
        undelivered: Mails that were not delivered, the newest first.
    """

    title: str
    lead: str
    mail: str
    notices: Cut[NoticeLine]
    undelivered: tuple[UndeliveredLine, ...]


@pages.get(PATH, roles=[Role.OPERATOR], template="console-terms.html", nav=Nav(label="Terms", place=265), reads=NOBODY)
def show(visit: Visit) -> ConsoleTermsPage:
    """Show to how many people each notice was delivered."""
    found = sorted(
        deliveries(visit.workspace, visit.shown, visit.outbox), key=lambda one: (-one.published_us, one.account)
    )
    names = {account.id: account.name for account in visit.workspace.parties.accounts()}
    return ConsoleTermsPage(
        title="Terms",
        lead="A notice in the ledger says that new terms were announced to an account. Here is whom that has reached: "
        "those to whom a page with it was sent, signed in, and those whose mail was taken by your mail server.",
        mail=_mail(visit),
        notices=cut(
            visit, found, of="notice", find=lambda one: f"{one.terms}\n{names.get(one.account, one.account)}"
        ).each(lambda one: _line(one, names)),
        undelivered=tuple(
            UndeliveredLine(kind=kind, state=state.value, tries=tries, answer=answer)
            for kind, state, answer, tries in visit.outbox.not_delivered(most=_ANSWERS)
        ),
    )


def _line(one: Delivery, names: dict[str, str]) -> NoticeLine:
    return NoticeLine(
        terms=one.terms,
        account=names.get(one.account, one.account),
        published_us=one.published_us,
        delivered=one.sentence,
    )


def _mail(visit: Visit) -> str:
    if visit.workspace.mail is None:
        return "No mail is sent: volition.toml has no [mail]."
    counts = visit.outbox.counts()
    parts = [
        f"{counts[MailState.SENT]:,} taken by the mail server",
        f"{counts[MailState.WAITING]:,} to be sent",
        f"{counts[MailState.REFUSED]:,} refused",
        f"{counts[MailState.GIVEN_UP]:,} given up",
    ]
    return f"Mails so far: {words.listed(parts)}."
