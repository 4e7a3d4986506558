"""The gate over somebody else's rows, as one SQL expression that is true where a row may be used.

It is written once, in PostgreSQL's words, and sqlglot says it in those of DuckDB, SQLite, Spark, Databricks, Snowflake,
BigQuery and Trino; only what each has words of its own for (its clock, a list's members) is in `dialects`. It reads the
table of permits and its state, and nothing else:

- A row is let through iff the state is open, and everybody concerned has a line: the account, who comes first, and each
  of the others. What is null or not named has none, so it is refused; a null among further columns is nobody.
- Past the state's `good_until_us` no row is let through. The clock is the engine's, as it runs: where a transaction
  holds it still, another one is asked.
- What cannot be told for sure is refused: a row from after the present instant, or of an account or person by whom a
  conversation was left out, unless it is said that rows belong to none.
- Names of columns and tables, and texts, may be any: they enter as syntax trees, never as text.

    >>> rows = Rows(table="messages", account=Column("org"), people=[Column("author")],              # doctest: +SKIP
    ...             category=Text("content/chat"), at=Column("sent_at"))
    >>> print(permitted_where(rows, purpose="train/search", dialect="duckdb"))                       # doctest: +SKIP
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from volition.consent.permit_tables.dialects import CLOCK_US, DIALECTS, MEMBERS, TIMESTAMP_US
from volition.consent.permit_tables.lines import ACCOUNT, FIRST, OTHER
from volition.consent.terms.vocabulary import BUILT_IN, Vocabulary
from volition.errors import InvalidInputError, require_extra

if TYPE_CHECKING:
    from sqlglot import exp

TABLE: Final = "volition_permits"
STATE: Final = "volition_permits_state"

_MINE: Final = "volition_"  # as all placeholders begin


class Unit(StrEnum):
    """What a column of instants holds."""

    TIMESTAMP = "timestamp"
    """The engine's own kind, with a time zone; in SQLite a text in UTC as its functions read it."""
    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"


_PER_UNIT_US: Final = {Unit.SECONDS: 1_000_000, Unit.MILLISECONDS: 1_000, Unit.MICROSECONDS: 1}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the rows, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """One and the same text for all rows."""

    text: str


Operand = Column | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows that are asked about.

    Attributes:
        table: What qualifies their columns: the table, or its alias. None where nothing does, as in a function.
        account: Whose records they are, as the table of permits names accounts.
        people: Who is concerned, as the table of permits names people: who spoke or acted first, then the others.
        category: Of which category they are.
        at: When each was collected.
        lists_people: Whether `people` is one column that lists them all: an array, in SQLite a text of JSON.
        unit: What `at` holds.
        in_conversations: Whether they may belong to meetings, channels or files, one of which may have been left out.
    """

    table: str | None
    account: Operand
    people: Sequence[Operand]
    category: Operand
    at: Operand
    lists_people: bool = False
    unit: Unit = Unit.TIMESTAMP
    in_conversations: bool = True


def permitted_where(  # noqa: PLR0913 - the rows, the use, the engine, and what its tables are called
    rows: Rows,
    *,
    purpose: str | Operand,
    dialect: str,
    table: str = TABLE,
    state: str = STATE,
    vocabulary: Vocabulary = BUILT_IN,
) -> str:
    """Return the expression that is true for the rows that may be used for a purpose.

    Args:
        rows: Where the rows have what is asked.
        purpose: A leaf of the vocabulary's purposes, or where the rows have it.
        dialect: Of `DIALECTS`.
        table: The table of permits, as "name", "schema.name" or "catalog.schema.name", quoted as the dialect quotes.
        state: Its state, likewise.
        vocabulary: Which categories and purposes there are.

    Raises:
        InvalidInputError: There is no such dialect, purpose or category, nobody is concerned, or a name is none.
        MissingExtraError: sqlglot is not installed.
    """
    require_extra("sqlglot", what="SQL for other engines")
    asked = Text(purpose) if isinstance(purpose, str) else purpose
    _check(rows, asked, dialect, vocabulary)
    writing = _Writing(rows, asked, dialect)
    tree = _parsed(writing.expression(), "postgres")
    operands = {name: _operand(one, rows.table) for name, one in writing.placed.items()}
    clock_us, apart_us = CLOCK_US[dialect]
    at_us, coarse_us = (
        TIMESTAMP_US[dialect] if rows.unit is Unit.TIMESTAMP else (f"volition_at * {_PER_UNIT_US[rows.unit]}", 0)
    )
    at = _filled(_parsed(f"({at_us})", dialect), operands)
    now = _parsed(f"({clock_us})", dialect)
    if rows.lists_people:
        length = _parsed(MEMBERS[dialect][1].format("volition_people"), dialect)
        operands["volition_length"] = _filled(length, {"volition_people": _operand(rows.people[0], rows.table)})
    tree = _filled(
        tree,
        operands
        | {"volition_at_us": at, "volition_now_us": now}
        | {"volition_latest_us": _later(at, coarse_us), "volition_passed_us": _later(now, apart_us)},
        tables={"volition_table": _table(table, dialect), "volition_state": _table(state, dialect)},
    )
    return str(tree.sql(dialect=dialect, identify=True))


@dataclass(slots=True)
class _Writing:
    """Writes the expression in PostgreSQL's words, with placeholders for what the rows and the engine have."""

    rows: Rows
    purpose: Operand
    dialect: str
    placed: dict[str, Operand] = field(default_factory=dict)

    def expression(self) -> str:
        self._place(self.rows.at, "volition_at")
        people = [self._place(one) for one in self.rows.people]
        if self.rows.lists_people:
            return self._of_list(people[0])
        spoke, *others = people
        first, other = f"'{FIRST}'", f"'{OTHER}'"
        terms = [self._held([(first, spoke)])]
        terms += [f"({one} IS NULL OR {self._held([(first, spoke), (other, one)])})" for one in others]
        for one, two in combinations(others, 2):
            terms.append(f"({one} IS NULL OR {two} IS NULL OR {self._held([(other, one), (other, two)])})")
        return f"({' AND '.join(terms)})"

    def _of_list(self, people: str) -> str:
        """Return the condition that everyone whom a list names has a permit, and that it names somebody."""
        members = MEMBERS[self.dialect][0].format(people)
        part = f"CASE WHEN volition_u.n = 1 THEN '{FIRST}' ELSE '{OTHER}' END"
        joins, conditions = self._asked([(part, "volition_u.person")])
        beside = " AND ".join(f"volition_at_us >= volition_p{place}.beside_since_us" for place in range(2))
        told = (
            "COUNT(DISTINCT volition_u.n) = volition_length AND COUNT(*) > 0"
            " AND (MAX(CASE WHEN volition_p1.located THEN 1 ELSE 0 END) = 0"
            f" OR MIN(CASE WHEN {beside} THEN 1 ELSE 0 END) = 1)"
        )
        source = f"volition_state AS volition_s {joins} CROSS JOIN {members} AS volition_u"
        return f"(SELECT {told} FROM {source} WHERE {conditions})"  # noqa: S608 - as of `_held`

    def _place(self, operand: Operand, name: str = "") -> str:
        """Return the placeholder of an operand."""
        name = name or f"volition_operand_{len(self.placed)}"
        known = next((known for known, one in self.placed.items() if one == operand and known != "volition_at"), name)
        self.placed[known] = operand
        return known

    def _held(self, people: Sequence[tuple[str, str]]) -> str:
        """Return the condition that an account and some people of a row have permits that hold for it together."""
        joins, conditions = self._asked(people)
        beside = [
            f"(volition_at_us >= volition_p{place}.beside_since_us OR NOT volition_p{other}.located)"
            for place in range(len(people) + 1)
            for other in range(1, len(people) + 1)
        ]
        said = " AND ".join([conditions, *beside])
        return f"EXISTS (SELECT 1 FROM volition_state AS volition_s {joins} WHERE {said})"  # noqa: S608 - nothing but our own words: names and texts take the placeholders' places as syntax trees

    def _asked(self, people: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """Return what joins the lines of the account and of some people, each a part and a name, and on what ground."""
        account = self._place(self.rows.account)
        purpose, category = self._place(self.purpose), self._place(self.rows.category)
        joins = []
        conditions = ["volition_s.good_until_us > volition_passed_us", "volition_latest_us <= volition_now_us"]
        for place, (part, name) in enumerate([(f"'{ACCOUNT}'", account), *people]):
            one = f"volition_p{place}"
            joins.append(f"JOIN volition_table AS {one} ON {one}.generation = volition_s.generation")
            conditions += [f"{one}.account = {account}", f"{one}.part = {part}", f"{one}.party = {name}"]
            conditions += [f"{one}.purpose = {purpose}", f"{one}.category = {category}"]
            conditions += [f"volition_at_us >= {one}.since_us"]
            conditions += [f"volition_at_us >= volition_passed_us - {one}.max_age_us"]
            conditions += [f"NOT {one}.left_out"] if self.rows.in_conversations else []
        return " ".join(joins), " AND ".join(conditions)


def _check(rows: Rows, purpose: Operand, dialect: str, vocabulary: Vocabulary) -> None:
    if dialect not in DIALECTS:
        raise InvalidInputError(f"There is no dialect {dialect!r}. Name one of: {', '.join(DIALECTS)}.")
    if not rows.people:
        raise InvalidInputError("Say which column names who is concerned: whom nobody names, nobody could ask.")
    if rows.lists_people and len(rows.people) != 1:
        raise InvalidInputError("One column lists all people, or several name one each: not both.")
    if rows.lists_people and dialect not in MEMBERS:
        raise InvalidInputError(
            f"A list of people cannot be taken apart inside a condition in {dialect}. Name a column for each person."
        )
    if isinstance(rows.category, Text):
        vocabulary.check_category(rows.category.text)
    if isinstance(purpose, Text):
        vocabulary.check_purpose(purpose.text)
    if rows.table is not None and rows.table.lower().startswith(_MINE):
        raise InvalidInputError(f"{rows.table!r} begins as names of ours do. Give the table another alias.")
    for operand in (rows.account, *rows.people, rows.category, rows.at, purpose):
        if isinstance(operand, Column) and (not operand.name or "\0" in operand.name):
            raise InvalidInputError(f"{operand.name!r} is no name of a column.")


def quoted(name: str, dialect: str) -> str:
    """Return a name as a dialect quotes it."""
    from sqlglot import exp  # noqa: PLC0415 - the extra

    return str(exp.to_identifier(name, quoted=True).sql(dialect=dialect))


def quoted_table(name: str, dialect: str) -> tuple[str, str]:
    """Return a table's name as a dialect quotes it, and its last part as it is.

    Raises:
        InvalidInputError: It is none.
        MissingExtraError: sqlglot is not installed.
    """
    require_extra("sqlglot", what="SQL for other engines")
    table = _table(name, dialect)
    return table.sql(dialect=dialect, identify=True), table.name


def _operand(operand: Operand, table: str | None) -> "exp.Expression":
    from sqlglot import exp  # noqa: PLC0415 - the extra

    if isinstance(operand, Text):
        return exp.Literal.string(operand.text)
    return exp.column(exp.to_identifier(operand.name, quoted=True), table and exp.to_identifier(table, quoted=True))


def _table(name: str, dialect: str) -> "exp.Table":
    from sqlglot import exp  # noqa: PLC0415 - the extra
    from sqlglot.errors import SqlglotError  # noqa: PLC0415

    try:
        return exp.to_table(name, dialect=dialect)
    except (SqlglotError, ValueError) as error:
        raise InvalidInputError(f"{name!r} is no name of a table in {dialect}. Quote its parts as it does.") from error


def _parsed(text: str, dialect: str) -> "exp.Expression":
    from sqlglot import parse_one  # noqa: PLC0415 - the extra

    return parse_one(text, read=dialect)


def _later(instant: "exp.Expression", by_us: int) -> "exp.Expression":
    from sqlglot import exp  # noqa: PLC0415 - the extra

    return exp.paren(exp.Add(this=instant.copy(), expression=exp.Literal.number(by_us))) if by_us else instant


def _filled(
    tree: "exp.Expression",
    values: "Mapping[str, exp.Expression]",
    *,
    tables: "Mapping[str, exp.Table] | None" = None,
) -> "exp.Expression":
    """Return a tree with what takes the placeholders' places."""
    from sqlglot import exp  # noqa: PLC0415 - the extra

    def placed(node: "exp.Expression") -> "exp.Expression":
        if isinstance(node, exp.Table) and tables and node.name in tables:
            return exp.alias_(tables[node.name].copy(), node.alias, table=True)
        if isinstance(node, exp.Column) and not node.table and node.name in values:
            return values[node.name].copy()
        return node

    return tree.transform(placed)
