"""Releases: findings and a fresh snapshot become a signed card, or a refusal with reasons.

A release is refused when a row of the model's snapshot is not permitted any more (the model is *stale*), when the model
was not audited, or when a finding misses its bound. The last may be overridden by a person who is named, with a reason,
in the ledger and in the card; the first two never. What is released has a card for people and machines, and an
attestation: an in-toto Statement v1 in a DSSE envelope that binds the model's files to the snapshot's manifest, the
ledger checkpoint, the terms and the findings.

Which models there are is read from the ledger (`registry`), and whether a snapshot is stale is asked of `freshness`.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.history import History
from volition.consent.permits import Permits
from volition.errors import BackendError, InvalidInputError, ProofError, RefusedError
from volition.files import write_folder
from volition.learning.audit.bounds import Bound
from volition.learning.audit.defaults import is_held
from volition.learning.audit.finding import FAIL, Finding
from volition.learning.card import FORMAT, card_markdown
from volition.learning.freshness import check_fresh
from volition.learning.grades import FAMILY
from volition.learning.model_signature import sign_model, signing_key
from volition.learning.registry import ModelState
from volition.learning.train import Trained
from volition.ledger.entry import Entry
from volition.ledger.signing import Signer, sign_envelope
from volition.records.snapshot import Snapshot

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_TYPE: Final = "urn:volition:release:2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The person who takes responsibility for a release beyond its bounds. Both texts stay in the ledger, in the clear.

    Attributes:
        by: Who: a name that their colleagues know.
        why: The reason, in a line.
    """

    by: str
    why: str

    def __post_init__(self) -> None:
        """Refuse an override without a name or a reason.

        Raises:
            InvalidInputError: A text is empty, too long, or more than one line.
        """
        for what, text, longest in (("who", self.by, 100), ("why", self.why, 500)):
            if not text.strip() or text != text.strip() or len(text) > longest or not text.isprintable():
                msg = f"An override says in one line of 1 to {longest} characters {what}; {text!r} does not."
                raise InvalidInputError(msg)

    def to_json(self) -> dict[str, str]:
        """Return it as a JSON object."""
        return {"by": self.by, "why": self.why}


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


def missed_bounds(findings: Sequence[Finding], bounds: Mapping[str, Bound]) -> list[str]:
    """Return what keeps a model from being released without an override: a reason for each bound that is missed.

    Args:
        findings: What the audits found.
        bounds: The bound of every audit that a release asks for.
    """
    reasons = [
        f"{found.audit}, {found.metric}: {_figure(found.value)} misses the bound {_figure(found.bound)} "
        f"(95 % interval {_figure(found.low)} to {_figure(found.high)}, {found.units} units)."
        for found in findings
        if found.verdict == FAIL
    ]
    for audit, bound in bounds.items():
        own = [found for found in findings if found.audit == audit]
        if bound.required and not any(found.measured for found in own):
            why = "; ".join(dict.fromkeys(found.how for found in own)) or "It was not run."
            reasons.append(f"{audit} is required and could not be measured. {why}")
    return reasons


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def check_bounds(
    trained: Trained, findings: Sequence[Finding], bounds: Mapping[str, Bound], override: Override | None
) -> list[str]:
    """Refuse to release a model that misses a bound, unless it is overridden.

    Args:
        trained: The model.
        findings: What the audits found.
        bounds: The bound of every audit that a release asks for, as the settings have them now.
        override: Who takes responsibility, and why; none if nobody does.

    Returns:
        The reasons that are overridden.

    Raises:
        RefusedError: A bound is missed and not overridden; or the findings were held against other bounds.
        InvalidInputError: There is an override, and every bound is held.
    """
    old = [found for found in findings if found.audit in bounds and not is_held(found, bounds[found.audit])]
    if old:
        msg = (
            f"The bound of {old[0].audit} was changed since model {trained.id} was audited. "
            f"Audit again: `volition audit {trained.id}`."
        )
        raise RefusedError(msg)
    reasons = missed_bounds(findings, bounds)
    if reasons and override is None:
        listed = "".join(f"\n- {reason}" for reason in reasons)
        msg = (
            f"Model {trained.id} misses what [audit] in volition.toml asks of a release:{listed}\n"
            "Train from more data, or override the bounds by name, which the ledger and the card then show: "
            f"`volition release {trained.id} --override-by NAME --because REASON`."
        )
        raise RefusedError(msg)
    if override is not None and not reasons:
        msg = f"Model {trained.id} holds every bound, so there is nothing to override. Release it without."
        raise InvalidInputError(msg)
    return reasons


def write_release(  # noqa: PLR0913 - what a release binds together
    releases: Path,
    *,
    trained: Trained,
    snapshot: Snapshot,
    findings: Sequence[Finding],
    forgets: str | None = None,
    trained_by: str = FAMILY,
    required: Sequence[str] = (),
    override: Override | None = None,
    terms: Sequence[str],
    checkpoint: str,
    signer: Signer,
    at_us: int,
    merged: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write card and attestation into a folder beside their place, whole or not at all; see `settle_releases`.

    Args:
        releases: Folder of releases.
        trained: The model.
        snapshot: What it learned from.
        findings: What the audits found.
        forgets: How surely it forgets, as its entry says; none where that does not say.
        trained_by: Who trained it, as its entry says.
        required: Audits without a measurement of which a model is not released.
        override: Who takes responsibility for bounds that are missed; none where all are held.
        terms: Ids of the terms that bound the accounts in the snapshot.
        checkpoint: The ledger's signed checkpoint now.
        signer: Signs the attestation, and by a key derived from its own the model's files.
        at_us: The present instant.
        merged: Into whom people were merged, pseudonym -> pseudonym: they count once in the card.

    Returns:
        The digests of card and attestation, and who overrides, for the ledger.

    Raises:
        BackendError: The disk is full or cannot be written; nothing appears.
    """
    card = _card(
        trained,
        snapshot,
        findings,
        forgets=forgets,
        trained_by=trained_by,
        required=required,
        override=override,
        terms=terms,
        checkpoint=checkpoint,
        at_us=at_us,
        people=snapshot.count_people(merged or {}),
        key=signing_key(signer),
    )
    card_bytes = canonical_json(card)
    statement = statement_of(card, card_digest=digest(card_bytes))
    files = {
        "card.json": card_bytes,
        "card.md": card_markdown(card).encode(),
        "attestation.json": canonical_json(sign_envelope(PAYLOAD_TYPE, canonical_json(statement), signer)),
        "model.sig": sign_model(trained.id, card["files"], signer),
        "model.pub": card["signing_key"].encode(),
    }
    named: dict[str, Any] = {"card": digest(card_bytes), "attestation": digest(files["attestation.json"])}
    try:
        write_folder(_staged(releases, trained.id, named["card"]), files)
    except OSError as error:
        msg = f"The release could not be written to {releases}: {error}. Nothing was released; free space, try again."
        raise BackendError(msg) from error
    return named if override is None else named | {"override": override.to_json()}


def _card(  # noqa: PLR0913 - what a release binds together
    trained: Trained,
    snapshot: Snapshot,
    findings: Sequence[Finding],
    *,
    forgets: str | None,
    trained_by: str,
    required: Sequence[str],
    override: Override | None,
    terms: Sequence[str],
    checkpoint: str,
    at_us: int,
    people: int,
    key: str,
) -> dict[str, Any]:
    """Return the model card (Mitchell et al. 2019, arXiv:1810.03993) as a JSON object."""
    missed = missed_bounds(findings, {audit: Bound(value=None, required=True) for audit in required})
    return {
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
            "people": people,
            "accounts": snapshot.manifest["accounts"],
        },
        "base": trained.model.settings.get("base"),
        "privacy": trained.model.settings.get("privacy"),
        "trained_by": trained_by,
        "forgets": forgets,
        "terms": list(terms),
        "checkpoint": checkpoint,
        "findings": [finding.to_json() for finding in findings],
        "required": list(required),
        "override": None if override is None else override.to_json() | {"missed": list(missed)},
        "released": us_to_text(at_us),
        "signing_key": key,
    }


def statement_of(card: Mapping[str, Any], *, card_digest: str) -> dict[str, Any]:
    """Return the in-toto statement that binds a model's files to all that its card rests on: it follows from the card.

    The schema of its predicate is in `docs/formats`.
    """
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": value}} for name, value in sorted(card["files"].items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "model": card["model"],
            "digest": card["digest"],
            "snapshot": card["learned_from"]["snapshot"],
            "manifest": card["learned_from"]["manifest"],
            "checkpoint": card["checkpoint"],
            "terms": card["terms"],
            "findings": card["findings"],
            "card": card_digest,
        },
    }


def terms_in_force(history: History, accounts: Iterable[str], *, at_us: int) -> list[str]:
    """Return the ids of the terms that bind any of some accounts at an instant, in order."""
    return sorted(
        {
            terms.id
            for account in accounts
            for _, terms in [one for one in history.bindings.terms_of(account) if one[0] <= at_us][-1:]
        }
    )


def merged_in(entries: Iterable[Entry]) -> dict[str, str]:
    """Return into whom people were merged, as the ledger says: pseudonym -> the pseudonym of the one who is kept."""
    merged: dict[str, str] = {}
    for entry in entries:
        if entry.kind == "identity" and entry.body["act"] == "merge":
            kept, gone = (str(one).removeprefix("person:") for one in entry.body["people"])
            merged = {one: kept if into == gone else into for one, into in merged.items()} | {gone: kept}
    return merged


def settle_releases(releases: Path, models: Mapping[str, ModelState]) -> None:
    """Put the files of each release that the ledger names in their place, `releases/MODEL`.

    Until the ledger names it, a release lies beside its place, so that a killed release leaves the earlier one whole.

    Raises:
        BackendError: The disk failed. The releases stand; their files are put in place by the next call.
    """
    for model in models.values():
        staged = _staged(releases, model.id, model.card)
        if model.card and staged.exists():
            try:
                shutil.rmtree(releases / model.id, ignore_errors=True)
                staged.replace(releases / model.id)
            except OSError as error:
                msg = (
                    f"{model.id} is released, but its files in {staged} could not be put in place: {error}. Mend that; "
                    "whatever reads them next puts them there."
                )
                raise BackendError(msg) from error


def sweep_staged(releases: Path, model: str, *, card: str) -> None:
    """Remove what killed releases of a model left beside its place, but for the one that the ledger names.

    Nobody else may be releasing the model meanwhile.

    Args:
        releases: Folder of releases.
        model: The model.
        card: Digest of the card of its release in the ledger; empty if there is none.

    Raises:
        BackendError: The disk failed.
    """
    named = _staged(releases, model, card)
    try:
        for left in releases.glob(f"{model}.*"):
            if left != named:
                shutil.rmtree(left)
    except OSError as error:
        msg = f"What an earlier release left in {releases} could not be removed: {error}. Mend that, then try again."
        raise BackendError(msg) from error


def read_card(releases: Path, model: ModelState | None, name: str) -> dict[str, Any]:
    """Read the card of a release whose files were settled.

    Args:
        releases: Folder of releases.
        model: What the ledger says of the model; none if it names no such model.
        name: What was asked for, for the message.

    Raises:
        InvalidInputError: There is no such model, or it was never released.
        ProofError: It is not the card that the ledger names.
    """
    if model is None or not model.card:
        raise InvalidInputError(f"There is no released model {name!r}, so there is no card of it.")
    try:
        data = (releases / model.id / "card.json").read_bytes()
    except OSError as error:
        msg = f"The card of {model.id} cannot be read: {error.strerror}. Restore it from a copy of the workspace."
        raise BackendError(msg) from error
    if digest(data) != model.card:
        raise ProofError(f"The card of {model.id} is not the one that the ledger names. Do not trust it.")
    card: dict[str, Any] = json.loads(data)
    return card


def _staged(releases: Path, model: str, card: str) -> Path:
    return releases / f"{model}.{card[:12]}"
