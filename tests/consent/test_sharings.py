"""What was opened to whom: by whom it was opened counts, closing takes it back, and it is saved as it stands."""

from volition.consent.history.sharings import OPERATOR, SOURCE, Sharings

STANDUP, CHANNEL = ("meeting", "5c"), ("channel", "ab")
ADA, BO, EVERYBODY = "person:ada", "person:bo", "account:acme"


def shared():
    found = Sharings()
    found.share("acme", STANDUP, to=[ADA, BO], by="person:cy", at_us=5)
    found.share("acme", STANDUP, to=[ADA], by=OPERATOR, at_us=6)
    found.share("acme", STANDUP, to=[ADA], by="person:cy", at_us=7)  # it is open since it was opened first
    found.share("acme", CHANNEL, to=[EVERYBODY, ADA], by=SOURCE, at_us=8)
    found.share("acme", CHANNEL, to=[ADA], by=OPERATOR, at_us=9)
    found.share("brill", STANDUP, to=[ADA], by=OPERATOR, at_us=10)
    return found


def seen(sharings):
    return {
        (account, party): dict(sharings.of(account, party))
        for account in ("acme", "brill", "cargo")
        for party in (ADA, BO, EVERYBODY)
        if sharings.of(account, party)
    }


def test_it_is_told_what_was_opened_to_whom_by_whom_and_since_when():
    sharings = shared()
    assert seen(sharings) == {
        ("acme", ADA): {STANDUP: {"person:cy": 5, OPERATOR: 6}, CHANNEL: {SOURCE: 8, OPERATOR: 9}},
        ("acme", BO): {STANDUP: {"person:cy": 5}},
        ("acme", EVERYBODY): {CHANNEL: {SOURCE: 8}},
        ("brill", ADA): {STANDUP: {OPERATOR: 10}},
    }
    assert sharings.openers("acme", STANDUP) == {ADA: {"person:cy": 5, OPERATOR: 6}, BO: {"person:cy": 5}}
    assert sharings.openers("acme", CHANNEL) == {EVERYBODY: {SOURCE: 8}, ADA: {SOURCE: 8, OPERATOR: 9}}
    assert sharings.openers("brill", STANDUP) == {ADA: {OPERATOR: 10}}
    assert sharings.openers("brill", CHANNEL) == {}
    assert sharings.openers("cargo", STANDUP) == {}


def test_whoever_closes_closes_it_whoever_opened_it_but_only_for_those_named():
    sharings = shared()
    sharings.unshare("acme", STANDUP, to=[ADA], by="person:cy")
    sharings.unshare("acme", CHANNEL, to=[ADA, EVERYBODY], by=OPERATOR)
    assert seen(sharings) == {("acme", BO): {STANDUP: {"person:cy": 5}}, ("brill", ADA): {STANDUP: {OPERATOR: 10}}}


def test_a_source_takes_back_its_own_word_alone():
    sharings = shared()
    sharings.unshare("acme", CHANNEL, to=[ADA, EVERYBODY], by=SOURCE)
    assert sharings.openers("acme", CHANNEL) == {ADA: {OPERATOR: 9}}
    sharings.unshare("acme", STANDUP, to=[EVERYBODY], by=SOURCE)  # was never open to it
    assert sharings.openers("acme", STANDUP) == {ADA: {"person:cy": 5, OPERATOR: 6}, BO: {"person:cy": 5}}


def test_a_digest_under_a_key_is_found_by_the_plain_one_unless_an_earlier_version_opened_that():
    sharings = shared()
    sharings.keyed = lambda account, source: f"{account}-{source}" if account == "acme" else None
    sharings.share("acme", ("meeting", "acme-00"), to=[BO], by=OPERATOR, at_us=11)
    assert sharings.known_as("acme", ("meeting", "00")) == ("meeting", "acme-00")
    assert sharings.openers("acme", ("meeting", "00")) == {BO: {OPERATOR: 11}}
    assert sharings.openers("acme", ("channel", "00")) == {}
    assert sharings.known_as("acme", STANDUP) == STANDUP
    assert sharings.known_as("brill", ("meeting", "00")) == ("meeting", "00"), "the key is gone"
    assert Sharings().known_as("acme", STANDUP) == STANDUP


def test_sharings_come_back_equal_from_json_and_those_of_an_earlier_version_without_instants():
    sharings = shared()
    assert seen(Sharings.from_json(sharings.to_json())) == seen(sharings)
    assert min(sharings.to_json()) == ["acme", EVERYBODY, "channel", "ab", SOURCE, 8]
    assert len(sharings.to_json()) == 7
    assert Sharings.from_json([]).to_json() == []
    assert seen(Sharings.from_json([["acme", ADA, "meeting", "5c", OPERATOR]])) == {
        ("acme", ADA): {STANDUP: {OPERATOR: 0}}
    }
