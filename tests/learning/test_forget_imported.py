"""A no of the past, imported: what was lawful stays lawful, and what learned from it meanwhile must forget."""

from datetime import timedelta

from test_forget import HABITS, made, released  # noqa: F401 - fixtures

import volition_verify as other
from volition.consent.claims import ClaimMapping
from volition.transparency.verify.bundle import verify_bundle

MAPPING = ClaimMapping(
    source="crm",
    columns={name: name for name in ("party", "answer", "said")},
    data=("service",),
    purpose=("train",),
)


def test_an_imported_no_of_the_past_makes_models_forget_and_breaks_no_proof(released, tmp_path):  # noqa: F811
    workspace, clock, model = released
    clock.wait(hours=1)
    said = (clock.now - timedelta(days=300)).isoformat()  # before anything was collected
    report = workspace.consent.import_([{"party": "orchard-ann", "answer": "no", "said": said}], MAPPING)
    assert report.new == 1
    [owed] = workspace.models.owed()
    no = workspace.entries()[-1]
    assert (owed.model, owed.rows, owed.since_us) == (model, len(HABITS["ann"]), no.at_us)
    bundle = tmp_path / "evidence.zip"
    workspace.proofs.bundle(bundle)
    verified = verify_bundle(bundle, workspace.verifier)
    assert verified.holds, [check for check in verified.checks if not check.holds]
    told = other.verify_bundle(bundle.read_bytes(), other.Key.of(workspace.verifier.to_text()))
    for claimed in (verified.claimed, told.claimed):
        assert [one for one in claimed if one.startswith("answers: when and where 1 were given")]
    [forgotten] = workspace.forgetting.forget()
    assert forgotten.model == model
    assert workspace.models.owed() == []
