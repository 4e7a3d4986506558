"""A receipt: the record that follows from what somebody answered (docs/formats/receipt.md)."""

from collections.abc import Iterator

from volition_formats.entries import check_form, version_fault
from volition_formats.log import Checkpoint, Key, included
from volition_formats.permits import DAY, History, age, covers, nameable, rule_of, signals_for
from volition_formats.report import demand, demand_keys
from volition_formats.spellings import Object, canonical, digest_of, instant, same, text, words

CONTEXT = {
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "volition": "urn:volition:",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#"


_BROADER = {
    "train": "dpv:ImproveExistingProductsAndServices",
    "feature": "dpv:ServicePersonalisation",
    "feature/recommend": "dpv:ProvidePersonalisedRecommendations",
    "advertising": "dpv:Advertising",
}


_VIA = {
    "page": "AI settings page of the privacy centre",
    "api": "HTTP API, by a program of the operator's or the account's",
    "command-line": "command line, by the operator",
}


def _time(moment: str) -> Object:
    return {"@type": "xsd:dateTime", "@value": moment}


def _purpose(name: str) -> Object:
    found: Object = {"@id": f"urn:volition:purpose:{name}", "@type": "dpv:Purpose", "dct:title": name}
    if name in _BROADER or name.split("/", maxsplit=1)[0] in _BROADER:
        found["skos:broader"] = {"@id": _BROADER.get(name) or _BROADER[name.split("/", maxsplit=1)[0]]}
    if name.split("/", maxsplit=1)[0] == "train":
        found["dpv:hasProcessing"] = {"@id": "ai:ModelTraining"}
    return found


def _data(name: str) -> Object:
    found: Object = {"@id": f"urn:volition:category:{name}", "@type": "dpv:PersonalData", "dct:title": name}
    if name.split("/", maxsplit=1)[0] == "content":
        found["skos:broader"] = {"@id": "pd:Communication"}
    return found


def _process(purposes: list[str], data: list[str]) -> Object:
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [_purpose(name) for name in purposes],
        "dpv:hasPersonalData": [_data(name) for name in data],
    }


def early_record(answer: Object, line: bytes, terms: Object | None, origin: str) -> Object:
    """The consent record of `volition/receipt/1`."""
    said, signal = answer["body"], answer["kind"] == "signal"
    subject, controller = {"@id": f"urn:volition:{said['party']}"}, {"@id": f"urn:volition:operator:{origin}"}
    status = "dpv:ConsentRefused" if signal or said["answer"] == "no" else "dpv:ConsentGiven"
    until = said.get("until")
    lasts: Object = {"@type": "dpv:UntilEventDuration", "rdf:value": "another answer"}
    if until is not None:
        lasts = {"@type": "dpv:UntilTimeDuration", "rdf:value": _time(until)}
    record: Object = {
        "@context": CONTEXT,
        "@id": f"urn:volition:{digest_of(line)}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": f"{_PROFILE}record"},
        "dct:identifier": f"{origin}/{answer['seq']}",
        "dpv:hasDataSubject": {**subject, "@type": "dpv:DataSubject", "dpv:hasIdentifier": said["party"]},
        "dpv:hasDataController": {
            **controller,
            "@type": "dpv:DataController",
            "dpv:hasName": origin,
            "dpv:hasIdentifier": origin,
        },
        "dpv:hasRecipient": controller,
        "dpv:hasConsentStatus": {
            "@type": [status, "dpv:ExpressedConsent"],
            "dpv:isIndicatedBy": subject,
            "dpv:hasIndicationMethod": said["signal"] if signal else "AI settings",
            "dpv:isIndicatedAtTime": _time(answer["at"]),
            "dpv:hasDuration": lasts,
        },
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": {"@id": "/settings"}},
    }
    if not signal:
        record["dct:temporal"] = "from then on" if said["covers"] is None else f"since {said['covers']}"
        record["dpv:hasProcess"] = _process(said["purpose"], said["data"])
    if terms is not None:
        document = terms["body"]["terms"]
        record["dpv:hasNotice"] = {
            "@id": f"urn:volition:terms:{document['id']}",
            "@type": "dpv:ConsentNotice",
            "dct:identifier": document["id"],
            "dct:title": document["title"],
            "dct:issued": _time(terms["at"]),
            "volition:digest": digest_of(canonical(document)),
        }
    return record


def _location(region: str) -> Object:
    return {"@id": f"urn:volition:region:{region}", "@type": "dpv:Location", "dct:identifier": region}


def later_record(  # noqa: PLR0913 - what a record follows from
    answer: Object, line: bytes, terms: Object | None, origin: str, *, region: str | None, controller: Object
) -> Object:
    """The consent record of `volition/receipt/2`."""
    record = early_record(answer, line, terms, origin)
    said, signal = answer["body"], answer["kind"] == "signal"
    record["@context"] = {**CONTEXT, "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#"}
    owner = record["dpv:hasDataController"]
    owner |= {
        f"dpv:has{key.capitalize()}": controller[key] for key in ("name", "contact", "address") if key in controller
    }
    where = {"@id": controller.get("url", "/settings")}
    record["dpv:hasConsentControl"]["dpv:isExercisedAt"] = where
    rights = ["dpv:DataSubjectRight", *(f"eu-gdpr:{article}" for article in ("A7-3", "A15", "A17", "A20", "A21"))]
    record["dpv:hasRight"] = {"@type": rights, "dpv:isExercisedAt": where}
    if "jurisdiction" in controller:
        record["dpv:hasJurisdiction"] = _location(controller["jurisdiction"])
    if region is not None:
        record["dpv:hasDataSubject"]["dpv:hasLocation"] = _location(region)
    if "language" in controller and terms is not None:
        record["dpv:hasNotice"]["dct:language"] = controller["language"]
    if not signal:
        record["dpv:hasConsentStatus"]["dpv:hasIndicationMethod"] = _VIA.get(said.get("via"), "not recorded")
        if "claim" in said:
            record["dpv:hasConsentStatus"] |= _claimed(said["claim"], answer["at"])
    version = None if terms is None else terms["body"]["terms"]
    known = ([], []) if version is None else (nameable(version, "category"), nameable(version, "purpose"))
    refused = [one for one in known[1] if signal and said["signal"] in signals_for(version or {}, one)]
    if refused:
        record["dpv:hasProcess"] = _process(refused, sorted({one.split("/", maxsplit=1)[0] for one in known[0]}))
    if "dpv:hasProcess" in record:
        record["dpv:hasProcess"]["dpv:hasRecipient"] = record["dpv:hasRecipient"]
        if version is not None:
            categories = known[0] if signal else _covered(said["data"], known[0])
            purposes = refused if signal else _covered(said["purpose"], known[1])
            rules = [rule_of(version, data, purpose, region) for data in categories for purpose in purposes]
            record["dpv:hasProcess"] |= _governed([rule for rule in rules if rule is not None])
    return record


def _covered(names: list[str], universe: list[str]) -> list[str]:
    """What names cover of what a version can name; what only another version declares, this one has no rule for."""
    return [leaf for leaf in universe if any(covers(name, leaf) for name in names)]


def _claimed(claim: Object, recorded: str) -> Object:
    """What the record of an imported answer says of when and where it was given."""
    told: Object = {"dct:source": claim["source"], "dct:publisher": claim["by"], "volition:recorded": _time(recorded)}
    told |= {f"volition:{key}": claim[key] for key in ("id", "wording") if key in claim}
    return {
        "dpv:isIndicatedAtTime": _time(claim["said"]),
        "dpv:hasIndicationMethod": f"imported: given elsewhere, according to {claim['source']}",
        "volition:claim": told,
    }


def _governed(rules: list[Object]) -> Object:
    """What the rules of an answer say of its legal basis, and of how long records are kept."""
    names = {"consent": "dpv:ExpressedConsent", "contract": "dpv:Contract"}
    basis = sorted({names[rule["basis"]] for rule in rules if rule["basis"] in names})
    ages = [one for rule in rules if (one := age(rule, "max_age")) is not None]
    lasts: Object = {"@type": "dpv:UntilEventDuration", "rdf:value": "erasure, or an answer that ends the use"}
    if ages:
        days, rest = divmod(min(ages), DAY)
        duration = f"PT{min(ages) // 1_000_000}S" if rest else f"P{days}D"
        lasts = {"@type": "dpv:TemporalDuration", "rdf:value": {"@type": "xsd:duration", "@value": duration}}
    found: Object = {"dpv:hasStorageCondition": {"@type": "dpv:StorageDuration", "dpv:hasDuration": lasts}}
    return {"dpv:hasLegalBasis": [{"@id": one} for one in basis], **found} if basis else found


def receipt_form(record: Object, answer: Object) -> Object:
    """The profile's receipt form, which refers to the record."""
    return {
        "@context": {key: CONTEXT[key] for key in ("dct", "dpv", "xsd")},
        "@id": f"urn:volition:receipt:{digest_of(canonical(record))}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": {"@id": f"{_PROFILE}receipt"},
        "dpv:hasIdentifier": record["dct:identifier"],
        "dct:created": _time(answer["at"]),
        "dpv:hasRecordOfActivity": {"@id": record["@id"]},
    }


CONTROLLER = set(words("name contact address jurisdiction language url license"))


def check_receipt(receipt: Object, key: Key, claimed: list[str]) -> str:
    """The check `receipt IDENTIFIER`."""
    later = receipt["format"] == "volition/receipt/2"
    demand_keys(receipt, "format record entries checkpoint" + (" receipt controller" if later else ""), "receipt")
    signed = Checkpoint.of(receipt["checkpoint"], key)
    for holder in receipt["entries"]:
        demand_keys(holder, "entry path", "receipt")
    answer, *others = [included(holder, "path", signed) for holder in receipt["entries"]]
    party = text(answer["body"]["party"])
    demand(answer["kind"] in ("decision", "signal"), "The receipt shows no answer.")
    demand(all(one["seq"] < answer["seq"] for one in others), "The receipt shows what came after the answer.")
    terms = others.pop(0) if others and others[0]["kind"] == "terms" else None
    demand(
        len(others) <= 2 * later and all(one["kind"] == "region" for one in others), "The receipt shows other entries."
    )
    own = [one["body"]["region"] for one in others if one["body"]["party"] == party]
    of_account = [
        one["body"]["region"]
        for one in others
        if one["body"]["party"] != party and one["body"]["party"].startswith("account:")
    ]
    demand(
        len(own) <= 1 and len(of_account) <= 1 and len(own) + len(of_account) == len(others),
        "A region is somebody else's, or one party has two.",
    )
    history, read = (
        History(),
        sorted([answer, *others, *([] if terms is None else [terms])], key=lambda one: one["seq"]),
    )
    for entry in read:
        check_form(entry["kind"], entry["body"])
        history.read(entry["kind"], entry["body"], instant(entry["at"]))
    fault = None if terms is None else version_fault(terms["body"]["terms"])
    demand(fault is None, f"The version of the terms {fault}.")
    line, place = receipt["entries"][0]["entry"].encode(), next(iter([*own, *of_account]), None)
    if later:
        controller = receipt["controller"]
        lines = all(
            isinstance(one, str) and 1 <= len(one) <= 300 and len(one.splitlines()) == 1 for one in controller.values()
        )
        demand(
            isinstance(controller, dict) and set(controller) <= CONTROLLER and lines, "The controller has another form."
        )
        record = later_record(answer, line, terms, key.name, region=place, controller=controller)
        demand(
            same(receipt["receipt"], receipt_form(record, answer)), "The receipt form does not follow from the record."
        )
        if controller:
            claimed.append("who the operator is")
        if "claim" in answer["body"]:
            claimed.append("when and where it was given")
    else:
        record = early_record(answer, line, terms, key.name)
    demand(same(receipt["record"], record), "The record does not follow from the entries.")
    said = answer["body"].get("answer", answer["body"].get("signal"))
    return f"{party} said {said} at {answer['at']}."


def shown_entries(part: Object) -> Iterator[str]:
    """The entries that a receipt or proof shows, as text."""
    for holder in [part, *part.get("entries", []), *part.get("batches", [])]:
        if isinstance(holder.get("entry"), str):
            yield holder["entry"]
