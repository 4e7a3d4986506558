"""A snapshot's manifest and files: are they those that the log names, and does each statement follow from the rows?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import canonical_json, digest, text_to_us, us_to_text
from volition.consent.terms.model import Terms
from volition.consent.terms.vocabulary import BUILT_IN
from volition.errors import ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.records.snapshot import (
    COLLECTED,
    FORMAT,
    LISTED_FORMAT,
    PLACES,
    PLACES_SCHEMA,
    ROWS_SCHEMA,
    SOURCES,
    person_leaf,
    person_tag,
    rows_commitment,
)
from volition.transparency.verify import forms
from volition.transparency.verify.archive import Archive
from volition.transparency.verify.keys import Keys
from volition.transparency.verify.log import Log

EVIDENCE: Final = ("manifest.json", "keys.parquet", "people.json")
"""What a bundle holds of every snapshot; `evidence_of` says what it holds of one."""

CLAIMED: Final = (
    "how many records were read and dropped for which reason, that none was left out that had a permit, what the "
    "records say (rows.parquet), and with which encoder vectors were made"
)
"""What a manifest says and nobody can check without the records."""

CLAIMED_OF_TABLE: Final = (
    "how many rows were read and dropped for which reason, that none was left out that had a permit, and that the rows "
    "are the table's, of whom and of when they say: the log does not say how they were collected"
)
"""What a manifest says of a table that others keep, and nobody can check without it."""

_MANIFEST: Final = (
    "format",
    "purpose",
    "at",
    "collected_until",
    "within",
    "checkpoint",
    "encoder",
    "rows",
    "accounts",
    "people",
    "schema",
    "files",
)
_FILES: Final = ("keys.parquet", "people.json", "rows.parquet")
_LATER: Final = "collected"  # not in manifests of earlier versions
_TABLE: Final = "table"  # in those of snapshots that list rows of a table
_TABLE_FILES: Final = ("keys.parquet", "people.json", PLACES, SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A snapshot whose manifest and files were verified.

    Attributes:
        id: The snapshot's name.
        purpose: What it was frozen for.
        at_us: The instant at which its rows were permitted.
        manifest: Its manifest.
        keys: Its rows.
        entry: The entry that names it.
    """

    id: str
    purpose: str
    at_us: int
    manifest: Mapping[str, Any]
    keys: Keys
    entry: Entry

    @property
    def lists_table(self) -> bool:
        """Whether its rows lie in a table that others keep."""
        return _TABLE in self.manifest

    @property
    def claimed(self) -> str:
        """What its manifest says and nobody can check."""
        return CLAIMED_OF_TABLE if self.lists_table else CLAIMED

    def __str__(self) -> str:
        """Say what was found."""
        return f"{len(self.keys)} rows of {self.manifest['people']['size']} people, entry {self.entry.seq}"


def read_evidence(archive: Archive, snapshot: str, log: Log) -> Evidence:
    """Check a snapshot's manifest against the log, and its files against the manifest."""
    folder = f"snapshots/{snapshot}"
    written = archive[f"{folder}/manifest.json"]
    manifest = read_manifest(written)
    entry = log.named("snapshot", snapshot)
    named = {"snapshot": snapshot, "purpose": manifest["purpose"], "at": manifest["at"]}
    if not forms.same(entry.body, named | {"manifest": digest(written)}):
        raise ProofError("The manifest is not the one that the ledger names.")
    _check_claims(manifest, snapshot, entry, log)
    for name in evidence_of(manifest)[1:]:
        if archive.digest(f"{folder}/{name}") != manifest["files"][name]:
            raise ProofError(f"{name} is not the file that the manifest names.")
    with archive.open(f"{folder}/keys.parquet") as stream:
        keys = Keys(stream)
    _check_rows(manifest, keys)
    _check_people(manifest, keys, archive[f"{folder}/people.json"])
    return Evidence(
        id=snapshot,
        purpose=manifest["purpose"],
        at_us=text_to_us(manifest["at"]),
        manifest=manifest,
        keys=keys,
        entry=entry,
    )


def evidence_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a bundle holds of a snapshot; snapshots of earlier versions do not show what was collected."""
    return (*EVIDENCE, COLLECTED) if COLLECTED in manifest["files"] else EVIDENCE


def read_manifest(data: bytes) -> Mapping[str, Any]:
    """Read a manifest: in its one form, and with no statement that no reader knows."""
    written = forms.read_canonical(data, "The manifest")
    if isinstance(written, Mapping) and _TABLE in written:
        manifest = forms.fields(written, "The manifest", (*_MANIFEST, _TABLE))
        _check_table(manifest)
    else:
        manifest = forms.fields(written, "The manifest", _MANIFEST, (_LATER,))
        forms.fields(manifest["files"], "The manifest's files", (*_FILES, COLLECTED) if _LATER in manifest else _FILES)
    forms.fields(manifest["people"], "The manifest's people", ("size", "root"))
    forms.fields(manifest["schema"], "The manifest's schema", _schema(manifest))
    if manifest["encoder"] is not None:
        forms.from_hex(manifest["encoder"], "The manifest's encoder")
    for name, value in manifest["files"].items():
        forms.from_hex(value, f"The manifest's digest of {name}")
    return manifest


def _check_table(manifest: Mapping[str, Any]) -> None:
    """Check what a manifest says of a table that others keep."""
    forms.fields(manifest["files"], "The manifest's files", _TABLE_FILES)
    table = forms.fields(manifest[_TABLE], "The manifest's table", ("form", "uri", "version", "mapping"))
    for name in ("form", "uri", "version"):
        forms.text(table[name], f"The table's {name}")
    if not isinstance(table["mapping"], Mapping):
        raise ProofError("The table's mapping is no object.")
    for name, value in table["mapping"].items():
        forms.text(value, f"The {name} of the table's mapping")
    if manifest["encoder"] is not None:
        raise ProofError("The manifest names an encoder, and rows of a table have no vectors.")


def _schema(manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the columns of the file that stands for the content."""
    name, schema = (PLACES, PLACES_SCHEMA) if _TABLE in manifest else ("rows.parquet", ROWS_SCHEMA)
    return {"keys.parquet": {}, name: {field.name: str(field.type) for field in schema}}


def lists_table(archive: Archive, snapshot: str) -> bool:
    """Say whether a snapshot's manifest says that its rows lie in a table; nothing of it was checked."""
    try:
        return _TABLE in read_manifest(archive[f"snapshots/{snapshot}/manifest.json"])
    except ProofError:
        return False


def _purposes(log: Log, entry: Entry) -> tuple[str, ...]:
    """Return the purposes that could be named before an entry."""
    versions = [Terms.from_json(one.body["terms"]) for one in log.entries[: entry.seq] if one.kind == "terms"]
    return BUILT_IN.joined([one for version in versions for one in version.purposes]).purposes


def _check_claims(manifest: Mapping[str, Any], snapshot: str, entry: Entry, log: Log) -> None:
    """Check what a manifest says of itself: its form, its name, its purpose, its instant, and its place in the log."""
    known = LISTED_FORMAT if _TABLE in manifest else FORMAT
    if manifest["format"] != known:
        raise ProofError(f"The manifest has the format {manifest['format']!r}, not {known!r}.")
    if forms.text(manifest["purpose"], "The manifest's purpose") not in _purposes(log, entry):
        raise ProofError(f"The manifest's purpose {manifest['purpose']!r} is none that anybody could be asked about.")
    if snapshot != f"{manifest['purpose'].replace('/', '-')}-{entry.body['manifest'][:12]}":
        raise ProofError(f"The snapshot {snapshot} does not have the name that its purpose and its manifest give it.")
    at_us, until_us = _instant(manifest["at"]), _instant(manifest["collected_until"])
    if until_us > at_us:
        raise ProofError("The manifest speaks of records that were collected after the snapshot's instant.")
    if at_us > entry.at_us:
        raise ProofError(
            f"The snapshot's instant {manifest['at']} is after its own entry, of {us_to_text(entry.at_us)}."
        )
    size = log.prefix(forms.text(manifest["checkpoint"], "The manifest's checkpoint"))
    if size > entry.seq:
        raise ProofError("The snapshot's checkpoint is from after the snapshot.")
    if size and log.entries[size - 1].at_us > at_us:
        raise ProofError(
            f"The snapshot's instant {manifest['at']} is before the last entry of its own checkpoint: it is dated back."
        )
    within = manifest["within"]
    if within is not None and log.named("snapshot", within).seq >= entry.seq:
        raise ProofError(f"The snapshot lies within {within}, which is named only later.")


def _instant(text: Any) -> int:  # noqa: ANN401 - any JSON value
    at_us = text_to_us(forms.text(text, "An instant in the manifest"))
    if us_to_text(at_us) != text:
        raise ProofError(f"The instant {text!r} in the manifest is not written as instants are.")
    return at_us


def _check_rows(manifest: Mapping[str, Any], keys: Keys) -> None:
    """Check the counts of a manifest; what was read and dropped can only be added up."""
    kept = {}
    for category, counts in manifest["rows"].items():
        what = f"The manifest's count of {category}"
        forms.fields(counts, what, ("read", "kept", "dropped"), ("left_out",))
        parts = [counts["kept"], counts.get("left_out", 0), *counts["dropped"].values()]
        if forms.count(counts["read"], what) != sum(forms.count(one, what) for one in parts):
            raise ProofError(f"{what} does not add up: what was read was kept, left out or dropped.")
        if counts["kept"]:
            kept[category] = counts["kept"]
    if not forms.same(kept, keys.categories()) or not forms.same(manifest["accounts"], keys.accounts()):
        raise ProofError("The counts in the manifest are not those of the rows.")
    schema = _schema(manifest) | {"keys.parquet": keys.schema}
    if not forms.same(manifest["schema"], schema):
        raise ProofError("The columns that the manifest names are not those of the rows.")
    if len(keys) and keys.span_us()[1] > text_to_us(manifest["collected_until"]):
        raise ProofError("A row was collected after the instant up to which the manifest says that they were.")


def _check_people(manifest: Mapping[str, Any], keys: Keys, people: bytes) -> None:
    """Check that the tree of people is the one that follows from the rows."""
    leaves = []
    for pseudonym, total in keys.people().items():
        tag = person_tag(manifest["purpose"], manifest["at"], pseudonym)
        leaves.append([tag, rows_commitment(tag, pseudonym, total)])
    leaves.sort()
    if canonical_json(leaves) != people:
        raise ProofError("The tree of people does not match the rows.")
    tree = merkle.Tree(person_leaf(*leaf) for leaf in leaves)
    if not forms.same(manifest["people"], {"size": tree.size, "root": tree.root.hex()}):
        raise ProofError("The tree of people is not the one in the manifest.")
