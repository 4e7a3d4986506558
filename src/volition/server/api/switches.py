"""Routes of the settings: every switch of a party as it stands, and a yes or a no to one, or a no to all."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Query

from volition.canonical import us_to_text
from volition.consent.choices import Choice, ChoiceLine, Choices
from volition.consent.history import BEGINNING_US
from volition.consent.permits import Permit, Refusal, Say
from volition.consent.terms.vocabulary import Vocabulary
from volition.errors import InvalidInputError, RefusedError
from volition.server.api.german import CATEGORIES_DE, PURPOSES_DE
from volition.server.api.schemas import (
    Id,
    PurposeWords,
    SettingIn,
    SettingLine,
    SettingOut,
    SettingSaid,
    SettingsOut,
    SettingWords,
    TurnedOff,
)
from volition.server.api.security import LanesDep, WorkspaceDep, check_speaks_for, requires
from volition.server.auth import PEOPLE, Principal, Role, Scope, check_guest
from volition.server.reading import note_reading
from volition.workspace import Workspace

routes = APIRouter(prefix="/v1", tags=["settings"])

AcceptLanguage = Annotated[str, Header(max_length=1000, description="In which language `words` are: en, de.")]

_SAYS: Final[dict[Say, Literal["none", "may-refuse", "asked"]]] = {
    Say.NONE: "none",
    Say.MAY_REFUSE: "may-refuse",
    Say.ASKED: "asked",
}


@routes.get("/settings")
def show_settings(
    who: Annotated[Principal, requires(Scope.READ, *PEOPLE, Role.ADMINISTRATOR, Role.OPERATOR, reads="person")],
    workspace: WorkspaceDep,
    party: Annotated[Id | None, Query(description="By default the caller, the person first.")] = None,
    account: Annotated[Id | None, Query(description="Whose terms count; by default the party's.")] = None,
    accept_language: AcceptLanguage = "",
) -> SettingsOut:
    """Return every switch of a party: its answer, what is allowed for it, and what a no would turn off."""
    whose, at = _party(who, party), account
    _note(workspace, who, whose)
    return _settings(workspace, whose, _account(who, workspace, whose, at), accept_language)


@routes.post("/settings", status_code=201)
async def answer_setting(
    who: Annotated[Principal, requires(Scope.DECIDE, *PEOPLE, Role.ADMINISTRATOR, Role.OPERATOR)],
    lanes: LanesDep,
    body: SettingIn,
    accept_language: AcceptLanguage = "",
) -> SettingSaid:
    """Answer a switch with yes or no, or everything with no. When this returns, a no is in force everywhere."""
    if body.switch is None and (body.answer != "no" or body.covers is not None or body.until is not None):
        raise InvalidInputError("A yes is said to one switch, by its name. Without a switch only a no is taken.")

    def said(workspace: Workspace) -> SettingSaid:
        check_guest(who, workspace.parties)
        party = _party(who, body.party)
        account = _account(who, workspace, party, body.account)
        _note(workspace, who, party)
        if body.switch is None:
            entry, _ = workspace.consent.refuse_all(party, account=account, via="api")
        else:
            entry, _ = workspace.consent.choose(
                party,
                body.switch,
                account=account,
                yes=body.answer == "yes",
                covers=body.covers,
                until=body.until,
                via="api",
            )
        return SettingSaid(entry=entry.seq, after=_settings(workspace, party, account, accept_language))

    return await lanes.decide(said)


def _note(workspace: Workspace, who: Principal, party: str) -> None:
    if party.startswith("person:"):
        note_reading(workspace, who, "person", [party.removeprefix("person:")])


def _party(who: Principal, party: str | None) -> str:
    """Return the party that is meant. Raises HttpError where the caller does not speak for it."""
    if party is None:
        if who.is_any(PEOPLE) and who.person is not None:
            return f"person:{who.person}"
        if Role.ADMINISTRATOR in who.roles and who.account is not None:
            return f"account:{who.account}"
        raise InvalidInputError("Name the party: account:ID or person:ID.")
    check_speaks_for(who, party)
    return party


def _account(who: Principal, workspace: Workspace, party: str, account: str | None) -> str:
    """Return the account whose terms count: of somebody's own, theirs; of a guest, the one that their link is for."""
    kind, _, name = party.partition(":")
    own = name if kind == "account" else workspace.parties.person(name).account or who.account
    if account is not None and account != own and Role.OPERATOR not in who.roles:
        raise RefusedError("Only the account that you belong to can be named here.")
    chosen = own if account is None else account
    if chosen is None:
        raise InvalidInputError("This person is a guest of no single account. Name the account whose terms count.")
    return chosen


def _settings(workspace: Workspace, party: str, account: str, languages: str) -> SettingsOut:
    found: Choices = workspace.consent.choices(party, account=account)
    due_days = workspace.due_days
    return SettingsOut(
        party=party,
        account=account,
        organisation=workspace.parties.account(account).name,
        terms=None if found.terms is None else found.terms.title,
        accepted=found.accepted,
        erased=found.erased,
        can_refuse_all=sum(choice.has_say for choice in found.choices) > 1,
        settings=[_setting(choice, due_days) for choice in found.choices],
        words=_words(workspace.terms.vocabulary, found, _language(languages)),
    )


def _language(languages: str) -> Literal["en", "de"]:
    """Return the first language of an Accept-Language that there are words in; English where there is none."""
    asked = (one.partition(";")[0].strip().lower().partition("-")[0] for one in languages.split(","))
    return "de" if next((one for one in asked if one in {"en", "de"}), "en") == "de" else "en"


def _words(vocabulary: Vocabulary, found: Choices, language: Literal["en", "de"]) -> SettingWords:
    lines = [line for choice in found.choices for line in choice.lines]
    purposes, categories = sorted({line.purpose for line in lines}), sorted({line.category for line in lines})
    own, data = (PURPOSES_DE, CATEGORIES_DE) if language == "de" else ({}, {})

    def words_of(name: str) -> PurposeWords:
        one = vocabulary.purpose(name)
        title, does, without = own.get(name, (one.title, one.does, one.without))
        return PurposeWords(title=title, does=does, without=without)

    return SettingWords(
        language=language,
        purposes={name: words_of(name) for name in purposes},
        categories={name: data.get(name) or vocabulary.category(name).words for name in categories},
    )


def _setting(choice: Choice, due_days: int) -> SettingOut:
    trains = any(line.purpose.startswith("train/") for line in choice.with_say(Say.ASKED, Say.MAY_REFUSE))
    return SettingOut(
        switch=choice.switch.name,
        title=choice.switch.title,
        purposes=list(choice.purposes),
        answer=choice.answer.value,
        state=choice.standing().value,
        has_say=choice.has_say,
        reaches_back=choice.can_reach_back,
        until=None if choice.end_us is None else us_to_text(choice.end_us),
        turns_off=[one for purpose in choice.purposes if (one := _turned_off(choice, purpose)).categories],
        forget_days=due_days if trains else None,
        lines=[_line(line) for line in choice.lines],
    )


def _turned_off(choice: Choice, purpose: str) -> TurnedOff:
    lines = [line for line in choice.lines if line.purpose == purpose]
    heard = [line.category for line in lines if line.say is not Say.NONE]
    return TurnedOff(
        purpose=purpose, whole=len(heard) == len(lines), categories=heard, besides=choice.is_besides(purpose)
    )


def _line(line: ChoiceLine) -> SettingLine:
    since_us = None
    if isinstance(line.own, Permit) and isinstance(line.of_account, Permit):
        since_us = max(line.own.since_us, line.of_account.since_us)
    refusal = next((one for one in (line.own, line.of_account) if isinstance(one, Refusal)), None)
    return SettingLine(
        category=line.category,
        purpose=line.purpose,
        say=_SAYS[line.say],
        answer=line.answer.value,
        allowed=line.stands,
        since=None if since_us is None or since_us == BEGINNING_US else us_to_text(since_us),
        reason=None if refusal is None else refusal.reason.value,
        until=None if line.end_us is None else us_to_text(line.end_us),
        limited=line.is_limited,
        by_signal=line.by_signal,
    )
