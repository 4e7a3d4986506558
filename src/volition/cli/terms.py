"""Commands for terms: publish them, read them, compare them."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volition.canonical import us_to_text
from volition.cli.blocks import Block, Grid, Line, Value, counted, heading, listed, paragraph, short_instant
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.consent.terms.model import Terms

PANEL = "Set up"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    terms = group("Publish terms, read them, compare them.")
    app.add_typer(terms, name="terms", rich_help_panel=PANEL)
    command(terms, "publish", example="volition terms publish bundled")(publish)
    command(terms, "list", example="volition terms list")(list_published)
    command(terms, "names", example="volition terms names")(list_names)
    command(terms, "show", example="volition terms show granular")(show)
    command(terms, "diff", example="volition terms diff 2023-07-27 2023-08-11")(compare)
    command(terms, "deliveries", example="volition terms deliveries --account helio")(list_deliveries)


def publish(
    call: Call,
    terms: Annotated[str, typer.Argument(metavar="FILE_OR_PROFILE", help="A terms file, or the name of a profile.")],
) -> Result:
    """Publish a terms version.

    Every account that has accepted terms gets a notice, in the ledger; what newly allows something binds only after its
    notice period. Whom the notice reaches is another thing: volition terms deliveries.
    """
    from volition.consent.terms.diff import diff

    new = _shipped(terms)
    with call.workspace() as workspace:
        published = workspace.terms.published()
        changes = diff(published[-1] if published else None, new)
        entry = workspace.terms.publish(new)
        notices = sum(later.kind == "notice" for later in workspace.ledger.entries(entry.seq + 1))
        has_mail = workspace.mail is not None
    value = {
        "terms": new.id,
        "title": new.title,
        "published": us_to_text(entry.at_us),
        "binds": entry.body["binds"],
        "acceptance": new.acceptance,
        "newly_allows": changes.newly_allows,
        "changes": list(changes.lines()),
        "notices": notices,
        "mail": has_mail,
    }
    return Result(value=value, view=_published_view)


def _published_view(value: Value) -> Iterator[Block]:
    """Show a version that was published."""
    yield paragraph(f"Published {value['terms']} ({value['title']}).")
    for change in value["changes"]:
        yield paragraph(f"  {change}")
    if value["acceptance"] == "explicit":
        yield paragraph(f"It binds an account that accepts it, from {short_instant(value['binds'])} on.")
    else:
        yield paragraph(f"It binds from {short_instant(value['binds'])} on.")
    if value["notices"]:
        reach = "The server shows it on the first page that one of their people opens"
        reach += ", and mails it to those whose address is known." if value["mail"] else "; no mail is sent."
        noted = f"A notice to {counted(value['notices'], 'account')} is in the ledger, and was delivered to nobody yet."
        yield paragraph(f"{noted} {reach}")


def list_published(call: Call) -> Result:
    """List the published versions, oldest first."""
    with call.workspace() as workspace:
        rows = [
            {
                "id": entry.body["terms"]["id"],
                "title": entry.body["terms"]["title"],
                "acceptance": entry.body["terms"]["acceptance"],
                "published": us_to_text(entry.at_us),
                "binds": entry.body["binds"],
            }
            for entry in workspace.ledger.entries()
            if entry.kind == "terms"
        ]
    return Result(value={"terms": rows}, view=_list_view)


def _list_view(value: Value) -> Iterator[Block]:
    """Show the published versions."""
    if not value["terms"]:
        yield paragraph("No terms were published yet. Publish some: volition terms publish FILE_OR_PROFILE")
        return
    rows = [
        (
            terms["id"],
            terms["title"],
            terms["acceptance"],
            short_instant(terms["published"]),
            short_instant(terms["binds"]),
        )
        for terms in value["terms"]
    ]
    yield Grid(columns=("id", "title", "acceptance", "published", "binds from"), rows=rows)


def list_names(call: Call) -> Result:
    """List every category and purpose that can be named: the built-in ones, and what published terms declare."""
    with call.workspace() as workspace:
        return Result(value=workspace.terms.vocabulary.to_json(), view=_names_view)


def _names_view(value: Value) -> Iterator[Block]:
    """Show what can be named."""
    categories = [(one["name"], one["words"], "yes" if one["content"] else "no") for one in value["categories"]]
    yield Grid(columns=("category", "what it is", "content"), rows=categories)
    yield Grid(columns=("purpose", "title"), rows=[(one["name"], one["title"]) for one in value["purposes"]])


def list_deliveries(
    call: Call,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="One account; by default all.")] = None,
) -> Result:
    """Say to how many people each notice of new terms was shown and mailed, the newest version first.

    Shown means that a page with it was sent to somebody who was signed in; mailed, that the mail server took it.
    """
    from volition.server.auth import Access
    from volition.server.notices.deliveries import deliveries
    from volition.server.notices.outbox import Outbox
    from volition.server.notices.shown import ShownNotices

    with call.workspace() as workspace:
        accounts = None if account is None else [workspace.parties.account(account).id]
        access = Access.open(workspace.folder)
        try:
            found = deliveries(workspace, ShownNotices(access.database), Outbox(access.database), accounts)
        finally:
            access.close()
    return Result(value={"deliveries": [one.to_json() for one in found]}, view=_deliveries_view)


def _deliveries_view(value: Value) -> Iterator[Block]:
    """Show how far each notice has come."""
    if not value["deliveries"]:
        yield paragraph("No notice was due: nothing was published after what the accounts accepted.")
        return
    rows = [
        (one["terms"], one["account"], short_instant(one["published"]), one["sentence"]) for one in value["deliveries"]
    ]
    yield Grid(columns=("terms", "account", "published", "delivered"), rows=rows)


def show(
    call: Call,
    terms: Annotated[str, typer.Argument(metavar="ID", help="A published version; a file or a profile will do, too.")],
) -> Result:
    """Show a version: every rule, switch and signal."""
    from volition.consent.terms.diff import ChangeKind, diff

    shown = _find_terms(call, terms)
    in_words = [change.text for change in diff(None, shown).changes if change.kind is not ChangeKind.SWITCH]
    value = shown.to_json() | {"digest": shown.digest, "in_words": in_words, "text": shown.text}
    return Result(value=value, view=_terms_view)


def _terms_view(value: Value) -> Iterator[Block]:
    """Show one version."""
    yield Line(text=f"{value['title']} ({value['id']})", style="bold")
    effective = short_instant(value["effective"])
    yield paragraph(f"effective {effective}; acceptance {value['acceptance']}; notice {value['notice_days']} days")
    rows = [
        (
            listed(rule["data"]),
            listed(rule["purpose"]),
            listed(rule.get("region", ())),
            rule["basis"],
            listed(rule.get("asks", ())),
            listed(rule.get("refusable_by", ())),
            rule.get("max_age"),
        )
        for rule in value["rule"]
    ]
    columns = ("data", "purpose", "region", "basis", "asks", "refusable by", "no older than")
    yield Grid(columns=columns, rows=rows)
    declared = [(one["name"], one["words"], one["content"]) for one in value.get("category", ())]
    declared += [(one["name"], one["title"], None) for one in value.get("purpose", ())]
    if declared:
        yield heading("Declared")
        yield Grid(
            columns=("name", "what it is", "content"),
            rows=[(name, words, {True: "yes", False: "no", None: ""}[content]) for name, words, content in declared],
        )
    if value["switch"]:
        yield heading("Switches")
        yield Grid(
            columns=("switch", "title", "off refuses", "off disables"),
            rows=[
                (
                    switch["name"],
                    switch["title"],
                    listed(switch["off"]["refuses"]),
                    listed(switch["off"].get("disables", ())),
                )
                for switch in value["switch"]
            ],
        )
    for name, signal in value["signal"].items():
        yield paragraph(f"The signal {name} counts as a no for: {listed(signal['refuses'])}")
    yield heading("In words")
    for line in value["in_words"]:
        yield paragraph(line)
    if value["text"]:
        yield heading("Text")
        yield paragraph(value["text"].strip())


def compare(
    call: Call,
    old: Annotated[str, typer.Argument(metavar="A", help="The earlier version: file, published id or profile.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The later version, likewise.")],
) -> Result:
    """Say in plain words what a version changes against another: newly allowed, newly forbidden, asked anew."""
    from volition.consent.terms.diff import diff

    return Result(value=diff(_find_terms(call, old), _find_terms(call, new)).to_json(), view=_diff_view)


def _diff_view(value: Value) -> Iterator[Block]:
    """Show what a version changes."""
    if value["changes"]:
        for change in value["changes"]:
            yield paragraph(change["text"])
    elif value["same_words"]:
        yield paragraph("Nothing changes.")
    else:
        yield paragraph("Only the wording changes: the same uses are allowed, and the same people are asked.")
    if value["newly_allows"]:
        yield paragraph("It newly allows something, so it binds nobody before its notice period is over.")


def _shipped(name: str) -> "Terms":
    """Return the terms in a file or, where there is no such file, those of a profile."""
    from volition.consent.terms.terms_file import PROFILES, load_profile, read_terms

    if Path(name).exists() or name not in PROFILES:
        if not Path(name).exists():
            msg = f"There is no terms file {name!r}, and no profile of that name: {', '.join(PROFILES)}."
            raise InvalidInputError(msg)
        return read_terms(Path(name))
    return load_profile(name)


def _find_terms(call: Call, name: str) -> "Terms":
    """Return terms by file, published id or profile, in this order. Only an id needs a workspace."""
    if not Path(name).exists():
        from volition.consent.terms.terms_file import PROFILES

        try:
            with call.workspace() as workspace:
                published = {terms.id: terms for terms in workspace.terms.published()}
        except InvalidInputError:
            if name not in PROFILES:
                raise
            published = {}
        if name in published:
            return published[name]
        if name not in PROFILES:
            msg = (
                f"There are no terms {name!r}: no file, nothing published ({', '.join(published) or 'none'}), no "
                f"profile ({', '.join(PROFILES)})."
            )
            raise InvalidInputError(msg)
    return _shipped(name)
