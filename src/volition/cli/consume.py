"""Commands for message brokers: consume nats, consume kafka."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that `volition --help` is quick
# ruff: noqa: PLR0913, PLR0917 - a function has a parameter for each option of its command

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from volition.cli import output
from volition.cli.blocks import Block, Value, paragraph
from volition.cli.call import Call, Result, command
from volition.cli.help import group
from volition.cli.records import PANEL
from volition.errors import InvalidInputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from volition.workspace.consumers import Broker

Source = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The messages are rows of [sources.NAME]; by default they are CloudEvents."),
]
Account = Annotated[
    str | None, typer.Option(metavar="ACCOUNT", help="Whose data it is; by default as each message says.")
]
UntilEmpty = Annotated[bool, typer.Option("--until-empty", help="End as soon as nothing more waits there.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    consume = group(
        "Collect records that a message broker sends, until it is stopped.",
        epilog="A message is acknowledged once what it holds is stored. Killed and started again, it goes on where it "
        "was, and what is sent twice is stored once.",
    )
    app.add_typer(consume, name="consume", rich_help_panel=PANEL)
    command(consume, "nats", example="volition consume nats nats://127.0.0.1:4222 --stream chats --durable volition")(
        nats
    )
    command(consume, "kafka", example="volition consume kafka 127.0.0.1:9092 --topic chats --group volition")(kafka)


def nats(
    call: Call,
    url: Annotated[str, typer.Argument(metavar="URL", help="The server, such as nats://127.0.0.1:4222.")],
    stream: Annotated[str, typer.Option(metavar="NAME", help="The JetStream stream.")],
    durable: Annotated[str, typer.Option(metavar="NAME", help="The consumer's name; under it one goes on.")],
    subject: Annotated[str, typer.Option(metavar="SUBJECT", help="Which of the stream's subjects.")] = ">",
    credentials: Annotated[Path | None, typer.Option(metavar="FILE", help="A .creds file.")] = None,
    source: Source = None,
    account: Account = None,
    until_empty: UntilEmpty = False,  # noqa: FBT002 - an option
) -> Result:
    """Collect what a NATS JetStream stream holds."""
    from volition.workspace.consumers import nats_stream

    return _consume(
        call,
        lambda: nats_stream(url, stream=stream, durable=durable, subject=subject, credentials=credentials),
        name=f"nats:{stream}",
        source=source,
        account=account,
        until_empty=until_empty,
    )


def kafka(
    call: Call,
    servers: Annotated[str, typer.Argument(metavar="SERVERS", help="HOST:PORT, or several with commas.")],
    topic: Annotated[str, typer.Option(metavar="NAME", help="The topic.")],
    group: Annotated[str, typer.Option(metavar="NAME", help="The consumer group; in it one goes on.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="More for the client, a line KEY=VALUE each: how to sign in."),
    ] = None,
    source: Source = None,
    account: Account = None,
    until_empty: UntilEmpty = False,  # noqa: FBT002 - an option
) -> Result:
    """Collect what a Kafka topic holds."""
    from volition.workspace.consumers import kafka_topic

    said = {} if config is None else _properties(config)
    return _consume(
        call,
        lambda: kafka_topic(servers, topic=topic, group=group, config=said),
        name=f"kafka:{topic}",
        source=source,
        account=account,
        until_empty=until_empty,
    )


def _properties(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}. Check the path.") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InvalidInputError(f"{path}:{number}: expected KEY=VALUE, as in security.protocol=SASL_SSL.")
        found[key.strip()] = value.strip()
    return found


def _consume(
    call: Call,
    connect: "Callable[[], AbstractContextManager[Broker]]",
    *,
    name: str,
    source: str | None,
    account: str | None,
    until_empty: bool,
) -> Result:
    from volition.workspace.consumers import consume

    stop = Event()
    with call.workspace() as workspace, output.progress() as progress, connect() as broker:
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            found = consume(
                workspace.sources,
                broker,
                name=name,
                source=source,
                account=account,
                until_empty=until_empty,
                stop=stop,
                progress=progress,
            )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    value = {
        "stream": name,
        "stored": found.stored + found.waiting,
        "known": found.known,
        "not_kept": dict(sorted(found.not_kept.items())),
        "set_aside": len(found.rejected),
        "why": found.why_not_stored,
    }
    return Result(value=value, view=_view)


def _view(value: Value) -> Iterator[Block]:
    """Show what became of the messages."""
    yield paragraph(
        f"{value['stored']:,} stored, {value['known']:,} known, {sum(value['not_kept'].values()):,} not kept, "
        f"{value['set_aside']:,} set aside."
    )
    if value["why"]:
        yield paragraph(value["why"])
