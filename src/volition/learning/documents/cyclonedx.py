"""The bill of materials for machine learning: a model, its files, what it learned from and what was measured of it.

Source: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/ (ML-BOM, `modelCard`).
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final
from uuid import UUID, uuid5

from volition.canonical import canonical_json
from volition.learning.documents.facts import Facts

_NAMESPACE: Final = UUID("5a8ad3f8-6d0c-5c3c-9d52-6f1f0a3e7f10")  # of serial numbers that follow from a card's digest
_AUDITS: Final[Mapping[str, tuple[str, str]]] = {
    "attack": ("Membership inference", "Releases are held against a bound on the attack's true-positive rate."),
    "canary": ("Memorisation", "Planted secrets are ranked by likelihood; releases are held against a bound."),
    "poisoning": ("Data poisoning", "Each party is left out in turn; releases are held against a bound."),
}


def bill_of_materials(facts: Facts) -> bytes:
    """Return the bill of materials of a release, as canonical JSON."""
    card = facts.card
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_NAMESPACE, facts.card_digest)}",
        "version": 1,
        "metadata": {
            "timestamp": card["released"],
            "tools": {"components": [{"type": "application", "name": "volition", "version": version("volition")}]},
            "supplier": _supplier(facts),
            "component": _model(facts),
        },
        "components": [_dataset(facts), *_base(card)],
        "dependencies": [
            {"ref": card["model"], "dependsOn": sorted([_dataset_ref(card), *(one["bom-ref"] for one in _base(card))])}
        ],
    }
    return canonical_json(document)


def _supplier(facts: Facts) -> dict[str, Any]:
    supplier: dict[str, Any] = {"name": facts.provider}
    if facts.controller.url is not None:
        supplier["url"] = [facts.controller.url]
    if facts.controller.contact is not None:
        mail = "@" in facts.controller.contact
        supplier["contact"] = [{"email" if mail else "name": facts.controller.contact}]
    return supplier


def _model(facts: Facts) -> dict[str, Any]:
    card = facts.card
    return {
        "type": "machine-learning-model",
        "bom-ref": card["model"],
        "name": card["model"],
        "version": str(facts.version),
        "description": facts.does,
        "hashes": [{"alg": "SHA-256", "content": card["digest"]}],
        "properties": [
            {"name": "volition:card", "value": facts.card_digest},
            {"name": "volition:purpose", "value": card["purpose"]},
            {"name": "volition:terms", "value": ", ".join(card["terms"]) or "none"},
        ],
        "components": [
            {
                "type": "file",
                "bom-ref": f"{card['model']}/{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": value}],
            }
            for name, value in sorted(card["files"].items())
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": card["purpose"],
                "architectureFamily": card["family"],
                "datasets": [{"ref": _dataset_ref(card)}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(facts)},
            "considerations": _considerations(facts),
        },
    }


def _metrics(facts: Facts) -> list[dict[str, Any]]:
    metrics = []
    for found in facts.measured:
        metric: dict[str, Any] = {"type": f"{found['audit']}: {found['metric']}", "value": repr(found["value"])}
        if found["low"] is not None:
            metric["confidenceInterval"] = {"lowerBound": repr(found["low"]), "upperBound": repr(found["high"])}
        metrics.append(metric)
    return metrics


def _considerations(facts: Facts) -> dict[str, Any]:
    audits = {found["audit"] for found in facts.card["findings"]}
    found: dict[str, Any] = {
        "users": [f"People of {facts.provider}'s customers, through the feature that it serves"],
        "useCases": [facts.does],
        "technicalLimitations": list(facts.limits()),
        "ethicalConsiderations": [
            {"name": "Consent", "mitigationStrategy": facts.forgetting()},
            *({"name": name, "mitigationStrategy": how} for audit, (name, how) in _AUDITS.items() if audit in audits),
        ],
    }
    groups = [one for one in facts.measured if one["audit"] == "fairness"]
    if groups:
        found["fairnessAssessments"] = [
            {
                "groupAtRisk": f"Groups by {one['detail']['by']}",
                "harms": f"The largest gap in quality between two groups is {one['value']:.3f}.",
                "mitigationStrategy": "A release is held against a bound on this gap, where one is set.",
            }
            for one in groups
        ]
    return found


def _dataset_ref(card: Mapping[str, Any]) -> str:
    return str(card["learned_from"]["snapshot"])


def _dataset(facts: Facts) -> dict[str, Any]:
    learned = facts.card["learned_from"]
    return {
        "type": "data",
        "bom-ref": _dataset_ref(facts.card),
        "name": learned["snapshot"],
        "version": learned["at"],
        "hashes": [{"alg": "SHA-256", "content": learned["manifest"]}],
        "data": [
            {
                "type": "dataset",
                "name": learned["snapshot"],
                "classification": "personal data, used with consent",
                "sensitiveData": [f"{category}: {kept} records" for category, kept in facts.kept.items()],
                "governance": {"owners": [{"organization": _supplier(facts)}]},
                "description": f"{learned['people']} people in {len(learned['accounts'])} organisations.",
            }
        ],
    }


def _base(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    base = card.get("base")
    if base is None:
        return []
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"base/{base['name']}",
            "name": base["name"],
            "hashes": [{"alg": "SHA-256", "content": base["digest"]}],
        }
    ]
