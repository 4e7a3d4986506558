"""AI settings of a person: what each switch does, whether it is on, and a yes and a no of the same size.

Every place on the page that shows a permission is made from the same `choices.Choices`, and after an answer the whole
page is rendered again, so no two places can disagree. One click answers; where something changed, one more undoes it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from volition.consent.choices import Choice, ChoiceLine, Choices, Never, PartyAnswer, Standing
from volition.consent.permits import Permit, Reason, Refusal, Say
from volition.consent.terms.model import Rule
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import InvalidInputError, RefusedError
from volition.server.auth import PEOPLE
from volition.server.notices.reminders import longest_days
from volition.server.web import labels as words
from volition.server.web.answering import (
    RefuseAll,
    given_elsewhere,
    refusing_all,
    take_refusal,
    what_a_no_does,
    what_a_yes_does,
    what_ends_soon,
    what_was_answered,
    when_it_counts,
)
from volition.server.web.page import Badge, Link, Nav, Notice, Pages, Redirect, Undo, Visit
from volition.server.web.standing import beside, line_state, training_state, use_state

pages = Pages()
PATH: Final = "/settings"
EVERYTHING: Final = f"{PATH}/refuse/everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow:
    """One kind of data under a switch, and whether it is used.

    Attributes:
        category: What it is called.
        state: Whether it is used.
        why: Since when, or why not and what would change it.
    """

    category: str
    state: Badge
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchCard:
    """One switch as the page shows it.

    Attributes:
        name: Its short name, in addresses.
        title: What it is called.
        does: What it is for, a sentence for each purpose.
        answer: What was answered, of `choices.PartyAnswer`; "nothing" where only a signal of the browser counts.
        answered: What was answered and what follows from it.
        state: Whether it is used.
        yes: What a yes does.
        no: What a no does.
        others: Whose yes is needed as well, in a sentence; empty where nobody's.
        kinds: Each kind of data, and whether it is used.
        has_say: Whether the terms let the visitor answer.
        action: Where the answer is sent.
        weighs: Where each of its purposes is weighed, to read before answering.
        reaches_back: Whether a yes can include earlier data.
    """

    name: str
    title: str
    does: tuple[str, ...]
    answer: PartyAnswer
    answered: str
    state: Badge
    yes: tuple[str, ...]
    no: tuple[str, ...]
    others: str
    kinds: tuple[CategoryRow, ...]
    has_say: bool
    action: str
    weighs: tuple[Link, ...]
    reaches_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """What is never done: for what, with which data, and the rule that forbids it."""

    title: str
    data: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchGlance:
    """One line of the overview: a switch and whether it is on."""

    title: str
    href: str
    state: Badge


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPage:
    """AI settings of a person.

    Attributes:
        title: The page's heading.
        lead: What can be done here, in a sentence.
        empty: Why there is nothing to choose; empty where there is.
        training: Whether any of their data trains AI.
        ends_soon: Yeses that end soon, a sentence each.
        refusal: One click that says no to everything; none where there is nothing to say no to.
        glances: Every switch, in the order of the cards.
        trains: Cards of switches that let data train AI.
        features: Cards of the others.
        never: What is never done.
        terms: Title of the terms whose rules these are; empty where there are none.
        holds_at: At which organisations a no holds, in a sentence.
    """

    title: str
    lead: str
    empty: str
    training: Badge
    ends_soon: tuple[str, ...]
    refusal: RefuseAll | None
    glances: tuple[SwitchGlance, ...]
    trains: tuple[SwitchCard, ...]
    features: tuple[SwitchCard, ...]
    never: tuple[Forbidden, ...]
    terms: str
    holds_at: str


@pages.get(PATH, roles=PEOPLE, template="settings.html", nav=Nav(label="AI settings", place=10), is_kept=True)
def show(visit: Visit) -> SettingsPage:
    """Show every switch and whether it is on."""
    party, account = party_of(visit)
    found = visit.workspace.consent.choices(party, account=account)
    organisation = visit.workspace.parties.account(account).name
    is_guest = visit.who.is_guest
    due_days = visit.workspace.due_days
    cards = [card_of(choice, organisation, due_days=due_days, is_guest=is_guest) for choice in found.choices]
    trains = [
        card
        for card, choice in zip(cards, found.choices, strict=True)
        if any(purpose.startswith("train/") for purpose in choice.purposes)
    ]
    return SettingsPage(
        title="AI settings",
        lead=f"What AI may do with your data at {organisation}. A no takes effect at once. Every answer is "
        f"recorded for you and can be changed at any time.{given_elsewhere(visit.workspace, party)}",
        empty=_why_empty(found, organisation),
        training=training_state(
            (line for choice in found.choices for line in choice.lines),
            on="Your data may train AI",
            off="Your data does not train AI",
        ),
        ends_soon=what_ends_soon(
            found.choices, now_us=visit.workspace.now_us, within_days=longest_days(visit.workspace), whose="Your"
        ),
        refusal=refusing_all(found.choices, action=EVERYTHING),
        glances=tuple(SwitchGlance(title=card.title, href=f"#{card.name}", state=card.state) for card in cards),
        trains=tuple(trains),
        features=tuple(card for card in cards if card not in trains),
        never=tuple(_forbidden(never, words.vocabulary()) for never in found.never),
        terms="" if found.terms is None else found.terms.title,
        holds_at=_holds_at(visit, party.removeprefix("person:"), account),
    )


def _holds_at(visit: Visit, person: str, account: str) -> str:
    """Say where a no holds: here, and where the visitor has shown the same address; of other places nothing."""
    parties = visit.workspace.parties
    others = [parties.account(one).name for one in visit.workspace.people.verified_at(person) if one != account]
    organisation = parties.account(account).name
    if others:
        return (
            f"You have shown that the same e-mail address is yours at {organisation} and at {words.listed(others)}, so "
            "a no about what you say, write or share holds at all of them. A yes is given at each by itself."
        )
    return (
        f"Your answers hold at {organisation}. If you meet people of other organisations that use this service, say it "
        "there as well: we do not look for you there."
    )


@pages.post(EVERYTHING, roles=PEOPLE)
def refuse_everything(visit: Visit) -> Redirect:
    """Take a no to everything, or undo one."""
    party, account = party_of(visit)
    return take_refusal(visit, party=party, account=account, page=PATH, action=EVERYTHING, whose="your")


@pages.post(f"{PATH}/{{switch}}", roles=PEOPLE)
def answer(visit: Visit) -> Redirect:
    """Take a yes or a no, or undo one."""
    return take_answer(visit, page=PATH, path=PATH)


def take_answer(visit: Visit, *, page: str, path: str) -> Redirect:
    """Take a yes or a no to a switch, or undo one, and go back to the page that shows it; `path` takes its answers."""
    party, account = party_of(visit)
    workspace, switch = visit.workspace, visit.path["switch"]
    choice = workspace.consent.choices(party, account=account).of(switch)
    title = switch if choice is None else words.switch_title(choice)
    if (undone := visit.undone) is not None:
        workspace.consent.undo_choice(party, switch, account=account, seq=undone, via="page")
        return Redirect(to=f"{page}#{switch}", notice=Notice(text=f"{title}: everything is as it was before."))
    said = visit.form.get("answer")
    if said not in {"yes", "no"}:
        raise InvalidInputError("An answer is either yes or no. Reload the page and try again.")
    covers = "past" if said == "yes" and visit.form.get("covers") == "past" else None
    until = (visit.form.get("until") or None) if said == "yes" else None
    with visit.settling.collecting():
        entry, can_undo = workspace.consent.choose(
            party, switch, account=account, yes=said == "yes", covers=covers, until=until, via="page"
        )
    undo = Undo(action=f"{path}/{switch}", fields={"undo": str(entry.seq)}, label="Undo") if can_undo else None
    counts = when_it_counts(workspace.consent.choices(party, account=account).of(switch), yes=said == "yes")
    text = f"{title}: your {said} {counts}. It is recorded as entry {entry.seq:,} of the ledger."
    return Redirect(to=f"{page}#{switch}", notice=Notice(text=text, undo=undo))


def party_of(visit: Visit) -> tuple[str, str]:
    """Return the party that visits, and the account that it belongs to."""
    if visit.who.person is None or visit.who.account is None:
        raise RefusedError(
            "You are not signed in as a person of an account, so there is nothing for you to choose here."
        )
    return f"person:{visit.who.person}", visit.who.account


def _why_empty(found: Choices, organisation: str) -> str:
    if found.terms is None:
        return (
            "No terms have been published yet, so nothing may be done with your data, and there is nothing to choose."
        )
    if found.erased:
        return "You were erased here: your data is no longer used, and there is nothing to choose."
    if not found.accepted:
        return (
            f"{organisation} has not accepted any terms yet, so nothing is used. You can answer already: your answer "
            "takes effect as soon as the terms do."
        )
    return ""


@lru_cache(maxsize=4096)
def card_of(
    choice: Choice, organisation: str, *, due_days: int, path: str = PATH, is_guest: bool = False
) -> SwitchCard:
    """Show one switch; answers to it are sent to `path` with its name. The figures to weigh are for no guest."""
    single = len(choice.purposes) == 1
    yes, no = what_a_yes_does(choice), what_a_no_does(choice, due_days=due_days)
    if any(purpose.startswith("train/") for purpose in choice.purposes):
        yes.append(
            "You can say no later: from then on nothing learns from your data, and models that learned from it must "
            f"forget it within {due_days} days."
        )
    else:
        yes.append("You can say no later; it works at once.")
    return SwitchCard(
        name=choice.switch.name,
        title=words.switch_title(choice),
        does=tuple(words.purpose(purpose).does for purpose in choice.purposes),
        answer=PartyAnswer.NOTHING if _is_signalled(choice) else choice.answer,
        answered=f"{_answered(choice)}{_limited(choice, organisation)}",
        state=use_state(choice.lines),
        yes=tuple(yes),
        no=tuple(no),
        others=_others(choice, organisation),
        kinds=tuple(_kind(line, organisation, single=single) for line in choice.lines),
        has_say=choice.has_say,
        action=f"{path}/{choice.switch.name}",
        weighs=() if is_guest else weighs_of(choice),
        reaches_back=choice.can_reach_back,
    )


def weighs_of(choice: Choice) -> tuple[Link, ...]:
    """Return where each purpose of a switch is weighed."""
    return tuple(
        Link(label=words.purpose(purpose).title, href=f"/weigh#{purpose.replace('/', '-')}", is_here=False)
        for purpose in choice.purposes
    )


def _answered(choice: Choice) -> str:
    if choice.has_say:
        return what_was_answered(choice, you="You", has="have")
    return _LEFT_OUT[choice.standing()]


_LEFT_OUT: Final = {
    Standing.ALL: "The terms do not ask you: it is allowed whatever you say.",
    Standing.PART: "The terms do not ask you: part of it is allowed whatever you say; see below.",
    Standing.NONE: "The terms do not let you choose here.",
}


def _limited(choice: Choice, organisation: str) -> str:
    """Say that the account limits a switch, for everybody or for this person; empty where it does not."""
    limited = [line for line in choice.lines if line.is_limited]
    if not limited:
        return ""
    for_all = any(_is_limit(line.of_account) for line in limited)
    part = "this" if len(limited) == len(choice.lines) else "part of this"
    whom = "for everyone" if for_all else "for you"
    detail = f" {organisation} limits {part} {whom}: it is not used until the limit is lifted, whatever you answer."
    return f"{detail} If you say no, that stays in force afterwards, too."


def _is_signalled(choice: Choice) -> bool:
    """Say whether all that counts as the visitor's no is what their browser sends: then no button was pressed."""
    heard = choice.with_say(Say.ASKED, Say.MAY_REFUSE)
    return bool(heard) and all(line.by_signal for line in heard)


def _is_limit(found: Permit | Refusal) -> bool:
    return isinstance(found, Refusal) and found.reason is Reason.LIMITED


def _others(choice: Choice, organisation: str) -> str:
    """Say whose yes is needed besides the visitor's, and whether the account's is there."""
    asked = {word for line in choice.lines for word in line.asks}
    account = [line.of_account for line in choice.lines if "account" in line.asks]
    detail = []
    if account and not any(map(_is_limit, account)):
        missing = sum(isinstance(found, Refusal) for found in account)
        said = (
            "has said yes" if not missing else "has not said yes" if missing == len(account) else "said yes to a part"
        )
        detail.append(f"It takes the yes of {organisation}, which {said}.")
    if "everyone" in asked:
        part = [line for line in choice.lines if "everyone" in line.asks]
        data = words.categories(line.category for line in part)
        detail.append(f"For {data}, everyone in the meeting or conversation must say yes, not you alone.")
    return " ".join(filter(None, [*detail, words.elsewhere(choice.lines)]))


def _kind(line: ChoiceLine, organisation: str, *, single: bool) -> CategoryRow:
    name = words.category(line.category)
    return CategoryRow(
        category=name[0].upper() + name[1:] if single else f"{words.purpose(line.purpose).title}: {name}",
        state=line_state(line),
        why="; ".join(filter(None, (_why(line, organisation) + words.more_elsewhere(line), beside(line)))),
    )


def _why(line: ChoiceLine, organisation: str) -> str:
    if line.is_limited:
        return f"{organisation} limits it" + ("" if _is_limit(line.of_account) else " for you")
    if line.by_signal:
        return words.SIGNAL
    if isinstance(line.own, Refusal):
        return because(line.own, "you")
    if isinstance(line.of_account, Refusal):
        return because(line.of_account, organisation)
    since_us = max(line.own.since_us, line.of_account.since_us)
    kept = "" if line.max_age_us is None else f", for {line.max_age_us // 86_400_000_000:,} days"
    detail = "" if line.say is not Say.NONE else " (you are not asked)"
    return f"collected since {words.day(since_us)}{kept}{detail}"


def because(refusal: Refusal, who: str) -> str:
    """Say why somebody's side refuses a use, as a clause; `who` is "you", or the name of an organisation."""
    detail = {
        "not-asked": "{who} have not answered" if who == "you" else "{who} has not answered",
        "said-no": "{who} said no",
        "withdrawn": "{who} withdrew the yes",
        "expired": "{who} said a yes that has ended",
    }.get(refusal.reason.value)
    return words.REASON[refusal.reason] if detail is None else detail.format(who=who)


@lru_cache(maxsize=256)
def _forbidden(never: Never, _: Vocabulary) -> Forbidden:
    """Say what is never done, in the words of a vocabulary."""
    purpose = words.purpose(never.purpose)
    return Forbidden(
        title=purpose.title,
        data=f"with {words.categories(never.categories)}",
        rule="No rule of the terms mentions it, and what no rule allows is forbidden."
        if never.rule is None
        else f"Rule {never.number} of the terms: {_said(never.rule)}.",
    )


def _said(rule: Rule) -> str:
    data = words.listed([words.category(name) for name in rule.data])
    purposes = words.spoken(rule.purpose)
    where = f" in {words.listed(rule.region)}" if rule.region else ""
    return f"{data} for {purposes}{where}: never"
