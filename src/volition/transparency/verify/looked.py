"""Checks of the access log: one line's proof, and what the whole log must say of its days.

A proof (`volition/access-proof/1`) is a JSON object:

    line        the line, as the text that was hashed: canonical JSON with a salt
    index       its place among the lines of its day, counted from 0
    lines       how many lines that day has
    path        hashes from the line's sibling up to the day's root, hexadecimal
    entry       the ledger's entry that holds the root, as its canonical JSON
    hashes      hashes from the entry's sibling up to the log's root
    checkpoint  the log's signed checkpoint

What a proof cannot show is that there is no other line: whoever keeps the log may leave out an access from the start.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from volition.canonical import text_to_us, us_to_datetime
from volition.errors import InvalidInputError, ProofError
from volition.ledger import merkle
from volition.ledger.entry import Entry
from volition.ledger.signing import VerifierKey, open_checkpoint
from volition.transparency.access_log import PROOF_FORMAT
from volition.transparency.usage import DAY_US, day_us
from volition.transparency.verify.checks import Verified, check_claim
from volition.transparency.verify.forms import count, fields, from_hex, hashes, read_canonical, text

CLAIMED: Final = (
    "that nobody else looked: the operator writes this log, and whoever reads the files directly is not in it"
)
"""What is claimed of a line but cannot be checked offline."""

_FIELDS: Final = {"at", "categories", "day", "for", "records", "role", "salt", "who", "whose"}
_PROOF_FIELDS: Final = {"format", "line", "index", "lines", "path", "entry", "hashes", "checkpoint"}
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SALT: Final = re.compile(r"[0-9a-f]{32}")


def verify_access(proof: Mapping[str, Any], verifier: VerifierKey) -> Verified:
    """Check the proof of one line offline."""
    check, _ = check_claim("who looked", partial(check_access_proof, proof, verifier))
    return Verified(checks=(check,), claimed=(CLAIMED,) if check.holds else ())


def subject_of(proof: Mapping[str, Any]) -> str:
    """Return whom a proof is about, as it says: a pseudonym, or whose list was read; "nobody" where it says nothing."""
    try:
        whose = json.loads(proof["line"])["whose"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return "nobody"
    return str(whose).removeprefix("person:")


def check_access_proof(proof: Mapping[str, Any], verifier: VerifierKey) -> str:
    """Check the proof of one line with the log's public key alone; return what it shows, in a sentence.

    Raises:
        ProofError: It does not hold.
    """
    fields(proof, "The proof", _PROOF_FIELDS)
    if proof["format"] != PROOF_FORMAT:
        raise ProofError(f"The proof is of the format {proof['format']!r}, not {PROOF_FORMAT!r}.")
    checkpoint = open_checkpoint(text(proof["checkpoint"], "The checkpoint"), verifier)
    leaf = text(proof["entry"], "The entry").encode()
    entry = Entry.from_leaf(leaf)
    way = hashes(proof["hashes"], "The way from the entry to the log's root")
    merkle.verify_inclusion(merkle.leaf_hash(leaf), entry.seq, checkpoint.size, way, checkpoint.root)
    if entry.kind != "access":
        raise ProofError(f"Entry {entry.seq} is of the kind {entry.kind}; it holds no root of a day's accesses.")
    check_access_entry(entry)
    written = text(proof["line"], "The line").encode()
    line = _read_line(written)
    index, lines = count(proof["index"], "The line's place"), count(proof["lines"], "The number of lines")
    if lines != entry.body["lines"]:
        raise ProofError(f"The entry says that {line['day']} has {entry.body['lines']} lines, the proof says {lines}.")
    path, root = hashes(proof["path"], "The way from the line to the day's root"), bytes.fromhex(entry.body["root"])
    try:
        merkle.verify_inclusion(merkle.leaf_hash(written), index, lines, path, root)
    except ProofError as error:
        raise ProofError(f"The line is not among those that were entered for {line['day']}: it was changed.") from error
    if line["day"] != entry.body["day"]:
        raise ProofError(f"The line is of {line['day']}, but it was entered for {entry.body['day']}.")
    return (
        f"entry {entry.seq} of the ledger: on {line['day']}, {line['who']} ({line['role']}) read {line['records']} "
        f"({line['for']}) of {line['whose']}"
    )


def check_access_entries(entries: Iterable[Entry]) -> str:
    """Check what a log says of its days of accesses: each whole, entered once, in order, and when it was over.

    Args:
        entries: All entries of the log, oldest first; other kinds are passed over.

    Raises:
        ProofError: A day was entered twice, out of order, before it was over, or in another form.
    """
    last, days, lines = "", 0, 0
    for entry in entries:
        if entry.kind == "access":
            check_access_entry(entry)
            day = entry.body["day"]
            if day == last:
                raise ProofError(f"Entry {entry.seq} enters the accesses of {day} a second time.")
            if day < last:
                raise ProofError(f"Entry {entry.seq} enters the accesses of {day} after those of {last}.")
            last, days, lines = day, days + 1, lines + entry.body["lines"]
    counted = f"{days:,} day" if days == 1 else f"{days:,} days"
    return f"{counted} of accesses, each entered once, with {lines:,} lines"


def check_access_entry(entry: Entry) -> None:
    """Check one entry of the kind "access" by itself.

    Raises:
        ProofError: It has another form, or its day was not over.
    """
    body = fields(entry.body, f"Entry {entry.seq} (access)", ("day", "root", "lines"))
    if count(body["lines"], f"The number of lines in entry {entry.seq}") < 1:
        raise ProofError(f"Entry {entry.seq} enters a day without accesses.")
    from_hex(body["root"], f"The root in entry {entry.seq}")
    if entry.at_us < _day_us(body["day"]) + DAY_US:
        raise ProofError(f"Entry {entry.seq} enters the accesses of {body['day']} before that day was over.")


def _read_line(written: bytes) -> Mapping[str, Any]:
    line = fields(read_canonical(written, "The line"), "The line", _FIELDS)
    if not isinstance(line["salt"], str) or not _SALT.fullmatch(line["salt"]):
        raise ProofError("The line has no salt of 32 lower-case hexadecimal digits.")
    start_us = _day_us(line["day"])
    if line["at"] is not None and not start_us <= text_to_us(text(line["at"], "The instant")) < start_us + DAY_US:
        raise ProofError(f"The line says that it is of {line['day']}, and that it was at {line['at']}.")
    return line


def _day_us(day: object) -> int:
    try:
        if isinstance(day, str) and _DAY.fullmatch(day) and us_to_datetime(day_us(day)).date().isoformat() == day:
            return day_us(day)
    except InvalidInputError:
        pass
    raise ProofError(f"{day!r} is no day such as 2026-01-31.")
