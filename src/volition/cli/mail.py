"""Commands for mail: what became of it, and one mail to see whether it arrives."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer

from volition.canonical import us_to_text
from volition.cli.blocks import Block, Grid, Line, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.cli.server import PANEL
from volition.errors import BackendError, InvalidInputError

_ANSWERS = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    mail = group("See what became of mails, and try the mail server.")
    app.add_typer(mail, name="mail", rich_help_panel=PANEL)
    command(mail, "status", example="volition mail status")(status)
    command(mail, "test", example="volition mail test you@acme.example")(send_test)


def status(call: Call) -> Result:
    """Say how many mails the mail server took or refused, with its answers, and how many wait. Nobody is named."""
    from volition.server.auth import Access
    from volition.server.mail.courier import TROUBLE
    from volition.server.notices.outbox import Outbox

    with call.workspace() as workspace:
        settings = workspace.mail
        access = Access.open(workspace.folder)
        try:
            outbox = Outbox(access.database)
            counts, undelivered = outbox.counts(), outbox.not_delivered(most=_ANSWERS)
            trouble = json.loads(access.database.state(TROUBLE) or b"null")
        finally:
            access.close()
    value = {
        "server": None if settings is None else f"{settings.host}:{settings.port}",
        "from": None if settings is None else settings.sender,
        "mails": {state.value: number for state, number in counts.items()},
        "trouble": None if trouble is None else {"at": us_to_text(trouble["at"]), "why": trouble["why"]},
        "undelivered": [
            {"about": kind, "state": state.value, "answer": answer, "tries": tries}
            for kind, state, answer, tries in undelivered
        ],
    }
    return Result(value=value, view=_status_view)


def send_test(
    call: Call, address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where the mail goes.")]
) -> Result:
    """Send one mail now, by the mail server of volition.toml, to see whether it arrives."""
    from volition import canonical
    from volition.server.mail.letters import trial_mail
    from volition.server.mail.smtp import connect
    from volition.server.notices.outbox import MailState, QueuedMail, new_message_id

    with call.workspace() as workspace:
        settings, folder = workspace.mail, workspace.folder
    if settings is None:
        raise InvalidInputError("volition.toml has no [mail], so no mail is sent. docs/how-to/operator.md says how.")
    subject, body = trial_mail(settings)
    mail = QueuedMail(
        id=0,
        message_id=new_message_id(settings.domain),
        address=address,
        subject=subject,
        body=body,
        queued_us=canonical.now_us(),
        tries=0,
    )
    with connect(settings, settings.password(folder, os.environ)) as connection:
        answer = connection.send(mail)
    if answer.state is not MailState.SENT:
        raise BackendError(f"The mail server did not take it: {answer.text}")
    value = {"address": address, "message_id": mail.message_id, "server": f"{settings.host}:{settings.port}"}
    return Result(value=value, view=_test_view)


def _status_view(value: Value) -> Iterator[Block]:
    if value["server"] is None:
        yield paragraph("No mail is sent: volition.toml has no [mail].")
    else:
        yield Line(text=f"Mail goes by {value['server']}, from {value['from']}, while the server runs.")
    yield Grid(columns=("state", "mails"), rows=list(value["mails"].items()))
    if value["trouble"] is not None:
        yield paragraph(f"{value['trouble']['why']} ({value['trouble']['at']})")
    if value["undelivered"]:
        rows = [(one["about"], one["state"], one["tries"], one["answer"]) for one in value["undelivered"]]
        yield Grid(columns=("about", "state", "tries", "the mail server's answer"), rows=rows)


def _test_view(value: Value) -> Iterator[Block]:
    yield Line(text=f"{value['server']} took a mail to {value['address']}. Look whether it has arrived.")
