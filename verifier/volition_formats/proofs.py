"""Small documents: a person's proofs, of one entry, of consistency, of who looked (docs/formats/proofs.md)."""

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import partial

from volition_formats.collected import check_collected_proof
from volition_formats.entries import check_access
from volition_formats.log import (
    Checkpoint,
    Key,
    Policy,
    check_consistency,
    check_inclusion,
    hashes,
    included,
    leaf_hash,
    read_entry,
)
from volition_formats.receipt import check_receipt
from volition_formats.report import NotEvidenceError, RefusedError, Report, demand, demand_keys
from volition_formats.snapshot import person_leaf
from volition_formats.spellings import (
    MALFORMED,
    Json,
    Object,
    base64_bytes,
    digest_of,
    instant,
    is_count,
    is_hex,
    parse,
    parse_canonical,
    text,
    texts,
)


def check_person(proof: Object, key: Key) -> str:
    """The check `person in MODEL`."""
    demand_keys(proof, "format model pseudonym present rows manifest leaves entries checkpoint", "proof")
    signed, pseudonym, rows = Checkpoint.of(proof["checkpoint"], key), proof["pseudonym"], proof["rows"]
    demand(is_hex(pseudonym, 16) and is_count(rows) and type(proof["present"]) is bool, "The proof has another form.")
    for holder in (*proof["entries"], *proof["leaves"]):
        demand_keys(holder, "entry path" if "entry" in holder else "index leaf path", "proof")
    snapshot, model = (included(holder, "path", signed) for holder in proof["entries"])
    demand(
        (snapshot["kind"], model["kind"]) == ("snapshot", "model") and snapshot["seq"] < model["seq"],
        "The entries are others.",
    )
    manifest = parse_canonical(text(proof["manifest"]))
    demand(
        snapshot["body"]["manifest"] == digest_of(proof["manifest"].encode()),
        "The manifest is not the one of the entry.",
    )
    demand(model["body"]["model"] == proof["model"], "The model is another one.")
    demand(model["body"]["snapshot"] == snapshot["body"]["snapshot"], "The model learned from another snapshot.")
    size, root = manifest["people"]["size"], hashes([manifest["people"]["root"]])[0]
    demand(is_count(size) and (size or root == hashlib.sha256(b"").digest()), "The tree of people has another form.")
    leaves = []
    for holder in proof["leaves"]:
        check_inclusion(leaf_hash(text(holder["leaf"]).encode()), holder["index"], size, hashes(holder["path"]), root)
        tag, commitment = parse_canonical(holder["leaf"])
        demand(is_hex(tag) and is_hex(commitment), "A leaf has another form.")
        leaves.append((holder["index"], tag, commitment))
    demand(len({index for index, _, _ in leaves}) == len(leaves), "A leaf is there twice.")
    own = person_leaf(text(manifest["purpose"]), text(manifest["at"]), pseudonym, rows)
    if proof["present"]:
        demand(
            rows and [list(leaf[1:]) for leaf in leaves] == [own], "The leaf is not this person's with so many rows."
        )
        return f"{pseudonym} is in what {proof['model']} learned from, with {rows} rows."
    demand(rows == 0 and all(tag != own[0] for _, tag, _ in leaves), "This person is there.")
    smaller = [index for index, tag, _ in leaves if tag < own[0]]
    larger = [index for index, tag, _ in leaves if tag > own[0]]
    demand(len(smaller) <= 1 and len(larger) <= 1, "There are more leaves than neighbours.")
    left = smaller[0] if smaller else -1
    demand(
        (larger[0] if larger else size) == left + 1, "The leaves are not neighbours: somebody could be between them."
    )
    return f"{pseudonym} is not in what {proof['model']} learned from."


def check_inclusion_proof(document: Object, key: Key) -> str:
    """The check `entry SEQ`."""
    console = "format" in document
    demand_keys(
        document, "format key seq entry leaf checkpoint proof" if console else "seq leaf hashes checkpoint", "proof"
    )
    demand(not console or Key.of(document["key"]) == key, "The proof names another key than yours.")
    signed, (leaf,) = Checkpoint.of(document["checkpoint"], key), hashes([document["leaf"]])
    path = hashes(document["proof" if console else "hashes"])
    check_inclusion(leaf, document["seq"], signed.size, path, signed.root)
    if document.get("entry") is not None:
        entry = read_entry(text(document["entry"]))
        fits = entry["seq"] == document["seq"] and leaf_hash(document["entry"].encode()) == leaf
        demand(fits, "The entry is not the one that is included.")
    return f"Entry {document['seq']} is in the log of {signed.size} entries."


def check_consistency_proof(document: Object, key: Key) -> str:
    """The check `consistency`."""
    demand_keys(document, "format key old new proof", "proof")
    demand(Key.of(document["key"]) == key, "The proof names another key than yours.")
    old, new = (Checkpoint.of(document[name], key) for name in ("old", "new"))
    check_consistency(old, new, hashes(document["proof"]))
    return f"The log of {old.size} entries is the beginning of that of {new.size}."


LINE = "day at who role for whose records categories salt"


def check_access_proof(document: Object, key: Key) -> str:
    """The check `who looked`."""
    demand_keys(document, "format line index lines path entry hashes checkpoint", "proof")
    signed = Checkpoint.of(document["checkpoint"], key)
    entry = included(document, "hashes", signed)
    demand(entry["kind"] == "access", "The entry is of another kind.")
    check_access(entry)
    body, line = entry["body"], parse_canonical(text(document["line"]))
    demand_keys(line, LINE, "line")
    counted = is_count(document["lines"]) and document["lines"] == body["lines"]
    demand(counted and line["day"] == body["day"], "The line is of another day.")
    told = [text(line[name]) for name in ("who", "role", "for", "whose")]
    demand(is_count(line["records"]) and is_hex(line["salt"], 16), "The line has another form.")
    texts(line["categories"])
    if line["at"] is not None:
        instant(line["at"])
        demand(line["at"].startswith(line["day"] + "T"), "The line is of another day.")
    root = hashes([body["root"]])[0]
    check_inclusion(
        leaf_hash(document["line"].encode()), document["index"], body["lines"], hashes(document["path"]), root
    )
    return f"On {line['day']} {told[0]} ({told[1]}) looked at {line['records']} records of {told[3]}, for: {told[2]}."


def check_tlog_proof(document: str, key: Key, given: bytes | None, dated: list[int]) -> str:
    """The check `entry` of a `.tlog-proof`; the entry's date is put into `dated`."""
    head, gap, note = document.partition("\n\n")
    first, *lines = head.split("\n")
    extra = base64_bytes(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else given
    index = re.fullmatch(r"index (0|[1-9][0-9]{0,15})", lines.pop(0) if lines else "")
    if not gap or first != "c2sp.org/tlog-proof@v1" or index is None:
        raise RefusedError("The proof has another form.")
    if extra is None or (given is not None and given != extra):
        raise RefusedError("The entry is not in the proof, and none is given; or it is another one.")
    signed, seq, path = Checkpoint.of(note, key), int(index[1]), [base64_bytes(line) for line in lines]
    demand(all(len(one) == 32 for one in path), "A hash has another form.")
    check_inclusion(leaf_hash(extra), seq, signed.size, path, signed.root)
    entry = read_entry(extra)
    demand(entry["seq"] == seq, "The entry has another number.")
    dated.append(instant(entry["at"]))
    return f"Entry {seq} is in the log of {signed.size} entries."


def verify_tlog_proof(document: str, key: Key, entry: bytes | None = None, policy: Policy | None = None) -> Report:
    """Check a `.tlog-proof`; the entry is in it, or given."""
    report, dated = Report(), list[int]()
    report.check("entry", partial(check_tlog_proof, document, key, entry, dated))
    if policy is not None:
        note, at = document.partition("\n\n")[2], dated[0] if dated else None
        report.check("witnesses of the entry's checkpoint", partial(policy.check, note, at))
    return report


SMALL: dict[str, tuple[str, Callable[[Object, Key], str]]] = {
    "volition/consistency-proof/1": ("consistency", check_consistency_proof),
    "volition/access-proof/1": ("who looked", check_access_proof),
    "volition/collected-proof/1": ("what was collected", check_collected_proof),
    "volition/inclusion-proof/1": ("entry", check_inclusion_proof),
}


def verify_document(document: Json, key: Key, people: Sequence[str] = ()) -> Report:
    """Check a receipt, a proof, or a person's proofs.

    Args:
        document: The JSON value.
        key: The log's public key.
        people: The pseudonyms of whom all of it is to be about, one for each identity; nobody: whomever.

    Raises:
        NotEvidenceError: It is of no form that is known here, so that nothing can be said of it.
    """
    report, parts = Report(), document if isinstance(document, list) else [document]
    if form_of(document) == "volition/person-proofs/1":
        report.check("document", partial(check_document, document))
        parts = [part for name in ("proofs", "receipts") for part in document.get(name, [])]
    for part in parts:
        check_part(report, part, key)
    if people:
        report.check("person", partial(about, people, [subjects(part) for part in parts]))
    return report


def check_document(document: Object) -> str:
    """The check `document`."""
    demand_keys(document, "format proofs receipts", "document")
    return f"{len(document['proofs'])} proofs and {len(document['receipts'])} receipts."


def form_of(part: Json) -> str:
    """The form that a document names; of the API's inclusion proof, which names none, that of the console."""
    if isinstance(part, dict):
        bare = "format" not in part and {"seq", "hashes"} <= set(part)
        return "volition/inclusion-proof/1" if bare else str(part.get("format"))
    return "none"


def check_part(report: Report, part: Json, key: Key) -> None:
    """Make the check of one document."""
    form = form_of(part)
    if form in SMALL:
        name, check = SMALL[form]
        report.check(f"entry {part.get('seq')}" if name == "entry" else name, partial(check, part, key))
    elif form == "volition/person-proof/1":
        report.check(f"person in {part.get('model')}", partial(check_person, part, key))
    elif form in ("volition/receipt/1", "volition/receipt/2"):
        record = part.get("record")
        identifier = record.get("dct:identifier") if isinstance(record, dict) else None
        report.check(f"receipt {identifier}", partial(check_receipt, part, key, report.claimed))
    else:
        raise NotEvidenceError(f"This program does not know documents of the form {form!r}.")


def subjects(part: Object) -> list[Json]:
    """Whom a document is about, by each of their pseudonyms, or by `account:ID`; empty where it is about no party."""
    try:
        if "pseudonym" in part or "pseudonyms" in part:
            return part.get("pseudonyms") or [part["pseudonym"]]
        if "record" in part:
            return [parse(part["entries"][0]["entry"])["body"]["party"].removeprefix("person:")]
        return [parse(part["line"])["whose"].removeprefix("person:")] if "line" in part else []
    except MALFORMED:
        return [None]


def about(people: Sequence[str], whose: list[list[Json]]) -> str:
    """The check `person`."""
    others = sorted({str(party) for parties in whose for party in parties if party not in people})
    demand(not others, f"This is about somebody else: {', '.join(others)}.")
    return f"All of it is about {', '.join(people)}."
