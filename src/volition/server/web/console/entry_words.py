"""What an entry of the ledger says, in plain words, to those who may not know which person it names.

A person is "a person", and what one answered is not said; only that the answer was given elsewhere and imported, where
it was.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import text_to_us
from volition.consent.history import OPERATOR, SOURCE
from volition.consent.terms.vocabulary import Category, covers
from volition.ledger.entry import Entry
from volition.records.audience import TO_ALL_THERE, WRITTEN
from volition.server.web import labels as words

_PERSON: Final = "person:"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An entry that is to be said.

    Attributes:
        body: Its content.
        names: What accounts and groups are called, by their ids.
    """

    body: Mapping[str, Any]
    names: Mapping[str, str]

    @property
    def is_person(self) -> bool:
        """Whether its party is a person, not an account."""
        return str(self.body.get("party", "")).startswith(_PERSON)

    @property
    def who(self) -> str:
        """Its party, as the beginning of a sentence."""
        party = str(self.body.get("party", "")).partition(":")[2]
        return "A person" if self.is_person else self.names.get(party, party)

    @property
    def account(self) -> str:
        """What its account is called."""
        account = str(self.body.get("account"))
        return self.names.get(account, account)


def said(entry: Entry, names: Mapping[str, str]) -> str:
    """Return one sentence or two that say an entry; its kind alone where there is none for it.

    Args:
        entry: The entry.
        names: What accounts, and groups of a limit's account, are called, by their ids.
    """
    say = _SENTENCES.get(entry.kind)
    return entry.kind if say is None else say(_Told(body=entry.body, names=names))


def _decision(told: _Told) -> str:
    body = told.body
    if told.is_person:
        came = " It was given elsewhere and imported." if "claim" in body else ""
        return f"A person gave an answer.{came} It is shown to that person alone."
    until = f", until {words.day(text_to_us(body['until']))}" if body.get("until") else ""
    ends = f"{until}{_elsewhere(body)}"
    return f"{told.who} said {body['answer']} to {_named(body['purpose'])}, with {_named(body['data'])}{ends}."


def _elsewhere(body: Mapping[str, Any]) -> str:
    """Say of an imported answer when it was given, and who says so; empty for one that was said here."""
    if "claim" not in body:
        return ""
    on = words.day(text_to_us(body["claim"]["said"]))
    return f"; given elsewhere, on {on} according to {body['claim']['source']}, and imported"


def _limit(told: _Told) -> str:
    body = told.body
    whom = f"its group {told.names.get(body['group'], body['group'])}" if body["group"] else "the whole account"
    if body["group"]:
        whom += f", {words.count(len(body['people']), 'name')}" if body["people"] else ", all of it"
    did = "limited" if body["limited"] else "lifted its limit of"
    return f"{told.account} {did} {_named(body['purpose'])}, with {_named(body['data'])}, for {whom}."


def _mapping(told: _Told) -> str:
    body = told.body
    if body["source"] != "otlp":
        return f"Rows of the source {body['source'].removeprefix('source/')} began to be read by another mapping."
    mapped = words.count(len(body["mapping"]["events"]), "name")
    return f"Collecting began to use another mapping of events to kinds of data, with {mapped}."


def _access(told: _Told) -> str:
    lines = words.count(told.body["lines"], "line")
    return f"Who read personal data on {told.body['day']} was put on record, in {lines}."


def _shared(told: _Told) -> str:
    body, account = told.body, told.account
    if body["conversation"] == TO_ALL_THERE:
        to = "everyone who was in the meeting" if body["shared"] else "nobody"
        return f"{account} chose that a written summary which was not sent is read by {to}."
    if body["conversation"] == WRITTEN:
        did = "sent a written summary to" if body["shared"] else "took a written summary back from"
        people = len(body["with"])
        return f"A person of {account} {did} {'a person' if people == 1 else f'{people:,} people'}."
    did = "opened" if body["shared"] else "closed"
    by = f"The {body['by']}" if body["by"] in {OPERATOR, SOURCE} else "A person who was in it"
    people = sum(party.startswith(_PERSON) for party in body["with"])
    whom = [f"everyone at {account}"] if len(body["with"]) > people else []
    if people:
        whom.append("a person" if people == 1 else f"{people:,} people")
    return f"{by} {did} a {body['conversation']} of {account} to {words.listed(whom)}."


def _exclusion(told: _Told) -> str:
    what = "what concerns them in a conversation" if told.is_person else "a conversation"
    did = f"left {what} out of" if told.body["excluded"] else f"took {what} back into"
    return f"{told.who} {did} {words.uses(_covered(told.body['purpose']))}."


def _release(told: _Told) -> str:
    body = told.body
    beyond = f", beyond its bounds, by decision of {body['override']['by']}" if "override" in body else ""
    return f"Model {body['model']} was released{beyond}."


def _forgetting(told: _Told) -> str:
    body, count = told.body, len(told.body["parties"])
    after = f"{body['successor']} replaced it" if body["successor"] else "nothing replaced it"
    detail = "1 party" if count == 1 else f"{count:,} parties"
    return f"Model {body['model']} was forgotten for {detail}; {after}."


def _removal(told: _Told) -> str:
    body, count = told.body, len(told.body["parties"])
    whose = "an erased party" if count == 1 else f"{count:,} erased parties"
    return f"Of {whose}, {words.count(body['rows'], 'row')} went from the table {body['table']}."


_IDENTITY: Final[Mapping[str, str]] = {
    "merge": "Two identities turned out to be one person; what either had refused is refused for both.",
    "apart": "Somebody heard and somebody registered were said to be two people.",
    "alias": "A person is known by other names or addresses.",
    "rename": "A person is shown by another name.",
    "move": "A person moved to another account.",
    "leave": "A person left their account.",
}
"""What each entry about identities says, by what was done."""


def _named(names: list[str]) -> str:
    known = words.vocabulary().named
    is_data = {name: isinstance(known.get(name), Category) for name in names}
    return words.listed([words.category(name) if is_data[name] else words.purpose_in_words(name) for name in names])


def _covered(names: Iterable[str]) -> list[str]:
    return [leaf for leaf in words.vocabulary().purposes if any(covers(name, leaf) for name in names)]


_SENTENCES: Final[Mapping[str, Callable[[_Told], str]]] = {
    "terms": lambda told: (
        f"The terms {told.body['terms']['id']} were published. They take effect on {told.body['binds'][:10]}."
    ),
    "acceptance": lambda told: f"{told.account} accepted the terms {told.body['terms']}.",
    "notice": lambda told: (
        f"{told.account} was notified of the terms {told.body['terms']}, which take effect on {told.body['ends'][:10]}."
    ),
    "decision": _decision,
    "region": lambda told: f"{told.who} has a region on record{'' if told.is_person else ': ' + told.body['region']}.",
    "identity": lambda told: _IDENTITY[told.body["act"]],
    "signal": lambda told: f"{told.who}'s browser sent an opt-out signal.",
    "limit": _limit,
    "mapping": _mapping,
    "collect": lambda told: f"{words.count(told.body['records'], 'record')} came in.",
    "access": _access,
    "form": lambda told: f"From here on each entry has a salt; the {told.body['unsalted']:,} before it have none.",
    "sharing": _shared,
    "exclusion": _exclusion,
    "snapshot": lambda told: f"Snapshot {told.body['snapshot']} was frozen for {_named([told.body['purpose']])}.",
    "model": lambda told: f"Model {told.body['model']} was trained from {told.body['snapshot']}.",
    "release": _release,
    "forgetting": _forgetting,
    "erasure": lambda told: f"{told.who} was erased.",
    "removal": _removal,
}
"""How each kind of entry is said."""
