"""What was opened to whom: by whom it was opened counts, closing takes it back, and it is saved as it stands."""

from volition.consent.history.sharings import OPERATOR, SOURCE, Sharings

STANDUP, CHANNEL = ("meeting", "5c"), ("channel", "ab")
ADA, BO, EVERYBODY = "person:ada", "person:bo", "account:acme"


def shared():
    found = Sharings()
    found.share("acme", STANDUP, to=[ADA, BO], by="person:cy")
    found.share("acme", STANDUP, to=[ADA], by=OPERATOR)
    found.share("acme", STANDUP, to=[ADA], by="person:cy")  # twice is once
    found.share("acme", CHANNEL, to=[EVERYBODY, ADA], by=SOURCE)
    found.share("acme", CHANNEL, to=[ADA], by=OPERATOR)
    found.share("brill", STANDUP, to=[ADA], by=OPERATOR)
    return found


def seen(sharings):
    return {
        (account, party): dict(sharings.of(account, party))
        for account in ("acme", "brill", "cargo")
        for party in (ADA, BO, EVERYBODY)
        if sharings.of(account, party)
    }


def test_it_is_told_what_was_opened_to_whom_and_by_whom():
    sharings = shared()
    assert seen(sharings) == {
        ("acme", ADA): {STANDUP: ("person:cy", OPERATOR), CHANNEL: (SOURCE, OPERATOR)},
        ("acme", BO): {STANDUP: ("person:cy",)},
        ("acme", EVERYBODY): {CHANNEL: (SOURCE,)},
        ("brill", ADA): {STANDUP: (OPERATOR,)},
    }
    assert sharings.openers("acme", STANDUP) == {ADA: ("person:cy", OPERATOR), BO: ("person:cy",)}
    assert sharings.openers("acme", CHANNEL) == {EVERYBODY: (SOURCE,), ADA: (SOURCE, OPERATOR)}
    assert sharings.openers("brill", STANDUP) == {ADA: (OPERATOR,)}
    assert sharings.openers("brill", CHANNEL) == {}
    assert sharings.openers("cargo", STANDUP) == {}


def test_whoever_closes_closes_it_whoever_opened_it_but_only_for_those_named():
    sharings = shared()
    sharings.unshare("acme", STANDUP, to=[ADA], by="person:cy")
    sharings.unshare("acme", CHANNEL, to=[ADA, EVERYBODY], by=OPERATOR)
    assert seen(sharings) == {("acme", BO): {STANDUP: ("person:cy",)}, ("brill", ADA): {STANDUP: (OPERATOR,)}}


def test_a_source_takes_back_its_own_word_alone():
    sharings = shared()
    sharings.unshare("acme", CHANNEL, to=[ADA, EVERYBODY], by=SOURCE)
    assert sharings.openers("acme", CHANNEL) == {ADA: (OPERATOR,)}
    sharings.unshare("acme", STANDUP, to=[EVERYBODY], by=SOURCE)  # was never open to it
    assert sharings.openers("acme", STANDUP) == {ADA: ("person:cy", OPERATOR), BO: ("person:cy",)}


def test_sharings_come_back_equal_from_json():
    sharings = shared()
    assert seen(Sharings.from_json(sharings.to_json())) == seen(sharings)
    assert min(sharings.to_json()) == ["acme", EVERYBODY, "channel", "ab", SOURCE]
    assert len(sharings.to_json()) == 7
    assert Sharings.from_json([]).to_json() == []
