"""Whether rows may still be used, by everything that is known in the moment of asking."""

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from volition.consent.gate import Gate
from volition.consent.references import ConversationRef, Pseudonym, person_ref
from volition.ledger.entry import Entry

News = Callable[[], tuple[Iterable[Entry], int]]
"""Asked for the ledger entries since it was last asked, which the gate's history has read, and for the present
instant."""


class RowKey(NamedTuple):
    """What the gate must know of a row.

    People by pseudonym, the first one first; the instant in microseconds; the conversation as entries name it.
    """

    account: str
    people: Sequence[str]
    category: str
    collected_us: int
    conversation: ConversationRef | None


class Judge:
    """Judges rows for one purpose. It may be used from several threads."""

    def __init__(self, gate: Gate, news: News) -> None:
        """Judge by a gate that nobody else moves on, and by what `news` says the ledger has heard since."""
        self._gate = gate
        self._news = news
        self._turn = Lock()

    def permitted(self, rows: Iterable[RowKey]) -> list[bool]:
        """Say of each row whether it may be used now: whoever has said no before this call is heard."""
        with self._turn:
            entries, now_us = self._news()
            self._gate.learn(entries, at_us=now_us)
            return [
                self._gate.may(
                    row.account,
                    tuple([person_ref(Pseudonym(one)) for one in row.people]),
                    row.category,
                    row.collected_us,
                    conversation=row.conversation,
                ).permitted
                for row in rows
            ]
