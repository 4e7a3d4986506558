"""The uses of AI on a feature's page, for the visitor: which are on, and who can turn on what is off.

Made from the same `choices.Choices` as the settings page, so the two say the same; and only for the kinds of data that
the page is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.choices import ChoiceLine, Choices, PartyAnswer
from volition.consent.permits import Reason, Refusal, Say
from volition.errors import RefusedError
from volition.server.web import labels as words
from volition.server.web.page import Badge, Visit
from volition.server.web.person.settings import PATH
from volition.server.web.standing import line_state

_LEFT_OUT: Final = Badge(word="Left out", is_on=False)
_JUDGED: Final = 20  # records that are asked about one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class UseState:
    """One use of the visitor's own data that the page is about.

    Attributes:
        name: The purpose, as an id on the page.
        title: What it is called.
        state: Whether it is on.
        why: Who said what, in a sentence.
        href: Where it is switched.
    """

    name: str
    title: str
    state: Badge
    why: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureOff:
    """A feature that does not work here now.

    Attributes:
        title: Which, and that it is off.
        detail: Why, and who can turn it on.
        works: What works without it.
        href: Where the switch is.
    """

    title: str
    detail: str
    works: str
    href: str


def member(visit: Visit) -> tuple[str, str]:
    """Return the visitor, as a person and their account.

    Raises:
        RefusedError: They are not a person of an account.
    """
    if visit.who.person is None or visit.who.account is None or visit.who.is_guest:
        raise RefusedError("This page is for a person of an account, and you are not signed in as one.")
    return visit.who.person, visit.who.account


def uses(
    visit: Visit, purposes: Sequence[str], category: str, *, conversation: str | None = None
) -> tuple[UseState, ...]:
    """Return whether the visitor's data of one category is used, by purpose; purposes without a switch are left out.

    Args:
        visit: Whose page it is.
        purposes: The uses that the page is about.
        category: The kind of data.
        conversation: The meeting or channel that the page is about, by its name: it may be left out; none for all.
    """
    person, account = member(visit)
    left_out = {} if conversation is None else _left_out_by(visit, conversation)
    found = visit.workspace.consent.choices(f"person:{person}", account=account)
    organisation = visit.workspace.parties.account(account).name
    shown = []
    for purpose in purposes:
        switch, line = _line(found, purpose, category)
        if line is not None:
            shown.append(
                UseState(
                    name=purpose.replace("/", "-"),
                    title=words.purpose(purpose).title,
                    state=_LEFT_OUT if purpose in left_out else line_state(line),
                    why=left_out.get(purpose) or why_it_stands(line, organisation),
                    href=f"{PATH}#{switch}",
                )
            )
    return tuple(shown)


def off(  # noqa: PLR0913 - what is off, where, and what it would read
    visit: Visit,
    purpose: str,
    category: str,
    *,
    works: str,
    records: Sequence[str] = (),
    conversation: str = "",
) -> FeatureOff:
    """Say that a feature is off, why, and who can turn it on.

    Args:
        visit: Whose page it is.
        purpose: The feature's.
        category: The kind of data that it reads here.
        works: What works without it, in a sentence.
        records: What the visitor can read of what it would read, where it reads single records: their ids.
        conversation: The meeting or channel that the page is about, by its name; empty for none.
    """
    person, account = member(visit)
    found = visit.workspace.consent.choices(f"person:{person}", account=account)
    organisation = visit.workspace.parties.account(account).name
    switch, line = _line(found, purpose, category)
    title = words.purpose(purpose).title
    if line is None:
        detail = _without_switch(found, purpose, organisation)
    elif isinstance(line.of_account, Refusal):
        detail = f"{why_it_stands(line, organisation)} An administrator of {organisation} can turn it on."
    elif line.is_limited:
        detail = f"{organisation} limits this for you. An administrator of {organisation} can lift the limit."
    elif isinstance(line.own, Refusal):
        detail = f"{why_it_stands(line, organisation)} You can turn it on yourself, under AI settings."
    else:
        left_out = _left_out_by(visit, conversation).get(purpose) if conversation else None
        detail = left_out or _in_the_way(visit, line, records, organisation)
    return FeatureOff(
        title=f"{title}: off here", detail=detail, works=works, href=f"{PATH}#{switch}" if switch else PATH
    )


def _left_out_by(visit: Visit, conversation: str) -> dict[str, str]:
    """Say of each use that a conversation was left out of who did so: the account, or the visitor."""
    person, account = member(visit)
    exclusions = visit.workspace.exclusions
    organisation = visit.workspace.parties.account(account).name
    own = exclusions.of_conversation(conversation, account=account, by=person)
    of_account = exclusions.of_conversation(conversation, account=account)
    return dict.fromkeys(own, "You left this conversation out, and can take it back in on this page.") | dict.fromkeys(
        of_account, f"{organisation} left this conversation out. Its administrator can take it back in."
    )


def _without_switch(found: Choices, purpose: str, organisation: str) -> str:
    """Say why there is nothing to choose for a use."""
    if found.terms is None:
        return "No terms have been published yet, so nothing is allowed here."
    if any(never.purpose == purpose for never in found.never):
        whose = "The terms" if found.accepted else f"The terms that {organisation} could accept"
        return f"{whose} forbid it, so nobody can turn it on here."
    return f"There is no switch for it here, for you or for {organisation}."


def _in_the_way(visit: Visit, line: ChoiceLine, records: Sequence[str], organisation: str) -> str:
    """Say why what the visitor and their account allow is not used all the same; nothing of what others said."""
    person, account = member(visit)
    own = {visit.workspace.party(f"person:{person}"): "yours", f"account:{account}": f"that of {organisation}"}
    found = [visit.workspace.gate.may(line.purpose, record=record).verdict for record in records[:_JUDGED]]
    reasons = {(verdict.reason, own.get(verdict.party)) for verdict in found if not verdict.permitted}
    if len(reasons) == 1:
        [(reason, whose)] = reasons
        if reason is Reason.BEFORE_YES and whose is not None and not _rests_on_yes(line, is_own=whose == "yours"):
            return "What is here was collected before the terms allowed this, or while it was refused, so it stays out."
        if reason is Reason.BEFORE_YES and whose is not None:
            return (
                f"What is here was collected before the yes that it needs, {whose}. A yes counts from when it is "
                "given, unless it includes earlier data, which can be chosen with it."
            )
        if reason is Reason.TOO_OLD:
            return "What is here is older than the terms allow, so it is no longer used."
        if reason is Reason.UNKNOWN_PARTY:
            return "It is not known whom what is here concerns, so nobody could be asked, and it is not used."
    return "Nothing here may be used for it now. What others allow, and since when, is theirs to say."


def _rests_on_yes(line: ChoiceLine, *, is_own: bool) -> bool:
    """Say whether what is allowed on the visitor's or on the account's side is allowed by a yes, and not by silence."""
    if is_own:
        return line.say is Say.ASKED or (line.say is Say.MAY_REFUSE and line.answer is PartyAnswer.YES)
    return line.account_say is Say.ASKED


def _line(found: Choices, purpose: str, category: str) -> tuple[str, ChoiceLine | None]:
    for choice in found.choices:
        for line in choice.lines:
            if (line.purpose, line.category) == (purpose, category):
                return choice.switch.name, line
    return "", None


def why_it_stands(line: ChoiceLine, organisation: str) -> str:
    """Say of a use who allows it, by saying so or by not refusing; or who does not, or what else is in the way."""
    for answer, who, has in ((line.of_account, organisation, "has"), (line.own, "You", "have")):
        if isinstance(answer, Refusal):
            if answer is line.own and line.by_signal:
                return f"{words.SIGNAL.capitalize()}."
            match answer.reason.value:
                case "not-asked":
                    return f"{who} {has} not answered."
                case "said-no":
                    return f"{who} said no."
                case "withdrawn":
                    return f"{who} withdrew the yes."
                case "expired":
                    return f"{who} said a yes that has ended."
                case "no-terms":
                    return f"{organisation} has not accepted any terms."
                case _:
                    return f"{words.REASON[answer.reason].capitalize()}."
    account = {
        Say.ASKED: f"{organisation} said yes",
        Say.MAY_REFUSE: f"{organisation} does not refuse it",
        Say.NONE: f"the terms do not ask {organisation}",
    }[line.account_say]
    own = {
        Say.ASKED: "you said yes",
        Say.MAY_REFUSE: "you said yes" if line.answer is PartyAnswer.YES else "you have not refused it",
        Say.NONE: "the terms do not ask you",
    }[line.say]
    return f"Allowed: {account}, and {own}{words.more_elsewhere(line)}."
