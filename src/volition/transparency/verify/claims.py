"""Checking a card and its attestation: every statement of them follows from the log, the manifest and the rows.

Each statement has its own check, and each check its own sentence. What no evidence of a bundle can show (a figure that
an audit measured, a bound that the settings asked for) is `claimed`: it is listed as such and never called true. A card
with a statement that has no check is refused, so nothing can be said beside what is checked.

    claims = check_card(card, Released(...))
    check_attestation(statement, card, card_digest=digest)
    print(claims, *claims.claimed)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any, Final

from volition.canonical import canonical_json, digest, text_to_us, us_to_text
from volition.consent.history import read_history
from volition.consent.history.bindings import WRITING_US
from volition.errors import InvalidInputError, ProofError
from volition.learning.audit.bounds import Bound
from volition.learning.audit.defaults import DEFAULTS
from volition.learning.card import FORMAT
from volition.learning.dp import Claim, least_epsilon
from volition.learning.grades import CALLER, FAMILY, GRADE_WORDS
from volition.learning.model_signature import read_signing_key, verify_model_signature
from volition.learning.release import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    merged_in,
    missed_bounds,
    statement_of,
    terms_in_force,
)
from volition.learning.train import name_of, record_of
from volition.ledger.entry import Entry
from volition.records.snapshot import Key
from volition.transparency.verify import forms
from volition.transparency.verify.findings import check_findings
from volition.transparency.verify.keys import Group

Card = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What a card is checked against. The caller has verified that these are the log's own.

    Attributes:
        snapshot: The name of the snapshot that the `model` entry names.
        manifest: Its manifest.
        manifest_digest: SHA-256 of the manifest's bytes, as the `snapshot` entry has it.
        keys: The rows of the snapshot without their content, or the groups of them.
        entries: The whole log, in order.
        model: The entry of kind `model`.
        release: The entry of kind `release`.
        prefix: Returns how many entries a checkpoint commits to; raises ProofError where it is not this very log's.
        settings: The model's own `settings.json`; the base and the privacy of its training are compared with it.
        signature: The model's signature, `model.sig`; none where the card is of a form that names no key for one.
    """

    snapshot: str
    manifest: Mapping[str, Any]
    manifest_digest: str
    keys: Sequence[Key] | Sequence[Group]
    entries: Sequence[Entry]
    model: Entry
    release: Entry
    prefix: Callable[[str], int]
    settings: bytes
    signature: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    card: Card
    released: Released
    size: int  # how many entries the card's checkpoint commits to


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What was found of a card.

    Attributes:
        checked: How many of its statements follow from the evidence.
        claimed: What it says that no evidence here shows, each in a few words.
    """

    checked: int
    claimed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.checked} statements of the card follow from the log, the manifest, the rows and the settings"


def check_card(card: Card, released: Released) -> Claims:
    """Check every statement of a card, as it is in `card.json`.

    Args:
        card: The card.
        released: What it is checked against.

    Raises:
        ProofError: A statement is false, has no check, or is missing; the message says which.
    """
    form = card.get("format")
    checks = _CHECKS.get(str(form))
    if checks is None:
        raise ProofError(f"The card has the form {form!r}, which this version does not know.")
    if form in _EARLY and released.release.salt is not None:
        raise ProofError(
            f"The card has the early form {form!r}, and its release is of a later version, which writes {FORMAT!r}: "
            "the early one says less. Release the model again."
        )
    if form != FORMAT and not {"forgets", "trained_by"}.isdisjoint(released.model.body):
        raise ProofError(
            f"The card has the early form {form!r}, and leaves out how the model forgets, as the log has it."
        )
    _check_keys("The card", card, checks)
    case = _Case(card=card, released=released, size=released.prefix(str(card["checkpoint"])))
    for check in checks.values():
        check(case)
    claimed = [_CLAIMED[name] for name in checks if name in _CLAIMED]
    if card.get("base") is not None:
        claimed.append(_TRAINED_SO)
    if card.get("trained_by") == CALLER:
        claimed.append(_BY_CALLER)
    return Claims(checked=len(checks), claimed=tuple(claimed))


def check_attestation(statement: Mapping[str, Any], card: Card, *, card_digest: str) -> str:
    """Check the in-toto statement of a release against the card, which `check_card` has checked.

    Args:
        statement: The payload of the attestation, whose signature was verified.
        card: The card.
        card_digest: SHA-256 of the card's bytes.

    Raises:
        ProofError: It says something else than the card, or more.
    """
    expected = statement_of(card, card_digest=card_digest)
    if not isinstance(statement, Mapping):
        raise ProofError("The attestation is no in-toto statement.")
    if statement.get("_type") != STATEMENT_TYPE:
        raise ProofError(f"The attestation is of the type {statement.get('_type')!r}, not {STATEMENT_TYPE!r}.")
    if statement.get("predicateType") != PREDICATE_TYPE:
        named = statement.get("predicateType")
        raise ProofError(f"The attestation has a predicate of the type {named!r}, not {PREDICATE_TYPE!r}.")
    _check_keys("The attestation", statement, expected)
    if not _equal(statement["subject"], expected["subject"]):
        raise ProofError("The attestation is about other files than the card's.")
    predicate = statement["predicate"]
    if not isinstance(predicate, Mapping):
        raise ProofError("The attestation has no predicate.")
    _check_keys("The attestation's predicate", predicate, expected["predicate"])
    for name, value in expected["predicate"].items():
        if not _equal(predicate[name], value):
            raise ProofError(f"The attestation has another {name!r} than the card.")
    return f"the attestation binds {len(expected['subject'])} files of the model to what the card says"


def _check_keys(what: str, value: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if set(value) != set(known):
        strange, missing = sorted(set(value) - set(known)), sorted(set(known) - set(value))
        said = [f"says {', '.join(map(repr, strange))}, which nothing checks"] if strange else []
        said += [f"does not say {', '.join(map(repr, missing))}"] if missing else []
        raise ProofError(f"{what} {' and '.join(said)}.")


def _equal(one: object, other: object) -> bool:
    """Return whether two JSON values are the same: true is not 1 there."""
    return canonical_json(one) == canonical_json(other)


def _check_equal(what: str, said: object, right: object, where: str) -> None:
    if not _equal(said, right):
        raise ProofError(f"The card says {what} {_short(said)}; {where} says {_short(right)}.")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


# --- one check for each statement ------------------------------------------------------------------------------------


def _format(case: _Case) -> None:
    if case.card["format"] not in _CHECKS:
        raise ProofError(f"The card has the form {case.card['format']!r}, which this version does not know.")


def _model(case: _Case) -> None:
    _check_equal("the model is", case.card["model"], case.released.model.body["model"], "the log")
    record = record_of(
        case.released.model.body["family"],
        case.released.model.body["digest"],
        case.released.snapshot,
        manifest=case.released.manifest,
        manifest_digest=case.released.manifest_digest,
    )
    _check_equal("the model is", case.card["model"], name_of(record), "what it learned from")


def _family(case: _Case) -> None:
    _check_equal("the family is", case.card["family"], case.released.model.body["family"], "the log")


def _purpose(case: _Case) -> None:
    _check_equal("the purpose is", case.card["purpose"], case.released.manifest["purpose"], "the manifest")


def _digest(case: _Case) -> None:
    _check_equal("the model's digest is", case.card["digest"], case.released.model.body["digest"], "the log")


def _files(case: _Case) -> None:
    files = case.card["files"]
    if not isinstance(files, Mapping):
        raise ProofError("The card does not name the model's files.")
    for name, of_file in files.items():
        forms.from_hex(of_file, f"The digest of the model's file {name}")
    of_files = digest(canonical_json(files))
    _check_equal("the model's files are those of digest", of_files, case.released.model.body["digest"], "the log")
    _settings(case)


def _learned_from(case: _Case) -> None:
    learned, manifest = case.card["learned_from"], case.released.manifest
    named = ("snapshot", "manifest", "at", "rows", "people", "accounts")
    _check_keys("The card, of what the model learned from,", learned, dict.fromkeys(named))
    _check_equal("the snapshot is", learned["snapshot"], case.released.snapshot, "the log")
    _check_equal("the manifest's digest is", learned["manifest"], case.released.manifest_digest, "the log")
    _check_equal("the snapshot was frozen at", learned["at"], manifest["at"], "the manifest")
    _check_equal("the numbers of records are", learned["rows"], manifest["rows"], "the manifest")
    _check_equal("the accounts are", learned["accounts"], manifest["accounts"], "the manifest")
    _check_people(case)


def _check_people(case: _Case) -> None:
    everyone = {one for key in case.released.keys for one in key.people}
    merged = merged_in(case.released.entries[: case.size])
    counted, said = len({merged.get(one, one) for one in everyone}), case.card["learned_from"]["people"]
    # Early forms asked the directory, which knows no more who was merged once they are erased.
    most = len(everyone) if case.card["format"] in _EARLY else counted
    if not isinstance(said, int) or isinstance(said, bool) or not counted <= said <= most:
        raise ProofError(f"The card says that {_short(said)} people are in it; its rows concern {counted}.")


def _terms(case: _Case) -> None:
    history = read_history(case.released.entries[: case.size])
    accounts, at_us = case.released.manifest["accounts"], text_to_us(case.card["released"])
    right = terms_in_force(history, accounts, at_us=at_us)
    if case.card["format"] in _EARLY:  # they left out an account of which later terms were known already
        last = [bound[-1] for account in accounts if (bound := history.bindings.terms_of(account))]
        if case.card["terms"] == sorted({terms.id for start_us, terms in last if start_us <= at_us}):
            return
    _check_equal("the accounts are bound by the terms", case.card["terms"], right, "the log")


def _checkpoint(case: _Case) -> None:
    size, release = case.size, case.released.release
    if size > release.seq:
        raise ProofError("The card quotes a checkpoint from after the release.")
    later = case.released.entries[size : release.seq]
    if later and later[0].at_us < release.at_us - WRITING_US:
        msg = f"The card quotes an old checkpoint, which leaves out entry {later[0].seq} and what follows it."
        raise ProofError(msg)


def _released(case: _Case) -> None:
    said, entry = case.card["released"], case.released.release
    try:
        at_us = text_to_us(said)
    except (InvalidInputError, TypeError) as error:
        raise ProofError(f"The card says that it was released at {said!r}, which is no instant.") from error
    known_us = max([one.at_us for one in case.released.entries[: case.size]], default=0)
    if us_to_text(at_us) != said or not max(known_us, entry.at_us - WRITING_US) <= at_us <= entry.at_us:
        raise ProofError(f"The card says that it was released at {said}; the log says {us_to_text(entry.at_us)}.")


def _findings(case: _Case) -> None:
    if not isinstance(case.card["findings"], list):
        raise ProofError("The card has no list of findings.")
    check_findings(case.card["findings"], case.released.manifest["accounts"])


def _required(case: _Case) -> None:
    required = case.card["required"]
    if not isinstance(required, list) or not set(required) <= set(DEFAULTS) or len(set(required)) < len(required):
        raise ProofError(f"The card requires audits that there are not: {_short(required)}.")


def _override(case: _Case) -> None:
    findings = check_findings(case.card["findings"], case.released.manifest["accounts"])
    missed = missed_bounds(findings, {audit: Bound(value=None, required=True) for audit in case.card["required"]})
    stated, logged = case.card["override"], case.released.release.body.get("override")
    if stated is None:
        if missed:
            raise ProofError(f"A finding misses its bound, and nobody answers for the release: {missed[0]}")
        _check_equal("the one who answers for the release is", None, logged, "the log")
        return
    _check_keys("The card's override", stated, dict.fromkeys(("by", "why", "missed")))
    _check_equal("the one who answers for the release is", {n: stated[n] for n in ("by", "why")}, logged, "the log")
    for name, longest in (("by", 100), ("why", 500)):
        text = forms.text(stated[name], f"In the card's override, {name}")
        if not 1 <= len(text) <= longest or text != text.strip(" ") or any(one < " " for one in text):
            raise ProofError(f"Who answers for the release is not said: in the card's override, {name} is {text!r}.")
    if not _equal(stated["missed"], missed):
        raise ProofError("The card's override does not name exactly the bounds that its findings miss.")


def _base(case: _Case) -> None:
    base = case.card["base"]
    _check_equal("the base model is", base, _settings(case).get("base"), "the model itself")
    if base is None:
        if case.card["family"] == "adapter":
            raise ProofError("The card names no base model, and an adapter has one.")
    elif not isinstance(base, Mapping) or not all(isinstance(base.get(name), str) for name in ("name", "digest")):
        raise ProofError("The card names a base model without its name or its digest.")
    else:
        _check_keys("The card's base model", base, dict.fromkeys(("name", "digest")))


def _privacy(case: _Case) -> None:
    said, right = case.card["privacy"], _settings(case).get("privacy")
    _check_equal("the privacy of the training is", said, right, "the model itself")
    if case.card["privacy"] is not None and case.card["base"] is None:
        raise ProofError("The card claims differential privacy of a model that is not trained with it.")
    if case.card["privacy"] is not None:
        _check_epsilon(case.card["privacy"])


def _check_epsilon(claimed: Mapping[str, Any]) -> None:
    """Check that no less privacy was spent than the noise, the sampling and the steps of the same claim allow."""
    _check_keys("The card's claim of privacy", claimed, dict.fromkeys(one.name for one in dataclass_fields(Claim)))
    figures = [claimed[name] for name in ("multiplier", "rate", "delta", "epsilon", "clipping")]
    texts = [one.name for one in dataclass_fields(Claim) if one.type in {str, "str"}]
    left_out = claimed["not_covered"]
    if not all(isinstance(claimed[name], str) for name in texts) or type(claimed["secure_generator"]) is not bool:
        raise ProofError("The card's claim of privacy has a text that is none, or does not say how noise was drawn.")
    if not isinstance(left_out, list) or not all(isinstance(one, str) for one in left_out):
        raise ProofError("The card's claim of privacy does not say what it does not cover.")
    steps = claimed["steps"]
    if not all(type(one) in {int, float} and one > 0 for one in figures) or type(steps) is not int or steps < 1:
        raise ProofError("The card's claim of privacy has a figure that is none.")
    if claimed["rate"] > 1 or claimed["delta"] >= 1:
        raise ProofError("The card's claim of privacy has a rate above 1, or a delta that promises nothing.")
    least = least_epsilon(multiplier=claimed["multiplier"], rate=claimed["rate"], steps=steps, delta=claimed["delta"])
    if claimed["epsilon"] < least:
        msg = (
            f"The card claims epsilon {claimed['epsilon']:.3f}; its own noise and steps give {least:.3f} at the least."
        )
        raise ProofError(msg)


def _trained_by(case: _Case) -> None:
    right = case.released.model.body.get("trained_by", FAMILY)
    if right not in {FAMILY, CALLER}:
        raise ProofError(f"The log says that the model was trained by {right!r}, which means nothing.")
    _check_equal("the model was trained by", case.card["trained_by"], right, "the log")


def _forgets(case: _Case) -> None:
    right = case.released.model.body.get("forgets")
    if right is not None and right not in GRADE_WORDS:
        raise ProofError(f"The log says that the model forgets {right!r}, which means nothing.")
    _check_equal("how the model forgets is", case.card["forgets"], right, "the log")


def _signing_key(case: _Case) -> None:
    key, signature = case.card["signing_key"], case.released.signature
    read_signing_key(key)
    if signature is None:
        raise ProofError("The card names the key of a signature that is not there.")
    verify_model_signature(signature, key, name=case.card["model"], files=case.card["files"])


def _settings(case: _Case) -> Mapping[str, Any]:
    """Return what the model itself says of its training; the file is the one that the card names."""
    data = case.released.settings
    if case.card["files"].get("settings.json") != digest(data):
        raise ProofError("settings.json is not the file of the model that the card names.")
    said = forms.read_canonical(data, "settings.json")
    if not isinstance(said, Mapping) or not isinstance(said.get("settings"), Mapping):
        raise ProofError("settings.json says nothing of the model's settings.")
    _check_equal("the family is", case.card["family"], said.get("family"), "settings.json")
    settings: Mapping[str, Any] = said["settings"]
    return settings


def _unjudged(_case: _Case) -> None:
    """Findings of the first form had no verdicts and no bounds: all that they say is claimed."""


_EARLY: Final = ("volition/card/1", "volition/card/2", "volition/card/3")

_Check = Callable[[_Case], None]

_ALWAYS: Final[Mapping[str, _Check]] = {
    "format": _format,
    "model": _model,
    "family": _family,
    "purpose": _purpose,
    "digest": _digest,
    "files": _files,
    "learned_from": _learned_from,
    "checkpoint": _checkpoint,
    "released": _released,
    "terms": _terms,
}
_JUDGED: Final[Mapping[str, _Check]] = {"findings": _findings, "required": _required, "override": _override}
_TRAINED: Final[Mapping[str, _Check]] = {"base": _base, "privacy": _privacy}

_CHECKS: Final[Mapping[str, Mapping[str, _Check]]] = {
    "volition/card/1": {**_ALWAYS, "findings": _unjudged},
    "volition/card/2": {**_ALWAYS, **_JUDGED},
    "volition/card/3": {**_ALWAYS, **_JUDGED, **_TRAINED},
    "volition/card/4": {**_ALWAYS, **_JUDGED, **_TRAINED, "signing_key": _signing_key},
    FORMAT: {
        **_ALWAYS,
        **_JUDGED,
        **_TRAINED,
        "signing_key": _signing_key,
        "trained_by": _trained_by,
        "forgets": _forgets,
    },
}
"""For each form of the card, what checks each of its statements, by the statement's name."""

_CLAIMED: Final[Mapping[str, str]] = {
    "learned_from": "how many records were read for the snapshot, and why others were left out",
    "findings": "what the audits measured, by what method and against what bounds; the verdicts follow from that",
    "required": "which audits the settings required for a release",
}
_BY_CALLER: Final = "that the operator's own code learned from the snapshot's rows alone, and what it measured"
_TRAINED_SO: Final = "that it was trained as its own settings say: from that base model, with that much privacy"
