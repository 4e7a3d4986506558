"""What every family promises of forgetting: the model afterwards is the model that never saw who was forgotten.

A new family adds one line to `MAKERS`: how to make it, and rows from which it learns whoever of three accounts, with
four people each, is missing.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import HashEncoder
from tiny_llama import make_base, needed
from volition.errors import InvalidInputError
from volition.learning.families.adapter.family import AdapterFamily
from volition.learning.families.adapter.recipe import Recipe
from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.diagnose.family import DiagnoseFamily
from volition.learning.families.family import Family, NoParts
from volition.learning.families.installed import BUILT_IN
from volition.learning.families.model import Model
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.search.family import SearchFamily
from volition.learning.families.summary.family import SummaryFamily
from volition.progress import silent
from volition.records.lake import Row

ACCOUNTS = ("acme", "brill", "corda")
PEOPLE = {account: tuple(f"{account}-{number}" for number in range(4)) for account in ACCOUNTS}
MEETINGS = 16
EVERYBODY = [*ACCOUNTS, *(person for people in PEOPLE.values() for person in people)]
SUBJECTS = ("battery", "budget", "colour", "holiday", "payroll", "menu")
CHATTER = ("so", "well", "yeah", "right", "we", "could", "then", "maybe", "think", "team", "again", "later")
ENCODER = HashEncoder()


def row(account, people, category, payload, number, *, embed=False):
    text = payload.get("text", "")
    return Row(
        record_id=f"{account}-{number:06d}",
        account=account,
        people=tuple(people),
        category=category,
        collected_us=number,
        payload=payload,
        embedding=ENCODER.encode([text])[0].astype(np.float16).astype(np.float32) if embed and text else None,
    )


def talk(account, *, embed):
    """Yield meetings of two people each: what is said, by whom, and what was said of it afterwards."""
    rng = random.Random(account)
    number = 0
    for meeting in range(MEETINGS):
        pair = rng.sample(PEOPLE[account], 2)
        agreed = []
        for turn in range(16):
            subject = SUBJECTS[turn // 4 + meeting % 3]
            words = " ".join([*rng.sample(CHATTER, 5), subject]).capitalize() + "."
            if turn % 4 == 1:
                words = f"We agreed that the {subject} goes before the {rng.choice(SUBJECTS)} this spring."
                agreed.append(words)
            speaker = pair[turn % 2]
            payload = {
                "kind": "segment",
                "meeting": f"meeting-{meeting}",
                "turn": turn,
                "start_ms": turn * 1000,
                "end_ms": turn * 1000 + 900,
                "speaker": speaker,
                "text": words,
            }
            everyone = (speaker, *(one for one in pair if one != speaker))
            yield row(account, everyone, "content/transcript", payload, number, embed=embed)
            number += 1
        payload = {"kind": "summary", "meeting": f"meeting-{meeting}", "text": " ".join(agreed)}
        yield row(account, pair, "content/transcript", payload, number)
        number += 1


def event(account, person, name, attributes, number):
    payload = {"kind": "event", "name": name, "attributes": attributes, "body": None}
    return row(account, (person,), "service/usage", payload, number)


def searched(*, embed):
    """Return meetings and, of each person, what they opened in them."""
    rows = []
    for account in ACCOUNTS:
        rows += talk(account, embed=embed)
        number = 100_000
        for person in PEOPLE[account]:
            for meeting in range(MEETINGS):
                first = 4 * (meeting % 4)
                where = {
                    "search.meeting": f"meeting-{meeting}",
                    "search.first_turn": first,
                    "search.last_turn": first + 3,
                }
                query = f"What about the {SUBJECTS[first // 4 + meeting % 3]}?"
                rows.append(event(account, person, "search.opened", {"search.query": query, **where}, number))
                number += 1
    return rows


def used():
    """Return what people open: each some of an account's documents, one of which nobody else opens."""
    rows = []
    for account in ACCOUNTS:
        rng = random.Random(account)
        for place, person in enumerate(PEOPLE[account]):
            items = [*rng.sample(("recipes", "prices", "stock", "weather", "posters"), 3), f"own-{person}"]
            rows += [
                event(account, person, "opened", {"volition.item": f"document/{item}"}, place * 100 + number)
                for number, item in enumerate(items)
            ]
    return rows


def chatted():
    """Return what people write to each other: some of it much the same, in words that several of them use."""
    rows = []
    for account in ACCOUNTS:
        rng = random.Random(account)
        for number in range(160):
            person = PEOPLE[account][number % 4]
            text = f"The {rng.choice(SUBJECTS)} {rng.choice(('is', 'was'))} {rng.choice(CHATTER)} on the table."
            payload = {"kind": "message", "channel": "general", "ts": f"{number}.0", "thread": None, "author": person}
            rows.append(row(account, (person,), "content/chat", payload | {"text": text}, number))
    return rows


def connected():
    """Return the telemetry of people's sessions, half of which fail where packets were lost."""
    rows = []
    for account in ACCOUNTS:
        rng = random.Random(account)
        for number in range(120):
            person = PEOPLE[account][number % 4]
            lost = rng.choice((1.0, 30.0))
            ended = "failed" if lost > 10.0 or rng.random() < 0.1 else "succeeded"
            for at, attributes in enumerate(({"packet.loss": lost}, {"session.outcome": ended})):
                attributes |= {"session.id": f"session-{number}"}
                payload = {"kind": "event", "name": "call.measured", "attributes": attributes, "body": None}
                rows.append(row(account, (person,), "service/telemetry", payload, number * 10 + at))
    return rows


def adapted():
    """Return an adapter of a tiny Llama, of which each shard holds one or two of the accounts."""
    needed()
    folder = Path(mkdtemp())
    make_base(folder / "base")
    recipe = Recipe(base="base", shards=2, rank=2, steps=2, rate=0.4, tokens=16, threads=1)
    return AdapterFamily(recipe, folder=folder, secret=b"of a test"), chatted()


Made = tuple[Family, Sequence[Row]]
MAKERS: dict[str, Callable[[], Made]] = {
    "adapter": adapted,
    "search": lambda: (SearchFamily(ENCODER), searched(embed=True)),
    "compose": lambda: (ComposeFamily(k=2), chatted()),
    "diagnose": lambda: (DiagnoseFamily(), connected()),
    "recommend": lambda: (RecommendFamily(), used()),
    "summary": lambda: (SummaryFamily(), [one for account in ACCOUNTS for one in talk(account, embed=True)]),
}

# Its packages take ten seconds to import: with the long tests, in one process.
HEAVY = [pytest.mark.slow, pytest.mark.xdist_group("adapter")]
NAMES = [pytest.param(name, marks=HEAVY if name == "adapter" else []) for name in sorted(MAKERS)]

_made: dict[str, tuple[Family, Sequence[Row], Model]] = {}


def made(name: str) -> tuple[Family, Sequence[Row], Model]:
    """Make a family with its rows and the model that it learns from all of them, once."""
    if name not in _made:
        family, rows = MAKERS[name]()
        _made[name] = (family, rows, family.fit(rows, parts=NoParts(), progress=silent))
    return _made[name]


def without(rows, gone):
    return [one for one in rows if one.account not in gone and not set(one.people) & set(gone)]


def forgets(name, gone, *, before=None):
    """Forget parties; return the model and the one that never saw them, each none where nothing is left to learn."""
    family, rows, model = made(name)
    after = without(rows, gone)
    before = rows if before is None else before
    answers = []
    for learn in (
        lambda: family.forget(model, before=before, after=after, parts=NoParts(), progress=silent),
        lambda: family.fit(after, parts=NoParts(), progress=silent),
    ):
        try:
            answers.append(learn().files())
        except InvalidInputError:
            answers.append(None)
    return answers


def test_every_family_is_held_to_it():
    assert MAKERS.keys() == set(BUILT_IN)


@pytest.mark.slow
@pytest.mark.parametrize(
    "gone",
    [["acme-0"], ["brill"], ["acme-1", "brill", "corda-3"], list(PEOPLE["corda"]), ["brill", "acme-0", "acme-3"], []],
    ids=["a person", "an account", "several", "everyone of an account", "an account and some", "nobody"],
)
@pytest.mark.parametrize("name", NAMES)
def test_the_model_afterwards_is_the_one_that_never_saw_them(name, gone):
    _, _, model = made(name)
    forgotten, never = forgets(name, gone)
    assert forgotten is not None
    assert forgotten == never
    assert (forgotten == model.files()) == (not gone)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_where_everybody_is_forgotten_nothing_is_left_to_learn_from(name):
    assert forgets(name, EVERYBODY) == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_account_is_forgotten_whose_content_nobody_can_open_any_more(name):
    _, rows, _ = made(name)
    closed = [replace(one, payload={}, embedding=None) if one.account == "brill" else one for one in rows]
    forgotten, never = forgets(name, ["brill"], before=closed)
    assert forgotten is not None
    assert forgotten == never


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4)
@given(gone=st.lists(st.sampled_from(EVERYBODY), max_size=12, unique=True), order=st.randoms(use_true_random=False))
def test_whoever_is_forgotten_and_in_whatever_order_rows_come(name, gone, order):
    _, rows, _ = made(name)
    forgotten, never = forgets(name, gone, before=order.sample(rows, len(rows)))
    assert forgotten == never


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_who_was_forgotten_before_may_be_forgotten_with_others_later(name):
    """Two forgettings in a row are one: nothing of the first comes back with the second."""
    family, rows, model = made(name)
    first, both = without(rows, ["acme-0"]), without(rows, ["acme-0", "brill"])
    once = family.forget(model, before=rows, after=first, parts=NoParts(), progress=silent)
    twice = family.forget(once, before=first, after=both, parts=NoParts(), progress=silent)
    assert twice.files() == family.fit(both, parts=NoParts(), progress=silent).files()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_unit_says_whom_it_is_about_so_that_groups_can_be_told_apart(name):
    family, rows, _ = made(name)
    scores = [family.evaluate(None, *family.holdout(rows, fold, 3)) for fold in range(3)]
    assert sum(len(one.units) for one in scores) > 1
    for one in scores:
        assert len(one.people) == len(one.units)
        for account, people in zip(one.accounts, one.people, strict=True):
            assert people
            assert set(people) <= {person for row in rows if row.account == account for person in row.people}
