"""Guessing is slow for whoever guesses, and for nobody else; a second factor is asked for once, each time anew."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from volition.errors import InvalidInputError, RefusedError
from volition.server.auth import DEVICE_US, Access, Role, Scope, TooManyAttemptsError
from volition.server.auth.devices import known, remember
from volition.server.auth.passwords import is_easily_guessed
from volition.server.auth.second_factors import RECOVERY_CODES
from waiting import StandingClock

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
PASSWORD = "correct horse battery"


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def access(tmp_path, clock):
    opened = Access.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def fail(access, times, user="olga", address="203.0.113.1", device=None):
    """Fail that often; return how many attempts were let through."""
    let = 0
    for _ in range(times):
        try:
            access.attempts.begin(user, address=address, device=device)
            let += 1
        except TooManyAttemptsError:
            pass
    return let


def test_each_failure_from_one_address_makes_the_next_wait_longer(access, clock):
    assert fail(access, 20) == 5
    for wait_s in (15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600):
        clock.now_us += wait_s * SECOND_US - 1
        assert fail(access, 1) == 0
        clock.now_us += 1
        assert fail(access, 1) == 1


def test_whoever_guesses_keeps_out_nobody_elsewhere(access):
    fail(access, 50)
    with pytest.raises(TooManyAttemptsError, match="Try again in 15 seconds"):
        access.attempts.begin("olga", address="203.0.113.1")
    access.attempts.begin("olga", address="198.51.100.7")


def test_many_addresses_do_not_keep_out_a_browser_that_is_known(access):
    for number in range(150):
        fail(access, 1, address=f"203.0.{number}.1")
    with pytest.raises(TooManyAttemptsError):
        access.attempts.begin("olga", address="198.51.100.7")
    access.attempts.begin("olga", address="198.51.100.7", device="known")
    assert fail(access, 20, device="known") == 4, "but whoever stole that cookie does not guess for free"


def test_an_address_that_tries_many_names_waits(access):
    assert sum(fail(access, 1, user=f"user-{number}") for number in range(60)) == 30


def test_a_right_password_is_no_failure(access):
    for _ in range(200):
        access.attempts.take_back(access.attempts.begin("olga", address="203.0.113.1"))
    assert fail(access, 20) == 5


def test_failures_are_forgotten_after_a_day_and_name_nobody(access, clock, tmp_path):
    fail(access, 20, user="olga-the-operator")
    clock.now_us += 25 * HOUR_US
    assert fail(access, 20, user="olga-the-operator") == 5
    access.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"olga-the-operator" not in kept
    assert b"203.0.113.1" not in kept


def test_a_browser_is_known_for_whom_signed_in_with_it_and_not_for_ever(access, clock):
    cookie = remember(access.links, "olga", None)
    assert known(access.links, "olga", cookie) == known(access.links, "olga", remember(access.links, "olga", cookie))
    for user, kept in (("eva", cookie), ("olga", cookie[:-2] + "AA"), ("olga", None), ("olga", "no.text")):
        assert known(access.links, user, kept) is None
    clock.now_us += DEVICE_US
    assert known(access.links, "olga", cookie) is None


@pytest.mark.parametrize(
    "password",
    [
        "Password2026!", "123456789012", "qwertyuiop12", "aaaaaaaaaaaa", "abcabcabcabc", "lkjihgfedcba", "P@ssw0rd1234",
        "monkeymonkey", "olga.operator", "Olga Operator 1", "!!!!!football!!!!",
    ],
)  # fmt: skip
def test_a_password_that_many_use_or_that_follows_from_a_name_is_not_taken(password):
    assert is_easily_guessed(password, "olga.operator", "Olga Operator")


@pytest.mark.parametrize(
    "password", [PASSWORD, "another long password", "tr0ub4dor&3 zebra", "kQ7#vv2!pLmW", "møt på torget"]
)
def test_others_are(password):
    assert not is_easily_guessed(password, "olga.operator", "Olga Operator")


@pytest.mark.slow
def test_a_user_cannot_be_added_with_such_a_password_and_a_change_ends_tokens_and_other_sessions(access):
    with pytest.raises(InvalidInputError, match="easily guessed"):
        access.users.add("olga", roles=[Role.OPERATOR], password="password123456")
    access.users.add("olga", roles=[Role.OPERATOR], password=PASSWORD)
    here, elsewhere = (access.sessions.begin("olga") for _ in range(2))
    _, token = access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.users.set_password("olga", "another long password", session=here)
    assert access.sessions.find(here).user == "olga"
    assert access.sessions.find(elsewhere) is None
    assert access.tokens.find(token) is None


# --- second factors ---


def totp(secret, digits=6):
    return TOTP(secret, digits, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what all apps make


def code(secret, clock, later_s=0):
    return totp(base64.b32decode(secret)).generate(clock.now_us // SECOND_US + later_s).decode()


def test_a_code_is_that_of_rfc_6238():
    assert totp(b"12345678901234567890", 8).generate(59) == b"94287082"  # appendix B


@pytest.fixture
def factor(access, clock):
    """Return the key of a second factor that is on, and its recovery codes."""
    access.users.add("olga", roles=[Role.OPERATOR])
    secret = access.factors.prepare("olga")
    codes = access.factors.turn_on("olga", code(secret, clock))
    clock.now_us += 60 * SECOND_US
    return secret, codes


def test_a_second_factor_is_asked_for_once_a_code_was_shown(access, clock):
    access.users.add("olga", roles=[Role.OPERATOR])
    secret = access.factors.prepare("olga")
    assert access.factors.prepare("olga") == secret, "looking twice changes nothing"
    assert not access.factors.has("olga")
    assert not access.factors.check("olga", code(secret, clock)), "it is not on yet"
    with pytest.raises(RefusedError):
        access.factors.turn_on("olga", "000000" if code(secret, clock) != "000000" else "111111")
    access.factors.turn_on("olga", code(secret, clock))
    assert access.factors.has("olga")
    assert not access.factors.check("olga", code(secret, clock)), "the code that turned it on is spent"


@pytest.mark.parametrize(("later_s", "is_right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_counts_while_clocks_may_differ(access, clock, factor, later_s, is_right):
    clock.now_us += 600 * SECOND_US
    assert access.factors.check("olga", code(factor[0], clock, later_s)) is is_right


def test_no_code_counts_twice_nor_one_from_before(access, clock, factor):
    now = code(factor[0], clock)
    assert access.factors.check("olga", now)
    assert not access.factors.check("olga", now)
    assert not access.factors.check("olga", code(factor[0], clock, -30))


@pytest.mark.parametrize(
    "wrong", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "-12345", "0x1234", "aaaa-aaaa-aaaa-aaaa"]
)
def test_what_is_no_code_is_none(access, factor, wrong):
    assert not access.factors.check("olga", wrong)


def test_a_recovery_code_works_once_however_it_is_written_and_for_its_owner_alone(access, factor):
    _, codes = factor
    assert len(set(codes)) == RECOVERY_CODES
    assert not access.factors.check("eva", codes[0])
    assert access.factors.check("olga", codes[0].upper().replace("-", " "))
    assert not access.factors.check("olga", codes[0])
    assert access.factors.recovery_codes_left("olga") == RECOVERY_CODES - 1
    new = access.factors.renew_codes("olga")
    assert not access.factors.check("olga", codes[1])
    assert access.factors.check("olga", new[0])


def test_codes_are_guessed_slowly_by_whoever_knows_the_password(access):
    let = 0
    for _ in range(20):
        try:
            access.attempts.begin_code("olga")
            let += 1
        except TooManyAttemptsError:
            pass
    assert let == 5


def test_a_reset_ends_sessions_and_a_removed_user_leaves_no_key(access, factor):
    session = access.sessions.begin("olga")
    access.users.reset_factor("olga")
    assert access.sessions.find(session) is None
    assert not access.factors.has("olga")
    access.factors.prepare("olga")
    access.users.remove("olga")
    assert access.database.rows("SELECT * FROM second_factors") == []
    assert access.database.rows("SELECT * FROM recovery_codes") == []


def test_a_session_gives_no_role_before_the_second_factor_that_is_asked_for(access, clock):
    access.users.add("olga", roles=[Role.OPERATOR])
    access.users.add("eva", roles=[Role.ENGINEER])
    sessions = {user: access.sessions.begin(user) for user in ("olga", "eva")}
    access.require_factors([Role.OPERATOR])
    olga = access.sessions.find(sessions["olga"])
    assert (olga.user, olga.roles, olga.scopes) == ("olga", frozenset(), frozenset())
    assert access.sessions.find(sessions["eva"]).roles == {Role.ENGINEER}
