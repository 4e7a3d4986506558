"""What the story does in Python, since it is no command, or one that needs a server of somebody else's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from volition.canonical import now_us
from volition.workspace import Workspace
from volition.workspace.consumers import Message, consume

_MESSAGES: Final = 9
_AT_ONCE: Final = 3
CHAT: Final = """
[sources.chat]
category = "content/chat"
unit = "us"
columns.id = "n"
columns.account = "tenant"
columns.people = "author"
columns.time = "at"
columns.conversation = "room"
columns.text = "body"
"""
"""What the settings say of it."""


class KeptBroker:
    """A broker whose messages are the same each time, and which keeps in a file which were acknowledged.

    The file lies outside the folder in which faults are made: a message that was acknowledged before it was durable is
    lost, and found missing.
    """

    def __init__(self, acknowledged: Path) -> None:
        """Begin where the file says that the last consumer was."""
        self._path = acknowledged
        self._sent: set[int] = set()

    def take(self, most: int, wait_s: float) -> Sequence[Message]:  # noqa: ARG002 - a broker's
        """Return the next few that were not acknowledged."""
        there = set(map(int, self._path.read_text().split())) if self._path.exists() else set()
        numbers = [one for one in range(_MESSAGES) if one not in there | self._sent][: min(most, _AT_ONCE)]
        self._sent.update(numbers)
        return [Message(body=json.dumps(_message(one)).encode(), headers={}, receipt=one) for one in numbers]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Write down that they need not come again."""
        with self._path.open("a") as file:
            file.writelines(f"{message.receipt}\n" for message in messages)


def _message(number: int) -> dict[str, object]:
    told = {"n": number, "tenant": "acme", "author": f"acme-{number % 3}", "at": 1_767_603_600_000_000 + number}
    return {**told, "room": "stream", "body": f"Message {number}."}


def consume_chat(folder: Path, _: Path) -> None:
    """Collect what a broker holds, as `volition consume` does."""
    with Workspace.open(folder) as workspace:
        broker = KeptBroker(folder.parent / "acknowledged")
        consume(workspace.sources, broker, name="nats:chats", source="chat", until_empty=True)


def run_training(folder: Path, _: Path) -> None:
    """Make a model by code of one's own, from the newest snapshot."""
    with Workspace.open(folder) as workspace:
        snapshot = workspace.snapshots.ids()[-1]
        with workspace.models.training("churn", snapshot=snapshot) as run:
            (run.folder / "count").write_text(str(len(run.rows())))
            run.record(at_us=now_us())
