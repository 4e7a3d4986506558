"""`POST /v1/may`: may this be used? One question, many as JSON, or many as Arrow; for speed without a framework.

One question is answered from memory under a lease (`lease.Held`), so that whoever has said no before it began is heard.
Many are judged against the ledger's head by `batch.judge_batch`.

- `{"purpose", "account", "people", "category", "collected"}` gives a verdict; `collected` is by default now.
- `{"purpose", "questions": [{"account", "people", "category", "collected"}, ...]}` gives `{"answers": [...]}`.
- `application/vnd.apache.arrow.stream` with `?purpose=` holds columns of `batch.QUESTIONS`; the answer is a stream of
  `batch.ANSWERS`.

Accounts and people are named as `consent.names` says. Of many questions, one that names somebody or something that is
not there, or that is of a later instant, is refused by itself.
"""

import io
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qs

import msgspec
import pyarrow as pa
from starlette.concurrency import run_in_threadpool

from volition import canonical
from volition.canonical import text_to_us
from volition.consent.gate import Verdict, refused
from volition.consent.gate.batch import ANSWERS
from volition.consent.permits import Reason
from volition.consent.references import account_ref
from volition.consent.terms.model import CATEGORIES
from volition.errors import InvalidInputError, VolitionError
from volition.server.api.arrow import open_questions
from volition.server.asgi import Message, Receive, Send, read_body
from volition.server.auth import Role, Scope
from volition.server.http_errors import FORBIDDEN, UNAUTHORIZED, failure_of, send_problem
from volition.workspace import Workspace
from volition.workspace.gate import HeldGate
from volition.workspace.pool import Workspaces

if TYPE_CHECKING:
    from volition.server.middleware import RequestContext

ARROW: Final = "application/vnd.apache.arrow.stream"
ROLES: Final = frozenset({Role.ENGINEER, Role.AUDITOR, Role.OPERATOR})
SCOPE: Final = Scope.MAY
MOST: Final = 100_000
"""Questions in one JSON document; Arrow takes what the body holds."""


_Asked = TypeVar("_Asked")


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    account: str | None
    people: tuple[str | None, ...] | None
    category: str | None
    collected: str | None = None
    conversation: str | None = None


class _Single(_Question, forbid_unknown_fields=True):
    purpose: str = ""


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    purpose: str
    questions: list[_Question]


class May:
    """Answers `POST /v1/may`."""

    def __init__(self, workspaces: Workspaces) -> None:
        """Answer from one folder; a purpose's gate is held from its first question on."""
        self._workspaces = workspaces
        self._own = Workspace.open(workspaces.folder)  # the event loop's alone: it must never wait for another thread
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
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        try:
            body = await read_body(receive)
            if kind.startswith(ARROW.encode()):
                purpose = parse_qs(scope["query_string"].decode("latin-1")).get("purpose", [""])[0]
                answer = await run_in_threadpool(self._judge_arrow, purpose, body)
                await _send(send, answer, ARROW.encode())
            elif b'"questions"' in body:
                await _send(send, await run_in_threadpool(self._judge_many, body))
            else:
                question = self._decode(self._single, body)
                held = self._held.get(question.purpose)
                if held is None:
                    held = await run_in_threadpool(self._hold, question.purpose)
                await _send(send, _verdict(self._judge(held, question)))
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

    @staticmethod
    def _judge(held: HeldGate, question: _Question) -> Verdict:
        if question.category is not None and question.category not in CATEGORIES:
            msg = f"{question.category!r} is not a single category. They are: {', '.join(CATEGORIES)}."
            raise InvalidInputError(msg)
        collected_us = canonical.now_us() if question.collected is None else text_to_us(question.collected)
        return _ask(held, question, collected_us)

    @staticmethod
    def _judge_one_of_many(held: HeldGate, question: _Question) -> Verdict:
        """Judge a question by which no other must suffer: what cannot be answered is refused."""
        try:
            collected_us = canonical.now_us() if question.collected is None else text_to_us(question.collected)
        except InvalidInputError:
            collected_us = None  # nobody can say when it was
        try:
            return _ask(held, question, collected_us)
        except InvalidInputError:  # it is of a later instant
            return refused(Reason.STALE, account_ref((question.account or "").removeprefix("account:")))

    def _judge_many(self, body: bytes) -> bytes:
        asked = self._decode(self._many, body)
        if len(asked.questions) > MOST:
            raise InvalidInputError(f"One document asks at most {MOST:,} questions. Split it, or send Arrow.")
        held = self._hold(asked.purpose)
        answers = [_verdict(self._judge_one_of_many(held, question)) for question in asked.questions]
        return b'{"answers":[' + b",".join(answers) + b"]}"

    def _judge_arrow(self, purpose: str, body: bytes) -> bytes:
        sink = io.BytesIO()
        with self._workspaces.borrow() as workspace, pa.ipc.new_stream(sink, ANSWERS) as stream:
            for batch in open_questions(body):
                stream.write_batch(workspace.gate.judge(purpose, batch))
        return sink.getvalue()

    @staticmethod
    def _decode(decoder: "msgspec.json.Decoder[_Asked]", body: bytes) -> "_Asked":
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"That is no question: {error}.") from error


def _ask(held: HeldGate, question: _Question, collected_us: int | None) -> Verdict:
    return held.may(
        question.account,
        question.people or (),
        question.category,
        collected_us,
        conversation=question.conversation,
    )


@lru_cache(maxsize=1 << 14)
def _verdict(verdict: Verdict) -> bytes:
    return msgspec.json.encode(verdict.to_json())


async def _send(send: Send, body: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
