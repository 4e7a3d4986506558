"""What the tables [tables.NAME] of `volition.toml` may say: tables elsewhere that lose the rows of whom is erased.

    [tables.hits]
    delta = "/srv/lake/hits"        # a folder or URL; or iceberg = "prod.web.hits", the catalogue first
    people = ["user", "shared_with"]
    people_are = "ids"              # or "pseudonyms"
    account_column = "tenant"       # or account = "acme", where all rows are of one

How an Iceberg catalogue is reached is said in pyiceberg's own configuration, so that no password stands here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json, digest
from volition.consent.terms.toml_file import FaultError, Section

FORMS: Final = ("delta", "iceberg")
PEOPLE_ARE: Final = ("ids", "pseudonyms")
_NAME: Final = "lower-case letters, digits, - and _, at most 40"
_LONGEST_NAME: Final = 40
_DOTS: Final = 2  # of an Iceberg table's name: the catalogue, the namespace, the table


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """A table elsewhere.

    Attributes:
        name: What settings and entries call it.
        form: One of `FORMS`.
        place: Where it lies: a folder or URL, or a catalogue's name for it.
        people: Columns of people.
        people_are: How they name people, of `PEOPLE_ARE`.
        account: The account of all rows; none where a column says it, or nobody asks.
        account_column: The column that says it.
    """

    name: str
    form: str
    place: str
    people: tuple[str, ...]
    people_are: str
    account: str | None
    account_column: str | None

    @property
    def digest(self) -> str:
        """What tells this table from another one that had its name before: a digest of all that is said of it."""
        said: dict[str, Any] = {"form": self.form, "place": self.place, "people": [*self.people]}
        said |= {"people_are": self.people_are, "account": self.account, "account_column": self.account_column}
        return digest(canonical_json(said))

    def location(self, folder: Path) -> str:
        """Return where it lies, seen from anywhere; a folder without a slash in front is one below the workspace's."""
        if self.form != "delta" or "://" in self.place:
            return self.place
        return str(folder / self.place)


def read_tables(table: object) -> dict[str, TableSettings]:
    """Read the tables, strictly.

    Raises:
        FaultError: A name cannot name a table, or a key is missing, unknown, or holds what it cannot.
    """
    if not isinstance(table, dict):
        raise FaultError((), "expected a table for each, such as [tables.NAME].")
    for name in table:
        plain = name.replace("-", "").replace("_", "")
        if len(name) > _LONGEST_NAME or not (plain.isascii() and plain.isalnum() and plain == plain.lower()):
            raise FaultError((name,), f"{name!r} cannot name a table. A name has {_NAME}.")
    tables = Section(table, (), required=set(), optional=set(table))
    optional = {*FORMS, "people", "people_are", "account", "account_column"}
    return {name: _read(name, tables.section(name, required=set(), optional=optional)) for name in table}


def _read(name: str, section: Section) -> TableSettings:
    path = section.path
    forms = [form for form in FORMS if form in section.value]
    if len(forms) != 1:
        raise FaultError(path, f"say where the table lies, by one of: {', '.join(FORMS)}.")
    place = section.text(forms[0])
    if forms[0] == "iceberg" and place.count(".") < _DOTS:
        fault = 'name the catalogue, the namespace and the table, such as "prod.web.hits".'
        raise FaultError((*path, "iceberg"), fault)
    people_are = section.optional_text("people_are") or PEOPLE_ARE[0]
    if people_are not in PEOPLE_ARE:
        raise FaultError((*path, "people_are"), f"say how people are named: {', '.join(PEOPLE_ARE)}.")
    settings = TableSettings(
        name=name,
        form=forms[0],
        place=place,
        people=section.words("people") if "people" in section.value else (),
        people_are=people_are,
        account=section.optional_text("account"),
        account_column=section.optional_text("account_column"),
    )
    if settings.account is not None and settings.account_column is not None:
        raise FaultError(path, "name the account of all rows, or the column that says it: one of the two.")
    if not settings.people and settings.account is None and settings.account_column is None:
        raise FaultError(path, "name the columns of people, or the account: nobody's rows could be found.")
    return settings
