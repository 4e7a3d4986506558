"""What collecting has set aside, read back without a word of it: from where, and why."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from volition.consent.parties import Stores
from volition.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A piece of bad input, without what it held.

    Attributes:
        source: The file or way in that it came from.
        where: Its place there, as the source names places.
        why: Why it could not be stored.
    """

    source: str
    where: str
    why: str


def read_quarantine(folder: Path, stores: Stores) -> Iterator[SetAside]:
    """Yield all that was set aside, by file; the input itself stays closed.

    Args:
        folder: The lake's folder of what was set aside; it need not be there.
        stores: Know which files were made.

    Raises:
        BackendError: A file in it cannot be read, or is lost.
    """
    stores.check_below(folder)
    for path in sorted(folder.glob("*.jsonl")):
        try:
            for line in path.read_bytes().splitlines():
                line_json = json.loads(line)
                yield SetAside(source=line_json["source"], where=line_json["where"], why=line_json["why"])
        except (OSError, ValueError, KeyError) as error:
            raise BackendError(f"What was set aside in {path} cannot be read: {error!r}.") from error
