"""An account's settings, for its administrator: its switches, its terms, and its people's choices, only as counts.

The page is made from the `choices.Choices` of the account, as a person's is from theirs: a yes and a no of the same
size, one click, undo. An account's no applies whatever its people say, and under later terms that let the account
choose: only a yes of an administrator ends it. A switch can be locked, and limited for groups (`account.limits`); then
even that yes has no effect until the limit is lifted. A person's no applies whatever the account says, and this page
never shows whose it was.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from volition.consent.aggregates import FEWEST, Counted, count
from volition.consent.choices import Choice, ChoiceLine, Choices, Standing
from volition.consent.permits import Refusal, Say
from volition.consent.terms.diff import diff
from volition.errors import InvalidInputError
from volition.server.auth import Role
from volition.server.notices.reminders import longest_days
from volition.server.web import labels as words
from volition.server.web.account.limits import PATH, GroupLimits, Lock, account_of, groups_of, lock_of
from volition.server.web.answering import (
    RefuseAll,
    given_elsewhere,
    named,
    refusing_all,
    take_refusal,
    what_a_no_does,
    what_a_yes_does,
    what_ends_soon,
    what_was_answered,
    when_it_counts,
)
from volition.server.web.console.first_steps import FirstStep, first_steps
from volition.server.web.page import Badge, Nav, Notice, Pages, Redirect, Undo, Visit
from volition.server.web.person.excluding import AccountExclusions, account_exclusions
from volition.server.web.person.settings import CategoryRow, SwitchCard, SwitchGlance, because, weighs_of
from volition.server.web.standing import allowed_state, beside, training_state

pages = Pages()
_EVERYTHING: Final = f"{PATH}/refuse/everything"
_RECORDINGS: Final = f"{PATH}/recordings"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCard(SwitchCard):
    """One switch of the account.

    Attributes:
        lock: Its lock; none where there is nothing to answer.
    """

    lock: Lock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTerms:
    """Published terms that the account has not accepted.

    Attributes:
        id: Their id.
        title: Their title.
        changes: What they would change for the account, in plain words.
        binds: Whether they bind without being accepted, and when, in a sentence.
    """

    id: str
    title: str
    changes: tuple[str, ...]
    binds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleRow:
    """What the people have said about one switch, each in words."""

    title: str
    yes: str
    no: str
    nothing: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecordings:
    """Whether the sound of recordings is kept, and the form that changes it.

    Attributes:
        detail: How it is, in sentences.
        action: Where the form is sent.
        value: What it sends.
        label: What its button says.
    """

    detail: str
    action: str
    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """An account's settings.

    Attributes:
        title: The page's heading.
        lead: What can be done here, in a sentence.
        empty: Why there is nothing to choose; empty where there is.
        steps: How to begin; empty once it was begun.
        training: Whether the account lets any of its data train AI.
        ends_soon: Yeses of the account that end soon, a sentence each.
        refusal: One click that says no to everything; none where there is nothing to say no to.
        new_terms: Terms that can be accepted; none if the newest bind.
        glances: Every switch, in the order of the cards.
        cards: A card for each switch.
        limits: What is limited for groups of the people.
        recordings: Whether the sound of recordings is kept.
        exclusions: Which conversations are left out.
        people: What the people have said, a row for each switch; empty where they are too few.
        people_note: How they are counted, in a sentence.
        terms: Title of the terms whose rules these are; empty where there are none.
    """

    title: str
    lead: str
    empty: str
    steps: tuple[FirstStep, ...]
    training: Badge
    ends_soon: tuple[str, ...]
    refusal: RefuseAll | None
    new_terms: NewTerms | None
    glances: tuple[SwitchGlance, ...]
    cards: tuple[AccountCard, ...]
    limits: GroupLimits
    recordings: KeptRecordings
    exclusions: AccountExclusions
    people: tuple[PeopleRow, ...]
    people_note: str
    terms: str


@pages.get(PATH, roles=[Role.ADMINISTRATOR], template="account.html", nav=Nav(label="Account", place=5))
def show(visit: Visit) -> AccountPage:
    """Show the account's switches, limits and terms."""
    account = account_of(visit)
    workspace = visit.workspace
    name = workspace.parties.account(account).name
    found = workspace.consent.choices(f"account:{account}", account=account)
    limits = workspace.consent.limits(account)
    cards = tuple(
        card_of(choice, name, lock_of(choice, limits, name), due_days=workspace.due_days) for choice in found.choices
    )
    history = workspace.history()
    people = [f"person:{person.pseudonym}" for person in workspace.parties.people(account)]
    counted = [count(history, people, choice, account=account, at_us=workspace.now_us) for choice in found.choices]
    return AccountPage(
        title=f"AI settings of {name}",
        lead=f"What AI may do with data of {name}. {_both_sides(found)}".strip()
        + given_elsewhere(visit.workspace, f"account:{account}"),
        empty=_why_empty(found, name),
        steps=first_steps(
            is_published=found.terms is not None,
            is_collected=bool(people),
            is_decided=bool(history.answers.scopes),
            account=account,
        ),
        training=training_state(
            (line for choice in found.choices for line in choice.lines),
            on="Data may train AI",
            off="No data trains AI",
        ),
        ends_soon=what_ends_soon(
            found.choices, now_us=workspace.now_us, within_days=longest_days(workspace), whose="The account's"
        ),
        refusal=refusing_all(found.choices, action=_EVERYTHING),
        new_terms=_new_terms(visit, account),
        glances=tuple(SwitchGlance(title=card.title, href=f"#{card.name}", state=card.state) for card in cards),
        cards=cards,
        limits=groups_of(visit, found.choices, limits),
        recordings=_recordings(keeps=workspace.recordings.keeps(account)),
        exclusions=account_exclusions(visit, account),
        people=tuple(
            _row(card.title, numbers) for card, numbers in zip(cards, counted, strict=True) if numbers is not None
        ),
        people_note="Rounded down to multiples of five, so that nobody's own answer can be worked out. Below "
        f"{2 * FEWEST} "
        "people no counts are shown.",
        terms="" if found.terms is None else found.terms.title,
    )


def _recordings(*, keeps: bool) -> KeptRecordings:
    is_kept = (
        "The sound of a recording is kept, encrypted, once it was transcribed, for those who were in the meeting. It "
        "is erased with the person who speaks."
    )
    is_not = (
        "The sound of a recording is not kept once it was transcribed. What was kept before stays until its people are "
        "erased."
    )
    return KeptRecordings(
        detail=is_kept if keeps else is_not,
        action=_RECORDINGS,
        value="no" if keeps else "yes",
        label="Keep no more recordings" if keeps else "Keep recordings",
    )


@pages.post(_RECORDINGS, roles=[Role.ADMINISTRATOR])
def keep_recordings(visit: Visit) -> Redirect:
    """Say whether the sound of the account's recordings is kept from now on."""
    keeps = visit.form.get("keep")
    if keeps not in {"yes", "no"}:
        raise InvalidInputError("Recordings are either kept or not. Reload the page and try again.")
    visit.workspace.recordings.keep(account_of(visit), keeps=keeps == "yes")
    text = "Recordings that are transcribed from now on are kept." if keeps == "yes" else "No more recordings are kept."
    return Redirect(to=f"{PATH}#recordings", notice=Notice(text=text))


@pages.post(_EVERYTHING, roles=[Role.ADMINISTRATOR])
def refuse_everything(visit: Visit) -> Redirect:
    """Take the account's no to everything, or undo one."""
    account = account_of(visit)
    return take_refusal(
        visit, party=f"account:{account}", account=account, page=PATH, action=_EVERYTHING, whose="the account's"
    )


@pages.post(f"{PATH}/switches/{{switch}}", roles=[Role.ADMINISTRATOR])
def answer(visit: Visit) -> Redirect:
    """Take the account's yes or no, or undo one."""
    account, workspace, switch = account_of(visit), visit.workspace, visit.path["switch"]
    party = f"account:{account}"
    choice = workspace.consent.choices(party, account=account).of(switch)
    title = switch if choice is None else words.switch_title(choice)
    if (undone := visit.undone) is not None:
        workspace.consent.undo_choice(party, switch, account=account, seq=undone, via="page")
        return Redirect(to=f"{PATH}#{switch}", notice=Notice(text=f"{title}: everything is as it was before."))
    said = visit.form.get("answer")
    if said not in {"yes", "no"}:
        raise InvalidInputError("An answer is either yes or no. Reload the page and try again.")
    covers = "past" if said == "yes" and visit.form.get("covers") == "past" else None
    until = (visit.form.get("until") or None) if said == "yes" else None
    with visit.settling.collecting():
        entry, can_undo = workspace.consent.choose(
            party, switch, account=account, yes=said == "yes", covers=covers, until=until, via="page"
        )
    undo = Undo(action=f"{PATH}/switches/{switch}", fields={"undo": str(entry.seq)}) if can_undo else None
    counts = when_it_counts(
        workspace.consent.choices(party, account=account).of(switch), yes=said == "yes", is_account=True
    )
    text = f"{title}: the account's {said} {counts}. It is recorded as entry {entry.seq:,} of the ledger."
    return Redirect(to=f"{PATH}#{switch}", notice=Notice(text=text, undo=undo))


@pages.post(f"{PATH}/terms", roles=[Role.ADMINISTRATOR])
def accept(visit: Visit) -> Redirect:
    """Accept published terms for the account."""
    account, chosen = account_of(visit), visit.form.get("terms", "")
    if not chosen:
        raise InvalidInputError("No terms were named. Reload the page and try again.")
    entry = visit.workspace.terms.accept(account, chosen)
    visit.shown.dismiss(visit.who, [chosen])  # whoever accepts them need not be told of them again
    return Redirect(to=PATH, notice=Notice(text=f"The terms are accepted, as entry {entry.seq:,} of the ledger."))


def _why_empty(found: Choices, name: str) -> str:
    if found.terms is None:
        return "No terms have been published yet, so nothing may be done with any data. The operator publishes them."
    if found.erased:
        return f"{name} was erased here: its data is no longer used, and there is nothing to choose."
    if not found.accepted:
        return (
            f"{name} has not accepted any terms yet, so nothing is used. Read what they allow, then accept them or not."
        )
    return ""


def _new_terms(visit: Visit, account: str) -> NewTerms | None:
    history, now_us = visit.workspace.history(), visit.workspace.now_us
    published = history.bindings.published()
    bindings = history.bindings.terms_of(account)
    bound = next((terms for start_us, terms in reversed(bindings) if start_us <= now_us), None)
    if not published or (bound is not None and published[-1].id == bound.id):
        return None
    newest = published[-1]
    binds_us = next((start_us for start_us, terms in bindings if terms.id == newest.id and start_us > now_us), None)
    return NewTerms(
        id=newest.id,
        title=newest.title,
        changes=diff(bound, newest).lines(),
        binds="Nothing changes unless you accept them."
        if binds_us is None
        else f"They take effect on {words.moment(binds_us)} if you keep using the service; until then the old "
        "ones apply.",
    )


@lru_cache(maxsize=1024)
def card_of(choice: Choice, name: str, lock: Lock | None, *, due_days: int) -> AccountCard:
    """Show one switch of the account, whose name is given."""
    trains = [purpose for purpose in choice.purposes if purpose.startswith("train/")]
    yes, no = what_a_yes_does(choice, is_account=True), what_a_no_does(choice, due_days=due_days, is_account=True)
    if trains:
        yes.append(
            "If you say no later, nothing learns from the data from then on, and models that learned from it must "
            f"forget it within {due_days} days."
        )
    else:
        yes.append("You can say no later; it works at once.")
    no.insert(0, "It applies until an administrator says yes, whatever the people of the account say.")
    return AccountCard(
        name=choice.switch.name,
        title=words.switch_title(choice),
        does=tuple(words.purpose(purpose).does for purpose in choice.purposes),
        answer=choice.answer,
        answered=what_was_answered(choice, you=name, has="has") if choice.has_say else _LEFT_OUT[choice.standing()],
        state=allowed_state(choice.lines),
        yes=tuple(yes),
        no=tuple(no),
        others=f"{_others(choice)} {words.elsewhere(choice.lines)}".strip(),
        kinds=tuple(_kind(line, name, single=len(choice.purposes) == 1) for line in choice.lines),
        has_say=choice.has_say,
        action=f"{PATH}/switches/{choice.switch.name}",
        weighs=weighs_of(choice),
        reaches_back=choice.can_reach_back,
        lock=lock,
    )


_LEFT_OUT: Final = {
    Standing.ALL: "The terms do not let the account choose here: it is allowed whatever the account says.",
    Standing.PART: "The terms do not let the account choose here: part of it is allowed whatever the account says.",
    Standing.NONE: "The terms do not let the account choose here.",
}


def _others(choice: Choice) -> str:
    """Say what the people of the account decide besides; empty where the terms give them no say."""
    everyone = {word for line in choice.lines for word in line.asks} & {"everyone", "person"}
    if everyone:
        part = [line for line in choice.lines if set(line.asks) & {"everyone", "person"}]
        return f"For {named(choice, part)}, the people concerned must say yes too."
    part = [line for line in choice.lines if line.people_can_refuse]
    if len(part) == len(choice.lines):
        return "Each person can still say no."
    return f"For {named(choice, part)}, each person can still say no." if part else ""


def _both_sides(found: Choices) -> str:
    """Say how the answers of the account and of its people go together, as the terms have it."""
    lines = [line for choice in found.choices for line in choice.lines]
    heard = [line for line in lines if line.say is not Say.NONE]
    refusable = {line.people_can_refuse for line in lines}
    if not heard:
        return ""
    where = "" if len(heard) == len(lines) else ", where the terms ask the account,"
    said = f"A no of the account applies{where} whatever its people say"
    if refusable == {False}:
        return f"{said}; the terms give them no say of their own."
    part = ", where the terms let them" if False in refusable else ""
    return f"{said}; after a yes each of them can still say no{part}."


def _kind(line: ChoiceLine, organisation: str, *, single: bool) -> CategoryRow:
    named = words.category(line.category)
    why = (
        because(line.own, organisation)
        if isinstance(line.own, Refusal)
        else f"collected since {words.day(line.own.since_us)}{words.more_elsewhere(line)}"
    )
    return CategoryRow(
        category=named[0].upper() + named[1:] if single else f"{words.purpose(line.purpose).title}: {named}",
        state=allowed_state([line]),
        why="; ".join(filter(None, (why, beside(line)))),
    )


def _row(title: str, counted: Counted) -> PeopleRow:
    detail = [f"{number:,} or more" if number else f"fewer than {FEWEST}" for number in (counted.yes, counted.no)]
    rest = f"{counted.nothing:,} or more" if counted.nothing else f"fewer than {FEWEST}"
    return PeopleRow(title=title, yes=detail[0], no=detail[1], nothing=rest)
