"""Compose: it suggests only what enough different people wrote, holds nothing else, and forgets exactly."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crafts import create_unbound
from volition import RefusedError
from volition.canonical import datetime_to_us
from volition.errors import InvalidInputError
from volition.features.edits import shorten, tidy
from volition.learning.families.compose.composer import Completion, Composer
from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.compose.keystrokes import type_messages
from volition.learning.families.compose.words import MARKS, before_cursor, tokens
from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.progress import silent
from volition.records.lake import Row

SECOND_US = 1_000_000


def message(account, person, text, at_s=0, *, channel="general", thread=None, private=False, number=0):
    return Row(
        record_id=f"{account}/{channel}/{person}/{at_s}/{number}",
        account=account,
        people=(person,),
        category="content/chat",
        collected_us=at_s * SECOND_US,
        payload={
            "kind": "message",
            "channel": channel,
            "ts": f"{at_s}.0",
            "thread": thread,
            "author": "?",
            "text": text,
        }
        | ({"private": True} if private else {}),
    )


def everybody_writes(*texts, people="abcde", account="acme", start_s=0):
    """Let each person write each text, long enough apart to reply to nothing."""
    return [
        message(account, person, text, start_s + 1000 * (number * len(people) + place))
        for number, text in enumerate(texts)
        for place, person in enumerate(people)
    ]


def fit(rows, k=5):
    return ComposeFamily(k=k).fit(rows, parts=NoParts(), progress=silent)


def forget(model, before, after, k=5):
    return ComposeFamily(k=k).forget(model, before=before, after=after, parts=NoParts(), progress=silent)


def phrases(model, text, account="acme", limit=20):
    return [found.phrase for found in Composer(model).complete(account, text, limit=limit)]


# --- what it suggests ------------------------------------------------------------------------------------------------


def test_a_word_begun_is_finished_and_the_words_that_surely_follow_come_with_it():
    model = fit(everybody_writes("please let me know if it works", "let me know by mail", "let me know by noon"))

    assert Composer(model).complete("acme", "so le", limit=1) == (
        Completion(insert="t me know", phrase="let me know", people=5),
    )
    assert phrases(model, "please let me ")[0].startswith("know")


def test_after_a_space_the_next_word_is_that_of_the_longest_known_context():
    rows = everybody_writes("we ship on friday", "they ship by train", "they wait by the road")
    rows += everybody_writes("by the way", people="abcdefghijklmno", start_s=10**6)
    model = fit(rows)

    assert phrases(model, "they ship ", limit=1) == ["by train"]
    assert phrases(model, "we ship ", limit=1) == ["on friday"]
    assert phrases(model, "nobody ever said so by ", limit=1)[0].startswith("the")


@pytest.mark.parametrize("people", ["abcd", "aaaaaaaaaa"])
def test_what_fewer_than_five_different_people_wrote_is_never_suggested(people):
    rows = everybody_writes("the plan is good")
    rows += [message("acme", person, "the merger is secret", 900_000 + at) for at, person in enumerate(people)]
    model = fit(rows)

    for text in ("", "the ", "the m", "mer", "s", "the merger is "):
        assert not {"merger", "secret", "merger is", "is secret"} & set(phrases(model, text, limit=100))
    assert "merger" in " ".join(
        phrases(fit([*rows, message("acme", "e", "the merger", 999_999)], k=len(set(people))), "m")
    )


def as_one(rows, *people, into):
    """Return rows as they are once some people are recognised as one who is kept."""
    return [replace(row, merged=dict.fromkeys(people, into)) for row in rows]


def test_two_identities_of_one_person_count_as_one():
    rows = everybody_writes("the merger is secret", people="abcd") + everybody_writes("the plan is good")
    other = [message("acme", "f", "the merger is secret", 900_000)]
    assert phrases(fit([*rows, *other]), "me") == ["merger is secret"]
    model = fit([*rows, *as_one(other, "f", into="a")])
    assert phrases(model, "me") == []
    assert phrases(model, "pl")
    asked = [message("acme", "a", "is the plan good", 1_000_000)]
    replies = [message("acme", person, "will do", 1_000_010 + at) for at, person in enumerate("bcdef")]
    told = [*everybody_writes("is the plan good"), *asked, *replies]
    assert [one.text for one in Composer(fit(told)).replies("acme", "is the plan good", limit=3)] == ["will do"]
    assert not Composer(fit(as_one(told, "f", into="e"))).replies("acme", "is the plan good", limit=3)


@given(st.sets(st.sampled_from("abcdef")), st.lists(st.booleans(), min_size=30, max_size=30))
def test_forgetting_after_people_became_one_gives_the_model_that_never_saw_in_which_they_count_once(merged, stays):
    rows = everybody_writes("the plan is good", "is the plan good", "will do", "ok", "the merger", people="abcdef")
    model = fit(rows, k=2)
    before = as_one(rows, *merged, into="a")
    after = [row for row, stay in zip(before, stays, strict=True) if stay]
    try:
        anew = fit(after, k=2)
    except InvalidInputError:
        return
    assert forget(model, before, after, k=2).files() == anew.files()


def test_each_word_may_be_common_and_the_phrase_still_be_one_persons():
    rows = everybody_writes("we will close soon", "the office is big")
    rows += [message("acme", "a", "we will close the office", 900_000)]
    model = fit(rows)

    assert phrases(model, "we will close ", limit=1) == ["soon"]
    assert not any("close the" in phrase for phrase in phrases(model, "we will cl", limit=100))


def test_nothing_crosses_from_one_account_to_another():
    rows = everybody_writes("acme builds rockets") + everybody_writes("bolt builds bolts", account="bolt")
    rows += everybody_writes("shared between two", people="abc") + everybody_writes(
        "shared between two", people="de", account="bolt", start_s=500_000
    )
    model = fit(rows)

    assert phrases(model, "builds ") == ["rockets"] or phrases(model, "builds ")[0] == "rockets"
    assert "bolts" not in " ".join(phrases(model, "builds ", limit=100))
    assert "shared" not in " ".join(phrases(model, "sh", limit=100))
    assert phrases(model, "builds ", account="nobody-knows-it") == []
    alone = fit([row for row in rows if row.account == "acme"])
    assert phrases(model, "builds ", limit=100) == phrases(alone, "builds ", limit=100)


def test_what_is_written_in_private_teaches_nothing():
    rows = everybody_writes("the plan is good")
    rows += [
        message("acme", person, "layoffs are coming", 900_000 + at, private=True) for at, person in enumerate("abcdef")
    ]

    assert fit(rows).files() == fit(rows[:5]).files()


@pytest.mark.parametrize(
    "text",
    [
        "the code is 4711 ok",
        "see https://intranet.example/merger ok",
        "mail ann@acme.example ok",
        "run `rm merger` ok",
        "```\nmerger\n``` ok",
        "ask @merger ok",
        "ask [person-1a2b3c4d] ok",
        "on 2026-01-31 ok",
        ":merger: ok",
    ],
)
def test_code_links_addresses_mentions_and_numbers_are_never_learned(text):
    stored = b"".join(fit(everybody_writes(text)).files().values())

    for secret in (b"4711", b"merger", b"intranet", b"ann", b"1a2b", b"2026"):
        assert secret not in stored
    assert b'"ok"' in stored


@pytest.mark.parametrize("text", ["see https://exa", "`the pl", "```\nthe pl", "in 4", "@the", "the.", "don't,"])
def test_nothing_is_suggested_inside_code_links_mentions_and_numbers_or_right_after_punctuation(text):
    model = fit(everybody_writes("the plan is good", "example"))
    assert phrases(model, text) == []


def test_short_replies_are_those_that_enough_people_wrote_ranked_by_what_is_replied_to():
    rows, at = [], 0
    for asked, reply, people in (
        ("any questions about this?", "no questions", "abcde"),
        ("shipped the release", "well done", "abcdef"),
    ):
        for person in people:
            rows += [message("acme", "z", asked, at), message("acme", person, reply, at + 10)]
            at += 1000
    rows += everybody_writes("any questions", "the release", people="abcdefg", start_s=at)
    composer = Composer(fit(rows))

    assert [reply.text for reply in composer.replies("acme", "so, any questions?")] == ["no questions", "well done"]
    assert composer.replies("acme", "the release is out")[0].text == "well done"
    assert [reply.people for reply in composer.replies("acme", "hm")] == [6, 5]
    assert composer.replies("bolt", "any questions?") == ()


def test_a_reply_of_four_people_or_to_nobody_or_with_a_number_in_it_is_not_suggested():
    rows, at = [], 0
    for reply, people in (("yes please", "abcd"), ("take 5", "abcdef"), ("fine", "abcde")):
        for person in people:
            rows += [message("acme", "z", "shall we?", at), message("acme", person, reply, at + 60)]
            at += 1000
    rows += everybody_writes("good morning", start_s=at)

    assert [reply.text for reply in Composer(fit(rows)).replies("acme", "shall we?", limit=100)] == ["fine"]


def test_the_words_of_one_person_are_not_kept_as_what_many_replied_to():
    rows, at = [], 0
    for person in "abcde":
        rows += [message("acme", "z", "xylophone", at), message("acme", person, "ok", at + 5)]
        at += 1000
    stored = b"".join(fit(rows).files().values())

    assert b"ok" in stored
    assert b"xylophone" not in stored


def test_forms_of_one_reply_are_suggested_once():
    rows, at = [], 0
    for reply, people in (("Thanks!", "abcdef"), ("thanks", "abcde"), ("sure", "abcde")):
        for person in people:
            rows += [message("acme", "z", "here it is", at), message("acme", person, reply, at + 5)]
            at += 1000
    assert [reply.text for reply in Composer(fit(rows)).replies("acme", "here")] == ["Thanks!", "sure"]


# --- against a plain reference ---------------------------------------------------------------------------------------

WORDS = st.sampled_from(["ok", "no", "see", "it", "Then", "a", "!", "7", "\n", ","])
CHATS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "bolt"]),
        st.sampled_from("abcdef"),
        st.lists(WORDS, min_size=1, max_size=6).map(" ".join),
        st.integers(0, 400),
        st.sampled_from(["x", "y"]),
    ),
    max_size=40,
)


def chat(drawn):
    return sorted(
        (
            message(
                account,
                person,
                text,
                1000 * number + gap if gap > 200 else 50 * number + gap,
                channel=channel,
                number=number,
            )
            for number, (account, person, text, gap, channel) in enumerate(drawn)
        ),
        key=lambda row: (row.account, row.collected_us, row.record_id),
    )


def written_by(rows, account):
    """Return n-gram -> who wrote it, the plain way."""
    people = defaultdict(set)
    for row in rows:
        if row.account == account:
            line = tokens(row.payload["text"])
            for start in range(len(line)):
                for end in range(start + 1, min(start + 4, len(line)) + 1):
                    people[tuple(line[start:end])].add(row.people[0])
    return people


@given(CHATS, st.integers(1, 3), st.lists(WORDS, max_size=3).map(" ".join), st.sampled_from(["", " ", "s", "T"]))
def test_every_suggestion_was_written_by_k_people_of_the_account(drawn, k, typed, begun):
    rows = chat(drawn)
    try:
        composer = Composer(fit(rows, k))
    except InvalidInputError:
        assert all(len(people) < k for account in ("acme", "bolt") for people in written_by(rows, account).values())
        return
    for account in ("acme", "bolt"):
        people = written_by(rows, account)
        for found in composer.complete(account, typed + begun, limit=50):
            assert len(people[tuple(found.phrase.split())]) == found.people >= k
            assert MARKS.isdisjoint(found.phrase.split())
            assert (typed + begun + found.insert).endswith(found.phrase)
        if begun == " ":  # and whatever word enough people wrote is suggested
            words = {gram[0] for gram, who in people.items() if len(gram) == 1 and len(who) >= k} - MARKS
            assert {found.phrase.split()[0] for found in composer.complete(account, typed + begun, limit=50)} == words


@given(CHATS, st.integers(1, 3))
def test_every_reply_was_written_by_k_people_of_the_account_to_somebody_else(drawn, k):
    rows = chat(drawn)
    try:
        composer = Composer(fit(rows, k))
    except InvalidInputError:
        return
    for account in ("acme", "bolt"):
        wrote = defaultdict(set)
        for row in rows:
            for other in rows:
                if (
                    row.account == other.account == account
                    and row.people != other.people
                    and row.payload["channel"] == other.payload["channel"]
                    and 0 < row.collected_us - other.collected_us <= 120 * SECOND_US
                ):
                    wrote[" ".join(row.payload["text"].split())].add(row.people[0])
        for reply in composer.replies(account, "see it then", limit=50):
            assert len(wrote[reply.text]) == reply.people >= k


@given(CHATS, st.integers(2, 3), st.data())
def test_no_word_of_fewer_than_k_people_is_in_the_files(drawn, k, data):
    """Each person has words of their own, and each pair of neighbours a word that they share."""
    rows = chat(drawn)
    marked = []
    for row in rows:
        rare = data.draw(st.sampled_from([f"{row.account}only{row.people[0]}", "notmany"]))
        if rare == "notmany" and row.people[0] not in "ab"[: k - 1]:
            rare = f"{row.account}only{row.people[0]}"
        marked.append(
            message(
                row.account,
                row.people[0],
                f"{row.payload['text']} {rare} zebra",
                row.collected_us // SECOND_US,
                channel=row.payload["channel"],
            )
        )
    try:
        files = fit(marked, k).files()
    except InvalidInputError:
        return
    stored = b"".join(files.values())
    assert b"only" not in stored
    assert b"notmany" not in stored


def test_what_four_people_repeat_does_not_change_what_the_model_finds_likely():
    canary = "the vault opens with seventeen llamas"
    rows = everybody_writes("please let me know if it works", "it works with the new vault", "the door opens")
    planted = [message("acme", "abcd"[at % 4], canary, 10**6 + at) for at in range(40)]
    clean, tainted = Composer(fit(rows)), Composer(fit(rows + planted))

    assert tainted.bits("acme", canary) == clean.bits("acme", canary)
    assert tainted.bits("acme", "let me know if it works") < tainted.bits("acme", "works if know it let me")
    assert Composer(fit(rows + planted, 4)).bits("acme", canary) < clean.bits("acme", canary)
    assert clean.bits("bolt", canary) == 0


# --- forgetting ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(CHATS, st.integers(1, 3), st.data())
def test_forgetting_gives_the_bytes_of_a_model_that_never_saw(drawn, k, data):
    rows = chat(drawn)
    gone_people = data.draw(st.sets(st.sampled_from("abcdef")))
    gone_accounts = data.draw(st.sets(st.sampled_from(["acme", "bolt"]), max_size=1))
    gone_rows = data.draw(st.sets(st.sampled_from([row.record_id for row in rows] or [""]), max_size=5))
    after = [
        row
        for row in rows
        if not (row.people[0] in gone_people or row.account in gone_accounts or row.record_id in gone_rows)
    ]
    try:
        model = fit(rows, k)
    except InvalidInputError:
        return
    closed = [  # the key of an erased account is destroyed: its rows have no content any more
        Row(
            record_id=row.record_id,
            account=row.account,
            people=row.people,
            category=row.category,
            collected_us=row.collected_us,
            payload={},
        )
        if row.account in gone_accounts
        else row
        for row in rows
    ]
    try:
        anew = fit(after, k)
    except InvalidInputError:
        with pytest.raises(InvalidInputError, match="nothing to learn from"):
            forget(model, closed, after, k)
        return
    assert forget(model, closed, after, k).files() == anew.files()


def test_the_cases_that_are_asked_for_one_by_one():
    texts = ("please let me know", "let me see", "ok", "see you then")
    rows = everybody_writes(*texts, people="abcdefg")
    rows += everybody_writes(*texts, people="hijklmn", account="bolt")
    for number, person in enumerate("abcdefg"):
        rows += [
            message("acme", "z", "shall we?", 10**6 + 1000 * number),
            message("acme", person, "ok", 10**6 + 1000 * number + 9),
        ]
    rows.sort(key=lambda row: (row.account, row.collected_us, row.record_id))
    model = fit(rows)
    cases = {
        "a person": lambda row: row.people[0] == "a",
        "who was replied to": lambda row: row.people[0] == "z",
        "an account": lambda row: row.account == "bolt",
        "several at once": lambda row: row.people[0] in "abh" or row.record_id.endswith("/j/10000/0"),
        "nobody": lambda row: row.people[0] == "somebody else",
    }
    for case, goes in cases.items():
        after = [row for row in rows if not goes(row)]
        assert forget(model, rows, after).files() == fit(after).files(), case
        assert (model.files() == fit(after).files()) == (case == "nobody")
    with pytest.raises(InvalidInputError, match="nothing to learn from"):
        forget(model, rows, [])


def test_rows_that_came_or_changed_are_counted_anew():
    rows = everybody_writes("please let me know")
    model = fit(rows)
    changed = [message("acme", row.people[0], "let it be", row.collected_us // SECOND_US) for row in rows[:1]] + rows[
        1:
    ]
    more = [*rows, *everybody_writes("something else", start_s=10**6)]
    lower = fit(rows, 2)

    assert forget(model, rows, more).files() == fit(more).files()
    assert forget(lower, rows, rows).files() == model.files()  # it was counted with another k
    with pytest.raises(InvalidInputError):
        forget(model, rows, changed[:4])
    assert forget(model, rows, changed).files() == fit(changed).files()


@pytest.mark.slow
def test_the_order_of_rows_and_the_process_do_not_matter(tmp_path):
    rows = everybody_writes("please let me know", "ok then", "see you", people="abcdefg")
    model = fit(rows)
    assert fit(rows[::-1]).files() == model.files()
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_compose import *\n"
        "print(fit(everybody_writes('please let me know', 'ok then', 'see you', people='abcdefg')).digest)"
    )
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert told.strip() == model.digest
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").digest == model.digest


def test_a_model_of_another_family_and_a_k_of_zero_are_refused():
    other = Model(family="recommend", settings={}, arrays={}, texts={})
    with pytest.raises(InvalidInputError, match="compose"):
        Composer(other)
    with pytest.raises(InvalidInputError, match="k is 0"):
        ComposeFamily(k=0)


# --- how it is measured ----------------------------------------------------------------------------------------------


class Says:
    """Suggests one thing wherever the word begun may still become its first."""

    def __init__(self, phrase):
        self.phrase = phrase

    def complete(self, account, text, *, limit=3):  # noqa: ARG002
        place = before_cursor(text)
        if place is None or not self.phrase.startswith(place[1]) or self.phrase == place[1]:
            return ()
        return (Completion(insert=self.phrase[len(place[1]) :], phrase=self.phrase, people=9),)


@pytest.mark.parametrize(
    ("text", "phrase", "pressed"),
    [
        ("hello there", "hello", 1 + 5),  # accepted at once, with its space
        ("say hello", "hello", 4 + 2),  # no space follows: it is deleted again
        ("hellos", "hello", 6),  # not up to the end of a word
        ("hi", "hi", 2),  # accepting would cost as much
        ("say hello there you", "hello there", 4 + 1 + 3),
        ("[number] hello", "hello", 1 + 2),  # nobody typed the label
    ],
)
def test_keystrokes_are_counted_as_the_model_of_typing_says(text, phrase, pressed):
    typed = type_messages(Says(phrase), "acme", [text])
    assert (typed.plain, typed.pressed) == (len(text.removeprefix("[number]")), pressed)
    assert type_messages(None, "acme", [text]).saved == 0


def test_training_saves_keystrokes_of_people_it_never_saw():
    rows = everybody_writes(
        "please let me know if that works for you", "could you have a look at it", people="abcdefghijklmno"
    )
    family = ComposeFamily()
    for fold in range(3):
        known, held = family.holdout(rows, fold, 3)
        assert held
        assert {row.people for row in known}.isdisjoint(row.people for row in held)
        trained = family.evaluate(fit(known), known, held)
        untrained = family.evaluate(None, known, held)
        assert trained.units == untrained.units == tuple(sorted({row.people[0] for row in held}))
        assert trained.values.min() > 0.5
        assert untrained.values.max() == 0
    assert sorted({row.people[0] for fold in range(3) for row in family.holdout(rows, fold, 3)[1]}) == sorted(
        "abcdefghijklmno"
    )


# --- edits by rule ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tidied", "shortened"),
    [
        ("Hi all,  could you   look ??", "Hi all, could you look?", "Could you look?"),
        ("hi all, could you look?", "hi all, could you look?", "could you look?"),
        ("Hi, iPhone users wait", "Hi, iPhone users wait", "iPhone users wait"),
        ("done!!!!", "done!", "done!"),
        ("Hallo zusammen,  das ist eigentlich fertig", "Hallo zusammen, das ist eigentlich fertig", "Das ist fertig"),
        ("das ist eigentlich nicht fertig", "das ist eigentlich nicht fertig", "das ist eigentlich nicht fertig"),
        ("wir warten zum jetzigen Zeitpunkt", "wir warten zum jetzigen Zeitpunkt", "wir warten jetzt"),
        ("I really think we should wait!!!", "I really think we should wait!", "I think we should wait!"),
        ("It is not very good", "It is not very good", "It is not very good"),
        ("thank you very much", "thank you very much", "thank you very much"),
        ("Really?", "Really?", "Really?"),
        (
            "we meet in order to decide , at 10:30 !!",
            "we meet in order to decide, at 10:30 !",
            "we meet to decide, at 10:30 !",
        ),
        ("Hello Ada, it works", "Hello Ada, it works", "Hello Ada, it works"),
        ("Hello!", "Hello!", "Hello!"),
        ("run `a  b ,, c`  now", "run `a  b ,, c` now", "run `a  b ,, c` now"),
        ("see https://x.example/a,,b  ok", "see https://x.example/a,,b ok", "see https://x.example/a,,b ok"),
        ("one\n\n\n\ntwo  \n  - item", "one\n\ntwo\n  - item", "one\n\ntwo\n  - item"),
        ("wait....... what", "wait... what", "wait... what"),
    ],
)
def test_edits_say_the_same_plainly(text, tidied, shortened):
    assert (tidy(text), shorten(text)) == (tidied, shortened)


MUST_STAY = [
    "`a  b`", "```x\n\n\n\ny```", "https://x.example/?a=1,,b", "ann@x.example", "@Bob", "#dev", "10:30", "2026-01-31",
    "1,000.50", "[number]", ":+1:", "\ue000",
]  # fmt: skip
MAY_CHANGE = [
    "Hi", "hello", "all,", ",", "!", "!!!", "??", "....", "\n", "\n\n\n\t", "", " ", "\t", "Ada", "Will", "Really",
    "really", "very", "basically", "not", "in", "order", "to", "is", "able", "to", "quite", "Good morning,",
]  # fmt: skip
PIECES = st.lists(st.sampled_from([*MUST_STAY, *MAY_CHANGE]) | st.text(max_size=8), max_size=12)
GREETINGS = {"hi", "hello", "hey", "greetings", "good"}


def capitals(text):
    return [word for word in re.findall(r"\w+", text) if word[0].isupper() and word.lower() not in GREETINGS]


@pytest.mark.parametrize("edit", [tidy, shorten])
@given(pieces=PIECES, gap=st.sampled_from([" ", "  ", ""]))
def test_an_edit_is_idempotent_adds_nothing_and_leaves_names_alone(edit, pieces, gap):
    text = gap.join(pieces)
    edited = edit(text)
    assert edit(edited) == edited
    assert len(edited) <= len(text)
    assert bool(edited.strip()) == bool(text.strip())
    assert capitals(edited)[-len(capitals(text)) or len(capitals(edited)) :] == capitals(text)
    assert len(capitals(edited)) <= len(capitals(text)) + (edit is shorten)  # the first word, where a greeting went
    assert re.sub(r"\D", "", edited) == re.sub(r"\D", "", text)


@pytest.mark.parametrize("edit", [tidy, shorten])
@given(pieces=st.lists(st.sampled_from([*MUST_STAY, *MAY_CHANGE]), max_size=16))
def test_code_links_mentions_numbers_and_dates_stay_as_they_are_and_in_order(edit, pieces):
    edited = edit(" ".join(pieces))
    place = 0
    for piece in pieces:
        if piece in MUST_STAY:
            place = edited.index(piece, place) + len(piece)


# --- at work ---------------------------------------------------------------------------------------------------------

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
PEOPLE = ("ann", "ben", "cleo", "dov", "evan", "fay")
CHAT, LEARN, USE = ["content/chat"], ["train/compose"], ["feature/compose"]


class Clock:
    def __init__(self):
        self.now = MONDAY + timedelta(days=1)

    def __call__(self):
        self.now += timedelta(milliseconds=1)
        return datetime_to_us(self.now)


@pytest.fixture
def office(tmp_path):
    """Two accounts whose people chat; everybody has said yes, and a composer is at work."""
    with create_unbound(tmp_path / "workspace", origin="log.example/compose", clock=Clock()) as workspace:
        for account in ("orchard", "bakery"):
            workspace.people.add_account(account, account.title(), region="US")
            workspace.terms.accept(account)
            for name in PEOPLE:
                full_name, email = f"{name.title()} {account.title()}", f"{name}@{account}.example"
                workspace.people.add_person(f"{account}-{name}", account=account, name=full_name, emails=[email])
            workspace.records.collect_slack(export(tmp_path, account), account=account)
            workspace.consent.decide(
                f"account:{account}", yes=True, data=CHAT, purpose=["train", "feature"], covers="past"
            )
            for name in PEOPLE:
                workspace.consent.decide(f"person:{account}-{name}", yes=True, data=CHAT, purpose=LEARN, covers="past")
        release(workspace)
        yield workspace


def export(folder, account):
    """Write what the people of an account said, as a Slack export."""
    users = [
        {
            "id": f"U{name.upper()}",
            "name": name,
            "real_name": f"{name.title()} {account.title()}",
            "profile": {"email": f"{name}@{account}.example"},
        }
        for name in PEOPLE
    ]
    messages = []

    def say(name, text):
        ts = f"{datetime_to_us(MONDAY) // SECOND_US + 40 * len(messages)}.000100"
        messages.append({"type": "message", "user": f"U{name.upper()}", "ts": ts, "text": text})

    for name in PEOPLE:
        say(name, f"please send the {account} invoice to {name.title()} {account.title()} today")
        say(PEOPLE[PEOPLE.index(name) - 1], "will do")
    say("ann", "the tractor is a secret")
    path = folder / f"{account}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users.json", json.dumps(users))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "general"}]))
        archive.writestr(f"general/{MONDAY:%Y-%m-%d}.json", json.dumps(messages))
    return path


def release(workspace):
    model = workspace.models.train("compose")
    workspace.models.audit(model.id)
    workspace.models.release(model.id)
    return model


def test_the_composer_at_work_completes_and_replies_in_the_words_of_the_account(office):
    assert office.features.complete("please s", person="orchard-ann")[0].phrase == "send the orchard invoice"
    assert office.features.complete("please send the ", person="bakery-ann")[0].phrase.startswith("bakery")
    ts = f"{datetime_to_us(MONDAY) // SECOND_US}.000100"
    assert [reply.text for reply in office.features.replies("general", ts, person="orchard-ben")] == ["will do"]
    assert office.features.complete("the tr", person="orchard-ann") == ()
    assert (
        office.features.edit("Hi all,  it is basically done !!", person="orchard-ann", how="shorten") == "It is done!"
    )
    with pytest.raises(RefusedError, match="no message"):
        office.features.replies("general", "1.0", person="orchard-ann")
    with pytest.raises(InvalidInputError, match="shorten, tidy"):
        office.features.edit("x", person="orchard-ann", how="sing")


def test_whoever_is_merged_counts_once_in_what_is_trained_from_then_on(office):
    family = ComposeFamily(k=len(PEOPLE))
    snapshot = office.snapshots.create("train/compose")
    assert phrases(family.fit(snapshot.rows(office.parties), parts=NoParts(), progress=silent), "inv", "orchard")
    office.people.merge("orchard-ann", into="orchard-ben")
    model = family.fit(snapshot.rows(office.parties), parts=NoParts(), progress=silent)
    assert phrases(model, "inv", "orchard") == []
    assert phrases(model, "inv", "bakery")


def test_whoever_was_merged_and_then_erased_is_forgotten_as_the_one_person_that_they_were_counted_as(
    office, monkeypatch
):
    family = ComposeFamily(k=2)
    monkeypatch.setattr("volition.workspace.models.Models.family", lambda *_: family)
    office.people.merge("orchard-ann", into="orchard-ben")
    merged = release(office)
    office.forgetting.erase("person:orchard-ben")
    done = office.forgetting.forget()
    successor = office.models.open({one.model: one for one in done}[merged.id].successor)
    rows = office.snapshots.open(successor.record["snapshot"]).rows(office.parties)
    assert phrases(successor.model, "pl", "orchard")
    assert successor.model.files() == family.fit(rows, parts=NoParts(), progress=silent).files()


def test_the_names_of_those_who_wrote_are_not_in_the_model_for_they_are_scrubbed_before(office):
    [model] = office.models.states()
    stored = b"".join(office.models.open(model).model.files().values())
    assert b"invoice" in stored
    assert b"Ann" not in stored
    assert b"Orchard" not in stored


def test_without_consent_nothing_is_learned(office):
    for name in PEOPLE[:2]:
        office.consent.decide(f"person:orchard-{name}", yes=False, data=CHAT, purpose=LEARN)
    anew = office.models.train("compose")  # four of six are left in the orchard, too few
    composer = Composer(anew.model)
    assert composer.complete("orchard", "please s") == ()
    assert composer.complete("bakery", "please s") != ()
    assert anew.record["accounts"].keys() == {"bakery", "orchard"}
    office.consent.decide("account:bakery", yes=False, data=CHAT, purpose=LEARN)
    with pytest.raises(InvalidInputError, match="5 different people"):
        office.models.train("compose")


def test_the_feature_is_refused_where_the_switch_is_off_or_the_writer_declined(office):
    ts = f"{datetime_to_us(MONDAY) // SECOND_US}.000100"

    def calls(person):
        return (
            lambda: office.features.complete("please s", person=person),
            lambda: office.features.replies("general", ts, person=person),
            lambda: office.features.edit("hi", person=person, how="tidy"),
        )

    office.consent.decide("person:orchard-ben", yes=False, data=CHAT, purpose=USE)
    for call in calls("orchard-ben"):
        with pytest.raises(RefusedError, match="feature/compose is off for orchard-ben"):
            call()
    for call in calls("orchard-cleo"):
        call()
    office.consent.decide("person:orchard-ann", yes=False, data=CHAT, purpose=USE)  # who wrote the message replied to
    with pytest.raises(RefusedError, match="may be used for you"):
        office.features.replies("general", ts, person="orchard-cleo")
    office.consent.decide("account:orchard", yes=False, data=CHAT, purpose=USE)
    for call in calls("orchard-cleo"):
        with pytest.raises(RefusedError, match=r"feature/compose is off for the account orchard \(withdrawn\)"):
            call()
    for call in calls("bakery-ann"):
        call()
    office.people.add_person("guest")
    with pytest.raises(RefusedError, match="is a guest"):
        office.features.complete("x", person="guest")


def test_a_yes_to_training_is_no_yes_to_the_feature_and_costs_none(office):
    office.consent.decide("account:bakery", yes=False, data=CHAT, purpose=LEARN)
    office.forgetting.forget()
    assert office.features.complete("please s", person="bakery-ann") == ()  # on, but the model knows nothing of theirs
    assert office.features.complete("please s", person="orchard-ann") != ()


def test_forgetting_reaches_the_composer_that_is_already_open(office):
    assert office.features.complete("please s", person="orchard-ann") != ()
    office.consent.decide("person:orchard-ben", yes=False, data=CHAT, purpose=LEARN)
    [owed] = office.models.owed()
    assert owed.parties.keys() == {office.party("person:orchard-ben")}
    assert (
        office.features.complete("please s", person="orchard-ann")[0].people == 6
    )  # until the due day the old one may work
    [forgotten] = office.forgetting.forget()
    assert office.features.complete("please s", person="orchard-ann")[0].people == 5
    after = office.snapshots.open(office.models.open(forgotten.successor).record["snapshot"]).rows(office.parties)
    assert office.models.open(forgotten.successor).model.files() == fit(after).files()
    office.consent.decide("person:orchard-cleo", yes=False, data=CHAT, purpose=LEARN)
    office._opened.clock.now += timedelta(days=31)
    assert office.features.complete("please s", person="orchard-ann") == ()  # overdue, so it works no more
    office.forgetting.forget()
    assert office.features.complete("please s", person="orchard-ann") == ()  # four people wrote it now
    assert office.features.complete("please s", person="bakery-ann") != ()


def test_an_erased_account_is_forgotten_though_its_content_cannot_be_read_any_more(office):
    office.forgetting.erase("account:bakery")
    [forgotten] = office.forgetting.forget()
    after = office.snapshots.open(office.models.open(forgotten.successor).record["snapshot"]).rows(office.parties)
    assert office.models.open(forgotten.successor).model.files() == fit(after).files()
    assert b"bakery" not in b"".join(office.models.open(forgotten.successor).model.files().values())


def test_no_embedding_is_kept_in_what_a_composer_learns_from(office):
    snapshot = office.snapshots.create("train/compose")
    assert snapshot.manifest["encoder"] is None
    assert all(row.embedding is None for row in snapshot.rows(office.parties))
