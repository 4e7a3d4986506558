"""An operator who has the keys and lies: any log, any manifest, any release, all signed and bound together anew."""

import base64
import io
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from simulator import SIGNER
from volition.canonical import canonical_json, digest, text_to_us
from volition.learning.card import card_markdown
from volition.learning.model_signature import sign_model
from volition.learning.release import PAYLOAD_TYPE
from volition.learning.train import name_of, record_of
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import Checkpoint, checkpoint_text, sign_envelope, sign_note
from volition.records.commitment import read_collected, write_collected
from volition.records.freeze import plain_parquet
from volition.records.snapshot import COLLECTED, person_leaf, person_tag, rows_commitment


def signed_note(lines, signer=SIGNER):
    checkpoint = Checkpoint(origin=signer.key.name, size=len(lines), root=merkle.Tree(lines).root)
    return sign_note(checkpoint_text(checkpoint), signer)


class Forger:
    """Changes a bundle's log and files, and binds them together so that every digest and signature fits.

    Attributes:
        entries: The log: change it as you like; numbers are set right in the end.
        manifests: By the snapshot's name: called with its manifest and its rows, which it may change.
        collected: Called with what a snapshot shows of the batches that were collected; what it returns is shown.
        cards: By the model: called with its card and the attestation's statement, likewise.
        beside: By the model: called with the files beside its card, its settings and its signature, likewise.
    """

    def __init__(self, members):
        self.lines = []  # what is bound together so far
        self.members = dict(members)
        self.entries = [Entry.from_leaf(line) for line in members["entries.jsonl"].splitlines()]
        self.manifests = {}
        self.cards = {}
        self.beside = {}
        self.collected = lambda batches: batches

    def place(self, kind, number=0, **says):
        """Return where an entry is in the log: the number of those of its kind that say this."""
        return [
            place
            for place, entry in enumerate(self.entries)
            if entry.kind == kind and says.items() <= entry.body.items()
        ][number]

    def insert(self, place, kind, body, *, at_us=None):
        """Put an entry before another, a microsecond before its time, or at the end."""
        like = self.entries[min(place, len(self.entries) - 1)]
        at_us = at_us or (like.at_us - 1 if place < len(self.entries) else like.at_us + 1)
        salt = f"{place:032x}"
        self.entries.insert(place, Entry(seq=place, at_us=at_us, kind=kind, body=body, salt=salt))

    def append(self, kind, body, *, after_us=1):
        """Put an entry at the end, so long after the last."""
        self.insert(len(self.entries), kind, body, at_us=self.entries[-1].at_us + after_us)

    def change(self, place, **body):
        """Change what an entry says."""
        entry = self.entries[place]
        self.entries[place] = structs.replace(entry, body={**entry.body, **body})

    def bundle(self):
        """Return the bundle's files, everything bound together again."""
        others = ("checkpoint", "entries.jsonl", "snapshots/", "releases/")
        members = {name: data for name, data in self.members.items() if not name.startswith(others)}
        lines, renamed = self.lines, _ = [], {}
        for seq, entry in enumerate(self.entries):
            body = dict(entry.body)
            if entry.kind == "snapshot":
                body = self._snapshot(body, lines, members, renamed)
            elif entry.kind == "model":
                body = self._model(body, members, renamed)
            elif entry.kind == "release" and f"releases/{body['model']}/card.json" in self.members:
                body = self._release(body, members, renamed)
            elif entry.kind == "forgetting":
                names = {name: renamed.get(body[name], body[name]) for name in ("model", "successor")}
                body |= names
            lines.append(structs.replace(entry, seq=seq, body=body).leaf_bytes)
        members["checkpoint"] = signed_note(lines).encode()
        members["entries.jsonl"] = b"".join(line + b"\n" for line in lines)
        return members

    def _snapshot(self, body, lines, members, renamed):
        old = f"snapshots/{body['snapshot']}"
        if f"{old}/manifest.json" not in self.members:
            return body
        manifest = json.loads(self.members[f"{old}/manifest.json"])
        table = pq.read_table(io.BytesIO(self.members[f"{old}/keys.parquet"]))
        rows = before = table.to_pylist()
        at_us = text_to_us(manifest["at"])
        known = [line for line in lines if Entry.from_leaf(line).at_us <= at_us]
        manifest["checkpoint"] = signed_note(known)
        keys, people = self.members[f"{old}/keys.parquet"], self.members[f"{old}/people.json"]
        change = self.manifests.get(body["snapshot"])
        if change is not None:
            rows = [dict(row) for row in rows]
            change(manifest, rows)
        if rows != before or manifest["at"] != body["at"]:
            keys, people = set_right(manifest, rows, table.schema)
            if change is not None:
                change(manifest, [])  # what it says of the manifest itself has the last word
        collected = self._collected(self.members[f"{old}/{COLLECTED}"], lines)
        manifest["files"][COLLECTED] = digest(collected)
        data = canonical_json(manifest)
        name = f"{manifest['purpose'].replace('/', '-')}-{digest(data)[:12]}"
        renamed[body["snapshot"]] = name
        members[f"snapshots/{name}/manifest.json"] = data
        members[f"snapshots/{name}/keys.parquet"] = keys
        members[f"snapshots/{name}/people.json"] = people
        members[f"snapshots/{name}/{COLLECTED}"] = collected
        self.renamed = renamed
        return {
            **body,
            "snapshot": name,
            "purpose": manifest["purpose"],
            "at": manifest["at"],
            "manifest": digest(data),
        }

    def _collected(self, data, lines):
        """Set right which entries the batches of a snapshot are of, now that others may stand before them."""
        before = [Entry.from_leaf(line) for line in self.members["entries.jsonl"].splitlines()]
        now = {entry.body["root"]: entry.seq for entry in map(Entry.from_leaf, lines) if entry.kind == "collect"}
        batches = [replace(one, entry=now[before[one.entry].body["root"]]) for one in read_collected(data)]
        return write_collected(self.collected(batches))

    @staticmethod
    def _model(body, members, renamed):
        """Give a model the name that follows from what it learned from."""
        snapshot = renamed.get(body["snapshot"], body["snapshot"])
        if body["model"] not in renamed and body["snapshot"] in renamed:
            data = members[f"snapshots/{snapshot}/manifest.json"]
            manifest = {"manifest": json.loads(data), "manifest_digest": digest(data)}
            renamed[body["model"]] = name_of(record_of(body["family"], body["digest"], snapshot, **manifest))
        return {**body, "snapshot": snapshot, "model": renamed.get(body["model"], body["model"])}

    def _release(self, body, members, renamed):
        model = body["model"]
        place, name = f"releases/{model}", renamed.get(model, model)
        card = json.loads(self.members[f"{place}/card.json"])
        envelope = json.loads(self.members[f"{place}/attestation.json"])
        statement = json.loads(base64.b64decode(envelope["payload"]))
        [trained] = [entry for entry in self.entries if entry.kind == "model" and entry.body["model"] == model][:1]
        snapshot = renamed[trained.body["snapshot"]]
        manifest = members[f"snapshots/{snapshot}/manifest.json"]
        note = json.loads(manifest)["checkpoint"]
        card["checkpoint"], card["learned_from"]["snapshot"] = note, snapshot
        card["learned_from"]["manifest"] = digest(manifest)
        card["model"] = name
        statement["predicate"] |= {"checkpoint": note, "snapshot": snapshot, "manifest": digest(manifest)}
        statement["predicate"]["model"] = name
        if model in self.cards:
            self.cards[model](card, statement)
        data = canonical_json(card)
        statement["predicate"]["card"] = digest(data)
        attestation = canonical_json(sign_envelope(PAYLOAD_TYPE, canonical_json(statement), SIGNER))
        beside = {"settings.json": self.members[f"{place}/settings.json"], "model.sig": signature(name, card)}
        if model in self.beside:
            self.beside[model](beside)
        place = f"releases/{name}"
        members |= {f"{place}/{one}": of for one, of in beside.items()}
        members |= {
            f"{place}/card.json": data,
            f"{place}/card.md": card_markdown(card).encode(),
            f"{place}/attestation.json": attestation,
        }
        return {**body, "model": name, "card": digest(data), "attestation": digest(attestation)}


def signature(name, card):
    """Return the signature of a model's files as its card has them, whatever it says of them."""
    files = card.get("files")
    is_whole = isinstance(files, dict) and all(isinstance(one, str) and len(one) == 64 for one in files.values())
    try:
        return sign_model(name, files if is_whole else {}, SIGNER)
    except ValueError:
        return sign_model(name, {}, SIGNER)


def set_right(manifest, rows, schema):
    """Set a manifest's counts, people and digests as its rows are; return the files of rows and people."""
    people, kept, accounts = {}, {}, {}
    for row in rows:
        kept[row["category"]] = kept.get(row["category"], 0) + 1
        accounts[row["account"]] = accounts.get(row["account"], 0) + 1
        for pseudonym in row["people"]:
            people[pseudonym] = people.get(pseudonym, 0) + 1
    leaves = sorted(
        [tag := person_tag(manifest["purpose"], manifest["at"], name), rows_commitment(tag, name, total)]
        for name, total in people.items()
    )
    keys = plain_parquet(pa.Table.from_pylist(rows, schema=schema))
    manifest["people"] = {"size": len(leaves), "root": merkle.Tree(person_leaf(*leaf) for leaf in leaves).root.hex()}
    manifest["rows"] = {name: {"read": total, "kept": total, "dropped": {}} for name, total in kept.items()}
    manifest["accounts"] = accounts
    listed = canonical_json(leaves)
    manifest["files"] |= {"keys.parquet": digest(keys), "people.json": digest(listed)}
    return keys, listed
