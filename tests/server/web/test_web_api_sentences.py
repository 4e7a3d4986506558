"""Page and API say the same, sentence by sentence: AI settings, one question, many questions, and weighing, by state.

The states are those of `test_web_sentences`, lived through in a workspace and asked of its server. In each the visitor
then says no to everything and takes it back, and all doors are compared again.
"""

import html
import itertools
import os
import random
import re

import pytest
from starlette.testclient import TestClient
from test_web_sentences import ANSWERS, BOUND, FALSE_ONCE, LIMITS, REGIONS, STATES

from volition import canonical
from volition.canonical import us_to_text
from volition.consent.permits import Permit, Say
from volition.consent.terms.model import CATEGORIES, PURPOSES
from volition.server.app import Server
from volition.server.auth import Access, Role, Scope
from volition.server.web import labels as words
from volition.workspace import Workspace

DAY_US = 86_400_000_000
CATEGORY_OF = {words.category(name): name for name in CATEGORIES}
PERMITTED = {"Used": True, "Allowed": True, "Not used": False, "Not allowed": False}
SPOKEN = {  # what the page says for each reason: of the visitor, and of the organisation
    "not-asked": ("you have not answered", "Acme Ltd has not answered"),
    "said-no": ("you said no", "Acme Ltd said no"),
    "withdrawn": ("you withdrew the yes", "Acme Ltd withdrew the yes"),
    "expired": ("you said a yes that has ended", "Acme Ltd said a yes that has ended"),
    "limited": ("Acme Ltd limits it for you", "Acme Ltd limits it"),
    "no-terms": (words.REASON_BY_NAME["no-terms"],) * 2,
    "never": (words.REASON_BY_NAME["never"],) * 2,
}


def live(folder, state):
    """Make a workspace in which a state was lived through, an event a day, up to now."""
    profile, bound, account, person, region, limit = state
    now_us = canonical.now_us()
    clock = iter(itertools.count(now_us - 60 * DAY_US, DAY_US // 24))
    workspace = Workspace.create(folder, origin="log.example/states", profile=profile, clock=lambda: next(clock))
    with workspace:
        places = dict(REGIONS[region])
        workspace.people.add_account("acme", "Acme Ltd", region=places.get("account:acme"))
        workspace.people.add_person("ada", account="acme", name="Ada Byron", region=places.get("person:ada"))
        if BOUND[bound]:
            workspace.terms.accept("acme", profile)
        for party, said in (("account:acme", account), ("person:ada", person)):
            for word, covers in ANSWERS[said]:
                data = ["content/chat"] if word == "chat" else ["service", "content"]
                until = us_to_text(now_us - DAY_US) if word == "until" else None
                purpose = ["train", "feature", "advertising", "tracking"]
                workspace.consent.decide(
                    party, yes=word != "no", data=data, purpose=purpose, covers=covers, until=until
                )
        if LIMITS[limit] is not None:
            group, people, purpose = LIMITS[limit]
            named = ["ada"] if people else []
            data = ["service", "content"]
            workspace.consent.limit("acme", data=data, purpose=[purpose], group=group, people=named)
    access = Access.open(folder)
    access.users.add("ada", roles=[Role.PERSON], account="acme", person="ada")
    access.close()


class Doors:
    """The page of a person, and the API as an operator and as that person ask it."""

    def __init__(self, folder):
        self.server = Server(folder)
        self.page = TestClient(self.server, base_url="http://c.example", headers={"sec-fetch-site": "same-origin"})
        self.page.cookies.set("volition", self.server.access.sessions.begin("ada"))
        self.own = self._asking("ada", Role.PERSON)
        self.operator = self._asking("olga", Role.OPERATOR)

    def _asking(self, user, role):
        if user != "ada":
            self.server.access.users.add(user, roles=[role])
        _, secret = self.server.access.tokens.issue(user, name="test", roles=[role], scopes=list(Scope))
        return TestClient(self.server, base_url="http://c.example", headers={"authorization": f"Bearer {secret}"})

    def told(self):
        """Return what the page says of each use: (category, purpose) -> (is it permitted, why)."""
        text = self.page.get("/settings").text
        with self.server.workspaces.borrow() as workspace:
            found = workspace.consent.choices("person:ada", account="acme").choices
        said = {}
        for choice in found:
            [table] = re.findall(rf'id="{choice.switch.name}-kinds">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
            for name, rest in re.findall(r'<th scope="row">(.*?)</th>(.*?)(?=<th scope="row">|$)', table, re.DOTALL):
                cells = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in rest.split("<td>")[1:]]
                word, why = (html.unescape(cell) for cell in cells)
                title, _, kind = name.rpartition(": ")
                [purpose] = [one for one in choice.purposes if not title or words.purpose(one).title == title]
                said[CATEGORY_OF[kind[0].lower() + kind[1:]], purpose] = PERMITTED[word], why
        return text, said

    def close(self):
        self.server.close()


def question(category):
    return {"account": "acme", "people": ["ada"], "category": category}


def compare(doors):
    """Ask every door about every use, and hold the answers together; return the page's."""
    (text, said), weighed = doors.told(), reasons(doors)
    for purpose in PURPOSES:
        singles = []
        for category in CATEGORIES:
            answer = doors.operator.post("/v1/may", json={"purpose": purpose, **question(category)})
            singles.append(answer.json())
        asked = {"purpose": purpose, "questions": [question(category) for category in CATEGORIES]}
        assert doors.operator.post("/v1/may", json=asked).json()["answers"] == singles
        for category, verdict in zip(CATEGORIES, singles, strict=True):
            if (category, purpose) not in said:  # the page lists it under what is never done, or there are no terms
                assert not verdict["permitted"]
                assert verdict["reason"] in {"never", "no-terms"}, verdict
                assert words.purpose(purpose).title in text
                continue
            permitted, why = said[category, purpose]
            assert verdict["permitted"] == permitted, (category, purpose, verdict, why)
            refusing = weighed.get((category, purpose))
            if refusing is not None:
                assert permitted == (refusing == set()), (category, purpose, refusing, why)
                said_here = {SPOKEN[reason][who != "you"] for who, reason in refusing}
                assert why.split(";")[0] in said_here or (permitted and why.startswith("collected since ")), (
                    why,
                    refusing,
                )
                who = "you" if verdict["party"].startswith("person:") else "your account"
                assert permitted or (who, verdict["reason"]) in refusing, (verdict, refusing)
    return said


def reasons(doors):
    """Return who refuses each use now, and why, as weighing says: (category, purpose) -> {(who, reason)}."""
    found = {}
    for one in doors.own.get("/v1/weigh").json()["purposes"]:
        for state in one["now"]:
            for category in state["data"]:
                of_use = found.setdefault((category, one["purpose"]), set())
                if not state["allowed"]:
                    of_use.add((state["party"], state["reason"]))
    return found


def check_a_no(doors):
    """What weighing says of a no is what the switches, and the say that the terms give, make of it."""
    with doors.server.workspaces.borrow() as workspace:
        found = workspace.consent.choices("person:ada", account="acme")
    for one in doors.own.get("/v1/weigh").json()["purposes"]:
        told, purpose = one["a_no"], one["purpose"]
        read = {category for state in one["now"] for category in state["data"]}
        beside = [choice for choice in found.choices if purpose in choice.purposes]
        lines = [
            line for choice in beside for line in choice.lines if (line.purpose == purpose) & (line.category in read)
        ]
        says = {line.say for line in lines}
        if found.accepted and lines:
            assert (told == "The terms give you no say in this.") == (says == {Say.NONE}), (purpose, told, says)
            bound = any(line.say is Say.NONE and isinstance(line.own, Permit) for line in lines) and says != {Say.NONE}
            assert ("It does not reach the data" in told) == bound, (purpose, told)
        turns_off = any(name.startswith("feature/") for choice in beside for name in choice.purposes)
        if purpose.startswith("train/") and told != "The terms give you no say in this.":
            assert ("No feature is turned off by it." in told) != turns_off, (purpose, told)
            assert ("Alone it turns off no feature; said with the switch" in told) == turns_off


def check_requested(doors, said):
    """After a no to everything the page of requests says what it does not reach, if anything, and nothing else."""
    [newest, *_] = re.findall(r"<article.*?</article>", doors.page.get("/requests").text, re.DOTALL)
    is_used = any(permitted for permitted, _ in said.values())
    assert ("In force, but it does not reach " in newest) == is_used, newest
    assert "Recorded" not in newest  # everything is only refused where the terms give a say in something
    assert ("In force: this data of yours is not used for this." in newest) != is_used, newest


def check(folder, state):
    live(folder, state)
    doors = Doors(folder)
    try:
        before = compare(doors)
        check_a_no(doors)
        text, _ = doors.told()
        if 'action="/settings/refuse/everything"' in text:
            text = doors.page.post("/settings/refuse/everything", data={"answer": "no"}).text
            after = compare(doors)
            check_requested(doors, after)
            assert all(was or not now for (was, _), (now, _) in zip(before.values(), after.values(), strict=True))
            undo = re.search(r'name="undo" value="(\d+)"', text)
            if undo:
                doors.page.post("/settings/refuse/everything", data={"undo": undo[1]})
                again = compare(doors)
                assert {use: one for use, (one, _) in again.items()} == {use: one for use, (one, _) in before.items()}
    finally:
        doors.close()


@pytest.mark.slow
@pytest.mark.parametrize("state", FALSE_ONCE, ids=", ".join)
def test_the_page_and_the_api_say_the_same(tmp_path, state):
    check(tmp_path / "ws", state)


@pytest.mark.slow
def test_the_page_and_the_api_say_the_same_in_many_states(tmp_path):
    """Some of thousands of states; all of them, for hours, where VOLITION_STATES is "all"."""
    states = STATES if os.environ.get("VOLITION_STATES") == "all" else random.Random(16).sample(STATES, 15)
    for number, state in enumerate(states):
        check(tmp_path / str(number), state)
