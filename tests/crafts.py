"""A workspace whose people have two crafts: those of one craft use the same documents, so there is something to learn."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from volition.canonical import datetime_to_us, now_us, us_to_datetime
from volition.consent.terms.model import Basis, Rule
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import Category, Purpose
from volition.workspace import Workspace

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
USAGE, PURPOSES = ["service/usage"], ["train/recommend", "feature/recommend"]


class Clock:
    """A clock that stands until it is told to move."""

    def __init__(self, now=MONDAY):
        self.now = now

    def __call__(self):
        return datetime_to_us(self.now)

    def wait(self, **duration):
        self.now += timedelta(**duration)


def declare_churn(workspace):
    """Publish terms that declare a kind of data and a purpose of their own, and let acme accept them."""
    granular = load_profile("granular")
    workspace.terms.publish(
        replace(
            granular,
            id="churn",
            categories=(Category(name="crm/tickets", words="support tickets"),),
            purposes=(
                Purpose(name="train/churn", title="Train churn prediction", does="Tells which accounts may leave."),
            ),
            rules=(
                *granular.rules,
                Rule(data=("crm",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "person")),
            ),
            notice_days=0,
        )
    )
    workspace.terms.accept("acme", "churn")


def _attribute(key, value):
    return {"key": key, "value": {"stringValue": value}}


def write_usage(folder, account, people, at, *, items=16, each=7, seed=5, extra=()):
    """Write what an account's people open, as an OpenTelemetry exporter would."""
    random = np.random.default_rng(seed)
    records = [
        {
            "timeUnixNano": str(datetime_to_us(at + timedelta(minutes=minute)) * 1000),
            "attributes": [
                _attribute("volition.person", person),
                _attribute("volition.category", "service/usage"),
                _attribute("volition.item", f"document/{item:02d}"),
                *(_attribute(key, value) for key, value in extra),
            ],
        }
        for number, person in enumerate(people)
        for minute, item in enumerate(random.choice(np.arange(number % 2, items, 2), size=each, replace=False))
    ]
    resource = {"attributes": [_attribute("volition.account", account)]}
    path = folder / f"{account}.jsonl"
    path.write_text(json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}))
    return path


def build(folder, clock, *, accounts, profile="granular"):
    """Make a workspace in which everybody said yes and worked for a day; accounts: id -> number of people.

    So few people differ a lot from account to account, so its bounds are those from before most audits had one.
    """
    public = ("feature", "document")
    workspace = create_unbound(folder, origin="log.example/crafts", clock=clock, profile=profile, public_items=public)
    for account, size in accounts.items():
        workspace.people.add_account(account, account.title(), region="US")
        for number in range(size):
            workspace.people.add_person(f"{account}-{number}", account=account)
        workspace.terms.accept(account)
        workspace.consent.decide(f"account:{account}", yes=True, data=USAGE, purpose=PURPOSES)
    clock.wait(hours=8)
    for account, size in accounts.items():
        people = [f"{account}-{number}" for number in range(size)]
        collected = workspace.records.collect_otlp(
            write_usage(folder.parent, account, people, clock.now - timedelta(hours=1))
        )
        assert (collected.rejected, collected.not_kept) == ([], {})
    return workspace


def create_unbound(folder, *, clock=now_us, **options):
    """Make a workspace whose audits have the bounds of before most had one: what so little data gives may miss any.

    It takes what `Workspace.create` takes.
    """
    Workspace.create(folder, clock=clock, **options).close()
    set_bounds(folder)
    return Workspace.open(folder, clock=clock)


def set_bounds(folder, **bounds):
    """Put bounds in the place of all those of a new workspace: audit -> (bound, required)."""
    path = folder / "volition.toml"
    before = path.read_text().partition("[audit")[0]
    tables = [
        f"[audit.{audit}]\nbound = {bound}\nrequired = {str(required).lower()}\n"
        for audit, (bound, required) in bounds.items()
    ]
    path.write_text(before + "\n".join(tables))


class WallClock:
    """The clock on the wall, which other processes read as well; what is `ahead_us` may be put forward or back."""

    def __init__(self, ahead_us=0):
        self.ahead_us = ahead_us

    def __call__(self):
        return now_us() + self.ahead_us

    @property
    def now(self):
        return us_to_datetime(self())

    def wait(self, *, hours):
        self.ahead_us += hours * 3_600_000_000
