"""Summaries written by a language model: asked for, written part by part, read, corrected, and sent to colleagues.

- A summary is derived data: a record of its meeting's category that concerns everyone whose words it tells, and whoever
  had it written. It is encrypted and erased like any other, and the gate judges it whenever it is read.
- Each of its claims is judged again as well: one whose lines may not be used any more is not shown.
- What tells lines that were heard in a recording is never freer than the recording: it may be used as that may.
- Before lines leave, each person's access log says so: how many of theirs, to which host.
- It is read by whoever had it written. Others read it once it was sent to them; `records.audience` decides that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from volition.canonical import digest, us_to_text
from volition.consent.parties import Person
from volition.consent.references import source_id
from volition.errors import ConflictError, InvalidInputError, RefusedError, VolitionError
from volition.features.llm import Endpoint
from volition.features.request import TRANSCRIPT, FeatureRequest, check_feature
from volition.features.written.claims import ClaimKind, WritingState, WrittenSummary, plain_text
from volition.features.written.transcript import lines_of, said_in
from volition.features.written.writing import Doors, write_summary
from volition.learning.families.summary.sentences import TOLD_KINDS, turn_of
from volition.ledger.entry import Entry
from volition.progress import Progress, silent
from volition.records.audience import WRITTEN
from volition.records.ingest import Draft, PersonRef
from volition.records.lake import HEARD_IN, Row
from volition.transparency.access_log import ENDPOINT
from volition.transparency.access_log import Reader as Looking
from volition.workspace.accesses import Accesses
from volition.workspace.audiences import Audiences, Reader
from volition.workspace.features import Features
from volition.workspace.opened import Opened
from volition.workspace.records import Records

_CATEGORY: Final = "content/transcript"
_MOST_TRIED: Final = 100  # forms of a key whose records were erased


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSummary:
    """A summary as one of its readers may see it.

    Attributes:
        meeting: The meeting's name.
        owner: Who had it written.
        is_own: Whether that is the reader.
        summary: The summary, without what the reader may not see.
        withheld: How many claims are not shown since a line that they rest on may not be used any more.
        receivers: To whom its owner sent it; for its owner alone.
    """

    meeting: str
    owner: Reader
    is_own: bool
    summary: WrittenSummary
    withheld: int
    receivers: tuple[Reader, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, as the API and the command line show it; it names no record that was sent."""
        now = self.summary
        return {
            "meeting": self.meeting,
            "owner": {"party": self.owner.party, "name": self.owner.name},
            "own": self.is_own,
            "state": now.state.value,
            "error": now.error or None,
            "asked": us_to_text(now.asked_us),
            "host": now.host,
            "model": now.model,
            "parts": now.parts,
            "parts_done": now.parts_done,
            "lines_sent": len(now.lines),
            "left_out": dict(now.left_out),
            "unread_parts": now.unread,
            "withheld": self.withheld,
            "sent_to": [{"party": one.party, "name": one.name} for one in self.receivers],
            "claims": [
                {
                    **{key: value for key, value in claim.to_json().items() if key != "places"},
                    "places": [
                        {"record_id": one.record_id, "turn": one.turn, "start_ms": one.start_ms} for one in claim.places
                    ],
                }
                for claim in now.claims
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A summary that somebody asked for, without a name: by pseudonym, and by the digest of the meeting.

    Attributes:
        who: Pseudonym of whoever asked.
        conversation: The meeting, from `references.source_id`.
    """

    who: str
    conversation: str

    @property
    def subject(self) -> str:
        """One word for both, so that a summary is written once at a time."""
        return digest(f"{self.who} {self.conversation}".encode())[:16]


class Summaries:
    """Has summaries written, and keeps them."""

    def __init__(
        self,
        opened: Opened,
        audiences: Audiences,
        records: Records,
        features: Features,
        accesses: Accesses,
    ) -> None:
        """Take the opened folder, who may read what, records, features, and who looked."""
        self._opened = opened
        self._audiences = audiences
        self._records = records
        self._features = features
        self._accesses = accesses

    # --- writing ---

    def ask(self, meeting: str, *, person: str) -> Asked:
        """Ask for a summary of a meeting. It is kept that it is wanted; `write_asked` writes it.

        What was begun and not finished is gone on with; what is finished is written anew.

        Raises:
            InvalidInputError: No end point is configured, or its key is not to be had.
            RefusedError: The account's switch is off, or there is no such meeting that may be used for the person.
        """
        endpoint = self._endpoint()
        asking = self._features.asking_for_summary(person)
        rows = said_in(asking, meeting)
        found = self._own(asking, meeting)
        if found is None or found.state is WritingState.DONE:
            found = WrittenSummary(
                state=WritingState.WRITING, host=endpoint.host, model=endpoint.model, asked_us=self._opened.now_us
            )
        self._keep(asking, meeting, rows, replace(found, state=WritingState.WRITING, error=""))
        return self.asked(meeting, person=person)

    def asked(self, meeting: str, *, person: str) -> Asked:
        """Return what names a person's summary of a meeting without a name, whether or not there is one."""
        asking = self._features.asking_for_summary(person)
        return Asked(who=asking.person.pseudonym, conversation=source_id(asking.account, meeting))

    def write(self, meeting: str, *, person: str, progress: Progress = silent) -> WrittenSummary:
        """Have a meeting summarised now; what is finished is kept part by part. Raises as `write_summary` and `ask`."""
        self.ask(meeting, person=person)
        return self._write(meeting, person, progress)

    def write_asked(self, asked: Asked, *, progress: Progress = silent) -> None:
        """Write what `ask` asked for.

        Raises:
            InvalidInputError: Nobody asks for it any more.
            BackendError: The end point failed; the summary says so, and what was finished is kept.
            RefusedError: The feature is off by now.
        """
        person = self._opened.parties.person_by_pseudonym(asked.who)
        if person is None:
            raise InvalidInputError("Whoever asked for this summary is not known any more.")
        asking = self._features.asking_for_summary(person.id)
        rows = self._written(asking, source=asked.conversation)
        own = [row for row in rows if row.payload["for"] in person.pseudonyms]
        if not own:
            raise InvalidInputError("The summary that was asked for is not there any more.")
        self._write(str(own[0].payload["meeting"]), person.id, progress)

    def _write(self, meeting: str, person: str, progress: Progress) -> WrittenSummary:
        endpoint = self._endpoint()
        asking = self._features.asking_for_summary(person)
        rows = said_in(asking, meeting)
        begun = self._own(asking, meeting)
        if begun is None:
            raise ConflictError("The summary is not there any more. Ask for it again.")
        last = begun

        def keep(now: WrittenSummary) -> None:
            nonlocal last
            last = now
            self._keep(asking, meeting, rows, now)

        by_id = {row.record_id: row for row in rows}
        doors = Doors(
            permitted=lambda: {row.record_id for row in self._said_now(person, meeting)},
            leaving=lambda lines: self._note_leaving(asking, endpoint, [by_id[line.record_id] for line in lines]),
            keep=keep,
        )
        try:
            return write_summary(endpoint, lines_of(rows), begun, doors, progress)
        except VolitionError as error:
            keep(replace(last, state=WritingState.FAILED, error=str(error)))
            raise

    def _said_now(self, person: str, meeting: str) -> list[Row]:
        return said_in(self._features.asking_for_summary(person), meeting)

    def _note_leaving(self, asking: FeatureRequest, endpoint: Endpoint, rows: Sequence[Row]) -> None:
        """Write down in the access log of each speaker that words of theirs are about to be sent, and count the use."""
        host = Looking(who=endpoint.host, role=ENDPOINT)
        different = list({row.record_id: row for row in rows}.values())
        for pseudonym, count in sorted(Counter(row.people[0] for row in different).items()):
            whose = [f"person:{pseudonym}"]
            self._accesses.note(host, "endpoint", whose, records=count, categories=TRANSCRIPT)
        asking.note(different)

    # --- reading ---

    def of(self, person: str, *, meeting: str | None = None) -> tuple[ReadSummary, ...]:
        """Return the summaries that a person may read, their own first and then the latest; of one meeting, or of all.

        Raises:
            RefusedError: The account's switch is off, or a guest asks.
        """
        asking = self._features.asking_for_summary(person)
        check_feature(asking.permits, asking.account, TRANSCRIPT)
        source = None if meeting is None else source_id(asking.account, meeting)
        rows = list(asking.lake.rows(asking.permits, categories=TRANSCRIPT, accounts=[asking.account], source=source))
        permitted = {row.record_id: row for row in rows if row.payload.get("kind") == "segment"}
        found = [
            self._read(asking, row, permitted)
            for row in rows
            if row.payload.get("kind") == WRITTEN and asking.audience.admits(row)
        ]
        readable = [one for one in found if one.is_own or one.summary.state is WritingState.DONE]
        if meeting is not None:  # a list shows none of what they say
            told = [one.summary for one in readable if one.summary.state is WritingState.DONE]
            used = {place.record_id for one in told for claim in one.claims for place in claim.places}
            asking.note([permitted[record] for record in sorted(used)])
        return tuple(sorted(readable, key=lambda one: (not one.is_own, -one.summary.asked_us, one.meeting)))

    def _read(self, asking: FeatureRequest, row: Row, permitted: Iterable[str]) -> ReadSummary:
        known = frozenset(permitted)
        whole = WrittenSummary.from_json(row.payload["written"])
        owner = self._opened.parties.person_by_pseudonym(row.payload["for"])
        is_own = row.payload["for"] in asking.person.pseudonyms
        seen = [claim for claim in whole.claims if is_own or not claim.is_struck]
        shown = [claim for claim in seen if all(place.record_id in known for place in claim.places)]
        meeting = str(row.payload["meeting"])
        return ReadSummary(
            meeting=meeting,
            owner=Reader(party="", name="Somebody")
            if owner is None
            else Reader(party=f"person:{owner.id}", name=owner.name or owner.id),
            is_own=is_own,
            summary=replace(whole, claims=tuple(shown)),
            withheld=len(seen) - len(shown),
            receivers=self._audiences.receivers(meeting, by=asking.person, account=asking.account) if is_own else (),
        )

    # --- correcting and sending ---

    def correct(
        self, meeting: str, change: Callable[[WrittenSummary], WrittenSummary], *, person: str
    ) -> WrittenSummary:
        """Change a person's own summary; see `written.corrections` for the changes.

        The corrected text is kept as an edited summary besides, with the turns that its decisions and tasks rest on.
        Training may use that where everyone whom it concerns said yes to it.

        Raises:
            InvalidInputError: They have no summary of this meeting, or it has no such claim.
            ConflictError: It is not finished.
            RefusedError: The account's switch is off.
        """
        asking = self._features.asking_for_summary(person)
        rows = said_in(asking, meeting)
        own = self._own(asking, meeting)
        if own is None:
            raise InvalidInputError(f"You have no written summary of the meeting {meeting!r}.")
        corrected = change(own)
        self._keep(asking, meeting, rows, corrected)
        text = plain_text(corrected)
        if text and corrected.is_corrected:
            payload = {"kind": "summary", "meeting": meeting, "text": text, "told": _told(corrected, rows)}
            self._store(asking, meeting, rows, f"summary:{meeting}:by", payload)
        return corrected

    def send(self, meeting: str, *, person: str, to: Sequence[str]) -> Entry | None:
        """Send a person's own finished summary to colleagues. Raises as `correct` and `Audiences.send_summary`."""
        asking = self._sendable(meeting, person)
        return self._audiences.send_summary(meeting, by=asking.person, account=asking.account, people=to)

    def take_back(self, meeting: str, *, person: str, to: Sequence[str]) -> Entry | None:
        """Take a person's own summary back from colleagues. Raises as `Audiences.take_back_summary`."""
        asking = self._features.asking_for_summary(person)
        return self._audiences.take_back_summary(meeting, by=asking.person, account=asking.account, people=to)

    def _sendable(self, meeting: str, person: str) -> FeatureRequest:
        asking = self._features.asking_for_summary(person)
        check_feature(asking.permits, asking.account, TRANSCRIPT)
        own = self._own(asking, meeting)
        if own is None:
            raise InvalidInputError(f"You have no written summary of the meeting {meeting!r}.")
        if own.state is not WritingState.DONE:
            raise ConflictError("The summary is not finished, so it cannot be sent yet.")
        return asking

    # --- keeping ---

    def _endpoint(self) -> Endpoint:
        endpoint = self._features.endpoint()
        if endpoint is None:
            raise InvalidInputError(
                "A written summary needs a language model, and none is configured. The operator adds one under "
                "[endpoint] in volition.toml."
            )
        return endpoint

    def _written(self, asking: FeatureRequest, *, source: str) -> list[Row]:
        rows = asking.lake.rows(asking.permits, categories=TRANSCRIPT, accounts=[asking.account], source=source)
        return [row for row in rows if row.payload.get("kind") == WRITTEN and asking.audience.admits(row)]

    def _own(self, asking: FeatureRequest, meeting: str) -> WrittenSummary | None:
        rows = self._written(asking, source=source_id(asking.account, meeting))
        own = [WrittenSummary.from_json(one.payload["written"]) for one in rows if _is_own(one, asking.person)]
        return max(own, key=lambda one: one.asked_us, default=None)

    def _keep(self, asking: FeatureRequest, meeting: str, rows: Sequence[Row], summary: WrittenSummary) -> None:
        payload = {
            "kind": WRITTEN,
            "meeting": meeting,
            "text": plain_text(summary),
            "for": asking.person.pseudonym,
            "there": sorted({pseudonym for row in rows for pseudonym in row.people}),
            "written": summary.to_json(),
        }
        self._store(asking, meeting, rows, f"written:{meeting}", payload)

    def _store(
        self, asking: FeatureRequest, meeting: str, rows: Sequence[Row], key: str, payload: Mapping[str, object]
    ) -> None:
        """Store a record derived from some rows in the place of the one that this person had under the key.

        Where that one was erased with somebody whom it concerned, its key stays away for good, and the next is taken.
        """
        people = dict.fromkeys([*(one for row in rows for one in row.people), asking.person.pseudonym])
        heard_in = sorted({row.payload[HEARD_IN] for row in rows if HEARD_IN in row.payload})
        payload = {**payload, HEARD_IN: heard_in} if heard_in else {**payload}
        for form in range(_MOST_TRIED):
            draft = Draft(
                key=f"{key}:{asking.person.pseudonym}:{form}",
                account=asking.account,
                people=tuple(PersonRef(pseudonym=one) for one in people),
                category=_CATEGORY,
                at_us=max(row.collected_us for row in rows),
                payload=payload,
                version=self._opened.now_us,
            )
            taken = self._records.take_in([draft], asking.account, silent)
            if taken.not_kept or taken.rejected:
                raise RefusedError(f"The summary of {meeting!r} may not be kept: {taken.why_not_stored}.")
            if taken.stored or taken.replaced or self._has(asking, meeting, payload):
                return
        raise ConflictError("The summary could not be kept, since somebody else wrote it at the same time. Try again.")

    def _has(self, asking: FeatureRequest, meeting: str, payload: Mapping[str, object]) -> bool:
        source = source_id(asking.account, meeting)
        rows = asking.lake.rows(asking.permits, categories=TRANSCRIPT, accounts=[asking.account], source=source)
        return any(row.payload == payload for row in rows)


def _told(summary: WrittenSummary, rows: Sequence[Row]) -> dict[str, list[int]]:
    """Return the turns that decisions and tasks of a corrected summary rest on; of one that was added, by its words."""
    kinds = dict(zip(TOLD_KINDS, (ClaimKind.DECISION, ClaimKind.TASK), strict=True))
    turns: dict[str, set[int]] = {name: set() for name in kinds}
    for name, kind in kinds.items():
        for claim in summary.of(kind):
            turns[name].update(place.turn for place in claim.places)
            if not claim.places and (turn := turn_of(claim.text, rows)) is not None:
                turns[name].add(turn)
    return {name: sorted(found) for name, found in turns.items()}


def _is_own(row: Row, person: Person) -> bool:
    return row.payload["for"] in person.pseudonyms
