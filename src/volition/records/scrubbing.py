"""The payloads of a snapshot's rows, scrubbed: of whom each row concerns, and of whom it may speak.

Most payloads of service-generated data hold nothing that could be replaced. That is seen by a search over all of a
block, and these stay the bytes that they are; the others are read, scrubbed and written, one by one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from volition.canonical import canonical_json
from volition.consent.parties import Parties
from volition.consent.permits import Permits
from volition.consent.references import source_id
from volition.records.lake import Group, Lake, PermittedRows
from volition.records.scrub import Scrubber, may_hold_identifiers

_UNSCRUBBED: Final = ("kind", "meeting", "channel", "file", "ts", "thread", "name")
"""Payload keys that identify a source rather than hold what somebody said."""

_GROUPS: Final = {"meeting": "content/transcript", "channel": "content/chat", "file": "content/files"}
"""What brings people together, by the payload key that names it, and the category of its records."""

_UNSCRUBBED_ATTRIBUTES: Final = (
    "search.meeting",
    "search.channel",
    "search.file",
    "search.ts",
    "session.id",
    "volition.item",
)


_SCRUBBERS_HELD: Final = 20_000
_SPEAKERS: Final = ("speaker", "author")


class Scrubbing:
    """Scrubs the payloads of a snapshot's rows."""

    def __init__(self, rows: PermittedRows, lake: Lake, parties: Parties, permits: Permits) -> None:
        """Scrub rows unless their rule says otherwise, by names as `parties` has them."""
        self._rows = rows
        self._lake = lake
        self._parties = parties
        self._permits = permits
        self._mentioned: dict[tuple[str, str, str], frozenset[str]] = {}
        self._scrubbers: dict[tuple[str, ...], Scrubber] = {}
        self._scrubs: dict[tuple[str, str], bool] = {}

    def payloads(self, block: pa.RecordBatch) -> pa.Array:
        """Return the payloads of some rows as canonical JSON, identifiers replaced unless the rule says otherwise."""
        payloads: list[bytes] = block.column("payload").to_pylist()
        groups = block.column("group").to_pylist()
        self._parties.expect([], [one for number in {*groups} for one in self._rows.groups.of(number).people])
        is_plain = ~may_hold_identifiers(block.column("payload"), (*_SPEAKERS, *_MENTIONING))
        hints = {number: self._hints(self._rows.groups.of(number)) for number in set(groups)}
        for place in np.flatnonzero(is_plain).tolist():
            folded = payloads[place].lower()
            for hint in hints[groups[place]]:
                if hint in folded:
                    is_plain[place] = False
                    break
        if is_plain.all():
            return block.column("payload")
        for place in np.flatnonzero(~is_plain).tolist():
            group = self._rows.groups.of(groups[place])
            if self._is_scrubbed(group):
                payloads[place] = self._scrubbed(payloads[place], group)
        return pa.array(payloads, pa.binary())

    def _hints(self, group: Group) -> tuple[bytes, ...]:
        """Return words of which one stands wherever somebody's name does; the empty one stands everywhere."""
        hints = self._scrubber(group.people).hints if self._is_scrubbed(group) else ()
        return (b"",) if hints is None else hints

    def _is_scrubbed(self, group: Group) -> bool:
        of = group.account, group.category
        if of not in self._scrubs:
            self._scrubs[of] = self._permits.scrubs(*of)
        return self._scrubs[of]

    def _scrubbed(self, written: bytes, group: Group) -> bytes:
        payload = json.loads(written)
        attributes = payload.get("attributes", {})
        people = tuple(sorted({*group.people, *self._people_mentioned(group.account, attributes)}))
        scrubber = self._scrubber(people)
        scrubbed = scrubber.scrub_payload(payload, keep=(*_UNSCRUBBED, "attributes"))
        if attributes:
            scrubbed["attributes"] = scrubber.scrub_payload(attributes, keep=_UNSCRUBBED_ATTRIBUTES)
        for field in _SPEAKERS:
            if field in scrubbed:
                scrubbed[field] = f"[{_label(group.people[0])}]"
        return canonical_json(scrubbed)

    def _people_mentioned(self, account: str, attributes: Mapping[str, Any]) -> Iterator[str]:
        """Yield the people of the meeting, channel or file that an event is about: their names may be in its texts.

        Also if nothing else of that meeting is in the snapshot, above all because somebody there said no.
        """
        for kind, category in _GROUPS.items():
            name = attributes.get(f"search.{kind}")
            if not isinstance(name, str):
                continue
            place = account, kind, name
            if place not in self._mentioned:
                there = self._rows.people_of(account, source_id(account, name))
                if there is None:
                    found = self._lake.meeting(account, name, category=category)
                    there = frozenset(found[0] if found else ())
                self._mentioned[place] = there
            yield from self._mentioned[place]

    def _scrubber(self, people: Sequence[str]) -> Scrubber:
        """Return what replaces the names of some people."""
        concerned = tuple(sorted(set(people)))
        if concerned not in self._scrubbers:
            if len(self._scrubbers) >= _SCRUBBERS_HELD:  # rows come account by account
                self._scrubbers.clear()
            self._scrubbers[concerned] = Scrubber(_names(concerned, self._parties))
        return self._scrubbers[concerned]


_MENTIONING: Final = tuple(f"search.{kind}" for kind in _GROUPS)
"""Attributes that name what an event is about."""


def _names(people: Sequence[str], parties: Parties) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for pseudonym in people:
        person = parties.person_by_pseudonym(pseudonym)
        if person is not None:
            names[_label(pseudonym)] = list(person.names)
    return names


def _label(pseudonym: str) -> str:
    return f"person-{pseudonym[:8]}"
