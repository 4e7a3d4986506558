"""The commands that ask the gate: may, about one record; gate, about every row of a table of your own."""

# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from volition.canonical import us_to_datetime
from volition.cli import codes, columns
from volition.cli.blocks import Block, Grid, Line, Value, heading, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command, instant
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.consent.gate import Explanation
    from volition.records.foreign.refused import RefusedRow
    from volition.workspace import Workspace

PANEL = "Data, and who says yes"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(
        app,
        "may",
        panel=PANEL,
        example="volition may train/search --account helio --person ada --category content/chat",
    )(may)
    command(
        app,
        "gate",
        panel=PANEL,
        example="volition gate events/ --purpose train/search --account-column tenant --people-column user "
        "--category service/usage --time-column at --out permitted.parquet",
    )(gate)


def may(
    call: Call,
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help='The use, such as "train/search".')],
    record: Annotated[str | None, typer.Option(metavar="ID", help="A record in the lake; or else:")] = None,
    account: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="the account whose record it would be,")
    ] = None,
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PERSON", help="its people, by id or as pseudonym:..., the speaker or actor first (repeatable),"
        ),
    ] = None,
    category: Annotated[str | None, typer.Option(metavar="CATEGORY", help="its category,")] = None,
    collected: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="and when it was collected; by default at the instant asked about."),
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help='The meeting, channel or file that it belongs to; "" if it belongs to none.'),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="INSTANT", help="The instant asked about; by default now.")] = None,
) -> Result:
    """Answer whether something may be used, now or at an instant, and why.

    Names every party concerned, the rule that judges it, and what would change the answer. Exits with 3 if the answer
    is no.
    """
    if record is not None and any((account, person, category, collected, conversation)):
        raise InvalidInputError(
            "--record says whose, what and when already. Name either a record or what would make one."
        )
    with call.workspace(reads=True) as workspace:
        answer = workspace.gate.may(
            purpose,
            record=record,
            account=account,
            people=person or (),
            category=category,
            collected=instant(collected),
            conversation=conversation,
            at=instant(at),
        )
        verdict = answer.verdict.to_json()
        value = {
            "purpose": purpose,
            "record": record,
            **verdict,
            "party": workspace.party_name(verdict["party"]),
            "parties": [_explained(workspace, line) for line in answer.parties],
        }
    code = codes.OK if answer.verdict.permitted else codes.REFUSED
    return Result(value=value, view=_answer_view, code=code.code)


def gate(
    call: Call,
    table: columns.Table,
    purpose: Annotated[str, typer.Option(metavar="PURPOSE", help='The use, such as "train/search".')],
    people_column: columns.People,
    time_column: columns.Time,
    account_column: columns.AccountColumn = None,
    account: columns.Account = None,
    category_column: columns.CategoryColumn = None,
    category: columns.Category = None,
    conversation_column: columns.Conversation = None,
    zone: columns.Zone = None,
    people_are: columns.PeopleAre = columns.NamedBy.IDS,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what may be used here: .parquet, .csv or .jsonl. Without it, count."),
    ] = None,
    explain: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--explain", help="Say of the first rows of each reason whose answer is missing, and what helps."),
    ] = False,
) -> Result:
    """Judge every row of a table of your own, and write those that may be used.

    Each row is judged by all that is known when it is read. It prints how many may be used, and why the others may not.
    The file appears whole or not at all; nothing in the workspace or in the table changes.
    """
    from volition.records.foreign.mapping import TableMapping  # noqa: PLC0415 - it loads Arrow
    from volition.records.foreign.refused import RefusedRows  # noqa: PLC0415 - likewise
    from volition.records.foreign.written import check_ending, write_rows  # noqa: PLC0415 - likewise

    if out is not None:
        check_ending(out)
    mapping = TableMapping(
        people=people_column,
        time=time_column,
        account=account,
        account_column=account_column,
        category=category,
        category_column=category_column,
        conversation_column=conversation_column,
        zone=zone,
        people_are=people_are.value,
    )
    with call.workspace(reads=True) as workspace:
        noting = RefusedRows() if explain else None
        found = workspace.records.permitted(table, mapping, purpose, noting=noting)
        if out is None:
            for _ in found.rows:
                pass
        else:
            write_rows(found.rows, out)
        rows = sorted(noting.found, key=lambda one: one.row) if noting is not None else []
        explained = {"explained": [_why(workspace, purpose, row) for row in rows]} if explain else {}
    counts = found.count().to_json()
    value = {"table": str(table), "purpose": purpose, "out": None if out is None else str(out), **counts, **explained}
    return Result(value=value, view=_gate_view)


def _why(workspace: "Workspace", purpose: str, row: "RefusedRow") -> dict[str, Any]:
    """Return why a row was left out, whose answer is missing, and what would change it, as `may` says it now."""
    parties: list[str | None] = []
    if row.missing:
        remedies = [f"The row does not say: {', '.join(row.missing)}."]
    else:
        try:
            answer = workspace.gate.may(
                purpose,
                account=row.account,
                people=[one for one in row.people if one is not None],
                category=row.category,
                collected=us_to_datetime(row.collected_us or 0),
                conversation=row.conversation,
            )
        except InvalidInputError as error:  # such as a category that nobody declared, or a time that is to come
            remedies = [str(error)]
        else:
            refusing = [line for line in answer.parties if line.reason is not None]
            verdict = answer.verdict.to_json()
            parties = [workspace.party_name(line.party) for line in refusing] or [
                workspace.party_name(verdict["party"])
            ]
            remedies = [line.remedy for line in refusing] or [verdict["remedy"]]
    return {
        "row": row.row,
        "reason": str(row.reason),
        "parties": [*dict.fromkeys(one for one in parties if one)],
        "remedies": [*dict.fromkeys(one for one in remedies if one)],
    }


def _gate_view(value: Value) -> Iterator[Block]:
    """Show how many rows of a table may be used, and why the others may not."""
    yield paragraph(f"{value['purpose']} may use {value['kept']:,} of {value['read']:,} rows of {value['table']}.")
    if value["dropped"]:
        yield Grid(columns=("rows left out", "reason"), rows=[(rows, why) for why, rows in value["dropped"].items()])
    for one in value.get("explained", ()):
        whose = f" ({listed(one['parties'])})" if one["parties"] else ""
        yield paragraph(f"Row {one['row']:,}: {one['reason']}{whose}. {' '.join(one['remedies'])}")
    if value["out"]:
        yield paragraph(f"Written to {value['out']}.")


def _explained(workspace: "Workspace", line: "Explanation") -> dict[str, Any]:
    row = line.to_json()
    return row | {"party": workspace.party_name(row["party"])}


def _answer_view(value: Value) -> Iterator[Block]:
    """Show a verdict and every party's part in it."""
    if value["permitted"]:
        yield Line(text=f"yes: {value['purpose']} may use it, from {short_instant(value['since'])} on.", style="green")
    else:
        yield Line(text=f"no: {value['reason']}, {value['party']}.", style="red")
    if not value["parties"]:  # somebody who is not there was named, so nobody was asked
        yield paragraph(value["remedy"])
        return
    rows = [
        (
            "no" if party["reason"] else "yes",
            party["party"],
            party["role"],
            party["say"],
            party["reason"],
            short_instant(party["since"]),
            _rule(party["rule"]),
            party["terms"],
        )
        for party in value["parties"]
    ]
    yield Grid(columns=("answer", "party", "role", "say", "reason", "since", "rule", "terms"), rows=rows)
    remedies = dict.fromkeys(f"{party['party']}: {party['remedy']}" for party in value["parties"] if party["remedy"])
    if remedies:
        yield heading("What would change it")
        for remedy in remedies:
            yield paragraph(remedy)


def _rule(rule: Value | None) -> str:
    if rule is None:
        return "none speaks of it"
    region = f" in {listed(rule['region'])}" if rule["region"] else ""
    return f"{listed(rule['data'])} for {listed(rule['purpose'])}{region}: {rule['basis']}"
