"""The pages of `docs/formats` are true: of the samples beside them, which hold, and of every kind of entry and check."""

import hmac
import json
import re
import zipfile
from functools import cache
from pathlib import Path

import pytest

from volition.canonical import canonical_json, digest, text_to_us
from volition.consent.controller import Controller
from volition.learning.dp import least_epsilon
from volition.ledger import merkle
from volition.ledger.entry import KINDS, Entry, boundary
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.transparency.consent_record import early_record, receipt_of, record_of
from volition.transparency.evidence import verify_evidence
from volition.transparency.verify.bundle import Kept, verify_bundle
from volition.transparency.verify.witnessed import verify_entry_proof

FORMATS = Path(__file__).parent.parent / "docs" / "formats"
SAMPLES = FORMATS / "samples"
KEY = VerifierKey.from_text((SAMPLES / "log.pub").read_text(encoding="utf-8").strip())


@cache
def text(name):
    return (FORMATS / name).read_text(encoding="utf-8")


@cache
def program(name):
    """Return what the code of a page defines."""
    found = {}
    code = "\n\n".join(re.findall(r"```python\n(.*?)```", text(name), re.DOTALL))
    exec(compile(code, name, "exec"), found)  # noqa: S102 - it is ours
    return found


def sample(name):
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


@cache
def members():
    with zipfile.ZipFile(SAMPLES / "bundle.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entries():
    return [Entry.from_leaf(line) for line in members()["entries.jsonl"].splitlines()]


def only(ending):
    [data] = [data for name, data in members().items() if name.endswith(ending)]
    return data


def fields(kind):
    """Return the fields that a kind has by its section, and which of them are optional."""
    section = re.search(rf"^## {kind}\n(.*?)(?=^## |\Z)", text("entries.md"), re.DOTALL | re.MULTILINE)
    table = section[1].partition("| field | form | what |")[2].partition("\n\n")[0]
    found = {}
    for row in re.findall(r"^\| (`.*)$", table, re.MULTILINE):
        names, form, *_ = row.split("|")
        found.update(dict.fromkeys(re.findall(r"`(\w+)`", names), "optional" in form))
    return found


def verified():
    receipt, note = sample("receipt.json"), (SAMPLES / "checkpoint").read_text(encoding="utf-8")
    kept = Kept(receipts={"N": receipt}, checkpoints={"N": note}, not_before_us=0)
    return verify_bundle(SAMPLES / "bundle.zip", KEY, kept=kept)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entry_has_its_section(kind):
    assert fields(kind)


def test_the_entries_of_a_real_run_have_the_fields_that_their_sections_name():
    met = set()
    for entry in entries():
        named = fields(entry.kind)
        assert entry.body.keys() <= named.keys(), entry.kind
        assert {name for name, is_optional in named.items() if not is_optional} <= entry.body.keys(), entry.kind
        met.add(entry.kind)
    assert set(KINDS) - met == {"mapping", "form", "removal"}


def test_the_entry_that_records_salts_has_the_fields_of_its_section():
    assert boundary(3).body.keys() == fields("form").keys()


def test_the_example_of_the_log_is_one():
    [note] = re.findall(
        r"^    (log\.example/volition\n    3\n.*?)\n\n(?!    )", text("log.md"), re.DOTALL | re.MULTILINE
    )
    [key] = re.findall(r"^    (log\.example/volition\+\S+)$", text("log.md"), re.MULTILINE)[:1]
    checkpoint = open_checkpoint(f"{note.replace(chr(10) + '    ', chr(10))}\n", VerifierKey.from_text(key))
    leaves = [canonical_json({"a": number}) for number in (1, 2, 3)]
    assert (checkpoint.size, checkpoint.root) == (3, merkle.Tree(leaves).root)


def test_the_example_of_what_was_collected_is_one():
    def mac(key, data):
        return hmac.digest(key, data, "sha256")

    shown = text("collected.md")
    batch_key, first, second = bytes(range(32)), "0123456789abcdef" * 2, "fedcba9876543210" * 2
    people_key = mac(batch_key, b"people")
    rows = [
        ("11" * 16, [first, second], "content/transcript", 1767225600000000, "c0" * 16),
        ("22" * 16, [first], "service/usage", 1767225601000000, ""),
    ]
    leaves = []
    for record, people, category, at_us, conversation in rows:
        tokens = [mac(people_key, one.encode())[:16].hex() for one in people]
        pairs = zip(tokens, people, strict=True)
        aliases = [digest(canonical_json(["volition/collected-person", token, one])) for token, one in pairs]
        salt = mac(batch_key, record.encode())[:16].hex()
        leaves.append(canonical_json([salt, record, "acme", aliases, category, at_us, conversation]))
        assert {salt, *tokens, merkle.leaf_hash(leaves[-1]).hex()} <= set(re.findall(r"`(\w+)`", shown))
    assert leaves[0].decode() in shown
    assert canonical_json({"records": 2, "root": merkle.Tree(leaves).root.hex()}).decode() in shown


def test_the_samples_hold():
    assert verified().holds
    for name in ("proof.json", "receipt.json", "collected.json", "looked.json"):
        assert verify_evidence(sample(name), KEY).holds, name
    assert verify_entry_proof((SAMPLES / "release.tlog-proof").read_bytes(), KEY).holds


def test_the_checks_are_those_that_the_page_names():
    named = set(re.findall(r"^(?:- )?\*\*(?:`)?([a-z].*?)\*\*", text("bundle.md"), re.MULTILINE)) - {"permits of ..."}
    listed = set(re.findall(r"`([^`]+)`", re.search(r"^\| `archive`.*$", text("index.md"), re.MULTILINE)[0]))
    printed = {
        re.sub(r"recommend-[0-9a-f]{12}", "M", re.sub(r"train-recommend-[0-9a-f]{12}", "S", check.name))
        for check in verified().checks
    }
    assert printed <= named & listed
    # The sample's model took another's place, so its entries rest on what was judged with its snapshot.
    of_models = {f"permits of M, {what}" for what in ("trained", "released", "succeeding")}
    assert listed - printed == {"witnesses of N", *of_models}


def test_every_row_of_the_sample_may_be_used_by_the_page_alone():
    says, keys = program("permits.md"), program("keys.md")["read_keys"](only("keys.parquet"))
    manifest, history = json.loads(only("manifest.json")), program("permits.md")["History"]()
    [*_, place] = [entry.seq for entry in entries() if entry.kind == "snapshot"]
    for entry in entries()[:place]:
        says["read"](history, entry.kind, entry.body, entry.at_us, text_to_us)
    assert len(keys) == sum(manifest["accounts"].values())
    for row in keys:
        record = {**row, "people": [f"person:{one}" for one in row["people"]], "collected": row["collected_us"]}
        assert says["may"](history, record, manifest["purpose"], text_to_us(manifest["at"]), text_to_us) is None
        unheard = {**record, "category": "content/holograms"}
        assert says["may"](history, unheard, manifest["purpose"], text_to_us(manifest["at"]), text_to_us) == "never"
        record["collected"] -= 365 * says["DAY"]
        refusal = says["may"](history, record, manifest["purpose"], text_to_us(manifest["at"]), text_to_us)
        assert refusal == "before-yes"


def test_the_people_of_the_sample_are_what_the_page_says():
    keys, manifest = program("keys.md")["read_keys"](only("keys.parquet")), json.loads(only("manifest.json"))
    people = [person for row in keys for person in row["people"]]
    leaves = []
    for person in sorted(set(people)):
        tag = digest(canonical_json(["volition/person", manifest["purpose"], manifest["at"], person]))
        leaves.append([tag, digest(canonical_json(["volition/rows", tag, person, people.count(person)]))])
    assert canonical_json(sorted(leaves)) == only("people.json")
    root = merkle.Tree(canonical_json(leaf) for leaf in sorted(leaves)).root.hex()
    assert manifest["people"] == {"size": len(leaves), "root": root}


def test_the_card_of_the_sample_is_written_for_people_as_the_page_says():
    assert program("release.md")["card_markdown"](json.loads(only("card.json"))).encode() == only("card.md")


def test_the_name_of_the_model_follows_as_the_page_says():
    card, manifest = json.loads(only("card.json")), json.loads(only("manifest.json"))
    record = {
        "accounts": manifest["accounts"],
        "digest": card["digest"],
        "family": card["family"],
        "manifest": digest(only("manifest.json")),
        "people": manifest["people"]["size"],
        "purpose": manifest["purpose"],
        "rows": sum(manifest["accounts"].values()),
        "snapshot": card["learned_from"]["snapshot"],
    }
    assert card["model"] == f"{card['family']}-{digest(canonical_json(record))[:12]}"


CONTROLLER = {
    "name": "Acme",
    "contact": "a@acme.example",
    "jurisdiction": "IE",
    "language": "en",
    "url": "https://a.example",
}


def rules_of(answer, terms, region):
    """Return the rules that govern an answer, and the purposes that a signal refuses, by the page on permits."""
    says = program("permits.md")
    if terms is None:
        return [], []
    version, body = terms["body"]["terms"], answer["body"]
    if answer["kind"] == "signal":
        named = version.get("signal", {}).get(body["signal"], {"refuses": []})["refuses"]
        data, purposes = says["CATEGORIES"], says["leaves"](named, says["PURPOSES"])
    else:
        data, purposes = (
            says["leaves"](body["data"], says["CATEGORIES"]),
            says["leaves"](body["purpose"], says["PURPOSES"]),
        )
    found = [says["rule_of"](version, category, purpose, region) for category in data for purpose in purposes]
    return [rule for rule in found if rule is not None], [one for one in says["PURPOSES"] if one in purposes]


@pytest.mark.parametrize("controller", [{}, CONTROLLER], ids=["unnamed", "named"])
def test_the_record_of_a_receipt_follows_as_the_page_says(controller):
    says, met = program("receipt.md"), set()
    every = {entry.seq: entry for entry in entries()}
    parsed = {seq: json.loads(entry.leaf_bytes) for seq, entry in every.items()}
    regions = [seq for seq, entry in every.items() if entry.kind == "region"][:1]
    for seq, entry in every.items():
        if entry.kind not in {"decision", "signal"}:
            continue
        for terms, shown in ((None, []), (0, []), (0, regions)):
            origin, given = "log.example/samples", [parsed[one] for one in shown]
            rules, heard = rules_of(
                parsed[seq], terms if terms is None else parsed[terms], says["own_region"](parsed[seq], given)
            )
            made = says["full_record"](
                parsed[seq],
                entry.leaf_bytes,
                None if terms is None else parsed[terms],
                given,
                controller,
                rules,
                heard,
                origin,
                digest,
                canonical_json,
            )
            expected = record_of(
                entry,
                terms=None if terms is None else every[terms],
                regions=[every[one] for one in shown],
                origin=origin,
                controller=Controller.from_json(controller),
            )
            assert made == expected
            assert says["receipt_of"](made, parsed[seq], digest, canonical_json) == receipt_of(expected, entry)
            early = says["early_record"](
                parsed[seq],
                entry.leaf_bytes,
                None if terms is None else parsed[terms],
                origin,
                digest,
                canonical_json,
            )
            assert early == early_record(entry, None if terms is None else every[terms], origin)
            met.add(entry.kind)
    assert met == {"decision", "signal"}


def test_the_least_epsilon_of_the_page_is_that_of_the_software():
    for multiplier, rate, steps in ((1.0, 0.1, 50), (0.5, 1, 10), (2.0, 0.01, 200)):
        known = {"multiplier": multiplier, "rate": rate, "steps": steps, "delta": 1e-5}
        assert program("release.md")["least_epsilon"](**known) == pytest.approx(least_epsilon(**known), rel=1e-12)
