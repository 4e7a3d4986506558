"""Which columns of a table of your own decide about its rows, as options of the commands that judge one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class NamedBy(StrEnum):
    """How people are named."""

    IDS = "ids"
    PSEUDONYMS = "pseudonyms"


Table = Annotated[
    Path,
    typer.Argument(metavar="TABLE", help="A Parquet file; or a folder of them, of a Delta or of an Iceberg table."),
]
People = Annotated[
    str, typer.Option(metavar="COLUMN", help="Whom a row concerns: text, or a list of texts, who acted first.")
]
Time = Annotated[str, typer.Option(metavar="COLUMN", help="When a row was collected: a timestamp.")]
AccountColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Whose a row is; or else:")]
Account = Annotated[str | None, typer.Option(metavar="ACCOUNT", help="the account whose all rows are.")]
CategoryColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Of what category a row is; or else:")]
Category = Annotated[
    str | None, typer.Option(metavar="CATEGORY", help='the category of all rows, such as "service/usage".')
]
Conversation = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The meeting, channel or file that a row belongs to, if any.")
]
Zone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="Where times without a zone were read off a clock: UTC, Europe/Berlin, ..."),
]
PeopleAre = Annotated[NamedBy, typer.Option(help="How the people are named.")]
