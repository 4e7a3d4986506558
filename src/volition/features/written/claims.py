"""Claims: what a written summary says, and the lines of the transcript that each sentence of it rests on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self


class ClaimKind(StrEnum):
    """What a claim is. The overview is prose: its claims are sentences, read one after the other."""

    OVERVIEW = "overview"
    TOPIC = "topic"
    DECISION = "decision"
    TASK = "task"
    QUESTION = "question"


class WritingState(StrEnum):
    """How far a summary is."""

    WRITING = "writing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a transcript, as the model is shown it.

    Attributes:
        number: What the model calls it, from 1 on; the pieces of a line too long for one part share it.
        record_id: The record.
        turn: Which turn of the meeting it is.
        start_ms: When it begins, in milliseconds from the start of the meeting.
        speaker: Who said it, as the transcript names them.
        text: What was said.
    """

    number: int
    record_id: str
    turn: int
    start_ms: int
    speaker: str
    text: str

    def shown(self) -> str:
        """Return the line as the model reads it: on one line, whatever its text holds."""
        return f"[{self.number}] {' '.join(self.speaker.split())}: {' '.join(self.text.split())}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a meeting a claim's line is."""

    record_id: str
    turn: int
    start_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One sentence of a summary.

    Attributes:
        id: Its name within the summary.
        kind: What it is.
        text: What it says.
        places: The lines that it rests on, in the order of the meeting; none only where a person wrote it.
        who: Of a task: who does it; may be empty.
        due: Of a task: by when, in the words of the meeting; may be empty.
        by_person: Whether a person wrote it or changed it. It is theirs then, and nothing of it is checked.
        is_struck: Whether a person struck it out: only its owner still sees it.
    """

    id: str
    kind: ClaimKind
    text: str
    places: tuple[Place, ...] = ()
    who: str = ""
    due: str = ""
    by_person: bool = False
    is_struck: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; `from_json` reads it back unchanged."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "text": self.text,
            "places": [[one.record_id, one.turn, one.start_ms] for one in self.places],
            "who": self.who,
            "due": self.due,
            "by_person": self.by_person,
            "is_struck": self.is_struck,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        places = tuple(Place(record_id=one, turn=turn, start_ms=at) for one, turn, at in value["places"])
        return cls(**{**value, "kind": ClaimKind(value["kind"]), "places": places})


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSummary:
    """A summary that a language model wrote, or is writing.

    Attributes:
        state: How far it is.
        host: To which host lines were sent.
        model: The model's name there.
        asked_us: When it was asked for, microseconds since the Unix epoch, UTC.
        claims: What it says, of each kind in the order of the meeting.
        left_out: How many claims of the model were left out, by why.
        lines: The records that were sent, each once.
        parts_done: How many parts of the transcript are done.
        parts: Of how many; 0 before it begins.
        cut: By which cut into parts it is written: another one begins anew.
        unread: How many parts have no claims because the model's answer could not be read.
        error: Why it was not finished; empty unless it failed.
    """

    state: WritingState
    host: str
    model: str
    asked_us: int
    claims: tuple[Claim, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    parts_done: int = 0
    parts: int = 0
    cut: str = ""
    unread: int = 0
    error: str = ""

    def of(self, kind: ClaimKind) -> tuple[Claim, ...]:
        """Return the claims of a kind that nobody struck out."""
        return tuple(claim for claim in self.claims if claim.kind is kind and not claim.is_struck)

    @property
    def is_corrected(self) -> bool:
        """Whether a person changed anything."""
        return any(claim.by_person or claim.is_struck for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; `from_json` reads it back unchanged."""
        return {
            "state": self.state.value,
            "host": self.host,
            "model": self.model,
            "asked_us": self.asked_us,
            "claims": [claim.to_json() for claim in self.claims],
            "left_out": dict(self.left_out),
            "lines": list(self.lines),
            "parts_done": self.parts_done,
            "parts": self.parts,
            "cut": self.cut,
            "unread": self.unread,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read back what `to_json` returned."""
        read = {
            "state": WritingState(value["state"]),
            "claims": tuple(map(Claim.from_json, value["claims"])),
            "lines": tuple(value["lines"]),
        }
        return cls(**{**value, **read})


_TITLES: Final = {
    ClaimKind.TOPIC: "Topics",
    ClaimKind.DECISION: "Decisions",
    ClaimKind.TASK: "Tasks",
    ClaimKind.QUESTION: "Open questions",
}


def plain_text(summary: WrittenSummary) -> str:
    """Return what a summary says as plain text: its overview, then a list of each other kind that it has."""
    pieces = [" ".join(claim.text for claim in summary.of(ClaimKind.OVERVIEW))]
    for kind, title in _TITLES.items():
        if found := summary.of(kind):
            pieces.append("\n".join([f"{title}:", *(f"- {_told(claim)}" for claim in found)]))
    return "\n\n".join(piece for piece in pieces if piece)


def _told(claim: Claim) -> str:
    about = ", ".join(filter(None, (claim.who, claim.due)))
    return f"{claim.text} ({about})" if about else claim.text


def places_of(lines: Iterable[Line]) -> tuple[Place, ...]:
    """Return where some lines are, each once, in the order of the meeting."""
    found = {line.record_id: line for line in lines}
    ordered: Sequence[Line] = sorted(found.values(), key=lambda line: line.number)
    return tuple(Place(record_id=line.record_id, turn=line.turn, start_ms=line.start_ms) for line in ordered)
