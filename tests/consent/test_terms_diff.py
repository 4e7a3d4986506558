"""What a new version of terms changes, in words, and whether it newly allows something."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from drawn_terms import ALL_USES, DAY_US, SOME_REGIONS, USES, build, rules, versions
from volition.canonical import canonical_json
from volition.consent.terms.diff import LOOSENING, diff, newly_allows
from volition.consent.terms.model import PURPOSES, Basis, Rule, Switch
from volition.consent.terms.terms_file import load_profile
from volition.consent.terms.vocabulary import leaves
from volition.errors import InvalidInputError

GOLDEN = {
    (None, "2023-03-31"): [
        "Newly allowed: all service data for any purpose. Nobody's yes is asked, and nobody can refuse.",
        (
            "Newly allowed: all content for training AI, AI features and advertising. "
            "Nobody's yes is asked, and nobody can refuse."
        ),
    ],
    ("2023-03-31", "2023-07-27"): [
        "Only the wording changes: the same uses are allowed, and the same people are asked.",
    ],
    ("2023-07-27", "2023-08-07"): [
        "Asked anew: the yes of the account, to use all content for training AI, AI features and advertising.",
        'New switch "Train AI with our content": off refuses training AI.',
        'New switch "AI features": off refuses AI features.',
    ],
    ("2023-08-07", "2023-08-11"): [
        "Newly forbidden: all content for training AI and advertising.",
        'The switch "Train AI with our content" is gone.',
    ],
    ("2023-08-11", "bundled"): [
        "Newly allowed: all content for training AI. It takes the yes of the account and everyone in the record.",
        "Newly forbidden: all service data for advertising and tracking.",
        (
            "Asked anew in the EEA, CH and GB: the yes of the account and the record's first person, "
            "to use all service data for training AI."
        ),
        "Asked anew: the yes of the account, to use all service data for AI features.",
        (
            "Newly refusable by the account and the record's first person outside the EEA, CH and GB: "
            "all service data for training AI."
        ),
        "Newly refusable by the record's first person: all data for AI features.",
        'The switch "AI features" is gone.',
        (
            'New switch "Generative AI features": off refuses training AI, '
            "and turns off the summary feature and the composer."
        ),
    ],
    ("granular", "granular"): ["Nothing changes."],
}


@pytest.mark.parametrize("use", USES, ids=" for ".join)
def test_a_diff_has_words_for_every_category_and_purpose(use):
    category, purpose = use
    allowing = build([Rule(data=(category,), purpose=(purpose,), basis=Basis.CONTRACT)])
    [change] = diff(None, allowing).changes
    assert change.text.startswith("Newly allowed: ")
    assert category not in change.text


@pytest.mark.parametrize(("old", "new"), GOLDEN)
def test_a_diff_says_in_plain_words_what_changes(old, new):
    changes = diff(old and load_profile(old), load_profile(new))

    assert list(changes.lines()) == GOLDEN[old, new]
    assert changes.to_json()["old"] == old
    assert [change["text"] for change in changes.to_json()["changes"]] == [change.text for change in changes.changes]
    assert canonical_json(changes.to_json())


BEFORE = Rule(data=("content",), purpose=("train",), basis=Basis.CONSENT, asks=("account", "everyone"))


def changed(**parts):
    values = {name: getattr(BEFORE, name) for name in ("data", "purpose", "region", "basis", "asks", "refusable_by")}
    return Rule(**values | parts)


@pytest.mark.parametrize(
    ("after", "line", "loosens"),
    [
        (
            [changed(asks=("account", "person"))],
            (
                "No longer asked: the yes of the other people in the record, to use all content for training AI. "
                "A no no longer counts."
            ),
            True,
        ),
        (
            [changed(asks=("account",), refusable_by=("everyone",))],
            (
                "No longer asked: the yes of everyone in the record, to use all content for training AI. "
                "A no still counts."
            ),
            True,
        ),
        (
            [changed(max_age_us=DAY_US)],
            "Records usable up to 1 day old (before: at any age): all content for training AI.",
            False,
        ),
        (
            [changed(max_yes_age_us=365 * DAY_US)],
            "A yes lasts 365 days (before: until it is withdrawn): all content for training AI.",
            False,
        ),
        ([changed(scrub=False)], "Personal identifiers no longer scrubbed: all content for training AI.", True),
        (
            [changed(data=("content/chat", "content/files"))],
            "Newly forbidden: audio, video and transcripts for training AI.",
            False,
        ),
        (
            [BEFORE, Rule(data=("content",), purpose=("train",), region=("US",), basis=Basis.NEVER)],
            "Newly forbidden in US: all content for training AI.",
            False,
        ),
        (
            [
                Rule(data=("content",), purpose=("train",), basis=Basis.NEVER),
                changed(region=("US-CA",)),
            ],
            "Newly forbidden outside US-CA: all content for training AI.",
            False,
        ),
        (
            [changed(purpose=tuple(reversed(leaves(["train"], PURPOSES))))],
            "Only the wording changes: the same uses are allowed, and the same people are asked.",
            False,
        ),
        (
            [
                BEFORE,
                changed(data=("service",), purpose=("feature/search",), asks=("person",), refusable_by=("account",)),
            ],
            (
                "Newly allowed: all service data for the search feature. "
                "It takes the yes of the record's first person; the account may refuse."
            ),
            True,
        ),
    ],
)
def test_each_kind_of_change_reads_well(after, line, loosens):
    old, new = build([BEFORE]), build(after, text="Other prose.")

    assert diff(old, new).lines() == (line,)
    assert newly_allows(old, new) is loosens


def test_who_may_refuse_is_told_too():
    nobody = Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT)
    person = replace(nobody, refusable_by=("person",))

    assert diff(build([nobody]), build([person])).lines() == (
        "Newly refusable by the record's first person: all content for training AI.",
    )
    assert diff(build([person]), build([nobody])).lines() == (
        "No longer refusable by the record's first person: all content for training AI.",
    )
    assert newly_allows(build([person]), build([nobody]))
    assert not newly_allows(build([nobody]), build([person]))


def test_a_signal_that_nobody_could_use_is_not_missed():
    before = build([Rule(data=("content",), purpose=("train",), basis=Basis.CONTRACT)], signals={"gpc": ("train",)})
    after = build([changed(asks=("account",))])

    assert diff(before, after).lines() == ("Asked anew: the yes of the account, to use all content for training AI.",)
    assert not newly_allows(before, after)


def test_settings_and_binding_are_reported_too():
    off = {"refuses": ("train",)}
    old = build(
        [BEFORE],
        switches=(Switch(name="a", title="A", **off), Switch(name="b", title="B", **off)),
        signals={"gpc": ("train",)},
    )
    new = build(
        [BEFORE],
        switches=(Switch(name="a", title="A!", **off), Switch(name="b", title="B", disables=("feature",), **off)),
        acceptance="continued-use",
        notice_days=7,
    )

    assert diff(old, new).lines() == (
        "The Global Privacy Control signal no longer counts as a no: all content for training AI.",
        'The switch "A", now called "A!": off refuses training AI, as before.',
        'The switch "B": off refuses training AI, and turns off AI features (before: off refuses training AI).',
        "A version now binds an account by going on using the service (before: only once it accepts).",
        "What is newly allowed is announced 7 days ahead (before: 30).",
    )
    assert newly_allows(old, new)
    assert not newly_allows(new, old)


ANSWERS = ("yes", "silent", "no", "yes, then signal", "signal")


def permits(rule, signalled, answers, age_us, yes_age_us):
    """Say whether a use is permitted, from the words of the design: every yes asked for is there, no no stands."""
    if rule is None or rule.basis is Basis.NEVER or (rule.max_age_us is not None and age_us > rule.max_age_us):
        return False
    for role, answer in zip(["account", "first", "other"], answers, strict=True):
        words = {"account": {"account"}, "first": {"person", "everyone"}, "other": {"everyone"}}[role]
        refused = answer == "no" or ("signal" in answer and signalled)
        if words & {*rule.asks} and (refused or not answer.startswith("yes")):
            return False
        if words & {*rule.asks} and rule.max_yes_age_us is not None and yes_age_us >= rule.max_yes_age_us:
            return False
        if words & {*rule.refusable_by} and refused:
            return False
    return True


def really_newly_allows(old, new):
    """Look for one person, one record, one use that only the new version permits; or for a shorter notice of the next."""
    if new.notice_days < old.notice_days:
        return True
    cases = {
        (
            old.rule_for(*use, region),
            new.rule_for(*use, region),
            use[1] in old.signals.get("gpc", ()),
            use[1] in new.signals.get("gpc", ()),
        )
        for use in ALL_USES
        for region in SOME_REGIONS
    }
    for was, now, was_signalled, now_signalled in cases:
        for answers, *ages_us in itertools.product(
            itertools.product(ANSWERS, repeat=3), [1, 2, DAY_US + 1, 366 * DAY_US], [0, DAY_US, 365 * DAY_US]
        ):
            if permits(now, now_signalled, answers, *ages_us):
                if not permits(was, was_signalled, answers, *ages_us):
                    return True
                if was.scrub and not now.scrub:
                    return True
    return False


@st.composite
def revisions(draw):
    """Draw an old version and one in which little is different: unlike versions nearly always loosen something."""
    old = draw(versions())
    rule, other = draw(st.sampled_from(old.rules)), draw(rules(old.categories, old.purposes))
    names = draw(
        st.sampled_from(
            [
                ("basis", "asks", "refusable_by", "max_yes_age_us"),
                ("max_yes_age_us",),
                ("max_age_us",),
                ("scrub",),
                ("data",),
                ("purpose",),
                (),
            ]
        )
    )
    signals = draw(st.just(old.signals) | st.sampled_from([{}, {"gpc": ("train",)}]))
    try:
        revised = replace(rule, **{name: getattr(other, name) for name in names})
        return old, build(
            [revised if known is rule else known for known in old.rules],
            signals=signals,
            categories=old.categories,
            purposes=old.purposes,
        )
    except InvalidInputError:
        reject()


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(revisions())
def test_a_version_newly_allows_iff_some_use_was_not_permitted_before(pair):
    old, new = pair

    assert newly_allows(old, new) is really_newly_allows(old, new)
    assert newly_allows(new, old) is really_newly_allows(new, old)
    assert diff(old, new).newly_allows is newly_allows(old, new)
    assert not newly_allows(old, old)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(versions(), versions())
def test_a_diff_names_every_use_whose_rule_changed_and_no_other(old, new):
    def meaning(terms, category, purpose, region):
        rule = terms.rule_for(category, purpose, region)
        if rule is None or rule.basis is Basis.NEVER:
            return None
        says = tuple(
            "asked" if words & {*rule.asks} else "may refuse" if words & {*rule.refusable_by} else "none"
            for words in ({"account"}, {"person", "everyone"}, {"everyone"})
        )
        signals = purpose in terms.signals.get("gpc", ()) if says != ("none",) * 3 else None
        return says, signals, rule.max_age_us, rule.max_yes_age_us, rule.scrub

    expected = {
        (*use, region)
        for use in ALL_USES
        for region in SOME_REGIONS
        if meaning(old, *use, region) != meaning(new, *use, region)
    }
    changes = [change for change in diff(old, new).changes if change.data and change.purpose]
    known = old.vocabulary.joined([*new.categories, *new.purposes])
    named = {
        use
        for change in changes
        for use in itertools.product(known.leaves_of_data(change.data), known.leaves_of_use(change.purpose))
    }

    assert named == {(category, purpose) for category, purpose, _ in expected}
    assert {change.kind for change in changes if change.loosens} <= LOOSENING
