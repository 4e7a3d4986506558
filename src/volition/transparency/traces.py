"""Traces: what the models learned from one party, from that party's side and without anybody else's (data lineage).

A snapshot's rows are counted once by whom they concern, so that a question about one party does not go through
everybody's rows. The counts give, for any party:

- how many rows a model learned from, and which of them a no would take out (`at_stake`);
- how many the party's own decisions have taken out since, and by when the model must have forgotten them (`trace`).

What others decided is not shown: a model may have to forget sooner because of somebody else.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from volition.canonical import text_to_us
from volition.consent.gate import with_roles
from volition.consent.history import History
from volition.consent.permits import PartyRole, Refusal, Say, Use, governing_rule, permit
from volition.consent.references import ConversationRef, PartyRef
from volition.learning.forget import DAY_US, RefusalTimes
from volition.learning.registry import ModelState
from volition.records.snapshot import Snapshot

_Roles = tuple[PartyRole, ...]
_Place = tuple[PartyRef, str, _Roles, str, tuple[str, ...]]  # party, account, roles, category, people beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The rows of a snapshot in which one party has the same roles, beside the same people of regions of their own.

    Attributes:
        account: Id of the account that the rows belong to.
        roles: The party's roles in them: mostly one.
        category: Their category.
        collected_us: When each was collected, oldest first, microseconds since the Unix epoch, UTC.
        conversations: To which meeting, channel or file each belongs, in the same order, as entries of the ledger name
            it; empty for none, None where that is not known.
        people: Pseudonyms of everyone whom they concern.
        beside: The people among them whose region is known: what the rule there asks for is asked of this party, too.
    """

    account: str
    roles: _Roles
    category: str
    collected_us: Sequence[int]
    conversations: Sequence[ConversationRef | None]
    people: frozenset[str]
    beside: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one model learned from one party.

    Attributes:
        model: The model, as the ledger has it.
        purpose: What it was trained for.
        at_work: Whether it is at work.
        categories: The categories of the party's rows that it learned from; empty if there are none.
        rows: How many of the party's rows it learned from.
        refused: How many of them the party's own decisions have taken out since.
        refused_us: Since when; none if nothing was taken out, or the model was forgotten.
        due_us: By when the model must have forgotten them; none likewise.
        forgot: Whether the model was forgotten because of this party, perhaps among others.
        is_unsure: Whether what it learned from cannot be read here: whether any of it is the party's is not known.
    """

    model: ModelState
    purpose: str
    at_work: bool
    categories: tuple[str, ...]
    rows: int
    refused: int
    refused_us: int | None
    due_us: int | None
    forgot: bool
    is_unsure: bool = False


@lru_cache(maxsize=64)
def _people_in(folder: Path) -> tuple[str, ...]:
    """Return every party of a snapshot's rows; a folder is named by its digest, so its rows never change."""
    return tuple({party: None for key in Snapshot.open(folder).examples() for party in key.question().people})


@lru_cache(maxsize=64)
def _shares(
    folder: Path, located: frozenset[str], resembling: frozenset[tuple[str, frozenset[str]]]
) -> Mapping[str, tuple[Share, ...]]:
    """Count a snapshot's rows by whom they concern in which roles, beside which people with a region of their own."""
    namesakes = dict(resembling)
    collected: dict[_Place, list[tuple[int, ConversationRef | None]]] = {}
    people: dict[_Place, set[str]] = {}
    for key in Snapshot.open(folder).keys:
        beside = tuple(sorted(located.intersection(key.question().people))) if located else ()
        roles: dict[PartyRef, _Roles] = {}
        concerned = key.question().people
        alternates = namesakes.get(concerned[0], frozenset()) if concerned else frozenset()
        for role, party in with_roles(key.account, concerned, alternates=alternates):
            if party not in roles or role is PartyRole.ALTERNATE:  # a party named twice has the role that comes first
                roles[party] = (*roles.get(party, ()), role)
        for party, several_roles in roles.items():
            place: _Place = (party, key.account, several_roles, key.category, beside)
            collected.setdefault(place, []).append((key.collected_us, key.conversation))
            people.setdefault(place, set()).update(key.people)
    found: dict[str, list[Share]] = {}
    for place, rows in collected.items():
        party, account, in_roles, category, beside = place
        rows.sort(key=lambda row: row[0])
        share = Share(
            account=account,
            roles=in_roles,
            category=category,
            collected_us=tuple(at_us for at_us, _ in rows),
            conversations=tuple(conversation for _, conversation in rows),
            people=frozenset(people[place]),
            beside=beside,
        )
        found.setdefault(party, []).append(share)
    return {party: tuple(several) for party, several in found.items()}


def shares(snapshot: Snapshot, party: str, history: History, *, at_us: int) -> Sequence[Share]:
    """Return the rows of a snapshot that concern "account:ID" or "person:PSEUDONYM", as it is known at an instant."""
    people = _people_in(snapshot.folder)
    located = frozenset(history.located(people))
    resembling = frozenset((one, frozenset(history.namesakes(one, at_us=at_us))) for one in history.resembling(people))
    return _shares(snapshot.folder, located, resembling).get(party, ())


def at_stake(snapshot: Snapshot, party: str, history: History, *, at_us: int) -> Sequence[Share]:
    """Return those rows of a snapshot that the party's no would take out: the rows in which the terms give it a say.

    Args:
        snapshot: What a model learned from.
        party: "account:ID" or "person:PSEUDONYM".
        history: What the gate must know.
        at_us: The instant asked about.
    """
    return [
        share
        for share in shares(snapshot, party, history, at_us=at_us)
        if any(
            governing_rule(history, use, at_us, asked_us=at_us).say is not Say.NONE
            for use in _uses(share, party, snapshot.purpose)
        )
    ]


def trace(  # noqa: PLR0913 - a model, a party, and what is known at an instant
    model: ModelState,
    snapshot: Snapshot,
    parties: Sequence[str],
    history: History,
    *,
    at_us: int,
    due_days: int,
    at_work: bool,
    forgot: Collection[str],
) -> Trace:
    """Return what a model learned from a party.

    Args:
        model: The model; it may have been forgotten.
        snapshot: What it learned from.
        parties: The party, "account:ID" or "person:PSEUDONYM"; a person under each of their identities.
        history: What the gate must know.
        at_us: The present instant.
        due_days: Days from a refusal to the day by which the model must have forgotten.
        at_work: Whether it is at work.
        forgot: The parties because of whom it was forgotten; empty if it was not.
    """
    own = [(party, share) for party in parties for share in shares(snapshot, party, history, at_us=at_us)]
    rows = sum(len(share.collected_us) for _, share in own)
    if len(parties) > 1:  # a record may concern two identities of one person
        known = {party.removeprefix("person:") for party in parties}
        rows = sum(not known.isdisjoint(key.people) for key in snapshot.keys)
    refused, since_us = 0, at_us
    if model.forgotten_us is None:
        answers = RefusalTimes(history, snapshot.purpose, frozen_us=text_to_us(snapshot.manifest["at"]), at_us=at_us)
        for party, share in own:
            asked = _uses(share, party, snapshot.purpose)
            gone = {use: _gone(share, use, history, at_us) for use in asked}
            ends_us = [answers.ended_us(use, share.collected_us[0]) for use in asked if gone[use]]
            left_out_us = _left_out_us(share, PartyRef(party), answers) if history.exclusions else []
            still_there = left_out_us[max(gone.values()) :]
            refused += max(gone.values()) + len(still_there) - still_there.count(None)
            ends_us += left_out_us
            since_us = min([since_us, *(ended_us for ended_us in ends_us if ended_us is not None)])
    return Trace(
        model=model,
        purpose=snapshot.purpose,
        at_work=at_work,
        categories=tuple(dict.fromkeys(share.category for _, share in own)),
        rows=rows,
        refused=min(refused, rows),
        refused_us=since_us if refused else None,
        due_us=since_us + due_days * DAY_US if refused else None,
        forgot=not set(parties).isdisjoint(forgot),
    )


def _left_out_us(share: Share, party: PartyRef, answers: RefusalTimes) -> list[int | None]:
    """Return since when the party has left out the conversation of each row; none where it has not."""
    since_us = {
        conversation: answers.left_out_us(party, share.account, share.category, conversation)
        for conversation in set(share.conversations)
    }
    return [since_us[conversation] for conversation in share.conversations]


def _gone(share: Share, use: Use, history: History, at_us: int) -> int:
    """Count the rows that the party's permit no longer covers."""
    answer = permit(history, use, at_us)
    if isinstance(answer, Refusal):
        return len(share.collected_us)
    since_us = answer.since_us if answer.max_age_us is None else max(answer.since_us, at_us - answer.max_age_us)
    return bisect_left(share.collected_us, since_us)


def _uses(share: Share, party: str, purpose: str) -> list[Use]:
    """Return the party's part in the use of its rows, in each role that it has there."""
    return [
        Use(
            account=share.account,
            party=party,
            role=role,
            category=share.category,
            purpose=purpose,
            beside=share.beside,
        )
        for role in share.roles
    ]


def unsure(model: ModelState, purpose: str, *, at_work: bool, forgot: bool) -> Trace:
    """Return the trace of a model whose training set cannot be read: what it learned is not known."""
    return Trace(
        model=model,
        purpose=purpose,
        at_work=at_work,
        categories=(),
        rows=0,
        refused=0,
        refused_us=None,
        due_us=None,
        forgot=forgot,
        is_unsure=True,
    )
