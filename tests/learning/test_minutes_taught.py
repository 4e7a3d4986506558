"""What corrected summaries teach about decisions and tasks: used above a floor, and forgotten exactly."""

from dataclasses import replace

import numpy as np
import pytest

from volition.learning.families.family import NoParts
from volition.learning.families.model import Model
from volition.learning.families.summary.family import SummaryFamily
from volition.learning.families.summary.minutes import take_minutes
from volition.learning.families.summary.regression import taught_to
from volition.learning.families.summary.sentences import turn_of
from volition.learning.families.summary.taught import FEWEST_MEETINGS, SHIPPED
from volition.progress import silent
from volition.records.lake import Row

FAMILY = SummaryFamily()
COLOURS = ("Green", "Amber", "Violet", "Silver", "Crimson")
THINGS = ("lamp", "kettle", "ladder", "garden", "engine")


def row(meeting, key, payload, *, account="acme", at_us=0):
    return Row(record_id=f"{account}/{meeting}/{key}", account=account, people=("Ann", "Bob"), category="content/transcript",
               collected_us=at_us, payload={"meeting": meeting, **payload})  # fmt: skip


def meeting(number, *, account="acme", told=True):
    """Say three times what the shipped patterns pass over: "Amber would be the ladder, perhaps." There it settles something."""
    name, lines = f"m{number}", []
    for part in range(3):
        colour, thing = COLOURS[(number + part) % 5], THINGS[(number * 2 + part) % 5]
        lines += [("Ann", f"What about the {thing}?"), ("Bob", f"I was asked about the {thing} and it is old."),
                  ("Bob", f"They said that {colour.lower()} is what we have."), ("Ann", f"{colour} would be the {thing}, perhaps.")]  # fmt: skip
    rows = [
        row(name, turn, {"kind": "segment", "turn": turn, "start_ms": 9 * turn, "end_ms": 9 * turn + 8, "speaker": who,
                         "text": text}, account=account, at_us=turn)
        for turn, (who, text) in enumerate(lines)
    ]  # fmt: skip
    payload = {"kind": "summary", "text": "Colours were settled."}
    if told:
        payload["told"] = {"decisions": [3, 7, 11], "tasks": []}
    return [*rows, row(name, "summary", payload, account=account, at_us=99)]


def meetings(count, **more):
    return [one for number in range(count) for one in meeting(number, account=("acme", "brill")[number % 2], **more)]


def fit(rows):
    return FAMILY.fit(rows, parts=NoParts(), progress=silent)


@pytest.fixture(scope="module")
def taught():
    return meetings(FEWEST_MEETINGS + 2)


@pytest.fixture(scope="module")
def model(taught):
    return fit(taught)


def found(model, rows):
    return [one.turn for one in take_minutes(rows, taught=taught_to(model)).decisions]


def test_what_corrected_summaries_tell_is_found_in_other_meetings(model):
    new = meeting(77)
    assert found(None, new) == []
    assert found(model, new) == [3, 7, 11]


def test_with_few_corrected_summaries_the_shipped_patterns_are_used_and_that_is_said(model):
    few = fit(meetings(FEWEST_MEETINGS - 1))
    learnt = taught_to(few)
    assert learnt.weights == SHIPPED
    assert learnt.note is not None
    assert learnt.note.endswith(f"it has {FEWEST_MEETINGS - 1}.")
    assert take_minutes(meeting(77), taught=learnt).taught == learnt.note
    assert taught_to(model).weights["tasks"] is SHIPPED["tasks"]  # nobody told of one
    assert taught_to(None).note is None


def test_a_summary_that_does_not_say_where_it_rests_teaches_nothing():
    assert taught_to(fit(meetings(FEWEST_MEETINGS + 2, told=False))).weights == SHIPPED


@pytest.mark.parametrize(
    "goes",
    [lambda one: one.account == "brill",
     lambda one: one.record_id == "acme/m2/3", lambda one: one.record_id == "brill/m1/summary"],
    ids=["an account", "a line that was told", "a corrected summary"],
)  # fmt: skip
def test_after_forgetting_the_model_has_the_bytes_of_one_that_never_saw_it(taught, model, goes):
    after = [one for one in taught if not goes(one)]
    forgotten = FAMILY.forget(model, before=taught, after=after, parts=NoParts(), progress=silent)
    assert forgotten.files() == fit(after).files()
    assert forgotten.files() != model.files()


@pytest.mark.parametrize("settings", [{"format": 2}, {"cues": "of other software"}])
def test_a_model_of_another_version_works_untaught_and_is_fitted_anew_where_it_forgets(taught, model, settings):
    older = Model(family="summary", settings=dict(model.settings) | settings, arrays=model.arrays, texts={})
    if "format" in settings:
        kept = {name: array for name, array in model.arrays.items() if name not in SHIPPED}
        older = replace(older, settings={k: v for k, v in older.settings.items() if k != "cues"}, arrays=kept)
    assert found(older, meeting(77)) == found(None, meeting(77))
    after = taught[13:]
    forgotten = FAMILY.forget(older, before=taught, after=after, parts=NoParts(), progress=silent)
    assert forgotten.files() == fit(after).files()


def test_a_sum_holds_whole_numbers_and_no_word(model):
    assert {array.dtype for array in model.arrays.values()} == {np.dtype(np.int64)}
    assert model.texts == {}


def test_a_sentence_in_other_words_is_traced_to_the_one_line_that_shares_half_of_them():
    rows = [one for one in meeting(0) if one.payload["kind"] == "segment"]
    assert turn_of("Green would be the lamp", rows) == 3
    assert turn_of("Perhaps.", rows) is None  # three lines share it
    assert turn_of("Nothing of the kind happened.", rows) is None
