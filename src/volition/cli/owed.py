"""What models must forget, as commands name it: with parties as on the command line."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from volition.cli.blocks import Block, Grid, Value, heading, listed, paragraph, short_instant
from volition.cli.call import Result
from volition.errors import VolitionError

if TYPE_CHECKING:
    from volition.workspace import Workspace


def owed_json(workspace: "Workspace") -> list[dict[str, Any]]:
    """Return every forgetting that is owed, parties named as on the command line."""
    rows, found = [], workspace.models.owed()
    people = {party for owed in found for party in owed.parties if party.startswith("person:")}
    workspace.accesses.note(None, "owed", people)
    for owed in found:
        row = owed.to_json()
        row["parties"] = {workspace.party_name(party): reason for party, reason in row["parties"].items()}
        rows.append(row)
    return rows


def with_owed(
    workspace: "Workspace", value: dict[str, Any], view: Callable[[Value], Iterable[Block]], *, stands: str
) -> Result:
    """Return what was recorded as a command's result, with what models must forget for it.

    Args:
        workspace: Where it was recorded.
        value: What was recorded.
        view: Shows both; `must_forget` shows what is owed.
        stands: Says that it is recorded, should it not be possible to find out what is owed.
    """
    try:
        return Result(value=value | {"owed": owed_json(workspace)}, view=view)
    except VolitionError as error:
        warning = f"{stands} Which models must forget could not be found out: {error}"
        return Result(value=value | {"owed": []}, view=view, warnings=(warning,))


def owed_view(value: Value) -> Iterator[Block]:
    """Show the forgettings that are owed."""
    if not value["owed"]:
        yield paragraph("Nothing is owed: no model learned from anything that is not permitted any more.")
        return
    rows = [
        (
            owed["model"],
            owed["rows"],
            owed["forgets"] or "",
            listed(f"{party} ({reason})" for party, reason in owed["parties"].items()),
            short_instant(owed["since"]),
            short_instant(owed["due"]),
        )
        for owed in value["owed"]
    ]
    yield Grid(columns=("model", "rows", "forgets", "parties", "since", "due"), rows=rows)
    for owed in value["owed"]:
        if owed["damage"] and not owed["blocked"]:
            yield paragraph(f"{owed['model']} goes without a successor, since something is damaged. {owed['damage']}")
        if owed["blocked"]:
            yield paragraph(f"{owed['model']} waits: {owed['blocked']}")
    yield paragraph("Next: volition forget")


def must_forget(value: Value) -> Iterator[Block]:
    """Show which models must forget after an answer; nothing where none must."""
    if value["owed"]:
        yield heading("These models must forget")
        yield from owed_view(value)
