"""An account's settings, for its administrator: its switches, its terms, and its people's choices in counts alone.

The page is made from `choices.Choices` of the account, as a person's is from theirs: a yes and a no of the same size,
one click, undo. An account's no stands whatever its people say, and goes on standing under new terms that give the
account a say: nothing widens it but a yes of an administrator. A switch can be locked, and limited for groups
(`account_limits`), so that not even that yes does before the limit is lifted. A person's no stands whatever the account
says, and who said it is not told here.
"""

from dataclasses import dataclass
from functools import lru_cache

from volition.consent.aggregates import FEWEST, Counted, count
from volition.consent.choices import Choice, ChoiceLine, Choices, PartyAnswer
from volition.consent.permits import Refusal
from volition.consent.terms.diff import diff
from volition.errors import InvalidInputError
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.account.limits import PATH, GroupLimits, Lock, account_of, groups_of, lock_of
from volition.server.web.console.first_steps import Step, first_steps
from volition.server.web.page import Nav, Notice, Pages, Redirect, Undo, Visit
from volition.server.web.person.settings import Glance, Kind, State, SwitchCard, weighs_of

pages = Pages()


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
class AccountPage:
    """An account's settings.

    Attributes:
        title: The page's heading.
        lead: What can be done here, in a sentence.
        empty: Why there is nothing to choose; empty where there is.
        steps: How to begin; empty once it was begun.
        training: Whether the account lets any of its data train AI.
        new_terms: Terms that can be accepted; none if the newest bind.
        glances: Every switch, in the order of the cards.
        cards: A card for each switch.
        limits: What is limited for groups of the people.
        people: What the people have said, a row for each switch; empty where they are too few.
        people_told: How they are counted, in a sentence.
        terms: Title of the terms whose rules these are; empty where there are none.
    """

    title: str
    lead: str
    empty: str
    steps: tuple[Step, ...]
    training: State
    new_terms: NewTerms | None
    glances: tuple[Glance, ...]
    cards: tuple[AccountCard, ...]
    limits: GroupLimits
    people: tuple[PeopleRow, ...]
    people_told: str
    terms: str


@pages.get(PATH, roles=[Role.ADMINISTRATOR], template="account.html", nav=Nav(label="Account", place=5))
def show(visit: Visit) -> AccountPage:
    """Show the account as it stands."""
    account = account_of(visit)
    workspace = visit.workspace
    name = workspace.parties.account(account).name
    found = workspace.consent.choices(f"account:{account}", account=account)
    limits = workspace.consent.limits(account)
    cards = tuple(
        _card(choice, name, lock_of(choice, limits, name), due_days=workspace.due_days) for choice in found.choices
    )
    history = workspace.history()
    people = [f"person:{person.pseudonym}" for person in workspace.parties.people(account)]
    counted = [count(history, people, choice) for choice in found.choices]
    trains = any(line.stands for choice in found.choices for line in choice.lines if line.purpose.startswith("train"))
    return AccountPage(
        title=f"AI settings of {name}",
        lead=f"What AI may do with data of {name}. A no of the account stands whatever its people say; a yes leaves "
        "each of them their own no.",
        empty=_why_empty(found, name),
        steps=first_steps(
            is_published=found.terms is not None,
            is_collected=bool(people),
            is_decided=bool(history.answers.scopes),
            account=account,
        ),
        training=State(word="Data may train AI" if trains else "No data trains AI", is_on=trains),
        new_terms=_new_terms(visit, account),
        glances=tuple(Glance(title=card.title, href=f"#{card.name}", state=card.state) for card in cards),
        cards=cards,
        limits=groups_of(visit, found.choices, limits),
        people=tuple(
            _row(card.title, numbers) for card, numbers in zip(cards, counted, strict=True) if numbers is not None
        ),
        people_told=f"Rounded down to fives, so that nobody's answer can be read from it. Of fewer than {2 * FEWEST} "
        "people nothing is counted.",
        terms="" if found.terms is None else found.terms.title,
    )


@pages.post(f"{PATH}/switches/{{switch}}", roles=[Role.ADMINISTRATOR])
def answer(visit: Visit) -> Redirect:
    """Take the account's yes or no, or undo one."""
    account, workspace, switch = account_of(visit), visit.workspace, visit.path["switch"]
    party = f"account:{account}"
    choice = workspace.consent.choices(party, account=account).of(switch)
    title = switch if choice is None else words.switch_title(choice)
    undone = visit.form.get("undo")
    if undone is not None:
        if not undone.isdecimal():
            raise InvalidInputError("This is no entry that could be undone. Open the settings anew.")
        workspace.consent.undo_choice(party, switch, account=account, seq=int(undone))
        return Redirect(to=f"{PATH}#{switch}", notice=Notice(text=f"{title}: everything stands as it did before."))
    said = visit.form.get("answer")
    if said not in {"yes", "no"}:
        raise InvalidInputError("An answer is yes or no. Open the settings anew.")
    covers = "past" if said == "yes" and visit.form.get("covers") == "past" else None
    entry, can_undo = workspace.consent.choose(party, switch, account=account, yes=said == "yes", covers=covers)
    undo = Undo(action=f"{PATH}/switches/{switch}", fields={"undo": str(entry.seq)}) if can_undo else None
    after = workspace.consent.choices(party, account=account).of(switch)
    waits = said == "yes" and after is not None and any(line.is_limited for line in after.lines)
    counts = "counts once it is unlocked" if waits else "counts from now on"
    text = f"{title}: the account's {said} {counts}. It is entry {entry.seq:,} of the ledger."
    return Redirect(to=f"{PATH}#{switch}", notice=Notice(text=text, undo=undo))


@pages.post(f"{PATH}/terms", roles=[Role.ADMINISTRATOR])
def accept(visit: Visit) -> Redirect:
    """Accept published terms for the account."""
    account, chosen = account_of(visit), visit.form.get("terms", "")
    if not chosen:
        raise InvalidInputError("No terms were named. Open the account's page anew.")
    entry = visit.workspace.terms.accept(account, chosen)
    return Redirect(to=PATH, notice=Notice(text=f"The terms are accepted. It is entry {entry.seq:,} of the ledger."))


def _why_empty(found: Choices, name: str) -> str:
    if found.terms is None:
        return "No terms were published yet, so nothing may be done with any data. Publishing them is the operator's."
    if found.erased:
        return f"{name} was erased here: nothing of it is used any more, and nothing can be chosen."
    if not found.accepted:
        return f"{name} has accepted no terms yet, so nothing is used. Read what they allow, and accept them or not."
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
        binds="Nothing changes unless they are accepted."
        if binds_us is None
        else f"By going on using the service they bind on {words.moment(binds_us)}; until then the old ones hold.",
    )


@lru_cache(maxsize=1024)
def _card(choice: Choice, name: str, lock: Lock | None, *, due_days: int) -> AccountCard:
    trains = [purpose for purpose in choice.purposes if purpose.startswith("train/")]
    besides = [words.PURPOSES[purpose].title for purpose in choice.switch.disables]
    yes = ["From this yes on it counts. What was collected before stays out, unless it is included."]
    if lock is not None and lock.is_locked:
        yes = ["It is noted, and takes effect once the switch is unlocked: for what is collected from then on."]
    no = ["It stands until an administrator says yes, whatever the people of the account say."]
    if trains:
        yes.append(
            f"A no later takes the data out of every training set at once; models forget it within {due_days} days."
        )
        no.append("Nothing of the account is learned from; what was learned is forgotten.")
    else:
        yes.append("A no later works at once.")
        no.append("Nobody of the account has it.")
    no.append(f"This no also turns off: {words.listed(besides)}." if besides else "Nothing else is turned off.")
    everyone = {word for line in choice.lines for word in line.asks} & {"everyone", "person"}
    others = "It also takes the yes of the people concerned." if everyone else "Each person may still say no."
    return AccountCard(
        name=choice.switch.name,
        title=words.switch_title(choice),
        does=tuple(words.PURPOSES[purpose].does for purpose in choice.purposes),
        answer=choice.answer,
        answered=_answered(choice, name),
        state=State(word="Allowed" if choice.stands else "Not allowed", is_on=choice.stands),
        yes=tuple(yes),
        no=tuple(no),
        others=others,
        kinds=tuple(_kind(line, single=len(choice.purposes) == 1) for line in choice.lines),
        has_say=choice.has_say,
        action=f"{PATH}/switches/{choice.switch.name}",
        weighs=weighs_of(choice),
        lock=lock,
    )


def _answered(choice: Choice, name: str) -> str:
    if not choice.has_say:
        return "The terms give the account no say in this."
    match choice.answer:
        case PartyAnswer.YES:
            return f"{name} said yes."
        case PartyAnswer.NO:
            return f"{name} said no."
        case PartyAnswer.MIXED:
            return "The answers differ from one kind of data to another; see below."
        case PartyAnswer.NOTHING:
            if choice.allowed:
                return "Nobody has answered for the account. The terms do not ask for its yes here, and its no counts."
            return "Nobody has answered for the account, and silence is not a yes."


def _kind(line: ChoiceLine, *, single: bool) -> Kind:
    named = words.CATEGORY[line.category]
    why = (
        words.REASON[line.own.reason]
        if isinstance(line.own, Refusal)
        else f"collected since {words.day(line.own.since_us)}"
    )
    return Kind(
        category=named[0].upper() + named[1:] if single else f"{words.PURPOSES[line.purpose].title}: {named}",
        state=State(word="Allowed" if line.stands else "Not allowed", is_on=line.stands),
        why=why,
    )


def _row(title: str, counted: Counted) -> PeopleRow:
    told = [f"{number:,} or more" if number else f"fewer than {FEWEST}" for number in (counted.yes, counted.no)]
    rest = f"{counted.nothing:,} or more" if counted.nothing else f"fewer than {FEWEST}"
    return PeopleRow(title=title, yes=told[0], no=told[1], nothing=rest)
