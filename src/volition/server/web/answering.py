"""What a yes and a no to a switch would do, said before the click, and what was answered, said after it.

The same for a person and for an account: each sentence is computed from the choice as it stands, kind of data by kind
of data, so that a page does not promise what the gate will not do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from volition.consent.choices import Choice, ChoiceLine, PartyAnswer, Standing
from volition.consent.permits import Permit, Reason, Refusal, Say
from volition.errors import InvalidInputError
from volition.server.notices.reminders import DAY_US
from volition.server.web import labels as words
from volition.server.web.page import Notice, Redirect, Undo, Visit
from volition.workspace import Workspace

_HEARD: Final = (Say.ASKED, Say.MAY_REFUSE)


def spoken(lines: Iterable[ChoiceLine]) -> str:
    """Say for which kinds of data and which purposes some lines are: "chat messages (search), files (search)"."""
    by_purpose: dict[str, list[str]] = {}
    for line in lines:
        by_purpose.setdefault(line.purpose, []).append(line.category)
    alike: dict[tuple[str, ...], list[str]] = {}
    for purpose, categories in by_purpose.items():
        alike.setdefault(tuple(categories), []).append(purpose)
    return "; ".join(
        f"{words.categories(categories)} for {words.purposes(purposes)}" for categories, purposes in alike.items()
    )


def given_elsewhere(workspace: Workspace, party: str) -> str:
    """Say that answers of a party ("account:ID", "person:ID") were imported, to follow a sentence; empty for none."""
    decisions = workspace.history().party(workspace.party(party)).decisions
    imported = sum(one.claimed_us is not None for one in decisions)
    if not imported:
        return ""
    were, each = ("was", "it counts") if imported == 1 else ("were", "each counts")
    return f" {words.count(imported, 'answer')} {were} given elsewhere and imported: {each} from when its source says."


def named(choice: Choice, lines: Sequence[ChoiceLine]) -> str:
    """Say which part of a switch some lines are; where it has one purpose, its kinds of data are enough."""
    if len(choice.purposes) == 1:
        return words.categories(line.category for line in lines)
    return spoken(lines)


def what_a_yes_does(choice: Choice, *, is_account: bool = False) -> list[str]:
    """Say which data a yes would reach."""
    heard = choice.with_say(*_HEARD)
    opens = [line for line in heard if line.opens_with_yes]
    holds = [line for line in heard if isinstance(line.own, Permit)]
    waits = [line for line in heard if isinstance(line.own, Refusal) and not line.opens_with_yes]
    said = []
    if opens:
        part = f"For {named(choice, opens)}: it" if len(opens) < len(heard) else "It"
        said.append(f"{part} covers data collected from now on. Earlier data stays out, unless you include it.")
    free = "that is allowed without the account's yes" if is_account else "that is allowed without your yes"
    was_said = [line for line in holds if line.answer is PartyAnswer.YES]
    for those, why in ((was_said, "that was said already"), ([one for one in holds if one not in was_said], free)):
        if those:
            part = f"For {named(choice, those)}, it" if len(those) < len(heard) else "It"
            said.append(f"{part} changes nothing about data collected since {_since(those)}: {why}.")
    if ends := list(dict.fromkeys(words.day(line.end_us) for line in was_said if line.end_us is not None)):
        said.append(f"The yes that ends on {words.listed(ends)} then goes on after that day.")
    for reason, instant in _waits(is_account=is_account).items():
        those = [line for line in waits if isinstance(line.own, Refusal) and line.own.reason is reason]
        if those:
            part = f"For {named(choice, those)}, it" if len(those) < len(heard) else "It"
            said.append(f"{part} is recorded, and takes effect {instant}.")
    return [*said, words.YES_ENDS] if said else []


def _waits(*, is_account: bool) -> dict[Reason, str]:
    """Return what ends each refusal that a yes alone does not end; nothing ends those that are not here."""
    return {
        Reason.LIMITED: f"once {'it is unlocked' if is_account else 'the limit is lifted'}",
        Reason.NO_TERMS: "as soon as the terms are accepted",
    }


def what_a_no_does(choice: Choice, *, due_days: int, is_account: bool = False) -> list[str]:
    """Say what a no would stop, purpose by purpose, what it turns off besides, and what it leaves as it is.

    Args:
        choice: The switch.
        due_days: Days within which models must forget.
        is_account: Whether it is the account that answers.
    """
    said = []
    for purpose in choice.purposes:
        lines = [line for line in choice.lines if line.purpose == purpose]
        heard = [line for line in lines if line.say is not Say.NONE]
        if len(heard) == len(lines):
            said.append(_for_all(purpose) if is_account else words.purpose(purpose).without)
        elif heard:
            bound = [line.category for line in lines if line.say is Say.NONE]
            reached = words.categories(line.category for line in heard)
            said.append(
                f"{words.purpose(purpose).title}: {reached} will not be used. It does not reach "
                f"{words.categories(bound)}: the terms give you no say in that."
            )
    if any(line.purpose.startswith("train/") for line in choice.with_say(*_HEARD)):
        said.append(f"What models have learned from that data, they must forget within {due_days} days.")
    besides = [words.purpose(purpose).title for purpose in choice.purposes if choice.is_besides(purpose)]
    said.append(f"This no also turns off: {words.listed(besides)}." if besides else "Nothing else is turned off.")
    kept = [feature for feature in _features_of(choice.purposes) if feature not in choice.purposes]
    if kept:
        said.append(f"It does not turn off {words.listed([words.purpose_in_words(name) for name in kept])}.")
    return list(dict.fromkeys(said))


def _for_all(purpose: str) -> str:
    """Say what the no of a whole account stops."""
    title = words.purpose(purpose).title
    if purpose.startswith("train/"):
        return "Models do not learn from the account's data."
    return f"{title}: nobody in the account can use it." if purpose.startswith("feature/") else f"{title}: stopped."


def _features_of(purposes: Iterable[str]) -> list[str]:
    features = [f"feature/{purpose.removeprefix('train/')}" for purpose in purposes if purpose.startswith("train/")]
    return [feature for feature in features if feature in words.vocabulary().purposes]


def what_was_answered(choice: Choice, *, you: str, has: str) -> str:
    """Say what a party has answered, and what follows from that or from its silence.

    Args:
        choice: The switch.
        you: Who answers, as a sentence begins: "You", or the account's name.
        has: "have" or "has".
    """
    says = "say" if has == "have" else "says"
    asked, free = choice.with_say(Say.ASKED), choice.with_say(Say.MAY_REFUSE)
    bound = [line for line in choice.with_say(Say.NONE) if line.stands]
    rest = f" {_first(spoken(bound))}: used all the same, since the terms give no say in that." if bound else ""
    match choice.answer:
        case PartyAnswer.YES:
            missing = {
                Standing.NONE: " It is still not used: see below what is missing.",
                Standing.PART: " Part of it is still not used: see below what is missing.",
                Standing.ALL: "",
            }
            return f"{you} said yes.{words.end_of(choice)}{missing[choice.standing()]}"
        case PartyAnswer.ENDED:
            again = f"{'you say' if you == 'You' else 'it says'} yes again"
            return f"{you} said yes.{words.end_of(choice)} Since then this counts as a no, until {again}.{rest}"
        case PartyAnswer.NO:
            return f"{_said_no(choice, you)}{rest}"
        case PartyAnswer.MIXED:
            return f"{you} {has} not given one answer for every kind of data; see below.{rest}"
    unanswered = f"{you} {has} not answered"
    if not free:
        return f"{unanswered}, and no answer is not a yes.{rest}"
    whose = "your" if you == "You" else "its"
    until = f"until {'you say' if you == 'You' else f'it {says}'} no"
    if not asked:
        return f"{unanswered}. The terms allow this without {whose} yes, {until}.{rest}"
    return (
        f"{unanswered}. The terms allow without {whose} yes, {until}: {spoken(free)}. They ask first for: "
        f"{spoken(asked)}; for that, no answer is not a yes.{rest}"
    )


def _said_no(choice: Choice, you: str) -> str:
    """Say that a party said no, or that what its browser sends counts as one, and how it says otherwise."""
    signalled = {line.by_signal for line in choice.with_say(*_HEARD)}
    if True not in signalled:
        return f"{you} said no."
    otherwise = "If you want to allow it all the same, say yes: your own answer counts over the signal."
    if signalled == {True}:
        return f"{you} have not answered, but {words.SIGNAL}. {otherwise}"
    return f"{you} said no to a part; for the rest {words.SIGNAL}. {otherwise}"


def when_it_counts(choice: Choice | None, *, yes: bool, is_account: bool = False) -> str:
    """Say from when on an answer that was just given counts, from the choice as it stands after it."""
    heard = () if choice is None else choice.with_say(*_HEARD)
    waits = _waits(is_account=is_account)
    instants = {waits.get(line.own.reason) if isinstance(line.own, Refusal) else None for line in heard}
    instant = instants.pop() if yes and len(instants) == 1 else None
    return f"counts {instant or 'from now on'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseAll:
    """One click that says no to every switch: where it is sent, and what it does, in a sentence or two."""

    action: str
    detail: str


def refusing_all(found: Sequence[Choice], *, action: str, shown: Sequence[Choice] | None = None) -> RefuseAll | None:
    """Offer a no to every switch on which the party has a say; none where that is fewer than two.

    Args:
        found: Every switch.
        action: Where the no is sent.
        shown: Those that the page shows; none for all.
    """
    heard = [choice for choice in found if choice.has_say]
    if len(heard) <= 1:
        return None
    rest = len(found) - len(heard)
    without = f" It does not reach {words.count(rest, 'use')} on which the terms give no say." if rest else ""
    elsewhere = 0 if shown is None else sum(choice not in shown for choice in heard)
    what = f"all {len(heard)} switches on this page"
    if elsewhere:
        here = words.count(len(heard) - elsewhere, "switch").replace("switchs", "switches")
        what = f"the {here} on this page and to {elsewhere} on other data of yours"
    detail = f"One click says no to {what} at once, and can be undone.{without}"
    return RefuseAll(action=action, detail=detail)


def take_refusal(  # noqa: PLR0913 - whose it is, and where it comes from and goes
    visit: Visit, *, party: str, account: str, page: str, action: str, whose: str
) -> Redirect:
    """Take a no to everything, or undo one, and go back to the page that shows it; `whose` begins "Everything: ..."."""
    consent = visit.workspace.consent
    if (undone := visit.undone) is not None:
        consent.undo_refusal(party, account=account, seq=undone, via="page")
        return Redirect(to=page, notice=Notice(text="Everything is as it was before."))
    if visit.form.get("answer") != "no":
        raise InvalidInputError("This form says no to everything. Reload the page and try again.")
    with visit.settling.collecting():
        entry, can_undo = consent.refuse_all(party, account=account, via="page")
    undo = Undo(action=action, fields={"undo": str(entry.seq)}) if can_undo else None
    text = f"Everything: {whose} no counts from now on. It is recorded as entry {entry.seq:,} of the ledger."
    return Redirect(to=page, notice=Notice(text=text, undo=undo))


def what_ends_soon(found: Iterable[Choice], *, now_us: int, within_days: int, whose: str) -> tuple[str, ...]:
    """Say which yeses end within some days, a sentence for each day; `whose` begins it: "Your", or "The account's"."""
    last_us = now_us + within_days * DAY_US
    titles: dict[str, list[str]] = {}
    for choice in found:
        for line in choice.lines:
            if line.end_us is not None and now_us < line.end_us <= last_us and isinstance(line.own, Permit):
                titles.setdefault(words.day(line.end_us), []).append(words.switch_title(choice))
    return tuple(
        f"{whose} yes to {words.listed(list(dict.fromkeys(names)))} ends on {day} (UTC). Say yes again before that "
        "day, and it goes on without a gap. If nothing is said, it counts as a no from then on."
        for day, names in titles.items()
    )


def _since(lines: Iterable[ChoiceLine]) -> str:
    return words.listed(
        list(dict.fromkeys(words.day(line.own.since_us) for line in lines if isinstance(line.own, Permit)))
    )


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
