"""Verify an evidence bundle of Volition, or a person's documents, with the log's public key and nothing of Volition.

Written from docs/formats alone; `cryptography` is the only dependency. Each check has the name that the pages give it:

    python verifier/volition_verify.py evidence.zip --key log.pub --extends older-checkpoint --not-before 2026-03-01

Exit code 0: everything holds. 4: something does not. 2: the input is not evidence that this program knows.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from volition_formats.bundle import verify_bundle
from volition_formats.log import Key, Policy
from volition_formats.proofs import verify_document, verify_tlog_proof
from volition_formats.report import NotEvidenceError, Report
from volition_formats.spellings import MALFORMED, instant, is_hex, parse


def verify(path: Path, key: Key, options: argparse.Namespace) -> Report:
    """Check a file of any form."""
    data = path.read_bytes()
    policy = None if options.policy is None else Policy.of(options.policy.read_text(encoding="utf-8"))
    if policy is not None and key not in policy.logs:
        raise NotEvidenceError("The policy is of another log than the key.")
    if data.startswith(b"PK"):
        extends = {one.name: one.read_text(encoding="utf-8") for one in options.extends}
        receipts = {one.name: parse(one.read_bytes()) for one in options.receipt}
        until = options.not_before
        start = None if until is None else instant(until if "T" in until else f"{until}T00:00:00.000000Z")
        return verify_bundle(data, key, extends=extends, receipts=receipts, not_before=start, policy=policy)
    if data.startswith(b"c2sp.org/tlog-proof@v1\n"):
        entry = None if options.entry is None else options.entry.read_bytes()
        return verify_tlog_proof(data.decode(), key, entry, policy)
    return verify_document(parse(data), key, options.person)


def print_report(report: Report) -> None:
    """Print what was found, for people."""
    for name, holds, says in report.checks:
        print(f"{'holds' if holds else 'FAILS'}  {name}: {says}")
    for told in report.claimed:
        print(f"claimed, not checkable offline: {told}")
    for told in report.warnings:
        print(f"warning: {told}")
    if report.last_entry is not None:
        print(f"last entry: {report.last_entry}")
    print("Everything holds." if report.holds else "It does NOT hold.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="volition-verify", description="Verify evidence of Volition offline.")
    parser.add_argument("file", type=Path, help="a bundle, a receipt, a proof")
    parser.add_argument(
        "--key", required=True, help="the log's public key, from somebody you trust: a file or the text"
    )
    parser.add_argument("--receipt", type=Path, action="append", default=[], help="a receipt or proof that you kept")
    parser.add_argument("--extends", type=Path, action="append", default=[], help="an older checkpoint that you kept")
    parser.add_argument("--not-before", metavar="DATE", help="the last entry is not earlier")
    parser.add_argument(
        "--person", metavar="PSEUDONYM", action="append", default=[], help="whom the documents are to be about"
    )
    parser.add_argument("--entry", type=Path, help="the entry of a .tlog-proof that does not hold it")
    parser.add_argument("--policy", type=Path, help="a trust policy: which witnesses must have signed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    try:
        if not all(is_hex(one, 16) for one in options.person):
            raise NotEvidenceError("A pseudonym is 32 lower-case hexadecimal digits.")
        written = Path(options.key)
        as_text = re.match(r"[^\s+]+\+[0-9a-f]{8}\+", options.key)
        key = Key.of((options.key if as_text else written.read_text(encoding="utf-8")).strip())
        report = verify(options.file, key, options)
    except (OSError, *MALFORMED) as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        checks = [{"name": name, "holds": holds, "says": says} for name, holds, says in report.checks]
        told = {"claimed": report.claimed, "warnings": report.warnings, "last_entry": report.last_entry}
        print(json.dumps({"holds": report.holds, "checks": checks, **told}, indent=1))
    else:
        print_report(report)
    return 0 if report.holds else 4


if __name__ == "__main__":
    sys.exit(main())
