"""Rules of other people's regions: what is said to be on is on, or it is said what more is asked with people from there."""

from itertools import product

import pytest

from volition.canonical import us_to_text
from volition.consent.choices import Elsewhere, choices
from volition.consent.gate import Record, decide
from volition.consent.history import read_history
from volition.consent.permits import Permits, Reason
from volition.consent.terms.model import Basis, Rule, Terms
from volition.consent.terms.terms_file import load_profile
from volition.ledger.entry import Entry

CATEGORY, PURPOSE = "content/chat", "train/search"
ACCOUNT, PERSON, OTHER = "account:acme", "person:ada", "person:bo"
ABOUT = {"data": (CATEGORY,), "purpose": (PURPOSE,)}
RULES = {  # what a region's rule may say
    "none": None,
    "never": {"basis": Basis.NEVER},
    "refused by the person": {"basis": Basis.CONTRACT, "refusable_by": ("person",)},
    "refused by both": {"basis": Basis.CONTRACT, "refusable_by": ("account", "person")},
    "refused by all": {"basis": Basis.CONTRACT, "refusable_by": ("everyone",)},
    "asks the account": {"basis": Basis.CONSENT, "asks": ("account",)},
    "asks the person": {"basis": Basis.CONSENT, "asks": ("person",)},
    "asks everyone": {"basis": Basis.CONSENT, "asks": ("account", "everyone")},
    "not for long": {"basis": Basis.CONTRACT, "refusable_by": ("account", "everyone"), "max_age_us": 5},
}
REGIONS = ("US", "DE", None)


def terms_of(here, there):
    rules = [Rule(**ABOUT, **RULES[here])] if RULES[here] else []
    rules += [Rule(**ABOUT, **RULES[there], region=("EEA",))] if RULES[there] else []
    return Terms(id="v", title="v", effective_us=0, acceptance="continued-use", text="prose", rules=tuple(rules))


def history_of(terms, regions, said):
    drafts = [
        ("terms", {"terms": terms.to_json(), "binds": us_to_text(1)}),
        ("acceptance", {"account": "acme", "terms": terms.id}),
        *(("region", {"party": party, "region": region}) for party, region in regions.items() if region),
        *(
            (
                "decision",
                {"party": party, "answer": answer, "covers": "past" if answer == "yes" else None}
                | {"data": ["content"], "purpose": ["train"]},
            )
            for party, answer in said.items()
            if answer
        ),
    ]
    return read_history(Entry(seq=seq, at_us=2 + seq, kind=kind, body=body) for seq, (kind, body) in enumerate(drafts))


def line_of(history, party, at_us):
    found = choices(history, account="acme", party=party, at_us=at_us)
    return next(
        (
            line
            for choice in found.choices
            for line in choice.lines
            if (line.category, line.purpose) == (CATEGORY, PURPOSE)
        ),
        None,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("here", "there"), [pair for pair in product(RULES, RULES) if set(pair) != {"none"}])
def test_what_is_said_to_be_on_is_refused_with_nobody_of_another_region_unless_that_is_said(here, there):
    """All rules of two places, all answers, and all places of the account, of who speaks and of who listens."""
    terms = terms_of(here, there)
    differs = 0
    for account, person, other in product((None, "yes", "no"), (None, "yes", "no"), ("yes",)):
        for places in product(("US", "DE"), REGIONS, REGIONS):
            regions = dict(zip((ACCOUNT, PERSON, OTHER), places, strict=True))
            history = history_of(terms, regions, {ACCOUNT: account, PERSON: person, OTHER: other})
            at_us = history.last_us + 1
            permits = Permits(history, purpose=PURPOSE, at_us=at_us)
            record = Record(account="acme", people=(PERSON, OTHER), category=CATEGORY, collected_us=at_us)
            verdict = decide(permits, record)
            for party, whose in ((ACCOUNT, {ACCOUNT}), (PERSON, {ACCOUNT, PERSON})):
                line = line_of(history, party, at_us)
                is_theirs = verdict.party in whose or verdict.reason is Reason.NEVER
                if line is not None and line.stands and not verdict.permitted and is_theirs:
                    assert line.elsewhere, (party, regions, account, person, verdict)
                    differs += 1
    assert differs or here == there or "none" in {here, there} or RULES[there]["basis"] is Basis.CONTRACT


def test_the_shipped_terms_say_what_the_european_rules_ask_besides():
    terms = load_profile("bundled")
    regions, said = {ACCOUNT: "US"}, {ACCOUNT: "yes", PERSON: "yes"}
    history = history_of(terms, regions, said)
    found = choices(history, account="acme", party=PERSON, at_us=terms.effective_us + 10**6)
    [line] = [
        line
        for choice in found.choices
        for line in choice.lines
        if (line.category, line.purpose) == ("service/usage", "train/search")
    ]
    assert line.elsewhere == (Elsewhere(regions=("EEA", "GB", "CH"), asks=("account", "person"), is_never=False),)


def test_a_rule_that_asks_less_elsewhere_adds_nothing():
    history = history_of(terms_of("asks everyone", "asks the account"), {ACCOUNT: "US"}, {})
    assert line_of(history, ACCOUNT, 100).elsewhere == ()
    history = history_of(terms_of("asks the account", "asks the account"), {ACCOUNT: "US"}, {})
    assert line_of(history, ACCOUNT, 100).elsewhere == ()
