"""Dataset metadata (Croissant): what a snapshot is, for tools that find, check and load data sets.

It describes the snapshot's own files by their digests. Content stays encrypted in `rows.parquet`; that, and whose
consent it was used with, is said in the words of the vocabulary for responsible AI (RAI).

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html (1.0), croissant-rai-spec.html (1.0).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from volition.canonical import canonical_json
from volition.consent.controller import Controller

_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_FIELDS: Final[Mapping[str, Sequence[tuple[str, str, str]]]] = {  # record set -> column, type, what it is
    "keys": (
        ("record_id", "sc:Text", "Identity of the record, a digest."),
        ("account", "sc:Text", "Id of the organisation that it belongs to."),
        ("people", "sc:Text", "Pseudonyms of the people whom it concerns, the one who said or did it first."),
        ("category", "sc:Text", "Kind of data."),
        ("collected_us", "sc:Integer", "Instant of collection, microseconds since 1970-01-01 UTC."),
    ),
    "rows": (
        ("record_id", "sc:Text", "Identity of the record, as in keys."),
        ("payload", "sc:Text", "Canonical JSON; of categories below content/ encrypted under the organisation's key."),
    ),
}
_ENCRYPTED: Final = "Content is encrypted under the organisations' keys, and unreadable for good once one is erased."
_KEPT_ELSEWHERE: Final = "It lists rows of a table that is kept elsewhere, and holds nothing that they say."
_SCRUBBED: Final = "Identifiers of people are scrubbed from content unless the terms say otherwise."
_REPEATED: Final = frozenset({"people"})


def croissant(snapshot: str, manifest: Mapping[str, Any], *, digest: str, controller: Controller) -> bytes:
    """Return the metadata of a snapshot as canonical JSON-LD.

    Args:
        snapshot: Its name.
        manifest: Its manifest.
        digest: SHA-256 of the manifest.
        controller: What the operator says of themselves.
    """
    files = [name for name in (f"{one}.parquet" for one in _FIELDS) if name in manifest["files"]]
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": snapshot,
        "description": f"Records that those concerned permitted for {manifest['purpose']}, frozen at {manifest['at']}.",
        "version": "1.0.0",
        "datePublished": manifest["at"],
        "identifier": digest,
        "license": controller.license or "https://schema.org/NotInForce",
        "url": controller.url or f"urn:volition:snapshot:{snapshot}",
        "citeAs": f"Snapshot {snapshot}, manifest {digest}",
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": "application/x-parquet",
                "sha256": manifest["files"][name],
            }
            for name in files
        ],
        "recordSet": [_record_set(name.removesuffix(".parquet"), name) for name in files],
        **_responsibly(manifest),
    }
    if controller.name is not None:
        document["creator"] = {"@type": "sc:Organization", "name": controller.name}
    return canonical_json(document)


def _record_set(name: str, file: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/record_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": what,
                "dataType": kind,
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
                **({"repeated": True} if column in _REPEATED else {}),
            }
            for column, kind, what in _FIELDS[name]
        ],
    }


def _responsibly(manifest: Mapping[str, Any]) -> dict[str, Any]:
    rows = manifest["rows"]
    kept = {category: counts["kept"] for category, counts in rows.items() if counts["kept"]}
    read, used = sum(counts["read"] for counts in rows.values()), sum(kept.values())
    reasons = sorted({reason for counts in rows.values() for reason in counts["dropped"]})
    return {
        "rai:personalSensitiveInformation": [f"{category}: personal data of those concerned" for category in kept],
        "rai:dataUseCases": [f"{manifest['purpose']}, and nothing else: no other use was permitted."],
        "rai:dataLimitations": [
            f"{used} of {read} records that were read are in it; the others were not permitted or not asked for.",
            _KEPT_ELSEWHERE if "table" in manifest else _ENCRYPTED,
        ],
        "rai:dataBiases": [
            "Only those who agreed, or did not object where the terms ask no more, are in it; who refuses may differ.",
            *([f"Reasons for leaving records out: {', '.join(reasons)}."] if reasons else []),
        ],
        "rai:dataCollectionTimeframe": [f"until {manifest['collected_until']}"],
        "rai:dataManipulationProtocol": [
            "Every record is judged by the gate when the snapshot is frozen.",
            *([] if "table" in manifest else [_SCRUBBED]),
        ],
    }
