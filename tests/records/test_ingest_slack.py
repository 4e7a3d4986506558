"""Slack exports: whose words come out, and which zips are refused."""

import io
import json
import stat
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volition.errors import InvalidInputError
from volition.records.ingest import Complete, Draft, Note, PersonRef, Reject, Skipped
from volition.records.ingest.slack import read_slack
from volition.records.ingest.slack_zip import Limits

ADA = PersonRef(id="U1ADA", name="Ada Lovelace", email="ada@acme.example")
BOB = PersonRef(id="U2BOB", name="bob")
STRANGER = PersonRef(id="U9X")
USERS = [
    {"id": "U1ADA", "name": "ada", "real_name": "Ada Lovelace", "profile": {"email": "ada@acme.example"}},
    {"id": "U2BOB", "name": "bob", "profile": {}},
    {"id": "U3BOT", "name": "robot", "real_name": "Robot", "is_bot": True},
]
CHANNELS = [{"id": "C1", "name": "general", "members": ["U1ADA", "U2BOB"]}, {"id": "C2", "name": "random"}]
DAY = "general/2019-01-02.json"


def message(text="Hello", ts="1546387200.000100", user="U1ADA", **more):
    return {"type": "message", "user": user, "text": text, "ts": ts, **more}


def export(files=None, days=None, names=()):
    """Return a zip of the usual files, changed by `files` (None leaves one out), and of the days' messages."""
    content = {"users.json": USERS, "channels.json": CHANNELS} | (files or {}) | (days or {})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
        for name in names:
            archive.writestr(name, b"{}")
    out.seek(0)
    return out


def read_all(stream, **options):
    return list(read_slack(stream, account="acme", **options))


def read(stream, **options):
    """Return the messages of an export, without what is said of it as a whole."""
    return [item for item in read_all(stream, **options) if not isinstance(item, Complete | Note)]


def read_day(*messages, **files):
    return read(export(days={DAY: list(messages)}, files={f"{name}.json": value for name, value in files.items()}))


def only(items, kind):
    return [item for item in items if isinstance(item, kind)]


def skipped(items):
    return {item.why: item.count for item in only(items, Skipped)}


def test_a_message_becomes_a_draft():
    assert read_day(message(thread_ts="1546387000.000000")) == [
        Draft(
            key="slack:C1:1546387200.000100",
            account="acme",
            people=(ADA,),
            category="content/chat",
            at_us=1_546_387_200_000_100,
            payload={
                "kind": "message",
                "channel": "general",
                "ts": "1546387200.000100",
                "thread": "1546387000.000000",
                "author": "Ada Lovelace",
                "text": "Hello",
            },
            version=1,
        )
    ]


def test_the_author_comes_first_then_the_mentioned_then_who_reacted_and_bots_are_nobody():
    text = "<@U9X> and <@U1ADA|ada>, ask <@U3BOT> or &lt;@U4NOT&gt;"
    reactions = [{"name": "+1", "users": ["U9X", "U3BOT", "U5EVE"], "count": 3}]
    (draft,) = read_day(message(text, user="U2BOB", reactions=reactions))
    assert draft.people == (BOB, STRANGER, ADA, PersonRef(id="U5EVE"))


@pytest.mark.parametrize("kind", ["dms", "mpims"])
def test_a_direct_message_concerns_everyone_in_the_conversation(kind):
    conversation = [{"id": "D1", "name": "D1", "members": ["U1ADA", "U2BOB"]}]
    items = read(export(files={f"{kind}.json": conversation}, days={"D1/2019-01-02.json": [message()]}))
    assert items[0].people == (ADA, BOB)
    assert items[0].key.startswith("slack:D1:")


def test_members_of_a_channel_are_not_concerned_by_every_message():
    assert read_day(message())[0].people == (ADA,)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<@U1ADA> <@U2BOB|bobby> <@U9X|guest> <@U8Y>", "@Ada Lovelace @bob @guest @U8Y"),
        ("<#C2|random> <#C2> <#C9>", "#random #random #C9"),
        (
            "<https://a.example/?x=1&amp;y=2> <https://a.example|our &amp; site>",
            "https://a.example/?x=1&y=2 our & site",
        ),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("<!here> <!subteam^S1|@ops> <!date^1^{date}|2 May>", "@here @ops 2 May"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt; stays &lt;", "1 < 2 && 3 > 2, &lt; stays <"),
        ("a < b > c &nbsp; <>", "a < b > c &nbsp; <>"),
    ],
)
def test_escapes_are_written_out_once(text, shown):
    assert read_day(message(text))[0].payload["text"] == shown


def test_only_peoples_own_words_are_kept_and_the_rest_is_counted():
    items = read_day(
        message("/me waves", subtype="me_message", ts="1.000001"),
        message("to all", subtype="thread_broadcast", ts="2.000001"),
        message("look", subtype="file_share", ts="3.000001"),
        message("has joined", subtype="channel_join", ts="4.000001"),
        message("topic", subtype="channel_topic", ts="5.000001"),
        message("build failed", bot_id="B1", ts="6.000001"),
        {"type": "message", "subtype": "bot_message", "text": "beep", "ts": "7.000001"},
        message("I am a robot", user="U3BOT", ts="8.000001"),
        {"type": "message", "subtype": "tombstone", "text": "This message was deleted.", "ts": "9.000001"},
        message("", ts="10.000001", files=[{"id": "F1"}]),
        message("what is this", subtype="from_the_future", ts="11.000001"),
    )
    assert [item.payload["text"] for item in only(items, Draft)] == ["/me waves", "to all", "look"]
    assert not only(items, Reject)
    assert skipped(items) == {
        "written by a bot": 3,
        "written by Slack itself": 3,
        "deleted": 1,
        "message without words": 1,
    }


def test_an_edited_message_counts_in_its_last_form_and_a_deleted_one_not_at_all():
    def edit(text):
        return {"type": "message", "subtype": "message_changed", "ts": "3.0", "message": message(text, ts="1.000001")}

    items = read_day(
        message("frist", ts="1.000001"),
        edit("frst"),
        edit("first"),
        message("oops", ts="2.000001"),
        {"type": "message", "subtype": "message_deleted", "deleted_ts": "2.000001", "ts": "4.0"},
        message("kept", ts="5.000001", edited={"user": "U1ADA", "ts": "6.0"}),
    )
    assert [(item.key, item.payload["text"]) for item in only(items, Draft)] == [
        ("slack:C1:1.000001", "first"),
        ("slack:C1:5.000001", "kept"),
    ]
    assert skipped(items) == {"deleted": 1, "edited or deleted later": 3}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("text", "not an object"),
        (message(ts="soon"), "'soon'"),
        (message(ts="٣.1"), "seconds.microseconds"),  # a digit to int(), not to Slack
        (message(ts=1546387200.0001), "'ts'"),
        (message(ts="999999999999.000001"), "1970 to 9999"),
        (message(user=None), "'user'"),
        (message(text=None), "'text'"),
        (message(text="half \ud83d"), "no JSON form"),
        (message(thread_ts=7), "'thread_ts'"),
        (message(reactions=[{"name": "+1"}]), "people are unknown"),
        (message(reactions=[{"users": [1]}]), "people are unknown"),
        (message(reactions=3), "people are unknown"),
    ],
)
def test_a_bad_message_is_set_aside_by_number_and_its_neighbours_are_kept(bad, why):
    items = read_day(message("before", ts="1.1"), bad, message("after", ts="2.1"))
    assert [item.payload["text"] for item in only(items, Draft)] == ["before", "after"]
    (reject,) = only(items, Reject)
    assert reject.where == f"{DAY} message 1"
    assert why in reject.why
    assert json.loads(reject.raw) == bad


@pytest.mark.parametrize(
    "content", [b"[{]", b"{}", b"[1, NaN]", b"\xff[]", b"[" * 100_000, b'["' + b"9" * 9, b"9" * 5000]
)
def test_a_bad_day_is_set_aside_and_the_other_days_are_kept(content):
    items = read(export(days={DAY: content, "general/2019-01-03.json": [message()]}))
    assert [type(item) for item in items] == [Reject, Draft]
    assert items[0].where == DAY
    assert "cannot be read" in items[0].why


def test_a_day_whose_bytes_are_damaged_is_set_aside():
    data = bytearray(export(days={DAY: [message("Hello " * 50)], "general/2019-01-03.json": [message()]}).getvalue())
    info = zipfile.ZipFile(io.BytesIO(bytes(data))).getinfo(DAY)
    start = info.header_offset + 30 + len(DAY)
    data[start : start + 10] = b"\xff" * 10
    assert [type(item) for item in read(io.BytesIO(bytes(data)))] == [Reject, Draft]


def test_the_conversations_id_is_the_key_and_an_unlisted_one_goes_by_its_folder():
    items = read(export(days={DAY: [message()], "secret/2019-01-02.json": [message()]}))
    assert [item.key.split(":")[1] for item in items] == ["C1", "secret"]


def test_reading_again_gives_the_same_and_a_message_in_two_files_the_same_key():
    days = {DAY: [message()], "general/2019-01-03.json": [message()]}
    first, second = read(export(days=days))
    assert first.key == second.key
    assert read(export(days=days)) == [first, second]


def test_a_short_fraction_of_a_second_is_read_as_one():
    assert read_day(message(ts="1.5"))[0].at_us == 1_500_000


def test_a_time_in_the_future_is_passed_on():
    assert read_day(message(ts="9999999999.000001"))[0].at_us == 9_999_999_999_000_001


def test_an_export_zipped_again_inside_a_folder_is_read():
    files = {"users.json": None, "channels.json": None, "x/users.json": USERS, "x/channels.json": CHANNELS}
    items = read(export(files=files, days={f"x/{DAY}": [message()]}, names=["__MACOSX/x/._users.json"]))
    assert items[0].key == "slack:C1:1546387200.000100"
    assert len(items) == 1


def test_other_files_are_counted():
    items = read(export(days={DAY: [message()]}, names=["general/canvas.json", "integration_logs.json"]))
    assert skipped(items) == {"file is not a day of messages": 1}


def test_a_file_by_name_is_read_and_named(tmp_path):
    path = tmp_path / "acme.zip"
    path.write_bytes(export(days={DAY: ["bad"]}).getvalue())
    assert read(path)[0].source == "acme.zip"
    assert read(str(path)) == read(path)


def entry(name, *, mode=0o644, flags=0, method=zipfile.ZIP_STORED):
    """Return an export with one more entry of the given kind."""
    stream = export(days={DAY: [message()]})
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"[]", method)
    data = bytearray(stream.getvalue())
    data[data.rindex(b"PK\x01\x02") + 8] |= flags
    return io.BytesIO(bytes(data))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (lambda: io.BytesIO(b""), "not a whole zip"),
        (lambda: io.BytesIO(b"PK\x03\x04 not really"), "not a whole zip"),
        (lambda: io.BytesIO(export(days={DAY: [message()]}).getvalue()[:-30]), "not a whole zip"),
        (lambda: export(files={"users.json": None}), "no users.json"),
        (lambda: export(files={"users.json": b"[{"}), "users.json cannot be read"),
        (lambda: export(files={"users.json": {"id": "U1"}}), "users.json is not a list"),
        (lambda: export(files={"channels.json": ["general"]}), "channels.json is not a list"),
        (lambda: entry("../etc/passwd"), "points outside"),
        (lambda: entry("a/../../b.json"), "points outside"),
        (lambda: entry("a\\..\\..\\b.json"), "points outside"),
        (lambda: entry("/etc/passwd"), "points outside"),
        (lambda: entry("C:\\windows"), "points outside"),
        (lambda: entry("general/2019-01-05.json", mode=stat.S_IFLNK | 0o777), "is a link"),
        (lambda: entry("general/2019-01-05.json", flags=1), "encrypted"),
        (lambda: entry("general/2019-01-05.json", method=zipfile.ZIP_LZMA), "unusual method"),
        (lambda: entry("general\\2019-01-02.json"), "twice"),
    ],
)
def test_what_is_no_export_is_refused_before_anything_is_read(stream, why):
    items = read_slack(stream(), account="acme")
    with pytest.raises(InvalidInputError, match=why):
        next(items)


def test_a_missing_file_and_a_missing_account_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"none\.zip"):
        read(tmp_path / "none.zip")
    with pytest.raises(InvalidInputError, match="no account"):
        list(read_slack(export(), account=""))


def test_a_bomb_is_refused_by_its_ratio():
    with pytest.raises(InvalidInputError, match=r"2019-01-02.json holds more than 1,048,576 bytes"):
        read(export(days={DAY: b" " * (5 << 20)}))


def test_a_large_file_and_a_large_total_are_refused():
    stream = export(days={f"general/2019-01-0{n}.json": [message()] for n in range(1, 5)})
    total_bytes = sum(info.file_size for info in zipfile.ZipFile(stream).infolist())
    with pytest.raises(InvalidInputError, match=r"users.json holds more than 100 bytes"):
        read(stream, limits=Limits(file_bytes=100))
    with pytest.raises(InvalidInputError, match=r"2019-01-04.json holds more than"):
        read(stream, limits=Limits(total_bytes=total_bytes - 1))
    assert len(read(stream, limits=Limits(total_bytes=total_bytes))) == 4


def test_sizes_in_headers_are_not_believed():
    data = bytearray(export(days={DAY: b" " * (5 << 20)}).getvalue())
    central = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, central + 24, 2**31)  # claims more than there is, and so many compressed bytes
    struct.pack_into("<L", data, central + 20, 2**31)
    with pytest.raises(InvalidInputError, match="holds more than 1,000,000"):
        read(io.BytesIO(bytes(data)), limits=Limits(file_bytes=1_000_000))


# --- whatever comes -------------------------------------------------------------------------------------------------

SAMPLE = export(
    days={DAY: [message(), message("<@U2BOB> hi", ts="2.1"), message("x", bot_id="B1", ts="3.1")]}
).getvalue()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["type", "subtype", "user", "text", "ts", "thread_ts", "reactions", "bot_id", "message", "deleted_ts"]
SOME = st.sampled_from(["message", "message_changed", "message_deleted", "U1ADA", "1.1", "", {"ts": "1.1"}, [], None])
MESSAGES = st.dictionaries(st.sampled_from(KEYS), SOME | JSON).map(lambda change: message() | change) | JSON


@st.composite
def damaged_zips(draw):
    data = bytearray(SAMPLE)
    for _ in range(draw(st.integers(1, 8))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(len(data) // 2, len(data)))]) if draw(st.booleans()) else bytes(data)


@given(st.binary(max_size=200) | damaged_zips())
def test_whatever_bytes_come_are_read_or_refused(data):
    try:
        items = read(io.BytesIO(data))
    except InvalidInputError as error:
        assert "Slack export" in str(error)  # noqa: PT017 - both ways out are right
        return
    assert all(isinstance(item, Draft | Reject | Skipped) for item in items)


@given(st.lists(MESSAGES, max_size=6))
def test_every_message_is_drafted_set_aside_or_counted(messages):
    items = read_day(*messages)
    counted = sum(item.count for item in only(items, Skipped))
    assert len(only(items, Draft)) + len(only(items, Reject)) + counted == len(messages)


ENTRIES = st.lists(st.dictionaries(st.sampled_from(["id", "name", "members"]), st.just("general") | JSON), max_size=3)


@given(JSON | ENTRIES, st.sampled_from(["users", "channels", "dms", "mpims"]))
def test_whatever_the_lists_hold_is_read_or_refused(value, name):
    try:
        items = read_day(message("<@U2BOB> <#C1>"), **{name: value})
    except InvalidInputError as error:
        assert f"{name}.json" in str(error)  # noqa: PT017 - both ways out are right
        return
    assert len(only(items, Draft)) + len(only(items, Reject)) == 1


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "name", "real_name", "profile", "is_bot"]), SOME | JSON), max_size=3
    )
)
def test_whatever_a_user_is_like_the_message_comes_out(users):
    items = read_day(message("<@U2BOB>"), users=[*users, {"id": "U1ADA", "profile": 3, "name": 4}])
    assert len(only(items, Draft)) + len(only(items, Reject)) + sum(skipped(items).values()) == 1


def test_the_language_and_role_of_whoever_wrote_are_usage_as_of_when_the_export_learned_them():
    users = [
        {
            "id": "U1",
            "real_name": "Ada",
            "locale": "de-DE",
            "is_admin": True,
            "is_owner": True,
            "updated": 1_700_000_000,
        },
        {"id": "U2", "real_name": "Bo", "is_admin": False, "updated": 1_700_000_001},
        {"id": "U3", "real_name": "Cy", "updated": 1_700_000_002},  # nothing is known
        {"id": "U4", "real_name": "Di", "is_admin": True, "updated": 1_700_000_003},  # wrote nothing
        {"id": "U5", "real_name": "Ed", "is_admin": True},  # nobody knows since when
    ]
    messages = [
        {"type": "message", "user": user, "text": "Hello there", "ts": f"170000100{number}.000000"}
        for number, user in enumerate(["U1", "U2", "U3", "U5"])
    ]
    channels = [{"id": "C1", "name": "general", "members": ["U1", "U2"]}]
    files = {"users.json": users, "channels.json": channels}
    read = list(read_slack(export(files, {"general/2023-11-14.json": messages}), account="acme"))
    told = [piece for piece in read if isinstance(piece, Draft) and piece.category == "service/usage"]
    assert [(one.people[0].id, one.at_us, one.payload["attributes"]) for one in told] == [
        ("U1", 1_700_000_000_000_000, {"browser.language": "de-DE", "user.roles": ["admin", "owner"]}),
        ("U2", 1_700_000_001_000_000, {"user.roles": ["member"]}),
    ]
    assert len([piece for piece in read if isinstance(piece, Draft) and piece.category == "content/chat"]) == 4
