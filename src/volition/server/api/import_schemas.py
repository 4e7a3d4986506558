"""What the API takes and returns where many are taken in at once: accounts, people, answers given elsewhere."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from volition.server.api.schemas import AccountIn, Id, PersonIn, Schema
from volition.workspace.imports import ImportReport


class AccountsIn(Schema):
    """Accounts to add, many at once."""

    dry_run: bool = Field(default=False, description="Say what it would do, and do nothing.")
    accounts: list[AccountIn] = Field(min_length=1, max_length=5000)


class PeopleIn(Schema):
    """People to add, many at once."""

    dry_run: bool = Field(default=False, description="Say what it would do, and do nothing.")
    people: list[PersonIn] = Field(min_length=1, max_length=5000)


class ClaimIn(Schema):
    """An answer that was given elsewhere."""

    party: str = Field(max_length=320, description='"account:ID", "person:ID", or a name that they go by in `account`.')
    account: Id | None = Field(default=None, description="The account in which the party goes by that name.")
    answer: Literal["yes", "no"]
    data: Annotated[list[str], Field(min_length=1, max_length=20)]
    purpose: Annotated[list[str], Field(min_length=1, max_length=20)]
    said: str = Field(max_length=64, description="When it was given: an instant with a time zone, not in the future.")
    until: str | None = Field(default=None, max_length=64, description="When a yes ends (not included).")
    wording: str | None = Field(default=None, max_length=65_536, description="The text shown; its digest is kept.")
    id: str | None = Field(default=None, max_length=500, description="What the source calls it; imported once.")


class ClaimsIn(Schema):
    """Answers that were given elsewhere."""

    source: str = Field(description="Where they were given, as the ledger is to name it.")
    dry_run: bool = Field(default=False, description="Say what it would do, and do nothing.")
    decisions: list[ClaimIn] = Field(min_length=1, max_length=5000)


class SetAsideOut(BaseModel):
    """One of what was given that was not taken."""

    line: int = Field(description="Its place in the list, counted from 1.")
    why: str


class ImportOut(BaseModel):
    """What an import did."""

    dry_run: bool
    new: int = Field(description="How many (answers, people, accounts) were taken.")
    known: int = Field(description="How many were there already.")
    set_aside: int = Field(description="How many were not taken.")
    rows: list[SetAsideOut] = Field(description="Which were not taken, and why; the first thousand of them.")


def import_out(report: ImportReport) -> ImportOut:
    """Return what an import did as the API tells it."""
    return ImportOut(
        dry_run=report.dry_run,
        new=report.new,
        known=report.known,
        set_aside=report.set_aside,
        rows=[SetAsideOut(line=one.line, why=one.why) for one in report.rows],
    )
