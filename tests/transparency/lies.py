"""All lies of a dishonest operator: those in the log and in snapshots, and here those in releases and in receipts."""

import json

from lies_of_logs import LIES, lie, no_of

from simulator import DAY_US, SIGNER, START_US, Clock
from volition.canonical import canonical_json, digest
from volition.learning.model_signature import sign_model
from volition.ledger import merkle
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.records.commitment import Fact, Leaves, people_key, person_token
from volition.transparency.receipt import write_receipt
from volition.transparency.verify.collected import COLLECTED_FORMAT

__all__ = [
    "BASE",
    "LIES",
    "PRIVACY",
    "collected_proofs",
    "no_of",
    "overridden",
    "receipts_by_region",
    "settings",
    "trained_as",
]

# --- a model's settings, and the signature of its files ---

BASE = {"name": "tiny", "digest": "ab" * 32}
SAID = ("accountant", "mechanism", "composition", "neighbours", "unit", "sampling", "seen_by")
PRIVACY = {
    "epsilon": 9.5,
    "delta": 1e-5,
    "clipping": 1.0,
    "rate": 0.1,
    "multiplier": 1.1,
    "steps": 40,
    **dict.fromkeys(SAID, "as said"),
    "secure_generator": False,
    "not_covered": [],
}


def trained_as(forger, honest, settings, files=None, **says):
    """Let the first model have other settings, which the log, the card and the attestation commit to."""
    model, data = honest.models[0], settings if isinstance(settings, bytes) else canonical_json(settings)
    card = json.loads(forger.members[f"releases/{model}/card.json"])
    files = {**card["files"], "settings.json": digest(data), **(files or {})}
    whole = digest(canonical_json(files))
    forger.change(forger.place("model", 0), digest=whole)

    def bind(card, statement):
        card.update(files=files, digest=whole, **says)
        statement["subject"] = [{"name": name, "digest": {"sha256": of}} for name, of in sorted(files.items())]
        statement["predicate"]["digest"] = whole

    forger.cards[model] = bind
    forger.beside[model] = lambda found: found.update({"settings.json": data})


def settings(**says):
    return {"arrays": [], "family": "recommend", "settings": says, "texts": []}


@lie("release", "the privacy of the training is")
def a_card_that_claims_more_privacy_than_the_model_was_trained_with(forger, honest):
    claimed = {**PRIVACY, "epsilon": 6.5}
    trained_as(forger, honest, settings(base=BASE, privacy=PRIVACY), base=BASE, privacy=claimed)


@lie("release", "the base model is")
def a_card_that_names_another_base_than_the_model_itself(forger, honest):
    trained_as(forger, honest, settings(base=BASE), base={**BASE, "digest": "cd" * 32})


@lie("release", "the base model is")
def a_card_that_is_silent_about_the_base(forger, honest):
    trained_as(forger, honest, settings(base=BASE))


@lie("release", "not the file of the model")
def settings_that_are_no_file_of_the_model(forger, honest):
    data = canonical_json(settings(format=2))
    forger.beside[honest.models[0]] = lambda found: found.update({"settings.json": data})


@lie("release", "canonical form")
def settings_that_say_something_twice(forger, honest):
    trained_as(forger, honest, b'{"family":"recommend","settings":{"privacy":{}},"settings":{}}')


@lie("release", "says nothing of the model's settings")
def settings_that_are_none(forger, honest):
    trained_as(forger, honest, {"family": "recommend"})


@lie("release", "the family is")
def settings_of_another_family(forger, honest):
    trained_as(forger, honest, {**settings(), "family": "search"})


def signed(forger, honest, change):
    """Change the signature of the first model's files; `change` gets it and returns another."""
    forger.beside[honest.models[0]] = lambda found: found.update({"model.sig": change(found["model.sig"])})


@lie("release", "not by the key")
def a_model_signed_by_another_key(forger, honest):
    files = json.loads(forger.members[f"releases/{honest.models[0]}/card.json"])["files"]
    other = Signer.from_seed("log.example/other", bytes(32))
    forger.beside[honest.models[0]] = lambda found: found.update({"model.sig": sign_model("x", files, other)})


@lie("release", "of other files")
def a_signature_of_other_files(forger, honest):
    files = {"settings.json": "0" * 64}
    signed(forger, honest, lambda _: sign_model(forger.renamed[honest.models[0]], files, SIGNER))


@lie("release", "of other files")
def a_signature_of_another_model(forger, honest):
    files = json.loads(forger.members[f"releases/{honest.models[0]}/card.json"])["files"]
    signed(forger, honest, lambda _: sign_model(honest.models[1], files, SIGNER))


@lie("release", "not in its one form")
def a_signature_with_a_word_more(forger, honest):
    signed(forger, honest, lambda data: canonical_json({**json.loads(data), "note": "trust us"}))


@lie("release", "not in its one form")
def a_signature_that_is_spelt_another_way(forger, honest):
    signed(forger, honest, lambda data: data.replace(b":", b": ", 1))


@lie("release", "no Sigstore bundle")
def a_signature_that_is_none(forger, honest):
    signed(forger, honest, lambda _: b"{}")


@lie("release", "the model's file")
def a_file_of_which_the_digest_is_none(forger, honest):
    trained_as(forger, honest, settings(), files={"more.txt": "none"})


def overridden(forger, honest, **says):
    """Release the first model without a measurement that was required, as somebody who answers for it."""
    why = json.loads(forger.members[f"releases/{honest.models[0]}/card.json"])["findings"][0]["how"]
    override = {"by": "Dana Reyes", "why": "The pilot.", **says}
    missed = [f"benefit is required and could not be measured. {why}"]
    forger.change(forger.place("release", 0), override=override)
    forger.cards[honest.models[0]] = lambda card, _: card.update(
        required=["benefit"], override={**override, "missed": missed}
    )


@lie("release", "Who answers for the release is not said")
def an_override_by_nobody(forger, honest):
    overridden(forger, honest, by="")


@lie("release", "Who answers for the release is not said")
def an_override_by_a_blank(forger, honest):
    overridden(forger, honest, by=" ")


@lie("release", "Who answers for the release is not said")
def an_override_without_a_reason(forger, honest):
    overridden(forger, honest, why="")


@lie("release", "is no text")
def an_override_by_a_number(forger, honest):
    overridden(forger, honest, by=7)


@lie("release", "has the early form")
def a_card_of_an_early_form_which_says_less(forger, honest):
    def say_less(card, statement):
        for name in ("signing_key", "base", "privacy"):
            del card[name]
        card["format"] = "volition/card/2"

    forger.cards[honest.models[0]] = say_less
    forger.beside[honest.models[0]] = lambda found: found.pop("model.sig")


# --- receipts ---


def receipts_by_region():
    """Return receipts of one answer that show different regions, by what they show; only the first two are right."""
    ledger, (ada, bo) = Ledger(MemoryStore(), SIGNER, clock=Clock()), (f"person:{one * 32}" for one in "ab")
    places = ((ada, "FR"), ("account:acme", "GB"), (ada, "DE"), ("account:brill", "US"), (bo, "IE"), (ada, "ZZ"))
    for party, region in places:
        ledger.append(NewEntry(kind="region", body={"party": party, "region": region}))
    said = {"party": ada, "answer": "no", "data": ["content"], "purpose": ["train"], "covers": None}
    [answer] = ledger.append(NewEntry(kind="decision", body=said))
    ledger.append(NewEntry(kind="region", body={"party": ada, "region": "IT"}))
    shown = {
        "one of the party": [0],
        "one of the party and one of an account": [1, 0],
        "two of the party": [0, 2],
        "one of the party twice": [0, 0],
        "two of accounts": [1, 3],
        "somebody else's": [4],
        "one that there is not": [5],
        "one from after the answer": [7],
    }
    return {name: write_receipt(ledger, answer, terms_seq=None, region_seqs=seqs) for name, seqs in shown.items()}


# --- what was collected, as a person is shown it ---


def collected_proofs():
    """Return proofs of what was recorded of a person, by what is wrong with their batch; only the first is right."""
    at_us = START_US
    batches = {
        "nothing": [("1", "content/chat", at_us), ("2", "service/usage", at_us)],
        "a record twice, as two categories": [("1", "content/chat", at_us), ("1", "service/usage", at_us)],
        "another order": [("2", "content/chat", at_us), ("1", "service/usage", at_us)],
        "a record from after its entry": [("1", "content/chat", at_us + DAY_US), ("2", "service/usage", at_us)],
    }
    return {name: _collected_proof(records) for name, records in batches.items()}


def _collected_proof(records):
    ledger, person, key = Ledger(MemoryStore(), SIGNER, clock=Clock()), "a" * 32, people_key(bytes(32))
    facts = [Fact(record, "acme", (person,), category, at_us, "") for record, category, at_us in records]
    leaves = [Leaves(key).leaf(fact, bytes([place]) * 16) for place, fact in enumerate(facts)]
    tree = merkle.Tree(leaves)
    [entry] = ledger.append(NewEntry(kind="collect", body={"records": len(leaves), "root": tree.root.hex()}))
    paths = [[step.hex() for step in tree.prove_inclusion(place)] for place in range(len(leaves))]
    batch = {
        "entry": entry.leaf_bytes.decode(),
        "path": [step.hex() for step in ledger.prove_inclusion(0, 1)],
        "tokens": {person: person_token(key, person).hex()},
        "leaves": [{"index": place, "leaf": leaf.decode(), "path": paths[place]} for place, leaf in enumerate(leaves)],
    }
    named = {"format": COLLECTED_FORMAT, "pseudonyms": [person], "batches": [batch]}
    return {**named, "checkpoint": ledger.checkpoint()}
