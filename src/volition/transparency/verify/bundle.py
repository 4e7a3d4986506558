"""The bundle: everything that a workspace can show, checked from the first signature to the last row.

`verify_bundle` checks, each under the name that is given here:

- *archive*: the zip is the one that holds these files.
- *ledger*: the checkpoint is signed by the log's key; the entries, each in its one form, are those that the
  checkpoint's tree root commits to (RFC 9162); their times never run backwards.
- *extends*, *receipt*, *not before*: the log goes on from older checkpoints, holds the entries of receipts, and is as
  recent as was asked. A log that was signed anew or cut off, or one of two, is found by what others kept of it.
- *terms*: every entry can be read; no version was published twice, to bind in the past, or to loosen without notice.
- *identities*: what somebody refused under one identity is refused under the others, and nobody said yes for them.
- *models*: no name stands for two things, and what is forgotten stays so.
- *snapshot S*: the manifest and the files are those that the log names, the manifest's checkpoint is a prefix of this
  very log from before the snapshot, and every statement of the manifest follows from the rows or is told as claimed.
- *collection of S*: each row is as an entry from before the snapshot says that it was collected; of rows that are older
  than such entries it is told that it is not known. Of rows of a table that others keep the log says nothing: there is
  no such check, and it is told as claimed.
- *permits of S*: for each row, the log as it was before the snapshot's entry gives everyone concerned a permit at the
  snapshot's instant, by the reference in `permits`; *permits of S, entered*: and still when it was entered.
- *permits of M, trained* and *released*: no row was refused when a model was recorded, and whenever it was released;
  *permits of M, succeeding*: nor when it took the place of one that was forgotten.
- *forgetting of M*: no forgetting that it owes is overdue at the log's last entry.
- *release M*: card and attestation are those that the log names, signed; every statement of them follows from log,
  manifest, rows and the model's own settings, or is told as claimed; if a finding misses its bound, the log names who
  is accountable; the model's files are signed by the key that the card names.
- *nothing else*: the bundle holds nothing else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from volition.canonical import us_to_text
from volition.consent.history import check_publications
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey
from volition.records.snapshot import COLLECTED
from volition.transparency.verify.apart import collections_of
from volition.transparency.verify.archive import Archive, read_archive
from volition.transparency.verify.bodies import (
    Unreadable,
    check_body,
    check_notices,
    find_unreadable,
    missing_notices,
)
from volition.transparency.verify.checks import Check, Verified, check_claim
from volition.transparency.verify.collected import logged_before
from volition.transparency.verify.forgettings import check_owed, late_forgettings
from volition.transparency.verify.identities import check_identities, names_several
from volition.transparency.verify.log import Log, read_log
from volition.transparency.verify.looked import check_access_entries
from volition.transparency.verify.models import Models, read_models
from volition.transparency.verify.releases import CheckedRelease, card_in, check_release, release_files
from volition.transparency.verify.replay import Replay, check_not_stale, replay_permits
from volition.transparency.verify.snapshots import EVIDENCE, Evidence, evidence_of, lists_table, read_evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What somebody kept of a log, to hold a bundle against.

    Attributes:
        receipts: Documents with entries (`{"entries": [{"entry": ...}], "checkpoint": ...}`), by name.
        checkpoints: Older signed checkpoints, by name.
        not_before_us: The last entry must not be from before this instant.
    """

    receipts: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    not_before_us: int | None = None


_NOTHING = Kept()


def verify_bundle(path: Path, verifier: VerifierKey, *, kept: Kept = _NOTHING) -> Verified:
    """Check a bundle offline.

    Args:
        path: The bundle.
        verifier: The log's public key, obtained from a source that you trust: not from the bundle.
        kept: What was kept of the log before.

    Returns:
        Every check that could be made; if one fails, those that depend on it are not made.

    Raises:
        InvalidInputError: The file is not a bundle.
    """
    told = _Told()
    try:
        archive = read_archive(path)
    except ProofError as error:
        return Verified(checks=(Check(name="archive", holds=False, detail=str(error)),))
    except (OSError, InvalidInputError) as error:
        msg = f"{path} is not an evidence bundle: {error}. Make one with `volition prove`."
        raise InvalidInputError(msg) from error
    checks = (Check(name="archive", holds=True, detail=str(archive)), *_checks(archive, verifier, kept, told))
    return Verified(
        checks=checks, claimed=tuple(told.claimed), warnings=tuple(told.warnings), last_entry=told.last_entry
    )


@dataclass(slots=True)
class _Told:
    """What is told beside the checks."""

    claimed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    last_entry: str | None = None


def _checks(archive: Archive, verifier: VerifierKey, kept: Kept, told: _Told) -> Iterator[Check]:
    check, log = check_claim("ledger", partial(read_log, archive, verifier))
    yield check
    if log is None:
        return
    told.last_entry = us_to_text(log.last_us) if log.entries else None
    imported = sum(entry.kind == "decision" and "claim" in entry.body for entry in log.entries)
    if imported:
        told.claimed.append(f"answers: when and where {imported:,} were given, as whoever imported them says")
    yield from _against_kept(log, kept)
    check, _ = check_claim("terms", partial(_check_terms, log))
    yield check
    unreadable = None if check.holds else find_unreadable(log.entries)
    if unreadable is None:
        told.warnings.extend(missing_notices(log.entries))
        if names_several(log.entries):
            yield check_claim("identities", partial(check_identities, log.entries))[0]
    if any(entry.kind == "access" for entry in log.entries):
        yield check_claim("who looked", partial(check_access_entries, log.entries))[0]
    check, models = check_claim("models", partial(read_models, log.entries))
    yield check
    if models is None:
        return
    yield from _of_models(archive, log, models, told, unreadable)


def _of_models(
    archive: Archive, log: Log, models: Models, told: _Told, unreadable: Unreadable | None
) -> Iterator[Check]:
    """Check what the working models learned from, and their releases."""
    snapshots = [*dict.fromkeys(model.snapshot for model in models.working)]
    collected = [name for name in snapshots if not lists_table(archive, name)]
    logged = {name: logged_before(log.entries, log.named("snapshot", name).seq) for name in collected}
    with collections_of(archive, logged) as collections:
        evidences: dict[str, Evidence] = {}
        for snapshot in snapshots:
            check, evidence = check_claim(f"snapshot {snapshot}", partial(read_evidence, archive, snapshot, log))
            yield check
            if evidence is not None:
                evidences[snapshot] = evidence
                told.claimed.append(f"snapshot {snapshot}: {evidence.claimed}")
        if unreadable is None:  # of a log that cannot be read, nothing can be asked
            yield from _replays(log, models, evidences, told)
        for snapshot, evidence in evidences.items():
            if not evidence.lists_table:
                yield collections.check(snapshot)
    for model in models.working:
        if model.released_us is not None and model.snapshot in evidences:
            release = partial(check_release, archive, model, evidences[model.snapshot], log, unreadable)
            yield _check_release(model.id, release, told)
    yield check_claim("nothing else", partial(_check_names, archive, models, evidences))[0]


def _check_release(model: str, release: Callable[[], CheckedRelease], told: _Told) -> Check:
    check, checked = check_claim(f"release {model}", release)
    if checked is not None:
        told.claimed.extend(f"card of {model}: {claim}" for claim in checked.card.claimed)
    return check


def _against_kept(log: Log, kept: Kept) -> Iterator[Check]:
    """Hold a log against what somebody kept of it."""
    for name, note in kept.checkpoints.items():
        yield check_claim(f"extends {name}", partial(_check_extends, log, note, name))[0]
    for name, document in kept.receipts.items():
        yield check_claim(f"receipt {name}", partial(_check_holds, log, document))[0]
    if kept.not_before_us is not None:
        yield check_claim("not before", partial(_check_recent, log, kept.not_before_us))[0]


def _check_extends(log: Log, note: str, name: str) -> str:
    return f"the log goes on from the {log.prefix(note, f'The checkpoint {name}')} entries of that checkpoint"


def _check_holds(log: Log, document: Mapping[str, Any]) -> str:
    log.prefix(document["checkpoint"], "The receipt's checkpoint")
    places = []
    for shown in document["entries"]:
        leaf = shown["entry"].encode()
        seq = Entry.from_leaf(leaf).seq
        if seq >= len(log.entries) or log.tree.read(0, seq) != merkle.leaf_hash(leaf):
            raise ProofError(f"The receipt's entry {seq} is not in this log, or another one is in its place.")
        places.append(str(seq))
    if not places:
        raise ProofError("The receipt shows no entry.")
    return f"its entries are in the log, at their places: {', '.join(places)}"


def _check_recent(log: Log, not_before_us: int) -> str:
    if log.last_us < not_before_us:
        raise ProofError(
            f"The log's last entry is of {us_to_text(log.last_us)}, before {us_to_text(not_before_us)}: what came "
            "later was left out, or there was nothing."
        )
    return f"the log's last entry is of {us_to_text(log.last_us)}"


def _replays(log: Log, models: Models, evidences: Mapping[str, Evidence], told: _Told) -> Iterator[Check]:
    """Judge the rows at every entry that rests on them, in the order of the entries; the log is read once for all."""
    replay = Replay(log.entries)
    never: set[str] = set()  # snapshots that never were what they say: nothing further is asked of them
    for asked in sorted(_questions(log, models, evidences, replay), key=lambda one: one.seq):
        if asked.snapshot in never:
            continue
        check, _ = check_claim(asked.name, partial(_answer, replay, asked))
        yield check
        if not check.holds and asked.is_of_snapshot:
            never.add(asked.snapshot)
    told.warnings.extend(late_forgettings(models.states, log.entries, replay.read_to(len(log.entries))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of the rows of a snapshot once all entries before one were read, and under which name."""

    seq: int
    name: str
    snapshot: str
    judge: Callable[[], str]
    is_of_snapshot: bool = False


def _answer(replay: Replay, asked: _Question) -> str:
    replay.read_to(asked.seq)
    return asked.judge()


def _questions(log: Log, models: Models, evidences: Mapping[str, Evidence], replay: Replay) -> Iterator[_Question]:
    for snapshot, evidence in evidences.items():
        seq = evidence.entry.seq
        about = partial(_Question, snapshot=snapshot, seq=seq, is_of_snapshot=True)
        yield about(name=f"permits of {snapshot}", judge=partial(replay_permits, evidence, replay.history, seq))
        judge = partial(check_not_stale, evidence, replay, evidence.entry, what="A snapshot that is dated back")
        yield about(name=f"permits of {snapshot}, entered", judge=judge)
    for model in models.working:
        if model.snapshot not in evidences:
            continue
        evidence, trained = evidences[model.snapshot], log.named("model", model.id)
        about = partial(_Question, snapshot=model.snapshot)
        within = evidence.manifest["within"] or ""  # no snapshot has this name
        if models.succeeding.get(trained.seq) != within:
            judge = partial(
                check_not_stale, evidence, replay, trained, what="A stale model that was recorded as trained"
            )
            yield about(seq=trained.seq, name=f"permits of {model.id}, trained", judge=judge)
        for entry in models.releases.get(model.id, ()):
            if models.succeeding.get(entry.seq) == within:  # a no since its snapshot is owed by it, from its own day
                continue
            judge = partial(check_not_stale, evidence, replay, entry, what="The release of a stale model")
            yield about(seq=entry.seq, name=f"permits of {model.id}, released", judge=judge)
        for entry in models.replacing.get(model.id, ()):
            judge = partial(check_not_stale, evidence, replay, entry, what="A successor that saw what is refused")
            yield about(seq=entry.seq, name=f"permits of {model.id}, succeeding", judge=judge)
        judge = partial(check_owed, model, evidence, replay.history, log)
        yield about(seq=len(log.entries), name=f"forgetting of {model.id}", judge=judge)


def _check_terms(log: Log) -> str:
    for entry in log.entries:
        check_body(entry)
    total = check_publications(log.entries)
    check_notices(log.entries)
    return f"{total} published, each once, and none that newly allows anything binds before its notice period ends"


def _check_names(archive: Archive, models: Models, evidences: Mapping[str, Evidence]) -> str:
    expected = {"checkpoint", "entries.jsonl"}
    for model in models.working:
        evidence = evidences.get(model.snapshot)
        names = (*EVIDENCE, COLLECTED) if evidence is None else evidence_of(evidence.manifest)
        expected.update(f"snapshots/{model.snapshot}/{name}" for name in names)
        if model.released_us is not None:
            folder = f"releases/{model.id}"
            expected.update(f"{folder}/{name}" for name in release_files(card_in(archive, folder)))
    strange: Sequence[str] = sorted(archive.keys() - expected)
    if strange:
        msg = f"The bundle holds files that nothing refers to: {', '.join(strange)}."
        raise ProofError(msg)
    missing = sorted(
        expected - archive.keys() - {f"snapshots/{model.snapshot}/{COLLECTED}" for model in models.working}
    )
    if missing:
        raise ProofError(f"The bundle lacks files that the log speaks of: {', '.join(missing)}.")
    return f"all {len(archive)} files in the bundle are accounted for"
