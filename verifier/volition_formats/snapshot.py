"""A snapshot: its manifest, its rows and its people (docs/formats/bundle.md, people.md)."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from volition_formats.log import Tree, leaf_hash
from volition_formats.report import demand
from volition_formats.spellings import Object, canonical, digest_of, is_count, is_hex, same, text, words


@dataclass
class Snapshot:
    """A snapshot of a working model, as far as it was found."""

    name: str
    seq: int
    holds: bool = False
    manifest: Object = field(default_factory=dict)
    rows: list[Object] = field(default_factory=list)
    groups: dict[tuple[str, tuple[str, ...], str, str | None], tuple[int, int]] = field(default_factory=dict)


MANIFEST = set(words("format purpose at collected_until within checkpoint encoder rows accounts people schema files"))


KEYS_SCHEMA = {
    "account": "string",
    "category": "string",
    "collected_us": "int64",
    "conversation": "string",
    "people": "list<item: string>",
    "record_id": "string",
}


PLACES_SCHEMA = {"position": "int64"}


ROWS_SCHEMA = {"embedding": "binary", "payload": "binary", "record_id": "string"}


def check_manifest(manifest: Object) -> None:
    """The manifest has its form."""
    files, form = manifest["files"], "volition/snapshot/1"
    further = {"collected"} if "collected.parquet" in files else set()
    known = {"keys.parquet", "people.json", "rows.parquet"}
    if "table" in manifest:
        further, form = {"table"}, "volition/table-snapshot/1"
        known = {"keys.parquet", "people.json", "places.parquet", "sources.json"}
        check_table(manifest["table"])
        demand("collected.parquet" not in files and manifest["encoder"] is None, "Rows of a table have neither.")
    demand(set(manifest) == MANIFEST | further, "The manifest has other keys.")
    demand(
        manifest["format"] == form
        and re.fullmatch("[a-z][a-z0-9_-]{0,31}(/[a-z0-9][a-z0-9_-]{0,31})?", text(manifest["purpose"])),
        "The manifest has another form.",
    )
    demand(known <= set(files) <= known | {"collected.parquet"}, "The manifest has other files.")
    demand(all(is_hex(one) for one in files.values()), "A digest has another form.")
    demand(manifest["encoder"] is None or is_hex(manifest["encoder"]), "The encoder's digest has another form.")
    demand(manifest["within"] is None or text(manifest["within"]), "The manifest has another form.")
    people = manifest["people"]
    demand(
        set(people) == {"size", "root"} and is_count(people["size"]) and is_hex(people["root"]),
        "Its people have another form.",
    )
    for counts in manifest["rows"].values():
        demand(
            {"read", "kept", "dropped"} <= set(counts) <= {"read", "kept", "dropped", "left_out"},
            "A count has other keys.",
        )
        numbers = [counts["read"], counts["kept"], counts.get("left_out", 0), *counts["dropped"].values()]
        demand(
            all(map(is_count, numbers)) and numbers[0] == sum(numbers[1:]), "Rows read, kept and dropped do not add up."
        )
    demand(all(map(is_count, manifest["accounts"].values())), "Rows by account have another form.")


def check_table(table: Object) -> None:
    """What the manifest says of a table that others keep has its form."""
    demand(set(table) == {"form", "uri", "version", "mapping"}, "Its table has other keys.")
    for one in (table["form"], table["uri"], table["version"], *dict(table["mapping"]).values()):
        text(one)


def claims(snapshot: Snapshot) -> str:
    """What its manifest says and nobody can check offline."""
    told = f"snapshot {snapshot.name}: how many records were read and dropped for which reason, that none was left out"
    if "table" in snapshot.manifest:
        return f"{told} that had a permit, and that the rows are the table's: the log says nothing of their collection"
    return f"{told} that had a permit, what the records say, and the encoder"


def check_rows(manifest: Object, rows: list[Object], until: int) -> None:
    """The rows are those that the manifest counts."""
    kept = {name: counts["kept"] for name, counts in manifest["rows"].items() if counts["kept"]}
    demand(
        same(kept, dict(Counter(row["category"] for row in rows))), "The rows kept are others than the manifest counts."
    )
    demand(
        same(manifest["accounts"], dict(Counter(row["account"] for row in rows))),
        "The accounts' rows are others than the manifest counts.",
    )
    demand(all(row["collected_us"] <= until for row in rows), "A row was collected later than the manifest says.")
    older = {key: kind for key, kind in KEYS_SCHEMA.items() if key != "conversation"}
    lacking = manifest["schema"].get("keys.parquet") == older
    demand(not lacking or all(row["conversation"] is None for row in rows), "The schema is another one.")
    content = {"places.parquet": PLACES_SCHEMA} if "table" in manifest else {"rows.parquet": ROWS_SCHEMA}
    schema = {"keys.parquet": older if lacking else KEYS_SCHEMA, **content}
    demand(same(manifest["schema"], schema), "The schema is another one.")


def person_leaf(purpose: str, at: str, pseudonym: str, rows: int) -> list[str]:
    """The leaf of a person: tag and commitment."""
    tag = digest_of(canonical(["volition/person", purpose, at, pseudonym]))
    return [tag, digest_of(canonical(["volition/rows", tag, pseudonym, rows]))]


def check_people(manifest: Object, rows: list[Object], data: bytes) -> None:
    """`people.json` follows from the rows."""
    counts = Counter(person for row in rows for person in row["people"])
    leaves = sorted(person_leaf(manifest["purpose"], manifest["at"], one, count) for one, count in counts.items())
    demand(canonical(leaves) == data, "people.json does not follow from the rows.")
    root = Tree([leaf_hash(canonical(leaf)) for leaf in leaves]).root(len(leaves)).hex()
    demand(same(manifest["people"], {"size": len(leaves), "root": root}), "The tree of people is another one.")


def records(snapshot: Snapshot) -> Iterator[tuple[Object, int]]:
    """One record for rows that differ in nothing but the instant: the earliest, and the instant of the latest."""
    for (account, people, category, conversation), (early, late) in snapshot.groups.items():
        record = {"account": account, "people": list(people), "category": category, "conversation": conversation}
        yield {**record, "collected": early}, late
