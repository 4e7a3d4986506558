"""What models must forget, as commands name it: with parties as on the command line."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from volition.cli.blocks import Block, Grid, Value, heading, listed, paragraph, short_instant

if TYPE_CHECKING:
    from volition.workspace import Workspace


def owed_json(workspace: "Workspace") -> list[dict[str, Any]]:
    """Return every forgetting that is owed, parties named as on the command line."""
    rows = []
    for owed in workspace.models.owed():
        row = owed.to_json()
        row["parties"] = {workspace.party_name(party): reason for party, reason in row["parties"].items()}
        rows.append(row)
    return rows


def owed_view(value: Value) -> Iterator[Block]:
    """Show the forgettings that are owed."""
    if not value["owed"]:
        yield paragraph("Nothing is owed: no model learned from anything that is not permitted any more.")
        return
    rows = [
        (
            owed["model"],
            owed["rows"],
            listed(f"{party} ({reason})" for party, reason in owed["parties"].items()),
            short_instant(owed["since"]),
            short_instant(owed["due"]),
        )
        for owed in value["owed"]
    ]
    yield Grid(columns=("model", "rows", "parties", "since", "due"), rows=rows)
    for owed in value["owed"]:
        if owed["blocked"]:
            yield paragraph(f"{owed['model']} waits: {owed['blocked']}")
    yield paragraph("Next: volition forget")


def must_forget(value: Value) -> Iterator[Block]:
    """Show which models must forget after an answer; nothing where none must."""
    if value["owed"]:
        yield heading("These models must forget")
        yield from owed_view(value)
