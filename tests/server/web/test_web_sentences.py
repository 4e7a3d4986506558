"""Every sentence of a switch's card, in every state, is what the gate does: with the state as it is, after a yes, a no.

A state is a terms profile, whether it binds, what the account and the person have answered, where they are, and what
the account limits; in each, every kind of data is looked at for every purpose. The quick tests look at a sample that
meets each value of each of these; the whole product takes an hour.
"""

import os
import random
from functools import cache
from itertools import chain, product

import pytest

from volition.canonical import us_to_text
from volition.consent.choices import PartyAnswer, choices, saying
from volition.consent.gate import Record, decide
from volition.consent.history import read_history
from volition.consent.permits import Permit, Permits, Say
from volition.consent.references import person_ref
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.consent.terms.terms_file import PROFILES, load_profile
from volition.consent.terms.vocabulary import BUILT_IN, leaves
from volition.ledger.entry import Entry
from volition.server.web import labels as words
from volition.server.web.account import settings as account_settings
from volition.server.web.answering import when_it_counts
from volition.server.web.features.switches import why_it_stands
from volition.server.web.person import settings as person_settings
from volition.server.web.standing import is_used_here

DAY_US = 86_400_000_000
BEGAN_US = 1_800_000_000_000_000
NOW_US = BEGAN_US + 90 * DAY_US
ENDED_US = NOW_US - DAY_US
SAID_US = NOW_US - DAY_US // 2
PERSON, ACCOUNT = "person:ada", "account:acme"
ANSWERS = {
    "silent": (),
    "yes": (("yes", None),),
    "no": (("no", None),),
    "yes to the past": (("yes", "past"),),
    "withdrawn": (("yes", "past"), ("no", None)),
    "yes again": (("yes", "past"), ("no", None), ("yes", None)),
    "yes to chat": (("chat", None),),
    "a yes that ended": (("until", "past"),),
}
REGIONS = {
    "nowhere": (),
    "both in the US": ((ACCOUNT, "US"),),
    "both in Germany": ((ACCOUNT, "DE"),),
    "a German of a US account": ((ACCOUNT, "US"), (PERSON, "DE")),
    "an American of a German account": ((ACCOUNT, "DE"), (PERSON, "US")),
}
LIMITS = {
    "none": None,
    "the lock": ("", (), "train"),
    "a group": ("interns", (PERSON,), "train"),
    "a group, one feature": ("interns", (PERSON,), "feature/search"),
}
BOUND = {"binding": True, "published": False}
STATES = list(product(sorted(PROFILES), BOUND, ANSWERS, ANSWERS, REGIONS, LIMITS))
FALSE_ONCE = [  # states in which a sentence was false once, or would be with a fault that is easily made
    ("bundled", "binding", "silent", "silent", "both in the US", "none"),  # silence is enough for some data only
    ("bundled", "binding", "silent", "yes", "a German of a US account", "none"),  # the account is asked because of her
    ("bundled", "binding", "silent", "silent", "an American of a German account", "none"),
    ("bundled", "binding", "yes", "no", "both in the US", "none"),
    ("2023-08-07", "binding", "no", "silent", "nowhere", "none"),  # a no that does not reach service data
    ("granular", "binding", "yes to the past", "silent", "nowhere", "none"),  # a feature that is on without her yes
]


def sample():
    """Return states in which each profile meets each region, and each other value occurs; the same each time."""
    drawn = random.Random(20230807)
    found, met = [*FALSE_ONCE], set()
    for state in drawn.sample(STATES, len(STATES)):
        values = {(state[0], state[4]), *state[1:4], state[5]}
        if not values <= met:
            met |= values
            found.append(state)
    return found


@cache
def terms_json(profile):
    return load_profile(profile).to_json()


def events_of(state):
    profile, bound, account, person, region, limit = state
    yield "terms", {"terms": terms_json(profile), "binds": us_to_text(BEGAN_US)}
    for party, name in REGIONS[region]:
        yield "region", {"party": party, "region": name}
    if BOUND[bound]:
        yield "acceptance", {"account": "acme", "terms": profile}
    for party, said in ((ACCOUNT, account), (PERSON, person)):
        for word, covers in ANSWERS[said]:
            data = ["content/chat"] if word == "chat" else ["service", "content"]
            event, body = decision(party, word != "no", data, ["train", "feature", "advertising", "tracking"], covers)
            yield event, body | ({"until": us_to_text(ENDED_US)} if word == "until" else {})
    if LIMITS[limit] is not None:
        group, people, purpose = LIMITS[limit]
        body = {"account": "acme", "group": group, "people": list(people), "limited": True}
        yield "limit", {**body, "data": ["service", "content"], "purpose": [purpose]}


def decision(party, yes, data, purpose, covers=None):
    answer = {"party": party, "answer": "yes" if yes else "no", "data": list(data), "purpose": list(purpose)}
    return "decision", {**answer, "covers": covers}


class World:
    """What was said, and then one question: of the pages and of the gate."""

    def __init__(self, events, said=()):
        """Take what happened, one thing a day from the first day on, and what is said in the end."""
        self.events = list(events)
        timed = [(BEGAN_US + number * DAY_US, event) for number, event in enumerate(self.events)]
        timed += [(SAID_US, event) for event in said]
        entries = [
            Entry(seq=number, at_us=at_us, kind=kind, body=body) for number, (at_us, (kind, body)) in enumerate(timed)
        ]
        self.history = read_history(entries)
        self.now_us = NOW_US
        self._permits = {}

    def permits(self, purpose):
        if purpose not in self._permits:
            self._permits[purpose] = Permits(self.history, purpose=purpose, at_us=self.now_us)
        return self._permits[purpose]

    def permit_of(self, use):
        permits = self.permits(use.purpose)
        company = permits.company(use.account, use.beside)
        return permits.of(use.account, use.party, use.role, use.category, company=company)

    def choices(self, party):
        return choices(self.history, account="acme", party=party, at_us=self.now_us, permit_of=self.permit_of)

    def verdict(self, line):
        record = Record(account="acme", people=(person_ref("ada"),), category=line.category, collected_us=self.now_us)
        return decide(self.permits(line.purpose), record)

    def saying(self, party, said):
        return World(self.events, [decision(party, said.yes, said.data, said.purpose, said.covers)])


def lines_of(found):
    return {(line.category, line.purpose): line for choice in found.choices for line in choice.lines}


def is_used(word):
    return {"Used": True, "Allowed": True, "Not used": False, "Not allowed": False}[word]


AUDIO = {"content/audio", "content/video"}


def word_of(permitted):
    """Return the word for some of the gate's answers; several where the page may say used or allowed."""
    answers = set(permitted)
    if answers == {True}:
        return {"Used", "Allowed"}
    return {"Used in part", "Allowed in part"} if True in answers else {"Not used", "Not allowed"}


def check_rows(world, choice, card):
    permitted = [world.verdict(line).permitted for line in choice.lines]
    assert [is_used(row.state.word) for row in card.kinds] == permitted
    for line, row in zip(choice.lines, card.kinds, strict=True):
        is_read = line.category not in AUDIO or line.purpose == "feature/transcribe"
        assert not (row.state.word == "Used" and not is_read), row
    here = [used for used, row in zip(permitted, card.kinds, strict=True) if row.state.word != "Allowed"]
    live = [used for used, line in zip(permitted, choice.lines, strict=True) if is_used_here(line)]
    assert card.state.word in word_of(live or permitted), (card.state, permitted, here)


def check_answered(choice, card):
    own = {isinstance(line.own, Permit) for line in choice.lines if line.say is not Say.NONE}
    waits = {line.own.reason.value for line in choice.lines if not isinstance(line.own, Permit)} & {
        "limited",
        "no-terms",
    }
    if waits:
        return
    if (
        choice.answer == "nothing"
    ):  # what the sentence names as free and as asked for is what the gate lets by in silence
        for line in choice.lines:
            if line.say is not Say.NONE:
                assert isinstance(line.own, Permit) == (line.say is Say.MAY_REFUSE), line
    told = card.answered
    claims = {
        "The terms allow this without": own == {True},
        "The terms allow without": own == {True, False},
        "It is still not used": not any(line.stands for line in choice.lines),
        "Part of it is still not used": {line.stands for line in choice.lines} == {True, False},
        "Since then this counts as a no": own == {False},
        "not answered, and no answer is not a yes": own == {False},
    }
    for claim, holds in claims.items():
        assert holds or claim not in told, told


def check_yes(world, party, choice, card):
    """Say yes and look at what became of each kind of data on which the party has a say."""
    after = world.saying(party, saying(choice, BUILT_IN, yes=True))
    then = lines_of(after.choices(party))
    far = lines_of(world.saying(party, saying(choice, BUILT_IN, yes=True, covers="past")).choices(party))
    opened = held = waiting = further = False
    for line in choice.lines:
        if line.say is Say.NONE:
            continue
        now = then[line.category, line.purpose].own
        reached = far[line.category, line.purpose].own
        if not isinstance(now, Permit):
            waiting = True
        elif isinstance(line.own, Permit):
            held = True
            assert now.since_us == line.own.since_us
        else:
            opened = True
            assert now.since_us == SAID_US  # from the yes on, and not before
        further |= isinstance(reached, Permit) and isinstance(now, Permit) and reached.since_us < now.since_us
    told = " ".join(card.yes)
    was_said = {
        line.answer is PartyAnswer.YES
        for line in choice.with_say(Say.ASKED, Say.MAY_REFUSE)
        if isinstance(line.own, Permit)
    }
    assert ("that was said already" in told) == (True in was_said), card.yes
    assert ("that is allowed without" in told) == (False in was_said), card.yes
    assert ("covers data collected from now on" in told) == opened, card.yes
    assert ("changes nothing about data collected since" in told) == held, card.yes
    assert ("is recorded, and takes effect" in told) == waiting, card.yes
    if not waiting:
        assert card.reaches_back == further
    counts = when_it_counts(after.choices(party).of(choice.switch.name), yes=True)
    assert (counts == "counts from now on") == (opened or held)


def check_no(world, party, choice, card):
    """Say no: what the card says is off is off, and nothing else changed."""
    after = world.saying(party, saying(choice, BUILT_IN, yes=False))
    for purpose in choice.purposes:
        lines = [line for line in choice.lines if line.purpose == purpose]
        off = [not after.verdict(line).permitted for line in lines]
        if party == PERSON and words.purpose(purpose).without in card.no:
            assert all(off), (purpose, card.no)
        bound = [line for line in lines if line.say is Say.NONE]
        if any(world.verdict(line).permitted for line in bound):
            assert "give no say" in card.answered or choice.answer != "no"
            assert any("It does not reach" in line for line in card.no) or len(bound) == len(lines), card.no
    rest = [purpose for purpose in PURPOSES if purpose not in choice.purposes]
    for line in lines_of(world.choices(party)).values():
        if line.purpose in rest:
            assert world.verdict(line).permitted == after.verdict(line).permitted
    besides = set(leaves(choice.switch.disables, PURPOSES)) if choice.switch.disables else set()
    for purpose in rest:
        assert f"It does not turn off {words.purpose(purpose).title.lower()}" not in " ".join(card.no) or (
            purpose not in besides
        )
    if besides:
        assert (
            f"This no also turns off: {words.listed([words.purpose(one).title for one in besides_in(besides)])}."
            in (card.no)
        )


def besides_in(purposes):
    return [purpose for purpose in PURPOSES if purpose in purposes]


def check_why(world, choice):
    """The sentence beside a use on a feature's page says who allows it: nobody is said to have agreed who did not."""
    for line in choice.lines:
        why = why_it_stands(line, "Acme")
        assert why.startswith("Allowed: ") == world.verdict(line).permitted
        if "you said yes" in why:
            assert line.answer == "yes"
        if "Acme said yes" in why:
            account = lines_of(world.choices(ACCOUNT))[line.category, line.purpose]
            assert account.answer == "yes"


def check(state):
    world = World(events_of(state))
    found = world.choices(PERSON)
    for choice in found.choices:
        card = person_settings.card_of(choice, "Acme", due_days=30)
        check_rows(world, choice, card)
        check_answered(choice, card)
        check_why(world, choice)
        if choice.has_say:
            check_yes(world, PERSON, choice, card)
            check_no(world, PERSON, choice, card)
    mentioned = set(lines_of(found)) | {(one, never.purpose) for never in found.never for one in never.categories}
    assert mentioned == set(product(CATEGORIES, PURPOSES))  # whatever there is, the page says something about it
    for never in found.never:
        for category in never.categories:
            record = Record(account="acme", people=(person_ref("ada"),), category=category, collected_us=NOW_US)
            assert not decide(world.permits(never.purpose), record).permitted
    of_account = world.choices(ACCOUNT)
    for choice in of_account.choices:
        card = account_settings.card_of(choice, "Acme", None, due_days=30)
        assert [is_used(row.state.word) for row in card.kinds] == [line.stands for line in choice.lines]
        check_answered(choice, card)
        if choice.has_say:
            check_no(world, ACCOUNT, choice, card)


@pytest.mark.slow
@pytest.mark.parametrize("state", sample(), ids=", ".join)
def test_what_a_card_says_is_what_the_gate_does(state):
    check(state)


@pytest.mark.slow
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_what_a_card_says_is_what_the_gate_does_in_every_state(profile):
    """Some of thousands of states, another set for each profile; all of them, an hour, where VOLITION_STATES is "all"."""
    states = [state for state in STATES if state[0] == profile]
    if os.environ.get("VOLITION_STATES") != "all":
        states = random.Random(profile).sample(states, len(states) // 120)
    for state in states:
        check(state)


def test_the_sample_meets_every_value():
    met = set(chain.from_iterable(sample()))
    assert met >= {*PROFILES, *BOUND, *ANSWERS, *REGIONS, *LIMITS}
