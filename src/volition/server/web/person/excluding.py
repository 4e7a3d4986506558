"""Leaving one conversation out of a use of AI, or of all, and taking it back in: a form on the conversation's page.

A person and a guest leave out what concerns them in it, an administrator all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from volition.canonical import whole_number
from volition.errors import InvalidInputError, RefusedError
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.lists import Cut, cut
from volition.server.web.page import Notice, Pages, Redirect, Visit
from volition.server.web.person.settings import party_of

pages = Pages()
ACTION: Final = "/exclusions"
ACCOUNT_ACTION: Final = "/account/exclusions"
ANCHOR: Final = "left-out"

_HOMES: Final[Mapping[str, str]] = {"meeting": "/meetings", "channel": "/chat"}
_GUEST_HOME: Final = "/guest"
_ACCOUNT_HOME: Final = "/account"
_EVERY: Final = "every"
_SHOWN: Final = 20  # conversations that an account has left out, on one page
LEFT_OUT: Final = "conversation"
"""The field of an address that says which conversation is to be on a guest's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseOption:
    """A use of which a conversation can be left out: as the form sends it, and what it is called."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluding:
    """What is left out of one conversation, and the form that changes it.

    Attributes:
        kind: What it is, in a word, such as "meeting".
        name: What it is called.
        id: By which the form is found on a page that has several.
        action: Where the forms are sent.
        left_out: Of which uses it is left out, in words; empty for none.
        of_account: Of which uses the account leaves it out, for everybody in it, in a sentence; empty for none.
        options: Of which it can be left out still; none where it is left out of all.
        detail: What leaving it out does, in a sentence.
    """

    kind: str
    name: str
    id: str
    action: str
    left_out: str
    of_account: str
    options: tuple[UseOption, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLeftOut:
    """A conversation that the account has left out. Its name is not kept in the ledger, so it is known by its entry.

    Attributes:
        seq: Number of the entry.
        detail: Of which uses, and since when, in a sentence.
    """

    seq: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountExclusions:
    """What an account has left out, the newest first, and the form that leaves out more.

    Attributes:
        left_out: What is left out.
        options: Of which uses something can be left out.
        action: Where the forms are sent.
    """

    left_out: Cut[AccountLeftOut]
    options: tuple[UseOption, ...]
    action: str


def excluding_of(visit: Visit, kind: str, name: str, purposes: Sequence[str], *, anchor: str = ANCHOR) -> Excluding:
    """Return what the visitor has left out of a conversation that they may see.

    Args:
        visit: Whose page it is.
        kind: What it is: "meeting" or "channel".
        name: What it is called.
        purposes: The uses that the page speaks of: of these single ones can be left out, or else every use.
        anchor: By which the form is found on the page.
    """
    person, account = _visitor(visit)
    left_out = visit.workspace.exclusions.of_conversation(name, account=account, by=person)
    word = "conversation" if kind == "channel" else kind
    return Excluding(
        kind=kind,
        name=name,
        id=anchor,
        action=ACTION,
        left_out=words.uses(left_out) if left_out else "",
        of_account=_of_account(visit, account, name, word),
        options=_options(purposes, left_out),
        detail=f"What you leave it out of takes nothing from this {word} that concerns you: neither what was said so "
        "far nor what is said later. A model that learned from it forgets it within "
        f"{words.count(visit.workspace.due_days, 'day')}. Your answers under AI settings stay as they are, and you can "
        "take it back in at any time.",
    )


def account_exclusions(visit: Visit, account: str) -> AccountExclusions:
    """Return what an account has left out."""
    return AccountExclusions(
        left_out=cut(
            visit, visit.workspace.exclusions.of(account), of="conversation", size=_SHOWN, name="left-out"
        ).each(
            lambda one: AccountLeftOut(
                seq=one.seq,
                detail=f"Left out on {words.day(one.at_us)} (entry {one.seq:,}): {words.uses(one.purposes)}.",
            )
        ),
        options=_options(words.vocabulary().purposes, ()),
        action=ACCOUNT_ACTION,
    )


@pages.post(ACTION, roles=[Role.PERSON, Role.GUEST])
def exclude(visit: Visit) -> Redirect:
    """Leave a conversation out, or take it back in, and go back to where the visitor was."""
    person, account = _visitor(visit)
    kind, name = visit.form.get("kind", ""), visit.form.get("name", "")
    if kind not in _HOMES:
        raise InvalidInputError("Only meetings and conversations can be left out here. Reload the page and try again.")
    excluded, purpose = _wanted(visit)
    exclusions = visit.workspace.exclusions
    before = exclusions.of_conversation(name, account=account, by=person)
    entry = exclusions.exclude(name, account=account, by=person, purpose=purpose, excluded=excluded)
    word = "conversation" if kind == "channel" else kind
    if excluded:
        did = f"What concerns you in this {word} is left out of {words.uses(_leaves(purpose))}."
    else:  # it may be left out by others, or refused: only their own leaving out is over
        back = words.uses([use for use in before if use in _leaves(purpose)] or _leaves(purpose))
        did = f"You no longer leave this {word} out of {back}. {_of_account(visit, account, name, word)}".strip()
    text = f"{did} It is recorded as entry {entry.seq:,} of the ledger." if entry else ""
    of_guest = f"{_GUEST_HOME}?{LEFT_OUT}={quote(name, safe='')}"
    home = of_guest if visit.who.is_guest else f"{_HOMES[kind]}/{quote(name, safe='')}"
    anchor = visit.form.get("anchor") or ANCHOR
    return Redirect(
        to=f"{home}#{quote(anchor, safe='')}", notice=Notice(text=text or "Nothing was changed: it was so already.")
    )


@pages.post(ACCOUNT_ACTION, roles=[Role.ADMINISTRATOR])
def exclude_for_account(visit: Visit) -> Redirect:
    """Leave a conversation out for the whole account, or take it back in."""
    account = visit.who.account
    if account is None:
        raise RefusedError("You are not signed in as an administrator of an account.")
    if visit.form.get("do") == "include":
        seq = whole_number(visit.form.get("entry", ""))
        entry = visit.workspace.exclusions.lift(account, -1 if seq is None else seq)
        did = "taken back in"
    else:
        excluded, purpose = _wanted(visit)
        leave_out = partial(visit.workspace.exclusions.exclude, account=account, purpose=purpose, excluded=excluded)
        name = visit.form.get("name", "")
        try:
            entry = leave_out(name)  # a name may begin or end with blanks
        except InvalidInputError:
            if name == name.strip():
                raise
            entry = leave_out(name.strip())
        did = f"left out of {words.uses(_leaves(purpose))}"
    text = f"The conversation is {did}. It is recorded as entry {entry.seq:,} of the ledger." if entry else ""
    return Redirect(
        to=f"{_ACCOUNT_HOME}#{ANCHOR}", notice=Notice(text=text or "Nothing was changed: it was so already.")
    )


def _wanted(visit: Visit) -> tuple[bool, tuple[str, ...]]:
    """Return whether a form leaves out or takes back in, and of which uses."""
    act, use = visit.form.get("do"), visit.form.get("use", _EVERY)
    if act not in {"exclude", "include"} or use not in {_EVERY, *words.vocabulary().purposes}:
        raise InvalidInputError("Say of which use to leave it out, or take it back in. Reload the page and try again.")
    return act == "exclude", words.vocabulary().all_uses if use == _EVERY else (use,)


def _of_account(visit: Visit, account: str, name: str, word: str) -> str:
    left_out = visit.workspace.exclusions.of_conversation(name, account=account)
    organisation = visit.workspace.parties.account(account).name
    return f"{organisation} leaves this {word} out of {words.uses(left_out)}, for everybody in it." if left_out else ""


def _options(purposes: Sequence[str], left_out: Sequence[str]) -> tuple[UseOption, ...]:
    known = words.vocabulary().purposes
    left = [purpose for purpose in known if purpose not in left_out]
    if not left:
        return ()
    every = "Every use of AI" if len(left) == len(known) else "Every other use of AI"
    single = [UseOption(name=one, title=words.purpose(one).title) for one in purposes if one in left]
    return (UseOption(name=_EVERY, title=every), *single)


def _leaves(purpose: Sequence[str]) -> tuple[str, ...]:
    known = words.vocabulary()
    return known.purposes if tuple(purpose) == known.all_uses else tuple(purpose)


def _visitor(visit: Visit) -> tuple[str, str]:
    party, account = party_of(visit)
    return party.removeprefix("person:"), account
