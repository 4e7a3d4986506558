"""The JSON of the API. It is strict: the text "false" is not a boolean, and an unknown field is an error."""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from volition.canonical import us_to_text
from volition.errors import InvalidInputError
from volition.transparency.access_log import AccessLine

_T = TypeVar("_T")
_Item = TypeVar("_Item")

Id = Annotated[str, Field(min_length=1, max_length=200)]
Limit = Annotated[int, Query(ge=1, le=500, description="The largest number of items on a page.")]
PathId = Annotated[str, Path(min_length=1, max_length=200)]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the previous page; none for the first one.")
]


class Schema(BaseModel):
    """What every request body of the API has in common."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Listing(BaseModel, Generic[_T]):
    """One page of a list; `next` leads to the following one and is null on the last."""

    items: list[_T]
    next: str | None


class ProblemDetails(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class AccountIn(Schema):
    """An account to add."""

    account: Id
    name: Annotated[str, Field(min_length=1, max_length=200)]
    region: str | None = None


class AccountOut(BaseModel):
    """A customer organisation; `terms` is the version that binds it now."""

    account: str
    name: str
    terms: str | None


class AcceptanceIn(Schema):
    """Terms that an account accepts; by default the newest."""

    terms: str | None = None


class PersonIn(Schema):
    """A person to add; without an account a guest."""

    person: Id
    account: str | None = None
    name: Annotated[str, Field(max_length=200)] | None = None
    aliases: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=50)] = []
    emails: Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=50)] = []
    region: str | None = None


class PersonOut(BaseModel):
    """A person; the ledger, the lake and snapshots know them by `pseudonym`, which an administrator does not get."""

    person: str
    account: str | None
    name: str | None
    pseudonym: str | None


class DecisionIn(Schema):
    """A yes or a no of a party, "account:ID" or "person:ID"."""

    party: Id
    answer: Literal["yes", "no"]
    data: Annotated[list[str], Field(min_length=1, max_length=20)]
    purpose: Annotated[list[str], Field(min_length=1, max_length=20)]
    covers: str | None = Field(default=None, description='How far back a yes reaches: "past", or an instant.')
    until: str | None = Field(default=None, description="When a yes ends (not included): an instant. By default never.")


class SettingIn(Schema):
    """A yes or a no to a switch; without one, a no to everything on which the terms give a say."""

    party: Id | None = Field(default=None, description="By default the caller, the person first.")
    account: Id | None = Field(default=None, description="Whose terms count; by default the party's.")
    switch: Annotated[str, Field(max_length=200)] | None = None
    answer: Literal["yes", "no"]
    covers: str | None = Field(default=None, description='How far back a yes reaches: "past", or an instant.')
    until: str | None = Field(default=None, description="When a yes ends (not included): an instant. By default never.")


class SettingLine(BaseModel):
    """One kind of data under one purpose of a switch.

    `allowed` is as far as the party and its account go; others whom a record concerns may still refuse. `since` is from
    when on (null for any time), `reason` why it is not, and `say` what say the terms give the party.
    """

    category: str
    purpose: str
    say: Literal["none", "may-refuse", "asked"]
    answer: str
    allowed: bool
    since: str | None
    reason: str | None
    until: str | None
    limited: bool
    by_signal: bool


class TurnedOff(BaseModel):
    """A purpose that a no turns off.

    `whole` is false where it reaches only the kinds of data in `categories`, and `besides` is true where the switch is
    not named for the purpose.
    """

    purpose: str
    whole: bool
    categories: list[str]
    besides: bool


class SettingOut(BaseModel):
    """One switch: what was answered, for how much of it the use is allowed, and what a no would turn off.

    `forget_days` is within how many days models must forget after a no; null where none learns by it.
    """

    switch: str
    title: str
    purposes: list[str]
    answer: Literal["yes", "no", "nothing", "ended", "mixed"]
    state: Literal["all", "part", "none"]
    has_say: bool
    reaches_back: bool
    until: str | None
    turns_off: list[TurnedOff]
    forget_days: int | None
    lines: list[SettingLine]


class PurposeWords(BaseModel):
    """What a purpose is called, what happens with a yes, and what is no longer done with a no."""

    title: str
    does: str
    without: str


class SettingWords(BaseModel):
    """How the purposes and kinds of data of the switches are called, by name, in the language that was asked for.

    Of what terms declare, the words are those of the terms.
    """

    language: Literal["en", "de"]
    purposes: dict[str, PurposeWords]
    categories: dict[str, str]


class SettingsOut(BaseModel):
    """Every switch of a party; `can_refuse_all` says whether one no to everything is on offer."""

    party: str
    account: str
    organisation: str
    terms: str | None
    accepted: bool
    erased: bool
    can_refuse_all: bool
    settings: list[SettingOut]
    words: SettingWords


class SettingSaid(BaseModel):
    """The ledger's entry of an answer, and every switch as it stands after it."""

    entry: int
    after: SettingsOut


class EmbedTokenIn(Schema):
    """For whom a token is, and on whose pages: an origin, such as https://app.example."""

    person: Id
    origin: Annotated[str, Field(min_length=1, max_length=300)]
    account: Id | None = Field(default=None, description="Of a guest: the account whose switches they see.")
    minutes: Annotated[int, Field(ge=1, le=60)] = 10


class EmbedTokenOut(BaseModel):
    """An embed token; `token` is shown this once, and `id` revokes it."""

    id: str
    token: str
    person: str
    origin: str
    ends: str


class LimitIn(Schema):
    """Setting or lifting a limit: for the whole account, or for a group of its people."""

    switch: str | None = Field(
        default=None, max_length=200, description="A switch of the account's terms; otherwise name data and purpose."
    )
    data: Annotated[list[str], Field(max_length=20)] = []
    purpose: Annotated[list[str], Field(max_length=20)] = []
    group: str = Field(default="", max_length=80, description="A group's name; empty for the lock of the account.")
    people: Annotated[
        list[Id],
        Field(
            max_length=100_000, description="People of the group, by id or name; when lifting, by default all of them."
        ),
    ] = []
    limited: bool = Field(default=True, description="True to set the limit, false to lift it.")


class LimitedOut(BaseModel):
    """A group's limit for one purpose: which data, for how many people, since when and by which entry."""

    data: list[str]
    purpose: str
    people: int
    since: str
    entry: int


class GroupOut(BaseModel):
    """A limit in force; the group is null for the lock of the whole account."""

    group: str | None
    people: int
    limited: list[LimitedOut]


class SharingIn(Schema):
    """Opening a meeting, channel or file to people of its account or to all of it, or closing it again."""

    kind: Literal["meeting", "channel", "file"]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    account: Id | None = Field(default=None, description="Whose it is; an operator names it.")
    people: Annotated[list[Id], Field(max_length=1000, description="To whom, by id, e-mail address or full name.")] = []
    with_account: bool = Field(default=False, description="To all users of the account, but no guest.")
    shared: bool = Field(default=True, description="True to open it, false to close it.")


class ExclusionIn(Schema):
    """Leaving a meeting, channel or file out of some uses, or taking it back in."""

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    account: Id | None = Field(
        default=None, description="To speak for the account: all of it. Else what concerns you; an operator names it."
    )
    purpose: Annotated[list[Id], Field(max_length=100, description="Of which uses; by default of every use.")] = []
    excluded: bool = Field(default=True, description="True to leave it out, false to take it back in.")


class ExcludedOut(BaseModel):
    """The ledger's entry, null where it stood so already; and of which uses the conversation is left out now."""

    entry: int | None
    left_out_of: list[str]


class LeftOutOut(BaseModel):
    """A conversation that was left out: as the ledger names it, of which uses, since when, by which entry."""

    conversation: str
    purposes: list[str]
    at: str
    entry: int


class OpeningOut(BaseModel):
    """To whom a conversation was opened, by whom ("operator" and "source" are nobody's ids), and since when."""

    to: str
    by: str
    since: str | None


class ReadersOut(BaseModel):
    """Who can open a conversation; members are named to those who were there themselves."""

    was_there: bool
    members: list[str]
    openings: list[OpeningOut]


class SharedOut(BaseModel):
    """The number of the ledger entry by which something was opened or closed; null where it was so already."""

    entry: int | None


class KeepingIn(Schema):
    """Whether the sound of an account's recordings is kept from now on."""

    keep: bool


class KeepingOut(BaseModel):
    """Whether the sound of an account's recordings is kept once they are transcribed."""

    keep: bool


class EntryOut(BaseModel):
    """One entry of the ledger, as far as the caller may read it; `leaf` is its hash in the tree, hexadecimal."""

    seq: int
    at: str
    kind: str
    leaf: str
    body: dict[str, Any] | None = Field(description='Null where it is private; other people in it are "a person".')
    salt: str | None = Field(description="Null but where the entry is shown whole; with it the hash can be checked.")


class ChangeOut(BaseModel):
    """One entry of the ledger in the change feed; `party` is null where it names nobody, or nobody you may know.

    `cursor` is what comes after it: send it as `after`.
    """

    seq: int
    at: str
    kind: str
    party: str | None
    cursor: str


class ChangesOut(BaseModel):
    """What follows a cursor; send `next` as `after`. `behind` says how many entries are left to look through."""

    log: str
    items: list[ChangeOut]
    next: str
    behind: int


class CheckpointOut(BaseModel):
    """The ledger's signed size and root (C2SP tlog-checkpoint), and the key that checks it."""

    checkpoint: str
    key: str


class ConsistencyIn(Schema):
    """A checkpoint that was kept, or the text of a receipt or proof that quotes one."""

    checkpoint: Annotated[str, Field(min_length=1, max_length=1 << 20)]


class ConsistencyOut(BaseModel):
    """Whether the log has only grown since: `detail` in words, `old` and `new` as sizes, `proof` as a document.

    The proof is null where the log has not, and where it would let the caller guess what early entries say.
    """

    holds: bool
    detail: str
    old: int | None
    new: int
    proof: dict[str, Any] | None


class ProofOut(BaseModel):
    """Proof that an entry is in the ledger: hexadecimal hashes from the leaf's sibling up (RFC 9162)."""

    seq: int
    leaf: str
    hashes: list[str]
    checkpoint: str


class TermsIn(Schema):
    """Terms to publish: a shipped profile, by name."""

    profile: str


class TermsOut(BaseModel):
    """A terms version, as published."""

    id: str
    title: str
    digest: str
    text: str
    terms: dict[str, Any]


class CategoryOut(BaseModel):
    """A kind of data that can be named, in words, and whether it is what people said, wrote or made."""

    name: str
    words: str
    content: bool


class PurposeOut(BaseModel):
    """What data can be used for: its title, what happens with a yes, and what no longer does with a no."""

    name: str
    title: str
    does: str
    without: str


class VocabularyOut(BaseModel):
    """All that can be named: built in, or declared by any published terms."""

    categories: list[CategoryOut]
    purposes: list[PurposeOut]


class SnapshotIn(Schema):
    """The purpose to freeze a training set for."""

    purpose: str


class RunIn(Schema):
    """What to train; from a new snapshot unless one is named."""

    family: str
    snapshot: str | None = None


class RunOut(BaseModel):
    """A background job, as it is now."""

    run: str
    what: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stage: str
    done: int
    total: int
    loss: float | None
    left_s: int | None
    result: Any
    error: str | None
    by: str
    cancelling: bool
    attempts: int
    requested: str
    began: str | None
    ended: str | None


class ModelOut(BaseModel):
    """A model, and whether it was released, forgotten or replaced."""

    model: str
    family: str
    snapshot: str
    trained: str
    released: str | None
    forgotten: str | None
    successor: str | None


class AffectedModelOut(BaseModel):
    """A model that a request affects; `due` is null once it has forgotten, `rows` where its training set is gone."""

    model: str
    family: str
    rows: int | None
    due: str | None
    forgotten: str | None
    successor: str | None


class RequestOut(BaseModel):
    """Something that a person asked for, in force since `at`.

    `claimed` is when an imported no was given, as its source says; null where it was given when it was recorded.
    """

    kind: Literal["refusal", "exclusion", "erasure"]
    seq: int
    at: str
    claimed: str | None
    data: list[str]
    purpose: list[str]
    until: str | None
    done: bool
    due: str | None
    models: list[AffectedModelOut]
    spared: int


class AccessOut(BaseModel):
    """Somebody looked at a person's data, or a feature used it; `line` names its proof; null until it has one."""

    line: str | None
    day: str
    at: str | None
    who: str
    role: str
    reading: str
    whose: str
    records: int
    categories: list[str]
    entry: int | None


def access_out(line: AccessLine) -> AccessOut:
    """Return a line of the access log as the API shows it."""
    return AccessOut(
        line=line.id or None,
        day=line.day,
        at=None if line.at_us is None else us_to_text(line.at_us),
        who=line.who,
        role=line.role,
        reading=line.reading,
        whose=line.whose,
        records=line.records,
        categories=list(line.categories),
        entry=line.seq,
    )


def paged(
    items: Sequence[_Item], key: Callable[[_Item], str], cursor: str | None, limit: int
) -> tuple[list[_Item], str | None]:
    """Cut a page out of a list that is in the order of its keys, and say where the next one begins.

    Raises:
        InvalidInputError: The cursor is not one that this list returned.
    """
    after = None if cursor is None else read_cursor(cursor)
    rest = [item for item in items if after is None or key(item) > after]
    page = list(rest[:limit])
    return page, cursor_after(key(page[-1])) if len(rest) > limit else None


def newest_first(number: int) -> str:
    """Return the key of something numbered, in a list that has the highest number first."""
    return f"{10**19 - number:020d}"


def cursor_after(key: str) -> str:
    """Return the cursor of what comes after a key."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """Return the key that a cursor was made of.

    Raises:
        InvalidInputError: It is not such a cursor.
    """
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise InvalidInputError(
            "This cursor is not one that the server returned. Start again without a cursor."
        ) from error
