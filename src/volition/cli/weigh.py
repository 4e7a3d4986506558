"""The command that weighs, and what people read of it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from volition.cli import output
from volition.cli.blocks import Block, Grid, Line, Value
from volition.cli.call import Call, Result, command

PANEL = "Data, and who says yes"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "weigh", panel=PANEL, example="volition weigh --party account:acme --purpose train", reads="weigh")(
        weigh
    )


def weigh(
    call: Call,
    *,
    party: Annotated[str, typer.Option(metavar="PARTY", help="Who weighs: account:ID or person:ID.")],
    purpose: Annotated[
        list[str] | None, typer.Option(metavar="PURPOSE", help="For which purposes; by default for all. Repeatable.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure now what the party's own data is worth: minutes.")
    ] = False,
) -> Result:
    """Weigh, before choosing: what a yes gives, what it costs, what a no turns off, what withdrawing does.

    An account sees its own figures and everybody's; a person sees their own, too.
    """
    with call.workspace() as workspace, output.progress() as progress:
        weighed = workspace.weigh.party(party, purpose=purpose or None, measure=measure, progress=progress)
        if party.startswith("person:"):
            workspace.accesses.note(None, "weigh", [party.removeprefix("person:")])
    return Result(value=weighed.to_json(), view=weighed_view)


def weighed_view(value: Value) -> Iterator[Block]:
    """Show what a party weighs: an overview, then one purpose after the other."""
    yield Line(text=f"{value['party']} weighs, at {value['at'][:19]}Z", style="bold")
    if value["account"] is None:
        yield Line(text="A guest of no account: whose terms bind is known only record by record.")
    yield Grid(
        columns=("purpose", "stands now", "a yes gives", "measured on", "models to forget"),
        rows=[
            (one["purpose"], _now(one), _told(one["gains"][:1]), _units(one["gains"][:1]), len(one["models"]))
            for one in value["purposes"]
        ],
    )
    for one in value["purposes"]:
        yield from _purpose(one)


def _purpose(one: Value) -> Iterator[Block]:
    yield Line(text=f"\n{one['purpose']}", style="bold")
    yield Grid(
        columns=("whose answer", "data", "say", "stands now", "since", "what would change it"),
        rows=[
            (
                state["party"],
                ", ".join(state["data"]),
                state["say"],
                "yes" if state["allowed"] else f"no: {state['reason']}",
                state["since"],
                state["remedy"],
            )
            for state in one["now"]
        ],
    )
    for line in (*one["verdict"], *one["own_risks"], *(saving["says"] for saving in one["saved"])):
        yield Line(text=line)
    yield from _figures(
        [*(("gives", figure) for figure in one["gains"]), *(("costs", figure) for figure in one["costs"])]
    )
    yield Line(text=f"A no: {one['a_no']}")
    for switch in one["switches"]:
        also = [name for name in (*switch["refuses"], *switch["disables"]) if name != one["purpose"]]
        effect = f"and turns off {', '.join(also)}" if also else "and nothing else"
        yield Line(text=f'The switch "{switch["title"]}" ({switch["switch"]}), off, says that no {effect}.')
    yield Line(text=f"Withdrawing later: {one['withdrawing']}")
    if one["models"]:
        yield Grid(
            columns=("model", "family", "at work", "rows to forget", "released beyond its bounds by"),
            rows=[
                (
                    model["model"],
                    model["family"],
                    "yes" if model["at_work"] else "no",
                    "what it learned from cannot be read" if model["is_unsure"] else model["rows"],
                    None
                    if model["overridden"] is None
                    else f"{model['overridden']['by']}: {model['overridden']['why']}",
                )
                for model in one["models"]
            ],
        )
    for stays in one["stays"]:
        yield Line(text=f"It cannot undo this: {stays}")


def _figures(figures: list[tuple[str, Value]]) -> Iterator[Block]:
    if not figures:
        return
    yield Grid(
        columns=("a yes", "what", "about", "measure", "value", "95 % interval", "units", "verdict"),
        rows=[
            (
                kind,
                figure["what"],
                figure["about"],
                figure["metric"],
                figure["value"],
                _interval(figure),
                figure["units"],
                figure["verdict"],
            )
            for kind, figure in figures
        ],
    )
    for how in dict.fromkeys(f"{figure['what']}: {figure['how']}" for _, figure in figures):
        yield Line(text=f"  {how}")


def _now(one: Value) -> str:
    answers = dict.fromkeys(
        f"{state['party']}: {'yes' if state['allowed'] else state['reason']}" for state in one["now"]
    )
    return "; ".join(answers) or "-"


def _told(figures: list[dict[str, Any]]) -> str:
    if not figures:
        return "-"
    [figure] = figures
    if figure["value"] is None:
        return "not measured"
    interval = _interval(figure)
    return f"{figure['value']:+.3f} {figure['metric']}" + (f" ({interval})" if interval else "")


def _units(figures: list[dict[str, Any]]) -> str:
    return "-" if not figures or figures[0]["value"] is None else f"{figures[0]['units']} units, {figures[0]['about']}"


def _interval(figure: Value) -> str | None:
    low, high = figure["low"], figure["high"]
    return None if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
