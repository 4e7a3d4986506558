"""Who may come in: passwords, sessions, tokens, links."""

import hashlib
import sqlite3

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
    assert (who.person, who.account, who.roles) == ("zoe", "acme", frozenset({Role.GUEST}))
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


def come_in(access, link):
    """Begin a session by a link, as the page does."""
    opened = access.links.open_guest_link(link)
    return access.sessions.begin(access.links.find_guest(link).user, link=opened.id, until_us=opened.ends_us)


def test_looking_at_a_link_changes_nothing(access):
    link = access.links.make_guest_link(person="zoe", account="acme")
    before = access.links.guest_links()
    assert access.links.open_guest_link(link).person == "zoe"
    assert access.links.guest_links() == before
    assert access.users.all() == []


def test_links_are_listed_with_what_became_of_them(access, clock):
    first = access.links.make_guest_link(person="zoe", account="acme")
    clock.now_us += 1
    access.links.make_guest_link(person="yan", account="brill", lasts_us=DAY_US)
    access.links.find_guest(first)
    yans, zoes = access.links.guest_links()
    assert (yans.person, yans.used_us, yans.ends_us) == ("yan", None, clock.now_us + DAY_US)
    assert (zoes.person, zoes.used_us, zoes.works(clock.now_us)) == ("zoe", clock.now_us, True)
    assert access.links.guest_links("acme") == [zoes]
    assert access.links.revoke(zoes.id).revoked_us == clock.now_us
    clock.now_us += DAY_US
    assert [one.works(clock.now_us) for one in access.links.guest_links()] == [False, False]


def test_a_revoked_link_ends_the_session_that_it_began_and_no_other(access):
    links = [access.links.make_guest_link(person="zoe", account="acme") for _ in range(2)]
    sessions = [come_in(access, link) for link in links]
    opened = access.links.open_guest_link(links[0])
    assert [access.sessions.find(one).person for one in sessions] == ["zoe", "zoe"]

    access.links.revoke(opened.id)

    assert access.sessions.find(sessions[0]) is None
    assert access.sessions.find(sessions[1]) is not None
    for again in (access.links.find_guest, access.links.open_guest_link):
        with pytest.raises(RefusedError, match="revoked"):
            again(links[0])
    assert [one.id for one in access.links.revoke_all("zoe", account="acme") if one.id == opened.id]
    assert access.sessions.find(sessions[1]) is None
    with pytest.raises(InvalidInputError, match="no guest's link"):
        access.links.revoke("none")


def test_a_session_ends_when_the_link_does(access, clock):
    session = come_in(access, access.links.make_guest_link(person="zoe", account="acme", lasts_us=10))
    clock.now_us += 9
    assert access.sessions.find(session) is not None
    clock.now_us += 1
    assert access.sessions.find(session) is None


def test_links_die_with_the_person(access):
    links = {one: access.links.make_guest_link(person=one, account="acme") for one in ("zoe", "yan")}
    sessions = {one: come_in(access, link) for one, link in links.items()}
    access.erase_person("zoe", ["Zoe Guest"])
    assert access.sessions.find(sessions["zoe"]) is None
    assert access.sessions.find(sessions["yan"]).person == "yan"
    with pytest.raises(RefusedError, match="revoked"):
        access.links.find_guest(links["zoe"])
    assert [one.person for one in access.links.guest_links()] == ["yan"]
    late = access.links.make_guest_link(person="zoe", account="acme")
    with pytest.raises(RefusedError, match="revoked"):
        access.links.find_guest(late)


def old_link(access, person="zoe", lasts_us=LINK_US):
    """Return a link as versions made it that kept no list: it names its guest."""
    return access.links.sign("guest", {"person": person, "account": "acme"}, lasts_us=lasts_us)


def test_a_link_of_an_earlier_version_works_is_listed_once_used_and_is_revoked(access):
    link = old_link(access)
    assert access.links.guest_links() == []
    session = come_in(access, link)
    [listed] = access.links.guest_links()
    assert (listed.person, listed.account) == ("zoe", "acme")
    access.links.revoke(listed.id)
    assert access.sessions.find(session) is None
    with pytest.raises(RefusedError, match="revoked"):
        access.links.find_guest(link)


def test_revoking_all_of_a_guest_reaches_links_that_were_listed_nowhere(access):
    links = [old_link(access), access.links.make_guest_link(person="zoe", account="acme"), old_link(access, "yan")]
    assert [one.person for one in access.links.revoke_all("zoe", account="acme")] == ["zoe"]
    for link in links[:2]:
        with pytest.raises(RefusedError, match="revoked"):
            access.links.find_guest(link)
    assert access.links.find_guest(links[2]).person == "yan"


def test_a_guest_whom_an_earlier_version_kept_as_a_person_is_a_guest(access):
    with access.database.writing() as db:
        db.execute("INSERT INTO users VALUES ('guest:acme:zoe', 'Guest', NULL, '[\"person\"]', 'acme', 'zoe', NULL)")
    assert access.users.find("guest:acme:zoe").roles == {Role.GUEST}


def test_a_file_of_an_earlier_version_is_opened_and_its_sessions_go_on(tmp_path, clock):
    before = sqlite3.connect(tmp_path / "web.db")
    before.executescript(
        "CREATE TABLE sessions (hash BLOB PRIMARY KEY, user TEXT NOT NULL, began_us INTEGER NOT NULL,"
        " seen_us INTEGER NOT NULL, notice TEXT) STRICT;"
    )
    row = (hashlib.sha256(b"secret").digest(), "olga", clock.now_us, clock.now_us)
    before.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, NULL)", row)
    before.commit()
    before.close()
    for _ in range(2):
        access = Access(tmp_path / "web.db", clock=clock)
        if access.users.find("olga") is None:
            access.users.add("olga", roles=[Role.OPERATOR])
        assert access.sessions.find("secret").user == "olga"
        access.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": []},
        {"roles": [Role.GUEST]},
        {"roles": [Role.GUEST, Role.PERSON], "account": "acme", "person": "zoe"},
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
