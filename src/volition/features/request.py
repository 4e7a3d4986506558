"""A feature request: who asks, under which permits, with which model; and what they may see.

Every feature reads the lake for its own purpose (`feature/search`, not `train/search`): consent to training is not
consent to the feature, and the other way round. What it returns is what the requesting person could read without any
AI: `records.audience` decides that. This is access control at the level of the row, and it comes on top of the gate.

What somebody else said to a use stays theirs: where it keeps something from a person, that person gets one sentence,
the same whether it was refused, is not for them, or does not exist (`nothing_there`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from volition.canonical import us_to_text
from volition.consent.gate import remedy
from volition.consent.parties import Person
from volition.consent.permits import PartyRole, Permits, Refusal
from volition.errors import RefusedError
from volition.features.search_cache import SearchCache, State
from volition.learning.families.model import Model
from volition.learning.families.recommend.spec import SPEC as RECOMMEND
from volition.learning.families.search.spec import SPEC as SEARCH
from volition.learning.families.summary.spec import SPEC as SUMMARY
from volition.records.audience import Audience
from volition.records.lake import Lake, Row

CONTENT: Final = SEARCH.reads
TRANSCRIPT: Final = SUMMARY.reads
USAGE: Final = RECOMMEND.reads

NoteUse = Callable[[Iterable[Row]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRequest:
    """Who asks a feature, and what it works with.

    Attributes:
        person: The requesting person.
        account: The person's account.
        audience: What the person may read of it.
        lake: Read through the gate only.
        state: What lay in the lake of the account's content, read before the instant of the permits.
        permits: The permits of the feature's purpose, now.
        model: The family's model at work; none if none was released, then the feature runs untrained.
        search_cache: Opened content, made ready for search and judged again at every search.
        note: Called with the rows that an answer is made of, before the answer is returned; see `transparency.usage`.
    """

    person: Person
    account: str
    audience: Audience
    lake: Lake
    state: State
    permits: Permits
    model: Model | None
    search_cache: SearchCache
    note: NoteUse = lambda _: None


def check_feature(permits: Permits, account: str, categories: Sequence[str]) -> None:
    """Refuse a feature that an account has not allowed for any of the categories it reads.

    Raises:
        RefusedError: With the reason and what would change it.
    """
    party = f"account:{account}"
    answers = [permits.of(account, party, PartyRole.ACCOUNT, category) for category in categories]
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    if len(refusals) == len(answers):
        reason = refusals[0].reason
        msg = (
            f"{permits.purpose} is off for the account {account} ({reason.value}) at {us_to_text(permits.at_us)}. "
            f"{remedy(reason, party, since_us=0)}"
        )
        raise RefusedError(msg)


def visible_rows(request: FeatureRequest, categories: Sequence[str], *, source: str | None = None) -> list[Row]:
    """Return the permitted rows that the requesting person may see, in canonical order."""
    rows = request.lake.rows(request.permits, categories=categories, accounts=[request.account], source=source)
    seen = [row for row in rows if request.audience.admits(row)]
    return sorted(seen, key=lambda row: (row.collected_us, row.record_id))


def own_rows(request: FeatureRequest, categories: Sequence[str]) -> list[Row]:
    """Return the permitted rows of what the requesting person did, said or wrote, in canonical order."""
    return [row for row in visible_rows(request, categories) if row.people[0] in request.person.pseudonyms]


def nothing_there(what: str) -> str:
    """Return the one sentence for what is missing, is not for whoever asks, or was refused by somebody else."""
    return f"There is no {what} that may be used for you."


def rows_of(rows: Iterable[Row], records: Iterable[str]) -> list[Row]:
    """Return the rows of some records, each once."""
    wanted = set(records)
    return [row for row in rows if row.record_id in wanted]
