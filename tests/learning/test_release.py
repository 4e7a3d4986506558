"""A release within its bounds; beyond them only by somebody who is named, and everybody can check that."""

import json
import shutil
from dataclasses import replace

import pytest

from crafts import Clock, build, set_bounds
from volition.canonical import canonical_json, digest
from volition.errors import BackendError, InvalidInputError, ProofError, RefusedError
from volition.learning.audit.defaults import bounds_text
from volition.learning.card import card_markdown
from volition.learning.release import Override, read_card, settle_releases, write_release
from volition.ledger.entry import NewEntry
from volition.ledger.signing import open_envelope
from volition.transparency.verify.bundle import verify_bundle
from volition.workspace import Workspace

UNREACHABLE = (0.99, False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Train once; every test works on a copy."""
    folder = tmp_path_factory.mktemp("release") / "workspace"
    clock = Clock()
    with build(folder, clock, accounts={"orchard": 12, "bakery": 8}) as workspace:
        model = workspace.models.train("recommend").id
    return folder, clock.now, model


@pytest.fixture
def opened(made, tmp_path):
    """Return a way to open a copy with other bounds, each time anew."""
    folder = shutil.copytree(made[0], tmp_path / "workspace")
    clock = Clock(made[1])
    spaces = []

    def reopen(**bounds):
        while spaces:
            spaces.pop().close()
        set_bounds(folder, **bounds)
        clock.wait(minutes=1)
        spaces.append(Workspace.open(folder, clock=clock))
        return spaces[-1], made[2]

    yield reopen
    while spaces:
        spaces.pop().close()


def card_of(workspace, model):
    return json.loads((workspace.folder / "releases" / model / "card.json").read_bytes())


def proven(workspace, tmp_path):
    workspace.proofs.bundle(tmp_path / "evidence.zip")
    return verify_bundle(tmp_path / "evidence.zip", workspace.verifier)


def unmeasured(workspace, model):
    """Audit a model, and lose what the benefit was measured to be; return why it is not known."""
    [benefit, *others] = [found.to_json() for found in workspace.models.audit(model)]
    why = "Not measured. So."
    gone = benefit | {"value": None, "low": None, "high": None, "verdict": "not measured", "how": why}
    gone |= {"units": 0, "detail": {}}
    (workspace.models.open(model).folder / "findings.json").write_bytes(canonical_json([gone, *others]))
    return why


@pytest.mark.slow
def test_within_its_bounds_a_model_is_released_and_the_card_says_what_was_measured(opened, tmp_path):
    workspace, model = opened(benefit=(-1.0, True), fairness=(1.0, False))
    findings = workspace.models.audit(model)
    entry = workspace.models.release(model)
    assert "override" not in entry.body
    card = card_of(workspace, model)
    assert [found["verdict"] for found in card["findings"]] == [found.verdict for found in findings]
    assert card["findings"][0]["bound"] == -1.0
    assert card["required"] == ["benefit"]
    assert (card["base"], card["privacy"], card["override"]) == (None, None, None)
    markdown = (workspace.folder / "releases" / model / "card.md").read_text()
    for found in findings:
        assert f"| {found.audit} | {found.metric} |" in markdown
        assert found.how in markdown
    unmeasured = [found.metric for found in findings if not found.measured]
    assert unmeasured
    assert all(f"({metric})" in markdown.partition("- Not measured: ")[2] for metric in unmeasured)
    assert proven(workspace, tmp_path).holds

    state, releases = workspace.models.states()[model], workspace.folder / "releases"
    assert read_card(releases, state, model) == card
    with pytest.raises(InvalidInputError, match="no released model 'x'"):
        read_card(releases, None, "x")
    path = releases / model / "card.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ProofError, match="not the one"):
        read_card(releases, state, model)
    path.unlink()
    with pytest.raises(BackendError, match="cannot be read"):
        read_card(releases, state, model)


def test_the_attestation_is_an_in_toto_statement_that_binds_the_model_to_all_that_its_card_rests_on(opened):
    workspace, model = opened(benefit=(-1.0, True))
    workspace.models.audit(model)
    entry = workspace.models.release(model)
    card = card_of(workspace, model)
    attestation = json.loads((workspace.folder / "releases" / model / "attestation.json").read_bytes())
    envelope = open_envelope(attestation, workspace.verifier)
    files = workspace.models.open(model).model.files()
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert json.loads(envelope.payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest(data)}} for name, data in sorted(files.items())],
        "predicateType": "urn:volition:release:2",
        "predicate": {
            "model": model,
            "digest": card["digest"],
            "snapshot": card["learned_from"]["snapshot"],
            "manifest": card["learned_from"]["manifest"],
            "checkpoint": card["checkpoint"],
            "terms": ["granular"],
            "findings": card["findings"],
            "card": entry.body["card"],
        },
    }


def test_the_card_says_what_a_model_claims_of_its_base_and_of_privacy(opened):
    workspace, model = opened(benefit=(-1.0, True))
    workspace.models.audit(model)
    base = {"name": "smollm", "digest": "b" * 64}
    claims = dict.fromkeys(("unit", "neighbours", "mechanism", "sampling", "accountant", "composition"), "said")
    figures = {"epsilon": 7.5, "delta": 1e-6, "rate": 0.1, "multiplier": 0.7, "clipping": 1.0, "steps": 40}
    privacy = claims | figures | {"seen_by": "said", "not_covered": ["what others said"]}
    card = append_release(workspace, model, settings={"base": base, "privacy": privacy})
    assert (card["base"], card["privacy"]) == (base, privacy)


def test_whoever_has_several_identities_is_one_of_the_people_on_the_card(opened, tmp_path):
    workspace, model = opened(benefit=(-1.0, True), fairness=(1.0, False))
    workspace.people.merge("orchard-1", into="orchard-0")
    workspace.models.audit(model)
    workspace.models.release(model)
    card = card_of(workspace, model)
    assert card["learned_from"]["people"] == 19
    assert "19 people in 2 accounts" in card_markdown(card)
    by_account = {
        account: figures["people"]
        for found in card["findings"]
        for account, figures in found["detail"].get("by_account", {}).items()
    }
    assert by_account == {"orchard": 11, "bakery": 8}
    assert proven(workspace, tmp_path).holds


def test_a_missed_bound_refuses_and_says_which_by_how_much_and_what_to_do(opened):
    workspace, model = opened(benefit=UNREACHABLE)
    [benefit, *_] = workspace.models.audit(model)
    with pytest.raises(RefusedError) as refused:
        workspace.models.release(model)
    for told in ("benefit", benefit.metric, f"{benefit.value:.3f}", "0.990", "volition.toml", "--override-by"):
        assert told in str(refused.value)
    assert workspace.models.states()[model].released_us is None


def test_what_is_required_and_could_not_be_measured_refuses(opened):
    workspace, model = opened(benefit=(-1.0, True))
    (workspace.models.open(model).folder / "findings.json").write_text("[]")
    with pytest.raises(RefusedError, match="not audited"):
        workspace.models.release(model)
    unmeasured(workspace, model)
    with pytest.raises(RefusedError, match=r"benefit is required and could not be measured\. Not measured\. So\."):
        workspace.models.release(model)


def test_what_is_required_and_could_not_be_measured_is_released_by_somebody_who_is_named(opened, tmp_path):
    workspace, model = opened(benefit=(-1.0, True))
    why = unmeasured(workspace, model)
    workspace.models.release(model, override=Override(by="Dana Reyes", why="The pilot."))
    assert card_of(workspace, model)["override"]["missed"] == [f"benefit is required and could not be measured. {why}"]
    assert proven(workspace, tmp_path).holds


def test_what_cannot_be_written_is_not_released(opened):
    workspace, model = opened(benefit=(-1.0, True))
    workspace.models.audit(model)
    shutil.rmtree(workspace.folder / "releases")
    (workspace.folder / "releases").write_text("")
    with pytest.raises(BackendError, match="Nothing was released"):
        workspace.models.release(model)
    assert workspace.models.states()[model].released_us is None


def test_not_measured_alone_does_not_refuse(opened):
    workspace, model = opened(fairness=(-1.0, False))  # no gap is that small
    findings = workspace.models.audit(model)
    assert not any(found.measured for found in findings if found.metric.endswith("by language"))
    with pytest.raises(RefusedError) as refused:
        workspace.models.release(model)
    assert "language" not in str(refused.value)


def test_somebody_answers_by_name_and_that_stays_in_the_log_and_on_the_card(opened, tmp_path):
    workspace, model = opened(benefit=UNREACHABLE)
    workspace.models.audit(model)
    why = "The pilot runs | with ten people, who know."
    entry = workspace.models.release(model, override=Override(by="Dana Reyes", why=why))
    assert entry.body["override"] == {"by": "Dana Reyes", "why": why}
    assert workspace.models.states()[model].override == {"by": "Dana Reyes", "why": why}
    card = card_of(workspace, model)
    assert card["override"]["by"] == "Dana Reyes"
    assert "benefit" in card["override"]["missed"][0]
    markdown = (workspace.folder / "releases" / model / "card.md").read_text()
    assert f"Released beyond its bounds by Dana Reyes**, because: {why}" in markdown
    assert proven(workspace, tmp_path).holds


def test_an_override_reaches_no_further_than_bounds(opened):
    answers = Override(by="Dana Reyes", why="Because.")
    workspace, model = opened(benefit=UNREACHABLE)
    with pytest.raises(RefusedError, match="not audited"):
        workspace.models.release(model, override=answers)
    workspace.models.audit(model)
    workspace.consent.decide("person:orchard-0", yes=False, data=["service"], purpose=["train"])
    with pytest.raises(RefusedError, match="stale"):
        workspace.models.release(model, override=answers)


def test_nobody_answers_for_what_holds_its_bounds(opened):
    workspace, model = opened(benefit=(-1.0, False))
    workspace.models.audit(model)
    with pytest.raises(InvalidInputError, match="nothing to override"):
        workspace.models.release(model, override=Override(by="Dana Reyes", why="Because."))
    workspace.models.release(model)


@pytest.mark.parametrize(
    ("by", "why"),
    [("", "x"), ("Dana", " "), ("Dana\nReyes", "x"), (" Dana", "x"), ("D" * 101, "x"), ("Dana", "x\u202e")],
)
def test_an_override_names_somebody_and_gives_a_reason(by, why):
    with pytest.raises(InvalidInputError):
        Override(by=by, why=why)


def test_findings_held_against_other_bounds_are_measured_again(opened):
    workspace, model = opened(benefit=(-1.0, False))
    workspace.models.audit(model)
    workspace, model = opened(benefit=(-0.5, False))
    with pytest.raises(RefusedError, match="Audit again"):
        workspace.models.release(model)
    workspace.models.audit(model)
    workspace.models.release(model)


@pytest.mark.slow
def test_forgetting_waits_for_no_bound_and_a_successor_that_misses_one_is_not_at_work(opened, tmp_path):
    workspace, model = opened(benefit=UNREACHABLE)
    workspace.models.audit(model)
    workspace.models.release(model, override=Override(by="Dana Reyes", why="The pilot."))
    workspace.consent.decide("person:orchard-0", yes=False, data=["service"], purpose=["train"])
    [done] = workspace.forgetting.forget()
    assert (done.model, done.successor) == (model, None)
    assert workspace.models.owed() == []
    waiting = workspace.models.states()[done.waits]
    assert waiting.released_us is None
    assert not (workspace.folder / "models" / model).exists()
    assert workspace.features.recommend("orchard-1") is not None  # the feature goes on without a model
    with pytest.raises(RefusedError, match="misses"):
        workspace.models.release(done.waits)
    workspace.models.release(done.waits, override=Override(by="Dana Reyes", why="The pilot goes on."))
    assert proven(workspace, tmp_path).holds


# --- what others can check ---


def test_whoever_releases_beyond_the_bounds_and_names_nobody_is_found_out(opened, tmp_path):
    workspace, model = opened(benefit=UNREACHABLE)
    workspace.models.audit(model)
    append_release(workspace, model)
    [failed] = [check for check in proven(workspace, tmp_path).checks if not check.holds]
    assert failed.name == f"release {model}"
    assert "nobody answers for the release" in failed.detail


def test_whoever_releases_without_what_is_required_and_names_nobody_is_found_out(opened, tmp_path):
    workspace, model = opened(benefit=(-1.0, True))
    unmeasured(workspace, model)
    append_release(workspace, model, required=["benefit"])
    [failed] = [check for check in proven(workspace, tmp_path).checks if not check.holds]
    assert failed.name == f"release {model}"
    assert "nobody answers for the release" in failed.detail


def append_release(workspace, model, *, settings=None, **more):
    """Release a model past the checks, as an operator could who changes the program; return its card.

    Args:
        workspace: Where it was trained.
        model: Its id.
        settings: What it says of itself beyond its own settings.
        more: What `write_release` is told.
    """
    trained = workspace.models.open(model)
    own = replace(trained.model, settings={**trained.model.settings, **(settings or {})})
    releases = workspace.folder / "releases"
    named = write_release(
        releases,
        trained=replace(trained, model=own),
        snapshot=workspace.snapshots.open(trained.record["snapshot"]),
        findings=workspace.models.findings(trained),
        terms=["granular"],
        checkpoint=workspace.ledger.checkpoint(),
        signer=workspace._opened.signer,
        at_us=workspace.now_us,
        **more,
    )
    workspace.ledger.append(NewEntry(kind="release", body={"model": model, **named}))
    settle_releases(releases, workspace.models.states())
    return read_card(releases, workspace.models.states()[model], model)


FIRST_CARD = {
    "format": "volition/card/1",
    "model": "recommend-0123456789ab",
    "family": "recommend",
    "purpose": "train/recommend",
    "digest": "d" * 64,
    "learned_from": {
        "snapshot": "train-recommend-0123456789ab",
        "manifest": "e" * 64,
        "at": "2026-01-05T09:00:00.000000Z",
        "rows": {"service/usage": {"read": 3, "kept": 2, "dropped": {"said-no": 1}}},
        "people": 2,
        "accounts": {"acme": 2},
    },
    "terms": ["granular"],
    "released": "2026-01-05T10:00:00.000000Z",
    "findings": [
        {
            "audit": "benefit",
            "metric": "NDCG@10",
            "measured": True,
            "trained": 0.75,
            "untrained": 0.5,
            "difference": 0.25,
            "low": 0.125,
            "high": 0.375,
            "units": 8,
            "by_account": {},
            "how": "By hand.",
        }
    ],
}


def test_the_card_of_an_earlier_version_still_reads_as_it_was_written():
    assert card_markdown(FIRST_CARD).splitlines()[12:21] == [
        "",
        "## What it gives",
        "",
        "- NDCG@10: 0.750 with training, 0.500 without; difference +0.250, 95 % interval +0.125 to +0.375, 8 units. By hand.",
        "",
        "## What to know before using it",
        "",
        "- Not measured: membership inference, fairness between groups, poisoning.",
        "- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows.",
    ]
    with pytest.raises(InvalidInputError, match="does not know"):
        card_markdown(FIRST_CARD | {"format": "volition/card/99"})


@pytest.mark.slow
def test_a_bound_that_only_a_whole_interval_misses_refuses_until_somebody_answers_and_verifies(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "workspace")
    path = folder / "volition.toml"
    text = bounds_text().replace("bound = 0.0", "bound = 0.99", 1)  # of the benefit; no interval reaches it
    path.write_text(path.read_text().partition("[audit")[0] + text)
    with Workspace.open(folder, clock=Clock(made[1])) as workspace:
        workspace.models.audit(made[2])
        with pytest.raises(RefusedError, match=r"benefit, NDCG@10: .* misses the bound 0.990"):
            workspace.models.release(made[2])
        workspace.models.release(made[2], override=Override(by="Dana Reyes", why="Two customers, who know it."))
        card = card_of(workspace, made[2])
        assert [line.partition(",")[0] for line in card["override"]["missed"]][:1] == ["benefit"]
        assert card["findings"][0]["detail"]["surely"] is True
        assert proven(workspace, tmp_path).holds  # and the verifier takes the end of the interval, too
