"""Whom a text names: one person's names, addresses and identifiers, looked for in what a source sent, however encoded.

What was set aside lies there as it came: JSON with its escapes, a transcript with its entities, protobuf in base64. It
is looked for in all of these forms, whatever its case and accents. Rather a line too many is found than one too few:
an erasure asks, and what is found was never used.

    >>> from volition.consent.parties import Person
    >>> ann = Person(id="u7", account="acme", name="Ann Lee", aliases=(), emails=("ann@acme.example",), pseudonym="0f")
    >>> Mentions(ann).found_in('{"from": "LEE, Ann"}')
    True
"""

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from volition.consent.parties import Person
from volition.consent.spellings import main_address, plain

_ESCAPE: Final = re.compile(r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtvf])|([/\"']))")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_OF_ADDRESS: Final = r"[^\s<>\"',;:()\[\]{}|\\=]"
_ADDRESS: Final = re.compile(rf"(?<!{_OF_ADDRESS}){_OF_ADDRESS}+@{_OF_ADDRESS}+")
_WORD: Final = re.compile(r"\w+")
_BETWEEN: Final = 2
"""How many other words may stand among those of a name: a middle name, a title."""
_SURE_LENGTH: Final = 4
"""From how many characters on a handle inside a longer word is no accident, in bytes that are not text."""


class Mentions:
    """Finds one person in texts."""

    def __init__(self, person: Person, *, by_address_only: bool = False) -> None:
        """Take whom to look for.

        Args:
            person: Their id, pseudonym, name, aliases and addresses are what names them.
            by_address_only: Whether nothing but an address surely means them: in the data of another account.
        """
        self._addresses = {main_address(one) for one in person.addresses}
        handles = () if by_address_only else (*person.ids, *person.pseudonyms, *person.names)
        self._literals = {_letters(text).strip() for text in (*handles, *person.addresses)} - {""}
        names = (_words(plain(text)) for text in handles)
        self._names = {frozenset(words) for words in names if len(words) > 1}
        self._sought = [
            re.compile(rf"{_edge(text[0], '<!')}{re.escape(text)}{_edge(text[-1], '!')}")
            for text in sorted(self._literals)
        ]

    def found_in(self, text: str) -> bool:
        """Return whether a text names them."""
        return any(self._named(_letters(view)) for view in _views(text)) or any(
            self._inside(_letters(view)) for view in _decoded(text)
        )

    def _named(self, text: str) -> bool:
        if any(sought.search(text) for sought in self._sought):
            return True
        if self._addresses and any(
            main_address(found.strip(".")) in self._addresses for found in _ADDRESS.findall(text)
        ):
            return True
        return bool(self._names) and self._has_name(_words(text))

    def _has_name(self, words: list[str]) -> bool:
        for name in self._names:
            if not name.issubset(words):
                continue
            width = len(name) + _BETWEEN
            if any(name.issubset(words[at : at + width]) for at, word in enumerate(words) if word in name):
                return True
        return False

    def _inside(self, text: str) -> bool:
        """Look in what was no text: a length or a tag may stand right before a handle, and look like a letter."""
        return self._named(text) or any(literal in text for literal in self._literals if len(literal) >= _SURE_LENGTH)


def _edge(character: str, which: str) -> str:
    r"""Return what keeps a handle from beginning or ending within a word; scripts without blanks have no such place."""
    is_wide = unicodedata.east_asian_width(character) in "WF"
    return rf"(?{which}\w)" if character.isalnum() and not is_wide else ""


def _words(text: str) -> list[str]:
    return _WORD.findall(_letters(text))


def _letters(text: str) -> str:
    """Return a text without its case, its accents and what cannot be seen."""
    if text.isascii():
        return text.casefold()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(one for one in folded if not unicodedata.combining(one) and unicodedata.category(one) != "Cf")


def _views(text: str) -> Iterator[str]:
    """Yield a text as it is, and with its escapes and entities written out."""
    plain_text = text.replace("\0", "")  # UTF-16 that was read as UTF-8
    yield plain_text
    written_out = plain_text
    for _ in range(3):  # JSON within JSON
        before, written_out = written_out, html.unescape(unquote(_ESCAPE.sub(_character, written_out)))
        if before == written_out:
            return
        yield _whole(written_out)


def _decoded(text: str) -> Iterator[str]:
    """Yield what stands in a text as base64."""
    for match in _BASE64.finditer(text):
        found = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        found = found[: len(found) - (len(found) % 4 == 1)]
        decoded = base64.b64decode(found + "=" * (-len(found) % 4))
        yield from _views(decoded.decode("utf-8", "replace"))
        yield decoded.decode("latin-1")


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else match[4] or " "


def _whole(text: str) -> str:
    """Join the halves of characters that JSON writes as two escapes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
