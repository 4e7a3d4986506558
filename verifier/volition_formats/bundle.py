"""The checks of a bundle, in their order (docs/formats/bundle.md)."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from volition_formats.archive import read_archive
from volition_formats.card import card_markdown
from volition_formats.collected import collected_leaf
from volition_formats.entries import (
    check_access,
    check_form,
    imported_answers,
    is_party,
    late_forgettings,
    missing_notices,
    version_fault,
)
from volition_formats.findings import check_finding, missed_bounds
from volition_formats.identities import check_identities, names_several
from volition_formats.keys import COLLECTED, read_keys, read_table
from volition_formats.log import Checkpoint, Key, Policy, Tree, check_salts, leaf_hash, read_entry
from volition_formats.permits import DAY, PURPOSES, WRITING, History, binding, ceased, may, nameable, publication_fault
from volition_formats.receipt import shown_entries
from volition_formats.release import (
    CARDS,
    check_attestation,
    check_card,
    check_card_of_log,
    check_settings,
    check_signature,
    release_files,
)
from volition_formats.report import NotEvidenceError, RefusedError, Report, demand
from volition_formats.snapshot import Snapshot, check_manifest, check_people, check_rows, claims, records
from volition_formats.spellings import (
    MALFORMED,
    Json,
    Object,
    any_instant,
    canonical,
    digest_of,
    instant,
    instant_text,
    is_count,
    is_hex,
    parse,
    parse_canonical,
    same,
    text,
    texts,
)

JUDGED = {"terms", "acceptance", "decision", "region", "signal", "limit", "exclusion", "erasure", "identity"}


@dataclass
class Bundle:
    """A bundle on its way through the checks, in the order of bundle.md."""

    key: Key
    data: bytes
    report: Report = field(default_factory=Report)
    members: dict[str, bytes] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    entries: list[Object] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    tree: Tree = field(default_factory=lambda: Tree([]))
    first: dict[tuple[str, str], int] = field(default_factory=dict)  # (kind, name) to the number of the first entry
    releases: dict[str, list[int]] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)
    succeeding: dict[int, str] = field(default_factory=dict)  # entries by which a model took another's place: its rows
    replacing: dict[str, list[int]] = field(default_factory=dict)  # by model, forgettings that name it in no such step
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    histories: dict[int, History] = field(default_factory=dict)
    versions: dict[int, str | None] = field(default_factory=dict)  # by entry, what is wrong with the form of a version
    readable: bool = False

    def archive(self) -> str:
        """The check `archive`."""
        self.members = read_archive(self.data)
        return f"{len(self.members)} files, written in the one way."

    def ledger(self) -> str:
        """The check `ledger`."""
        signed = Checkpoint.of(self.members["checkpoint"].decode(), self.key)
        data = self.members["entries.jsonl"]
        demand(not data or data.endswith(b"\n"), "The last entry does not end with a newline.")
        self.lines = data.split(b"\n")[:-1]
        self.tree = Tree([leaf_hash(line) for line in self.lines])
        demand(
            len(self.lines) == signed.size,
            f"There are {len(self.lines)} entries, and the checkpoint is of {signed.size}.",
        )
        demand(
            self.tree.root(signed.size) == signed.root, "The entries are not those that the checkpoint was signed over."
        )
        self.entries = [read_entry(line) for line in self.lines]
        self.at = [instant(entry["at"]) for entry in self.entries]
        demand(
            all(entry["seq"] == seq for seq, entry in enumerate(self.entries)),
            "An entry has another number than its place.",
        )
        demand(self.at == sorted(self.at), "An entry is dated before the one that it follows.")
        check_salts(self.entries)
        self.report.last_entry = self.entries[-1]["at"] if self.entries else None
        return f"{signed.size} entries; the last one is of {self.report.last_entry}. Later than that, nothing is known."

    def beginning(self, note: str) -> Checkpoint:
        """A checkpoint of a beginning of this log."""
        signed = Checkpoint.of(note, self.key)
        demand(
            signed.size <= len(self.lines),
            f"A checkpoint is of {signed.size} entries, this log has {len(self.lines)}: its end was cut off.",
        )
        demand(
            self.tree.root(signed.size) == signed.root,
            f"The log's first {signed.size} entries are not those of a checkpoint.",
        )
        return signed

    def extends(self, note: str) -> str:
        """The check `extends N`."""
        return f"The log goes on from its first {self.beginning(note).size} entries."

    def receipt(self, document: Json) -> str:
        """The check `receipt N`."""
        shown = 0
        for one in document if isinstance(document, list) else [document]:
            for part in [*one.get("proofs", []), *one.get("receipts", [])] if "checkpoint" not in one else [one]:
                self.beginning(part["checkpoint"])
                for line in shown_entries(part):
                    seq = parse(line)["seq"]
                    demand(
                        is_count(seq) and seq < len(self.lines), f"Entry {seq}, which was shown, is not in this log."
                    )
                    demand(self.lines[seq] == line.encode(), f"Entry {seq} is another one than was shown.")
                    shown += 1
        demand(shown, "It shows no entry.")
        return f"The {shown} entries that it shows are in this log."

    def not_before(self, at: int) -> str:
        """The check `not before`."""
        demand(
            self.at and self.at[-1] >= at,
            f"The last entry is of {self.report.last_entry}, earlier than {instant_text(at)}.",
        )
        return f"The last entry is of {self.report.last_entry}."

    def before(self, size: int) -> History:
        """The history of the first entries."""
        if size not in self.histories:
            history = History()
            for entry in self.entries[:size]:
                self.read(history, entry)
            self.histories[size] = history
        return self.histories[size]

    def read(self, history: History, entry: Object) -> None:
        """Add an entry to a history, or say that it cannot be read."""
        seq = entry["seq"]
        demand(self.versions.get(seq) is None, f"The version in entry {seq} {self.versions.get(seq)}.")
        try:
            check_form(entry["kind"], entry["body"])
            history.read(entry["kind"], entry["body"], self.at[seq])
        except MALFORMED as error:
            raise RefusedError(f"Entry {seq}, of kind {entry['kind']}, cannot be read: {error!r}.") from None

    def terms(self) -> str:
        """The check `terms`; whether every entry can be read is found here, and without that there is no replay."""
        history, faults, count = History(), [], 0
        binds: dict[str, int] = {}
        for entry in self.entries:
            if entry["kind"] == "terms":
                count += 1
                self.versions[entry["seq"]] = version_fault(entry["body"]["terms"])
                fault = self.versions[entry["seq"]] or publication_fault(history, entry["body"], self.at[entry["seq"]])
                faults += [] if fault is None else [f"The version in entry {entry['seq']} {fault}."]
            self.read(history, entry)
            body = entry["body"]
            if entry["kind"] == "terms":
                binds.setdefault(body["terms"]["id"], any_instant(body["binds"]))
            elif entry["kind"] == "notice" and binds.get(body["terms"]) != any_instant(body["ends"]):
                faults.append(f"Entry {entry['seq']} is notice of terms that do not bind then, or are not published.")
        self.readable = True
        self.report.warnings += missing_notices(self.entries)
        demand(not faults, " ".join(faults))
        return f"{count} publications."

    def people(self) -> None:
        """The checks `identities` and `who looked`, if anything is said of either."""
        if self.readable and names_several(self.entries):
            self.report.check("identities", partial(check_identities, self.entries, self.at))
        if any(entry["kind"] == "access" for entry in self.entries):
            self.report.check("who looked", self.who_looked)

    def who_looked(self) -> str:
        """The check `who looked`."""
        days: list[str] = []
        for entry in self.entries:
            if entry["kind"] == "access":
                check_access(entry)
                days.append(entry["body"]["day"])
        demand(days == sorted(set(days)), "Days of who looked are not in order, or one is there twice.")
        return f"{len(days)} days."

    def models(self) -> str:
        """The check `models`."""
        for entry in self.entries:
            fault = self._model_fault(entry)
            demand(fault is None, fault or "")
        return f"{sum(kind == 'model' for kind, _ in self.first)} models, {len(self.forgotten)} of them forgotten."

    def _model_fault(self, entry: Object) -> str | None:
        kind, body, seq = entry["kind"], entry["body"], entry["seq"]
        if kind in ("snapshot", "model"):
            name = text(body[kind])
            first = self.first.setdefault((kind, name), seq)
            if not same(self.entries[first]["body"], body):
                return f"The {kind} {name} is named twice, in the entries {first} and {seq}, with different bodies."
            if kind == "model":
                return self._training_fault(name, body)
        if kind in ("release", "forgetting"):
            name = text(body["model"])
            if ("model", name) not in self.first:
                return f"Entry {seq}, a {kind}, is of the model {name}, which no earlier entry names."
            if name in self.forgotten:
                gone = self.forgotten[name]
                return f"Entry {seq}, a {kind}, is of the model {name}, which was forgotten in entry {gone}."
            if kind == "release":
                self.releases.setdefault(name, []).append(seq)
                return None
            self.forgotten[name] = seq
            self._note_succession(seq, body)
            demand(all(is_party(one) for one in texts(body["parties"])), "A forgetting names somebody who is no party.")
            after = body["successor"]
            if after is not None and (("model", text(after)) not in self.first or after in self.forgotten):
                return f"The successor of {name} is {after}, which is no other model that works."
        return None

    def _training_fault(self, name: str, body: Object) -> str | None:
        if ("snapshot", text(body["snapshot"])) not in self.first:
            return f"The model {name} learned from a snapshot that no earlier entry names."
        if not text(body["family"]) or not is_hex(body["digest"]):
            return f"The model {name} has no family, or no digest."
        return f"The model {name} is named again after it was forgotten." if name in self.forgotten else None

    def _note_succession(self, seq: int, forgetting: Object) -> None:
        """Note the entries right before a forgetting that make and release its successor, in one step with it."""
        step = [
            one for one in self.entries[max(0, seq - 2) : seq] if one["body"].get("model") == forgetting["successor"]
        ]
        if [one["kind"] for one in step] == ["model", "release"] and forgetting["model"] in self.releases:
            frozen = self.entries[self.first["model", forgetting["model"]]]["body"]["snapshot"]
            self.succeeding.update({seq - 2: frozen, seq - 1: frozen})
        elif forgetting["successor"] is not None:
            self.replacing.setdefault(forgetting["successor"], []).append(seq)

    def working(self) -> Iterator[tuple[str, int, Snapshot]]:
        """Each model that was not forgotten: its name, the number of its first entry, its snapshot."""
        for (kind, name), seq in self.first.items():
            source = self.entries[seq]["body"].get("snapshot") if kind == "model" else None
            if source is not None and name not in self.forgotten and ("snapshot", source) in self.first:
                found = self.snapshots.setdefault(source, Snapshot(source, self.first["snapshot", source]))
                yield name, seq, found

    def snapshot(self, snapshot: Snapshot) -> str:
        """The check `snapshot S`."""
        folder, body = f"snapshots/{snapshot.name}", self.entries[snapshot.seq]["body"]
        for name in ("manifest.json", "keys.parquet", "people.json"):
            demand(f"{folder}/{name}" in self.members, f"{folder}/{name} is missing.")
        data = self.members[f"{folder}/manifest.json"]
        manifest = snapshot.manifest = parse_canonical(data)
        check_manifest(manifest)
        terms = [one["body"]["terms"] for one in self.entries[: snapshot.seq] if one["kind"] == "terms"]
        known = {*PURPOSES, *(leaf for version in terms for leaf in nameable(version, "purpose"))}
        demand(manifest["purpose"] in known, f"Nobody could be asked about the purpose {manifest['purpose']!r}.")
        wanted = {
            "snapshot": snapshot.name,
            "purpose": manifest["purpose"],
            "at": manifest["at"],
            "manifest": digest_of(data),
        }
        demand(same(body, wanted), "The manifest is not the one of the snapshot's entry.")
        named = f"{manifest['purpose'].replace('/', '-')}-{digest_of(data)[:12]}"
        demand(snapshot.name == named, f"The snapshot's name would be {named}.")
        at, until = instant(manifest["at"]), instant(manifest["collected_until"])
        demand(until <= at <= self.at[snapshot.seq], "The snapshot's instants are not in order.")
        signed = self.beginning(manifest["checkpoint"])
        demand(signed.size <= snapshot.seq, "The manifest's checkpoint is newer than the snapshot's entry.")
        demand(
            not signed.size or self.at[signed.size - 1] <= at, "The manifest's checkpoint is newer than its instant."
        )
        within = manifest["within"]
        demand(
            within is None or self.first.get(("snapshot", within), snapshot.seq) < snapshot.seq,
            "It is within no earlier snapshot.",
        )
        for name in {"keys.parquet", "people.json", "collected.parquet"} & set(manifest["files"]):
            there = digest_of(self.members[f"{folder}/{name}"])
            demand(there == manifest["files"][name], f"{name} is not the file of the manifest.")
        snapshot.rows = read_keys(self.members[f"{folder}/keys.parquet"])
        check_rows(manifest, snapshot.rows, until)
        check_people(manifest, snapshot.rows, self.members[f"{folder}/people.json"])
        for row in snapshot.rows:
            group = (
                row["account"],
                tuple(f"person:{one}" for one in row["people"]),
                row["category"],
                row["conversation"],
            )
            early, late = snapshot.groups.get(group, (row["collected_us"], row["collected_us"]))
            snapshot.groups[group] = (min(early, row["collected_us"]), max(late, row["collected_us"]))
        snapshot.holds = True
        self.report.claimed.append(claims(snapshot))
        return f"{len(snapshot.rows)} rows of {manifest['people']['size']} people, frozen as of {manifest['at']}."

    def judged(self, seq: int, snapshot: Snapshot) -> int:
        """The judged instant of an entry."""
        said = [at for entry, at in zip(self.entries[:seq], self.at, strict=False) if entry["kind"] in JUDGED]
        return max([*said[-1:], self.at[seq] - 60_000_000, instant(snapshot.manifest["at"])])

    def permits(self, snapshot: Snapshot, size: int, at: int) -> str:
        """A check of `permits of ...`: every row may be used at `at`, by the first entries."""
        history, purpose = self.before(size), snapshot.manifest["purpose"]
        for record, latest in records(snapshot):
            why = may(history, record, purpose, at) or ("later" if latest > at else None)
            who = ", ".join(record["people"])
            demand(
                why is None,
                f"A row of {record['account']}, {record['category']}, {who} is refused at {instant_text(at)}: {why}.",
            )
        return f"Each of {len(snapshot.rows)} rows may be used for {purpose} at {instant_text(at)}."

    def forgetting(self, model: str, seq: int, snapshot: Snapshot) -> str:
        """The check `forgetting of M`."""
        days = self.entries[seq]["body"].get("due_days", 30)
        demand(
            is_count(days) and days <= 36_500, f"Within {days!r} days of a no {model} is to be forgotten: no promise."
        )
        last, history, purpose = self.at[-1], self.before(len(self.entries)), snapshot.manifest["purpose"]
        frozen = instant(snapshot.manifest["at"])
        stale = [record for record, _ in records(snapshot) if may(history, record, purpose, last) is not None]
        if not stale:
            return "Nothing is owed."
        since = min(ceased(history, record, purpose, frozen, last) for record in stale)
        due = since + days * DAY
        demand(
            due >= last,
            f"Forgetting {model} is overdue: it was owed since {instant_text(since)}, due by {instant_text(due)}.",
        )
        return f"Owed since {instant_text(since)}, due by {instant_text(due)}."

    def _resting(self, model: str, seq: int, within: str | None) -> list[tuple[int, int, str]]:
        """The entries of a model at which its rows are asked about: their number, their order, and a word for each."""
        found = [(seq, 2, "trained"), *((release, 3, "released") for release in self.releases.get(model, []))]
        found = [one for one in found if within is None or self.succeeding.get(one[0]) != within]
        return found + [(forgetting, 3, "succeeding") for forgetting in self.replacing.get(model, [])]

    def replay(self) -> None:
        """The checks of permits, in the order of the entries that rest on rows."""
        asked: list[tuple[int, int, str, Snapshot, Callable[[], str]]] = []

        def ask(order: tuple[int, int], name: str, snapshot: Snapshot, size: int, at: int) -> None:
            asked.append((*order, name, snapshot, partial(self.permits, snapshot, size, at)))

        asked_of = set()
        for model, seq, snapshot in self.working():
            if not snapshot.holds:
                continue
            name, own = snapshot.name, snapshot.seq
            if name not in asked_of:
                asked_of.add(name)
                ask((own, 0), f"permits of {name}", snapshot, own, instant(snapshot.manifest["at"]))
                ask((own, 1), f"permits of {name}, entered", snapshot, own, self.judged(own, snapshot))
            for place, order, word in self._resting(model, seq, snapshot.manifest["within"]):
                at = self.judged(place, snapshot)
                ask((place, order), f"permits of {model}, {word}", snapshot, place, at)
            owed = (len(self.entries), 4, f"forgetting of {model}", snapshot)
            asked.append((*owed, partial(self.forgetting, model, seq, snapshot)))
        failed = set()
        for _, order, name, snapshot, made in sorted(asked, key=lambda one: one[:2]):
            if snapshot.name not in failed:
                holds = self.report.check(name, made)
                if order < 2 and not holds:
                    failed.add(snapshot.name)

    def collection(self, snapshot: Snapshot) -> str:
        """The check `collection of S`."""
        speaks = next((one["seq"] for one in self.entries if "salt" in one or one["kind"] == "collect"), None)
        if "collected.parquet" not in snapshot.manifest["files"]:
            demand(
                speaks is None or speaks >= snapshot.seq, "It says of no row how it was collected, though the log does."
            )
            return "What was collected is not known of any row: the log did not speak of it yet."
        batches = read_table(self.members[f"snapshots/{snapshot.name}/collected.parquet"], COLLECTED)
        numbers = [-1 if batch["entry"] is None else batch["entry"] for batch in batches]
        demand(numbers == sorted(set(numbers)) and min(numbers, default=0) >= -1, "The batches are not in order.")
        named = sorted(row for batch in batches for row in batch["rows"])
        demand(named == list(range(len(snapshot.rows))), "Not every row is in exactly one batch.")
        before = [row for batch in batches if batch["entry"] is None for row in batch["rows"]]
        counts = {"batches": sum(number >= 0 for number in numbers), "before": len(before)}
        demand(same(snapshot.manifest["collected"], counts), "The manifest counts other batches or rows.")
        firsts: dict[Json, int] = {}
        for one in self.entries:
            if one["kind"] == "collect":
                firsts.setdefault(str(one["body"].get("root")), one["seq"])
        for batch in batches:
            demand(batch["rows"] and batch["rows"] == sorted(batch["rows"]), "A batch has no rows, or not in order.")
            if batch["entry"] is None:
                others = (batch["people_key"], batch["salts"], batch["leaves"])
                demand(others == (None, None, None) and not batch["indexes"], "Rows without an entry have a proof.")
            else:
                self._batch(batch, snapshot, firsts)
        if before:
            demand(speaks != 0, "A row is of no entry, though the log spoke of what is collected from its beginning.")
            until = None if speaks is None else self.at[speaks]
            late = [row for row in before if until is not None and snapshot.rows[row]["collected_us"] > until]
            demand(not late, "A row is of no entry, though it was collected when the log spoke of it.")
            return f"All rows are as they were collected, but {len(before)} of which it is not known."
        return f"{len(snapshot.rows)} rows are as they were collected, in {len(batches)} batches."

    def _batch(self, batch: Object, snapshot: Snapshot, firsts: dict[Json, int]) -> None:
        seq, hashed = batch["entry"], [batch["leaves"][one : one + 32] for one in range(0, len(batch["leaves"]), 32)]
        demand(
            seq < snapshot.seq and self.entries[seq]["kind"] == "collect", "A batch is of no earlier entry of its kind."
        )
        body = {"records": len(hashed), "root": Tree(hashed).root(len(hashed)).hex()}
        demand(
            len(batch["leaves"]) % 32 == 0 and same(self.entries[seq]["body"], body),
            f"The batch of entry {seq} has other leaves.",
        )
        demand(firsts[body["root"]] == seq, f"Entry {seq} enters once more what entry {firsts[body['root']]} entered.")
        indexes, salts = batch["indexes"], batch["salts"]
        fits = len(indexes) == len(batch["rows"]) == len(set(indexes)) and len(salts) == 16 * len(indexes)
        demand(fits and len(batch["people_key"]) == 32, f"The batch of entry {seq} has another form.")
        for place, (row, index) in enumerate(zip(batch["rows"], indexes, strict=True)):
            leaf = collected_leaf(snapshot.rows[row], salts[16 * place : 16 * place + 16], batch["people_key"])
            fits = 0 <= index < len(hashed) and leaf_hash(canonical(leaf)) == hashed[index]
            demand(fits, f"The row {snapshot.rows[row]['record_id']} is not as it was collected, in entry {seq}.")
            late = snapshot.rows[row]["collected_us"] > self.at[seq] + WRITING
            demand(not late, f"The row {snapshot.rows[row]['record_id']} is from after entry {seq}, which enters it.")

    def release(self, model: str, seq: int, snapshot: Snapshot) -> str:
        """The check `release M`, of its last release."""
        files = {name: self.members[f"releases/{model}/{name}"] for name in release_files(self.members, model)}
        own = self.releases[model][-1]
        card, entry = parse_canonical(files["card.json"]), self.entries[own]["body"]
        form = card.get("format")
        demand(form in CARDS, f"The card has the form {form!r}, which this program does not know: not checked.")
        check_card(card)
        wanted: Object = {
            "model": model,
            "card": digest_of(files["card.json"]),
            "attestation": digest_of(files["attestation.json"]),
        }
        override = card["override"]
        if override is not None:
            wanted["override"] = {"by": override["by"], "why": override["why"]}
        demand(
            same(entry, wanted), "The card, its attestation or who answers for it is not that of the release's entry."
        )
        manifest = digest_of(self.members[f"snapshots/{snapshot.name}/manifest.json"])
        check_card_of_log(card, model, self.entries[seq]["body"], snapshot, manifest)
        self._card_at(card, own, snapshot)
        for finding in card["findings"]:
            check_finding(finding, snapshot.manifest["accounts"])
        missed = missed_bounds(card)
        demand(
            (override is None) == (not missed),
            "Bounds are missed and nobody answers for it, or somebody answers for none.",
        )
        demand(
            override is None or same(override["missed"], missed),
            "The bounds that are missed are others than the card says.",
        )
        demand(files["card.md"].decode() == card_markdown(card), "card.md does not follow from the card.")
        check_attestation(files["attestation.json"], card, wanted["card"], self.key)
        check_settings(files["settings.json"], card)
        check_signature(files["model.sig"], card)
        by_caller = card.get("trained_by") == "caller"
        own_code = ", that the operator's own code learned from these rows alone" if by_caller else ""
        self.report.claimed.append(
            f"card of {model}: how many records were read and why others were left out, what the audits measured, how"
            " and against what bounds, which audits were required"
            + (", that it was trained as its own settings say" if card["base"] is not None else "")
            + own_code
        )
        return f"The card of {card['released']} says what log, snapshot and findings say, and is signed."

    def _card_at(self, card: Object, own: int, snapshot: Snapshot) -> None:
        signed = self.beginning(card["checkpoint"])
        demand(signed.size <= own, "The card's checkpoint is newer than the release's entry.")
        fresh = signed.size == own or self.at[signed.size] >= self.at[own] - WRITING
        demand(fresh, "The card's checkpoint is old: it leaves out what was said before the release.")
        released = instant(card["released"])
        after = not signed.size or released >= self.at[signed.size - 1]
        demand(
            after and self.at[own] - WRITING <= released <= self.at[own],
            "The card's instant is not that of its release.",
        )
        same_as: dict[str, str] = {}
        for entry in self.entries[: signed.size]:
            if entry["kind"] == "identity" and entry["body"]["act"] == "merge":
                kept, merged = texts(entry["body"]["people"])[:2]
                same_as |= {one: kept for one, other in same_as.items() if other == merged} | {merged: kept}
        people = {f"person:{one}" for row in snapshot.rows for one in row["people"]}
        count = len({same_as.get(one, one) for one in people})
        demand(
            same(card["learned_from"]["people"], count),
            f"The rows concern {count} people, and the card says otherwise.",
        )
        history = self.before(signed.size)
        forces = [binding(history, account) for account in snapshot.manifest["accounts"]]
        terms = sorted({bound[-1] for force in forces if (bound := [one["id"] for at, one in force if at <= released])})
        demand(same(card["terms"], terms), f"The terms that bound the accounts are {terms}, not those of the card.")

    def check_models(self) -> None:
        """The checks of what the log says of models: snapshots, permits, collection, releases, and nothing else."""
        working = list(self.working())
        for snapshot in self.snapshots.values():
            self.report.check(f"snapshot {snapshot.name}", partial(self.snapshot, snapshot))
        if self.readable:
            self.replay()
        for snapshot in self.snapshots.values():
            if snapshot.holds and "table" not in snapshot.manifest:
                self.report.check(f"collection of {snapshot.name}", partial(self.collection, snapshot))
        for model, seq, snapshot in working:
            if model in self.releases and snapshot.holds:
                self.report.check(f"release {model}", partial(self.release, model, seq, snapshot))
        self.report.check("nothing else", self.nothing_else)
        if self.readable:
            trained = {model: self.entries[self.first["model", model]] for model in self.forgotten}
            self.report.warnings += late_forgettings(self.entries, self.at, trained, self.forgotten)

    def nothing_else(self) -> str:
        """The check `nothing else`."""
        wanted = {"checkpoint", "entries.jsonl"}
        for model, _, snapshot in self.working():
            files = ["manifest.json", "keys.parquet", "people.json"]
            files += ["collected.parquet"] if "collected.parquet" in snapshot.manifest.get("files", {}) else []
            wanted |= {f"snapshots/{snapshot.name}/{name}" for name in files}
            if model in self.releases:
                wanted |= {f"releases/{model}/{name}" for name in release_files(self.members, model)}
        other, missing = sorted(set(self.members) - wanted), sorted(wanted - set(self.members))
        demand(not other, f"Nothing asks for {', '.join(other)}.")
        demand(not missing, f"Missing: {', '.join(missing)}.")
        return f"The {len(wanted)} files are those that the log asks for."


def verify_bundle(  # noqa: PLR0913 - what a reader kept
    data: bytes,
    key: Key,
    *,
    extends: dict[str, str] | None = None,
    receipts: dict[str, Json] | None = None,
    not_before: int | None = None,
    policy: Policy | None = None,
) -> Report:
    """Make all checks of a bundle, in the order of bundle.md.

    Args:
        data: The zip.
        key: The log's public key.
        extends: Older checkpoints that the reader kept, by their names.
        receipts: Receipts and proofs that the reader kept, likewise.
        not_before: Than which the last entry is not to be earlier, in microseconds.
        policy: Which witnesses must have signed.

    Raises:
        NotEvidenceError: It is no zip at all.
    """
    if not zipfile.is_zipfile(io.BytesIO(data)) and not data.startswith(b"PK"):
        raise NotEvidenceError("This is no zip.")
    bundle, kept = Bundle(key, data), extends or {}
    report = bundle.report
    if not report.check("archive", bundle.archive) or not report.check("ledger", bundle.ledger):
        return report
    report.claimed += imported_answers(bundle.entries)
    for name, note in kept.items():
        report.check(f"extends {name}", partial(bundle.extends, note))
    for name, document in (receipts or {}).items():
        report.check(f"receipt {name}", partial(bundle.receipt, document))
    if not_before is not None:
        report.check("not before", partial(bundle.not_before, not_before))
    report.check("terms", bundle.terms)
    bundle.people()
    if report.check("models", bundle.models):
        bundle.check_models()
    if policy is not None:
        last = bundle.at[-1] if bundle.at else None
        report.check("witnesses of checkpoint", partial(policy.check, bundle.members["checkpoint"].decode(), last))
        for name, note in kept.items():
            report.check(f"witnesses of {name}", partial(policy.check, note))
    return report
