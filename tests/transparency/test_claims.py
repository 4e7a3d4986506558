"""Every statement of a card and its attestation is checked, or is named as claimed: one at a time they are falsified."""

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from simulator import DAY_US, SIGNER, world_in
from volition.canonical import canonical_json, digest, text_to_us, us_to_text
from volition.errors import ProofError
from volition.learning.audit.finding import Finding, not_measured
from volition.learning.families.model import Model
from volition.learning.model_signature import sign_model, signing_key
from volition.learning.registry import models_in
from volition.learning.release import Override, settle_releases, write_release
from volition.learning.train import keep, name_of, record_of
from volition.ledger import merkle
from volition.ledger.entry import Entry, NewEntry
from volition.ledger.signing import Signer, open_envelope, open_note, parse_checkpoint
from volition.transparency.verify.claims import Released, check_attestation, check_card

PRIVACY = {"epsilon": 6.5, "delta": 1e-5, "clipping": 1.0, "rate": 0.1, "multiplier": 1.1, "steps": 40}
SAID = ("unit", "neighbours", "mechanism", "sampling", "accountant", "composition", "seen_by")
PRIVACY_SAID = {**PRIVACY, **dict.fromkeys(SAID, "as said"), "secure_generator": False, "not_covered": ["much"]}
SETTINGS = {"base": {"name": "tiny", "digest": "ab" * 32}, "privacy": PRIVACY_SAID, "shards": 2}


def findings():
    """Return a finding of every audit, each with figures that belong together."""
    own = {"trained": 0.5, "untrained": 0.25, "value": 0.25, "low": None, "high": None, "units": 4, "people": 3}
    by_account = {"acme": {**own, "marginal": None}, "brill": {**own, "marginal": None}}
    group = {"low": 0.1, "high": 0.9, "units": 4, "people": 6}
    groups = {"EEA": {**group, "value": 0.5}, "GB": {**group, "value": 0.4}}
    curve = {"0.01": 0.02, "0.05": 0.1}
    alone = {"value": 2.0, "low": 1.0, "high": 3.0, "ranks": [512, 128]}
    worst = {"party": "account:acme", "account": "acme", "rows": 3, "harm": 0.1, "influence": 0.1, "z": 4.0}
    return [
        found("benefit", "NDCG@10", 0.25, units=8, bound=0.5, verdict="fail")
        | {"detail": {"trained": 0.5, "untrained": 0.25, "by_account": by_account}},
        found("fairness", "gap in NDCG@10 by region", 0.5 - 0.4, units=8, verdict="pass", bound=0.2)
        | {
            "detail": {"by": "region", "groups": groups, "ratio": 0.8, "ratio_low": 0.5, "ratio_high": 1.0}
            | {"smallest": 6, "hidden": 0, "fewest": 5}
        },
        found("attack", "TPR at 1 % FPR", 0.02, units=100, verdict="no bound")
        | {"detail": {"false_positive_rate": 0.01, "models": 8, "area_under_curve": 0.5, "curve": curve}},
        found("canary", "exposure in bits", 2.0, low=1.0, high=3.0, units=2, bound=3.0, verdict="pass")
        | {"detail": {"secrets": 1024, "by_writers": {"1": alone, "5": alone}}},
        found("poisoning", "harm by one account, modified z-score", 4.0, low=3.0, high=5.0, units=9, verdict="no bound")
        | {"detail": {"parties": [{**worst, "low": 3.0, "high": 5.0}], "stands_out": None, "left_out": 2}},
        not_measured("poisoning", "Too few.", metric="harm by one person, modified z-score").to_json(),
    ]


def found(audit, metric, value, *, low=None, high=None, units, bound=None, verdict):
    figures = {"audit": audit, "metric": metric, "value": value, "low": low, "high": high, "bound": bound}
    return {**figures, "verdict": verdict, "units": units, "how": "By the book.", "detail": {}}


def prefix_of(entries, note):
    """Return how many entries a checkpoint commits to, as whoever verifies a bundle finds it out."""
    checkpoint = parse_checkpoint(open_note(note, SIGNER.key).text)
    if merkle.Tree(entry.leaf_bytes for entry in entries[: checkpoint.size]).root != checkpoint.root:
        raise ProofError("The checkpoint is not of this log.")
    return checkpoint.size


class Case:
    """A world with a released adapter, its card, and what they are checked against."""

    def __init__(self, world):
        world.everyone_says("yes")
        world.lake.append(
            [
                world.record(f"{account}-{name}", account=account, people=(name,), category="service/usage")
                for account in world.accounts
                for name in ("ada", "bo")
            ]
        )
        people = [world.party(f"acme-{name}") for name in ("ada", "bo")]
        body = {"act": "merge", "people": people, "by": "operator"}
        world.ledger.append(NewEntry(kind="identity", body=body))
        snapshot = world.freeze("train/compose", categories=["service/usage"])
        weights = {"weights": np.zeros(2, np.float32)}
        trained = keep(
            Model(family="adapter", settings=SETTINGS, arrays=weights, texts={}),
            snapshot,
            models=world.folder / "models",
        )
        body = {"model": trained.id, "family": "adapter", "snapshot": snapshot.id, "digest": trained.model.digest}
        [model] = world.ledger.append(NewEntry(kind="model", body=body))
        named = write_release(
            world.folder / "releases",
            trained=trained,
            snapshot=snapshot,
            findings=[Finding.from_json(one) for one in findings()],
            required=["benefit"],
            override=Override(by="Dana Reyes", why="The pilot."),
            terms=["v1"],
            checkpoint=world.ledger.checkpoint(),
            signer=SIGNER,
            at_us=world.clock(),
            merged={people[1].removeprefix("person:"): people[0].removeprefix("person:")},
        )
        [release] = world.ledger.append(NewEntry(kind="release", body={"model": trained.id, **named}))
        world.say("acme-ada", "no")
        entries = list(world.ledger.entries())
        settle_releases(world.folder / "releases", models_in(entries))
        folder = world.folder / "releases" / trained.id
        self.data = (folder / "card.json").read_bytes()
        self.card = json.loads(self.data)
        envelope = json.loads((folder / "attestation.json").read_bytes())
        self.statement = json.loads(open_envelope(envelope, SIGNER.key).payload)
        self.released = Released(
            snapshot=snapshot.id,
            manifest=snapshot.manifest,
            manifest_digest=snapshot.digest,
            keys=snapshot.keys,
            entries=entries,
            model=model,
            release=release,
            prefix=lambda note: prefix_of(entries, note),
            settings=trained.model.files()["settings.json"],
            signature=(folder / "model.sig").read_bytes(),
        )


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with world_in(tmp_path_factory.mktemp("claims")) as world:
        yield Case(world)


def falsified(value, path=()):
    """Yield every change of one thing in a JSON value, and where: a leaf says something else, a member comes or goes."""
    if isinstance(value, dict):
        yield path, value | {"more": 1}
        for name, inner in value.items():
            yield (*path, name), {one: other for one, other in value.items() if one != name}
            for place, changed in falsified(inner, (*path, name)):
                yield place, value | {name: changed}
    elif isinstance(value, list):
        yield path, [*value, *value[:1]] if value else ["more"]
        for number, inner in enumerate(value):
            yield path, value[:number] + value[number + 1 :]
            for place, changed in falsified(inner, (*path, "[]")):
                yield place, [*value[:number], changed, *value[number + 1 :]]
    else:
        for other in (None, not value, "something else", value + 1 if isinstance(value, int | float) else value):
            if canonical_json(other) != canonical_json(value):
                yield path, other


def unnoticed(value, check):
    """Return where a change passes."""
    found = set()
    for path, changed in falsified(value):
        try:
            check(changed)
        except ProofError:
            continue
        found.add(".".join(path).replace(".[]", "[]"))
    return found


def test_the_card_and_the_attestation_of_an_honest_release_hold(case):
    claims = check_card(case.card, case.released)
    assert claims.checked == len(case.card)
    assert claims.claimed == (
        "how many records were read for the snapshot, and why others were left out",
        "what the audits measured, by what method and against what bounds; the verdicts follow from that",
        "which audits the settings required for a release",
        "that it was trained as its own settings say: from that base model, with that much privacy",
    )
    assert "binds" in check_attestation(case.statement, case.card, card_digest=digest(case.data))


# What no evidence shows: details of a measurement, and what the settings asked for. Whoever adds a statement to the card
# sees it here, or writes a check.
MEASURED = r"findings\[\]\.(how|metric|value|low|high|bound|units|detail(\..+)?)"


def test_nothing_in_a_card_can_be_changed_but_what_is_named_as_claimed(case):
    passed = unnoticed(case.card, lambda card: check_card(card, case.released))
    assert {place for place in passed if not re.fullmatch(MEASURED, place)} == {"findings", "required"}


@pytest.mark.parametrize("audit", ["benefit", "fairness", "attack", "canary", "poisoning"])
def test_the_figure_and_the_verdict_of_a_finding_cannot_be_changed_alone(case, audit):
    place = next(number for number, one in enumerate(case.card["findings"]) if one["audit"] == audit)
    for change, said in (({"verdict": "pass"}, "says 'pass'"), ({"value": 0.0371}, "finding")):
        if case.card["findings"][place]["verdict"] != change.get("verdict"):
            card = copy.deepcopy(case.card)
            card["findings"][place] |= change
            with pytest.raises(ProofError, match=said):
                check_card(card, case.released)


def test_base_and_privacy_are_those_of_the_models_own_settings(case):
    for change in (
        {"privacy": {**PRIVACY_SAID, "epsilon": 7.5}},
        {"privacy": None},
        {"base": {**SETTINGS["base"], "name": "x"}},
    ):
        with pytest.raises(ProofError, match="the model itself says"):
            check_card({**case.card, **change}, case.released)
    with pytest.raises(ProofError, match="not the file of the model"):
        check_card(case.card, replace(case.released, settings=b"{}"))


def test_a_card_that_names_a_key_has_a_signature_by_it(case):
    for signature, said in ((None, "is not there"), (b"{}", "no Sigstore bundle")):
        with pytest.raises(ProofError, match=said):
            check_card(case.card, replace(case.released, signature=signature))


def told(case, **says):
    """Return the card, and what it is checked against, of a model whose own settings say the same of it."""
    data = canonical_json({"family": "adapter", "settings": {**SETTINGS, **says}})
    files = {**case.card["files"], "settings.json": digest(data)}
    body = {**case.released.model.body, "digest": digest(canonical_json(files))}
    model, facts = replace_at(case.released.model, body=body), case.released
    record = record_of(
        "adapter", body["digest"], facts.snapshot, manifest=facts.manifest, manifest_digest=facts.manifest_digest
    )
    name = name_of(record)
    card = {**case.card, **says, "files": files, "digest": body["digest"], "model": name}
    model = replace_at(model, body={**body, "model": name})
    signature = sign_model(name, files, SIGNER)
    return card, replace(facts, settings=data, signature=signature, model=model)


def test_a_model_whose_settings_say_the_same_as_its_card_holds(case):
    check_card(*told(case, privacy=PRIVACY_SAID))


def test_an_epsilon_that_its_own_noise_and_steps_cannot_give_is_refused(case):
    for change in ({"epsilon": 0.5}, {"multiplier": 0.2}, {"steps": 4000}, {"rate": 1.0}):
        with pytest.raises(ProofError, match="its own noise and steps give"):
            check_card(*told(case, privacy={**PRIVACY_SAID, **change}))


def test_nothing_in_an_attestation_can_be_changed(case):
    of_card = digest(case.data)
    assert unnoticed(case.statement, lambda said: check_attestation(said, case.card, card_digest=of_card)) == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "adapter-0123456789ab"}, "the model is"),
        ({"family": "search"}, "the family is"),
        ({"purpose": "train/search"}, "the purpose is"),
        ({"digest": "00" * 32}, "the model's digest is"),
        ({"files": {"settings.json": "00" * 32}}, "the model's files"),
        ({"terms": ["v2"]}, "bound by the terms"),
        ({"terms": []}, "bound by the terms"),
        ({"findings": []}, "released without an audit"),
        ({"required": ["benefit", "nonsense"]}, "audits that there are not"),
        ({"override": None}, "nobody answers"),
        ({"base": None}, "base model"),
        ({"signing_key": signing_key(Signer.from_seed("log.example/other", bytes(32)))}, "not by the key"),
        ({"signing_key": "none"}, "cannot be read"),
        ({"format": "volition/card/99"}, "does not know"),
        ({"praise": "the best"}, "which nothing checks"),
    ],
)
def test_each_lie_has_a_sentence_of_its_own(case, change, said):
    with pytest.raises(ProofError, match=said):
        check_card({**case.card, **change}, case.released)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"people": 99}, "99 people are in it"),
        ({"at": "2020-01-01T00:00:00.000000Z"}, "was frozen at"),
        ({"rows": {}}, "numbers of records"),
        ({"accounts": {"acme": 4}}, "accounts are"),
        ({"snapshot": "train-compose-0"}, "snapshot is"),
        ({"manifest": "00" * 32}, "manifest's digest"),
    ],
)
def test_each_lie_about_what_it_learned_from_has_a_sentence_of_its_own(case, change, said):
    with pytest.raises(ProofError, match=said):
        check_card({**case.card, "learned_from": {**case.card["learned_from"], **change}}, case.released)


@pytest.mark.parametrize("days", [-365, -1, 1])
def test_a_release_that_is_dated_otherwise_than_the_log_dates_it_is_refused(case, days):
    other = us_to_text(text_to_us(case.card["released"]) + days * DAY_US)
    with pytest.raises(ProofError, match="says that it was released at"):
        check_card({**case.card, "released": other}, case.released)


def test_a_card_that_quotes_a_checkpoint_from_before_a_no_is_refused(case):
    entries, place = list(case.released.entries), case.released.release.seq
    no = Entry(seq=place, at_us=entries[place - 1].at_us + 1, kind="decision", body=entries[-1].body)
    late = replace_at(case.released.release, seq=place + 1, at_us=no.at_us + DAY_US)
    released = replace(case.released, entries=[*entries[:place], no, late], release=late)
    with pytest.raises(ProofError, match=f"leaves out entry {place}"):
        check_card({**case.card, "released": us_to_text(late.at_us)}, released)
    with pytest.raises(ProofError, match="from after the release"):
        check_card(case.card, replace(case.released, prefix=lambda _: len(entries)))


def replace_at(entry, **changes):
    return Entry(**{"seq": entry.seq, "at_us": entry.at_us, "kind": entry.kind, "body": entry.body, **changes})


@pytest.mark.parametrize(
    "change",
    [
        {"clipping": None},
        {"clipping": True},
        {"clipping": "1"},
        {"unit": None},
        {"mechanism": True},
        {"secure_generator": "yes"},
        {"not_covered": "much"},
        {"not_covered": [None]},
    ],
)
def test_a_claim_of_privacy_says_every_item_in_its_own_form(case, change):
    with pytest.raises(ProofError, match="claim of privacy"):
        check_card(*told(case, privacy={**PRIVACY_SAID, **change}))


def test_a_base_model_is_its_name_and_its_digest_and_nothing_more(case):
    with pytest.raises(ProofError, match="card's base model"):
        check_card(*told(case, base={**SETTINGS["base"], "more": 1}))
