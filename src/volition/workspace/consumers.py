"""Consumers of message brokers: what a product sends through NATS JetStream or Kafka comes in as records.

A message is acknowledged once what it holds is durable, never before: a consumer that is killed in between is sent it
again, and a record that is sent twice is stored once, by its key. What cannot be read is set aside with its reason and
acknowledged, too: sent again, it would be as bad. While nothing can be stored nothing is acknowledged, and the broker
keeps it.

A message is a CloudEvent, structured or in binary mode; or, where a source is named, a row of that source in JSON.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, Protocol, TypeVar

from volition.errors import BackendError, BusyError, InvalidInputError, require_extra
from volition.progress import Progress, silent
from volition.records.ingest import load_json, raw_text
from volition.records.ingest.cloudevents import event_of_headers
from volition.records.ingest.intake import Collected
from volition.workspace.sources import Sources

_AT_ONCE: Final = 500
_WAIT_S: Final = 1.0
_LAID_OUT_AT: Final = 20_000
"""So many waiting records are laid out in files before more are taken."""
_CONTENT_TYPE: Final = "content-type"
_KAFKA_PREFIX: Final = "ce_"
_PREFIX: Final = "ce-"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as a broker has it.

    Attributes:
        body: Its bytes.
        headers: Its headers, by their names in lower case.
        receipt: What the broker knows it by.
    """

    body: bytes
    headers: Mapping[str, str]
    receipt: Any


class Broker(Protocol):
    """What messages are taken from."""

    def take(self, most: int, wait_s: float) -> Sequence[Message]:
        """Return up to so many messages; none if none came for so long.

        Raises:
            BackendError: It cannot be reached, or refuses.
        """

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that messages were dealt with: they are not sent again."""


def consume(  # noqa: PLR0913 - what is consumed, and how it ends
    sources: Sources,
    broker: Broker,
    *,
    name: str,
    source: str | None = None,
    account: str | None = None,
    until_empty: bool = False,
    stop: Event | None = None,
    progress: Progress = silent,
) -> Collected:
    """Collect what a broker sends until it is told to stop.

    Args:
        sources: What collects it.
        broker: What sends it.
        name: What messages call the stream: "nats:chats".
        source: The source of `volition.toml` whose rows the messages are; none where they are CloudEvents.
        account: Whose they are; by default each says so.
        until_empty: End as soon as nothing more waits there.
        stop: Ends it when it is set, after the messages that it has.
        progress: Told how many messages are done (the total is not known: 0).

    Returns:
        What became of all of them.

    Raises:
        InvalidInputError: There is no such source or account, or the settings make no sense.
        BackendError: The broker or the disk fails. What was not acknowledged is sent again.
    """
    stop, total, done = Event() if stop is None else stop, Collected(), 0
    while not stop.is_set():
        messages = broker.take(_AT_ONCE, _WAIT_S)
        if messages:
            values = [_value(message, is_event=source is None) for message in messages]
            total.add(_collected(sources, values, name=name, source=source, account=account))
            broker.acknowledge(messages)
            done += len(messages)
            progress("consuming", done, 0)
        if not messages or sources.records.waiting >= _LAID_OUT_AT:
            sources.records.drain()
        if until_empty and not messages:
            break
    return total


def _collected(
    sources: Sources, values: Sequence[object], *, name: str, source: str | None, account: str | None
) -> Collected:
    while True:
        try:
            if source is None:
                return sources.collect_events(values, source=name, account=account)
            return sources.collect_rows(values, mapping=source, source=name, account=account, waits=True)
        except BusyError:
            sources.records.drain()


def _value(message: Message, *, is_event: bool) -> object:
    """Return what a message holds; its text, which will be set aside, where it is no JSON."""
    try:
        if is_event and any(name.startswith((_PREFIX, _KAFKA_PREFIX)) for name in message.headers):
            named = [(name.replace(_KAFKA_PREFIX, _PREFIX, 1), value) for name, value in message.headers.items()]
            return event_of_headers(named, message.body)
        return load_json(message.body)
    except (InvalidInputError, ValueError):
        return raw_text(message.body)


# --- NATS ------------------------------------------------------------------------------------------------------------


class _Loop:
    """An event loop in a thread of its own: the connection is kept alive while records are stored."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Nats:
    """A durable consumer of a JetStream stream."""

    def __init__(self, loop: _Loop, client: Any, subscription: Any) -> None:  # noqa: ANN401 - of another package
        self._loop = loop
        self._client = client
        self._subscription = subscription

    def take(self, most: int, wait_s: float) -> Sequence[Message]:
        import nats.errors  # noqa: PLC0415 - only where it is used

        try:
            found = self._loop.run(self._subscription.fetch(most, timeout=wait_s))
        except TimeoutError:  # nats.errors.TimeoutError is one
            return ()
        except nats.errors.Error as error:
            raise BackendError(f"NATS fails: {error!r}. What was not acknowledged is sent again.") from error
        return [
            Message(
                body=one.data, headers={key.lower(): value for key, value in (one.headers or {}).items()}, receipt=one
            )
            for one in found
        ]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        async def acknowledge() -> None:
            for message in messages:
                await message.receipt.ack()
            await self._client.flush()

        self._loop.run(acknowledge())


@contextmanager
def nats_stream(
    url: str, *, stream: str, durable: str, subject: str = ">", credentials: Path | None = None
) -> Iterator[Broker]:
    """Be a durable consumer of a NATS JetStream stream.

    Args:
        url: The server, such as "nats://127.0.0.1:4222" or "tls://nats.acme.example".
        stream: The stream.
        durable: The consumer's name: whoever comes back under it goes on where it was.
        subject: Which of the stream's subjects.
        credentials: A `.creds` file, where the server asks for one.

    Raises:
        BackendError: It cannot be reached, has no such stream, or `nats-py` is not installed.
    """
    require_extra("nats", what="Consuming NATS")
    import nats  # noqa: PLC0415 - only where it is used
    import nats.errors  # noqa: PLC0415
    import nats.js.errors  # noqa: PLC0415

    failures: deque[Exception] = deque(maxlen=1)

    async def note(error: Exception) -> None:
        failures.append(error)

    # Without these it would try for two minutes, and write what failed to the log each time.
    options: dict[str, Any] = {"max_reconnect_attempts": 1, "reconnect_time_wait": 0.5, "error_cb": note}
    if credentials is not None:
        options["user_credentials"] = str(credentials)
    loop = _Loop()
    try:
        client = loop.run(nats.connect(url, connect_timeout=5, allow_reconnect=False, **options))
    except (OSError, nats.errors.Error, TimeoutError) as error:
        loop.close()
        why = failures[-1] if failures else error
        raise BackendError(f"NATS at {url} cannot be reached: {why!r}. Check the address.") from error
    try:
        subscription = loop.run(client.jetstream().pull_subscribe(subject, durable=durable, stream=stream))
        yield _Nats(loop, client, subscription)
    except (nats.js.errors.Error, TimeoutError) as error:
        msg = f"NATS at {url} has no stream {stream!r} that can be consumed: {error}. Make it, or correct its name."
        raise BackendError(msg) from error
    finally:
        loop.run(client.close())
        loop.close()


# --- Kafka -----------------------------------------------------------------------------------------------------------


class _Kafka:
    """A member of a consumer group that commits by itself alone what it has dealt with."""

    def __init__(self, consumer: Any) -> None:  # noqa: ANN401 - of another package
        self._consumer = consumer

    def take(self, most: int, wait_s: float) -> Sequence[Message]:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - only where it is used

        try:
            found = self._consumer.consume(most, wait_s)
        except KafkaException as error:
            raise BackendError(f"Kafka fails: {error}. What was not committed is sent again.") from error
        messages = []
        for one in found:
            failure = one.error()
            if failure is None:
                headers = {key.lower(): raw_text(value or b"") for key, value in one.headers() or ()}
                messages.append(Message(body=one.value() or b"", headers=headers, receipt=one))
            else:
                raise BackendError(f"Kafka fails: {failure}. What was not committed is sent again.")
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> None:
        from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 - as above

        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            key = (message.receipt.topic(), message.receipt.partition())
            ends[key] = max(ends.get(key, 0), message.receipt.offset() + 1)
        offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise BackendError(f"Kafka takes no commit: {error}. What was not committed is sent again.") from error


@contextmanager
def kafka_topic(servers: str, *, topic: str, group: str, config: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Be a member of a consumer group of a Kafka topic.

    Args:
        servers: Where the brokers are: "kafka-1:9092,kafka-2:9092".
        topic: The topic.
        group: The group: whoever comes back in it goes on where it was.
        config: What else librdkafka is told, such as how to sign in.

    Raises:
        BackendError: `confluent-kafka` is not installed.
        InvalidInputError: The configuration makes no sense to it.
    """
    require_extra("confluent_kafka", what="Consuming Kafka")
    from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415 - only where it is used

    said = {"auto.offset.reset": "earliest", **(config or {})}
    said |= {"bootstrap.servers": servers, "group.id": group, "enable.auto.commit": "false"}
    try:
        consumer = Consumer(said)
    except KafkaException as error:
        raise InvalidInputError(f"Kafka's client does not take this configuration: {error}. Correct it.") from error
    try:
        consumer.subscribe([topic])
        yield _Kafka(consumer)
    finally:
        consumer.close()
