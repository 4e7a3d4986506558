"""The state of a table of permits: which lines hold, until when, and what of the ledger they know."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import pyarrow as pa

from volition.canonical import us_to_text

SCHEMA: Final = pa.schema(
    [
        pa.field("generation", pa.string(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
        pa.field("as_of_entry", pa.int64(), nullable=False),
        pa.field("as_of_us", pa.int64(), nullable=False),
        pa.field("good_until_us", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the one line of a table's state says.

    Attributes:
        generation: Which lines of the table hold: those with this generation.
        origin: The name of the log that the permits follow from.
        as_of_entry: The number of the newest entry that they know; -1 if there is none.
        as_of_us: As of which instant they were worked out, microseconds since the Unix epoch, UTC.
        good_until_us: Until when they may be read (not included), likewise; 0 if they may not.
    """

    generation: str
    origin: str
    as_of_entry: int
    as_of_us: int
    good_until_us: int

    def shut(self) -> Self:
        """Return the same state, in which nothing may be read."""
        return replace(self, good_until_us=0)

    def to_arrow(self) -> pa.Table:
        """Return the line as a table of `SCHEMA`."""
        return pa.Table.from_pylist([{name: getattr(self, name) for name in SCHEMA.names}], schema=SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """Return what people and scripts are told, with instants as text."""
        return {
            "origin": self.origin,
            "as_of_entry": self.as_of_entry,
            "as_of": us_to_text(self.as_of_us),
            "good_until": us_to_text(self.good_until_us),
        }
