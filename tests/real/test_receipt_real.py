"""The words of a receipt, against the vocabulary that they are taken from."""

import os
import re
from pathlib import Path

import pytest

from volition.consent.terms.terms_file import load_profile
from volition.ledger.entry import NewEntry
from volition.ledger.log import Ledger
from volition.ledger.signing import Signer
from volition.ledger.stores.memory import MemoryStore
from volition.transparency.receipt import verify_receipt, write_receipt

DATA = Path(os.environ.get("VOLITION_DATA") or Path(__file__).parents[3] / "shared" / "data")
VOCABULARY = DATA / "dpv"
SIGNER = Signer.from_seed("log.example/receipts", bytes(range(32)))
SAID = [
    ("decision", {"answer": "yes", "data": ["content", "service/usage"], "purpose": ["train", "feature/recommend"]}),
    ("decision", {"answer": "no", "data": ["service"], "purpose": ["feature", "advertising"]}),
    ("signal", {"signal": "gpc"}),
]


def words_of(value):
    """Yield every word of a vocabulary in a JSON-LD document: its keys, and what is named by `@id` or `@type`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "@context":
                continue
            yield key
            if key in ("@id", "@type"):
                yield from inner if isinstance(inner, list) else [inner]
            else:
                yield from words_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words_of(inner)


@pytest.mark.skipif(not VOCABULARY.is_dir(), reason=f"no vocabulary in {VOCABULARY}; set VOLITION_DATA")
@pytest.mark.parametrize(("kind", "body"), SAID)
def test_every_word_of_a_receipt_is_in_the_vocabulary(kind, body):
    ledger = Ledger(MemoryStore(), SIGNER)
    terms = load_profile("granular")
    [published] = ledger.append(
        NewEntry(kind="terms", body={"terms": terms.to_json(), "binds": "2026-01-01T00:00:00Z"})
    )
    covers = {"covers": None} if kind == "decision" else {}
    [entry] = ledger.append(NewEntry(kind=kind, body={"party": "person:1f", **body, **covers}))
    receipt = write_receipt(ledger, entry, terms_seq=published.seq)
    assert all(check.holds for check in verify_receipt(receipt, SIGNER.key).checks)

    used = {word for word in words_of(receipt["record"]) if re.match(r"(dpv|ai|pd):", word)}
    assert {"dpv:hasConsentStatus", "dpv:ConsentRecord", "dpv:hasNotice"} <= used
    for prefix in ("dpv", "ai", "pd"):
        text = (VOCABULARY / f"{prefix}.ttl").read_text(encoding="utf-8")
        known = set(re.findall(rf"^({prefix}:[\w-]+) a ", text, re.MULTILINE))
        assert {word for word in used if word.startswith(f"{prefix}:")} <= known
