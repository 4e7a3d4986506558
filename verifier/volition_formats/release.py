"""The forms of a card, and its attestation (docs/formats/release.md)."""

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from volition_formats.card import least_epsilon
from volition_formats.findings import AUDITS
from volition_formats.log import Key
from volition_formats.report import demand
from volition_formats.spellings import (
    Object,
    base64_bytes,
    canonical,
    is_count,
    is_hex,
    is_number,
    parse_canonical,
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


def check_card(card: Object) -> None:
    """The card has its form."""
    demand(set(card) == CARD, "The card has other keys.")
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
        demand(texts([override["by"], override["why"]]), "Who answers has another form.")
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
    key = load_pem_public_key(text(card["signing_key"]).encode())
    demand(
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1),
        "The signing key is of another type.",
    )
    written = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    demand(written.decode() == card["signing_key"], "The signing key is written in another way.")


FIGURES = set(
    words(
        "clipping rate multiplier steps epsilon delta accountant mechanism composition neighbours unit"
        " sampling seen_by secure_generator not_covered"
    )
)


def check_privacy(claimed: Object) -> None:
    """The claim of privacy has its form, and is not below what its own figures allow."""
    demand(set(claimed) == FIGURES and texts(claimed["not_covered"]) is not None, "Privacy has another form.")
    multiplier, rate, epsilon, delta = (claimed[key] for key in ("multiplier", "rate", "epsilon", "delta"))
    figures = all(is_number(one) and one > 0 for one in (multiplier, rate, epsilon, delta))
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
