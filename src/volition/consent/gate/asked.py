"""Questions of any form of Arrow as plain columns of numbers: whose, about whom, of what kind, collected when.

- Columns may be of any list and text type that Arrow has; what cannot be one of them is an error.
- Each column is validated whole before anything in it is read, since it may come from outside.
- A text column becomes the number of each row's text in a list of the different ones: what follows compares numbers.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from volition.consent.permits import NO_PERMIT_US
from volition.errors import InvalidInputError

QUESTIONS: Final = pa.schema(
    [
        pa.field("account", pa.string()),
        pa.field("people", pa.list_(pa.string())),
        pa.field("category", pa.string()),
        pa.field("collected_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""The columns of a question. Where one is missing (null), the answer is a refusal: `unknown-party`."""

CONVERSATION: Final = "conversation"
"""A further column of text that may be absent: what the meeting, channel or file is called that the row belongs to,
empty if it belongs to none. Where it is not said, whatever could be of a conversation that was left out is refused."""

MOST_NAMED: Final = 10_000
"""How many people one row may name."""

MOST_NAMES: Final = 50_000_000
"""How many names one batch may hold, repeated ones included: views and fixed sizes can stand for more than was sent."""

NULL_US: Final = -(2**63)
"""As an instant: there is none."""

_UNITS_PER_S: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: the number of each row's in `values`; null may be one of them."""

    number: NDArray[np.int32]
    values: list[str | None]

    @classmethod
    def always(cls, value: str | None, rows: int) -> "Texts":
        """Return a column that has the same text in every row."""
        return cls(np.broadcast_to(np.int32(0), rows), [value])

    @classmethod
    def of(cls, column: pa.Array, name: str) -> "Texts":
        """Take a column of text, or of a dictionary of text.

        Raises:
            InvalidInputError: It is neither.
        """
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (is_text(kind) or pa.types.is_null(kind)):
            raise InvalidInputError(_wrong(name, column.type))
        if not pa.types.is_dictionary(column.type):
            plain = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            column = (column if plain else column.cast(pa.large_string())).dictionary_encode()
        values: list[str | None] = column.dictionary.to_pylist()
        if column.indices.null_count:
            values.append(None)
        indices = column.indices.cast(pa.int32(), safe=False) if column.indices.type != pa.int32() else column.indices
        number = (indices.fill_null(len(values) - 1) if indices.null_count else indices).to_numpy(zero_copy_only=False)
        return cls(number, values)

    def take(self, rows: NDArray[np.int64]) -> "Texts":
        """Return some of the rows."""
        return Texts(self.number[rows], self.values)


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions as plain columns: n rows, whose people lie one after the other in `people`, `lengths` of them each.

    Attributes:
        account: Whose each row is, n rows.
        category: Of what kind, n rows.
        people: Whom the rows name, m rows.
        lengths: How many each row names, int64, (n,); their sum is m.
        collected_us: When each was collected, int64, (n,); `NULL_US` where that is not known.
        conversation: What each belongs to, n rows.
    """

    account: Texts
    category: Texts
    people: Texts
    lengths: NDArray[np.int64]
    collected_us: NDArray[np.int64]
    conversation: Texts

    @classmethod
    def of(cls, questions: pa.RecordBatch) -> "Asked":
        """Take questions with the columns of `QUESTIONS`, in any order.

        Raises:
            InvalidInputError: A column is missing or of another type, the batch is not sound, or a row names too many.
        """
        try:
            questions.validate(full=True)
            names = questions.schema.names
        except (pa.ArrowException, ValueError) as error:
            msg = f"The questions are no sound Arrow: {error}. Check what wrote them."
            raise InvalidInputError(msg) from error
        for name in QUESTIONS.names:
            if names.count(name) != 1:
                msg = f"The questions have {names.count(name) or 'no'} column {name!r}. They need: "
                raise InvalidInputError(msg + f"{', '.join(QUESTIONS.names)}.")
        if names.count(CONVERSATION) > 1:
            msg = f"The questions have {names.count(CONVERSATION)} columns {CONVERSATION!r}, and may have one."
            raise InvalidInputError(msg)
        lengths, people = lists(questions["people"])
        said = questions[CONVERSATION] if CONVERSATION in names else pa.nulls(questions.num_rows, pa.string())
        return cls(
            account=Texts.of(questions["account"], "account"),
            category=Texts.of(questions["category"], "category"),
            people=Texts.of(people, "people"),
            lengths=lengths,
            collected_us=instants(questions["collected_at"]),
            conversation=Texts.of(said, CONVERSATION),
        )

    def __len__(self) -> int:
        """Return how many questions there are."""
        return len(self.lengths)

    def take(self, rows: NDArray[np.int64]) -> "Asked":
        """Return some of the questions."""
        lengths = self.lengths[rows]
        return Asked(
            account=self.account.take(rows),
            category=self.category.take(rows),
            people=self.people.take(places_of(self.lengths, rows)),
            lengths=lengths,
            collected_us=self.collected_us[rows],
            conversation=self.conversation.take(rows),
        )


def places_of(lengths: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the people of some rows lie, given how many every row has."""
    starts = (np.cumsum(lengths) - lengths)[rows]
    chosen = lengths[rows]
    ends = np.cumsum(chosen)
    return np.repeat(starts - (ends - chosen), chosen) + np.arange(int(ends[-1]) if len(ends) else 0)


def lists(column: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """Return how many each row names, and all names; a row that is null names nobody.

    Raises:
        InvalidInputError: The column has no lists, or a list is too long.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), np.int64), pa.nulls(0, pa.string())
    if not is_list(kind):
        raise InvalidInputError(_wrong("people", kind))
    lengths = pc.list_value_length(column).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(kind) and column.null_count:
        lengths = np.where(column.is_null().to_numpy(zero_copy_only=False), 0, lengths)
    if len(lengths) and (int(lengths.max()) > MOST_NAMED or int(lengths.sum()) > MOST_NAMES):
        msg = f"A row may name {MOST_NAMED:,} people and a batch {MOST_NAMES:,}. Split it, or check what wrote it."
        raise InvalidInputError(msg)
    return lengths, column.flatten()


def instants(column: pa.Array) -> NDArray[np.int64]:
    """Return instants as microseconds, down to the next whole one; what is null or beyond all calendars is none.

    Raises:
        InvalidInputError: The column has no timestamps.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), NULL_US)
    if not pa.types.is_timestamp(kind):
        raise InvalidInputError(_wrong("collected_at", kind))
    values: NDArray[np.int64] = column.view(pa.int64()).fill_null(NULL_US).to_numpy(zero_copy_only=False)
    per_us = _UNITS_PER_S["us"] / _UNITS_PER_S[kind.unit]
    if per_us == 1:
        return values
    if per_us < 1:
        return np.where(values == NULL_US, NULL_US, values // int(1 / per_us))
    most = NO_PERMIT_US // int(per_us)
    return np.where(np.abs(np.maximum(values, 1 - 2**63)) >= most, NULL_US, values * int(per_us))


def is_text(kind: Any) -> bool:  # noqa: ANN401 - Arrow has no types
    """Say whether a type of Arrow is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_list(kind: Any) -> bool:  # noqa: ANN401 - Arrow has no types
    """Say whether a type of Arrow is a list of any kind."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def _wrong(name: str, given: pa.DataType) -> str:
    kind = pa.string() if name == CONVERSATION else QUESTIONS.field(name).type
    return f"The column {name!r} must be {kind}, or another form of that, not {given}."
