"""Scrubbing (redaction of PII): personal identifiers inside content are replaced before a snapshot is frozen.

What is replaced, in this order:

- web addresses: the host stays; a path that looks like a token is replaced, and every query, fragment, user and port
  removed, as in `https://host/[link]`
- e-mail addresses -> `[email]`
- telephone and other long numbers (seven digits or more, however spaced) -> `[number]`
- names of the people concerned by the record -> a label that is the same for the same person throughout

A text is scrubbed until nothing is left to replace, so scrubbing it again changes nothing; labels stay as they are.
The result is in Unicode's composed form (NFC), so that a name is found however its accents were written.

Scrubbing lowers risk; it is neither permission nor anonymisation (at most pseudonymisation). It errs on the side of
replacing: a build number of seven digits is replaced, too. A nickname that nobody registered stays.

    >>> Scrubber({"person-1a2b3c": ["Ada Byron"]}).scrub("Ada: mail ada@x.example or +44 20 7946 0018")
    '[person-1a2b3c]: mail [email] or [number]'
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_LABELS: Final = ("email", "link", "number")
_LINK: Final = re.compile(r"(?<![a-z0-9])(?:([a-z][a-z0-9+.-]{1,20}://)|www\.)[^\s<>\"]+", re.IGNORECASE)
_AFTER_A_LINK: Final = ".,;:!?'`)]}\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_AFTER_THE_HOST: Final = re.compile(r"[/?#\\]|$")
_TOKEN: Final = re.compile(r"[\w~%.=+-]{16,}|(?=[\w-]*\d)(?=[\w-]*[^\W\d_])[\w-]{8,}")
_EMAIL: Final = re.compile(r"[\w.!#$%&'*+^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_NUMBER: Final = re.compile(r"\+?\(?\d(?:[\s()./\N{MIDDLE DOT}\u2010-\u2015\u2212-]{0,4}\d){6,}")
_SHORTEST_NAME = 2
_SHORTEST_NAME_PART = 3


class Scrubber:
    """Replaces identifiers in texts that concern a known set of people."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        """Prepare to replace names.

        Args:
            names: Label of a person -> every name that the person goes by. A full name is replaced whatever its
                case; its parts of three letters or more only if they begin with a capital. In a script without
                capitals, parts count from two letters on.
        """
        whole: dict[str, str] = {}
        parts: dict[str, str] = {}
        for label, known in names.items():
            for name in (unicodedata.normalize("NFC", name) for name in known):
                words = name.split()
                if len("".join(words)) < _SHORTEST_NAME:
                    continue
                whole.setdefault(" ".join(words), label)
                if name.casefold() != name.lower():  # casefolding finds more than a comparison without case
                    whole.setdefault(" ".join(words).casefold(), label)
                for part in words:
                    if len(part) >= (_SHORTEST_NAME if _is_caseless(part[0]) else _SHORTEST_NAME_PART) and (
                        part[0].isupper() or _is_caseless(part[0])
                    ):
                        parts.setdefault(part, label)
                        parts.setdefault(part.upper(), label)
        self._whole = _Names(whole, re.IGNORECASE)
        self._parts = _Names(parts, re.NOFLAG)
        self._known = sorted({*_LABELS, *names})

    @cached_property
    def hints(self) -> tuple[bytes, ...] | None:
        """Words, in small letters, of which one stands wherever a name does; none where there are no such words.

        They are for texts of plain letters (ASCII): see `may_hold_identifiers`.
        """
        found = [names.hints for names in (self._whole, self._parts)]
        return None if None in found else tuple({hint.encode(): None for hints in found for hint in hints or ()})

    @cached_property
    def _labels(self) -> re.Pattern[str]:
        return re.compile(rf"(\[(?:{'|'.join(map(re.escape, self._known))})\])")

    def scrub(self, text: str) -> str:
        """Return the text with every identifier replaced."""
        text = unicodedata.normalize("NFC", text)
        while (scrubbed := self._scrub_once(text)) != text:
            text = scrubbed
        return text

    def _scrub_once(self, text: str) -> str:
        if "://" in text or "." in text:  # cheaper to check than to search
            text = self._between_labels(partial(_LINK.sub, _shorten_link), text)
        if "@" in text:
            text = self._between_labels(partial(_EMAIL.sub, "[email]"), text)
        text = self._between_labels(partial(_NUMBER.sub, "[number]"), text)
        text = self._between_labels(self._whole.replace, text)
        return self._between_labels(self._parts.replace, text)

    def _between_labels(self, replace: Callable[[str], str], text: str) -> str:
        """Replace in what lies between the labels that are there already."""
        if "[" not in text:
            return replace(text)
        pieces = self._labels.split(text)
        return "".join(piece if place % 2 else replace(piece) for place, piece in enumerate(pieces))

    def scrub_payload(self, payload: Mapping[str, Any], *, keep: Sequence[str] = ()) -> dict[str, Any]:
        """Return a JSON object with every text in it scrubbed, however deep, but for the top-level keys in `keep`.

        The top-level keys themselves stay, since they are the record's own form; keys further down are texts, too.
        """
        return {key: value if key in keep else self._scrub_value(value) for key, value in payload.items()}

    def _scrub_value(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        match value:
            case str():
                return self.scrub(value)
            case list():
                return [self._scrub_value(item) for item in value]
            case dict():
                return {self.scrub(key): self._scrub_value(item) for key, item in value.items()}
        return value


class _Names:
    """Replaces any of a set of names, as whole words, by its person's label; the longest name first.

    An underscore is no part of a word here, since it marks emphasis. Scripts without capitals often have no spaces
    between words, so there a name is found inside of a longer run of letters.
    """

    def __init__(self, names: Mapping[str, str], flags: re.RegexFlag) -> None:
        self._labels = names
        self._flags = flags
        first_words = {name.split()[0] for name in names}
        self._hints = tuple(sorted({word.casefold() for word in first_words})) if _all_ascii(first_words) else ()

    @property
    def hints(self) -> tuple[str, ...] | None:
        """Words of which one stands wherever a name does, in a text of plain letters; none if there are none such."""
        return self._hints if self._hints or not self._labels else None

    @cached_property
    def _names(self) -> list[tuple[re.Pattern[str], str]]:
        longest_first = sorted(self._labels, key=lambda name: (-len(name), name))
        return [(re.compile(_spaced(name), self._flags), f"[{self._labels[name]}]") for name in longest_first]

    @cached_property
    def _any(self) -> re.Pattern[str]:
        longest_first = [_spaced(name) for name in sorted(self._labels, key=lambda name: (-len(name), name))]
        apart = [name for name in longest_first if not _is_caseless(name[0])]
        inside = [name for name in longest_first if _is_caseless(name[0])]
        patterns = [rf"(?<![^\W_])(?:{'|'.join(apart)})(?![^\W_])"] * bool(apart) + inside
        return re.compile("|".join(patterns), self._flags)

    def replace(self, text: str) -> str:
        return self._any.sub(self._label, text) if self._may_stand_in(text) else text

    def _may_stand_in(self, text: str) -> bool:
        """Check cheaply first: most texts name nobody, and compiling the patterns costs more than all the checks."""
        if not (self._hints and text.isascii()):
            return bool(self._labels)
        folded = text.lower()
        return any(hint in folded for hint in self._hints)

    def _label(self, found: re.Match[str]) -> str:
        """Return the label of a name; its spelling here may differ from the registered one."""
        return next(label for name, label in self._names if name.fullmatch(found[0]))


_MAY_HOLD: Final = r"[^\x00-\x7f]|\\|@|://|(?i:www\.)"
_LONG_NUMBER: Final = (
    r'^[^"]*(?:"[^"]*"[^"]*)*"[^"]*\d(?:[ ()./-]{0,4}\d){6}'  # inside of a text: after an odd number of quotes
)


def may_hold_identifiers(written: pa.Array, keys: Sequence[str]) -> NDArray[np.bool_]:
    """Return of some JSON objects which may hold anything that a scrubber replaces, names apart.

    Those that do not are of plain letters (ASCII) without an escape, so each of their texts stands in them as it is.

    Args:
        written: Canonical JSON, an Arrow array of bytes, (n,).
        keys: Objects with one of these keys are among them, however deep.

    Returns:
        Shape (n,); false where scrubbing changes nothing unless a name stands there (`Scrubber.hints`).
    """
    named = "|".join(f'"{re.escape(key)}":' for key in keys)
    found = pc.or_(
        pc.match_substring_regex(written, f"{_MAY_HOLD}|{named}" if named else _MAY_HOLD),
        pc.match_substring_regex(written, _LONG_NUMBER),
    )
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _all_ascii(words: Iterable[str]) -> bool:
    return all(word.isascii() for word in words)


def _spaced(name: str) -> str:
    """Return a pattern for a name, however its words are spaced."""
    return r"\s+".join(map(re.escape, name.split()))


def _is_caseless(letter: str) -> bool:
    return unicodedata.category(letter) == "Lo"


def _shorten_link(found: re.Match[str]) -> str:
    """Keep scheme and host; keep the path only if nothing in it or after it can be a token."""
    link = found[0].rstrip(_AFTER_A_LINK)
    after = found[0][len(link) :]
    scheme = found[1] or ""
    rest = link[len(scheme) :]
    host = _AFTER_THE_HOST.split(rest, maxsplit=1)[0]
    path = rest[len(host) :]
    name = re.sub(r":\d*$", "", host.rpartition("@")[2])
    if "[" in host:  # an address of numbers
        return f"[link]{after}"
    if "@" in host or "?" in path or "#" in path or _TOKEN.search(path):
        path = "/[link]"
    return f"{scheme}{name}{path}{after}"
