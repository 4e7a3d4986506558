"""A release: its card and its attestation are those that the log names, signed; every statement is checked.

Beside them lie the model's settings, whose digest is among those of the model's files that the log commits to, and its
signature (OpenSSF model signing), by the key that the card names.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from volition.canonical import digest
from volition.errors import ProofError
from volition.learning.card import card_markdown
from volition.learning.registry import ModelState
from volition.learning.release import PAYLOAD_TYPE
from volition.ledger.signing import open_envelope
from volition.transparency.verify import forms
from volition.transparency.verify.archive import Archive
from volition.transparency.verify.bodies import Unreadable
from volition.transparency.verify.claims import Claims, Released, check_attestation, check_card
from volition.transparency.verify.log import Log
from volition.transparency.verify.snapshots import Evidence

SETTINGS: Final = "settings.json"
"""The one of a model's files that a bundle holds: how it was trained, and nothing of what it learned from."""

_WRITTEN: Final = ("card.json", "card.md", "attestation.json", SETTINGS)
_SIGNATURE: Final = "model.sig"


def card_in(members: Mapping[str, bytes], folder: str) -> bytes | None:
    """Return the bytes of a release's card; none if the bundle lacks it."""
    name = f"{folder}/card.json"
    return members[name] if name in members else None  # noqa: SIM401 - an archive's `get` raises


def release_files(card: bytes | None) -> tuple[str, ...]:
    """Return which files a bundle holds of a release: with a signature, if its card names the key for one.

    Args:
        card: The bytes of `card.json`; none if it is missing.
    """
    try:
        is_signed = card is not None and "signing_key" in json.loads(card)
    except (ValueError, TypeError, RecursionError):  # that it is no card is another check's to say
        is_signed = False
    return (*_WRITTEN, _SIGNATURE) if is_signed else _WRITTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRelease:
    """A release that was checked: what was found of its card, and of its attestation."""

    card: Claims
    attestation: str

    def __str__(self) -> str:
        """Say what was found."""
        return f"{self.card}; {self.attestation}"


def check_release(
    archive: Archive, model: ModelState, evidence: Evidence, log: Log, unreadable: Unreadable | None = None
) -> CheckedRelease:
    """Check the files of a model's last release.

    Args:
        archive: The bundle.
        model: The model.
        evidence: What it learned from.
        log: The log.
        unreadable: Its first entry that cannot be read: a card that rests on it says nothing that can be checked.
    """
    files = _read(archive, f"releases/{model.id}")
    card, markdown, attestation = files["card.json"], files["card.md"], files["attestation.json"]
    entry = log.named("release", model.id)
    facts = forms.read_canonical(card, "The card")
    named: dict[str, Any] = {"model": model.id, "card": digest(card), "attestation": digest(attestation)}
    override = facts.get("override")
    if override is not None:
        named["override"] = {"by": override["by"], "why": override["why"]}
    if not forms.same(entry.body, named):
        raise ProofError("The card, the attestation or the override is not the one that the ledger names.")
    released = Released(
        snapshot=model.snapshot,
        manifest=evidence.manifest,
        manifest_digest=evidence.entry.body["manifest"],
        keys=evidence.keys.groups,
        entries=log.entries,
        model=log.named("model", model.id),
        release=entry,
        prefix=log.prefix,
        settings=files[SETTINGS],
        signature=files.get(_SIGNATURE),
    )
    claims = check_card(facts, released)
    if unreadable is not None and log.prefix(facts["checkpoint"]) > unreadable.seq:
        raise ProofError(f"The terms of the card rest on what cannot be read. {unreadable.why}")
    if markdown != card_markdown(facts).encode():
        raise ProofError("The human-readable card does not match the machine-readable one.")
    found = check_attestation(_statement(attestation, log), facts, card_digest=digest(card))
    return CheckedRelease(card=claims, attestation=found)


def _read(members: Mapping[str, bytes], folder: str) -> dict[str, bytes]:
    """Return the files of a release by their names.

    Raises:
        ProofError: One is missing, as the later ones are in bundles of earlier versions.
    """
    names = release_files(card_in(members, folder))
    missing = [name for name in names if f"{folder}/{name}" not in members]
    if missing:
        raise ProofError(
            f"The bundle lacks {', '.join(f'{folder}/{name}' for name in missing)}. An earlier version wrote it, or "
            "somebody took that out: make a new one with `volition prove`."
        )
    return {name: members[f"{folder}/{name}"] for name in names}


def _statement(attestation: bytes, log: Log) -> Mapping[str, Any]:
    """Open the envelope, and read the statement in it: each in its one form, signed by this log's key alone."""
    what = "The attestation"
    envelope = forms.fields(forms.read_canonical(attestation, what), what, ("payload", "payloadType", "signatures"))
    for one in envelope["signatures"]:
        forms.fields(one, "A signature of the attestation", ("keyid", "sig"))
    opened = open_envelope(envelope, log.verifier)
    signers = [one["keyid"] for one in envelope["signatures"]]
    if opened.payload_type != PAYLOAD_TYPE or signers != [log.verifier.id.hex()]:
        raise ProofError("The attestation is not an in-toto statement that this log's key alone signed.")
    statement: Mapping[str, Any] = forms.read_canonical(opened.payload, "The attestation's statement")
    return statement
