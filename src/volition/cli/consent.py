"""The command by which a party says yes or no: decide."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from volition.cli.blocks import Block, Value, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command, recorded
from volition.cli.owed import must_forget, with_owed

PANEL = "Data, and who says yes"


class YesNo(StrEnum):
    """An answer."""

    YES = "yes"
    NO = "no"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(
        app,
        "decide",
        panel=PANEL,
        example="volition decide yes --party account:helio --data content --purpose train --covers past",
    )(decide)


def decide(
    call: Call,
    answer: Annotated[YesNo, typer.Argument(metavar="yes|no", help="The answer.")],
    party: Annotated[str, typer.Option(metavar="PARTY", help="Whose answer it is: account:ID or person:ID.")],
    data: Annotated[
        list[str], typer.Option(metavar="CATEGORY", help='For which data: "content", "service/usage", ... Repeatable.')
    ],
    purpose: Annotated[
        list[str], typer.Option(metavar="PURPOSE", help='For which use: "train", "feature/search", ... Repeatable.')
    ],
    covers: Annotated[
        str | None,
        typer.Option(metavar="past|DATE", help="How far back a yes reaches; by default it does not reach back."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="When a yes ends, not included; by default when it is withdrawn."),
    ] = None,
) -> Result:
    """Record a party's yes or no.

    It works at once. After a no, every model that learned from what is not permitted any more is named, with the date
    by which it must have forgotten.
    """
    with call.workspace() as workspace:
        entry = workspace.consent.decide(
            party, yes=answer is YesNo.YES, data=data, purpose=purpose, covers=covers, until=until, via="command-line"
        )
        value = recorded(entry) | {"party": party}
        return with_owed(workspace, value, _decision_view, stands="The answer stands.")


def _decision_view(value: Value) -> Iterator[Block]:
    """Show a decision, and what it obliges to."""
    covers = "" if value["covers"] is None else f", covering {short_instant(value['covers'])}"
    until = "" if value.get("until") is None else f", until {short_instant(value['until'])}"
    yield paragraph(
        f"Recorded at {short_instant(value['at'])} (entry {value['seq']}): {value['party']} says {value['answer']} to "
        f"{listed(value['data'])} for {listed(value['purpose'])}{covers}{until}."
    )
    yield from must_forget(value)
