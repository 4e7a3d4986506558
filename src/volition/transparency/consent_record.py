"""Consent records: an answer of the ledger, as the W3C Data Privacy Vocabulary's profile of ISO/IEC TS 27560 has it.

A record follows from three things: the answer's entry, the entries that bear on it (the terms under which it was given,
the region of whom it is about), and what the operator says of themselves (`Controller`). Nothing else is in it, so
whoever has those makes the same record. A no is a refusal there, whether or not a yes preceded it: one entry alone does
not show that.

`early_record` is what records said before they named the legal basis, rights and storage: receipts of that time still
verify.

Source: https://w3id.org/dpv/schema/dpv-27560
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from volition.canonical import canonical_json, digest, us_to_text
from volition.consent.controller import Controller
from volition.consent.terms.model import Basis, Rule, Terms
from volition.consent.terms.vocabulary import covers, root_of
from volition.ledger.entry import Entry

VIA: Final[Mapping[str, str]] = {
    "page": "AI settings page of the privacy centre",
    "api": "HTTP API, by a program of the operator's or the account's",
    "command-line": "command line, by the operator",
}
"""How an answer can have been given, by the word for it in the ledger."""

_CONTEXT: Final = {
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "volition": "urn:volition:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_WIDER_CONTEXT: Final = {**_CONTEXT, "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#"}
_STATUS: Final = {"yes": "dpv:ConsentGiven", "no": "dpv:ConsentRefused"}
_BROADER: Final = {  # by the first part of a purpose, or all of it
    "train": "dpv:ImproveExistingProductsAndServices",
    "feature/recommend": "dpv:ProvidePersonalisedRecommendations",
    "feature": "dpv:ServicePersonalisation",
    "advertising": "dpv:Advertising",
}
_BASIS: Final = {Basis.CONSENT: "dpv:ExpressedConsent", Basis.CONTRACT: "dpv:Contract"}
_RIGHTS: Final = ("eu-gdpr:A7-3", "eu-gdpr:A15", "eu-gdpr:A17", "eu-gdpr:A20", "eu-gdpr:A21")
"""To withdraw, of access, to erasure, to take away, to object: what the pages of rights do."""
_SETTINGS: Final = "/settings"
_DAY_US: Final = 24 * 60 * 60 * 1_000_000


def record_of(
    answer: Entry, *, terms: Entry | None, regions: Sequence[Entry], origin: str, controller: Controller
) -> dict[str, Any]:
    """Return an answer as a consent record.

    Args:
        answer: A decision or a signal.
        terms: The entry that published the terms under which it was given; none if none bound.
        regions: The entries that say where the party is, and its account: what held when it answered.
        origin: The log's name.
        controller: What the operator says of themselves.
    """
    record = early_record(answer, terms, origin)
    exercised = {"dpv:isExercisedAt": {"@id": controller.url or _SETTINGS}}
    record["@context"] = _WIDER_CONTEXT
    record["dpv:hasDataController"] |= _named(controller)
    record["dpv:hasConsentControl"] |= exercised
    record["dpv:hasRight"] = {"@type": ["dpv:DataSubjectRight", *_RIGHTS], **exercised}
    if controller.jurisdiction is not None:
        record["dpv:hasJurisdiction"] = _location(controller.jurisdiction)
    if controller.language is not None and terms is not None:
        record["dpv:hasNotice"]["dct:language"] = controller.language
    own = [one for one in regions if one.body["party"] == answer.body["party"]] or list(regions)
    if own:
        record["dpv:hasDataSubject"]["dpv:hasLocation"] = _location(own[0].body["region"])
    if answer.kind == "decision":
        via = VIA.get(str(answer.body.get("via")), "not recorded")
        record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"] = via
        if "claim" in answer.body:
            record["dpv:hasConsentStatus"] |= _claimed(answer)
    process = record.get("dpv:hasProcess") or _signalled(answer, terms)
    if process is not None:
        region = own[0].body["region"] if own else None
        record["dpv:hasProcess"] = process | _conditions(answer, terms, region)
        record["dpv:hasProcess"]["dpv:hasRecipient"] = record["dpv:hasRecipient"]
    return record


def _claimed(answer: Entry) -> dict[str, Any]:
    """Return what the status of an imported answer says of when and where it was given, and when it was recorded."""
    claim = answer.body["claim"]
    told = {"dct:source": claim["source"], "dct:publisher": claim["by"], "volition:recorded": _time(answer.at_us)}
    told |= {f"volition:{key}": claim[key] for key in ("id", "wording") if key in claim}
    return {
        "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime", "@value": claim["said"]},
        "dpv:hasIndicationMethod": f"imported: given elsewhere, according to {claim['source']}",
        "volition:claim": told,
    }


def receipt_of(record: Mapping[str, Any], answer: Entry) -> dict[str, Any]:
    """Return the receipt form of a record. It is of the instant of the answer, whenever it is asked for."""
    return {
        "@context": {name: _CONTEXT[name] for name in ("dct", "dpv", "xsd")},
        "@id": f"urn:volition:receipt:{digest(canonical_json(record))}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": {"@id": "https://w3id.org/dpv/schema/dpv-27560#receipt"},
        "dpv:hasIdentifier": record["dct:identifier"],
        "dct:created": _time(answer.at_us),
        "dpv:hasRecordOfActivity": {"@id": record["@id"]},
    }


def early_record(entry: Entry, terms: Entry | None, origin: str) -> dict[str, Any]:
    """Return an entry as a consent record of the first form."""
    said = entry.body
    subject, controller = {"@id": f"urn:volition:{said['party']}"}, {"@id": f"urn:volition:operator:{origin}"}
    is_signal = entry.kind == "signal"
    record: dict[str, Any] = {
        "@context": _CONTEXT,
        "@id": f"urn:volition:{digest(entry.leaf_bytes)}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": "https://w3id.org/dpv/schema/dpv-27560#record"},
        "dct:identifier": f"{origin}/{entry.seq}",
        "dpv:hasDataSubject": {**subject, "@type": "dpv:DataSubject", "dpv:hasIdentifier": said["party"]},
        "dpv:hasDataController": {
            **controller,
            "@type": "dpv:DataController",
            "dpv:hasName": origin,
            "dpv:hasIdentifier": origin,
        },
        "dpv:hasRecipient": controller,
        "dpv:hasConsentStatus": {
            "@type": ["dpv:ConsentRefused" if is_signal else _STATUS[said["answer"]], "dpv:ExpressedConsent"],
            "dpv:isIndicatedBy": subject,
            "dpv:hasIndicationMethod": said["signal"] if is_signal else "AI settings",
            "dpv:isIndicatedAtTime": _time(entry.at_us),
            "dpv:hasDuration": {"@type": "dpv:UntilEventDuration", "rdf:value": "another answer"},
        },
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": {"@id": _SETTINGS}},
    }
    if said.get("until") is not None:
        record["dpv:hasConsentStatus"]["dpv:hasDuration"] = {
            "@type": "dpv:UntilTimeDuration",
            "rdf:value": {"@type": "xsd:dateTime", "@value": said["until"]},
        }
    if not is_signal:
        record["dct:temporal"] = "from then on" if said["covers"] is None else f"since {said['covers']}"
        record["dpv:hasProcess"] = _process(said["purpose"], said["data"])
    if terms is not None:
        document = terms.body["terms"]
        record["dpv:hasNotice"] = {
            "@id": f"urn:volition:terms:{document['id']}",
            "@type": "dpv:ConsentNotice",
            "dct:identifier": document["id"],
            "dct:title": document["title"],
            "dct:issued": _time(terms.at_us),
            "volition:digest": digest(canonical_json(document)),
        }
    return record


def _named(controller: Controller) -> dict[str, Any]:
    said = {
        "dpv:hasName": controller.name,
        "dpv:hasContact": controller.contact,
        "dpv:hasAddress": controller.address,
    }
    return {term: text for term, text in said.items() if text is not None}


def _location(region: str) -> dict[str, str]:
    return {"@id": f"urn:volition:region:{region}", "@type": "dpv:Location", "dct:identifier": region}


def _signalled(answer: Entry, terms: Entry | None) -> dict[str, Any] | None:
    """Return what a signal refuses by the terms under which it was given; none where no terms say."""
    if terms is None or answer.kind != "signal":
        return None
    version = Terms.from_json(terms.body["terms"])
    purposes = version.signals.get(str(answer.body["signal"]), ())
    return _process(purposes, sorted(version.vocabulary.all_data)) if purposes else None


def _process(purposes: Iterable[str], data: Iterable[str]) -> dict[str, Any]:
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [_purpose(name) for name in purposes],
        "dpv:hasPersonalData": [_personal_data(name) for name in data],
    }


def _conditions(answer: Entry, terms: Entry | None, region: str | None) -> dict[str, Any]:
    """Return on what basis the terms allow what an answer is about, and how long it may be used."""
    if terms is None:
        return {}
    rules = _rules(answer, Terms.from_json(terms.body["terms"]), region)
    bases = sorted({_BASIS[rule.basis] for rule in rules if rule.basis in _BASIS})
    ages = [rule.max_age_us for rule in rules if rule.max_age_us is not None]
    stored: dict[str, Any] = {"@type": "dpv:UntilEventDuration", "rdf:value": "erasure, or an answer that ends the use"}
    if ages:
        days, rest_us = divmod(min(ages), _DAY_US)
        text = f"P{days}D" if not rest_us else f"PT{min(ages) // 1_000_000}S"
        stored = {"@type": "dpv:TemporalDuration", "rdf:value": {"@type": "xsd:duration", "@value": text}}
    condition = {"dpv:hasStorageCondition": {"@type": "dpv:StorageDuration", "dpv:hasDuration": stored}}
    return condition | ({"dpv:hasLegalBasis": [{"@id": basis} for basis in bases]} if bases else {})


def _rules(answer: Entry, terms: Terms, region: str | None) -> list[Rule]:
    categories, purposes = terms.vocabulary.categories, terms.vocabulary.purposes
    if answer.kind == "signal":
        purposes = terms.signals.get(str(answer.body["signal"]), ())
    else:  # what other terms declare, these have no rule for
        categories, purposes = (
            tuple(leaf for leaf in known if any(covers(name, leaf) for name in answer.body[key]))
            for key, known in (("data", categories), ("purpose", purposes))
        )
    found = (terms.rule_for(category, purpose, region) for category in categories for purpose in purposes)
    return list(dict.fromkeys(rule for rule in found if rule is not None))


def _purpose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": f"urn:volition:purpose:{name}", "@type": "dpv:Purpose", "dct:title": name}
    broader = _BROADER.get(name) or _BROADER.get(root_of(name))
    if broader is not None:
        found["skos:broader"] = {"@id": broader}
    if root_of(name) == "train":
        found["dpv:hasProcessing"] = {"@id": "ai:ModelTraining"}
    return found


def _personal_data(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"@id": f"urn:volition:category:{name}", "@type": "dpv:PersonalData", "dct:title": name}
    if root_of(name) == "content":
        found["skos:broader"] = {"@id": "pd:Communication"}
    return found


def _time(at_us: int) -> dict[str, str]:
    return {"@type": "xsd:dateTime", "@value": us_to_text(at_us)}
