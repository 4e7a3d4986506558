"""Who may come in: passwords, sessions, tokens, links."""

import pytest

from volition.errors import ConflictError, InvalidInputError, RefusedError
from volition.server.auth import LINK_US, LONGEST_SESSION_US, SESSION_US, Access, Role, Scope

PASSWORD = "correct horse battery"
DAY_US = 24 * 3600 * 1_000_000


class Clock:
    now_us = 1_700_000_000_000_000

    def __call__(self):
        return self.now_us


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def access(tmp_path, clock):
    opened = Access.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def test_a_password_lets_in_whose_it_is(access):
    access.users.add("olga", roles=[Role.OPERATOR], password=PASSWORD)
    assert access.users.check_password("olga", PASSWORD).user == "olga"
    for user, password in (("olga", "correct horse"), ("nobody", PASSWORD), ("olga", "")):
        with pytest.raises(RefusedError, match="do not go together"):
            access.users.check_password(user, password)


def test_a_user_without_a_password_has_none_that_fits(access):
    access.users.add("oidc", roles=[Role.OPERATOR], subject="https://login.example 1")
    with pytest.raises(RefusedError):
        access.users.check_password("oidc", "")


def test_no_secret_lies_in_the_file(access, tmp_path):
    access.users.add("olga", roles=[Role.OPERATOR], password=PASSWORD)
    session = access.sessions.begin("olga")
    _, token = access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [secret for secret in (PASSWORD, session, token) if secret.encode() in kept]


def test_a_session_ends_when_nobody_uses_it_and_in_any_case(access, clock):
    access.users.add("olga", roles=[Role.OPERATOR])
    session = access.sessions.begin("olga")
    began_us = clock.now_us
    while clock.now_us - began_us + SESSION_US <= LONGEST_SESSION_US:
        clock.now_us += SESSION_US
        assert access.sessions.find(session) is not None
    clock.now_us += SESSION_US
    assert access.sessions.find(session) is None
    other = access.sessions.begin("olga")
    clock.now_us += SESSION_US + 1
    assert access.sessions.find(other) is None


def test_whoever_is_removed_or_changes_the_password_is_out(access):
    access.users.add("olga", roles=[Role.OPERATOR], password=PASSWORD)
    session = access.sessions.begin("olga")
    access.users.set_password("olga", "another long password")
    assert access.sessions.find(session) is None
    session = access.sessions.begin("olga")
    _, token = access.tokens.issue("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.users.remove("olga")
    assert access.sessions.find(session) is None
    assert access.tokens.find(token) is None


def test_a_token_is_good_for_what_it_says_and_never_for_more_than_its_owner(access, clock):
    access.users.add("eva", roles=[Role.ENGINEER, Role.AUDITOR])
    token, secret = access.tokens.issue("eva", name="t", roles=[Role.AUDITOR], scopes=[Scope.READ], days=1)
    who = access.tokens.find(secret)
    assert (who.roles, who.scopes) == (frozenset({Role.AUDITOR}), frozenset({Scope.READ}))
    with pytest.raises(InvalidInputError):
        access.tokens.issue("eva", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    clock.now_us += DAY_US
    assert access.tokens.find(secret) is None
    assert access.tokens.all() == []
    _, secret = access.tokens.issue("eva", name="t", roles=[Role.AUDITOR], scopes=[Scope.READ])
    access.tokens.end(access.tokens.all()[0].id)
    assert access.tokens.find(secret) is None
    assert token.ends_us <= clock.now_us


def test_a_link_lets_one_guest_in_until_it_ends_and_no_changed_one(access, clock):
    link = access.links.make_guest_link(person="zoe", account="acme")
    who = access.links.find_guest(link)
    assert (who.person, who.account, who.roles) == ("zoe", "acme", frozenset({Role.PERSON}))
    assert access.links.find_guest(link) == who
    for position in range(len(link)):
        changed = link[:position] + ("A" if link[position] != "A" else "B") + link[position + 1 :]
        try:
            assert access.links.find_guest(changed) == who, "only spare bits of base64 may differ"
        except RefusedError:
            continue
    clock.now_us += LINK_US + 1
    with pytest.raises(RefusedError, match="expired"):
        access.links.find_guest(link)


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": []},
        {"roles": [Role.PERSON]},
        {"roles": [Role.PERSON], "account": "acme"},
        {"roles": [Role.ADMINISTRATOR]},
        {"roles": [Role.OPERATOR], "password": "short"},
        {"user": "", "roles": [Role.OPERATOR]},
    ],
    ids=str,
)
def test_a_user_who_lacks_something_is_not_added(access, wrong):
    with pytest.raises(InvalidInputError):
        access.users.add(**{"user": "x", **wrong})
    assert access.users.all() == []


def test_nobody_is_added_twice(access):
    access.users.add("olga", roles=[Role.OPERATOR])
    with pytest.raises(ConflictError):
        access.users.add("olga", roles=[Role.AUDITOR])


def test_a_notice_is_told_once(access):
    access.users.add("olga", roles=[Role.OPERATOR])
    session = access.sessions.begin("olga")
    access.sessions.leave_notice(session, {"text": "done"})
    assert access.sessions.take_notice(session) == {"text": "done"}
    assert access.sessions.take_notice(session) is None
