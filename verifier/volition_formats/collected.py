"""What was recorded when it was collected, and a person's proof of it (docs/formats/collected.md)."""

import hmac

from volition_formats.log import Checkpoint, Key, check_inclusion, hashes, included, leaf_hash
from volition_formats.permits import WRITING
from volition_formats.report import demand, demand_keys
from volition_formats.spellings import (
    Json,
    Object,
    canonical,
    digest_of,
    instant,
    is_count,
    is_hex,
    parse_canonical,
    text,
    texts,
)


def collected_leaf(row: Object, salt: bytes, people_key: bytes) -> list[Json]:
    """The leaf of a record in its batch (collected.md)."""
    aliases = []
    for one in row["people"]:
        token = hmac.digest(people_key, one.encode(), "sha256")[:16]
        aliases.append(alias(token.hex(), one))
    about = (row["account"], aliases, row["category"], row["collected_us"], row["conversation"])
    return [salt.hex(), row["record_id"], *about]


def alias(token: str, pseudonym: str) -> str:
    """What a leaf calls a person."""
    return digest_of(canonical(["volition/collected-person", token, pseudonym]))


def check_collected_proof(document: Object, key: Key) -> str:
    """The check `what was collected`."""
    demand_keys(document, "format pseudonyms batches checkpoint", "proof")
    signed, named, count, last = Checkpoint.of(document["checkpoint"], key), set(), 0, -1
    for batch in document["batches"]:
        demand_keys(batch, "entry path tokens leaves", "proof")
        entry = included(batch, "path", signed)
        demand(entry["kind"] == "collect" and entry["seq"] > last, "The entries are of another kind, or not in order.")
        last, body = entry["seq"], entry["body"]
        demand(set(body) == {"records", "root"} and is_count(body["records"]), "The batch has another form.")
        tokens, root = batch["tokens"], hashes([body["root"]])[0]
        demand(tokens and all(is_hex(x, 16) and is_hex(y, 16) for x, y in tokens.items()), "A token has another form.")
        aliases = {alias(token, pseudonym) for pseudonym, token in tokens.items()}
        seen: set[str] = set()
        indexes = [holder["index"] for holder in batch["leaves"]]
        demand(indexes == sorted(set(indexes)), "The leaves are not in order.")
        before = None
        for holder in batch["leaves"]:
            demand_keys(holder, "index leaf path", "proof")
            check_inclusion(
                leaf_hash(text(holder["leaf"]).encode()), holder["index"], body["records"], hashes(holder["path"]), root
            )
            leaf = parse_canonical(holder["leaf"])
            people = leaf_people(leaf)
            name = leaf[1].encode()
            demand(before is None or before < name, "A record is there twice, or the records are not in order.")
            demand(leaf[5] <= instant(entry["at"]) + WRITING, "A record is from after the entry that enters it.")
            before = name
            demand(aliases & people, "A leaf does not concern this person.")
            seen |= people
            count += 1
        demand(aliases <= seen, "A token is of nobody in these leaves.")
        named |= set(tokens)
    demand(document["pseudonyms"] == sorted(named) and named, "The pseudonyms are others than the proof shows.")
    return f"{count} records of {', '.join(sorted(named))}, as they were collected."


def leaf_people(leaf: Json) -> set[str]:
    """The aliases of a leaf that has its form."""
    salt, record, account, people, category, collected, conversation = leaf
    fits = is_hex(salt, 16) and all(is_hex(one) for one in texts(people)) and type(collected) is int
    demand(fits and (conversation is None or text(conversation) is not None), "A leaf has another form.")
    demand(all(isinstance(one, str) for one in (record, account, category)), "A leaf has another form.")
    return set(people)
