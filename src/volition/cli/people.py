"""Commands for accounts and people: add them, and let accounts accept terms."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Iterator
from typing import Annotated

import typer

from volition.cli.blocks import Block, Value, paragraph, short_instant
from volition.cli.call import Call, Result, command, recorded
from volition.cli.help import group

PANEL = "Set up"

Region = Annotated[
    str | None,
    typer.Option(metavar="REGION", help='Where it is (ISO 3166), such as "DE" or "US-CA"; it chooses rules.'),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    account = group("Add accounts and let them accept terms.")
    person = group("Add people.")
    app.add_typer(account, name="account", rich_help_panel=PANEL)
    app.add_typer(person, name="person", rich_help_panel=PANEL)
    command(account, "add", example='volition account add helio --name "Helio Bikes" --region DE')(add_account)
    command(account, "accept", example="volition account accept helio")(accept)
    command(person, "add", example='volition person add ada --account helio --name "Ada Byron"')(add_person)


def add_account(
    call: Call,
    account: Annotated[str, typer.Argument(metavar="ID", help="Id of the account: letters, digits, hyphens.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name for people; by default its id.")] = None,
    region: Region = None,
) -> Result:
    """Add an account: a customer organisation."""
    with call.workspace() as workspace:
        added = workspace.people.add_account(account, name or account, region=region)
    return Result(value={"account": added.id, "name": added.name, "region": region}, view=_account_view)


def _account_view(value: Value) -> Iterator[Block]:
    """Show an account that was added."""
    yield paragraph(f"Added the account {value['account']} ({value['name']}).")
    yield paragraph(f"Next: volition account accept {value['account']}")


def accept(
    call: Call,
    account: Annotated[str, typer.Argument(metavar="ID", help="Id of the account.")],
    terms: Annotated[str | None, typer.Option(metavar="TERMS", help="The version; by default the newest.")] = None,
) -> Result:
    """Let an account accept a published version of the terms."""
    with call.workspace() as workspace:
        entry = workspace.terms.accept(account, terms)
    return Result(value=recorded(entry), view=_acceptance_view)


def _acceptance_view(value: Value) -> Iterator[Block]:
    """Show an acceptance."""
    yield paragraph(
        f"The account {value['account']} accepted the terms {value['terms']} at {short_instant(value['at'])}."
    )


def add_person(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="ID", help="Id of the person within the workspace.")],
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Their account; without one they are a guest.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Their name, as sources write it.")] = None,
    alias: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another name or id that sources use. Repeatable.")
    ] = None,
    email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="An e-mail address. Repeatable.")] = None,
    region: Region = None,
) -> Result:
    """Add a person: a user of an account, or a guest.

    From then on, anyone whom a source calls by one of these names, addresses or ids is this person.
    """
    with call.workspace() as workspace:
        added = workspace.people.add_person(
            person, account=account, name=name, aliases=alias or (), emails=email or (), region=region
        )
        namesakes = [one.id for one in workspace.people.namesakes(added.id)]
        erased = workspace.people.erased_names(added.id)
    value = {
        "person": added.id,
        "account": added.account,
        "name": added.name,
        "aliases": list(added.aliases),
        "emails": list(added.emails),
        "region": region,
        "pseudonym": added.pseudonym,
        "may_be": namesakes,
    }
    warnings = [
        f"{one} was heard in the data before, and may be the same person. Until the two are joined both are asked, and "
        "the no of each counts for both."
        for one in namesakes
    ]
    warnings += [f"Somebody who went by {one!r} was erased. Is this somebody else?" for one in erased]
    return Result(value=value, view=_person_view, warnings=tuple(warnings))


def _person_view(value: Value) -> Iterator[Block]:
    """Show a person who was added."""
    where = f"of the account {value['account']}" if value["account"] else "a guest"
    yield paragraph(f"Added {value['person']}, {where}. The log names them {value['pseudonym']}.")
