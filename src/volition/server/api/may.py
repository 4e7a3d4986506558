"""`POST /v1/may`: may this be used? One question, many as JSON, or many as Arrow; for speed without a framework.

One question is answered from memory under a lease (`lease.Held`), so that whoever has said no before it began is heard.
Many are judged against the ledger's head by `batch.judge_batch`.

- `{"purpose", "account", "people", "category", "collected"}` gives a verdict; `collected` is by default now.
- With `"hold": true` beside the purpose each answer says in `good_for_ms` for how long it may be repeated, from before
  they sent the question. It is what is left of the lease, so a no is acknowledged after it is over.
- `{"purpose", "questions": [{"account", "people", "category", "collected"}, ...]}` gives `{"answers": [...]}`.
- `application/vnd.apache.arrow.stream` with `?purpose=` holds columns of `batch.QUESTIONS`; the answer is a stream of
  `batch.ANSWERS`.

An engineer asks what may be used, and has no business with who refuses: they are told whether it is permitted, and the
reason's class. Auditors and operators are told on which party it depends, since when, and by which entries.

Accounts and people are named as `consent.names` says. Of many questions, one that names somebody or something that is
not there, or that is of a later instant, is refused by itself.
"""

import io
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qs

import msgspec
import pyarrow as pa

from volition import canonical
from volition.canonical import text_to_us
from volition.consent.gate import Verdict, refused
from volition.consent.gate.batch import ANSWERS
from volition.consent.permits import Reason
from volition.consent.references import account_ref
from volition.errors import InvalidInputError, VolitionError
from volition.server.api.arrow import open_questions
from volition.server.asgi import Message, Receive, Send, read_body
from volition.server.auth import Role, Scope
from volition.server.http_errors import FORBIDDEN, UNAUTHORIZED, failure_of, send_problem
from volition.server.lanes import Lanes
from volition.workspace import Workspace
from volition.workspace.gate import HeldGate
from volition.workspace.pool import Lane

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext

ARROW: Final = "application/vnd.apache.arrow.stream"
ROLES: Final = frozenset({Role.ENGINEER, Role.AUDITOR, Role.OPERATOR})
SCOPE: Final = Scope.MAY
_TOLD_WHO: Final = frozenset({Role.AUDITOR, Role.OPERATOR})
_FOR_ENGINEERS: Final = ("permitted", "reason")
MOST: Final = 100_000
"""Questions in one JSON document; Arrow takes what the body holds."""

_LARGE: Final = 1 << 16
"""From this size on, bytes, a question is not read in the event loop."""


_Asked = TypeVar("_Asked")


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    account: str | None
    people: tuple[str | None, ...] | None
    category: str | None
    collected: str | None = None
    conversation: str | None = None


class _Single(_Question, forbid_unknown_fields=True):
    purpose: str = ""
    hold: bool = False


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    purpose: str
    questions: list[_Question]
    hold: bool = False


class May:
    """Answers `POST /v1/may`."""

    def __init__(self, lanes: Lanes) -> None:
        """Answer from one folder; a purpose's gate is held from its first question on."""
        self._lanes = lanes
        # The event loop's alone: it must never wait for another thread.
        self._own = Workspace.open(lanes.workspaces.folder)
        self._held: dict[str, HeldGate] = {}
        self._holding = Lock()
        self._single = msgspec.json.Decoder(_Single)
        self._many = msgspec.json.Decoder(_Many)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked: RequestContext = scope["volition"]
        if asked.who is None:
            await send_problem(send, UNAUTHORIZED, "Send a token: Authorization: Bearer vol_...")
            return
        if not asked.who.is_any(ROLES) or SCOPE not in asked.who.scopes:
            detail = f"This needs the scope {SCOPE}, and a role among: {', '.join(sorted(ROLES))}."
            await send_problem(send, FORBIDDEN, detail)
            return
        tells = asked.who.is_any(_TOLD_WHO)
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        try:
            body = await read_body(receive)
            if kind.startswith(ARROW.encode()):
                purpose = parse_qs(scope["query_string"].decode("latin-1")).get("purpose", [""])[0]
                judge = partial(_judge_arrow, purpose, body, tells_who=tells)
                await _send(send, await self._lanes.run(Lane.MAY, judge), ARROW.encode())
            elif b'"questions"' in body:
                many = partial(self._judge_many, body, tells_who=tells)
                await _send(send, await self._lanes.run_without(Lane.MAY, many))
            elif len(body) > _LARGE:
                single = partial(self._judge_single, body, tells_who=tells)
                await _send(send, await self._lanes.run_without(Lane.MAY, single))
            else:
                question = self._decode(self._single, body)
                held = self._held.get(question.purpose)
                if held is None:
                    held = await self._lanes.run_without(Lane.MAY, partial(self._hold, question.purpose))
                await _send(send, self._answer(held, question, tells_who=tells))
        except VolitionError as error:
            await send_problem(send, failure_of(error), str(error))

    def close(self) -> None:
        """Let go of every lease."""
        with self._holding:
            for held in self._held.values():
                held.close()
            self._held.clear()
            self._own.close()

    def _hold(self, purpose: str) -> HeldGate:
        with self._holding:
            if purpose not in self._held:
                self._held[purpose] = self._own.gate.hold(purpose)
            return self._held[purpose]

    @classmethod
    def _answer(cls, held: HeldGate, question: _Single, *, tells_who: bool) -> bytes:
        verdict, good_for_ms = cls._judge(held, question, is_held=question.hold)
        return _written(verdict, good_for_ms, tells_who=tells_who, is_held=question.hold)

    @staticmethod
    def _judge(held: HeldGate, question: _Question, *, is_held: bool) -> tuple[Verdict, int]:
        if question.category is not None:
            held.check_category(question.category)
        collected_us = canonical.now_us() if question.collected is None else text_to_us(question.collected)
        return _ask(held, question, collected_us, is_held=is_held)

    @staticmethod
    def _judge_one_of_many(held: HeldGate, question: _Question, *, is_held: bool) -> tuple[Verdict, int]:
        """Judge a question by which no other must suffer: what cannot be answered is refused."""
        try:
            collected_us = canonical.now_us() if question.collected is None else text_to_us(question.collected)
        except InvalidInputError:
            collected_us = None  # nobody can say when it was
        try:
            return _ask(held, question, collected_us, is_held=is_held)
        except InvalidInputError:  # it is of a later instant
            return refused(Reason.STALE, account_ref((question.account or "").removeprefix("account:"))), 0

    def _judge_single(self, body: bytes, *, tells_who: bool) -> bytes:
        question = self._decode(self._single, body)
        return self._answer(self._hold(question.purpose), question, tells_who=tells_who)

    def _judge_many(self, body: bytes, *, tells_who: bool) -> bytes:
        asked = self._decode(self._many, body)
        if len(asked.questions) > MOST:
            raise InvalidInputError(f"One document asks at most {MOST:,} questions. Split it, or send Arrow.")
        held = self._hold(asked.purpose)
        judged = (self._judge_one_of_many(held, question, is_held=asked.hold) for question in asked.questions)
        answers = [_written(*found, tells_who=tells_who, is_held=asked.hold) for found in judged]
        return b'{"answers":[' + b",".join(answers) + b"]}"

    @staticmethod
    def _decode(decoder: "msgspec.json.Decoder[_Asked]", body: bytes) -> "_Asked":
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"That is no question: {error}.") from error


def _judge_arrow(purpose: str, body: bytes, workspace: Workspace, *, tells_who: bool) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, ANSWERS) as stream:
        for batch in open_questions(body):
            judged = workspace.gate.judge(purpose, batch)
            stream.write_batch(judged if tells_who else _without_who(judged))
    return sink.getvalue()


def _ask(held: HeldGate, question: _Question, collected_us: int | None, *, is_held: bool) -> tuple[Verdict, int]:
    """Return the verdict, and for how many milliseconds the caller may repeat it; 0 if they did not ask to."""
    asked = question.account, question.people or (), question.category, collected_us
    if is_held:
        return held.lend(*asked, conversation=question.conversation)
    return held.may(*asked, conversation=question.conversation), 0


def _written(verdict: Verdict, good_for_ms: int, *, tells_who: bool, is_held: bool) -> bytes:
    written = _verdict(verdict, tells_who)
    return b'%b,"good_for_ms":%d}' % (written[:-1], good_for_ms) if is_held else written


@lru_cache(maxsize=1 << 14)
def _verdict(verdict: Verdict, tells_who: bool) -> bytes:  # noqa: FBT001 - a part of what is remembered
    said = verdict.to_json()
    return msgspec.json.encode(said if tells_who else {name: said[name] for name in _FOR_ENGINEERS})


def _without_who(judged: pa.RecordBatch) -> pa.RecordBatch:
    """Return answers in the same columns, without on whom each depends and since when."""
    kept = [
        judged.column(field.name) if field.name in _FOR_ENGINEERS else pa.nulls(judged.num_rows, field.type)
        for field in ANSWERS
    ]
    return pa.record_batch(kept, schema=ANSWERS)


async def _send(send: Send, body: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
