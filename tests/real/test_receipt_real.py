"""The words of a receipt, against the vocabulary that they are taken from."""

import json
import os
from pathlib import Path

import pytest

from volition.consent.controller import Controller
from volition.consent.terms.terms_file import load_profile
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.transparency.receipt import verify_receipt, write_receipt

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
VOCABULARY = DATA / "dpv"
RECORD = (
    *("hasDataSubject", "hasNotice", "hasProcess", "hasPurpose", "hasPersonalData", "hasStorageCondition"),
    *("hasDataController", "hasName", "hasIdentifier", "hasContact", "hasAddress", "hasRecipient", "hasConsentControl"),
    *("isExercisedAt", "hasJurisdiction", "hasRight", "hasConsentStatus", "isIndicatedAtTime"),
    *("isIndicatedBy", "hasIndicationMethod", "hasDuration", "hasLocation"),
)
RECEIPT = ("hasIdentifier", "hasRecordOfActivity")
SIGNER = Signer.from_seed("log.example/receipts", bytes(range(32)))
PARTY = f"person:{31:032x}"
SAID = [
    ("decision", {"answer": "yes", "data": ["content", "service/usage"], "purpose": ["train", "feature/recommend"]}),
    ("decision", {"answer": "no", "data": ["service"], "purpose": ["feature", "advertising"]}),
    ("signal", {"signal": "gpc"}),
]


NAMED = Controller(
    name="Acme", contact="privacy@acme.example", address="1 Main Street", jurisdiction="IE", language="en"
)
PREFIXES = {
    "dpv": "https://w3id.org/dpv#",
    "ai": "https://w3id.org/dpv/ai#",
    "pd": "https://w3id.org/dpv/pd#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
}


def unknown_words(rdflib, document):
    """Return what a JSON-LD document takes from a vocabulary that has no such word, as RDF has it."""
    graph = rdflib.Graph().parse(data=json.dumps(document), format="json-ld")
    used = {str(term) for triple in graph for term in triple if isinstance(term, rdflib.URIRef)}
    unknown = set()
    for name, prefix in PREFIXES.items():
        known = rdflib.Graph().parse(VOCABULARY / f"{name}.ttl", format="turtle")
        subjects = {str(subject) for subject in known.subjects()}
        unknown |= {term for term in used if term.startswith(prefix)} - subjects
    return graph, unknown


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph")
@pytest.mark.skipif(not VOCABULARY.is_dir(), reason=f"no vocabulary in {VOCABULARY}; set VOLITION_DATA")
@pytest.mark.parametrize(("kind", "body"), SAID)
def test_every_word_of_a_receipt_is_in_the_vocabulary(kind, body):
    rdflib = pytest.importorskip("rdflib")
    ledger = Ledger(MemoryStore(), SIGNER)
    terms = load_profile("granular")
    [published] = ledger.append(
        NewEntry(kind="terms", body={"terms": terms.to_json(), "binds": "2026-01-01T00:00:00Z"})
    )
    [region] = ledger.append(NewEntry(kind="region", body={"party": PARTY, "region": "FR"}))
    covers = {"covers": None, "via": "api"} if kind == "decision" else {}
    [entry] = ledger.append(NewEntry(kind=kind, body={"party": PARTY, **body, **covers}))
    receipt = write_receipt(ledger, entry, terms_seq=published.seq, region_seqs=[region.seq], controller=NAMED)
    assert all(check.holds for check in verify_receipt(receipt, SIGNER.key).checks)

    on_what_basis = ["hasLegalBasis"] if kind == "decision" else []  # a signal refuses what the terms never allow
    for form, must in (("record", [*RECORD, *on_what_basis]), ("receipt", RECEIPT)):
        graph, unknown = unknown_words(rdflib, receipt[form])
        assert unknown == set()
        said = {str(predicate) for predicate in graph.predicates()}
        assert {PREFIXES["dpv"] + word for word in must} <= said
    document = {**receipt["record"], "dpv:hasLegalName": "Acme"}
    assert unknown_words(rdflib, document)[1] == {PREFIXES["dpv"] + "hasLegalName"}
