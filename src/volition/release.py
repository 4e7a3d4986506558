"""Releases: findings and a fresh snapshot become a signed card, or a refusal with reasons.

A release is refused when a row of the model's snapshot is not permitted any more (the model is *stale*), or when the
model was not audited. What is released has a card for people (Markdown) and machines (JSON), and an attestation: an
in-toto Statement v1 in a DSSE envelope that binds the model's files to the snapshot's manifest, the ledger checkpoint,
the terms and the findings.

Which models there are, which is at work and which were forgotten is not kept anywhere but in the ledger.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from volition.audit import Finding
from volition.canonical import canonical_json, digest, us_to_text
from volition.errors import BackendError, RefusedError
from volition.files import write_folder
from volition.ledger import Entry
from volition.permits import Permits
from volition.signing import Signer, sign_envelope
from volition.snapshot import Snapshot
from volition.train import Trained

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_TYPE: Final = "urn:volition:release:1"
FORMAT: Final = "volition/card/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What the ledger says of a model.

    Attributes:
        id: The model's name.
        family: Its family.
        snapshot: The snapshot it learned from.
        trained_us: When its training was recorded.
        released_us: When it was last released; none if never.
        released_seq: Place of that release in the ledger: of two at one instant, the later one.
        card: Digest of that release's card.
        attestation: Digest of that release's attestation.
        forgotten_us: When it was forgotten, and so retired; none if it was not.
        successor: The model that took its place; none if none did.
    """

    id: str
    family: str
    snapshot: str
    trained_us: int
    released_us: int | None = None
    released_seq: int = -1
    card: str = ""
    attestation: str = ""
    forgotten_us: int | None = None
    successor: str | None = None


def models_in(entries: Iterable[Entry]) -> dict[str, ModelState]:
    """Return every model that the ledger names, by id, oldest first."""
    models: dict[str, ModelState] = {}
    for entry in entries:
        body = entry.body
        match entry.kind:
            case "model":
                models[body["model"]] = ModelState(
                    id=body["model"], family=body["family"], snapshot=body["snapshot"], trained_us=entry.at_us
                )
            case "release":
                models[body["model"]] = replace(
                    models[body["model"]],
                    released_us=entry.at_us,
                    released_seq=entry.seq,
                    card=body["card"],
                    attestation=body["attestation"],
                )
            case "forgetting":
                models[body["model"]] = replace(
                    models[body["model"]], forgotten_us=entry.at_us, successor=body["successor"]
                )
    return models


def at_work(models: Mapping[str, ModelState], family: str) -> ModelState | None:
    """Return the model of a family that is at work: the one released last, unless it was forgotten since."""
    released = [model for model in models.values() if model.family == family and model.released_us is not None]
    latest = max(released, key=lambda model: model.released_seq, default=None)
    return latest if latest is not None and latest.forgotten_us is None else None


def check_fresh(snapshot: Snapshot, permits: Permits, *, what: str, instead: str) -> None:
    """Refuse to go on with a snapshot of which a row is not permitted any more.

    Args:
        snapshot: What was frozen.
        permits: The permits of its purpose, now.
        what: What is stale, for the message.
        instead: What to do, for the message.

    Raises:
        RefusedError: With how many rows, and the reasons.
    """
    stale = snapshot.stale(permits)
    if stale:
        reasons = Counter(row.verdict.reason.value for row in stale if row.verdict.reason is not None)
        told = ", ".join(f"{total} {reason}" for reason, total in sorted(reasons.items()))
        msg = (
            f"{what} is stale: {len(stale)} of the {len(snapshot.keys)} rows are not permitted any more ({told}). "
            f"{instead}"
        )
        raise RefusedError(msg)


def check_releasable(trained: Trained, snapshot: Snapshot, permits: Permits, findings: Sequence[Finding]) -> None:
    """Refuse to release a model that is stale or was not audited.

    Args:
        trained: The model.
        snapshot: What it learned from.
        permits: The permits of its purpose, now.
        findings: What the audits found.

    Raises:
        RefusedError: With the reasons, and what to do.
    """
    instead = "Run `volition forget`, or train from a new snapshot."
    check_fresh(snapshot, permits, what=f"Model {trained.id}", instead=instead)
    if not findings:
        msg = f"Model {trained.id} was not audited. Run `volition audit {trained.id}` first."
        raise RefusedError(msg)


def write_release(  # noqa: PLR0913 - what a release binds together
    releases: Path,
    *,
    trained: Trained,
    snapshot: Snapshot,
    findings: Sequence[Finding],
    terms: Sequence[str],
    checkpoint: str,
    signer: Signer,
    at_us: int,
) -> dict[str, str]:
    """Write card and attestation into a folder beside their place, whole or not at all; see `settle_releases`.

    Args:
        releases: Folder of releases.
        trained: The model.
        snapshot: What it learned from.
        findings: What the audits found.
        terms: Ids of the terms that bound the accounts in the snapshot.
        checkpoint: The ledger's signed checkpoint now.
        signer: Signs the attestation.
        at_us: The present instant.

    Returns:
        The digests of card and attestation, for the ledger.

    Raises:
        BackendError: The disk is full or cannot be written; nothing appears.
    """
    card: dict[str, Any] = {
        "format": FORMAT,
        "model": trained.id,
        "family": trained.model.family,
        "purpose": snapshot.purpose,
        "digest": trained.model.digest,
        "files": {name: digest(data) for name, data in sorted(trained.model.files().items())},
        "learned_from": {
            "snapshot": snapshot.id,
            "manifest": snapshot.digest,
            "at": snapshot.manifest["at"],
            "rows": snapshot.manifest["rows"],
            "people": snapshot.manifest["people"]["size"],
            "accounts": snapshot.manifest["accounts"],
        },
        "terms": list(terms),
        "checkpoint": checkpoint,
        "findings": [finding.to_json() for finding in findings],
        "released": us_to_text(at_us),
    }
    card_bytes = canonical_json(card)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": value}} for name, value in card["files"].items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "model": trained.id,
            "digest": trained.model.digest,
            "snapshot": snapshot.id,
            "manifest": snapshot.digest,
            "checkpoint": checkpoint,
            "terms": list(terms),
            "findings": card["findings"],
            "card": digest(card_bytes),
        },
    }
    files = {
        "card.json": card_bytes,
        "card.md": card_markdown(card).encode(),
        "attestation.json": canonical_json(sign_envelope(PAYLOAD_TYPE, canonical_json(statement), signer)),
    }
    named = {"card": digest(card_bytes), "attestation": digest(files["attestation.json"])}
    folder = _staged(releases, trained.id, named["card"])
    try:
        write_folder(folder, files)
    except OSError as error:
        msg = f"The release could not be written to {folder}: {error}. Nothing was released; free space, try again."
        raise BackendError(msg) from error
    return named


def settle_releases(releases: Path, models: Mapping[str, ModelState]) -> None:
    """Put the files of each release that the ledger names in their place, `releases/MODEL`.

    Until the ledger names it, a release lies beside its place, so that a killed release leaves the earlier one whole.
    """
    for model in models.values():
        staged = _staged(releases, model.id, model.card)
        if model.card and staged.exists():
            shutil.rmtree(releases / model.id, ignore_errors=True)
            staged.replace(releases / model.id)


def _staged(releases: Path, model: str, card: str) -> Path:
    return releases / f"{model}.{card[:12]}"


def card_markdown(card: Mapping[str, Any]) -> str:
    """Write a card for people."""
    learned = card["learned_from"]
    lines = [
        f"# {card['model']}",
        "",
        f"A `{card['family']}` model, released {card['released']}, for `{card['purpose']}` and nothing else.",
        "",
        "## What it learned from",
        "",
        f"Snapshot `{learned['snapshot']}`, frozen at {learned['at']}.",
        f"{learned['people']} people in {len(learned['accounts'])} accounts, each with the yes that the terms ask for.",
        "",
        "| category | read | kept | dropped, by reason |",
        "|---|---:|---:|---|",
    ]
    for category, rows in learned["rows"].items():
        dropped = ", ".join(f"{reason}: {total}" for reason, total in rows["dropped"].items()) or "none"
        lines.append(f"| {category} | {rows['read']} | {rows['kept']} | {dropped} |")
    lines += ["", "## What it gives", ""]
    for finding in card["findings"]:
        if finding["value"] is None:
            lines.append(f"- {finding['audit']}: {finding['how']}")
            continue
        told = f"{finding['value']:+.3f}"
        if finding["low"] is not None:
            told += f", 95 % interval {finding['low']:+.3f} to {finding['high']:+.3f}"
        if finding["audit"] == "benefit":
            both = finding["detail"]
            told = f"{both['trained']:.3f} with training, {both['untrained']:.3f} without; difference {told}"
        lines.append(f"- {finding['audit']}, {finding['metric']}: {told}, {finding['units']} units. {finding['how']}")
    lines += [
        "",
        "## What to know before using it",
        "",
        "- Not measured: membership inference, fairness between groups, poisoning.",
        "- When somebody it learned from says no, it must forget them by the due date that `volition owed` shows.",
        "",
        "## Evidence",
        "",
        f"- model digest `{card['digest']}`",
        f"- manifest digest `{learned['manifest']}`",
        f"- terms: {', '.join(card['terms']) or 'none'}",
        "- `attestation.json` beside this card is signed (DSSE, in-toto Statement v1); `volition prove` bundles all.",
        "",
    ]
    return "\n".join(lines)
