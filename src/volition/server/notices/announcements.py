"""Announcements: which published terms concern the people of an account, and what changes for one of them.

An account has notice of every version published after the one that it accepted first. A version concerns its people
while it is to come, or while it is in force; not once another has replaced it.
"""

from dataclasses import dataclass
from itertools import product

from volition.consent.history import History
from volition.consent.terms.diff import Change, ChangeKind, changes_in
from volition.consent.terms.model import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A version that an account's people have to know of.

    Attributes:
        terms: The version.
        before: What is in force for the account until then; none where nothing is.
        binds_us: From when on it is in force for the account; none where that takes the account's yes first.
        in_force: Whether it is already.
    """

    terms: Terms
    before: Terms | None
    binds_us: int | None
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsChanges:
    """What a version changes in one region, in plain sentences.

    Attributes:
        allowed: What may be done under it that could not be done before.
        asked: Whose yes it asks for anew.
        invites: Whether it asks a person's yes for anything anew.
        others: How many other changes there are.
    """

    allowed: tuple[str, ...]
    asked: tuple[str, ...]
    invites: bool
    others: int


def announced_to(history: History, account: str, *, now_us: int) -> tuple[Announced, ...]:
    """Return the versions that an account's people have to know of, the oldest first."""
    noticed = history.bindings.noticed(account)
    if not noticed:
        return ()
    bindings = history.bindings.terms_of(account)
    newest = noticed[-1][1].id
    found = []
    for _, terms in noticed:
        place = next((place for place, (_, one) in enumerate(bindings) if one.id == terms.id), None)
        if place is not None and not any(start_us <= now_us for start_us, _ in bindings[place + 1 :]):
            start_us = bindings[place][0]
            before = bindings[place - 1][1] if place else None
            found.append(Announced(terms=terms, before=before, binds_us=start_us, in_force=start_us <= now_us))
        elif place is None and terms.acceptance == "explicit" and terms.id == newest:
            known = next((one for start_us, one in reversed(bindings) if start_us <= now_us), None)
            found.append(Announced(terms=terms, before=known, binds_us=None, in_force=False))
    return tuple(found)


def region_of(history: History, party: str, account: str) -> str | None:
    """Return the region whose rules hold for a party of an account: its own, else the account's; none if unknown."""
    known = history.regions(party) or history.regions(f"account:{account}")
    return known[-1][1] if known else None


def changes_for(announced: Announced, region: str | None) -> TermsChanges:
    """Return what a version changes for somebody in a region."""
    found = changes_in(announced.before, announced.terms, region)
    asked = tuple(change for change in found if change.kind is ChangeKind.ASKED)
    allowed = tuple(change for change in found if change.loosens)
    return TermsChanges(
        allowed=tuple(change.text for change in allowed),
        asked=tuple(change.text for change in asked),
        invites=any(_asks_people(announced.terms, change, region) for change in (*asked, *allowed)),
        others=len(found) - len(asked) - len(allowed),
    )


def _asks_people(terms: Terms, change: Change, region: str | None) -> bool:
    names = terms.vocabulary
    uses = product(names.leaves_of_data(change.data), names.leaves_of_use(change.purpose))
    rules = (terms.rule_for(category, purpose, region) for category, purpose in uses)
    return any(rule is not None and {"person", "everyone"} & {*rule.asks} for rule in rules)
