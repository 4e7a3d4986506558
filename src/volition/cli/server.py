"""Commands that serve: serve, user, token."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

import getpass
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from volition.canonical import us_to_text
from volition.cli.blocks import Block, Grid, Line, Value
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

    from volition.server.auth import Access, GuestLink, Role
    from volition.workspace import Workspace

PANEL = "Serve"
_DAY_US = 24 * 3600 * 1_000_000

Roles = Annotated[
    list[str], typer.Option("--role", metavar="ROLE", help="As what; person, administrator and so on. Repeatable.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    user = group("Say who may sign in to the server.")
    token = group("Issue tokens for the HTTP API.")
    command(app, "serve", panel=PANEL, example="volition serve --port 8080")(serve)
    app.add_typer(user, name="user", rich_help_panel=PANEL)
    app.add_typer(token, name="token", rich_help_panel=PANEL)
    command(user, "add", example="volition user add olga --role operator")(user_add)
    command(user, "list", example="volition user list", reads="people")(user_list)
    command(user, "password", example="volition user password olga")(user_password)
    command(user, "reset", example="volition user reset olga")(user_reset)
    command(user, "remove", example="volition user remove olga")(user_remove)
    command(user, "link", example="volition user link zoe --account helio")(user_link)
    command(user, "links", example="volition user links --account helio", reads="guest-links")(user_links)
    command(user, "unlink", example="volition user unlink 3f9a1c2b4d5e")(user_unlink)
    command(token, "issue", example="volition token issue olga --role operator --scope read")(token_issue)
    command(token, "list", example="volition token list")(token_list)
    command(token, "end", example="volition token end 3f9a1c2b4d5e")(token_end)


def serve(
    call: Call,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="The port; 0 for a free one.")] = 8080,
    demo: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--demo", help="Let anyone at this machine sign in as any user, with a click and no password."),
    ] = False,
    behind_proxy: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--behind-proxy", help="Other machines reach it through a proxy alone, which ends TLS."),
    ] = False,
    no_worker: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--no-worker", help="Leave background jobs to `volition worker`.")
    ] = False,
) -> Result:
    """Serve the privacy centre and the HTTP API until it is stopped.

    How it is set up stands in server.toml of the workspace; see docs/web.md.
    """
    from volition.server.app import serve as run

    with call.workspace() as workspace:
        folder = workspace.folder

    def ready(address: str) -> None:
        sys.stderr.write(f"The privacy centre is at {address} - stop it with Ctrl-C.\n")
        sys.stderr.flush()

    warnings = _proxy_warnings(folder) if behind_proxy else ()
    for warning in warnings:  # now, not when it stops
        sys.stderr.write(f"warning: {warning}\n")
    run(
        folder,
        host=host,
        port=port,
        is_demo=demo,
        is_behind_proxy=behind_proxy,
        has_worker=not no_worker,
        ready=ready,
    )
    return Result(value={"served": str(folder)}, view=lambda _: ())


def _proxy_warnings(folder: "Path") -> tuple[str, ...]:
    from volition.server.settings import read_settings

    settings = read_settings(folder)
    said = []
    if not settings.trusted_proxies:
        said.append(
            "no proxy is trusted, so all clients count as one: name it in trusted_proxies under [server] of server.toml"
        )
    if not (settings.url or "").startswith("https:"):
        said.append("write the address that people use, with https, as url under [site] of server.toml")
    return tuple(said)


@contextmanager
def _access(call: Call) -> Iterator["tuple[Workspace, Access]"]:
    from volition.server.auth import Access

    with call.workspace() as workspace:
        access = Access.open(workspace.folder)
        try:
            yield workspace, access
        finally:
            access.close()


def _password() -> str:
    """Ask for a password on the terminal, twice; from a pipe, take its first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise InvalidInputError("The two passwords differ. Nothing was changed; try again.")
    return first


def user_add(
    call: Call,
    user: Annotated[str, typer.Argument(metavar="ID", help="The name to sign in with.")],
    role: Roles,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Their name as shown.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="The account that they belong to.")] = None,
    person: Annotated[str | None, typer.Option(metavar="PERSON", help="The person that they are.")] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="TEXT", help='Who they are to the OpenID provider: "ISSUER SUBJECT".')
    ] = None,
) -> Result:
    """Let somebody sign in. The password is asked for, or read from a pipe.

    With --subject they sign in through the OpenID provider, and no password is asked for.
    """
    roles = _roles(role)
    with _access(call) as (workspace, access):
        if account is not None:
            workspace.parties.account(account)
        if person is not None:
            known = workspace.parties.person(person)
            if known.account is not None and known.account != account:
                raise InvalidInputError(f"{person} is a person of {known.account}. Name that account.")
        password = _password() if subject is None else None
        who = access.users.add(
            user, roles=roles, name=name, password=password, account=account, person=person, subject=subject
        )
    value = {"user": who.user, "name": who.name, "roles": sorted(who.roles), "account": account, "person": person}
    return Result(value=value, view=_user_view)


def user_list(call: Call) -> Result:
    """List who may sign in."""
    with _access(call) as (workspace, access):
        rows = [
            {
                "user": who.user,
                "name": who.name,
                "roles": sorted(who.roles),
                "account": who.account,
                "person": who.person,
            }
            for who in access.users.all()
        ]
        workspace.accesses.note(None, "people", {who.person for who in access.users.all() if who.person is not None})
    return Result(value={"users": rows}, view=_users_view)


def user_password(call: Call, user: Annotated[str, typer.Argument(metavar="ID", help="Whose.")]) -> Result:
    """Change a password; sessions and API tokens end."""
    with _access(call) as (_, access):
        access.users.set_password(user, _password())
    return Result(value={"user": user, "changed": True}, view=_changed_view)


def user_reset(call: Call, user: Annotated[str, typer.Argument(metavar="ID", help="Whose.")]) -> Result:
    """Turn off a second factor, for somebody who lost the phone and the recovery codes; sessions that are open end.

    Make sure that it is them who ask: from then on their password alone lets in, until they set up another.
    """
    with _access(call) as (_, access):
        access.users.reset_factor(user)
    return Result(value={"user": user, "reset": True}, view=_changed_view)


def user_remove(call: Call, user: Annotated[str, typer.Argument(metavar="ID", help="Whom.")]) -> Result:
    """Let somebody sign in no more; their sessions and tokens end at once, and a guest's links, too."""
    with _access(call) as (_, access):
        known = access.users.find(user)
        if known is not None and known.is_guest and known.person is not None and known.account is not None:
            access.links.revoke_all(known.person, account=known.account)
        access.users.remove(user)
    return Result(value={"user": user, "removed": True}, view=_changed_view)


def user_link(
    call: Call,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="The person, such as a guest of a meeting.")],
    account: Annotated[str, typer.Option(metavar="ACCOUNT", help="The account whose guest they were.")],
    days: Annotated[int, typer.Option(metavar="DAYS", help="How long it lasts.")] = 30,
) -> Result:
    """Print the path of a signed link by which a guest comes in without an account; it lasts 30 days."""
    from volition.server.auth import LINK_US

    if not 1 <= days <= LINK_US // _DAY_US:
        raise InvalidInputError(f"A link lasts 1 to {LINK_US // _DAY_US} days.")
    with _access(call) as (workspace, access):
        link = access.links.make_guest_link(
            person=workspace.parties.person(person).id,
            account=workspace.parties.account(account).id,
            lasts_us=days * _DAY_US,
        )
    return Result(value={"person": person, "account": account, "path": f"/guest/{link}"}, view=_link_view)


def user_links(
    call: Call,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="Only of its guests.")] = None,
) -> Result:
    """List the links by which guests come in, the newest first, with those that work no more."""
    with _access(call) as (workspace, access):
        if account is not None:
            workspace.parties.account(account)
        found, now_us = access.links.guest_links(account), access.database.clock()
        workspace.accesses.note(None, "guest-links", {link.person for link in found})
    return Result(value={"links": [_link(link, now_us) for link in found]}, view=_links_view)


def user_unlink(
    call: Call,
    link: Annotated[str | None, typer.Argument(metavar="ID", help="Which link.")] = None,
    person: Annotated[
        str | None, typer.Option(metavar="PERSON", help="In place of an id: every link of this guest of --account.")
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="ACCOUNT", help="The account whose guest they were.")] = None,
) -> Result:
    """Revoke a guest's link, or all of a guest: it lets nobody in any more, and the sessions that it began end."""
    if (link is None) == (person is None) or (person is None) != (account is None):
        raise InvalidInputError("Name either the id of a link, or a guest with --person and --account.")
    with _access(call) as (workspace, access):
        if person is not None and account is not None:
            ended = access.links.revoke_all(
                workspace.parties.person(person).id, account=workspace.parties.account(account).id
            )
        else:
            ended = [access.links.revoke(link or "")]
        now_us = access.database.clock()
    return Result(value={"links": [_link(one, now_us) for one in ended]}, view=_links_view)


def token_issue(
    call: Call,
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose it is.")],
    role: Roles,
    scope: Annotated[list[str], typer.Option(metavar="SCOPE", help="What it is good for. Repeatable.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="What it is for, in your words.")] = "",
    days: Annotated[int, typer.Option(metavar="DAYS", help="How long it lasts.")] = 90,
) -> Result:
    """Issue a token for the HTTP API. It is shown this once."""
    from volition.server.auth import Scope

    unknown = [one for one in scope if one not in set(Scope)]
    if unknown:
        raise InvalidInputError(f"There is no scope {unknown[0]!r}. There are: {', '.join(Scope)}.")
    with _access(call) as (_, access):
        token, secret = access.tokens.issue(
            user, name=name, roles=_roles(role), scopes=[Scope(one) for one in scope], days=days
        )
    value = {"token": token.id, "user": user, "ends": us_to_text(token.ends_us), "secret": secret}
    return Result(value=value, view=_token_view)


def token_list(call: Call) -> Result:
    """List the tokens that have not ended."""
    with _access(call) as (_, access):
        rows = [
            {
                "token": token.id,
                "user": token.user,
                "name": token.name,
                "roles": list(token.roles),
                "scopes": list(token.scopes),
                "ends": us_to_text(token.ends_us),
            }
            for token in access.tokens.all()
        ]
    return Result(value={"tokens": rows}, view=_tokens_view)


def token_end(call: Call, token: Annotated[str, typer.Argument(metavar="ID", help="Which.")]) -> Result:
    """End a token at once."""
    with _access(call) as (_, access):
        access.tokens.end(token)
    return Result(value={"token": token, "ended": True}, view=_changed_view)


def _user_view(value: Value) -> Iterator[Block]:
    belongs = f" of {value['account']}" if value["account"] else ""
    yield Line(text=f"{value['user']} may sign in as {', '.join(value['roles'])}{belongs}.")


def _users_view(value: Value) -> Iterator[Block]:
    rows = [_cells(row, "user", "name", "roles", "account", "person") for row in value["users"]]
    yield Grid(columns=("user", "name", "roles", "account", "person"), rows=rows)
    if not rows:
        yield Line(text="Nobody may sign in yet. Add the first: volition user add ID --role operator")


def _changed_view(value: Value) -> Iterator[Block]:
    yield Line(text=f"Done: {value.get('user') or value.get('token')}.")


def _link_view(value: Value) -> Iterator[Block]:
    yield Line(text=f"Put the server's address before it: {value['path']}")


def _link(link: "GuestLink", now_us: int) -> dict[str, object]:
    used, revoked = (None if at_us is None else us_to_text(at_us) for at_us in (link.used_us, link.revoked_us))
    return {
        "id": link.id,
        "person": link.person,
        "account": link.account,
        "made": us_to_text(link.made_us),
        "ends": us_to_text(link.ends_us),
        "revoked": revoked,
        "used": used,
        "works": link.works(now_us),
    }


def _links_view(value: Value) -> Iterator[Block]:
    rows = tuple(
        (*_cells(row, "id", "person", "account", "ends"), "works" if row["works"] else "ended", row["used"] or "never")
        for row in value["links"]
    )
    yield Grid(columns=("id", "person", "account", "ends", "state", "last used"), rows=rows)
    if not rows:
        yield Line(text="There is no link. Make one: volition user link PERSON --account ACCOUNT")


def _token_view(value: Value) -> Iterator[Block]:
    yield Line(
        text=f"Token {value['token']} of {value['user']}, until {value['ends']}. Keep it now; it is shown this once:"
    )
    yield Line(text=value["secret"])


def _tokens_view(value: Value) -> Iterator[Block]:
    rows = [_cells(row, "token", "user", "name", "roles", "scopes", "ends") for row in value["tokens"]]
    yield Grid(columns=("token", "user", "name", "roles", "scopes", "ends"), rows=rows)


def _cells(row: Mapping[str, object], *names: str) -> tuple[object, ...]:
    cells = [row[name] for name in names]
    return tuple(", ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in cells)


def _roles(names: list[str]) -> "list[Role]":
    from volition.server.auth import Role

    if Role.GUEST in names:
        raise InvalidInputError("A guest comes in by a link: make one with `volition user link`.")
    unknown = [name for name in names if name not in set(Role)]
    if unknown:
        raise InvalidInputError(
            f"There is no role {unknown[0]!r}. There are: {', '.join(one for one in Role if one is not Role.GUEST)}."
        )
    return [Role(name) for name in names]
