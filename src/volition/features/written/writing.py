"""Writing: from the lines of a transcript to a summary, part by part (map), and an overview over all parts (reduce).

Before anything is sent, the caller says which lines may be sent now, and writes down that they leave. What is finished
is handed over after each part, so that a killed writing goes on after it, under the same cut into parts.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from volition.canonical import canonical_json, digest
from volition.features.llm import Endpoint, Message, RejectedRequestError
from volition.features.written import answers, checking, parts
from volition.features.written.answers import RawClaim, UnreadableError
from volition.features.written.claims import Claim, ClaimKind, Line, WritingState, WrittenSummary, places_of
from volition.progress import Progress

MOST_CLAIMS: Final = 400
"""How many claims a summary has at most."""

_ANSWER_SHARE: Final = 4  # a quarter of the context is for the answer
_MOST_ANSWER: Final = 1536  # tokens
_ASKED: Final = 2  # times for one answer that can be read
_FEWEST_TOKENS: Final = 64  # of a part: below that nothing could be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What a writing asks its caller for.

    Attributes:
        permitted: Gives the records that may be sent now. It raises `RefusedError` where the feature is off.
        leaving: Called with the lines that are about to be sent. Where it raises, nothing is sent.
        keep: Called with the summary after each part.
    """

    permitted: Callable[[], Collection[str]]
    leaving: Callable[[Sequence[Line]], None]
    keep: Callable[[WrittenSummary], None]


def write_summary(
    endpoint: Endpoint, lines: Sequence[Line], begun: WrittenSummary, doors: Doors, progress: Progress
) -> WrittenSummary:
    """Write a summary, or go on with one that was begun.

    Args:
        endpoint: The language model.
        lines: The transcript, in the order of the meeting; numbered from 1.
        begun: What is there already: claims of parts that are done, if the transcript is cut as it was then.
        doors: Says what may be sent, and keeps what is finished.
        progress: Told how many parts are done. Where it raises, what is finished is kept.

    Returns:
        The whole summary, which was kept as well.

    Raises:
        BackendError: The end point failed. What was finished before is kept.
        RefusedError: The feature is off by now.
    """
    writer = _Writer(endpoint, doors)
    several = parts.cut(lines, tokens=writer.part_tokens)
    cut = digest(
        canonical_json([[writer.part_tokens, endpoint.model], [[one.record_id for one in part] for part in several]])
    )
    now = replace(begun, state=WritingState.WRITING, host=endpoint.host, model=endpoint.model, error="")
    if now.cut != cut:
        now = replace(now, claims=(), left_out={}, lines=(), unread=0, parts_done=0, parts=len(several), cut=cut)
    for part in several[now.parts_done :]:
        progress("writing the summary", now.parts_done, now.parts)
        now = writer.told_part(part, now)
        doors.keep(now)
    progress("writing the summary", now.parts, now.parts)
    now = writer.told_whole(lines, now) if now.parts > 1 else now
    now = replace(now, state=WritingState.DONE, claims=_without_repeats(now.claims))
    doors.keep(now)
    return now


class _Writer:
    """Asks the model, and keeps of its answers what the lines carry."""

    def __init__(self, endpoint: Endpoint, doors: Doors) -> None:
        self._endpoint, self._doors = endpoint, doors
        self._answer_tokens = min(_MOST_ANSWER, endpoint.context_tokens // _ANSWER_SHARE)
        task = sum(parts.estimated_tokens(one["content"]) for one in answers.part_task(()))
        self.part_tokens = max(_FEWEST_TOKENS, endpoint.context_tokens - self._answer_tokens - task)

    def told_part(self, part: Sequence[Line], now: WrittenSummary) -> WrittenSummary:
        """Return a summary with the claims of one part more."""
        permitted = self._doors.permitted()
        sent = [line for line in part if line.record_id in permitted]
        claims, left_out, unread = self._asked_part(sent) if sent else ([], Counter[str](), 0)
        named = [replace(claim, id=f"{now.parts_done}-{place}") for place, claim in enumerate(claims)]
        return replace(
            now,
            claims=(*now.claims, *named)[:MOST_CLAIMS],
            left_out=dict(Counter(now.left_out) + left_out),
            lines=tuple(dict.fromkeys((*now.lines, *(line.record_id for line in sent)))),
            unread=now.unread + unread,
            parts_done=now.parts_done + 1,
        )

    def told_whole(self, lines: Sequence[Line], now: WrittenSummary) -> WrittenSummary:
        """Return a summary whose overview is one over all parts, where the model gives one that holds."""
        permitted = self._doors.permitted()
        stated = [one for one in now.claims if all(place.record_id in permitted for place in one.places)]
        sources = [one for one in stated if one.kind is ClaimKind.OVERVIEW] or stated
        left_out = Counter[str]()
        shrunk = len(sources) + 1
        while sources and len(sources) < shrunk:  # several rounds, where the statements of all parts do not fit at once
            shrunk = len(sources)
            told: list[Claim] = []
            groups = self._grouped(sources)
            for group in groups:
                found, out = self._asked_whole(group, lines)
                told += found
                left_out += out
            if not told:
                return replace(now, left_out=dict(Counter(now.left_out) + left_out))
            sources = told
            if len(groups) == 1:
                break
        if not sources:
            return now
        overview = [replace(claim, id=f"all-{place}") for place, claim in enumerate(sources)]
        rest = [claim for claim in now.claims if claim.kind is not ClaimKind.OVERVIEW]
        return replace(now, claims=(*overview, *rest), left_out=dict(Counter(now.left_out) + left_out))

    def _asked_part(self, part: Sequence[Line]) -> tuple[list[Claim], Counter[str], int]:
        """Return the claims of a part that hold, how many do not, and 1 where no answer could be read."""
        self._doors.leaving(part)
        try:
            raw = self._claims(answers.part_task(part))
        except RejectedRequestError:
            halves = (
                parts.halved(part) if parts.estimated_tokens("".join(one.text for one in part)) > _FEWEST_TOKENS else ()
            )
            if not halves:
                raise
            return _joined(self._asked_part(half) for half in halves)
        if raw is None:
            return [], Counter(), 1
        by_number: dict[int, list[Line]] = {}
        for line in part:
            by_number.setdefault(line.number, []).append(line)
        return *_held(raw, lambda number: by_number.get(number, [])), 0

    def _asked_whole(self, statements: Sequence[Claim], lines: Sequence[Line]) -> tuple[list[Claim], Counter[str]]:
        """Return the sentences of an overview over statements that hold, checked against the statements' own lines."""
        known = {line.record_id: line for line in lines}
        cited = {
            number: [known[place.record_id] for place in claim.places if place.record_id in known]
            for number, claim in enumerate(statements, start=1)
        }
        self._doors.leaving([line for found in cited.values() for line in found])
        raw = self._claims(answers.whole_task([claim.text for claim in statements])) or []
        as_overview = [RawClaim(kind=ClaimKind.OVERVIEW, text=one.text, lines=one.lines) for one in raw]
        return _held(as_overview, lambda number: cited.get(number, []))

    def _grouped(self, claims: Sequence[Claim]) -> list[list[Claim]]:
        groups: list[list[Claim]] = [[]]
        held = 0
        for claim in claims:
            size = parts.estimated_tokens(claim.text) + _FEWEST_TOKENS // 4
            if groups[-1] and held + size > self.part_tokens:
                groups.append([])
                held = 0
            groups[-1].append(claim)
            held += size
        return groups

    def _claims(self, messages: Sequence[Message]) -> list[RawClaim] | None:
        """Ask for claims, once more where the answer cannot be read; none where the second cannot be either."""
        for _ in range(_ASKED):
            answer = self._answer(messages)
            try:
                return answers.read_claims(answer)
            except UnreadableError:
                messages = answers.again(messages)
        return None

    def _answer(self, messages: Sequence[Message]) -> str:
        """Ask for an answer in the schema's form; of a server that knows no schemas, for one in no form."""
        try:
            return self._endpoint.chat(messages, max_tokens=self._answer_tokens, schema=answers.SCHEMA)
        except RejectedRequestError:
            return self._endpoint.chat(messages, max_tokens=self._answer_tokens)


def _held(raw: Iterable[RawClaim], lines_of: Callable[[int], Sequence[Line]]) -> tuple[list[Claim], Counter[str]]:
    """Return the claims that their lines carry, and how many others there are, by why."""
    held: list[Claim] = []
    left_out: Counter[str] = Counter()
    for one in raw:
        numbers = dict.fromkeys(one.lines)
        cited = [line for number in numbers for line in lines_of(number)]
        if len(numbers) > answers.MOST_LINES:
            why: str | None = checking.MANY_LINES
        elif any(not lines_of(number) for number in numbers):
            why = checking.UNKNOWN_LINE
        else:
            why = checking.why_not(one.text, cited, kind=one.kind, who=one.who, due=one.due)
        if why is None:
            held.append(Claim(id="", kind=one.kind, text=one.text, places=places_of(cited), who=one.who, due=one.due))
        else:
            left_out[why] += 1
    return held, left_out


def _joined(several: Iterable[tuple[list[Claim], Counter[str], int]]) -> tuple[list[Claim], Counter[str], int]:
    claims: list[Claim] = []
    left_out: Counter[str] = Counter()
    unread = 0
    for found, out, unreadable in several:
        claims += found
        left_out += out
        unread += unreadable
    return claims, left_out, unread


def _without_repeats(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Leave out what nearly repeats an earlier claim of its kind: parts that follow each other often do."""
    kept: list[Claim] = []
    for claim in claims:
        if not any(one.kind is claim.kind and checking.are_alike(one.text, claim.text) for one in kept):
            kept.append(claim)
    return tuple(kept)
