"""Requests of a person: being erased, with what it does said before; and how far everything is that they asked for.

Whoever was erased has no sign-in any more, so the progress of an erasure is followed by a signed link that names its
ledger entry, and nobody.
"""

from dataclasses import dataclass
from typing import Final

from volition.errors import ConflictError, InvalidInputError
from volition.server.auth import Role
from volition.server.web import labels as words
from volition.server.web.page import EVERYBODY, Nav, Notice, Pages, Redirect, Visit
from volition.server.web.person.settings import State, party_of
from volition.transparency.data_requests import AffectedModel, DataRequest, RequestKind
from volition.workspace import Workspace

pages = Pages()
PATH: Final = "/requests"
_LINK: Final = "erasure"
_DAY_US: Final = 24 * 60 * 60 * 1_000_000
_FOLLOWED_DAYS: Final = 366
_SHOWN: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """A model that a request touches: what it is, how many of the person's rows it learned from, and how far it is."""

    name: str
    rows: int
    state: State
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCard:
    """One request as the page shows it.

    Attributes:
        id: In addresses.
        title: What was asked for.
        when: When, and where it stands in the ledger.
        state: Whether everything is done.
        told: What has happened and what is still to come, a sentence each.
        models: The models that it touches.
        done: How many of them have forgotten.
    """

    id: str
    title: str
    when: str
    state: State
    told: tuple[str, ...]
    models: tuple[ModelLine, ...]
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsPage:
    """What a person asked for.

    Attributes:
        title: The page's heading.
        lead: What this is, in a sentence.
        requests: The newest first.
        more: How many older ones are not shown.
        erase: Where being erased is asked for.
    """

    title: str
    lead: str
    requests: tuple[RequestCard, ...]
    more: int
    erase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePage:
    """What being erased does, before it is done.

    Attributes:
        title: The page's heading.
        lead: That nothing brings it back.
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
    """How far an erasure is.

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


@pages.get(PATH, roles=[Role.PERSON], template="requests.html", nav=Nav(label="Requests", place=60))
def show(visit: Visit) -> RequestsPage:
    """List what was asked for."""
    party, _ = party_of(visit)
    found = visit.workspace.rights.requests(visit.workspace.party(party))
    return RequestsPage(
        title="Requests",
        lead="Every no of yours, how far it is, and being erased. A no is in force at once; what learned from you "
        f"before must forget within {visit.workspace.due_days} days.",
        requests=tuple(_card(request, visit.workspace.now_us) for request in found[:_SHOWN]),
        more=max(0, len(found) - _SHOWN),
        erase=f"{PATH}/erase",
    )


@pages.get(f"{PATH}/erase", roles=[Role.PERSON], template="erase.html")
def ask(visit: Visit) -> ErasePage:
    """Say what being erased does."""
    party, _ = party_of(visit)
    workspace = visit.workspace
    held = workspace.rights.holdings(party.removeprefix("person:"))
    own, concerning = (sum(getattr(day, name) for day in held.days) for name in ("own", "concerning"))
    learned = sorted({words.PURPOSES[one.purpose].title.lower() for one in held.training_sets})
    taught = f" You are in training sets for: {words.listed(learned)}." if learned else ""
    return ErasePage(
        title="Erase me",
        lead="Read what it does, then choose. Nothing brings back what was erased.",
        at_once=(
            "From that moment nothing of yours is used: not by a feature, not for training.",
            f"What you said, wrote or did is removed ({words.count(own, 'record')}), with all computed from it.",
            "Edited summaries of meetings that you were in are removed, too, since they may quote you.",
            "Your name, your addresses and the key behind your pseudonym are destroyed; you cannot sign in any more.",
        ),
        later=(
            f"Models that learned from you must forget within {workspace.due_days} days.{taught}",
            "Each is replaced by the model that never saw you, and that can be proved.",
            "You get a link by which you can follow that, without signing in.",
        ),
        stays=(
            f"What others said or did that concerns you is theirs, so it stays ({words.count(concerning, 'record')}).",
            "Where you have a say, it is not used any more.",
            "The ledger keeps that somebody said yes or no, under a pseudonym that then stands for nobody.",
        ),
        action=f"{PATH}/erase",
        back=PATH,
        export="/holdings/export",
    )


@pages.post(f"{PATH}/erase", roles=[Role.PERSON])
def erase(visit: Visit) -> Redirect:
    """Erase whoever asks, if they have confirmed it; lead them to where they can follow it."""
    party, _ = party_of(visit)
    if visit.form.get("confirm") != "yes":
        told = "Nothing was erased. Tick the box first, so that it does not happen by accident."
        return Redirect(to=f"{PATH}/erase", notice=Notice(text=told))
    workspace = visit.workspace
    ledger_name = workspace.party(party)
    try:
        workspace.forgetting.erase(party)
    except ConflictError:
        if workspace.history().party(ledger_name).erased_us is None:
            raise
        # It is done; old bytes of a file that another process reads are wiped when that is closed.
    seq = workspace.history().party(ledger_name).erased_seq
    visit.access.users.remove_person(party.removeprefix("person:"))
    link = visit.access.links.sign(_LINK, {"seq": seq}, lasts_us=_FOLLOWED_DAYS * _DAY_US)
    return Redirect(to=f"{PATH}/followed/{link}", session="")


@pages.get(f"{PATH}/followed/{{link}}", roles=EVERYBODY, template="erased.html")
def follow(visit: Visit) -> ErasedPage:
    """Show how far an erasure is, to whoever has its link."""
    told = visit.access.links.read(_LINK, visit.path["link"])
    return ErasedPage(
        title="Your erasure",
        lead="Keep this page's address: by it you see how far it is, without signing in. It does not name you.",
        request=_card(_erasure(visit.workspace, told["seq"]), visit.workspace.now_us),
        ends=words.day(told["ends"]),
    )


def _erasure(workspace: Workspace, seq: int) -> DataRequest:
    [entry] = workspace.ledger.entries(seq, seq + 1)
    found = [one for one in workspace.rights.requests(entry.body["party"]) if one.kind is RequestKind.ERASURE]
    if not found:
        raise InvalidInputError("This link names no erasure. Open it just as you got it.")
    return found[0]


def _card(request: DataRequest, now_us: int) -> RequestCard:
    erased = request.kind is RequestKind.ERASURE
    done = sum(model.forgotten_us is not None for model in request.models)
    return RequestCard(
        id=f"request-{request.seq}",
        title="Erase me" if erased else f"No to {_spoken(request)}",
        when=f"{words.moment(request.at_us)}, entry {request.seq:,} of the ledger",
        state=State(word="Done" if request.is_done else "Under way", is_on=request.is_done),
        told=tuple(_told(request, done, now_us)),
        models=tuple(_line(model) for model in request.models),
        done=done,
    )


def _told(request: DataRequest, done: int, now_us: int) -> list[str]:
    told = ["In force since then: nothing of what it speaks of is used."]
    if request.until_us is not None:
        told = [f"In force until {words.moment(request.until_us)}, when you said yes to some or all of it again."]
    if request.kind is RequestKind.ERASURE:
        told = ["In force since then: nothing of yours is used. Your records, names and keys are destroyed."]
    total = len(request.models)
    if not total:
        return [*told, "No model had learned from what it speaks of."]
    if request.due_us is None:
        return [*told, "Every model that had learned from it has forgotten it."]
    left = total - done
    rest = "it" if total == 1 else "the other" if left == 1 else "the others"
    had = f"{done:,} of {words.count(total, 'model')} that had learned from it"
    due = f"{rest} must by {words.day(request.due_us)}."
    if request.due_us < now_us:
        due = f"{rest} should have by {words.day(request.due_us)}. What is overdue is not at work any more."
    return [*told, f"{had} {'has' if done == 1 else 'have'} forgotten it; {due}"]


def _spoken(request: DataRequest) -> str:
    return f"{words.purposes(request.purposes)}, with {words.categories(request.categories)}"


def _line(model: AffectedModel) -> ModelLine:
    forgot = model.forgotten_us is not None
    if model.forgotten_us is not None:
        when = f"on {words.day(model.forgotten_us)}"
        when += f"; {model.successor} took its place" if model.successor else "; none took its place"
    else:
        when = f"by {words.day(model.due_us or 0)}"
    return ModelLine(
        name=model.model,
        rows=model.rows,
        state=State(word="Forgotten" if forgot else "Must forget", is_on=forgot),
        when=when,
    )
