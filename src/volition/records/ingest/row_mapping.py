"""The mapping of a source of one's own: which of its columns say whose a row is, when it was, and what it holds.

    [sources.support]
    category = "content/chat"          # or one that terms declare; or a column, and what its values mean
    columns.id = "message_id"          # the same when the row is sent again
    columns.account = "tenant"
    columns.people = ["author", "to"]  # everyone concerned, whoever wrote or acted first; a column may hold a list
    columns.time = "sent_at"
    columns.conversation = "room"
    columns.text = "body"
    keep = ["priority"]                # other columns that are kept

A column that is nested is named by its way, as in `data.author`. It stands in `volition.toml`, under a name of its own,
or in a file that is handed over with a table. It decides under which rules of the terms a row falls, so it is an entry
of the ledger once collecting uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from volition.consent.terms.toml_file import FaultError, Section, check_repeats, check_words, name_lines, read_toml
from volition.consent.terms.vocabulary import BUILT_IN, check_category

UNITS: Final[Mapping[str, int]] = MappingProxyType({"s": 1_000_000, "ms": 1_000, "us": 1})
"""Microseconds in the unit of times that are numbers."""

PEOPLE_ARE: Final = ("id", "email", "name")
"""What the columns of people hold, and so how somebody is found by it."""

MESSAGES: Final = "content/chat"
"""The category whose rows are messages, where they have a conversation and a text."""

_NAME: Final = "lower-case letters, digits, - and _, at most 40"
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RowMapping:
    """Which columns of a source say what.

    Attributes:
        name: The source's own name; each record's key has it, so that two sources may number their rows alike.
        time: The column of when it was written or happened.
        id: The column that names a row for ever; none for an event, which has a name of its own.
        account: The column of the account's id; none where whoever collects says whose the rows are.
        people: Columns of everyone concerned, the one who wrote or acted first.
        people_are: What they hold, of `PEOPLE_ARE`.
        category: Of all rows; none where a column says it.
        category_column: The column that says it.
        categories: What its values mean; a value that is not there has to be a category itself.
        conversation: The column that names the conversation.
        text: The column of what was said or written.
        event: The column that names what happened, of usage and the like.
        version: A column of whole numbers that grow when a row is changed; then the newer form takes the older's place.
        keep: Other columns that are kept.
        zone: The time zone of times that have none; none refuses these.
        unit: The unit of times that are numbers, since 1970, of `UNITS`; none refuses these.
        shared: Whether features show it to everybody who may read the conversation, and not to its people alone.
        separator: What stands between two values of a CSV file; none for what its first line has most of.
        types: The types of CloudEvents that are rows of this source.

    Raises:
        FaultError: A category, zone or unit is not known, or two of these do not go together.
    """

    name: str
    time: str
    id: str | None = None
    account: str | None = None
    people: tuple[str, ...] = ()
    people_are: str = "id"
    category: str | None = None
    category_column: str | None = None
    categories: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    conversation: str | None = None
    text: str | None = None
    event: str | None = None
    version: str | None = None
    keep: tuple[str, ...] = ()
    zone: str | None = None
    unit: str | None = None
    shared: bool = False
    separator: str | None = None
    types: tuple[str, ...] = ()

    @classmethod
    def from_toml(cls, value: object, *, name: str) -> Self:
        """Read the table of one source.

        Raises:
            FaultError: A key or a category is not known, or a value makes no sense.
        """
        _check_name(name)
        optional = {"category", "categories", "people_are", "keep", "zone", "unit", "shared", "separator", "types"}
        top = Section(value, (), required={"columns"}, optional=optional)
        named = {"id", "account", "people", "category", "conversation", "text", "event", "version"}
        columns = Section(top.value["columns"], ("columns",), required={"time"}, optional=named)
        return cls(
            name=name,
            **{key: columns.optional_text(key) for key in named - {"people", "category"}},
            time=columns.text("time"),
            people=columns.words("people"),
            people_are=top.optional_text("people_are") or PEOPLE_ARE[0],
            category=top.optional_text("category"),
            category_column=columns.optional_text("category"),
            categories=MappingProxyType(_texts(top, "categories")),
            keep=top.words("keep"),
            zone=top.optional_text("zone"),
            unit=top.optional_text("unit"),
            shared=_truth(top, "shared"),
            separator=top.optional_text("separator"),
            types=top.words("types"),
        )

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a mapping from a TOML file of its own; the source has the file's name.

        Raises:
            InvalidInputError: It cannot be read or makes no sense; the message starts with the file and the line.
        """
        document = read_toml(path)
        with name_lines(document):
            return cls.from_toml(document.value, name=path.stem)

    def __post_init__(self) -> None:
        """Check what no key alone shows."""
        self._check_categories()
        check_words([self.people_are], PEOPLE_ARE, "people_are", what="way to name people")
        if self.unit is not None:
            check_words([self.unit], UNITS, "unit", what="unit")
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (KeyError, OSError, ValueError) as error:
                fault = f'there is no time zone {self.zone!r}. Write it like "Europe/Berlin" or "UTC".'
                raise FaultError(("zone",), fault) from error
        if self.separator is not None and len(self.separator) != 1:
            raise FaultError(("separator",), 'it is one character, such as ";".')
        for key, words in (("keep", self.keep), ("types", self.types)):
            check_repeats(words, key)
        check_repeats(self.people, "columns", "people")

    def _check_categories(self) -> None:
        if (self.category is None) == (self.category_column is None):
            raise FaultError((), 'say either category = "...", for all rows, or columns.category, for each.')
        if self.category is not None:
            check_category(self.category, BUILT_IN.categories, "category", what="category")
        if self.categories and self.category_column is None:
            raise FaultError(("categories",), "they are the values of columns.category, which is not there.")
        for value, category in self.categories.items():
            check_category(category, BUILT_IN.categories, "categories", value, what="category")
        if self.conversation is not None and self.text is None:
            raise FaultError(("columns",), "conversation says where it was said; say what, too: text.")

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        single = (self.id, self.account, self.time, self.category_column, self.conversation, self.text, self.event)
        every = (*single, self.version, *self.people, *self.keep)
        return tuple(dict.fromkeys(column for column in every if column is not None))

    def to_json(self) -> dict[str, Any]:
        """Return the mapping as a JSON object, as the ledger has it: what is not said is left out."""
        named = ("id", "account", "time", "conversation", "text", "event", "version")
        texts = {**{key: getattr(self, key) for key in named}, "category": self.category_column}
        columns: dict[str, Any] = {key: value for key, value in texts.items() if value is not None}
        said: dict[str, Any] = {"category": self.category, "keep": [*self.keep]}
        said["categories"] = dict(sorted(self.categories.items()))
        said |= {"zone": self.zone, "unit": self.unit, "shared": self.shared, "types": [*self.types]}
        return {
            "columns": {**columns, "people": [*self.people]},
            "people_are": self.people_are,
            **{key: value for key, value in said.items() if value},
        }


def read_mappings(value: object) -> dict[str, RowMapping]:
    """Read the table `[sources]`: mappings by the names of their sources.

    Raises:
        FaultError: One makes no sense, or two take the same type of events.
    """
    if not isinstance(value, dict):
        raise FaultError((), "expected a table for each source, such as [sources.support].")
    found: dict[str, RowMapping] = {}
    owners: dict[str, str] = {}
    for name, table in value.items():
        try:
            mapping = RowMapping.from_toml(table, name=name)
        except FaultError as error:
            raise FaultError((name, *error.path), error.fault) from error
        for one in mapping.types:
            if one in owners:
                fault = f"the type {one!r} is one of the source {owners[one]} already."
                raise FaultError((name, "types"), fault)
            owners[one] = name
        found[name] = mapping
    return found


def _check_name(name: str) -> None:
    plain = name.replace("-", "").replace("_", "")
    if len(name) > _LONGEST_NAME or not (plain.isascii() and plain.isalnum() and plain == plain.lower()):
        raise FaultError((), f"{name!r} cannot name a source. A name has {_NAME}.")


def _texts(top: Section, key: str) -> dict[str, str]:
    value = top.value.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise FaultError((key,), f'"{key}" must be a table of texts in quotes.')
    return value


def _truth(top: Section, key: str) -> bool:
    value = top.value.get(key, False)
    if not isinstance(value, bool):
        raise FaultError((key,), f'"{key}" must be true or false.')
    return value
