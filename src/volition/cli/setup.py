"""Commands that set up: the workspace, terms, accounts, people."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volition.canonical import us_to_text
from volition.cli import views
from volition.cli.call import Call, Result, command, recorded
from volition.cli.help import group
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from volition.consent.terms.model import Terms

PANEL = "Set up"

Account = Annotated[str, typer.Option(metavar="ACCOUNT", help="Id of the account.")]
Region = Annotated[
    str | None,
    typer.Option(metavar="REGION", help='Where it is (ISO 3166), such as "DE" or "US-CA"; it chooses rules.'),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    terms = group("Publish terms, read them, compare them.")
    account = group("Add accounts and let them accept terms.")
    person = group("Add people.")
    command(app, "init", panel=PANEL, example="volition init acme --origin log.acme.example/volition")(init)
    app.add_typer(terms, name="terms", rich_help_panel=PANEL)
    app.add_typer(account, name="account", rich_help_panel=PANEL)
    app.add_typer(person, name="person", rich_help_panel=PANEL)
    command(terms, "publish", example="volition terms publish bundled")(terms_publish)
    command(terms, "list", example="volition terms list")(terms_list)
    command(terms, "show", example="volition terms show granular")(terms_show)
    command(terms, "diff", example="volition terms diff 2023-07-27 2023-08-11")(terms_diff)
    command(account, "add", example='volition account add helio --name "Helio Bikes" --region DE')(account_add)
    command(account, "accept", example="volition account accept helio")(account_accept)
    command(person, "add", example='volition person add ada --account helio --name "Ada Byron"')(person_add)


def init(
    call: Call,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A folder that is empty or not there; by default this one.")
    ] = None,
    origin: Annotated[
        str, typer.Option(metavar="NAME", help="Name of its log; it stays for ever. Your domain and a path.")
    ] = "volition.local/workspace",
    profile: Annotated[
        str, typer.Option(metavar="PROFILE", help="Shipped terms to publish at once; none to publish none.")
    ] = "granular",
) -> Result:
    """Make a workspace.

    It holds two secrets: master.key opens everything in it and signing.key speaks for it. Back them up, apart from the
    rest.
    """
    from volition.workspace import Workspace

    place = folder or call.folder or Path()
    with Workspace.create(place, origin=origin, profile=None if profile == "none" else profile) as workspace:
        value = {
            "workspace": str(place.resolve()),
            "origin": workspace.origin,
            "key": workspace.verifier.to_text(),
            "terms": [terms.id for terms in workspace.terms.published()],
        }
    return Result(value=value, view=views.init)


def terms_publish(
    call: Call,
    terms: Annotated[str, typer.Argument(metavar="FILE_OR_PROFILE", help="A terms file, or the name of a profile.")],
) -> Result:
    """Publish a terms version.

    What newly allows something is announced to every account and binds only after its notice period.
    """
    from volition.consent.terms.diff import diff

    new = _shipped(terms)
    with call.workspace() as workspace:
        published = workspace.terms.published()
        changes = diff(published[-1] if published else None, new)
        entry = workspace.terms.publish(new)
        notices = sum(later.kind == "notice" for later in workspace.ledger.entries(entry.seq + 1))
    value = {
        "terms": new.id,
        "title": new.title,
        "published": us_to_text(entry.at_us),
        "binds": entry.body["binds"],
        "acceptance": new.acceptance,
        "newly_allows": changes.newly_allows,
        "changes": list(changes.lines()),
        "notices": notices,
    }
    return Result(value=value, view=views.terms_published)


def terms_list(call: Call) -> Result:
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
    return Result(value={"terms": rows}, view=views.terms_list)


def terms_show(
    call: Call,
    terms: Annotated[str, typer.Argument(metavar="ID", help="A published version; a file or a profile will do, too.")],
) -> Result:
    """Show a version: every rule, switch and signal."""
    from volition.consent.terms.diff import ChangeKind, diff

    shown = _find_terms(call, terms)
    in_words = [change.text for change in diff(None, shown).changes if change.kind is not ChangeKind.SWITCH]
    value = shown.to_json() | {"digest": shown.digest, "in_words": in_words, "text": shown.text}
    return Result(value=value, view=views.terms)


def terms_diff(
    call: Call,
    old: Annotated[str, typer.Argument(metavar="A", help="The earlier version: file, published id or profile.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The later version, likewise.")],
) -> Result:
    """Say in plain words what a version changes against another: newly allowed, newly forbidden, asked anew."""
    from volition.consent.terms.diff import diff

    return Result(value=diff(_find_terms(call, old), _find_terms(call, new)).to_json(), view=views.terms_diff)


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


def account_add(
    call: Call,
    account: Annotated[str, typer.Argument(metavar="ID", help="Id of the account: letters, digits, hyphens.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name for people; by default its id.")] = None,
    region: Region = None,
) -> Result:
    """Add an account: a customer organisation."""
    with call.workspace() as workspace:
        added = workspace.people.add_account(account, name or account, region=region)
    return Result(value={"account": added.id, "name": added.name, "region": region}, view=views.account)


def account_accept(
    call: Call,
    account: Annotated[str, typer.Argument(metavar="ID", help="Id of the account.")],
    terms: Annotated[str | None, typer.Option(metavar="TERMS", help="The version; by default the newest.")] = None,
) -> Result:
    """Let an account accept a published version of the terms."""
    with call.workspace() as workspace:
        entry = workspace.terms.accept(account, terms)
    return Result(value=recorded(entry), view=views.acceptance)


def person_add(
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

    Whoever a source names by one of these names, addresses or ids is this person from then on.
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
    return Result(value=value, view=views.person, warnings=tuple(warnings))
