"""Files: plain text and Markdown as passages, one record each: a heading, a paragraph, a list.

A file says nothing about itself but its words, so whoever collects it says whose it is, who wrote it and with whom it
was shared. What was not shared with everybody of the account is private to those people: a search shows it to nobody
else.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from volition.canonical import digest
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef

LARGEST_BYTES: Final = 16 << 20
LONGEST_CHARACTERS: Final = 2_000
"""A paragraph that is longer is cut where a sentence or a line ends, so that a passage is something to look at."""

_BETWEEN: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_CUT: Final = re.compile(r"(?<=[.!?])\s+|\n")


def read_file(  # noqa: PLR0913 - what a file does not say about itself
    data: bytes,
    *,
    source: str,
    account: str,
    people: Sequence[PersonRef],
    author: str,
    written_us: int,
    shared: bool,
) -> Iterator[Draft]:
    """Read one file.

    A key is `file:NAME:NUMBER:DIGEST of the passage`, so a file that was changed adds its new passages to the old ones.

    Args:
        data: UTF-8, with or without a byte order mark.
        source: The file's name within the account.
        account: Id of the account whose terms govern the file.
        people: Whom it concerns, the author first: who wrote it, with whom it was shared, who is spoken of.
        author: The author's name, to show.
        written_us: When it was written last, microseconds since the Unix epoch, UTC.
        shared: Whether everybody of the account may see it.

    Raises:
        InvalidInputError: It is not text, holds too much, or has no words.
    """
    if len(data) > LARGEST_BYTES:
        raise InvalidInputError(f"{source} holds more than {LARGEST_BYTES:,} bytes. Split it into smaller files.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{source} is not UTF-8 text ({error.reason} at byte {error.start:,}). Save it as plain text or Markdown."
        raise InvalidInputError(msg) from error
    if "\0" in text:
        raise InvalidInputError(f"{source} is not text: it holds zero bytes. Save it as plain text or Markdown.")
    passages = list(_passages(text.replace("\r\n", "\n").replace("\r", "\n")))
    if not passages:
        raise InvalidInputError(f"{source} has no words. There is nothing to collect.")
    for number, passage in enumerate(passages):
        yield Draft(
            key=f"file:{source}:{number}:{digest(passage.encode())[:16]}",
            account=account,
            people=tuple(people),
            category="content/files",
            at_us=written_us,
            payload={
                "kind": "passage",
                "file": source,
                "number": number,
                "author": author,
                "text": passage,
                **({} if shared else {"private": True}),
            },
        )


def _passages(text: str) -> Iterator[str]:
    for block in _BETWEEN.split(text):
        rest = block.strip()
        while len(rest) > LONGEST_CHARACTERS:
            ends = [cut.start() for cut in _CUT.finditer(rest, 0, LONGEST_CHARACTERS) if cut.start()]
            end = ends[-1] if ends else LONGEST_CHARACTERS
            yield rest[:end].strip()
            rest = rest[end:].strip()
        if rest:
            yield rest
