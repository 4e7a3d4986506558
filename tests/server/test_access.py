"""What changes who may come in while they are in: a move to another account, a link's own session, a token just ended."""

import string

import pytest

from volition.errors import RefusedError
from volition.server.auth import Access, Role, Scope
from waiting import StandingClock

DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def access(tmp_path):
    opened = Access.open(tmp_path, clock=StandingClock())
    yield opened
    opened.close()


def token_of(access, user, role):
    return access.tokens.issue(user, name="t", roles=[role], scopes=[Scope.READ])


def test_who_moves_to_another_account_signs_in_anew_there_and_administers_nothing(access):
    access.users.add("ada", roles=[Role.PERSON, Role.ADMINISTRATOR], account="acme", person="p1")
    access.users.add("root", roles=[Role.ADMINISTRATOR], account="acme", person="p2")
    access.users.add("bo", roles=[Role.PERSON, Role.ADMINISTRATOR], account="acme", person="p3")
    guest = access.links.find_guest(access.links.make_guest_link(person="p1", account="acme"))
    sessions = {user: access.sessions.begin(user) for user in ("ada", "root", "bo", guest.user)}
    tokens = {user: token_of(access, user, Role.ADMINISTRATOR)[1] for user in ("ada", "root", "bo")}

    access.move_person(["p1", "p2"], "brill")

    now = {one.user: (one.account, set(one.roles)) for one in access.users.all()}
    assert now == {
        "ada": ("brill", {Role.PERSON}),
        "root": ("brill", {Role.PERSON}),
        "bo": ("acme", {Role.PERSON, Role.ADMINISTRATOR}),
        guest.user: ("acme", {Role.GUEST}),
    }
    ended = {user for user, session in sessions.items() if access.sessions.find(session) is None}
    assert ended == {"ada", "root"}
    assert {user for user, token in tokens.items() if access.tokens.find(token) is None} == {"ada", "root"}


def test_who_leaves_keeps_the_links_by_which_they_come_as_a_guest_and_who_joins_keeps_none(access):
    access.users.add("ada", roles=[Role.PERSON], account="acme", person="p1")
    access.users.add("bo", roles=[Role.PERSON], account="acme", person="p2")
    link = access.links.make_guest_link(person="p1", account="acme")
    guest = access.links.find_guest(link)
    access.end_person(["p1"])
    assert {one.user for one in access.users.all()} == {"bo", guest.user}
    assert access.links.find_guest(link) == guest
    access.end_guest(["p1"])
    assert {one.user for one in access.users.all()} == {"bo"}
    with pytest.raises(RefusedError):
        access.links.find_guest(link)


def test_a_session_knows_the_link_that_began_it(access):
    access.users.add("olga", roles=[Role.OPERATOR])
    link = access.links.make_guest_link(person="zoe", account="acme")
    opened = access.links.open_guest_link(link)
    by_link = access.sessions.begin(access.links.find_guest(link).user, link=opened.id, until_us=opened.ends_us)
    by_password = access.sessions.begin("olga")
    assert access.sessions.link_of(by_link) == opened.id
    assert access.sessions.link_of(by_password) is None
    assert access.sessions.link_of("no session") is None


@pytest.mark.parametrize("stray", ["\n", " ", "!", "é", "+"])
def test_a_link_with_a_stray_character_in_it_is_a_changed_one(access, stray):
    link = access.links.make_guest_link(person="zoe", account="acme")
    for place in (5, len(link) - 5):
        with pytest.raises(RefusedError, match="changed"):
            access.links.find_guest(link[:place] + stray + link[place:])


def test_a_signed_text_has_one_spelling(access):
    """The last letter of base64 has bits that say nothing: a changed one would still be read as the same bytes."""
    letters = string.ascii_letters + string.digits + "-_"
    for size in range(3):
        text = access.links.sign("one use", {"a": "x" * size}, lasts_us=10)
        assert access.links.read("one use", text)["a"] == "x" * size
        said, _, signature = text.partition(".")
        for changed in {f"{said[:-1]}{letter}.{signature}" for letter in letters} | {text[:-1] + x for x in letters}:
            if changed != text:
                with pytest.raises(RefusedError, match="changed"):
                    access.links.read("one use", changed)


def test_a_token_that_is_ended_while_it_is_looked_up_is_not_remembered_as_a_good_one(access, tmp_path, monkeypatch):
    access.users.add("eva", roles=[Role.ENGINEER])
    token, secret = token_of(access, "eva", Role.ENGINEER)
    rows, other = access.database.rows, Access.open(tmp_path, clock=access.database.clock)

    def read_just_before_the_end(sql, *values):
        found = rows(sql, *values)
        if "FROM users" not in sql:  # the owner is read after the token
            return found
        monkeypatch.undo()
        other.tokens.end(token.id)
        assert access.tokens.find("somebody else's") is None  # which learns that the file has changed
        return found

    monkeypatch.setattr(access.database, "rows", read_just_before_the_end)
    assert access.tokens.find(secret).user == "eva"  # it was asked before the end
    assert access.tokens.find(secret) is None
    other.close()
