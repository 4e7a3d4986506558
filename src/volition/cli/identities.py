"""Commands that say who is who: list, show, alias, merge, rename, move, leave."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: FBT002, PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.cli.blocks import Block, Grid, Value, counted, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command, recorded

if TYPE_CHECKING:
    from volition.consent.parties import Person
    from volition.server.auth import Access
    from volition.workspace import Workspace


class Which(StrEnum):
    """Which people to list."""

    REGISTERED = "registered"
    HEARD = "heard"


Who = Annotated[str, typer.Argument(metavar="ID", help="Id of the person, of any identity of theirs.")]
By = Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who says so, by id. By default the operator.")]


def register(person: typer.Typer) -> None:
    """Add the commands to those of people."""
    command(person, "list", example="volition person list --account helio --may-be", reads="people")(list_people)
    command(person, "show", example="volition person show ada", reads="person")(show)
    command(person, "alias", example='volition person alias ada "Ada B." --email ada@home.example')(alias)
    command(person, "merge", example="volition person merge helio:guest:5f2a61c09b1e --into ada")(merge)
    command(person, "rename", example='volition person rename ada "Ada King"')(rename)
    command(person, "move", example="volition person move ada --to nimbus")(move)
    command(person, "leave", example="volition person leave ada")(leave)


def list_people(
    call: Call,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Only the people of this account.")] = None,
    which: Annotated[Which | None, typer.Option("--only", help="Only those registered, or only those heard.")] = None,
    may_be: Annotated[
        bool, typer.Option("--may-be", help="Only who was heard and may be somebody registered, with whom and why.")
    ] = False,
) -> Result:
    """List people: those registered, and those heard in the data under a name that nobody was registered with."""
    with call.workspace() as workspace:
        if account is not None:
            workspace.parties.account(account)
        pairs: dict[str, list[dict[str, str]]] = {}
        for pair in workspace.people.pairs(account):
            pairs.setdefault(pair.heard.id, []).append({"person": pair.person.id, "why": pair.likeness.value})
        people = [
            {**_summary(one), "may_be": pairs.get(one.id, [])}
            for one in workspace.parties.people(account)
            if which is None or one.is_heard == (which is Which.HEARD)
        ]
        if may_be:
            people = [one for one in people if one["may_be"]]
        workspace.accesses.note_list(None, "people", account=account, records=len(people))
    return Result(value={"people": people}, view=_people_view)


def _summary(person: "Person") -> dict[str, Any]:
    return {
        "person": person.id,
        "account": person.account,
        "name": person.name,
        "kind": _kind(person),
        "identities": len(person.identities),
    }


def _kind(person: "Person") -> str:
    if person.is_heard:
        return "heard"
    if person.account is not None and person.has_left(person.account):
        return "left"
    return "guest" if person.account is None else "user"


def _people_view(value: Value) -> Iterator[Block]:
    """Show people."""
    if not value["people"]:
        yield paragraph("There is nobody of this kind.")
        return
    rows = [
        (
            one["person"],
            one["account"],
            one["name"],
            one["kind"],
            one["identities"],
            listed(f"{other['person']} ({other['why']})" for other in one["may_be"]),
        )
        for one in value["people"]
    ]
    yield Grid(columns=("id", "account", "name", "kind", "identities", "may be"), rows=rows)
    if any(one["may_be"] for one in value["people"]):
        yield paragraph("The same person: volition person merge ID --into PERSON")


def show(call: Call, person: Who) -> Result:
    """Show a person: names, identities, account, region, who may be the same, and what they have answered."""
    with call.workspace() as workspace:
        known = workspace.parties.person(person)
        value = {
            **_summary(known),
            "former": [account or None for account in known.former],
            "names": list(known.names),
            "emails": list(known.addresses),
            "identities": [{"person": one.id, "pseudonym": one.pseudonym} for one in known.identities],
            "region": workspace.people.region(known),
            "may_be": [one.id for one in workspace.people.namesakes(known.id)],
            "answers": [recorded(entry) for entry in workspace.consent.answers(known.id, limit=_ANSWERS)],
        }
        workspace.accesses.note(None, "person", [known.id], records=len(value["answers"]))
    return Result(value=value, view=_person_view)


_ANSWERS = 10


def _person_view(value: Value) -> Iterator[Block]:
    """Show one person."""
    where = {"user": "a user of", "heard": "heard in the data of", "left": "no user any more of", "guest": "a guest"}
    account = f" {value['account']}" if value["account"] else ""
    yield paragraph(f"{value['person']} ({value['name'] or 'no name'}): {where[value['kind']]}{account}.")
    yield Grid(
        columns=("what", "which"),
        rows=[
            ("names", listed(value["names"])),
            ("addresses", listed(value["emails"])),
            ("region", value["region"] or "as their account"),
            ("was of", listed(one or "no account" for one in value["former"])),
            ("may be the same", listed(value["may_be"])),
        ],
    )
    rows = [(one["person"], one["pseudonym"]) for one in value["identities"]]
    yield Grid(columns=("identity", "as the log names it"), rows=rows)
    answers = [
        (one["seq"], short_instant(one["at"]), one.get("answer", one.get("signal")), listed(one.get("purpose", ())))
        for one in value["answers"]
    ]
    if answers:
        yield Grid(columns=("entry", "when", "answer", "to"), rows=answers)
    else:
        yield paragraph("They have answered nothing.")


def alias(
    call: Call,
    person: Who,
    name: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Names or identifiers that sources use.")
    ] = None,
    email: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="An e-mail address. Repeatable.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take them away instead.")] = False,
    complete: Annotated[
        bool, typer.Option("--complete", help="After a restoring: all names of theirs are known again.")
    ] = False,
    by: By = None,
) -> Result:
    """Give a person another name, identifier or address, or take one away.

    From then on, anyone whom a source calls so is this person. What was collected before stays whose it was.
    """
    with call.workspace() as workspace:
        if remove:
            for handle in (*(name or ()), *(email or ())):
                workspace.people.remove_alias(person, handle, by=by)
        elif name or email or not complete:
            workspace.people.alias(person, aliases=name or (), emails=email or (), by=by)
        if complete:
            workspace.people.confirm_names(person, by=by)
            return Result(value={"person": person, "complete": True}, view=_complete_view)
        known = workspace.parties.person(person)
    value = {**_summary(known), "names": list(known.names), "emails": list(known.addresses)}
    return Result(value=value, view=_names_view)


def _complete_view(value: Value) -> Iterator[Block]:
    """Show that names are known again."""
    yield paragraph(f"All names of {value['person']} are known again.")


def _names_view(value: Value) -> Iterator[Block]:
    """Show how a person is known."""
    yield paragraph(f"{value['person']} is known as {listed((*value['names'], *value['emails']))}.")


def merge(
    call: Call,
    person: Who,
    into: Annotated[str, typer.Option(metavar="PERSON", help="Into whom, by id.")],
    region: Annotated[
        str | None,
        typer.Option(metavar="REGION", help="The region that holds for both (ISO 3166), where theirs differ."),
    ] = None,
    by: By = None,
) -> Result:
    """Make two people one: somebody heard and somebody registered, or two registered for the same person.

    The stricter answer stands: what either has refused is refused for both. What was recorded of each needs its own yes
    as before; an answer from now on is for both. Nothing undoes it.
    """
    with call.workspace() as workspace:
        end_guest(workspace, person)
        known = workspace.people.merge(person, into=into, region=region, by=by)
        value = {**_summary(known), "merged": person, "records": workspace.people.records_of(known)}
        value["owed"] = _owed(workspace)
    return Result(value=value, view=_merged_view)


def end_guest(workspace: "Workspace", person: str) -> None:
    """End the guests' links of somebody heard who is to be merged, so that none leads to what is a user's to see.

    It comes first: killed after it, the command is given again and does the rest.
    """
    gone = workspace.parties.person(person)
    if gone.is_heard:
        _with_access(workspace, lambda access: access.end_guest(gone.ids))


def _owed(workspace: "Workspace") -> list[dict[str, Any]]:
    from volition.cli.owed import owed_json

    return owed_json(workspace)


def _merged_view(value: Value) -> Iterator[Block]:
    """Show a merge."""
    from volition.cli.owed import must_forget

    yield paragraph(
        f"{value['merged']} and {value['person']} are one person, with {counted(value['identities'], 'name')} in the "
        f"log and {counted(value['records'], 'record')} that concern them. What either had refused is refused for both."
    )
    yield from must_forget(value)


def rename(
    call: Call,
    person: Who,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    forget_old_name: Annotated[
        bool, typer.Option("--forget-old-name", help="The old name does not mean them any more.")
    ] = False,
    by: By = None,
) -> Result:
    """Show a person by another name. Sources may go on using the old one, unless it is to be forgotten."""
    with call.workspace() as workspace:
        known = workspace.people.rename(person, name, forget_old=forget_old_name, by=by)
    value = {**_summary(known), "names": list(known.names), "emails": list(known.addresses)}
    return Result(value=value, view=_names_view)


def move(
    call: Call,
    person: Who,
    to: Annotated[str, typer.Option(metavar="ACCOUNT", help="The account that they belong to from now on.")],
    by: By = None,
) -> Result:
    """Make a person a user of another account.

    What they did stays the data of the account in which they did it. Their answers and their sign-in go with them; they
    administer nothing there until they are told to, and have to sign in anew.
    """
    with call.workspace() as workspace:
        known = workspace.parties.person(person)
        old = known.account
        moved = workspace.people.move(person, to=to, by=by)
        _with_access(workspace, lambda access: access.move_person(moved.ids, to))
    return Result(value={**_summary(moved), "from": old}, view=_moved_view)


def _moved_view(value: Value) -> Iterator[Block]:
    """Show a move."""
    yield paragraph(f"{value['person']} moved from {value['from'] or 'no account'} to {value['account']}.")


def leave(call: Call, person: Who, by: By = None) -> Result:
    """Make a person no user of their account any more: their sign-in ends, and they read nothing opened to the account.

    Their answers and their rights stay; a signed link (`volition user link`) leads them to both.
    """
    with call.workspace() as workspace:
        known = workspace.parties.person(person)
        if not known.is_guest:  # first: killed after it, the command is given again and does the rest
            _with_access(workspace, lambda access: access.end_person(known.ids))
        left = workspace.people.leave(person, by=by)
    return Result(value=_summary(left), view=_left_view)


def _left_view(value: Value) -> Iterator[Block]:
    """Show that somebody left."""
    yield paragraph(
        f"{value['person']} is no user of {value['account']} any more. Their answers count on, also for anyone heard "
        "under their name there."
    )


def _with_access(workspace: "Workspace", do: "Callable[[Access], None]") -> None:
    """Change who can sign in, where a server ever ran in this folder."""
    if not (workspace.folder / "web.db").exists():
        return
    from volition.server.auth import Access

    access = Access.open(workspace.folder)
    try:
        do(access)
    finally:
        access.close()
