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
    access.add_user("olga", roles=[Role.OPERATOR], password=PASSWORD)
    assert access.check_password("olga", PASSWORD).user == "olga"
    for user, password in (("olga", "correct horse"), ("nobody", PASSWORD), ("olga", "")):
        with pytest.raises(RefusedError, match="do not go together"):
            access.check_password(user, password)


def test_a_user_without_a_password_has_none_that_fits(access):
    access.add_user("oidc", roles=[Role.OPERATOR], subject="https://login.example 1")
    with pytest.raises(RefusedError):
        access.check_password("oidc", "")


def test_no_secret_lies_in_the_file(access, tmp_path):
    access.add_user("olga", roles=[Role.OPERATOR], password=PASSWORD)
    session = access.begin_session("olga")
    _, token = access.issue_token("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [secret for secret in (PASSWORD, session, token) if secret.encode() in kept]


def test_a_session_ends_when_nobody_uses_it_and_in_any_case(access, clock):
    access.add_user("olga", roles=[Role.OPERATOR])
    session = access.begin_session("olga")
    began_us = clock.now_us
    while clock.now_us - began_us + SESSION_US <= LONGEST_SESSION_US:
        clock.now_us += SESSION_US
        assert access.of_session(session) is not None
    clock.now_us += SESSION_US
    assert access.of_session(session) is None
    other = access.begin_session("olga")
    clock.now_us += SESSION_US + 1
    assert access.of_session(other) is None


def test_whoever_is_removed_or_changes_the_password_is_out(access):
    access.add_user("olga", roles=[Role.OPERATOR], password=PASSWORD)
    session = access.begin_session("olga")
    access.set_password("olga", "another long password")
    assert access.of_session(session) is None
    session = access.begin_session("olga")
    _, token = access.issue_token("olga", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    access.remove_user("olga")
    assert access.of_session(session) is None
    assert access.of_token(token) is None


def test_a_token_is_good_for_what_it_says_and_never_for_more_than_its_owner(access, clock):
    access.add_user("eva", roles=[Role.ENGINEER, Role.AUDITOR])
    token, secret = access.issue_token("eva", name="t", roles=[Role.AUDITOR], scopes=[Scope.READ], days=1)
    who = access.of_token(secret)
    assert (who.roles, who.scopes) == (frozenset({Role.AUDITOR}), frozenset({Scope.READ}))
    with pytest.raises(InvalidInputError):
        access.issue_token("eva", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
    clock.now_us += DAY_US
    assert access.of_token(secret) is None
    assert access.tokens() == []
    _, secret = access.issue_token("eva", name="t", roles=[Role.AUDITOR], scopes=[Scope.READ])
    access.end_token(access.tokens()[0].id)
    assert access.of_token(secret) is None
    assert token.ends_us <= clock.now_us


def test_a_link_lets_one_guest_in_until_it_ends_and_no_changed_one(access, clock):
    link = access.guest_link(person="zoe", account="acme")
    who = access.of_link(link)
    assert (who.person, who.account, who.roles) == ("zoe", "acme", frozenset({Role.PERSON}))
    assert access.of_link(link) == who
    for position in range(len(link)):
        changed = link[:position] + ("A" if link[position] != "A" else "B") + link[position + 1 :]
        try:
            assert access.of_link(changed) == who, "only spare bits of base64 may differ"
        except RefusedError:
            continue
    clock.now_us += LINK_US + 1
    with pytest.raises(RefusedError, match="ended"):
        access.of_link(link)


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
        access.add_user(**{"user": "x", **wrong})
    assert access.users() == []


def test_nobody_is_added_twice(access):
    access.add_user("olga", roles=[Role.OPERATOR])
    with pytest.raises(ConflictError):
        access.add_user("olga", roles=[Role.AUDITOR])


def test_a_notice_is_told_once(access):
    access.add_user("olga", roles=[Role.OPERATOR])
    session = access.begin_session("olga")
    access.leave_notice(session, {"text": "done"})
    assert access.take_notice(session) == {"text": "done"}
    assert access.take_notice(session) is None
