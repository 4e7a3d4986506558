"""The JSON of written summaries."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from volition.server.api.schemas import Id, Schema


class SummaryAskIn(Schema):
    """Asking that a language model write a summary of a meeting."""

    meeting: Annotated[str, Field(min_length=1, max_length=1000)]


class SummaryChangeIn(Schema):
    """A change to one's own finished summary."""

    meeting: Annotated[str, Field(min_length=1, max_length=1000)]
    do: Literal["reword", "strike", "put back", "add"]
    claim: Annotated[str, Field(max_length=100, description="Which sentence, by its `id`; none to add one.")] = ""
    text: Annotated[str, Field(max_length=10_000, description="What it should say.")] = ""
    kind: Literal["", "overview", "topic", "decision", "task", "question"] = Field(
        default="", description="To what a sentence is added."
    )


class SummarySendIn(Schema):
    """Sending one's own finished summary to colleagues, or taking it back."""

    meeting: Annotated[str, Field(min_length=1, max_length=1000)]
    people: Annotated[list[Id], Field(max_length=1000, description="To whom, by id, e-mail address or full name.")]
    shared: bool = Field(default=True, description="True to send it, false to take it back.")


class NamedOut(BaseModel):
    """Somebody, by party and by name."""

    party: str
    name: str


class PlaceOut(BaseModel):
    """A line of the transcript that a sentence rests on, and when it begins, milliseconds from the meeting's start."""

    record_id: str
    turn: int
    start_ms: int


class ClaimOut(BaseModel):
    """A sentence of a summary. What `by_person` wrote was not checked; what is struck out its owner alone sees."""

    id: str
    kind: Literal["overview", "topic", "decision", "task", "question"]
    text: str
    who: str
    due: str
    by_person: bool
    is_struck: bool
    places: list[PlaceOut]


class SummaryOut(BaseModel):
    """A summary that a language model wrote, as far as the caller may read it; lists have no `claims`."""

    meeting: str
    owner: NamedOut
    own: bool
    state: Literal["writing", "done", "failed"]
    error: str | None
    asked: str
    host: str
    model: str
    parts: int
    parts_done: int
    lines_sent: int
    left_out: dict[str, int]
    unread_parts: int
    withheld: int
    sent_to: list[NamedOut]
    claims: list[ClaimOut] | None
