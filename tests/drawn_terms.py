"""Terms drawn at random, from few enough words that their rules meet."""

import itertools

from hypothesis import assume
from hypothesis import strategies as st

from volition.consent.terms.model import CATEGORIES, PARTY_WORDS, PURPOSES, Basis, Rule, Switch, Terms
from volition.consent.terms.toml_file import FaultError
from volition.consent.terms.vocabulary import Category, Purpose

OWN_CATEGORIES = (
    Category(name="content/notes", words="notes"),
    Category(name="crm/tickets", words="support tickets"),
    Category(name="crm/calls", words="calls with the support", content=False),
)
OWN_PURPOSES = (Purpose(name="train/churn", title="Train churn prediction"), Purpose(name="resale", title="Resale"))
USES = list(itertools.product(CATEGORIES, PURPOSES))
ALL_USES = list(
    itertools.product(
        (*CATEGORIES, *(one.name for one in OWN_CATEGORIES)), (*PURPOSES, *(one.name for one in OWN_PURPOSES))
    )
)
DAY_US = 86_400_000_000
CATEGORY_NAMES = ("service", "content", *CATEGORIES)
PURPOSE_NAMES = ("train", "feature", *PURPOSES)
REGION_NAMES = ("EEA", "DE", "US", "US-CA", "GB")
SOME_REGIONS = (None, "DE", "DE-BY", "FR", "FR-IDF", "US", "US-CA", "US-TX", "GB", "JP")


def some_of(words, least=0, most=3):
    return st.lists(st.sampled_from(words), min_size=least, max_size=most, unique=True).map(tuple)


def named_by(names, declared):
    """Return the names that rules can have where some are declared, roots included."""
    own = [one.name for one in declared]
    return (*dict.fromkeys([*names, *(name.partition("/")[0] for name in own), *own]),)


@st.composite
def rules(draw, categories=(), purposes=()):
    """Draw a rule of terms that declare some names."""
    basis = draw(st.sampled_from(list(Basis)))
    return Rule(
        data=draw(some_of(named_by(CATEGORY_NAMES, categories), least=1)),
        purpose=draw(some_of(named_by(PURPOSE_NAMES, purposes), least=1)),
        region=draw(st.just(()) | some_of(REGION_NAMES)),
        basis=basis,
        asks=draw(some_of(PARTY_WORDS, least=1)) if basis is Basis.CONSENT else (),
        refusable_by=() if basis is Basis.NEVER else draw(some_of(PARTY_WORDS)),
        max_age_us=draw(st.none() | st.sampled_from([1, DAY_US, 365 * DAY_US])),
        max_yes_age_us=draw(st.none() | st.sampled_from([1, DAY_US, 365 * DAY_US])) if basis is Basis.CONSENT else None,
        scrub=draw(st.booleans()),
    )


def build(ruleset, **other):
    return Terms(
        **{"id": "t", "title": "T", "effective_us": 0, "acceptance": "explicit", "text": "Prose."} | other,
        rules=tuple(ruleset),
    )


@st.composite
def versions(draw):
    """Draw valid terms: rules that tie or never apply are taken out again."""
    own = draw(some_of(OWN_CATEGORIES, most=2)), draw(some_of(OWN_PURPOSES, most=2))
    purpose_names = named_by(PURPOSE_NAMES, own[1])
    ruleset = draw(st.lists(rules(*own), min_size=1, max_size=5))
    switches = [
        Switch(name=f"switch-{number}", title=draw(st.sampled_from(["A", "B é"])), refuses=refuses, disables=disables)
        for number, (refuses, disables) in enumerate(
            draw(
                st.lists(st.tuples(some_of(purpose_names, least=1), some_of(["feature", "feature/search"])), max_size=2)
            )
        )
    ]
    other = {
        "effective_us": draw(st.integers(0, 4 * 10**15)),
        "acceptance": draw(st.sampled_from(["explicit", "continued-use"])),
        "notice_days": draw(st.integers(0, 90)),
        "switches": tuple(switches),
        "categories": own[0],
        "purposes": own[1],
        "signals": draw(st.just({}) | st.fixed_dictionaries({"gpc": some_of(purpose_names, least=1)})),
    }
    while True:
        try:
            return build(ruleset, **other)
        except FaultError as error:
            key, number = error.path
            if key != "rule":
                raise
            del ruleset[number]
            assume(ruleset)
