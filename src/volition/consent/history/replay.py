"""Replay ledger entries into a history: each adds what its kind says; one that cannot be read is named in the error.

Nearly all entries of a long ledger are decisions, so `extend_history_by` adds those that follow one another together,
as columns; what comes out is the same as of `extend_history`, one by one.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from typing import Any, Final

import numpy as np

from volition.canonical import canonical_json, digest, text_to_us
from volition.consent.history.exclusions import Exclusion
from volition.consent.history.history import History
from volition.consent.history.values import BEGINNING_US, NO_END_US, NOT_BACK_US, AnswerScope, Decision, Limit
from volition.consent.references import ConversationRef, PartyRef
from volition.consent.terms.model import Terms
from volition.errors import InvalidInputError
from volition.ledger.entry import Entry

_MANY: Final = 16
"""Fewer decisions are added one by one, which takes less than making columns of them."""

_AT_ONCE: Final = 4096


def read_history(entries: Iterable[Entry]) -> History:
    """Arrange ledger entries, in their order, as a history.

    Raises:
        InvalidInputError: An entry's body lacks what its kind needs.
    """
    history = History()
    extend_history_by(history, entries)
    return history


def extend_history_by(history: History, entries: Iterable[Entry]) -> None:
    """Add ledger entries to a history, in their order; those before one that cannot be read are added.

    Raises:
        InvalidInputError: An entry's body lacks what its kind needs.
    """
    for are_plain, run in groupby(entries, _is_plain_decision):
        while added := [*islice(run, _AT_ONCE)]:
            if not are_plain or not _decide_together(history, added):
                for entry in added:
                    extend_history(history, entry)


def _is_plain_decision(entry: Entry) -> bool:
    return entry.kind == "decision" and "namesake" not in entry.body


def _decide_together(history: History, run: Sequence[Entry]) -> bool:
    """Add decisions as columns; say whether that was done: not where one of them cannot be read, or they are few."""
    if len(run) < _MANY:
        return False
    scopes: dict[tuple[bool, tuple[str, ...], tuple[str, ...]], int] = {}
    rows, imported = [], []
    try:
        for entry in run:
            body: dict[str, Any] = entry.body
            covers, until = body["covers"], body.get("until")
            scope = body["answer"] == "yes", tuple(body["data"]), tuple(body["purpose"])
            said_us = _claimed_us(body, entry)
            rows.append(
                (
                    scopes.setdefault(scope, len(scopes)),
                    entry.at_us,
                    entry.at_us if said_us is None else said_us,
                    NOT_BACK_US if covers is None else BEGINNING_US if covers == "past" else text_to_us(covers),
                    NO_END_US if until is None or not scope[0] else text_to_us(until),
                    entry.seq,
                )
            )
            name = body["claim"].get("id") if "claim" in body else None
            if name is not None and "same_as" not in body:
                imported.append((import_number(name), entry.seq, content_number(body)))
        told = [
            AnswerScope(
                yes=yes,
                categories=frozenset(history.vocabulary.leaves_of_data(data)),
                purposes=frozenset(history.vocabulary.leaves_of_use(purpose)),
            )
            for yes, data, purpose in scopes
        ]
        parties = history.answers.numbers(entry.body["party"] for entry in run)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInputError):
        return False  # one by one, the error names which
    scope_of, at_us, said_us_of, covers_us, until_us, seq = np.array(rows, np.int64).T
    history.answers.decide_all(parties, told, scope_of, at_us, covers_us, seq, until_us=until_us, said_us=said_us_of)
    history.imported.add_all(imported)
    history.size, history.last_us = run[-1].seq + 1, run[-1].at_us
    return True


def extend_history(history: History, entry: Entry) -> None:
    """Add one ledger entry to a history.

    Raises:
        InvalidInputError: The entry's body lacks what its kind needs.
    """
    try:
        _read_entry(history, entry)
        if entry.kind in {"decision", "signal"} and "namesake" in entry.body:
            history.resemble(entry.body["party"], str(entry.body["namesake"]), at_us=entry.at_us)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"Ledger entry {entry.seq} ({entry.kind}) has a body that cannot be read: {error!r}."
        raise InvalidInputError(msg) from error
    history.size, history.last_us = entry.seq + 1, entry.at_us


def _read_entry(history: History, entry: Entry) -> None:  # noqa: C901 - one case for each kind
    body: dict[str, Any] = entry.body
    match entry.kind:
        case "terms":
            history.publish(
                Terms.from_json(body["terms"]), binds_us=text_to_us(body["binds"]), at_us=entry.at_us, seq=entry.seq
            )
        case "acceptance":
            history.bindings.accept(body["account"], body["terms"], at_us=entry.at_us, seq=entry.seq)
        case "decision":
            covers, until = body["covers"], body.get("until")  # an entry says `until` only where there is an end
            history.answers.decide(
                body["party"],
                Decision(
                    yes=body["answer"] == "yes",
                    categories=frozenset(history.vocabulary.leaves_of_data(body["data"])),
                    purposes=frozenset(history.vocabulary.leaves_of_use(body["purpose"])),
                    at_us=entry.at_us,
                    covers_us=None if covers is None else BEGINNING_US if covers == "past" else text_to_us(covers),
                    until_us=None if until is None else text_to_us(until),
                    seq=entry.seq,
                    claimed_us=_claimed_us(body, entry),
                ),
                copied="namesake" in body,
            )
            _note_import(history, body, entry)
        case "region":
            history.locate(body["party"], body["region"], at_us=entry.at_us)
        case "signal":
            history.answers.signal(
                body["party"], body["signal"], at_us=entry.at_us, seq=entry.seq, copied="namesake" in body
            )
        case "limit":
            _limit(history, body, entry)
        case "sharing":
            conversation, to = (str(body["conversation"]), str(body["source"])), [str(party) for party in body["with"]]
            if body["shared"] is True:
                history.sharings.share(body["account"], conversation, to=to, by=str(body["by"]), at_us=entry.at_us)
            else:  # whatever else it says, it opens nothing
                history.sharings.unshare(body["account"], conversation, to=to, by=str(body["by"]))
        case "exclusion":
            _exclude(history, body, entry)
        case "erasure":
            history.erase(body["party"], at_us=entry.at_us, seq=entry.seq)
            history.events.append(entry)
        case "mapping" | "snapshot" | "model" | "release" | "forgetting" | "removal" | "identity":
            history.events.append(entry)


def _note_import(history: History, body: dict[str, Any], entry: Entry) -> None:
    """Note an answer that was imported under a name; its copies for others have the same, and are not noted."""
    name = body["claim"].get("id") if "claim" in body else None
    if name is not None and {"same_as", "namesake"}.isdisjoint(body):
        history.imported.add(import_number(name), entry.seq, content_number(body))


def import_number(name: str) -> int:
    """Return the id of a claim, 32 hexadecimal digits, as a number that fits into a column."""
    return int(name[:16], 16) - 2**63


def content_number(body: dict[str, Any]) -> int:
    """Return a digest of what an imported answer says, whoever imported it, as a number that fits into a column."""
    claim = {name: value for name, value in body["claim"].items() if name != "by"}
    return int(digest(canonical_json({**body, "claim": claim}))[:16], 16) - 2**63


def _claimed_us(body: dict[str, Any], entry: Entry) -> int | None:
    """Return when an imported answer was said; none where it was said when it was recorded."""
    if "claim" not in body:
        return None
    said_us = text_to_us(body["claim"]["said"])
    if not 0 <= said_us <= entry.at_us or body["covers"] is not None:
        raise ValueError(body["claim"], body["covers"])
    return said_us


def _limit(history: History, body: dict[str, Any], entry: Entry) -> None:
    limited, people = body["limited"], body["people"]
    if not isinstance(limited, bool) or not all(person.startswith("person:") for person in people):
        raise ValueError(limited, people[:1])
    limit = Limit(
        account=body["account"],
        group=body["group"],
        limited=limited,
        categories=frozenset(history.vocabulary.leaves_of_data(body["data"])),
        purposes=frozenset(history.vocabulary.leaves_of_use(body["purpose"])),
        at_us=entry.at_us,
        seq=entry.seq,
    )
    history.limit(limit, people)


def _exclude(history: History, body: dict[str, Any], entry: Entry) -> None:
    party = str(body["party"])
    if not isinstance(body["excluded"], bool) or party.partition(":")[0] not in {"account", "person"}:
        raise ValueError(body["excluded"], party)
    exclusion = Exclusion(
        account=str(body["account"]),
        conversation=ConversationRef(str(body["conversation"])),
        party=PartyRef(party),
        purposes=frozenset(history.vocabulary.leaves_of_use(body["purpose"])),
        excluded=body["excluded"],
        at_us=entry.at_us,
        seq=entry.seq,
        by=PartyRef(str(body["namesake"])) if "namesake" in body else None,
    )
    history.exclusions.add(exclusion)
