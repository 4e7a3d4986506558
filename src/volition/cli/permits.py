"""Commands for permits as a table that others read: permits export, permits sql."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli.blocks import Block, Value, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.gate import PANEL
from volition.cli.help import group
from volition.cli.output import warn
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from volition.errors import BackendError

_GOOD_FOR_S = 5.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    permits = group("Permits as a table that others read, and the gate as SQL over it.")
    app.add_typer(permits, name="permits", rich_help_panel=PANEL)
    command(
        permits,
        "export",
        example="volition permits export --to parquet:/srv/permits --purpose train --follow",
        reads="permits",
    )(export)
    command(
        permits,
        "sql",
        example="volition permits sql --dialect duckdb --purpose train/search --category content/chat "
        "--account-column org --person-column author --time-column sent_at",
    )(sql)


def export(
    call: Call,
    to: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="Where to: parquet:FOLDER, delta:FOLDER (or URL), iceberg:CATALOGUE.NAMESPACE, duckdb:FILE, "
            "sqlite:FILE, postgresql://HOST/DB.",
        ),
    ],
    purpose: Annotated[
        list[str] | None,
        typer.Option(metavar="PURPOSE", help="For this use, or all below it (repeatable); by default all."),
    ] = None,
    account: Annotated[
        list[str] | None, typer.Option(metavar="ACCOUNT", help="Of this account (repeatable); by default of all.")
    ] = None,
    ids: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--ids", help="Name people as they were registered, and not by their pseudonyms.")
    ] = False,
    follow: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--follow", help="Keep it current until this is interrupted.")
    ] = False,
    good_for: Annotated[
        float, typer.Option(metavar="SECONDS", help="For how long it may be read without being renewed: 1 to 10.")
    ] = _GOOD_FOR_S,
) -> Result:
    """Write permits out as a table for engines elsewhere, with a state that says until when it may be read.

    Past that, the expression of `permits sql` lets no row through. Anyone who says no is answered once the table knows
    it, or has run out: so a table that nobody keeps current holds for seconds only.
    """
    stopping = Event()
    with call.workspace() as workspace:
        kept = workspace.permit_tables.keep(
            to, purposes=purpose or (), accounts=account, ids=ids, good_for_us=round(good_for * 1_000_000)
        )
        try:
            if follow:
                with _stopped_by(stopping):
                    state = kept.follow(is_stopping=stopping.is_set, opened=_say_opened, failed=_warn_once())
            else:
                state = kept.bring_up_to_date()
        finally:
            kept.close()
    return Result(value={"target": _shown(to), "followed": follow, **state.to_json()}, view=_exported_view)


def _say_opened() -> None:
    sys.stderr.write("The table is kept current - stop it with Ctrl-C.\n")
    sys.stderr.flush()


def _warn_once() -> "Callable[[BackendError], None]":
    """Return what warns of an error, once for as long as it stays the same."""
    said: list[str] = []

    def failed(error: "BackendError") -> None:
        if str(error) not in said[-1:]:
            said.append(str(error))
            warn(f"{error} It is tried again.")

    return failed


@contextmanager
def _stopped_by(stopping: Event) -> Iterator[None]:
    """Have an interrupt, or the end of the process, stop what the block does, after which it goes on."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stopping.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _shown(target: str) -> str:
    """Return a target as it may be shown: without a password."""
    scheme, separator, rest = target.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else target


def _exported_view(value: Value) -> Iterator[Block]:
    until = "It was shut." if value["followed"] else f"It may be read until {short_instant(value['good_until'])}."
    yield paragraph(f"{value['target']}: permits as of entry {value['as_of_entry']}. {until}")


def sql(
    call: Call,
    dialect: Annotated[
        str,
        typer.Option(
            metavar="DIALECT",
            help="duckdb, postgres, sqlite, spark, databricks, snowflake, bigquery or trino.",
        ),
    ],
    purpose: Annotated[str, typer.Option(metavar="PURPOSE", help="The use, such as train/search.")],
    time_column: Annotated[str, typer.Option(metavar="COLUMN", help="When a row was collected.")],
    person_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Who is concerned (repeatable): who spoke or acted first, then others, null for nobody.",
        ),
    ] = None,
    people_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Or one column that lists them all: an array; in SQLite, JSON."),
    ] = None,
    account_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Whose row it is; or")] = None,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="the account whose rows all are.")] = None,
    category_column: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of which category it is; or")] = None,
    category: Annotated[str | None, typer.Option(metavar="CATEGORY", help="the category of which all are.")] = None,
    time_unit: Annotated[
        str, typer.Option(metavar="UNIT", help="What the time is: timestamp, or whole s, ms or us since 1970.")
    ] = "timestamp",
    rows: Annotated[
        str, typer.Option(metavar="TABLE", help="The table with the rows, or what the query calls it.")
    ] = "rows",
    outside_conversations: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option(
            "--outside-conversations", help="No row belongs to a meeting, channel or file that somebody can leave out."
        ),
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--as", metavar="FORM", help="where (a condition), dbt (a macro), policy (PostgreSQL), row-filter."
        ),
    ] = "where",
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Whom the policy binds; by default everybody.")
    ] = None,
    table: Annotated[
        str, typer.Option(metavar="TABLE", help="What the table of permits is called.")
    ] = "volition_permits",
    state: Annotated[str, typer.Option(metavar="TABLE", help="What its state is called.")] = "volition_permits_state",
) -> Result:
    """Print the gate as an SQL condition over rows that lie elsewhere, for the tables that `permits export` keeps.

    It is true where everybody concerned has a permit, and nowhere once the table has run out.
    """
    from volition.consent.permit_tables.expression import Column, Rows, Text, Unit
    from volition.consent.permit_tables.forms import written

    if (person_column is None) == (people_column is None):
        raise InvalidInputError("Name either --person-column, once for each person, or --people-column.")
    if time_unit not in {*Unit}:
        raise InvalidInputError(f"There is no unit {time_unit!r}. Name one of: {', '.join(Unit)}.")

    def one_of(column: str | None, text: str | None, option: str) -> Column | Text:
        if (column is None) == (text is None):
            raise InvalidInputError(f"Name either --{option}-column or --{option}.")
        return Text(text or "") if column is None else Column(column)

    asked = Rows(
        table=rows,
        account=one_of(account_column, account, "account"),
        people=[Column(one) for one in person_column or [people_column or ""]],
        lists_people=people_column is not None,
        category=one_of(category_column, category, "category"),
        at=Column(time_column),
        unit=Unit(time_unit),
        in_conversations=not outside_conversations,
    )
    with call.workspace(reads=True) as workspace:
        vocabulary = workspace.history().vocabulary
    text = written(
        form, asked, purpose=purpose, dialect=dialect, role=role, table=table, state=state, vocabulary=vocabulary
    )
    return Result(value={"dialect": dialect, "purpose": purpose, "form": form, "sql": text}, view=_sql_view)


def _sql_view(value: Value) -> Iterator[Block]:
    yield paragraph(value["sql"])
