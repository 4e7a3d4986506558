"""One question at every door of the gate, in every encoding: all agree with a reading of the rules in plain words."""

import io
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from volition.canonical import datetime_to_us
from volition.cli import main
from volition.errors import InvalidInputError
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.workspace import Workspace

PURPOSE, CATEGORY = "train/search", "content/chat"
ARROW = "application/vnd.apache.arrow.stream"
PEOPLE = {"ada": "no", "bo": "yes", "cy": "yes", "dee": "nothing", "guest of none": "yes", "gone": "erased"}
DAY = timedelta(days=1)


class Doors:
    """A workspace with people of every kind, its server, and the doors by which its gate is asked."""

    def __init__(self, folder):
        self.folder = folder
        self.workspace = Workspace.create(folder)
        self.workspace.people.add_account("acme", "Acme")
        self.workspace.people.add_account("brill", "Brill")
        for person, said in PEOPLE.items():
            self.workspace.people.add_person(person, account=None if person == "guest of none" else "acme")
            if said in {"yes", "no"}:
                self.say(f"person:{person}", said)
        # An id that looks like another's: neither can be told, so it names nobody.
        self.workspace.people.add_person("person:cy", account="acme")
        self.workspace.terms.accept("acme")
        self.workspace.terms.accept("brill")
        self.say("account:acme", "yes")
        self.say("account:brill", "no")
        self.pseudonyms = {person: self.workspace.parties.person(person).pseudonym for person in PEOPLE}
        self.workspace.forgetting.erase("person:gone")
        self.now = datetime.now(UTC)
        access = Access.open(folder)
        access.users.add("asker", roles=[Role.OPERATOR], name="Asker")
        access.close()
        self.server = Server(folder)
        _, secret = self.server.access.tokens.issue("asker", name="t", roles=[Role.OPERATOR], scopes=list(Scope))
        headers = {"authorization": f"Bearer {secret}"}
        self.client = TestClient(self.server, base_url="http://api.example", headers=headers)
        self.held = self.workspace.gate.hold(PURPOSE)

    def say(self, party, word):
        covers = "past" if word == "yes" else None
        self.workspace.consent.decide(party, yes=word == "yes", data=["content"], purpose=["train"], covers=covers)

    def close(self):
        self.held.close()
        self.client.close()
        self.server.close()
        self.workspace.close()

    # --- what is right, in plain words ---

    def meant(self, name):
        """Say whom a name means: an id, or a pseudonym where the name says that it is one."""
        if name is None:
            return None
        ids = [*PEOPLE, "person:cy"]
        by_pseudonym = {pseudonym: person for person, pseudonym in self.pseudonyms.items() if person != "gone"}
        meant = {one for one in ids if name in {one, f"person:{one}"}}
        for form in ("person:", "pseudonym:"):
            meant |= {by_pseudonym.get(name.removeprefix(form))} - {None} if name.startswith(form) else set()
        return meant.pop() if len(meant) == 1 else None

    def right(self, account, people, category, after):
        """Return the reason for which a question is refused; none if it is permitted."""
        if account not in {"acme", "account:acme", "brill", "account:brill"} or not people:
            return "unknown-party"
        meant = [self.meant(name) for name in people]
        for person in meant:
            if person == "gone":
                return "erased"
            if person is None:
                return "unknown-party"
        if category != CATEGORY:
            return "unknown-party" if category is None else "never"
        if after:
            return "stale"
        if account.endswith("brill"):
            return "said-no"
        said = [PEOPLE.get(person, "nothing") for person in meant]
        told = {"no": "said-no", "nothing": "not-asked"}
        return next((told[word] for word in said if word != "yes"), None)

    # --- the doors ---

    def collected(self, question):
        return self.now + DAY if question[3] else self.now - DAY

    def table(self, questions, people_type, text_type=None):
        return pa.table(
            {
                "account": pa.array([one[0] for one in questions], text_type or pa.string()),
                "people": pa.array([None if one[1] is None else list(one[1]) for one in questions], people_type),
                "category": pa.array([one[2] for one in questions], text_type or pa.string()),
                "collected_at": pa.array([self.collected(one) for one in questions], pa.timestamp("us", "UTC")),
            }
        )

    def post_arrow(self, table):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
        answer = self.client.post(
            f"/v1/may?purpose={PURPOSE}", content=sink.getvalue(), headers={"content-type": ARROW}
        )
        assert answer.status_code == 200, answer.text
        return told(pa.ipc.open_stream(answer.content).read_all())

    def json_many(self, questions):
        answer = self.client.post(
            "/v1/may", json={"purpose": PURPOSE, "questions": [self.json(one) for one in questions]}
        )
        assert answer.status_code == 200, answer.text
        return [(one["permitted"], one["reason"]) for one in answer.json()["answers"]]

    def json(self, question):
        account, people, category, _ = question
        collected = self.collected(question).isoformat()
        return {"account": account, "people": people, "category": category, "collected": collected}

    def json_one(self, question):
        """Ask one; an error is a refusal, which a question that makes no sense gets."""
        answer = self.client.post("/v1/may", json={"purpose": PURPOSE, **self.json(question)})
        if answer.status_code == 400:
            return False, "an error"
        assert answer.status_code == 200, answer.text
        return answer.json()["permitted"], answer.json()["reason"]

    def in_memory(self, question):
        account, people, category, _ = question
        try:
            verdict = self.held.may(account, people or (), category, datetime_to_us(self.collected(question)))
        except InvalidInputError:
            return False, "an error"
        return verdict.permitted, verdict.reason and verdict.reason.value

    def judged(self, questions, people_type=None):
        return self.workspace.gate.judge(PURPOSE, self.table(questions, people_type or pa.list_(pa.string())))


def told(table):
    return [(row["permitted"], row["reason"]) for row in table.to_pylist()]


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    made = Doors(tmp_path_factory.mktemp("doors") / "workspace")
    yield made
    made.close()


LIST_TYPES = [
    pa.list_(pa.string()),
    pa.large_list(pa.string()),
    pa.large_list(pa.large_string()),
    pa.list_view(pa.string()),
    pa.large_list_view(pa.string_view()),
    pa.list_(pa.dictionary(pa.int32(), pa.string())),
]


def names(doors):
    """Every way to name somebody, right and wrong."""
    ids = list(PEOPLE)
    found = [None, "", " ", ":", "person:", "pseudonym:", "person:nobody", "nobody", "person:unknown", "account:acme"]
    found += [*ids, *(f"person:{one}" for one in ids), *(one.upper() for one in ids), *(f" {one}" for one in ids)]
    found += [f"PERSON:{one}" for one in ids] + [f"person:person:{one}" for one in ids] + [f"{one}\x00" for one in ids]
    for pseudonym in doors.pseudonyms.values():
        found += [pseudonym, f"person:{pseudonym}", f"pseudonym:{pseudonym}", f"pseudonym:{pseudonym.upper()}"]
        found += [f"pseudonym:person:{pseudonym}", pseudonym[:-1]]
    return [*found, *(f"pseudonym:{one}" for one in ids)]


ACCOUNTS = ["acme", "account:acme", "brill", "nobody", "ACME", "", None, "account:"]
CATEGORIES = [CATEGORY] * 6 + ["content", "gossip", "content/CHAT", None]


def check(doors, questions):
    """Ask everywhere; a single door may answer what makes no sense (a category, a later instant) with an error."""
    expected = []
    for account, people, category, after in questions:
        reason = doors.right(account, people, category, after)
        expected.append((reason is None, reason))

    def agree(found, door):
        wrong = [(*each,) for each in zip(questions, found, expected, strict=True) if each[1] != each[2]]
        assert not wrong, (door, wrong)

    for kind in LIST_TYPES:
        agree(doors.post_arrow(doors.table(questions, kind)), f"HTTP, {kind}")
        agree(told(doors.judged(questions, kind)), f"judge, {kind}")
    wide = max((len(people) for _, people, _, _ in questions if people), default=1)
    fixed = [one for one in questions if one[1] is None or len(one[1]) == wide]
    due = [right for one, right in zip(questions, expected, strict=True) if one in fixed]
    assert told(doors.judged(fixed, pa.list_(pa.string(), wide))) == due
    assert doors.post_arrow(doors.table(fixed, pa.list_(pa.string(), wide))) == due
    table = doors.table(questions, pa.list_(pa.string()))
    encoded = table
    for name in ("account", "category"):
        place = table.schema.get_field_index(name)
        encoded = encoded.set_column(place, name, table[name].dictionary_encode())
    agree(doors.post_arrow(encoded), "HTTP, dictionaries")
    agree(told(doors.workspace.gate.judge(PURPOSE, encoded)), "judge, dictionaries")
    agree([one for batch in table.to_batches() for one in told(doors.workspace.gate.judge(PURPOSE, batch))], "a batch")
    agree(told(doors.workspace.gate.judge(PURPOSE, table.to_reader(2)).read_all()), "a reader")
    agree(doors.json_many(questions), "JSON, many")
    for one, right in zip(questions, expected, strict=True):
        for found in (doors.json_one(one), doors.in_memory(one)):
            may_be_an_error = one[3] or one[2] not in {CATEGORY, None}
            assert found == right or (may_be_an_error and found == (False, "an error")), (one, found, right)
    return expected


def test_every_way_to_name_somebody_at_every_door(doors):
    every = [("acme", [name], CATEGORY, False) for name in names(doors)]
    every += [("acme", ["bo", name], CATEGORY, False) for name in names(doors)]
    expected = check(doors, every)
    permitted = {one[1][-1] for one, (is_permitted, _) in zip(every, expected, strict=True) if is_permitted}
    known = [doors.pseudonyms[person] for person in ("bo", "cy", "guest of none")]
    assert permitted == {
        "bo",
        "person:bo",
        "cy",  # "person:cy" could be either of two
        "guest of none",
        "person:guest of none",
        *(f"person:{one}" for one in known),
        *(f"pseudonym:{one}" for one in known),
    }


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.data())
def test_questions_drawn_at_random_are_answered_alike_at_every_door(doors, data):
    people = st.one_of(st.none(), st.lists(st.sampled_from([*names(doors), *["bo", "cy"] * 40]), max_size=4))
    question = st.tuples(
        st.sampled_from([*ACCOUNTS, *["acme"] * 8]),
        people,
        st.sampled_from(CATEGORIES),
        st.sampled_from([False, False, False, True]),
    )
    check(doors, data.draw(st.lists(question, min_size=1, max_size=12)))


@pytest.mark.slow
def test_pandas_and_polars_frames_get_a_table_of_answers(doors):
    questions = [
        ("acme", ["bo"], CATEGORY, False),
        ("acme", ["bo", "ada"], CATEGORY, False),
        ("acme", None, CATEGORY, False),
    ]
    table = doors.table(questions, pa.list_(pa.string()))
    expected = told(doors.workspace.gate.judge(PURPOSE, table))
    assert expected == [(True, None), (False, "said-no"), (False, "unknown-party")]
    for package in ("pandas", "polars"):
        frames = pytest.importorskip(package, reason=f"{package} is not installed: make extras")
        frame = table.to_pandas() if package == "pandas" else frames.from_arrow(table)
        answers = doors.workspace.gate.judge(PURPOSE, frame)
        assert isinstance(answers, pa.Table)
        assert told(answers) == expected, package
        if package == "polars":
            assert doors.post_arrow(frame.to_arrow()) == expected


def test_what_is_no_table_is_told(doors):
    for nothing in (None, 7, "questions", [{"account": "acme"}]):
        with pytest.raises(InvalidInputError):
            doors.workspace.gate.judge(PURPOSE, nothing)


@pytest.mark.parametrize(
    "name", ["ada", "person:ada", "bo", "person:bo", "cy", "person:cy", "nobody", "", "BO", "gone"]
)
def test_the_command_line_agrees(doors, capsys, name):
    asked = ["may", PURPOSE, "--account", "acme", "--person", name, "--category", CATEGORY]
    code = main([*asked, "--workspace", str(doors.folder), "--json"])
    answer = json.loads(capsys.readouterr().out)
    reason = doors.right("acme", [name], CATEGORY, after=False)
    assert (code, answer["permitted"], answer["reason"]) == (0 if reason is None else 3, reason is None, reason)


def test_a_pseudonym_on_the_command_line_is_the_person(doors, capsys):
    for person in ("ada", "bo"):
        for form in ("pseudonym", "person"):
            asked = ["may", PURPOSE, "--account", "acme", "--category", CATEGORY]
            named = ["--person", f"{form}:{doors.pseudonyms[person]}", "--workspace", str(doors.folder)]
            assert main([*asked, *named]) == (0 if person == "bo" else 3)
            capsys.readouterr()


def test_whoever_is_registered_later_is_known_to_who_asked_before(doors):
    late = ("acme", ["late"], CATEGORY, False)
    assert doors.in_memory(late) == (False, "unknown-party")
    assert told(doors.judged([late])) == [(False, "unknown-party")]
    doors.workspace.people.add_person("late", account="acme")
    assert told(doors.judged([late])) == [(False, "not-asked")]
    doors.say("person:late", "yes")
    assert told(doors.judged([late])) == [(True, None)]
