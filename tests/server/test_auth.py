"""Who may come in: passwords, sessions, tokens, links."""

import hashlib
import sqlite3
import stat

import pytest

from volition.errors import BackendError, ConflictError, InvalidInputError, RefusedError
from volition.server.auth import LINK_US, LONGEST_SESSION_US, SESSION_US, Access, Role, Scope
from volition.server.auth.passwords import SHORTEST_PASSWORD
from waiting import StandingClock

PASSWORD = "correct horse battery"
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def access(tmp_path, clock):
    opened = Access.open(tmp_path, clock=clock)
    yield opened
    opened.close()


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_user_is_found_by_id_and_by_what_their_provider_calls_them(access):
    ada = access.users.add("ada", roles=[Role.PERSON], name="Ada Byron", account="acme", person="p1", subject="i 1")
    olga = access.users.add("Olga", roles=[Role.OPERATOR, Role.AUDITOR])
    assert access.users.find("ada") == access.users.find_subject("i 1") == ada
    assert (ada.name, ada.account, ada.person, ada.is_guest) == ("Ada Byron", "acme", "p1", False)
    assert (olga.name, olga.account, olga.person) == ("Olga", None, None)
    assert access.users.all() == [olga, ada]
    for nobody in ("bo", "p1", ""):
        assert access.users.find(nobody) is None
        assert access.users.find_subject(nobody) is None
    with pytest.raises(ConflictError):
        access.users.add("other", roles=[Role.OPERATOR], subject="i 1")
    assert olga.is_any([Role.AUDITOR, Role.PERSON])
    assert not olga.is_any([Role.PERSON])


@pytest.mark.parametrize("user", ["x" * 201, "line\nbreak", "\x00"])
def test_a_user_needs_an_id_that_can_be_shown(access, user):
    with pytest.raises(InvalidInputError, match="200 printable"):
        access.users.add(user, roles=[Role.OPERATOR])
    access.users.add("x" * 200, roles=[Role.OPERATOR])


@pytest.mark.slow
def test_a_password_has_a_sensible_length(access):
    words = "".join(f"{number * number * 7919:x}" for number in range(400))
    access.users.add("short", roles=[Role.OPERATOR], password=words[:SHORTEST_PASSWORD])
    access.users.add("long", roles=[Role.OPERATOR], password=words[:1024])
    assert access.users.check_password("long", words[:1024]).user == "long"
    for wrong in (words[: SHORTEST_PASSWORD - 1], words[:1025]):
        with pytest.raises(InvalidInputError, match="characters"):
            access.users.set_password("short", wrong)
    assert access.users.check_password("short", words[:SHORTEST_PASSWORD]).user == "short"


def test_nobody_can_be_changed_who_is_not_there(access):
    for change in (
        lambda: access.users.remove("x"),
        lambda: access.users.set_password("x", PASSWORD),
        lambda: access.tokens.issue("x", name="t", roles=[Role.OPERATOR], scopes=[Scope.READ]),
        lambda: access.tokens.end("x"),
    ):
        with pytest.raises(InvalidInputError, match="There is no"):
            change()


@pytest.mark.slow
def test_what_ends_for_one_user_goes_on_for_the_others(access):
    for user in ("olga", "otto"):
        access.users.add(user, roles=[Role.OPERATOR], password=PASSWORD)
    issued = {
        user: access.tokens.issue(user, name="t", roles=[Role.OPERATOR], scopes=[Scope.READ])
        for user in ("olga", "otto")
    }
    sessions = {user: access.sessions.begin(user) for user in issued}
    second = access.sessions.begin("otto")
    with pytest.raises(InvalidInputError, match="no token"):
        access.tokens.end(issued["otto"][0].id, user="olga")
    assert access.tokens.all("otto") == [issued["otto"][0]]
    assert {token.user for token in access.tokens.all()} == {"olga", "otto"}
    access.users.set_password("olga", "another long password")
    assert access.sessions.find(sessions["otto"]).user == "otto"
    assert access.tokens.find(issued["olga"][1]) is None, "whoever knew the old password may have issued it"
    assert access.tokens.find(issued["otto"][1]).user == "otto"
    access.users.remove("olga")
    assert access.tokens.find(issued["otto"][1]).user == "otto"
    assert access.users.find("otto").user == "otto"
    access.sessions.end(second)
    assert access.sessions.find(second) is None
    assert access.sessions.find(sessions["otto"]).user == "otto"
    access.tokens.end(issued["otto"][0].id, user="otto")
    assert access.tokens.find(issued["otto"][1]) is None


@pytest.mark.parametrize("days", [1, 366])
def test_a_token_lasts_for_whole_days(access, clock, days):
    access.users.add("eva", roles=[Role.ENGINEER])
    token, secret = access.tokens.issue("eva", name="mine", roles=[Role.ENGINEER], scopes=[Scope.TRAIN], days=days)
    assert secret.startswith("vol_")
    assert (token.name, token.user, token.roles, token.scopes) == ("mine", "eva", (Role.ENGINEER,), (Scope.TRAIN,))
    assert token.ends_us == clock.now_us + days * DAY_US
    assert access.tokens.all() == [token]
    clock.now_us = token.ends_us - 1
    assert access.tokens.find(secret).scopes == {Scope.TRAIN}
    assert access.tokens.all() == [token]
    clock.now_us += 1
    assert access.tokens.find(secret) is None
    assert access.tokens.all() == []


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"days": 367}, {"roles": []}, {"scopes": []}, {"roles": [Role.ENGINEER, Role.OPERATOR]}]
)
def test_a_token_that_makes_no_sense_is_not_issued(access, wrong):
    access.users.add("eva", roles=[Role.ENGINEER])
    with pytest.raises(InvalidInputError, match="token"):
        access.tokens.issue("eva", **({"name": "t", "roles": [Role.ENGINEER], "scopes": [Scope.READ]} | wrong))
    assert access.tokens.all() == []


def test_a_token_lasts_ninety_days_where_nobody_says_otherwise_and_tokens_are_listed_oldest_first(access, clock):
    access.users.add("eva", roles=[Role.ENGINEER])
    issued = []
    for _ in range(6):
        issued.append(access.tokens.issue("eva", name="t", roles=[Role.ENGINEER], scopes=[Scope.READ])[0])
        clock.now_us += 1
    assert issued[0].ends_us == clock.now_us - 6 + 90 * DAY_US
    assert access.tokens.all() == issued


def test_another_process_takes_a_token_and_this_one_knows_at_once(access, clock, tmp_path):
    access.users.add("eva", roles=[Role.ENGINEER])
    token, secret = access.tokens.issue("eva", name="t", roles=[Role.ENGINEER], scopes=[Scope.READ])
    assert access.tokens.find(secret).user == access.tokens.find(secret).user == "eva"
    other = Access.open(tmp_path, clock=clock)
    other.tokens.end(token.id)
    other.close()
    assert access.tokens.find(secret) is None


def test_a_session_that_is_over_is_cleared_away_and_a_living_one_is_not(access, clock):
    access.users.add("olga", roles=[Role.OPERATOR])
    unused = access.sessions.begin("olga")
    clock.now_us += SESSION_US
    edge = access.sessions.begin("olga")
    assert access.database.rows("SELECT COUNT(*) FROM sessions")[0][0] == 2, "to the last microsecond"
    clock.now_us += 1
    kept = access.sessions.begin("olga")
    assert access.database.rows("SELECT COUNT(*) FROM sessions")[0][0] == 2
    assert [access.sessions.find(one) is None for one in (unused, edge, kept)] == [True, False, False]
    clock.now_us += SESSION_US + 1
    assert access.sessions.find(edge) is None
    assert access.database.rows("SELECT COUNT(*) FROM sessions")[0][0] == 1, "found to be over, it is gone"


def test_a_notice_is_for_one_session_alone(access):
    access.users.add("olga", roles=[Role.OPERATOR])
    first, second = access.sessions.begin("olga"), access.sessions.begin("olga")
    access.sessions.leave_notice(first, ["é"])
    assert access.sessions.take_notice(second) is None
    assert access.sessions.take_notice("no session") is None
    assert access.sessions.take_notice(first) == ["é"]


def test_a_signed_text_is_good_for_one_use_until_its_last_microsecond_also_after_a_restart(access, clock, tmp_path):
    assert not any("=" in access.links.sign("one use", {"a": "x" * size}, lasts_us=10) for size in range(3))
    text = access.links.sign("one use", {"a": 1}, lasts_us=10)
    assert access.links.read("one use", text) == {"a": 1, "what": "one use", "ends": clock.now_us + 10}
    reopened = Access.open(tmp_path, clock=clock)
    clock.now_us += 9
    assert reopened.links.read("one use", text)["a"] == 1
    for use, wrong in (("another", text), ("one use", ""), ("one use", text.partition(".")[0]), ("one use", "x.y")):
        with pytest.raises(RefusedError, match="changed"):
            reopened.links.read(use, wrong)
    clock.now_us += 1
    with pytest.raises(RefusedError, match="expired"):
        reopened.links.read("one use", text)
    reopened.close()


def test_who_was_erased_is_gone_with_all_users_of_theirs_and_nobody_else(access):
    for user, person in (("ada", "p1"), ("ada-too", "p1"), ("bo", "p2")):
        access.users.add(user, roles=[Role.PERSON], account="acme", person=person)
    forgotten = []
    access.database.forgetters.append(forgotten.append)
    access.erase_person("p1", ["Ada Byron"])
    assert [user.user for user in access.users.all()] == ["bo"]
    assert forgotten == [{"p1", "Ada Byron"}]


def test_the_file_is_its_owners_alone_and_one_that_cannot_be_opened_is_told(access, tmp_path):
    assert stat.S_IMODE((tmp_path / "web.db").stat().st_mode) == 0o600
    for call in (lambda: access.database.rows("SELECT * FROM nothing"), lambda: access.database.create("nonsense")):
        with pytest.raises(BackendError, match=r"web\.db cannot be"):
            call()
    with pytest.raises(BackendError, match="cannot be opened"):
        Access.open(tmp_path / "none")


def test_a_change_that_fails_is_undone_whole(access):
    def add_and_fail():
        with access.database.writing():
            access.users.add("olga", roles=[Role.OPERATOR])
            raise ConflictError("somebody was first")

    with pytest.raises(ConflictError, match="first"):
        add_and_fail()
    assert access.users.all() == []
    access.users.add("olga", roles=[Role.OPERATOR])
    with pytest.raises(BackendError, match="cannot be written"), access.database.writing() as db:
        db.execute("INSERT INTO nothing VALUES (1)")
    assert [user.user for user in access.users.all()] == ["olga"]


def test_a_value_is_kept_under_its_name(access):
    assert access.database.state("a") is None
    assert access.database.add_state("a", b"1") == b"1"
    assert access.database.add_state("a", b"2") == b"1"
    access.database.set_state("a", b"3")
    assert (access.database.state("a"), access.database.state("b")) == (b"3", None)
