"""Commands for accounts and people: add them, and let accounts accept terms."""

# ruff: noqa: FBT002, PLR0913, PLR0917 - a function has a parameter for each option of its command

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.cli import identities
from volition.cli.blocks import Block, Value, counted, paragraph, short_instant
from volition.cli.call import Call, Result, command, recorded
from volition.cli.help import group
from volition.cli.identities import end_guest
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.consent.parties import Person
    from volition.workspace import Workspace

PANEL = "Set up"

Region = Annotated[
    str | None,
    typer.Option(metavar="REGION", help='Where it is (ISO 3166), such as "DE" or "US-CA"; it chooses rules.'),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    account = group("Add accounts and let them accept terms.")
    person = group("Add people, and say who is who.")
    app.add_typer(account, name="account", rich_help_panel=PANEL)
    app.add_typer(person, name="person", rich_help_panel=PANEL)
    command(account, "add", example='volition account add helio --name "Helio Bikes" --region DE')(add_account)
    command(account, "accept", example="volition account accept helio")(accept)
    command(account, "recordings", example="volition account recordings helio --keep")(recordings)
    command(person, "add", example='volition person add ada --account helio --name "Ada Byron"')(add_person)
    identities.register(person)


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


def recordings(
    call: Call,
    account: Annotated[str, typer.Argument(metavar="ID", help="Id of the account.")],
    keep: Annotated[
        bool | None,
        typer.Option("--keep/--no-keep", help="Keep it from now on, or no more; by default it is only shown."),
    ] = None,
) -> Result:
    """Say whether an account keeps the sound of its recordings once they are transcribed, or change that."""
    with call.workspace() as workspace:
        if keep is not None:
            workspace.recordings.keep(account, keeps=keep)
        keeps = workspace.recordings.keeps(account)
    return Result(value={"account": account, "keep": keeps}, view=_recordings_view)


def _recordings_view(value: Value) -> Iterator[Block]:
    """Show whether an account keeps its recordings."""
    if value["keep"]:
        yield paragraph(f"{value['account']} keeps the sound of its recordings, encrypted, once they are transcribed.")
    else:
        yield paragraph(
            f"{value['account']} does not keep the sound of its recordings. What was kept before stays until its "
            "people are erased."
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
    same_as: Annotated[
        list[str] | None,
        typer.Option(metavar="HEARD", help="Who was heard before and is the same person, by id. Repeatable."),
    ] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="Whoever was heard or erased under one of the names is somebody else.")
    ] = False,
) -> Result:
    """Add a person: a user of an account, or a guest.

    From then on, anyone whom a source calls by one of these names, addresses or ids is this person. Where somebody was
    heard before under one of them, or was erased, it asks; without a terminal, --same-as or --apart says which.
    """
    handles: dict[str, Any] = {"account": account, "name": name, "aliases": alias or (), "emails": email or ()}
    with call.workspace() as workspace:
        same = list(same_as or ())
        heard, erased = workspace.people.heard_before(person, **handles)
        if (heard or erased) and not same and not apart:
            same = _asked(call, workspace, person, heard, erased)
        for one in same:
            end_guest(workspace, one)
        added = workspace.people.add_person(person, **handles, region=region, same_as=same)
        for other in heard:
            if other.id not in same:
                workspace.people.keep_apart(other.id, added.id)
        namesakes = [one.id for one in workspace.people.namesakes(added.id)]
    value = {
        "person": added.id,
        "account": added.account,
        "name": added.name,
        "aliases": list(added.aliases),
        "emails": list(added.emails),
        "region": region,
        "pseudonym": added.pseudonym,
        "may_be": namesakes,
        "same_as": same,
    }
    warnings = tuple(
        f"{one} stays somebody else. What is collected under the same name may still be of either, so both are asked, "
        f"and the no of each counts for both. Were they the same: volition person merge {one} --into {added.id}"
        for one in namesakes
    )
    return Result(value=value, view=_person_view, warnings=warnings)


def _asked(
    call: Call, workspace: "Workspace", person: str, heard: "Sequence[Person]", erased: Sequence[str]
) -> list[str]:
    """Ask whether those heard before are the same person, on a terminal; otherwise say which options answer it."""
    if call.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        said = [f"{one.id} was heard in the data before" for one in heard]
        said += [f"somebody who went by {one!r} was erased" for one in erased]
        ways = [f"--same-as {one.id}" for one in heard]
        raise InvalidInputError(
            f"{'; '.join(said)}. Is {person} the same person? Say {' or '.join([*ways, '--apart'])}; nobody was added."
        )
    for one in erased:
        typer.confirm(f"Somebody who went by {one!r} was erased. Is {person} somebody else?", abort=True, err=True)
    return [
        one.id
        for one in heard
        if typer.confirm(
            f"{one.id} was heard in {counted(workspace.people.records_of(one), 'record')} before. Is that {person}?",
            err=True,
        )
    ]


def _person_view(value: Value) -> Iterator[Block]:
    """Show a person who was added."""
    where = f"of the account {value['account']}" if value["account"] else "a guest"
    yield paragraph(f"Added {value['person']}, {where}. The log names them {value['pseudonym']}.")
