"""Ways in: each module here reads one kind of export into drafts of records.

Every `read_...` keeps the same promises:

- each cue, message or event of the input comes out once: as a `Draft`, as a `Reject` that says what is wrong and
  where, or counted in a `Skipped`; nothing is lost silently; what else there is to know comes as a `Note`;
- a bad piece never takes the good ones with it;
- reading the same input again gives the same keys, so that sending twice stores once;
- input that cannot be read at all, or that is built to exhaust the reader, raises `InvalidInputError`.

A draft names people as the source does. Who they are, and whether the record may be kept, is decided later.

Each module knows only those before it:

quarantine   what was set aside, read back without a word of it
intake       from drafts to records: who the people are, whether the record may be kept
speakers     who says what in a transcript
webvtt       transcripts
summaries    edited summaries of meetings
messages     chat that people write on our own pages
used         uses of features on our own pages, as usage of the service
slack_zip    the zip of a Slack export, read in place
slack        Slack exports
files        plain text and Markdown
prose        does a text look like what somebody wrote?
mapping      which event is of which category
row_mapping   which column of a source of one's own says what
rows         rows of such a source, of a table or as events
cloudevents  CloudEvents as rows
otlp_wire    OTLP as it comes over the wire, taken apart piece by piece
otlp_records   OTLP's log records as plain values
otlp_plain   OTLP's JSON as its specification writes it, in one pass
otlp_files   OTLP files, cut into requests
otlp         OTLP logs
otlp_traces  OTLP traces, as logs
zoom         Zoom's webhooks
zoom_chat    Zoom's saved chat
speech       what was said in a sound, and when: recognisers
voices       lines of one track, grouped by voice
sound        sound files, read piece by piece and written small
recording    recordings: whose voice is on which track, and what becomes of it
"""

import json
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, BinaryIO, TypeVar

from volition.consent.terms.vocabulary import is_name
from volition.errors import InvalidInputError

ITEM = "volition.item"
"""The attribute of a usage event that names what was used, such as "channel/general"."""
PERSON_ITEM = "person/"
"""What the name of an item begins with that is a person, before the id that the source has for them."""

LAST_US = 253_402_300_799_999_999  # the last microsecond of the year 9999: no later instant can be written as text


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRef:
    """A person as a source names them. All absent means: somebody, but nobody knows who.

    Attributes:
        name: Name as shown to people.
        id: The source's own identifier (a Slack user id, the attribute `volition.person`).
        email: E-mail address.
        pseudonym: The person's pseudonym, where the record is derived from records whose people are known to us.
    """

    name: str | None = None
    id: str | None = None
    email: str | None = None
    pseudonym: str | None = None

    @property
    def order(self) -> tuple[str, str, str]:
        """Sort key: by name, then identifier, then address; what is absent comes first."""
        return (self.name or "", self.id or "", self.email or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A record as read, before its people are known to us.

    Attributes:
        key: Identity within the account that stays the same when the input is read again.
        account: Id of the account whose terms govern the record.
        people: Everyone concerned, the speaker, author or actor first.
        category: A category that the workspace knows; what it does not know is not kept.
        at_us: Instant of collection, microseconds since the Unix epoch, UTC. It may lie in the future.
        payload: The content, as a JSON object.
        version: Of a source whose records change there: larger for a newer form, which then takes the place of an
            older one of the same key. None where what came first stays.
        mentioned: Those of the people whom it merely mentions: it concerns them, and they were not there.
        written: The payload's canonical JSON: `as_written`, where the reader has written it already; else empty.

    Raises:
        InvalidInputError: The account is empty, the category is no name, the instant lies outside 1970 to
            9999, or a text or number has no JSON form (half a surrogate pair, a NaN), so that the record could be
            stored nowhere.
    """

    key: str
    account: str
    people: tuple[PersonRef, ...]
    category: str
    at_us: int
    payload: dict[str, Any]
    version: int | None = None
    mentioned: tuple[PersonRef, ...] = ()
    written: bytes = field(init=False, repr=False, compare=False)
    as_written: InitVar[bytes] = b""

    def __post_init__(self, as_written: bytes) -> None:
        """Check once, so that whatever holds a draft can store it."""
        object.__setattr__(self, "written", as_written)
        if not self.account:
            raise InvalidInputError("The record names no account. Say whose terms govern it.")
        if not is_name(self.category):  # whether it is one that anybody knows, the gate says
            raise InvalidInputError(f"There is no category {self.category!r}. Name one of the terms' categories.")
        if not 0 <= self.at_us <= LAST_US:
            raise InvalidInputError("The time lies outside the years 1970 to 9999. Correct it at the source.")
        texts = [self.key, self.account]
        for person in self.people:
            texts += person.order
        try:
            if self.written:
                "".join(texts).encode()  # the payload had its form already
            else:
                json.dumps([texts, self.payload], ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidInputError(f"The content has no JSON form: {error}. Correct it at the source.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A piece of the input that could not be read, to be set aside in quarantine.

    Attributes:
        source: File or endpoint that it came from.
        where: Place within the source: "line 12", "general/2019-01-02.json message 3".
        why: What is wrong, for the person who can mend it.
        raw: The piece itself, as text that can be written as UTF-8.
        people: Who said, wrote or did it, as far as that is known: an erasure finds the piece by them.
        account: Whose it is, where the whole input is not one account's.
    """

    source: str
    where: str
    why: str
    raw: str
    people: tuple[PersonRef, ...] = ()
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Sound pieces of the input that hold nobody's words or acts, counted.

    Attributes:
        source: File that they came from.
        why: Why they are no records, out of a closed list of reasons.
        count: How many, at least 1.
    """

    source: str
    why: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something about an input that whoever collects it should know, though no piece of it is bad.

    Attributes:
        source: File that it is about.
        what: What there is to know, and what can be done, as a sentence.
    """

    source: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """That a source has given everything it still has of a conversation in a stretch of time: the rest is gone.

    Attributes:
        account: Whose conversation it is.
        conversation: Its name, as the drafts before it have it.
        origin: Its keys without their last part, as the drafts before it have them.
        start_us: Start of the stretch, included.
        end_us: Its end, not included.
        sure_us: The last instant of which it is sure that the source told after it. Where we know of something later
            than `end_us` the input may be an old one, and is believed only up to here.
    """

    account: str
    conversation: str
    origin: str
    start_us: int
    end_us: int
    sure_us: int


_Piece = TypeVar("_Piece", bound="Complete | Draft | Note | Reject | Skipped")


def keep_private(piece: _Piece) -> _Piece:
    """Return a piece as one that features show to those alone whom it concerns."""
    return replace(piece, payload={**piece.payload, "private": True}) if isinstance(piece, Draft) else piece


def raw_text(data: bytes) -> str:
    r"""Return bytes as text for `Reject.raw`; bytes that are not UTF-8 are written as `\xNN`."""
    return data.decode("utf-8", "backslashreplace")


def raw_json(value: object) -> str:
    """Return a JSON value as text for `Reject.raw`; of a table's value that JSON has not, what Python writes."""
    try:
        return json.dumps(value, default=str)
    except RecursionError:
        return "(nested too deeply to be written)"


def read_capped(stream: BinaryIO, *, limit_bytes: int, what: str) -> bytes:
    """Read a stream to its end, trusting no header about its size.

    Args:
        stream: Read in pieces, so that memory stays within the limit plus one piece.
        limit_bytes: Most bytes accepted.
        what: Name of the content, for the message.

    Raises:
        InvalidInputError: The stream holds more than `limit_bytes`.
    """
    pieces, size_bytes = [], 0
    while piece := stream.read(min(1 << 20, limit_bytes - size_bytes + 1)):
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise InvalidInputError(f"{what} holds more than {limit_bytes:,} bytes. Split it into smaller files.")
        pieces.append(piece)
    return b"".join(pieces)


def load_json(data: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON as RFC 8259 has it: UTF-8, no NaN; a failure of any kind is a `ValueError`."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
