"""Rows of a table that others keep, as a training sees them: identifiers of people are replaced.

In snapshots of the lake they are replaced before content is written. Of a table nothing is written, so they are
replaced whenever its rows are read, whatever the rule for a category says of it: the column of the people holds their
labels, and texts are scrubbed (`records.scrub`), but for the columns that say whose a row is, of what kind, of which
conversation, and which row it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from volition.consent.parties import Parties
from volition.records.foreign.places import plain_value
from volition.records.scrub import Scrubber

_KEPT: Final = ("account_column", "category_column", "conversation_column", "record_column")
_MOST_KNOWN: Final = 20_000  # sets of people whose names are remembered


class TableRows:
    """Replaces identifiers in rows of one table."""

    def __init__(self, parties: Parties, mapping: Mapping[str, str]) -> None:
        """Take who there is, and which columns of the table decide, as a manifest has them."""
        self._parties = parties
        self._people = mapping["people"]
        self._keep = tuple(mapping[name] for name in _KEPT if name in mapping)
        self._scrubbers: dict[tuple[str, ...], Scrubber] = {}

    def payloads(self, batch: pa.RecordBatch, people: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
        """Yield rows as JSON objects: instants by RFC 3339, bytes as hexadecimal, what else JSON has not as text.

        Args:
            batch: Rows of the table.
            people: Pseudonyms of whom each concerns.
        """
        for row, concerned in zip(batch.to_pylist(), people, strict=True):
            labels = [f"[{_label(one)}]" for one in concerned]
            said = {name: value for name, value in row.items() if name != self._people}
            scrubbed = self._scrubber(tuple(concerned)).scrub_payload(said, keep=self._keep)
            named = labels if isinstance(row[self._people], list) else labels[0]
            yield {name: plain_value(scrubbed.get(name, named)) for name in row}

    def _scrubber(self, people: tuple[str, ...]) -> Scrubber:
        known = self._scrubbers.get(people)
        if known is None:
            if len(self._scrubbers) > _MOST_KNOWN:
                self._scrubbers.clear()
            found = {pseudonym: self._parties.person_by_pseudonym(pseudonym) for pseudonym in people}
            names = {_label(pseudonym): [*one.names] for pseudonym, one in found.items() if one is not None}
            known = self._scrubbers[people] = Scrubber(names)
        return known


def _label(pseudonym: str) -> str:
    return f"person-{pseudonym[:8]}"
