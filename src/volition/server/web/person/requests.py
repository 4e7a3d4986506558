"""A person's requests (data subject requests): erasure, explained before it is done, and the progress of each request.

A person who was erased can no longer sign in, so the progress of an erasure is followed by a signed link. The link
names the ledger entry of the erasure, and no person.
"""

from dataclasses import dataclass
from typing import Final

from volition.consent.choices import NOTHING, Choices
from volition.consent.permits import Say
from volition.errors import ConflictError, InvalidInputError
from volition.learning.grades import is_exact
from volition.server.auth import PEOPLE
from volition.server.web import labels as words
from volition.server.web.answering import spoken
from volition.server.web.lists import Cut, cut
from volition.server.web.page import EVERYBODY, Badge, Nav, Notice, Pages, Redirect, Visit
from volition.server.web.person.holdings import may_be
from volition.server.web.person.settings import party_of
from volition.transparency.data_requests import AffectedModel, DataRequest, RequestKind
from volition.workspace import Workspace

pages = Pages()
PATH: Final = "/requests"
_LINK: Final = "erasure"
_NAMES: Final = "Your name, your addresses and the key behind your pseudonym are destroyed."
_DAY_US: Final = 24 * 60 * 60 * 1_000_000
_FOLLOWED_DAYS: Final = 366
_SHOWN: Final = 30  # on one page
_MODELS: Final = 20  # of one request


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingModel:
    """A model that a request touches: what it is, how many of the person's rows it learned from, and its progress."""

    name: str
    rows: int | None
    state: Badge
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCard:
    """One request as the page shows it.

    Attributes:
        id: In addresses.
        title: What was asked for.
        when: When, and by which ledger entry.
        state: Whether everything is done.
        detail: What has happened and what is still to come, a sentence each.
        models: The models that it touches, those that must still forget first; the first ones of many.
        total: How many there are.
        done: How many of them have forgotten.
    """

    id: str
    title: str
    when: str
    state: Badge
    detail: tuple[str, ...]
    models: tuple[ForgettingModel, ...]
    total: int
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsPage:
    """What a person asked for.

    Attributes:
        title: The page's heading.
        lead: What this is, in a sentence.
        requests: The newest first.
        erase: Where an erasure is requested.
    """

    title: str
    lead: str
    requests: Cut[RequestCard]
    erase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePage:
    """What an erasure does, before it is done.

    Attributes:
        title: The page's heading.
        lead: That it cannot be undone.
        at_once: What happens at once, a sentence each.
        later: What takes until when, likewise.
        stays: What stays, likewise.
        action: Where the yes is sent.
        back: Where the no leads.
        export: Where everything is to be had before.
    """

    title: str
    lead: str
    at_once: tuple[str, ...]
    later: tuple[str, ...]
    stays: tuple[str, ...]
    action: str
    back: str
    export: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedPage:
    """The progress of an erasure.

    Attributes:
        title: The page's heading.
        lead: What this page is for.
        request: The erasure.
        ends: Until when the link works.
    """

    title: str
    lead: str
    request: RequestCard
    ends: str


@pages.get(PATH, roles=PEOPLE, template="requests.html", nav=Nav(label="Requests", place=60))
def show(visit: Visit) -> RequestsPage:
    """List what was asked for."""
    party, account = party_of(visit)
    found = visit.workspace.rights.requests(visit.workspace.party(party))
    choices = visit.workspace.consent.choices(party, account=account)
    return RequestsPage(
        title="Requests",
        lead="Each no of yours and its progress, and how to be erased. A conversation that you left out is among them. "
        "A no is in force at once; models that "
        "learned from "
        f"your data before must forget it within {visit.workspace.due_days} days.",
        requests=cut(visit, found, of="request", size=_SHOWN).each(
            lambda request: request_card(request, visit.workspace.now_us, choices)
        ),
        erase=f"{PATH}/erase",
    )


@pages.get(f"{PATH}/erase", roles=PEOPLE, template="erase.html", is_final=True)
def ask(visit: Visit) -> ErasePage:
    """Say what an erasure does."""
    party, _ = party_of(visit)
    workspace = visit.workspace
    held = workspace.rights.holdings(party.removeprefix("person:"))
    own, concerning = (sum(getattr(day, name) for day in held.days) for name in ("own", "concerning"))
    learned = sorted({words.purpose_in_words(one.purpose) for one in held.training_sets})
    tables = _tables(len(workspace.tables_elsewhere))
    taught = f" You are in training sets for: {words.listed(learned)}." if learned else ""
    return ErasePage(
        title="Erase me",
        lead="Read what happens, then choose. What was erased cannot be brought back.",
        at_once=(
            "From that moment your data is not used any more, neither by a feature nor for training.",
            f"What you said, wrote or did is removed ({words.count(own, 'record')}), with everything computed from it.",
            "Edited summaries of meetings that you were in are removed too, since they may quote you.",
            f"{'' if tables else f'{_NAMES} '}You can no longer sign in.",
        ),
        later=(
            *([tables] if tables else ()),
            f"Models that learned from you must forget within {workspace.due_days} days.{taught}",
            _afterwards(workspace),
            "You get a link to follow this without signing in.",
        ),
        stays=(
            f"What others said or did that concerns you is theirs, so it stays ({words.count(concerning, 'record')}).",
            "Wherever your yes is needed or your no counts, it is no longer used.",
            *([may_be(held.may_be).replace("counted here", "erased with yours")] if held.may_be else ()),
            "The ledger keeps the fact that somebody said yes or no, under a pseudonym that no longer leads to anyone.",
        ),
        action=f"{PATH}/erase",
        back=PATH,
        export="/holdings/export",
    )


def _tables(count: int) -> str:
    """Say what becomes of rows in tables elsewhere, and so of the names; empty where there are none."""
    if not count:
        return ""
    return f"Your rows are taken out of {words.count(count, 'table')} kept elsewhere. After that: {_NAMES}"


@pages.post(f"{PATH}/erase", roles=PEOPLE, is_final=True)
def erase(visit: Visit) -> Redirect:
    """Erase the visitor, if they have confirmed it, and lead them to where they can follow it."""
    party, _ = party_of(visit)
    if visit.form.get("confirm") != "yes":
        detail = "Nothing was erased. Tick the box first: it is there so that this does not happen by accident."
        return Redirect(to=f"{PATH}/erase", notice=Notice(text=detail))
    workspace = visit.workspace
    ledger_name = workspace.party(party)
    try:
        workspace.forgetting.erase(party, tables=False)  # a worker walks tables elsewhere
    except ConflictError:
        if workspace.history().party(ledger_name).erased_us is None:
            raise
        # It is done; old bytes of a file that another process reads are wiped when that is closed.
    seq = workspace.history().party(ledger_name).erased_seq
    link = visit.access.links.sign(_LINK, {"seq": seq}, lasts_us=_FOLLOWED_DAYS * _DAY_US)
    return Redirect(to=f"{PATH}/followed/{link}", session="")


@pages.get(f"{PATH}/followed/{{link}}", roles=EVERYBODY, template="erased.html")
def follow(visit: Visit) -> ErasedPage:
    """Show the progress of an erasure, to anyone who has its link."""
    detail = visit.access.links.read(_LINK, visit.path["link"])
    return ErasedPage(
        title="Your erasure",
        lead="Keep the address of this page to follow the progress without signing in. The address does not name you.",
        request=request_card(_erasure(visit.workspace, detail["seq"]), visit.workspace.now_us),
        ends=words.day(detail["ends"]),
    )


def _erasure(workspace: Workspace, seq: int) -> DataRequest:
    [entry] = workspace.ledger.entries(seq, seq + 1)
    found = [one for one in workspace.rights.requests(entry.body["party"]) if one.kind is RequestKind.ERASURE]
    if not found:
        raise InvalidInputError("This link does not belong to an erasure. Open it exactly as you got it.")
    return found[0]


def request_card(request: DataRequest, now_us: int, found: Choices = NOTHING) -> RequestCard:
    """Return a request in words, as the pages and the mails about it say it.

    Args:
        request: What was asked for.
        now_us: The present instant.
        found: What the person can choose now, which says what their no does not reach; of no matter to an erasure.
    """
    done = sum(model.forgotten_us is not None for model in request.models)
    return RequestCard(
        id=f"request-{request.seq}",
        title=_title(request),
        when=f"{words.moment(request.at_us)}, entry {request.seq:,} of the ledger",
        state=Badge(word=_state(request, found), is_on=request.is_done),
        detail=tuple(_details(request, done, now_us, found)),
        models=tuple(
            _line(model) for model in sorted(request.models, key=lambda model: model.forgotten_us is not None)[:_MODELS]
        ),
        total=len(request.models),
        done=done,
    )


def _title(request: DataRequest) -> str:
    match request.kind:
        case RequestKind.ERASURE:
            return "Erase me"
        case RequestKind.EXCLUSION:
            return f"Leave a conversation out of {words.uses(request.purposes)}"
        case _:
            return f"No to {_spoken(request)}"


def _state(request: DataRequest, found: Choices) -> str:
    if not request.is_done:
        return "In progress"
    return "Done" if _reaches(request, found) else "Recorded"


def _details(request: DataRequest, done: int, now_us: int, found: Choices) -> list[str]:
    detail = _what_it_does(request, found)
    if request.claimed_us is not None:
        given = words.day(request.claimed_us)
        detail.insert(0, f"It was given elsewhere, on {given} according to whoever imported it.")
    total = len(request.models)
    if request.spared:
        had = f"{words.count(request.spared, 'model')} had learned from this data"
        need = "it need not forget" if request.spared == 1 else "they need not forget"
        why = "it is allowed all the same"
        if request.until_us is not None:
            is_back = request.kind is RequestKind.EXCLUSION
            why = "you took it back in before" if is_back else "a later yes of yours reached back to all of it"
        detail.append(f"{had}; {need} because of this: {why}.")
    if not total:
        return detail if request.spared else [*detail, "No model had learned from this data."]
    if request.due_us is None:
        return [*detail, "Every model that had learned from this data has forgotten it."]
    left = total - done
    by, is_late = words.day(request.due_us), request.due_us < now_us
    late = " A model that is overdue is no longer used." if is_late else ""
    had = f"{words.count(total, 'model')} that had learned from this data"
    if not done:
        return [*detail, f"{had} {'should have forgotten' if is_late else 'must forget'} it by {by}.{late}"]
    rest = "the other" if left == 1 else "the others"
    due = f"{rest} {'should have' if is_late else 'must'} by {by}.{late}"
    return [*detail, f"{done:,} of {had} {'has' if done == 1 else 'have'} forgotten it; {due}"]


def _what_it_does(request: DataRequest, found: Choices) -> list[str]:
    """Say what a request has done since it was recorded, and what a no does not reach."""
    if request.kind is RequestKind.ERASURE and request.tables:
        tables = words.count(request.tables, "table")
        return [
            "In force: your data is not used. Your records are destroyed.",
            f"Your rows are being taken out of {tables} kept elsewhere; then your names and keys are destroyed, too.",
        ]
    if request.kind is RequestKind.ERASURE:
        return ["In force: your data is not used. Your records, names and keys are destroyed."]
    if request.kind is RequestKind.EXCLUSION:
        if request.until_us is not None:
            return [
                f"It applied in full until {words.moment(request.until_us)}. Then you took all or part of it back in."
            ]
        return ["In force: nothing in this conversation that concerns you is used for this."]
    if request.until_us is not None:
        until = words.moment(request.until_us)
        return [f"This no applied in full until {until}. Then you said yes again to all or part of it."]
    bound = [
        line
        for choice in found.choices
        for line in choice.lines
        if line.say is Say.NONE and line.category in request.categories and line.purpose in request.purposes
    ]
    used = [line for line in bound if line.stands]
    if used and not _reaches(request, found):
        return ["Recorded, but the terms give you no say in this: it is used all the same."]
    if not used:
        return ["In force: this data of yours is not used for this."]
    return [f"In force, but it does not reach {spoken(used)}: the terms give you no say in that."]


def _reaches(request: DataRequest, found: Choices) -> bool:
    """Say whether the terms give a no any say in what it names; an erasure needs none."""
    named = [
        line.say is not Say.NONE
        for choice in found.choices
        for line in choice.lines
        if line.category in request.categories and line.purpose in request.purposes
    ]
    return request.kind is not RequestKind.REFUSAL or not named or any(named)


def _spoken(request: DataRequest) -> str:
    return f"{words.purposes(request.purposes)}, with {words.categories(request.categories)}"


def _line(model: AffectedModel) -> ForgettingModel:
    forgot = model.forgotten_us is not None
    if model.forgotten_us is not None:
        when = f"on {words.day(model.forgotten_us)}"
        when += f"; {model.successor} replaced it" if model.successor else "; nothing replaced it"
    else:
        when = f"by {words.day(model.due_us or 0)}"
    return ForgettingModel(
        name=model.model,
        rows=model.rows,
        state=Badge(word="Forgotten" if forgot else "Must forget", is_on=forgot),
        when=when,
    )


def _afterwards(workspace: Workspace) -> str:
    """Say what becomes of models that learned from somebody: as surely as the least sure of them forgets."""
    left = (model for model in workspace.models.states().values() if model.forgotten_us is None)
    if all(is_exact(model.forgets) for model in left):
        return "Each is replaced by a model that never saw your data, and this can be proved."
    return "Each is replaced by another or erased. Not each forgets exactly: a model's card says how it does."
