"""Consumers of brokers: real ones, killed in the middle, and every message is a record once."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from volition.canonical import now_us
from volition.cli import main
from volition.errors import BackendError
from volition.workspace import Workspace
from volition.workspace.consumers import consume, kafka_topic, nats_stream
from waiting import until

SETTINGS = """
[sources.chat]
category = "content/chat"
types = ["com.acme.sent"]
columns.id = "n"
columns.account = "tenant"
columns.people = "author"
columns.time = "at"
columns.conversation = "room"
columns.text = "body"
unit = "us"

[sources.events]
category = "content/chat"
types = ["com.acme.said"]
columns.account = "data.tenant"
columns.people = "data.author"
columns.time = "time"
columns.conversation = "data.room"
columns.text = "data.body"
"""


def row(number):
    return {"n": number, "tenant": "acme", "author": "ann", "at": now_us(), "room": "plans", "body": f"Note {number}."}


def said(number):
    attributes = {"specversion": "1.0", "id": str(number), "source": "/chat", "type": "com.acme.said"}
    return {**attributes, "time": "2025-06-02T09:00:00Z", "data": row(number)}


@pytest.fixture
def workspace(tmp_path):
    with Workspace.create(tmp_path / "ws") as made:
        made.people.add_account("acme", "Acme")
        made.people.add_person("ann", account="acme")
        made.terms.accept("acme")
        made.consent.decide("account:acme", yes=True, data=["content"], purpose=["feature"], covers="past")
        settings = made.folder / "volition.toml"
        settings.write_text(settings.read_text() + SETTINGS)
        yield made


def stored(workspace):
    workspace.records.drain()
    return workspace.records.sizes().get("content/chat", 0)


# --- NATS ---


@pytest.fixture
def nats_url(tmp_path):
    pytest.importorskip("nats", reason="nats-py is not installed: pip install 'volition[nats]'")
    if shutil.which("nats-server") is None:
        pytest.skip("nats-server is not installed: apt-get install nats-server")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["nats-server", "-js", "-sd", str(tmp_path / "nats"), "-a", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: _takes(port))
    yield f"nats://127.0.0.1:{port}"
    process.kill()
    process.wait()


def _takes(port):
    with closing(socket.socket()) as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def publish(url, bodies, headers=None):
    import nats  # noqa: PLC0415 - it may be missing, and then the test is skipped

    async def send():
        client = await nats.connect(url)
        stream = client.jetstream()
        await stream.add_stream(name="chats", subjects=["chats.>"])
        for body in bodies:
            await stream.publish("chats.plans", body, headers=headers)
        await client.close()

    with ThreadPoolExecutor(1) as thread:  # a browser's tests may have a loop in this one
        thread.submit(asyncio.run, send()).result()


def take_all(workspace, url, **how):
    with nats_stream(url, stream="chats", durable="volition") as broker:
        return consume(workspace.sources, broker, name="nats:chats", until_empty=True, **how)


@pytest.mark.slow
def test_what_a_stream_holds_is_stored_once_and_what_is_bad_is_set_aside(workspace, nats_url):
    bodies = [json.dumps(row(number)).encode() for number in (1, 2, 2, 3)]
    publish(nats_url, [*bodies, b"no JSON", b'"text"'])
    found = take_all(workspace, nats_url, source="chat")
    assert stored(workspace) == 3
    assert [reject.why for reject in found.rejected] == ["It is no JSON object."] * 2
    assert take_all(workspace, nats_url, source="chat").waiting == 0, "what was acknowledged does not come again"

    publish(nats_url, [json.dumps(said(1)).encode()])
    header = {name: value for name, value in said(2).items() if name != "data"}
    binary = {f"ce-{name}": value for name, value in header.items()}
    publish(nats_url, [json.dumps(row(2)).encode()], headers=binary)
    assert take_all(workspace, nats_url).rejected == []
    assert stored(workspace) == 5


@pytest.mark.slow
def test_a_consumer_that_is_killed_and_started_again_stores_each_message_once(workspace, nats_url):
    publish(nats_url, [json.dumps(row(number)).encode() for number in range(1500)])
    command = [sys.executable, "-m", "volition", "consume", "nats", nats_url, "--stream", "chats"]
    command += ["--durable", "volition", "--source", "chat", "--workspace", str(workspace.folder)]
    for patience_s in (0.5, 1.5):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(patience_s)
            process.send_signal(signal.SIGKILL)
    publish(nats_url, [json.dumps(row(1500)).encode()])  # by which the third is known to run
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        until(lambda: stored(workspace) == 1501)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "set aside" in out
    assert stored(workspace) == 1501


def test_a_stream_that_is_not_there_is_told(workspace, nats_url):
    with (
        pytest.raises(BackendError, match="cannot be reached: ConnectionRefusedError"),
        nats_stream("nats://127.0.0.1:9", stream="s", durable="d"),
    ):
        pass
    command = ["consume", "nats", nats_url, "--stream", "none", "--durable", "d", "--workspace", str(workspace.folder)]
    assert main(command) == 6


# --- Kafka ---


@pytest.fixture
def kafka():
    """Start the broker of librdkafka's own tests, which speaks Kafka's protocol; yield a producer of it, and where it is."""
    confluent_kafka = pytest.importorskip(
        "confluent_kafka", reason="confluent-kafka is not installed: pip install 'volition[kafka]'"
    )
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0, "allow.auto.create.topics": True}
    )
    [broker] = producer.list_topics(timeout=10).brokers.values()
    yield producer, f"{broker.host}:{broker.port}"
    producer.flush(5)


def take_topic(workspace, servers, **how):
    # The broker takes in a second member once the first one's session has run out, left as it has.
    config = {"log_level": "0", "session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
    with kafka_topic(servers, topic="chats", group="volition", config=config) as broker:
        return consume(workspace.sources, broker, name="kafka:chats", **how)


class Once:
    """A stop after so many messages were stored."""

    def __init__(self, workspace, many):
        self.is_set = lambda: stored(workspace) >= many


@pytest.mark.slow
def test_a_topic_is_read_on_where_the_group_was(workspace, kafka):
    producer, servers = kafka
    for number in (1, 2, 2):
        producer.produce("chats", json.dumps(row(number)).encode())
    producer.produce("chats", b"\xff")
    producer.flush(10)
    found = take_topic(workspace, servers, source="chat", stop=Once(workspace, 2))
    assert (stored(workspace), [reject.why for reject in found.rejected]) == (2, ["It is no JSON object."])
    header = {name: value for name, value in said(3).items() if name != "data"}
    producer.produce(
        "chats", json.dumps(row(3)).encode(), headers={f"ce_{name}": value for name, value in header.items()}
    )
    producer.flush(10)
    found = take_topic(workspace, servers, stop=Once(workspace, 3))
    assert found.rejected == [], "the first four do not come again: they were rows, and would be no events"
    assert stored(workspace) == 3


def test_a_configuration_that_makes_no_sense_is_told_by_line(workspace, tmp_path):
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: pip install 'volition[kafka]'")
    (tmp_path / "client.properties").write_text("# how to sign in\nsecurity.protocol\n")
    command = ["consume", "kafka", "127.0.0.1:9", "--topic", "t", "--group", "g", "--workspace", str(workspace.folder)]
    assert main([*command, "--config", str(tmp_path / "client.properties")]) == 2
    (tmp_path / "client.properties").write_text("no.such.key=1\n")
    assert main([*command, "--config", str(tmp_path / "client.properties")]) == 2
