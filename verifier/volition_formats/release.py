"""The forms of a card, and its attestation (docs/formats/release.md)."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from volition_formats.card import GRADES, least_epsilon
from volition_formats.findings import AUDITS
from volition_formats.log import Key
from volition_formats.report import RefusedError, demand
from volition_formats.snapshot import Snapshot
from volition_formats.spellings import (
    MALFORMED,
    Json,
    Object,
    base64_bytes,
    canonical,
    digest_of,
    is_count,
    is_hex,
    is_number,
    parse,
    parse_canonical,
    same,
    text,
    texts,
    words,
)

CARD = set(
    words(
        "format model family purpose digest files learned_from base privacy terms checkpoint findings"
        " required override released signing_key"
    )
)


CARDS = {"volition/card/4": CARD, "volition/card/5": CARD | {"trained_by", "forgets"}}


def check_grade(card: Object, entry: Object) -> None:
    """Who trained the model and how it forgets is what its entry says; a card that cannot say it is not enough."""
    by, forgets = entry.get("trained_by", "family"), entry.get("forgets")
    demand(by in ("family", "caller"), "The model's entry does not say who trained it.")
    demand(forgets is None or forgets in GRADES, "The model's entry does not say how it forgets.")
    if card["format"] == "volition/card/4":
        demand("trained_by" not in entry and "forgets" not in entry, "The card's form says less than the log.")
    else:
        said = [card["trained_by"], card["forgets"]]
        demand(same(said, [by, forgets]), "The card says another training or another forgetting than the log.")


def check_card(card: Object) -> None:
    """The card has its form."""
    demand(set(card) == CARDS[card["format"]], "The card has other keys.")
    demand(
        set(card["learned_from"]) == set(words("snapshot manifest at rows people accounts")),
        "The card has other keys.",
    )
    demand(card["files"] and all(is_hex(one) for one in card["files"].values()), "The card's files have another form.")
    required, findings, override, base = card["required"], card["findings"], card["override"], card["base"]
    demand(
        set(texts(required)) <= set(AUDITS) and len(set(required)) == len(required),
        "It requires audits that there are not.",
    )
    demand(isinstance(findings, list) and findings, "The card has no findings.")
    named = [(one["audit"], one["metric"]) for one in findings]
    demand(len(set(named)) == len(named), "Two findings have one name.")
    bounds: dict[str, bytes] = {}
    for one in findings:
        bound = bounds.setdefault(one["audit"], canonical(one["bound"]))
        demand(bound == canonical(one["bound"]), f"The findings of {one['audit']} have different bounds.")
    if override is not None:
        demand(set(override) == {"by", "why", "missed"} and texts(override["missed"]), "Who answers has another form.")
        for said, longest in ((text(override["by"]), 100), (text(override["why"]), 500)):
            is_line = 1 <= len(said) <= longest and said == said.strip(" ") and not any(one < " " for one in said)
            demand(is_line, "Who answers is not said, or not why.")
    if base is None:
        demand(
            card["privacy"] is None and card["family"] != "adapter",
            "Privacy is claimed without a base model, or an adapter has none.",
        )
    else:
        demand(
            set(base) == {"name", "digest"} and texts([base["name"], base["digest"]]),
            "The base model has another form.",
        )
        if card["privacy"] is not None:
            check_privacy(card["privacy"])
    signing_key(card["signing_key"])


def signing_key(pem: Json) -> EllipticCurvePublicKey:
    """The key of the model's signature, in its one spelling."""
    key = load_pem_public_key(text(pem).encode())
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise RefusedError("The signing key is of another type.")
    written = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    demand(written.decode() == pem, "The signing key is written in another way.")
    return key


FIGURES = set(
    words(
        "clipping rate multiplier steps epsilon delta accountant mechanism composition neighbours unit"
        " sampling seen_by secure_generator not_covered"
    )
)


TEXTS = words("accountant mechanism composition neighbours unit sampling seen_by")


def check_privacy(claimed: Object) -> None:
    """The claim of privacy has its form, and is not below what its own figures allow."""
    demand(set(claimed) == FIGURES and texts(claimed["not_covered"]) is not None, "Privacy has another form.")
    demand(texts([claimed[key] for key in TEXTS]), "Privacy has another form.")
    demand(type(claimed["secure_generator"]) is bool, "Privacy does not say how noise was drawn.")
    multiplier, rate, epsilon, delta = (claimed[key] for key in ("multiplier", "rate", "epsilon", "delta"))
    figures = all(is_number(one) and one > 0 for one in (multiplier, rate, epsilon, delta, claimed["clipping"]))
    demand(figures and rate <= 1 and delta < 1, "Privacy has figures of another form.")
    demand(is_count(claimed["steps"]) and claimed["steps"], "Privacy has figures of another form.")
    least = least_epsilon(multiplier, rate, claimed["steps"], delta)
    demand(epsilon >= least, f"Its own figures allow no epsilon below {least:.3f}, and it claims {epsilon:.3f}.")


def check_attestation(data: bytes, card: Object, digest: str, key: Key) -> None:
    """The envelope is signed by the log's key, and the statement is the one that follows from the card."""
    envelope, kind = parse_canonical(data), "application/vnd.in-toto+json"
    demand(
        set(envelope) == {"payload", "payloadType", "signatures"} and len(envelope["signatures"]) == 1,
        "The envelope has another form.",
    )
    (signature,) = envelope["signatures"]
    demand(
        set(signature) == {"keyid", "sig"} and signature["keyid"] == key.key_id.hex(),
        "The envelope is signed by another key.",
    )
    demand(envelope["payloadType"] == kind, "The envelope holds another type.")
    payload = base64_bytes(envelope["payload"])
    key.verify(base64_bytes(signature["sig"]), f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    predicate = {name: card[name] for name in ("model", "digest", "checkpoint", "terms", "findings")}
    predicate |= {name: card["learned_from"][name] for name in ("snapshot", "manifest")} | {"card": digest}
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": one}} for name, one in sorted(card["files"].items())],
        "predicateType": "urn:volition:release:2",
        "predicate": predicate,
    }
    demand(payload == canonical(statement), "The attestation states something else than the card.")


def release_files(members: dict[str, bytes], model: str) -> list[str]:
    """Which files a bundle has of a release: a signature where the card names a key for it."""
    names = words("card.json card.md attestation.json settings.json")
    try:
        card = parse(members.get(f"releases/{model}/card.json", b""))
    except MALFORMED:
        return names
    return [*names, "model.sig"] if isinstance(card, dict) and "signing_key" in card else names


def check_settings(data: bytes, card: Object) -> None:
    """`settings.json` is the model's own, and says what the card says of its training."""
    demand(card["files"].get("settings.json") == digest_of(data), "settings.json is no file of the model.")
    said = parse_canonical(data)
    demand(same(said["family"], card["family"]), "settings.json is of another family.")
    settings = said["settings"]
    demand(isinstance(settings, dict), "settings.json has no settings.")
    for key in ("base", "privacy"):
        demand(same(settings.get(key), card[key]), f"The card says another {key} than the model's own settings.")


def check_signature(data: bytes, card: Object) -> None:
    """`model.sig` is the card's key's signature of the model's files, in its one form."""
    files, pem = card["files"], card["signing_key"]
    whole = hashlib.sha256(b"".join(bytes.fromhex(files[name]) for name in sorted(files)))
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": card["model"], "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []},
            "resources": [{"name": name, "algorithm": "sha256", "digest": files[name]} for name in sorted(files)],
        },
    }
    payload, kind = canonical(statement), "application/vnd.in-toto+json"
    found = parse_canonical(data)["dsseEnvelope"]
    demand(base64_bytes(found["payload"]) == payload, "model.sig signs other files.")
    written = found["signatures"][0]["sig"]
    try:
        message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        signing_key(pem).verify(base64_bytes(written), message, ECDSA(SHA256()))
    except InvalidSignature:
        raise RefusedError("model.sig is not by the key that the card names.") from None
    form = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": digest_of(pem.encode())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": found["payload"],
            "payloadType": kind,
            "signatures": [{"sig": written, "keyid": ""}],
        },
    }
    demand(same(form, parse_canonical(data)), "model.sig has another form.")


def check_card_of_log(card: Object, model: str, entry: Object, snapshot: Snapshot, digest: str) -> None:
    """Refuse a card that says something else than the model's entry and its snapshot.

    Args:
        card: The card.
        model: The model's name.
        entry: The body of its entry.
        snapshot: What it learned from.
        digest: Of that snapshot's manifest.
    """
    manifest, learned = snapshot.manifest, card["learned_from"]
    about = {
        "accounts": manifest["accounts"],
        "digest": entry["digest"],
        "family": entry["family"],
        "manifest": digest,
        "people": manifest["people"]["size"],
        "purpose": manifest["purpose"],
        "rows": sum(manifest["accounts"].values()),
        "snapshot": snapshot.name,
    }
    named = f"{entry['family']}-{digest_of(canonical(about))[:12]}"
    demand(card["model"] == model == named, f"The model's name would be {named}.")
    check_grade(card, entry)
    for key, value in (("family", entry["family"]), ("digest", entry["digest"]), ("purpose", manifest["purpose"])):
        demand(card[key] == value, f"The card's {key} is not {value}.")
    demand(digest_of(canonical(card["files"])) == card["digest"], "The card's files are not those of the model.")
    wanted = {
        "snapshot": snapshot.name,
        "manifest": digest,
        **{key: manifest[key] for key in ("at", "rows", "accounts")},
    }
    for key, value in wanted.items():
        demand(same(learned[key], value), f"The card's {key} of what it learned from are not those of the snapshot.")
