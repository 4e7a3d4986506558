"""One person under several identities is one: in what is learnt, held out, grouped, left out and attacked."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bench.planted import chat, couples, crafts, searching
from bench.sessions import rows_of, simulate
from volition.learning.audit.canary import measure_canaries
from volition.learning.audit.defaults import DEFAULT_BOUNDS
from volition.learning.audit.groups import groupings, regions_on_record
from volition.learning.audit.membership_inference import attack, familiarity
from volition.learning.audit.poisoning import measure_poisoning
from volition.learning.audit.run import run_audits
from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.diagnose.family import DiagnoseFamily
from volition.learning.families.family import NoParts, Scores
from volition.learning.families.recommend.family import RecommendFamily
from volition.learning.families.search.family import SearchFamily
from volition.learning.families.summary.family import SummaryFamily
from volition.progress import silent
from volition.records.lake import Row


def summarised():
    """Return meetings of eight people, each with an edited summary of what was said."""
    rows = [row for row in searching(meetings=6) if row.payload["kind"] == "segment"]
    for name in sorted({row.payload["meeting"] for row in rows}):
        said = [row for row in rows if row.payload["meeting"] == name]
        text = ". ".join(row.payload["text"].capitalize() for row in said[::5])
        payload = {"kind": "summary", "meeting": name, "text": text}
        people = tuple(dict.fromkeys(row.people[0] for row in said))
        rows.append(replace(said[0], record_id=f"{name}/summary", people=people, collected_us=10**9, payload=payload))
    return rows


def sessions():
    return rows_of(simulate(60, 8))


FAMILIES = {
    "recommend": (RecommendFamily(), lambda: crafts("acme", people=20)),
    "compose": (ComposeFamily(k=3), lambda: chat(people=20, each=8)),
    "search": (SearchFamily(None), lambda: searching(meetings=8)),
    "summary": (SummaryFamily(), summarised),
    "diagnose": (DiagnoseFamily(), sessions),
}


def heard(person):
    return f"{person}-heard"


def apart(rows):
    """Return rows of which every second one of each person is under another identity, and nobody is merged."""
    so_far = Counter()
    found = []
    for row in rows:
        so_far[row.people[:1]] += 1
        is_heard = so_far[row.people[:1]] % 2 == 0
        found.append(replace(row, people=tuple(heard(one) for one in row.people)) if is_heard else row)
    return found


def as_one(rows, kept=lambda person: person):
    """Return the same rows once all identities of a person are recognised as one."""
    people = {one.removesuffix("-heard") for row in rows for one in row.people}
    merged = {identity: kept(one) for one in people for identity in (one, heard(one)) if identity != kept(one)}
    return [replace(row, merged={one: merged[one] for one in row.people if one in merged} or None) for row in rows]


def shown(scores):
    return (scores.metric, scores.units, scores.accounts, scores.values.tolist(), scores.people)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "search" else ()) for name in FAMILIES]
)
def test_a_family_learns_and_is_measured_as_if_each_person_had_one_name(name):
    family, made = FAMILIES[name]
    rows, one = made(), as_one(apart(made()))
    model, same = (family.fit(each, parts=NoParts(), progress=silent) for each in (rows, one))
    assert same.files() == model.files()
    assert familiarity(family, model, one) == pytest.approx(familiarity(family, model, rows))
    for fold in range(2):
        known, held = family.holdout(rows, fold, 3)
        also_known, also_held = family.holdout(one, fold, 3)
        for part, other in ((known, also_known), (held, also_held)):
            assert [row.record_id for row in other] == [row.record_id for row in part]
        scored = family.fit(known, parts=NoParts(), progress=silent)
        assert held
        for asked in (None, scored):
            assert shown(family.evaluate(asked, also_known, also_held)) == shown(family.evaluate(asked, known, held))


@pytest.mark.parametrize("name", ["compose", "diagnose"])  # others hold out documents, meetings or items
def test_nobody_is_learnt_from_and_held_out_under_another_identity(name):
    family, made = FAMILIES[name]
    one = as_one(apart(made()), kept=heard)
    known, held = family.holdout(one, 0, 3)
    assert held
    assert {row.author for row in known}.isdisjoint(row.author for row in held)
    assert {row.people[0] for row in held} > {row.author for row in held}


def test_every_audit_finds_what_it_finds_of_people_with_one_name_each():
    rows = couples("acme", people=24, stuffers=1)
    one = as_one(apart(rows))
    found, same = (
        run_audits(RecommendFamily(), each, regions={}, bounds=DEFAULT_BOUNDS, progress=silent) for each in (rows, one)
    )
    assert same == found
    [poisoning] = [finding for finding in same if finding.audit == "poisoning" and finding.detail.get("stands_out")]
    assert poisoning.detail["stands_out"] == "person:acme-stuffer-0"


@pytest.mark.slow
def test_an_attack_and_a_planted_secret_count_people_and_not_identities():
    rows, family = chat(people=20, each=8), ComposeFamily(k=3)
    one = as_one(apart(rows))
    trials, same = (attack(family, each, progress=silent) for each in (rows, one))
    assert len(same.people) == 20
    assert same.people == trials.people
    assert np.array_equal(same.member, trials.member)
    assert np.allclose(same.evidence, trials.evidence)
    findings, also = (measure_canaries(family, each, bound=3.0, progress=silent) for each in (rows, one))
    assert also == findings


def test_four_people_under_eight_names_are_too_few_to_compare():
    rows = crafts("acme", people=4)
    one = as_one(apart(rows))
    _, people = measure_poisoning(RecommendFamily(), apart(rows), bound=None, progress=silent)
    assert people.value is not None
    _, people = measure_poisoning(RecommendFamily(), one, bound=None, progress=silent)
    assert people.value is None


class Listening:
    """A family that is asked how well it does on what somebody has a part in: as well as they have rows."""

    name, purpose = "listening", "train/search"

    def fit(self, rows, *, parts, progress):
        return RecommendFamily().fit(rows, parts=parts, progress=progress)

    def holdout(self, rows, _fold, _folds):
        return rows, rows

    def evaluate(self, _model, _known, rows_heldout):
        return Scores(metric="rows", units=("all",), accounts=("acme",), values=np.array([float(len(rows_heldout))]))


def test_whoever_has_a_part_in_something_under_two_identities_has_one_part():
    rows = [replace(row, people=(row.people[0], "guest", heard("guest"))) for row in crafts("acme", people=6)]
    model = Listening().fit(rows, parts=NoParts(), progress=silent)
    known = familiarity(Listening(), model, as_one(rows))
    assert known["guest"] == len(rows)
    assert len(known) == 7


def test_groups_are_of_people_and_what_is_on_record_of_either_identity_is_on_record_of_the_person():
    def spoke(person, at_us, others=(), **attributes):
        payload = {"kind": "event", "attributes": attributes}
        return Row(
            record_id=f"{person}/{at_us}",
            account="acme",
            people=(person, *others),
            category="service/usage",
            collected_us=at_us,
            payload=payload,
        )

    names = [f"{number}" for number in range(9)]
    rows = [spoke(name, 1, **{"browser.language": "de"}) for name in names]
    rows += [spoke(heard(name), 2, (heard("0"),), **{"browser.language": "fr"}) for name in names[:2]]
    scores = Scores(
        metric="m",
        units=tuple(names),
        accounts=("acme",) * 9,
        values=np.zeros(9),
        people=tuple((name,) for name in names),
    )

    def labels(rows):
        return {grouping.name: grouping.labels for grouping in groupings(scores, rows, regions={})}

    two, one = labels(rows), labels(as_one(rows))
    assert set(two["account size"]) == {"10 to 49 people"}
    assert set(one["account size"]) == {"1 to 9 people"}
    assert set(two["language"]) == {"de"}
    assert one["language"] == ("fr", "fr", *("de",) * 7)


def test_a_region_is_that_of_whom_an_identity_was_merged_into():
    class Regions:
        def regions(self, party):
            return {"person:0": [(1, "FR")], "account:acme": [(1, "US")]}.get(party, [])

    rows = as_one([replace(row, people=(heard("0"),)) for row in crafts("acme", people=1)])
    assert regions_on_record(Regions(), rows, at_us=2) == {"person:0": "FR", "account:acme": "US"}
