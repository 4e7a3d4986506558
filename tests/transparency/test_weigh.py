"""What a party weighs: its own figures or "not measured", what a no turns off, what withdrawing does; nobody else's no."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest

from crafts import Clock, build, set_bounds
from volition.cli import main
from volition.consent.terms.model import PURPOSES
from volition.errors import InvalidInputError
from volition.learning.audit.marginal import marginal_effect
from volition.learning.audit.run import AUDITS
from volition.learning.release import Override
from volition.workspace import Workspace

TRAIN, FEATURE = "train/recommend", "feature/recommend"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Release once; every test works on a copy. The bakery is small: four people."""
    folder = tmp_path_factory.mktemp("weigh") / "workspace"
    clock = Clock()
    with build(
        folder, clock, accounts={"orchard": 12, "dairy": 6, "bakery": 4, "museum": 1}, profile="bundled"
    ) as workspace:
        workspace.people.add_person("visitor")
        workspace.consent.decide("account:museum", yes=False, data=["service"], purpose=["train"])
    set_bounds(folder, benefit=(-1.0, False))
    with Workspace.open(folder, clock=clock) as workspace:
        model = workspace.models.train("recommend").id
        workspace.models.audit(model)
        workspace.models.release(model)
    return folder, clock.now, model


@pytest.fixture
def released(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "workspace")
    clock = Clock(made[1])
    clock.wait(minutes=1)
    with Workspace.open(folder, clock=clock) as workspace:
        yield workspace, made[2]


def one(workspace, party, purpose=TRAIN, **how):
    [weighing] = workspace.weigh.party(party, purpose=[purpose], **how).purposes
    return weighing


def figure(figures, what, about):
    [found] = [found for found in figures if (found.what, found.about) == (what, about)]
    return found


@pytest.mark.slow
def test_an_account_sees_what_training_gives_it_and_what_its_own_data_adds(released):
    workspace, model = released
    [benefit] = [found for found in workspace.models.findings(workspace.models.open(model)) if found.audit == "benefit"]
    told = benefit.detail["by_account"]["orchard"]
    weighing = one(workspace, "account:orchard")
    own = figure(weighing.gains, "benefit", "you")
    assert (own.value, own.low, own.high, own.units) == (told["value"], told["low"], told["high"], told["units"])
    data = figure(weighing.gains, "own data", "you")
    assert (data.value, data.low, data.high) == tuple(told["marginal"][key] for key in ("value", "low", "high"))
    everybody = figure(weighing.gains, "benefit", "everybody")
    assert (everybody.value, everybody.units, everybody.model) == (benefit.value, benefit.units, model)


def test_what_was_not_measured_says_so(released):
    workspace, _ = released
    weighing = one(workspace, "account:orchard")
    for risk in ("attack", "canary", "poisoning"):
        found = [cost for cost in weighing.costs if cost.what == risk]
        assert found
        assert all(cost.value is not None or cost.how.startswith("Not measured.") for cost in found)
    assert not figure(one(workspace, "account:museum").gains, "benefit", "you").value
    untrained = one(workspace, "account:orchard", "train/summary")
    assert [gain.verdict for gain in untrained.gains] == ["not measured"]
    assert {cost.verdict for cost in untrained.costs} == {"not measured"}
    assert {cost.what for cost in untrained.costs} == set(AUDITS) - {"benefit"}  # no risk that has an audit is left out
    assert untrained.models == ()


@pytest.mark.slow
def test_every_figure_is_one_that_an_audit_found_or_is_not_measured(released):
    workspace, model = released
    findings = workspace.models.findings(workspace.models.open(model))
    measured = {(found.audit, found.metric, found.value, found.low, found.high, found.units) for found in findings}
    for party in ("account:orchard", "person:orchard-0"):
        for weighing in workspace.weigh.party(party).purposes:
            for told in (*weighing.gains, *weighing.costs):
                assert (told.value is None) == (told.verdict == "not measured") == told.how.startswith("Not measured")
                if told.about == "everybody" and told.value is not None:
                    assert (told.what, told.metric, told.value, told.low, told.high, told.units) in measured


def test_the_figures_of_a_small_account_are_withheld_since_they_tell_about_single_people(released):
    workspace, _ = released
    for party in ("account:bakery", "person:bakery-0"):
        weighing = one(workspace, party)
        mine = [found for found in weighing.gains if found.about != "everybody"]
        assert mine
        assert all(found.value is None for found in mine)
    [learned] = one(workspace, "account:bakery").models
    assert learned.rows is None


def test_the_figure_of_everybody_is_withheld_where_it_would_give_a_handful_away(released, tmp_path):
    workspace, model = released
    trained = workspace.models.open(model)
    findings = [found.to_json() for found in workspace.models.findings(trained)]
    by_account = findings[0]["detail"]["by_account"]
    assert {account: told["people"] for account, told in by_account.items()} == {"orchard": 12, "dairy": 6, "bakery": 4}
    assert figure(one(workspace, "account:orchard").gains, "benefit", "everybody").value is not None
    del by_account["dairy"]  # then who knows the orchard's figure could work out the bakery's
    (trained.folder / "findings.json").write_text(json.dumps(findings))
    assert figure(one(workspace, "account:orchard").gains, "benefit", "everybody").value is None
    assert figure(one(workspace, "account:bakery").gains, "benefit", "everybody").value is not None


def names_in(workspace, account):
    """Everything by which one of an account's people could be told: ids and pseudonyms."""
    people = workspace.parties.people(account)
    return [name for person in people for name in (person.id, person.pseudonym)]


@pytest.mark.parametrize("decided", [[], ["orchard-3"], ["orchard-3", "orchard-4", "orchard-5"]])
def test_an_administrator_never_sees_one_persons_no(released, decided):
    workspace, _ = released
    before = one(workspace, "account:orchard")
    for person in decided:
        workspace.consent.decide(f"person:{person}", yes=False, data=["service"], purpose=["train"])
    told = workspace.weigh.party("account:orchard")
    text = json.dumps(told.to_json())
    assert not [name for name in names_in(workspace, "orchard") if name in text]
    after = one(workspace, "account:orchard")
    assert asdict(after) == asdict(before)


def test_a_person_sees_their_own_state_and_their_accounts(released):
    workspace, _ = released
    workspace.consent.decide("person:orchard-3", yes=False, data=["service"], purpose=["train"])
    states = {state.party: state for state in one(workspace, "person:orchard-3").now}
    assert (states["you"].allowed, states["you"].reason) == (False, "said-no")
    assert states["you"].remedy
    assert states["your account"].allowed
    others = {state.party: state for state in one(workspace, "person:orchard-4").now}
    assert others["you"].allowed


def test_what_a_no_turns_off_is_what_the_terms_switch_says(released):
    workspace, _ = released
    weighing = one(workspace, "account:orchard")
    [switch] = [switch for switch in workspace.terms.published()[-1].switches if "train" in switch.refuses]
    [off] = weighing.switches
    assert off.switch == switch.name
    assert set(off.refuses) >= {TRAIN}
    assert off.disables == ("feature/summary", "feature/compose")
    assert one(workspace, "account:orchard", "advertising").switches == ()


def test_withdrawing_names_the_models_the_rows_and_the_days_and_then_it_happens_so(released):
    workspace, model = released
    [learned] = one(workspace, "person:orchard-3").models
    assert (learned.model, learned.at_work) == (model, True)
    weighing = one(workspace, "person:orchard-3")
    assert weighing.due_days == workspace.due_days == 30
    assert "30 days" in weighing.withdrawing
    assert weighing.stays
    workspace.consent.decide("person:orchard-3", yes=False, data=["service"], purpose=["train"])
    [owed] = workspace.models.owed()
    assert (owed.model, owed.rows) == (learned.model, learned.rows)


def test_an_accounts_no_takes_the_rows_that_weighing_named(released):
    workspace, _ = released
    [learned] = one(workspace, "account:orchard").models
    workspace.consent.decide("account:orchard", yes=False, data=["service"], purpose=["train"])
    [owed] = workspace.models.owed()
    assert owed.rows == learned.rows
    assert workspace.weigh.party("account:museum", purpose=[TRAIN]).purposes[0].models == ()


def test_a_persons_own_data_is_measured_when_asked_for(released):
    workspace, _ = released
    before = figure(one(workspace, "person:orchard-3").gains, "own data", "you")
    assert before.value is None
    assert "--measure" in before.how
    gains = one(workspace, "person:orchard-3", measure=True).gains
    account = figure(gains, "own data", "your account")
    own = figure(gains, "own data", "you")
    assert account.units == 12
    assert account.low <= account.value <= account.high
    assert (own.units, own.low, own.high) == (1, None, None)
    assert np.isfinite(own.value)


def test_an_account_measured_when_asked_is_what_its_audit_found(released):
    workspace, _ = released
    audited = figure(one(workspace, "account:orchard").gains, "own data", "you")
    asked = figure(one(workspace, "account:orchard", measure=True).gains, "own data", "you")
    assert (asked.value, asked.low, asked.high) == (audited.value, audited.low, audited.high)


def test_an_account_of_few_people_is_one_also_where_they_have_more_identities(released):
    workspace, _ = released
    assert one(workspace, "account:dairy").models[0].rows is not None
    for heard in ("dairy-4", "dairy-5"):
        workspace.people.merge(heard, into="dairy-0")
    assert one(workspace, "account:dairy").models[0].rows is None
    assert one(workspace, "account:orchard").models[0].rows is not None


def test_a_person_weighs_what_was_learned_from_every_identity_of_theirs(released):
    workspace, _ = released
    apart = [one(workspace, f"person:orchard-{number}").models[0].rows for number in (3, 4)]
    workspace.people.merge("orchard-4", into="orchard-3")
    for person in ("orchard-3", "orchard-4"):
        [learned] = one(workspace, f"person:{person}").models
        assert learned.rows == sum(apart)
    workspace.consent.decide("person:orchard-3", yes=False, data=["service"], purpose=["train"])
    [owed] = workspace.models.owed()
    assert owed.rows == learned.rows


def test_what_a_persons_own_data_gives_is_measured_without_any_of_their_identities(released):
    workspace, _ = released
    workspace.people.merge("orchard-4", into="orchard-3")
    gains = one(workspace, "person:orchard-3", measure=True).gains
    assert (figure(gains, "own data", "you").units, figure(gains, "own data", "your account").units) == (1, 11)
    kept, gone = workspace.parties.person("orchard-3").pseudonyms
    left = []

    def keep_those_left_out(crossed, *, gone, account, person):
        left.append({row.people[0] for fold in crossed.folds for row in fold.known if gone(row)})
        return marginal_effect(crossed, gone=gone, account=account, person=person)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("volition.transparency.weigh.marginal_effect", keep_those_left_out)
        one(workspace, "person:orchard-3", measure=True)
    assert left == [{kept, gone}]


def test_a_stale_models_rows_are_not_measured_on(released):
    workspace, _ = released
    workspace.consent.decide("person:orchard-5", yes=False, data=["service"], purpose=["train"])
    own = figure(one(workspace, "person:orchard-3", measure=True).gains, "own data", "you")
    assert own.value is None
    assert "may be used any more" in own.how
    assert "said-no" not in own.how


def test_a_release_beyond_its_bounds_is_told_with_who_answers(released):
    workspace, _ = released
    folder = workspace.folder
    workspace.close()
    set_bounds(folder, benefit=(0.99, False))
    with Workspace.open(folder, clock=workspace._opened.clock) as again:
        model = again.models.train("recommend").id
        again.models.audit(model)
        again.models.release(model, override=Override(by="Dana Reyes", why="The pilot."))
        weighing = one(again, "account:orchard")
        assert [learned.overridden for learned in weighing.models if learned.model == model] == [
            {"by": "Dana Reyes", "why": "The pilot."}
        ]
        assert figure(weighing.gains, "benefit", "everybody").verdict == "fail"


def test_a_guest_of_no_account_and_every_purpose_has_an_answer(released):
    workspace, _ = released
    weighed = workspace.weigh.party("person:visitor")
    assert weighed.account is None
    assert [weighing.purpose for weighing in weighed.purposes] == list(PURPOSES)
    with pytest.raises(InvalidInputError):
        workspace.weigh.party("person:nobody")
    with pytest.raises(InvalidInputError):
        workspace.weigh.party("account:orchard", purpose=["train/everything"])


def test_the_command_line_shows_the_same(released, capsys):
    workspace, model = released
    workspace.close()
    folder = str(workspace.folder)
    assert main(["weigh", "--party", "person:orchard-3", "--purpose", "train", "--json", "--workspace", folder]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["purposes"][1]["models"][0]["model"] == model
    assert main(["weigh", "--party", "account:orchard", "--workspace", folder]) == 0
    shown = capsys.readouterr().out
    for text in ("account:orchard weighs", "not measured", "Withdrawing later", model, "A no:", "Generative AI"):
        assert text in shown
    assert main(["weigh", "--party", "account:nobody", "--workspace", folder]) == 2
