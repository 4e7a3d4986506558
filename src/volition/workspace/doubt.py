"""Doubt: what a witness knows of this log that this log does not hold, so that it was cut off or forked.

A ledger that lost its end has lost answers, and nobody can say which: a no may be among them. So while there is doubt
nothing is appended, decided or answered from the ledger, in any process of the folder, and every attempt says what to
do. The doubt lies in a file, is set and ended by asking witnesses, and counts only while its witness is one of those
in volition.toml, so that one who is mistaken can be taken out there, by name.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from volition.errors import ProofError
from volition.files import write_file

FILE: Final = "doubt.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What one witness knows that contradicts the log.

    Attributes:
        key: The witness's public key, as text.
        witness: What the policy calls it.
        why: What it knows, as a sentence.
        at: When it said so.
    """

    key: str
    witness: str
    why: str
    at: str


def read_doubts(folder: Path, keys: Iterable[str]) -> tuple[Doubt, ...]:
    """Return the doubts of a workspace's folder that are of some witnesses, by their keys.

    Raises:
        ProofError: The file cannot be read: it is there, so there was doubt.
    """
    path = folder / FILE
    if not path.exists():  # asked before everything that reads the ledger, and nearly always the answer
        return ()
    known = set(keys)
    try:
        doubts = [Doubt(**one) for one in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise ProofError(
            f"{path} cannot be read ({error}). Run `volition log witness`, which writes it anew."
        ) from error
    return tuple(one for one in doubts if one.key in known)


def write_doubts(folder: Path, doubts: Sequence[Doubt]) -> None:
    """Keep doubts in place of those that were kept; none to end them.

    Raises:
        OSError: The disk is full or cannot be written.
    """
    if doubts:
        write_file(folder / FILE, json.dumps([asdict(one) for one in doubts], indent=1).encode())
    else:
        (folder / FILE).unlink(missing_ok=True)


def refuse_in_doubt(doubts: Sequence[Doubt]) -> None:
    """Refuse to go on while there is doubt.

    Raises:
        ProofError: There is; the message says what to do.
    """
    if doubts:
        told = " ".join(f"{one.witness} at {one.at}: {one.why}" for one in doubts)
        raise ProofError(
            f"The log was cut off or forked, as its witnesses know. {told} Answers may be missing, so nothing is "
            "decided or appended. Restore the newest copy of ledger.db (and of the other files that belong to it), "
            "then run `volition log witness`, which ends this. Only if you are sure that the witness is mistaken: take "
            "it out of [witness] in volition.toml."
        )
