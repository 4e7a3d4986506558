"""Terms: the text, which version is in force since when, and what changed since the version the account accepted."""

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from volition.consent.history import History
from volition.consent.terms.diff import Change, diff
from volition.consent.terms.model import Terms
from volition.errors import InvalidInputError
from volition.server.auth import PEOPLE
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.markdown import to_html
from volition.server.web.page import Badge, Nav, Pages, Visit
from volition.server.web.person.settings import party_of

pages = Pages()
PATH: Final = "/terms"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One change in plain words, and whether anything may be done afterwards that could not be done before."""

    text: str
    loosens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published version.

    Attributes:
        title: What it is called.
        id: Its id.
        href: Where it is shown.
        is_here: Whether it is shown now.
        state: Whether it is in force for the account.
        when: Since when, from when on, or what is missing.
    """

    title: str
    id: str
    href: str
    is_here: bool
    state: Badge
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsPage:
    """One version of the terms.

    Attributes:
        title: The page's heading.
        lead: Which version this is, and whether it is in force.
        empty: Why there is nothing; empty where there is.
        state: Whether the version shown is in force for the account.
        compared: With what it is compared, in a sentence; empty where there is nothing to compare.
        changes: What is different in it.
        text: The text, as HTML; empty where it is not kept.
        digest: SHA-256 of the text, hexadecimal.
        versions: Every version, the newest first.
    """

    title: str
    lead: str
    empty: str
    state: Badge
    compared: str
    changes: tuple[ChangeLine, ...]
    text: Markup
    digest: str
    versions: Cut[Version]


@pages.get(PATH, roles=PEOPLE, template="terms.html", nav=Nav(label="Terms", place=70))
def show(visit: Visit) -> TermsPage:
    """Show the terms in force; the newest where none are."""
    return _page(visit, None)


@pages.get(f"{PATH}/{{version}}", roles=PEOPLE, template="terms.html")
def show_version(visit: Visit) -> TermsPage:
    """Show one version."""
    return _page(visit, visit.path["version"])


def _page(visit: Visit, wanted: str | None) -> TermsPage:
    _, account = party_of(visit)
    workspace = visit.workspace
    history, now_us = workspace.history(), workspace.now_us
    organisation = workspace.parties.account(account).name
    published = history.bindings.published()
    if not published:
        return TermsPage(
            title="Terms",
            lead="",
            empty="No terms have been published yet, so nothing may be done with anyone's data.",
            state=Badge(word="None in force", is_on=False),
            compared="",
            changes=(),
            text=Markup(),
            digest="",
            versions=cut(visit, (), of="version"),
        )
    binding = [terms for start_us, terms in history.bindings.terms_of(account) if start_us <= now_us]
    shown = next((terms for terms in published if terms.id == wanted), None) if wanted else [*published, *binding][-1]
    if shown is None:
        raise InvalidInputError(f"No terms {wanted!r} were published. Choose one from the list of versions.")
    compared, changes = _changes(history, account, shown, organisation)
    versions = [
        version_of(terms, history, account, organisation, now_us=now_us, shown=shown) for terms in reversed(published)
    ]
    here = next(version for version in versions if version.is_here)
    return TermsPage(
        title=shown.title,
        lead=f"Version {shown.id}. {here.when}",
        empty="",
        state=here.state,
        compared=compared,
        changes=tuple(ChangeLine(text=change.text, loosens=change.loosens) for change in changes),
        text=to_html(workspace.terms.text(shown)),
        digest=shown.text_digest,
        versions=cut(visit, versions, of="version"),
    )


def _changes(history: History, account: str, shown: Terms, organisation: str) -> tuple[str, tuple[Change, ...]]:
    """Compare the version that is shown with the one that was accepted; where it is that one, the newest with it."""
    accepted = history.bindings.accepted(account)
    if accepted is None:
        return f"{organisation} has not accepted any terms yet, so there is nothing to compare with.", ()
    at_us, old = accepted
    new = history.bindings.published()[-1] if shown.id == old.id else shown
    since = f"{old.id}, which {organisation} accepted on {words.day(at_us)}"
    if new.id == old.id:
        return f"Nothing has changed since {since}: no newer version was published.", ()
    found = diff(old, new)
    if not found.changes:
        return f"Between {since}, and {new.id}: {' '.join(found.lines())}", ()
    return f"What is different in {new.id} from {since}:", found.changes


def version_of(  # noqa: PLR0913 - a version, and how it stands for whom
    terms: Terms, history: History, account: str, organisation: str, *, now_us: int, shown: Terms
) -> Version:
    """Return how a version stands for an account."""
    steps = [(start_us, one) for start_us, one in history.bindings.terms_of(account) if one.id == terms.id]
    binding = [one.id for start_us, one in history.bindings.terms_of(account) if start_us <= now_us][-1:]
    accepted = history.bindings.accepted(account)
    if terms.id in binding:
        state, when = (
            Badge(word="In force", is_on=True),
            f"In force for {organisation} since {words.day(steps[-1][0])}.",
        )
    elif steps and steps[-1][0] > now_us:
        state, when = Badge(word="To come", is_on=False), f"It takes effect on {words.day(steps[-1][0])}."
    elif steps:
        state, when = Badge(word="Replaced", is_on=False), "A newer version replaced it."
    elif accepted is None and terms.id == history.bindings.published()[-1].id:
        state = Badge(word="Not accepted", is_on=False)
        when = f"{organisation} has not accepted it; until then nothing is used."
    else:
        state, when = (
            Badge(word="Not accepted", is_on=False),
            f"Not in force for {organisation}, which has not accepted it.",
        )
    return Version(
        title=terms.title, id=terms.id, href=f"{PATH}/{terms.id}", is_here=terms.id == shown.id, state=state, when=when
    )
