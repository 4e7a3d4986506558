"""A client for an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from volition.client import calls
from volition.client.answers import STALE, Change, Decision, Imported, Permit, Settings, Verdict
from volition.client.calls import Question
from volition.client.errors import ApiError, ClientError, UnreachableError
from volition.client.holding import Holding, boot_ns

T = TypeVar("T")


class AsyncClient:
    """A server's API, asked with one token. It belongs to one event loop.

    Close it, or use it in an `async with` block.
    """

    def __init__(  # noqa: PLR0913 - where, as whom, and how long
        self,
        url: str,
        *,
        token: str,
        patience_s: float = 10.0,
        may_patience_s: float = 2.0,
        holds: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Ask the server at an address; nothing is sent yet.

        Args:
            url: Its address, https but on this machine.
            token: Of the API, "vol_...".
            patience_s: For how long a request is tried, seconds.
            may_patience_s: For how long `may` is, seconds; then the answer is `stale`.
            holds: Whether `may` repeats an answer for as long as the server lets it.
            transport: How bytes travel, where it is not by the network as usual.

        Raises:
            ValueError: It is no address, or the token would cross the network in the clear.
        """
        self._patience_s = patience_s
        self._may_patience_s = may_patience_s
        self._holding = Holding() if holds else None
        self._http = httpx.AsyncClient(
            base_url=calls.check_address(url),
            headers={"authorization": f"Bearer {token}", "accept": "application/json"},
            follow_redirects=False,
            transport=transport,
        )

    async def may(  # noqa: PLR0913 - what a question says
        self,
        purpose: str,
        *,
        account: str,
        people: Sequence[str],
        category: str,
        collected: str | None = None,
        conversation: str | None = None,
    ) -> Verdict:
        """May this be used? Ask before each use; an answer that the server lets be repeated is not asked for again.

        Args:
            purpose: For what.
            account: The account, by id.
            people: The people whom it concerns, by id, the speaker or actor first.
            category: The kind of data.
            collected: When it was collected, RFC 3339; by default now.
            conversation: The meeting, channel or file; empty if it belongs to none, none where that is not known.

        Returns:
            The verdict. Where the server does not answer, and nothing is held, it is a refusal: `stale`.

        Raises:
            ApiError: The question or the token is at fault.
        """
        question = Question(
            account=account, people=people, category=category, collected=collected, conversation=conversation
        )
        holding = self._holding
        if holding is None:
            return await self._verdict(calls.ask(purpose, question, hold=False))
        held = holding.find(purpose, question)
        if held is not None:
            return held
        call = calls.ask(purpose, question, hold=True)
        return await self._verdict(call, lambda found, sent_ns: holding.keep(purpose, question, found, sent_ns=sent_ns))

    async def may_many(self, purpose: str, questions: Sequence[Question]) -> list[Verdict]:
        """Ask many questions at once; none is answered from what is held. Raises and refuses as `may` does."""
        found: list[Verdict] = []
        for part in calls.parts(questions):
            try:
                answers = (await self._send(calls.ask_many(purpose, part))).answers
            except ClientError as error:
                if _is_at_fault(error):
                    raise
                answers = ()
            found += answers if len(answers) == len(part) else [STALE] * len(part)
        return found

    async def decide(  # noqa: PLR0913 - all that an answer says
        self,
        party: str,
        *,
        yes: bool,
        data: Sequence[str],
        purpose: Sequence[str],
        covers: str | None = None,
        until: str | None = None,
    ) -> Decision:
        """Say yes or no for a party ("account:ID", "person:ID"), once. When it returns, a no is in force everywhere.

        Args:
            party: Who says it.
            yes: Whether it is a yes.
            data: Kinds of data.
            purpose: For what.
            covers: How far back a yes reaches: "past", or an instant.
            until: When a yes ends (not included); by default never.

        Raises:
            ApiError: The server refused it.
            UnreachableError: Nothing was heard of it: it may have been done.
        """
        said = calls.decide(party, "yes" if yes else "no", data=data, purpose=purpose, covers=covers, until=until)
        return await self._send(said)

    async def import_accounts(self, accounts: Sequence[Mapping[str, Any]], *, dry_run: bool = False) -> Imported:
        """Add accounts, each with `account`, `name` and perhaps `region`; the same ones again change nothing.

        It takes a token of the operator. One that is there as another is set aside, and costs no other.

        Args:
            accounts: What `POST /v1/accounts:batch` takes, however many.
            dry_run: Whether nothing is done, and only said what would be.

        Raises:
            ApiError: The server refused it; what was sent before stands, and all can be sent again.
            UnreachableError: Nothing was heard of it: it may have been done.
        """
        return await self._import(calls.imports("accounts", accounts, dry_run=dry_run), dry_run=dry_run)

    async def import_people(self, people: Sequence[Mapping[str, Any]], *, dry_run: bool = False) -> Imported:
        """Add people, each with `person`, `account`, `name`, `aliases`, `emails` and `region`, where there are such.

        Takes and raises what `import_accounts` does.
        """
        return await self._import(calls.imports("people", people, dry_run=dry_run), dry_run=dry_run)

    async def import_decisions(
        self, decisions: Sequence[Mapping[str, Any]], *, source: str, dry_run: bool = False
    ) -> Imported:
        """Import answers that were given elsewhere, each with when it was said; the same ones again change nothing.

        Takes and raises what `import_accounts` does.

        Args:
            decisions: What `POST /v1/decisions:batch` takes, however many.
            source: Where they were given, as the ledger is to name it.
            dry_run: Whether nothing is done, and only said what would be.
        """
        parts = calls.imports("decisions", decisions, dry_run=dry_run, source=source)
        return await self._import(parts, dry_run=dry_run)

    async def decisions(self) -> AsyncIterator[Decision]:
        """Yield the decisions of the token's owner, oldest first. Raises as `decide` does."""
        cursor: str | None = None
        while True:
            page = await self._send(calls.decisions(cursor))
            for one in page.items:
                yield one
            if (cursor := page.next) is None:
                return

    async def settings(self, party: str | None = None, *, account: str | None = None) -> Settings:
        """Return every switch of a party; by default the token owner's. Raises as `decide` does."""
        return await self._send(calls.settings(party, account))

    async def permits(self, person: str, *, account: str | None = None) -> list[Permit]:
        """Return what a person and their account allow, each kind of data for each purpose. Raises as `decide` does."""
        return calls.permits_of(await self.settings(f"person:{person}", account=account))

    async def answer(  # noqa: PLR0913 - all that an answer says
        self,
        switch: str | None,
        *,
        yes: bool,
        party: str | None = None,
        account: str | None = None,
        covers: str | None = None,
        until: str | None = None,
    ) -> Settings:
        """Answer a switch once, or everything with no (`switch` none); return the switches as they stand then.

        Takes and raises what `decide` does.
        """
        said = "yes" if yes else "no"
        call = calls.answer_setting(switch, said, party=party, account=account, covers=covers, until=until)
        return (await self._send(call)).after

    async def changes(self, after: str = "0", *, wait_s: float = 30.0) -> AsyncIterator[Change]:
        """Yield what changed after a cursor, and what changes from now on; without `wait_s`, what there is.

        Each change has the `cursor` from which to go on. What cannot be heard for a while is heard later.

        Raises:
            ApiError: The cursor is of another log (status 410), or the token does not allow it.
            UnreachableError: The server did not answer for `patience_s`.
        """
        while True:
            page = await self._send(calls.changes(after, wait_s))
            for one in page.items:
                yield one
            after = page.next
            if not wait_s and not page.behind:
                return

    async def aclose(self) -> None:
        """Close its connections, and hold nothing any more."""
        if self._holding is not None:
            self._holding.forget()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Open for a `async with` block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at its end."""
        await self.aclose()

    async def _verdict(
        self, call: calls.Call[Verdict], keep: Callable[[Verdict, int], None] = lambda _, __: None
    ) -> Verdict:
        """Ask; what cannot be asked is refused. `keep` is told the answer, and before when it was sent."""
        retries = calls.Retries(patience_s=self._may_patience_s)
        try:
            while True:
                sent_ns = boot_ns()
                try:
                    found = await self._once(call, retries.left_s())
                except ClientError as error:
                    await asyncio.sleep(retries.pause_s(error))
                else:
                    keep(found, sent_ns)
                    return found
        except ClientError as error:
            if _is_at_fault(error):
                raise
            return STALE

    async def _import(self, parts: Iterator[tuple[int, calls.Call[Imported]]], *, dry_run: bool) -> Imported:
        """Send an import part by part."""
        done = Imported(dry_run=dry_run)
        for after, call in parts:
            done = done.and_then(await self._send(call), after=after)
        return done

    async def _send(self, call: calls.Call[T]) -> T:
        """Send a request, again where that may help."""
        retries = calls.Retries(patience_s=self._patience_s + call.waits_s)
        while True:
            try:
                return await self._once(call, retries.left_s())
            except ClientError as error:
                await asyncio.sleep(retries.pause_s(error))

    async def _once(self, call: calls.Call[T], within_s: float) -> T:
        try:
            answer = await self._http.request(
                call.method,
                call.path,
                params=dict(call.query),
                content=call.body,
                headers={**call.headers, **({} if call.document is None else {"content-type": "application/json"})},
                timeout=within_s,
            )
        except httpx.HTTPError as error:
            raise UnreachableError(f"{call.path} was not answered: {error or type(error).__name__}.") from error
        return call.read(answer.status_code, answer.content, answer.headers.get("retry-after"))


def _is_at_fault(error: ClientError) -> bool:
    """Say whether the caller has to be told, since asking again would change nothing: a fault of theirs."""
    return isinstance(error, ApiError) and 400 <= error.status < 500 and error.status not in {408, 429}
