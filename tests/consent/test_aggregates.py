"""Counts: an administrator learns of groups, and never anybody's own answer; what is counted is what was said."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volition.consent.aggregates import FEWEST, Counted, banded, count
from volition.consent.choices import PartyAnswer, choices
from volition.consent.history import Decision, History
from volition.consent.terms.terms_file import load_profile

TERMS = load_profile("granular")
AT_US = TERMS.effective_us + 1_000_000


def world(said):
    """Return a history in which people ("person:N") have said things: (yes, categories, purposes, until) in order."""
    history = History()
    history.bindings.publish(TERMS, binds_us=TERMS.effective_us)
    history.bindings.accept("acme", TERMS.id, at_us=TERMS.effective_us)
    for number, answers in enumerate(said):
        for later, (yes, categories, purposes, until_us) in enumerate(answers):
            decision = Decision(
                yes=yes,
                categories=categories,
                purposes=purposes,
                at_us=TERMS.effective_us + later,
                until_us=until_us if yes else None,
            )
            history.answers.decide(f"person:{number}", decision)
    return history


def shown(people, yes, no):
    return tuple(banded(each, of=people) for each in (yes, no, people - yes - no))


@pytest.mark.parametrize("people", range(2 * FEWEST, 24))
def test_whatever_is_shown_at_least_five_might_have_answered_otherwise(people):
    """Every way in which people can have answered, and what each looks like: none that looks alike is told apart."""
    alike = {}
    for yes, no in product(range(people + 1), repeat=2):
        if yes + no <= people:
            alike.setdefault(shown(people, yes, no), []).append((yes, no, people - yes - no))
    for told in alike.values():
        for answer in range(3):
            assert min(ways[answer] for ways in told) <= people - FEWEST


@pytest.mark.parametrize("people", range(2 * FEWEST))
def test_of_few_people_nothing_is_counted(people):
    history = world([[]] * people)
    choice = choices(history, account="acme", party="account:acme", at_us=AT_US).of("train-search")
    assert count(history, [f"person:{number}" for number in range(people)], choice, account="acme", at_us=AT_US) is None


CATEGORIES = st.sampled_from([frozenset({"content/chat"}), frozenset({"service/usage"}), frozenset({"content/files"})])
PURPOSES = st.sampled_from([frozenset({"train/search"}), frozenset({"train/summary", "train/search"})])


UNTIL = st.sampled_from([None, AT_US, AT_US + 1])


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.lists(st.tuples(st.booleans(), CATEGORIES, PURPOSES, UNTIL), max_size=3), min_size=10, max_size=20))
def test_what_is_counted_is_what_each_persons_own_page_says(said):
    history = world(said)
    parties = [f"person:{number}" for number in range(len(said))]
    of_account, *of_each = [
        choices(history, account="acme", party=party, at_us=AT_US) for party in ("account:acme", *parties)
    ]
    for switch in ("train-search", "train-summary"):
        account, own = of_account.of(switch), [found.of(switch) for found in of_each]
        heard = [{line.answer for line in choice.lines} for choice in own]
        no = sum(PartyAnswer.NO in answers for answers in heard)
        yes = sum(PartyAnswer.YES in answers and PartyAnswer.NO not in answers for answers in heard)
        expected = shown(len(said), yes, no)
        assert count(history, parties, account, account="acme", at_us=AT_US) == Counted(
            yes=expected[0], no=expected[1], nothing=expected[2]
        )
