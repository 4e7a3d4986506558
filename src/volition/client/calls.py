"""Requests to send and what is made of their answers, without sending them: what `Client` and `AsyncClient` share."""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from volition.client.answers import (
    ChangesPage,
    Decision,
    DecisionsPage,
    Imported,
    Permit,
    Problem,
    Settings,
    SettingSaid,
    Verdict,
    Verdicts,
)
from volition.client.errors import ApiError, ClientError, UnreachableError

T = TypeVar("T")

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MOST: Final = 100_000
"""Questions in one document."""

MOST_IMPORTED: Final = 1_000
"""Rows of an import in one document, so that few documents are longer than a server takes."""

_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
_UNDER_WAY: Final = 409  # after a try of ours of which nothing was heard: that one is still being answered
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to the gate.

    Attributes:
        account: The account, by id.
        people: The people whom it concerns, by id, the speaker or actor first.
        category: The kind of data.
        collected: When it was collected, RFC 3339; none for now.
        conversation: The meeting, channel or file; empty if it belongs to none, none where that is not known.
    """

    account: str
    people: Sequence[str]
    category: str
    collected: str | None = None
    conversation: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as `/v1/may` takes it."""
        said = {"account": self.account, "people": list(self.people), "category": self.category}
        more = {"collected": self.collected, "conversation": self.conversation}
        return said | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request, and what its answer is read as.

    Attributes:
        method: Of HTTP.
        path: Below the server's address.
        answers: What the answer is.
        query: What stands behind the path.
        document: What is sent; none for nothing.
        waits_s: For how long the server may hold the answer back, seconds.
        headers: With which headers; a write has its idempotency key among them, the same for each try.
    """

    method: str
    path: str
    answers: type[T]
    query: Mapping[str, str] = field(default_factory=dict)
    document: Any = None
    waits_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes | None:
        """The bytes that are sent."""
        return None if self.document is None else msgspec.json.encode(self.document)

    def read(self, status: int, body: bytes, retry_after: str | None = None) -> T:
        """Return what an answer says.

        Raises:
            ApiError: The server says that it failed.
            UnreachableError: What answered is not the server.
        """
        if 200 <= status < 300:
            try:
                return msgspec.json.decode(body, type=self.answers)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise UnreachableError(f"{self.path} answered what is not of this API: {error}.") from error
        raise _failure(status, body, retry_after)


def _failure(status: int, body: bytes, retry_after: str | None) -> ApiError:
    try:
        told = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a proxy's page
        told = Problem(type="about:blank", title=f"HTTP {status}", status=status)
    after_s = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    return ApiError(
        type=told.type,
        status=status,
        title=told.title,
        detail=told.detail,
        errors=told.errors,
        retry_after_s=after_s,
    )


class Retries:
    """When a request is sent again: after a pause that grows, for as long as there is patience."""

    def __init__(
        self, *, patience_s: float, clock: Callable[[], float] = time.monotonic, chance: random.Random | None = None
    ) -> None:
        """Begin: the first try is about to be sent."""
        self._clock = clock
        self._until_s = clock() + patience_s
        self._pause_s = _FIRST_PAUSE_S
        self._chance = random.Random() if chance is None else chance  # noqa: S311 - pauses are no secrets
        self._is_unheard = False

    def left_s(self) -> float:
        """Return how much patience is left, seconds; never quite none, so that one try is always made."""
        return max(0.05, self._until_s - self._clock())

    def pause_s(self, error: ClientError) -> float:
        """Return for how long to wait before the next try, seconds.

        Raises:
            ClientError: `error`, where another try would not help or there is no patience left.
        """
        if isinstance(error, ApiError):
            if error.status not in _AGAIN and not (self._is_unheard and error.status == _UNDER_WAY):
                raise error
        else:
            self._is_unheard = True
        pause_s = self._pause_s * self._chance.uniform(0.5, 1.5)
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            pause_s = max(pause_s, error.retry_after_s)
        if self._clock() + pause_s >= self._until_s:
            raise error
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s


def check_address(url: str) -> str:
    """Return the server's address without a slash at its end.

    Raises:
        ValueError: A token would cross the network in the clear, or that is no address.
    """
    found = urlsplit(url)
    if found.scheme not in {"http", "https"} or not found.hostname or found.query or found.fragment:
        raise ValueError(f"{url!r} is no address of a server: https://HOST is one.")
    if found.scheme == "http" and found.hostname not in LOOPBACK:
        raise ValueError(f"By {url!r} the token would cross the network in the clear. Use https.")
    return url.rstrip("/")


def ask(purpose: str, question: Question, *, hold: bool) -> Call[Verdict]:
    """Ask one question of the gate."""
    document = {"purpose": purpose, **question.to_json()} | ({"hold": True} if hold else {})
    return Call(method="POST", path="/v1/may", answers=Verdict, document=document)


def ask_many(purpose: str, questions: Sequence[Question]) -> Call[Verdicts]:
    """Ask many questions of the gate."""
    asked = [question.to_json() for question in questions]
    return Call(method="POST", path="/v1/may", answers=Verdicts, document={"purpose": purpose, "questions": asked})


def parts(questions: Sequence[Question]) -> list[Sequence[Question]]:
    """Cut questions into as many as one document takes."""
    return [questions[start : start + MOST] for start in range(0, len(questions), MOST)]


def decide(  # noqa: PLR0913 - all that an answer says
    party: str, answer: str, *, data: Sequence[str], purpose: Sequence[str], covers: str | None, until: str | None
) -> Call[Decision]:
    """Say yes or no for a party."""
    said = {"party": party, "answer": answer, "data": list(data), "purpose": list(purpose)}
    return _write("/v1/decisions", said, Decision, covers=covers, until=until)


def answer_setting(  # noqa: PLR0913 - all that an answer says
    switch: str | None, answer: str, *, party: str | None, account: str | None, covers: str | None, until: str | None
) -> Call[SettingSaid]:
    """Answer a switch, or everything with no."""
    return _write(
        "/v1/settings",
        {"answer": answer},
        SettingSaid,
        switch=switch,
        party=party,
        account=account,
        covers=covers,
        until=until,
    )


def imports(
    what: str, rows: Sequence[Mapping[str, Any]], *, dry_run: bool, **more: str | None
) -> Iterator[tuple[int, Call[Imported]]]:
    """Yield the calls that import rows, each with how many rows were before its own.

    Args:
        what: "accounts", "people" or "decisions".
        rows: As the API takes them.
        dry_run: Whether nothing is done, and only said what would be.
        more: What all documents say besides.
    """
    for start in range(0, len(rows), MOST_IMPORTED):
        said = {what: [dict(row) for row in rows[start : start + MOST_IMPORTED]], "dry_run": dry_run}
        yield start, _write(f"/v1/{what}:batch", said, Imported, **more)


def _write(path: str, said: dict[str, Any], answers: type[T], **more: str | None) -> Call[T]:
    document = said | {name: value for name, value in more.items() if value is not None}
    headers = {"idempotency-key": uuid.uuid4().hex}
    return Call(method="POST", path=path, answers=answers, document=document, headers=headers)


def settings(party: str | None, account: str | None) -> Call[Settings]:
    """Ask for every switch of a party."""
    return Call(method="GET", path="/v1/settings", answers=Settings, query=_query(party=party, account=account))


def decisions(cursor: str | None) -> Call[DecisionsPage]:
    """Ask for a page of the caller's decisions."""
    return Call(method="GET", path="/v1/decisions", answers=DecisionsPage, query=_query(cursor=cursor))


def changes(after: str, wait_s: float) -> Call[ChangesPage]:
    """Ask for what follows a cursor, at once or when there is something."""
    query = _query(after=after, wait=f"{wait_s:g}" if wait_s else None)
    return Call(method="GET", path="/v1/changes", answers=ChangesPage, query=query, waits_s=wait_s)


def _query(**named: str | None) -> dict[str, str]:
    return {name: value for name, value in named.items() if value is not None}


def permits_of(found: Settings) -> list[Permit]:
    """Return every permit of a party that its settings tell, each kind of data for each purpose once."""
    lines = {(line.purpose, line.category): line for one in found.settings for line in one.lines}
    return [
        Permit(category=line.category, purpose=line.purpose, allowed=line.allowed, since=line.since, reason=line.reason)
        for line in lines.values()
    ]
